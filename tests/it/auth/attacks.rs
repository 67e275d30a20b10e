//! What was tried elsewhere against readers of JSON Web Tokens, and what is in order beside it.

use std::net::TcpListener;

use ring::hmac;
use serde_json::{Value as Json, json};
use staygraph::auth::{ALGORITHMS, Authority, Refusal};
use staygraph::rights::{Scope, Scopes, Who};

use super::signing::{ISSUER, NOW, Signer, authority, base64, claims_with, issuer};
use crate::support::folder;

/// The keys of the tests.
struct Keys {
    rsa: Signer,
    point: Signer,
    edwards: Signer,
    /// Nobody's here.
    stranger: Signer,
}

impl Keys {
    fn new() -> Keys {
        Keys {
            rsa: Signer::rsa("rsa-2048.pem"),
            point: Signer::point(),
            edwards: Signer::edwards(),
            stranger: Signer::rsa("rsa-other.pem"),
        }
    }

    fn set(&self) -> Json {
        let mut encrypts = self.stranger.jwk("encrypts");
        encrypts["use"] = "enc".into();
        let mut pinned = self.rsa.jwk("pss");
        pinned["alg"] = "PS256".into();
        json!({ "keys": [self.rsa.jwk("rsa"), self.point.jwk("point"), self.edwards.jwk("edwards"), encrypts, pinned] })
    }
}

/// A token by its name, and its scopes or a part of what is said against it.
type Case<'a> = (&'a str, String, Result<&'a [Scope], &'a str>);

/// Judges tokens, each by its name: what they give, or why they are refused.
async fn check(authority: &Authority, cases: Vec<Case<'_>>) {
    for (name, token, right) in cases {
        let given = authority.rights(&token, NOW).await;
        match (&given, right) {
            (Ok(rights), Ok(scopes)) => {
                assert_eq!(rights.scopes, scopes.iter().copied().collect::<Scopes>(), "{name}");
            }
            (Err(Refusal::Bad(why)), Err(said)) => assert!(why.contains(said), "{name}: {why}"),
            _ => panic!("{name}: {given:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_in_order_gives_its_scopes_and_claims() {
    let (keys, folder) = (Keys::new(), folder());
    let path = folder.path().join("keys.json");
    std::fs::write(&path, keys.set().to_string()).unwrap();
    let authority = authority(vec![issuer(ISSUER, &path)]);
    let good = claims_with(json!({}));
    let of_type = |name: &str| {
        let header = json!({ "alg": "ES256", "kid": "point", "typ": name }).to_string();
        keys.point.signed(&header, &good.to_string())
    };
    let scope = |scope: Json| keys.point.token("point", &claims_with(json!({ "scope": scope })));
    let timed = |more: Json| keys.edwards.token("edwards", &claims_with(more));
    let read: Result<&[Scope], &str> = Ok(&[Scope::Read]);
    let pss = keys.rsa.signed(r#"{"alg":"PS256","kid":"pss"}"#, &good.to_string());
    check(
        &authority,
        vec![
            ("RSA", keys.rsa.token("rsa", &good), read),
            ("RSA, padded by PSS", pss, read),
            ("a curve's", keys.point.token("point", &good), read),
            ("Edwards's", keys.edwards.token("edwards", &good), read),
            ("without a type", keys.point.signed(r#"{"alg":"ES256","kid":"point"}"#, &good.to_string()), read),
            ("an access token", of_type("at+jwt"), read),
            ("an access token's media type", of_type("application/at+JWT"), read),
            ("without an id, where one key fits", keys.point.signed(r#"{"alg":"ES256"}"#, &good.to_string()), read),
            ("an audience among others", timed(json!({ "aud": ["other", "staygraph"] })), read),
            (
                "scopes in a list",
                scope(json!(["read", "pii:read", 7, "other"])),
                Ok(&[Scope::Read, Scope::PersonalRead]),
            ),
            (
                "several scopes",
                scope(json!("ops:read ops:write events:write export")),
                Ok(&[Scope::OpsRead, Scope::OpsWrite, Scope::EventsWrite, Scope::Export]),
            ),
            ("scopes of others", scope(json!("openid profile READ read:all")), Ok(&[])),
            ("scopes of no kind", scope(json!({ "read": true })), Ok(&[])),
            ("no scopes", timed(json!({ "scope": null })), Ok(&[])),
            ("at its end, within the leeway", timed(json!({ "exp": NOW - 29 })), read),
            ("before its beginning, within the leeway", timed(json!({ "nbf": NOW + 30 })), read),
            ("a fraction of a second", timed(json!({ "exp": NOW as f64 + 0.5 })), read),
            ("without a beginning", timed(json!({ "nbf": null })), read),
        ],
    )
    .await;
    let rights = authority.rights(&timed(json!({ "tenant": ["a", "b"] })), NOW).await.unwrap();
    assert_eq!((&rights.claims["sub"], &rights.claims["tenant"]), (&json!("ann"), &json!(["a", "b"])));
    assert_eq!(rights.who, Who::Issuer(ISSUER.into()));
}

#[tokio::test]
async fn a_forged_token_gives_nothing() {
    let (keys, folder) = (Keys::new(), folder());
    let path = folder.path().join("keys.json");
    std::fs::write(&path, keys.set().to_string()).unwrap();
    let authority = authority(vec![issuer(ISSUER, &path)]);
    // Who is asked for a key that a token names would be seen here.
    let bait = TcpListener::bind("127.0.0.1:0").unwrap();
    bait.set_nonblocking(true).unwrap();
    let lure = format!("http://{}/keys", bait.local_addr().unwrap());

    let good = claims_with(json!({}));
    let (claims, whole) = (good.to_string(), keys.point.token("point", &good));
    let parts: Vec<&str> = whole.split('.').collect();
    let by_point = |header: Json| keys.point.signed(&header.to_string(), &claims);
    let by_stranger = |header: Json| keys.stranger.signed(&header.to_string(), &claims);
    let with = |more: Json| keys.point.token("point", &claims_with(more));
    let of_type = |name: Json| by_point(json!({ "alg": "ES256", "kid": "point", "typ": name }));
    let written = |header: &str, claims: &str| keys.point.signed(header, claims);
    let by_secret = |algorithm: &str, secret: &[u8]| {
        let header = json!({ "alg": algorithm, "kid": "rsa" }).to_string();
        let message = format!("{}.{}", base64(header), base64(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("{message}.{}", base64(hmac::sign(&key, message.as_bytes())))
    };
    let unsigned = |algorithm: &str, signature: &str| {
        format!("{}.{}.{signature}", base64(json!({ "alg": algorithm, "kid": "rsa" }).to_string()), base64(&claims))
    };
    let with_signature = |signature: Vec<u8>| format!("{}.{}.{}", parts[0], parts[1], base64(signature));
    // The last letter of 64 bytes in base64 has four bits that mean nothing.
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = letters.find(whole.chars().last().unwrap()).unwrap();
    let same_bytes = format!("{}{}", &whole[..whole.len() - 1], &letters[last + 1..last + 2]);
    let short = {
        let message = format!("{}.{}", base64(r#"{"alg":"RS256","kid":"rsa"}"#), base64(&claims));
        format!("{message}.{}", base64(&keys.rsa.signature(message.as_bytes(), false)[..255]))
    };
    let none = "no algorithm that is taken";
    let not_its = "not its issuer's";
    let malformed = "malformed";
    let public = keys.rsa.jwk("rsa");
    check(
        &authority,
        vec![
            // Without a signature, or by a secret that is none.
            ("alg none", unsigned("none", ""), Err(none)),
            ("alg None", unsigned("None", ""), Err(none)),
            ("alg nOnE with something", unsigned("nOnE", "AAAA"), Err(none)),
            ("alg missing", written(r#"{"kid":"point"}"#, &claims), Err(none)),
            ("alg a list", written(r#"{"alg":["ES256"],"kid":"point"}"#, &claims), Err(none)),
            ("alg in small letters", written(r#"{"alg":"es256","kid":"point"}"#, &claims), Err(none)),
            ("an empty signature", unsigned("RS256", ""), Err(not_its)),
            ("HMAC by the public key", by_secret("HS256", public["n"].as_str().unwrap().as_bytes()), Err(none)),
            ("HMAC by its text", by_secret("HS256", public.to_string().as_bytes()), Err(none)),
            ("HMAC by nothing", by_secret("HS256", b""), Err(none)),
            ("HMAC said to be RSA", by_secret("RS256", public["n"].as_str().unwrap().as_bytes()), Err(not_its)),
            // Signatures that some readers take for any message's.
            ("a signature of zeros", with_signature(vec![0; 64]), Err(not_its)),
            ("a signature of ones", with_signature(vec![0xff; 64]), Err(not_its)),
            ("a signature of one zero", with_signature(vec![0]), Err(not_its)),
            ("a signature in DER of zeros", with_signature(vec![0x30, 6, 2, 1, 0, 2, 1, 0]), Err(not_its)),
            ("a signature cut short", with_signature(keys.point.signature(b"", false)[..63].to_vec()), Err(not_its)),
            (
                "another token's signature",
                format!("{}.{}.{}", parts[0], base64(claims_with(json!({ "sub": "bob" })).to_string()), parts[2]),
                Err(not_its),
            ),
            ("an RSA signature cut short", short, Err(not_its)),
            ("by a stranger", keys.stranger.token("rsa", &good), Err(not_its)),
            // Keys that the token brings, or says where to get.
            ("kid a path", by_stranger(json!({ "alg": "RS256", "kid": "../../../../dev/null" })), Err("not known")),
            ("kid a URL", by_stranger(json!({ "alg": "RS256", "kid": lure })), Err("not known")),
            ("kid SQL", by_stranger(json!({ "alg": "RS256", "kid": "' UNION SELECT 'key" })), Err("not known")),
            ("kid empty", by_stranger(json!({ "alg": "RS256", "kid": "" })), Err("not known")),
            ("kid a number", by_stranger(json!({ "alg": "RS256", "kid": 7 })), Err(malformed)),
            ("kid null", by_stranger(json!({ "alg": "RS256", "kid": null })), Err(malformed)),
            ("jwk, and no id", by_stranger(json!({ "alg": "RS256", "jwk": keys.stranger.jwk("rsa") })), Err(not_its)),
            (
                "jwk, under a known id",
                by_stranger(json!({ "alg": "RS256", "kid": "rsa", "jwk": keys.stranger.jwk("rsa") })),
                Err(not_its),
            ),
            (
                "jwk, under an id of its own",
                by_stranger(json!({ "alg": "RS256", "kid": "new", "jwk": keys.stranger.jwk("new") })),
                Err("not known"),
            ),
            ("jku", by_stranger(json!({ "alg": "RS256", "kid": "rsa", "jku": lure })), Err(not_its)),
            ("x5u", by_stranger(json!({ "alg": "RS256", "kid": "rsa", "x5u": lure })), Err(not_its)),
            ("x5c", by_stranger(json!({ "alg": "RS256", "kid": "rsa", "x5c": ["AAAA"] })), Err(not_its)),
            ("a key for encryption", by_stranger(json!({ "alg": "RS256", "kid": "encrypts" })), Err("not known")),
            (
                "a key of another kind",
                by_point(json!({ "alg": "RS256", "kid": "point" })),
                Err("not for its algorithm"),
            ),
            (
                "a key of another algorithm",
                keys.rsa.signed(r#"{"alg":"RS256","kid":"pss"}"#, &claims),
                Err("not for its algorithm"),
            ),
            (
                "a curve that the key is not of",
                by_point(json!({ "alg": "ES384", "kid": "point" })),
                Err("not for its algorithm"),
            ),
            ("no id, and several keys", keys.rsa.signed(r#"{"alg":"PS256"}"#, &claims), Err("not for its algorithm")),
            // What the header has understood.
            (
                "crit of what is unknown",
                by_point(json!({ "alg": "ES256", "kid": "point", "crit": ["exp2"], "exp2": 1 })),
                Err(malformed),
            ),
            ("crit empty", by_point(json!({ "alg": "ES256", "kid": "point", "crit": [] })), Err(malformed)),
            (
                "crit of what is missing",
                by_point(json!({ "alg": "ES256", "kid": "point", "crit": ["b64"] })),
                Err(malformed),
            ),
            (
                "b64 false",
                by_point(json!({ "alg": "ES256", "kid": "point", "b64": false, "crit": ["b64"] })),
                Err(malformed),
            ),
            ("a token of a logout", of_type(json!("logout+jwt")), Err("another type")),
            ("a proof of possession", of_type(json!("dpop+jwt")), Err("another type")),
            ("an encrypted one", of_type(json!("JWE")), Err("another type")),
            ("a type that is none", of_type(json!(7)), Err("another type")),
            // Readers that differ.
            ("alg twice", written(r#"{"alg":"ES256","alg":"none","kid":"point"}"#, &claims), Err(malformed)),
            ("kid twice", written(r#"{"alg":"ES256","kid":"point","kid":"rsa"}"#, &claims), Err(malformed)),
            (
                "sub twice",
                written(r#"{"alg":"ES256","kid":"point"}"#, &claims.replacen('{', "{\"sub\":\"bob\",", 1)),
                Err(malformed),
            ),
            (
                "scope twice, escaped",
                written(
                    r#"{"alg":"ES256","kid":"point"}"#,
                    &claims.replacen('{', "{\"\\u0073cope\":\"read pii:read\",", 1),
                ),
                Err(malformed),
            ),
            (
                "something after the claims",
                written(r#"{"alg":"ES256","kid":"point"}"#, &format!("{claims}{{}}")),
                Err(malformed),
            ),
            ("claims that are no object", written(r#"{"alg":"ES256","kid":"point"}"#, "[]"), Err(malformed)),
            ("claims that are no JSON", written(r#"{"alg":"ES256","kid":"point"}"#, "claims"), Err(malformed)),
            ("the same bytes in other letters", same_bytes, Err(malformed)),
            ("padding", format!("{whole}=="), Err(malformed)),
            ("a point more", format!("{whole}."), Err(malformed)),
            ("five parts", format!("{whole}.AAAA.AAAA"), Err(malformed)),
            ("two parts", format!("{}.{}", parts[0], parts[1]), Err(malformed)),
            ("parts of nothing", "..".into(), Err(malformed)),
            ("a blank within", whole.replacen('.', ". ", 1), Err(malformed)),
            ("a line's end", format!("{whole}\n"), Err(malformed)),
            ("percent signs", whole.replacen('.', "%2e", 1), Err(malformed)),
            ("no point", whole.replace('.', ""), Err("not known")),
            ("nothing", String::new(), Err("not known")),
            // When.
            ("expired", with(json!({ "exp": NOW - 30 })), Err("expired")),
            ("expired long ago", with(json!({ "exp": 0 })), Err("expired")),
            ("expired before 1970", with(json!({ "exp": -1 })), Err("`exp`")),
            ("not yet", with(json!({ "nbf": NOW + 31 })), Err("not valid yet")),
            ("no end", with(json!({ "exp": null })), Err("never ends")),
            ("an end that is a text", with(json!({ "exp": "2100-01-01" })), Err("never ends")),
            ("an end that is a number's text", with(json!({ "exp": (NOW + 60).to_string() })), Err("never ends")),
            (
                "an end beyond numbers",
                written(r#"{"alg":"ES256","kid":"point"}"#, &claims.replace(&(NOW + 3600).to_string(), "1e999")),
                Err(malformed),
            ),
            ("a beginning that is a text", with(json!({ "nbf": "now" })), Err(malformed)),
            // By whom and for whom.
            ("another issuer", with(json!({ "iss": "https://evil.example" })), Err("issuer that is not known")),
            (
                "an issuer with a slash more",
                with(json!({ "iss": format!("{ISSUER}/") })),
                Err("issuer that is not known"),
            ),
            (
                "an issuer in other letters",
                with(json!({ "iss": ISSUER.to_uppercase() })),
                Err("issuer that is not known"),
            ),
            ("issuers in a list", with(json!({ "iss": [ISSUER] })), Err("names no issuer")),
            ("no issuer", with(json!({ "iss": null })), Err("names no issuer")),
            ("another audience", with(json!({ "aud": "other" })), Err("another audience")),
            ("an audience that begins so", with(json!({ "aud": "staygraph2" })), Err("another audience")),
            ("other audiences", with(json!({ "aud": ["other", "STAYGRAPH"] })), Err("another audience")),
            ("no audience in a list", with(json!({ "aud": [] })), Err("another audience")),
            ("an audience that is a number", with(json!({ "aud": 1 })), Err("another audience")),
            ("no audience", with(json!({ "aud": null })), Err("another audience")),
            // How much.
            ("a megabyte of claims", with(json!({ "more": "x".repeat(1 << 20) })), Err("too long")),
            ("a megabyte of points", ".".repeat(1 << 20), Err("too long")),
            (
                "claims a thousand deep",
                written(
                    r#"{"alg":"ES256","kid":"point"}"#,
                    &format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)),
                ),
                Err(malformed),
            ),
        ],
    )
    .await;
    assert!(bait.accept().is_err(), "somebody asked where a token said");
}

#[tokio::test]
async fn an_issuer_vouches_for_its_own_alone() {
    let folder = folder();
    let (own, other) = (Signer::point(), Signer::point());
    let file = |name: &str, key: Json| {
        let path = folder.path().join(name);
        std::fs::write(&path, json!({ "keys": [key] }).to_string()).unwrap();
        path
    };
    // Both call their key by one name.
    let (own_file, other_file) = (file("own.json", own.jwk("k")), file("other.json", other.jwk("k")));
    let other_issuer = "https://partner.example";
    let mut strict = issuer(other_issuer, &other_file);
    strict.algorithms =
        ALGORITHMS.iter().filter(|(name, _)| *name == "ES384").map(|(_, algorithm)| *algorithm).collect();
    let authority = authority(vec![issuer(ISSUER, &own_file), strict]);
    let of_other = claims_with(json!({ "iss": other_issuer }));
    check(
        &authority,
        vec![
            ("one's own", own.token("k", &claims_with(json!({}))), Ok(&[Scope::Read])),
            ("in the other's name", other.token("k", &claims_with(json!({}))), Err("not its issuer's")),
            ("the other's in one's own", own.token("k", &of_other), Err("no algorithm that is taken")),
            (
                "by an algorithm that is another issuer's",
                other.token("k", &of_other),
                Err("no algorithm that is taken"),
            ),
        ],
    )
    .await;
}

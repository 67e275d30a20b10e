//! An issuer of the tests' own: its keys, and tokens signed by them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value as Json, json};
use staygraph::auth::{ALGORITHMS, AuthConfig, Authority, IssuerConfig, KeySource};

use crate::support::root;

/// The time of the tests, in seconds since 1970.
pub const NOW: i64 = 1_700_000_000;
pub const ISSUER: &str = "https://login.example";

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key.
pub enum Signer {
    Rsa(RsaKeyPair),
    Point(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Signer {
    /// One of the fixtures' RSA keys: making one takes long.
    pub fn rsa(name: &str) -> Signer {
        let key = PrivatePkcs8KeyDer::from_pem_file(root("tests/fixtures/auth").join(name)).unwrap();
        Signer::Rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap())
    }

    pub fn point() -> Signer {
        let (method, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::generate_pkcs8(method, &random).unwrap();
        Signer::Point(EcdsaKeyPair::from_pkcs8(method, key.as_ref(), &random).unwrap())
    }

    pub fn edwards() -> Signer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer::Edwards(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    /// The public key, with an id.
    pub fn jwk(&self, id: &str) -> Json {
        match self {
            Signer::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "kid": id, "n": base64(public.n), "e": base64(public.e) })
            }
            Signer::Point(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": base64(&point[1..33]), "y": base64(&point[33..]) })
            }
            Signer::Edwards(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64(pair.public_key().as_ref()) })
            }
        }
    }

    /// The algorithm that it signs by, unless PSS is asked for.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Signer::Rsa(_) => "RS256",
            Signer::Point(_) => "ES256",
            Signer::Edwards(_) => "EdDSA",
        }
    }

    pub fn signature(&self, message: &[u8], is_pss: bool) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &'static dyn ring::signature::RsaEncoding =
                    if is_pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Point(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of a header and claims, as they are written.
    pub fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(claims));
        let signature = self.signature(message.as_bytes(), header.contains("\"PS"));
        format!("{message}.{}", base64(signature))
    }

    /// A token of some claims, by the key of an id.
    pub fn token(&self, id: &str, claims: &Json) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": id, "typ": "JWT" });
        self.signed(&header.to_string(), &claims.to_string())
    }
}

/// Claims that are in order, for an hour from a time on.
pub fn claims_at(now: i64) -> Json {
    json!({
        "iss": ISSUER, "aud": "staygraph", "sub": "ann", "iat": now, "nbf": now, "exp": now + 3600, "scope": "read openid",
    })
}

/// The same, with some members changed: null takes one out.
pub fn claims_with(more: Json) -> Json {
    let mut claims = claims_at(NOW);
    for (name, value) in more.as_object().unwrap() {
        match value {
            Json::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// An issuer whose keys are in a file, with every algorithm that there is.
pub fn issuer(name: &str, keys: &Path) -> IssuerConfig {
    IssuerConfig {
        issuer: name.into(),
        audience: vec!["staygraph".into()],
        keys: KeySource::File(keys.to_owned()),
        algorithms: ALGORITHMS.map(|(_, algorithm)| algorithm).into(),
        scopes_claim: "scope".into(),
        leeway_s: 30,
    }
}

/// An authority that knows some issuers, and keeps their keys.
pub fn authority(issuers: Vec<IssuerConfig>) -> Authority {
    let authority = Authority::new(AuthConfig { issuers, ..AuthConfig::default() });
    authority.issuers().iter().for_each(|issuer| drop(tokio::spawn(issuer.clone().keep())));
    authority
}

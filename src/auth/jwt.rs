//! A JSON Web Token judged (RFC 7519, 7515; RFC 8725 is the list of what went wrong elsewhere).
//!
//! Which keys there are, the configuration says, and never the token: `jwk`, `jku`, `x5u` and `x5c` of its header are not looked at, and `kid` is
//! compared with what the issuer published and used for nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::{Map, Value as Json};

pub use jsonwebtoken::Algorithm;

use super::{IssuerConfig, Refusal, strict};

/// What an issuer may sign by, by name: all are asymmetric, and a public key is no secret.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// What a token may say that it is, in small letters and without `application/` (RFC 7519, RFC 9068). Others are made for other ends: a token that
/// tells of a logout is signed by the same keys, and none to ask with.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

const MALFORMED: Refusal = Refusal::Bad("the token is malformed");

/// What a header says of the key that it was signed by.
#[derive(Clone, Debug)]
pub struct Signed {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
}

/// A token, read and not believed.
pub struct Unverified {
    pub header: Signed,
    pub issuer: String,
    claims: Map<String, Json>,
}

/// Reads what is needed to find the key.
pub fn read(token: &str) -> Result<Unverified, Refusal> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(MALFORMED);
    };
    let object = |part: &str| strict::object(&URL_SAFE_NO_PAD.decode(part).ok()?);
    let (header, claims) = (object(header).ok_or(MALFORMED)?, object(claims).ok_or(MALFORMED)?);
    let named = header.get("alg").and_then(Json::as_str).unwrap_or_default();
    let algorithm = ALGORITHMS.iter().find(|(name, _)| *name == named).map(|(_, algorithm)| *algorithm);
    let algorithm = algorithm.ok_or(Refusal::Bad("the token is signed by no algorithm that is taken"))?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Json::String(id)) => Some(id.clone()),
        Some(_) => return Err(MALFORMED),
    };
    let is_known = |name: &str| {
        let name = name.to_ascii_lowercase();
        TYPES.contains(&name.strip_prefix("application/").unwrap_or(&name))
    };
    if header.get("typ").is_some_and(|of_type| !of_type.as_str().is_some_and(is_known)) {
        return Err(Refusal::Bad("the token is of another type than one to ask with"));
    }
    let issuer = claims.get("iss").and_then(Json::as_str).ok_or(Refusal::Bad("the token names no issuer"))?.to_owned();
    Ok(Unverified { header: Signed { algorithm, key_id }, issuer, claims })
}

/// Verifies a token by the key that it names. Gives its claims.
pub fn verify(
    unverified: &Unverified,
    token: &str,
    config: &IssuerConfig,
    key: &DecodingKey,
    now_s: i64,
) -> Result<Map<String, Json>, Refusal> {
    let Unverified { header, claims, .. } = unverified;
    if !config.algorithms.contains(&header.algorithm) {
        return Err(Refusal::Bad("the token is signed by no algorithm that is taken"));
    }
    let mut validation = Validation::new(header.algorithm);
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&config.audience);
    validation.set_required_spec_claims(&["iss", "aud", "exp"]);
    // The time is told here, and asked there.
    validation.validate_exp = false;
    decode::<serde::de::IgnoredAny>(token, key, &validation).map_err(|error| refusal(error.kind()))?;
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(time) => time.as_f64().map(Some).ok_or(MALFORMED),
    };
    let (now, leeway) = (now_s as f64, config.leeway_s as f64);
    let expires = time("exp")?.ok_or(Refusal::Bad("the token has no `exp`: one that never ends is not taken"))?;
    if now >= expires + leeway {
        return Err(Refusal::Bad("the token has expired"));
    }
    if time("nbf")?.is_some_and(|from| now < from - leeway) {
        return Err(Refusal::Bad("the token is not valid yet"));
    }
    Ok(claims.clone())
}

fn refusal(kind: &jsonwebtoken::errors::ErrorKind) -> Refusal {
    use jsonwebtoken::errors::ErrorKind;
    Refusal::Bad(match kind {
        ErrorKind::MissingRequiredClaim(claim) if claim == "exp" => {
            "the token has no `exp`: one that never ends is not taken"
        }
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::InvalidAudience => {
            "the token is for another audience"
        }
        ErrorKind::InvalidIssuer => "the token is of an issuer that is not known",
        ErrorKind::InvalidSignature => "the token's signature is not its issuer's",
        _ => return MALFORMED,
    })
}

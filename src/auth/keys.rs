//! An issuer's public keys (RFC 7517), and which of them a token may be verified by.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value as Json;

use super::jwt::{ALGORITHMS, Signed};
use crate::limits::ISSUER_KEYS_MAX;

/// Keys that signatures can be verified by.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// Those that it is for.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What a token's header finds.
#[derive(Debug)]
pub enum Found {
    Key(DecodingKey),
    /// No key has that id: there may be a newer one.
    Unknown,
    /// The key that it names is for something else, or it names none and several may be meant.
    Unfit,
}

impl Keys {
    /// Reads a set of keys. What is for encryption, symmetric, or of an unknown kind is left out; the error is of what is no set, or holds none.
    pub fn read(bytes: &[u8]) -> Result<Keys, String> {
        let set: Json = serde_json::from_slice(bytes).map_err(|_| "it is no JSON")?;
        let all = set["keys"].as_array().ok_or("it is no set of keys: an object with a list `keys`")?;
        if all.len() > ISSUER_KEYS_MAX {
            return Err(format!("it has {} keys, and at most {ISSUER_KEYS_MAX} are taken", all.len()));
        }
        let keys: Vec<Key> = all.iter().filter_map(Key::read).collect();
        match keys.is_empty() {
            true => Err("it has no public key that signatures can be verified by".into()),
            false => Ok(Keys(keys)),
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token was signed by, as its header says it. Without an id it has to be the only one that fits.
    pub fn find(&self, header: &Signed) -> Found {
        let is_named = |key: &&Key| header.key_id.is_none() || key.id == header.key_id;
        if !self.0.iter().any(|key| is_named(&key)) {
            return Found::Unknown;
        }
        let mut fit = self.0.iter().filter(is_named).filter(|key| key.algorithms.contains(&header.algorithm));
        match (fit.next(), fit.next()) {
            (Some(key), None) => Found::Key(key.key.clone()),
            _ => Found::Unfit,
        }
    }
}

impl Key {
    fn read(json: &Json) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(json.clone()).ok()?;
        let family = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
            AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
            AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
            _ => return None,
        };
        let is_of_curve = |algorithm: Algorithm| match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(curve) => match algorithm {
                Algorithm::ES256 => curve.curve == EllipticCurve::P256,
                _ => curve.curve == EllipticCurve::P384,
            },
            AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519,
            _ => true,
        };
        let common = &jwk.common;
        let is_own = |algorithm: Algorithm| common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
        let algorithms = ALGORITHMS.iter().map(|(_, algorithm)| *algorithm);
        let algorithms = algorithms.filter(|algorithm| algorithm.family() == family);
        let algorithms: Vec<Algorithm> =
            algorithms.filter(|algorithm| is_of_curve(*algorithm) && is_own(*algorithm)).collect();
        let is_to_verify = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if algorithms.is_empty() || !is_to_verify {
            return None;
        }
        Some(Key { id: common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(&jwk).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa(more: Json) -> Json {
        let mut key = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn found(keys: &[Json], id: Option<&str>, algorithm: Algorithm) -> &'static str {
        let header = Signed { algorithm, key_id: id.map(str::to_owned) };
        match Keys::read(json!({ "keys": keys }).to_string().as_bytes()) {
            Err(_) => "none",
            Ok(keys) => match keys.find(&header) {
                Found::Key(_) => "found",
                Found::Unknown => "unknown",
                Found::Unfit => "unfit",
            },
        }
    }

    #[test]
    fn a_key_is_used_for_what_it_is_for() {
        let point = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "p" });
        let pair = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "d" });
        for (keys, id, algorithm, right) in [
            (vec![rsa(json!({ "kid": "a" }))], Some("a"), Algorithm::RS256, "found"),
            (vec![rsa(json!({ "kid": "a" }))], Some("a"), Algorithm::PS512, "found"),
            (vec![rsa(json!({ "kid": "a" }))], Some("a"), Algorithm::ES256, "unfit"),
            (vec![rsa(json!({ "kid": "a" }))], Some("b"), Algorithm::RS256, "unknown"),
            (vec![rsa(json!({ "kid": "a", "alg": "RS256" }))], Some("a"), Algorithm::PS256, "unfit"),
            (vec![rsa(json!({ "kid": "a", "use": "sig" }))], Some("a"), Algorithm::RS256, "found"),
            (vec![rsa(json!({ "kid": "a", "use": "enc" }))], Some("a"), Algorithm::RS256, "none"),
            (vec![rsa(json!({ "kid": "a", "alg": "RSA-OAEP" }))], Some("a"), Algorithm::RS256, "none"),
            (vec![rsa(json!({ "kid": "a", "key_ops": ["encrypt"] }))], Some("a"), Algorithm::RS256, "none"),
            (vec![rsa(json!({ "kid": "a", "key_ops": ["verify"] }))], Some("a"), Algorithm::RS256, "found"),
            (vec![json!({ "kty": "oct", "k": "AA", "kid": "a" })], Some("a"), Algorithm::RS256, "none"),
            // Without an id: the one that fits, and no guessing among several.
            (vec![rsa(json!({ "kid": "a" })), point.clone()], None, Algorithm::RS256, "found"),
            (vec![rsa(json!({ "kid": "a" })), rsa(json!({ "kid": "b" }))], None, Algorithm::RS256, "unfit"),
            // One id for keys of two kinds.
            (vec![rsa(json!({ "kid": "p" })), point.clone()], Some("p"), Algorithm::ES256, "found"),
            (vec![point.clone()], Some("p"), Algorithm::ES384, "unfit"),
            (vec![pair.clone()], Some("d"), Algorithm::EdDSA, "found"),
            // Unknown kinds and curves beside are left out.
            (
                vec![
                    json!({ "kty": "new" }),
                    json!(7),
                    json!({ "kty": "EC", "crv": "secp256k1", "x": "", "y": "" }),
                    point,
                ],
                Some("p"),
                Algorithm::ES256,
                "found",
            ),
            (vec![], Some("a"), Algorithm::RS256, "none"),
        ] {
            assert_eq!(found(&keys, id, algorithm), right, "{keys:?} {id:?} {algorithm:?}");
        }
        let many: Vec<Json> = (0..=ISSUER_KEYS_MAX).map(|n| rsa(json!({ "kid": n.to_string() }))).collect();
        assert_eq!(found(&many, Some("0"), Algorithm::RS256), "none");
        for bad in ["", "[]", "{}", "{\"keys\":{}}", "<html>"] {
            assert!(Keys::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

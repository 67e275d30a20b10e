//! Signatures checked by ring, which TLS has here anyway: jsonwebtoken leaves that open.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature as by_ring;
use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes it the process's. Whoever was first has the same.
pub fn install() {
    let _ = PROVIDER.install_default();
}

/// Nothing is signed here.
fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let method = Method::of(*algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
    Ok(Box::new(ByRing { algorithm: *algorithm, method, key: key.clone() }))
}

/// How ring names an algorithm.
#[derive(Clone, Copy)]
enum Method {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn VerificationAlgorithm),
}

impl Method {
    /// None of those that a secret signs by.
    fn of(algorithm: Algorithm) -> Option<Method> {
        Some(match algorithm {
            Algorithm::RS256 => Method::Rsa(&by_ring::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Method::Rsa(&by_ring::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Method::Rsa(&by_ring::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Method::Rsa(&by_ring::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Method::Rsa(&by_ring::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Method::Rsa(&by_ring::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Method::Curve(&by_ring::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Method::Curve(&by_ring::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Method::Curve(&by_ring::ED25519),
            _ => return None,
        })
    }
}

struct ByRing {
    algorithm: Algorithm,
    method: Method,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], sealed: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, sealed)
            }
            (Method::Curve(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(algorithm, point).verify(message, sealed)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

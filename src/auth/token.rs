//! Tokens that the configuration knows by their hashes.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::rights::{Rights, Scopes, Who};

/// A token of the configuration.
#[derive(Clone)]
pub struct StaticToken {
    pub name: Arc<str>,
    /// SHA-256 of its text. A token is 256 random bits: no salt or slow hash would add to that.
    pub hash: [u8; 32],
    pub scopes: Scopes,
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticToken").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// What marks a token as one of ours, for people and for scanners of secrets.
const PREFIX: &str = "staygraph_";

/// A new token's text. It is shown once, and kept nowhere.
pub struct Secret(String);

impl Secret {
    /// Makes a token of 256 random bits.
    pub fn make() -> Result<Secret, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Secret(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits))))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The hash that the configuration knows a token by.
pub fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What a token's bearer may do. Every known token is compared, whole, whichever it is.
pub fn find(known: &[StaticToken], token: &str) -> Option<Arc<Rights>> {
    let hash = hash_of(token);
    let mut found = u32::MAX;
    for (place, token) in known.iter().enumerate() {
        found.conditional_assign(&(place as u32), token.hash.ct_eq(&hash));
    }
    let token = known.get(found as usize)?;
    Some(Arc::new(Rights::new(Who::Token(token.name.clone()), token.scopes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Scope;

    #[test]
    fn a_token_is_found_by_its_whole_text() {
        let secret = Secret::make().expect("randomness");
        assert_ne!(secret.text(), Secret::make().expect("randomness").text());
        assert!(secret.text().len() == PREFIX.len() + 43 && !secret.text().contains('.'));
        let token = |name: &str, text: &str, scope| StaticToken {
            name: name.into(),
            hash: hash_of(text),
            scopes: [scope].into_iter().collect(),
        };
        let known = [token("other", "other", Scope::Read), token("mine", secret.text(), Scope::OpsRead)];
        let rights = find(&known, secret.text()).expect("it is known");
        assert!(rights.who == Who::Token("mine".into()) && rights.may(Scope::OpsRead) && !rights.may(Scope::Read));
        let text = secret.text();
        for wrong in ["", &text[1..], &text[..text.len() - 1], &format!("{text} "), &text.to_uppercase()] {
            assert!(find(&known, wrong).is_none(), "{wrong}");
        }
        assert!(find(&[], text).is_none());
        assert!(!format!("{known:?}").contains(text));
    }
}

//! Who asks: a credential made into [`Rights`], or refused.
//!
//! Pure but for [`source`], which has an issuer's keys fetched: what is said of a token depends on its text, on the keys that are known and
//! on the time that is told. Not here: headers and statuses (`http`), and what a scope opens (there too, and in `api`).

mod issuer;
mod jwt;
mod keys;
mod signatures;
mod source;
mod strict;
mod token;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

pub use issuer::{Issuer, KeysStatus};
pub use jwt::{ALGORITHMS, Algorithm};
pub use keys::Keys;
pub use source::KeySource;
pub use token::{Secret, StaticToken, hash_of};

use crate::limits::TOKEN_BYTES_MAX;
use crate::rights::{Rights, Scope, Scopes, Who};

/// `[auth]`, read.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// Of those without credentials.
    pub anonymous: Scopes,
    pub tokens: Vec<StaticToken>,
    pub issuers: Vec<IssuerConfig>,
}

/// One that vouches for whom it gives a token (RFC 7519).
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// As `iss` says it.
    pub issuer: Arc<str>,
    /// One of these must be in `aud`.
    pub audience: Vec<String>,
    pub keys: KeySource,
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the scopes: a text with spaces between them, or a list.
    pub scopes_claim: String,
    /// How far this clock and the issuer's may be apart, in seconds.
    pub leeway_s: i64,
}

/// Why a credential gives no rights. What is said of it repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, and why.
    Bad(&'static str),
    /// The issuer's keys were never had, or are being asked for and do not come: nobody can say.
    KeysAway(Arc<str>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Bad(why) => f.write_str(why),
            Refusal::KeysAway(issuer) => write!(f, "the keys of {issuer} cannot be had now: ask again later"),
        }
    }
}

/// Judges credentials by the configuration.
pub struct Authority {
    anonymous: Arc<Rights>,
    tokens: Vec<StaticToken>,
    issuers: Vec<Arc<Issuer>>,
}

impl Authority {
    pub fn new(config: AuthConfig) -> Authority {
        signatures::install();
        Authority {
            anonymous: Arc::new(Rights::new(Who::Anonymous, config.anonymous)),
            tokens: config.tokens,
            issuers: config.issuers.into_iter().map(|issuer| Arc::new(Issuer::new(issuer))).collect(),
        }
    }

    /// What those may do who send no credential.
    pub fn anonymous(&self) -> Arc<Rights> {
        self.anonymous.clone()
    }

    pub fn issuers(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }

    /// What the bearer of a token may do. `now_s` is the time, in seconds since 1970.
    pub async fn rights(&self, token: &str, now_s: i64) -> Result<Arc<Rights>, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::Bad("the token is too long"));
        }
        if let Some(rights) = token::find(&self.tokens, token) {
            return Ok(rights);
        }
        // One of an issuer has points.
        if !token.contains('.') {
            return Err(Refusal::Bad("the token is not known"));
        }
        let unverified = jwt::read(token)?;
        let named = self.issuers.iter().find(|issuer| *issuer.config.issuer == *unverified.issuer);
        let issuer = named.ok_or(Refusal::Bad("the token is of an issuer that is not known"))?;
        let key = issuer.key(&unverified.header).await?;
        let claims = jwt::verify(&unverified, token, &issuer.config, &key, now_s)?;
        let scopes = scopes_of(&claims, &issuer.config.scopes_claim);
        Ok(Arc::new(Rights { scopes, claims, who: Who::Issuer(issuer.config.issuer.clone()) }))
    }
}

/// The scopes that a claim names; names that are no scope of ours are another service's.
fn scopes_of(claims: &Map<String, Json>, claim: &str) -> Scopes {
    match claims.get(claim) {
        Some(Json::String(names)) => names.split(' ').filter_map(Scope::named).collect(),
        Some(Json::Array(names)) => names.iter().filter_map(|name| Scope::named(name.as_str()?)).collect(),
        _ => Scopes::default(),
    }
}

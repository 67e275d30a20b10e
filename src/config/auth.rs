//! Who may ask, and by which certificate one is asked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::file::{FileIssuer, FileToken, Places, Sections};
use crate::auth::{ALGORITHMS, Algorithm, AuthConfig, IssuerConfig, KeySource, StaticToken};
use crate::model::nearest;
use crate::rights::{Scope, Scopes};

/// `[tls]`, read: files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Who signs the certificates of clients, where one is needed to connect.
    pub client_ca: Option<PathBuf>,
}

/// The longest that clocks may be apart: beyond it a token's end means little.
const LEEWAY_MS_MAX: i64 = 300_000;

/// Where faults and warnings go, each with its place.
struct Told<'t> {
    places: &'t Places,
    faults: &'t mut Vec<String>,
    warnings: &'t mut Vec<String>,
}

impl Told<'_> {
    fn fault(&mut self, keys: &[&str], what: &str) {
        self.faults.push(format!("{}: [auth]: {what}", self.places.of(keys)));
    }

    fn warning(&mut self, keys: &[&str], what: &str) {
        self.warnings.push(format!("{}: [auth]: {what}", self.places.of(keys)));
    }
}

/// Reads `[auth]`; none where there is none. Paths are seen from a folder.
pub fn read(
    file: &Sections,
    places: &Places,
    folder: &Path,
    faults: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Option<AuthConfig> {
    let given = file.auth.as_ref()?;
    let mut told = Told { places, faults, warnings };
    let anonymous = scopes(given.anonymous.as_deref().unwrap_or_default(), &["auth", "anonymous"], &mut told);
    let tokens: Vec<StaticToken> =
        given.tokens.iter().enumerate().filter_map(|(number, given)| token(number, given, &mut told)).collect();
    let issuers: Vec<IssuerConfig> = given
        .issuers
        .iter()
        .enumerate()
        .filter_map(|(number, given)| issuer(number, given, folder, &mut told))
        .collect();
    twice(&tokens, "tokens", "name", |token| token.name.as_bytes(), &mut told);
    twice(&tokens, "tokens", "sha256", |token| &token.hash, &mut told);
    twice(&issuers, "issuers", "issuer", |issuer| issuer.issuer.as_bytes(), &mut told);
    if anonymous.is_empty() && given.tokens.is_empty() && given.issuers.is_empty() {
        told.warning(
            &["auth"],
            "nobody may ask anything: name `anonymous` scopes, `[[auth.tokens]]` or `[[auth.issuers]]`",
        );
    }
    Some(AuthConfig { anonymous, tokens, issuers })
}

fn scopes(names: &[String], keys: &[&str], told: &mut Told<'_>) -> Scopes {
    let known = Scope::ALL.map(Scope::name);
    let named = names.iter().enumerate().filter_map(|(number, name)| {
        let scope = Scope::named(name);
        if scope.is_none() {
            let near = nearest(name, known.into_iter());
            told.fault(
                &[keys, &[&number.to_string()]].concat(),
                &format!("`{name}` is no scope{near}: there are {}", known.join(", ")),
            );
        }
        scope
    });
    named.collect()
}

fn token(number: usize, given: &FileToken, told: &mut Told<'_>) -> Option<StaticToken> {
    let number = number.to_string();
    let keys = |key| ["auth", "tokens", number.as_str(), key];
    let scopes = scopes(&given.scopes, &keys("scopes"), told);
    if given.scopes.is_empty() {
        told.fault(&keys("scopes"), "a token without scopes may do nothing");
    }
    if given.name.is_empty() {
        told.fault(&keys("name"), "`name` is empty: logs name a token by it");
    }
    let Some(hash) = unhexed(&given.sha256) else {
        told.fault(
            &keys("sha256"),
            "`sha256` is the hash of a token, 64 hexadecimal digits: `staygraph token` makes one",
        );
        return None;
    };
    Some(StaticToken { name: given.name.as_str().into(), hash, scopes })
}

fn unhexed(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(digits.chunks(2)).for_each(|(byte, pair)| *byte = pair[0] << 4 | pair[1]);
    Some(bytes)
}

fn issuer(number: usize, given: &FileIssuer, folder: &Path, told: &mut Told<'_>) -> Option<IssuerConfig> {
    let number = number.to_string();
    let keys = |key| ["auth", "issuers", number.as_str(), key];
    let audience = given.audience.list();
    if audience.iter().any(String::is_empty) || audience.is_empty() {
        told.fault(&keys("audience"), "`audience` names what the issuer's tokens are for: a text, or a list of them");
    }
    if given.issuer.is_empty() {
        told.fault(&keys("issuer"), "`issuer` is empty: it is what `iss` of the issuer's tokens says, to the letter");
    }
    if given.algorithms.is_empty() {
        told.fault(&keys("algorithms"), "without `algorithms` no token is taken: name those that the issuer signs by");
    }
    let algorithms = given.algorithms.iter().enumerate().filter_map(|(place, name)| {
        let found = algorithm(name);
        found.map_err(|why| told.fault(&[&keys("algorithms")[..], &[&place.to_string()]].concat(), &why)).ok()
    });
    let algorithms = algorithms.collect();
    let leeway_ms = given.leeway.map_or(30_000, |leeway| leeway.0);
    if leeway_ms > LEEWAY_MS_MAX {
        told.fault(
            &keys("leeway"),
            "`leeway` is `5m` at most: it is for clocks that are apart, not for tokens that have expired",
        );
    }
    let source = KeySource::read(&given.jwks, folder)
        .map_err(|why| told.fault(&keys("jwks"), &format!("`jwks` names the issuer's keys, a file or a URL: {why}")))
        .ok()?;
    if source.is_open() {
        told.warning(&keys("jwks"), "`jwks` is asked without TLS: whoever stands between can make tokens");
    }
    if matches!(source, KeySource::File(_))
        && let Err(why) = source.fetch()
    {
        told.fault(&keys("jwks"), &why);
    }
    Some(IssuerConfig {
        issuer: given.issuer.as_str().into(),
        audience,
        keys: source,
        algorithms,
        scopes_claim: given.scopes_claim.clone().unwrap_or_else(|| "scope".into()),
        leeway_s: leeway_ms / 1000,
    })
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let known = ALGORITHMS.map(|(name, _)| name);
    let found = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm);
    found.ok_or_else(|| match name {
        _ if name.eq_ignore_ascii_case("none") => "`none` is no signature: whoever likes could make tokens".into(),
        "HS256" | "HS384" | "HS512" => {
            format!("`{name}` signs by a secret, and an issuer's keys are public: there are {}", known.join(", "))
        }
        _ => {
            let near = nearest(name, known.into_iter());
            format!("`{name}` is no algorithm that is taken{near}: there are {}", known.join(", "))
        }
    })
}

/// Faults where two say the same of what has to tell them apart.
fn twice<'a, T>(all: &'a [T], list: &str, key: &str, of: impl Fn(&'a T) -> &'a [u8], told: &mut Told<'_>) {
    let mut known = HashSet::new();
    for (number, one) in all.iter().enumerate() {
        if !known.insert(of(one)) {
            told.fault(
                &["auth", list, &number.to_string(), key],
                &format!("this `{key}` is another's of `{list}` already"),
            );
        }
    }
}

/// Reads `[tls]`; none where there is none.
pub fn tls(file: &Sections, folder: &Path) -> Option<TlsConfig> {
    let given = file.tls.as_ref()?;
    let beside = |path: &PathBuf| folder.join(path);
    Some(TlsConfig {
        cert: beside(&given.cert),
        key: beside(&given.key),
        client_ca: given.client_ca.as_ref().map(beside),
    })
}

//! Where an issuer's keys are had from: a file or a URL. Asking blocks.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use super::keys::Keys;

/// How long an answer may take in all, its connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How often an answer may send on to another place.
const REDIRECTS_MAX: u32 = 3;

/// A file, or a URL of `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    Url(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => path.display().fmt(f),
            KeySource::Url(url) => f.write_str(url),
        }
    }
}

impl KeySource {
    /// Reads what was configured; a path is seen from a folder. The error says what is wrong with a URL.
    pub fn read(text: &str, folder: &std::path::Path) -> Result<KeySource, String> {
        let Some((scheme, _)) = text.split_once("://") else { return Ok(KeySource::File(folder.join(text))) };
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        match uri {
            _ if !["http", "https"].contains(&scheme) => Err("its URL starts with https://".into()),
            Some(uri) if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
                Err("its URL has credentials, and keys are public".into())
            }
            Some(_) => Ok(KeySource::Url(text.to_owned())),
            None => Err("its URL is none".into()),
        }
    }

    /// Whether who stands between could give other keys.
    pub fn is_open(&self) -> bool {
        let KeySource::Url(url) = self else { return false };
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let is_here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        url.starts_with("http://") && !is_here
    }

    /// The keys as they are now. The error says where it asked and what it was told.
    pub fn fetch(&self) -> Result<Keys, String> {
        let bytes = match self {
            KeySource::File(path) => std::fs::read(path).map_err(|error| format!("{self} cannot be read: {error}"))?,
            KeySource::Url(url) => self.ask(url)?,
        };
        Keys::read(&bytes).map_err(|why| format!("{self} gives no keys: {why}"))
    }

    fn ask(&self, url: &str) -> Result<Vec<u8>, String> {
        // The system's certificates, since a company's provider often has one of its own making.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .timeout_connect(Some(CONNECT_WITHIN))
            .http_status_as_error(false)
            .https_only(url.starts_with("https://"))
            .max_redirects(REDIRECTS_MAX)
            .tls_config(tls);
        let agent: Agent = config.build().into();
        let answer = agent.get(url).header("accept", "application/jwk-set+json, application/json").call();
        let mut answer = answer.map_err(|error| format!("{self} cannot be asked: {error}"))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("{self} answers {status}"));
        }
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        body.map_err(|error| format!("{self} broke off its answer: {error}"))
    }
}

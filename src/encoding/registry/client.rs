//! One question to the registry over HTTP, and whether a bad answer is the registry's fault or the record's.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encoding::EncodingError;

/// How long a question may take in all, its connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

pub(super) struct Client {
    agent: Agent,
    /// Without credentials and without a slash at its end.
    url: String,
    /// The header's value: never shown.
    authorization: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What the registry says of an error.
#[derive(Deserialize)]
struct Refusal {
    error_code: u32,
}

/// The codes that say that there is no such subject, version or schema. Any other error may pass.
const ABSENT: [u32; 3] = [40401, 40402, 40403];

impl Client {
    pub(super) fn new(url: &str) -> Result<Client, String> {
        let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
        else {
            return Err("the schema registry's URL must start with http:// or https://".to_owned());
        };
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (credentials, rest) = match rest[..authority_end].rsplit_once('@') {
            Some((credentials, _)) => (Some(credentials), &rest[credentials.len() + 1..]),
            None => (None, rest),
        };
        let url = format!("{scheme}://{}", rest.trim_end_matches('/'));
        let uri = url.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let uri = uri.ok_or("the schema registry's URL is none")?;
        if uri.query().is_some() || url.contains('#') {
            return Err("the schema registry's URL must end with its path".to_owned());
        }
        let authorization = credentials.map(basic).transpose()?;
        // The system's certificates, since a company's registry often has one of its own making.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .timeout_connect(Some(CONNECT_WITHIN))
            .http_status_as_error(false)
            .tls_config(tls);
        Ok(Client { agent: config.build().into(), url, authorization })
    }

    /// The registry is to be asked again.
    pub(super) fn away(&self, what: &str) -> EncodingError {
        EncodingError::Away(format!("the schema registry at {} {what}", self.url))
    }

    /// An answer is still to come.
    pub(super) fn slow(&self) -> EncodingError {
        self.away("has not answered yet")
    }

    /// Asks for a path, given by its segments.
    pub(super) fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, EncodingError> {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + &escaped(segment));
        let mut request = self.agent.get(format!("{}{path}", self.url));
        request = request.header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let away = |what: String| self.away(&what);
        let mut response = request.call().map_err(|error| away(format!("cannot be asked: {error}")))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| away(format!("broke off its answer for {path}: {error}")))?;
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|_| away(format!("answered for {path} what is no answer of a registry: is the URL right?")));
        }
        let code = serde_json::from_slice(&body).ok().map(|refusal: Refusal| refusal.error_code);
        match code {
            Some(code) if status == 404 && ABSENT.contains(&code) => {
                Err(EncodingError::bad(format!("the schema registry has no {} (its code {code})", &path[1..])))
            }
            // Whatever else it says is about the registry, its address or our rights, and not about the record: to
            // dead-letter all that comes while a password is wrong would be worse than to wait.
            _ => {
                let hint = match status {
                    401 | 403 => ": are the URL's user and password right?",
                    404 => ": is the URL's path right?",
                    _ => "",
                };
                Err(away(format!("answered {status} for {path}{hint}")))
            }
        }
    }
}

/// The header for `user:password` as a URL has them.
fn basic(credentials: &str) -> Result<String, String> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (Some(user), Some(password)) = (unescaped(user), unescaped(password)) else {
        return Err("the user or the password in the schema registry's URL has a % that stands for nothing".to_owned());
    };
    let both = [user.as_slice(), b":", password.as_slice()].concat();
    Ok(format!("Basic {}", STANDARD.encode(both)))
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, left)) = rest.split_first() {
        rest = left;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (digits, left) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = left;
    }
    Some(out)
}

/// A segment of a path: what RFC 3986 leaves unreserved stands, all else is escaped.
fn escaped(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let client = Client::new("https://me%40x:p%3Aw@registry:8081/apis/ccompat/v7/").unwrap();
        assert_eq!(client.url, "https://registry:8081/apis/ccompat/v7");
        assert_eq!(client.authorization.as_deref(), Some("Basic bWVAeDpwOnc="));
        assert!(!format!("{client:?}").contains("Basic"));
        assert_eq!(Client::new("http://registry").unwrap().authorization, None);
        for url in
            ["registry:8081", "ftp://x", "http://", "http://%zz@x", "http://a:secret%@x", "http://x?y", "http:// x"]
        {
            let error = Client::new(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn subjects_are_escaped() {
        assert_eq!(escaped("a/b value~1.proto"), "a%2Fb%20value~1.proto");
        assert_eq!(unescaped("a%2fb"), Some(b"a/b".to_vec()));
        assert_eq!((unescaped("%"), unescaped("%+1"), unescaped("%é")), (None, None, None));
    }
}

//! A running service, as commands name it.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value as Json;
use ureq::RequestBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::{WithBody, WithoutBody};

use super::{Failure, one};

/// The URL of a service: what names a host alone means HTTP. The error completes clap's "invalid value for …".
pub fn service_url(text: &str) -> Result<String, String> {
    let wrong =
        || Err("it is the address of a running service, such as `http://127.0.0.1:8080` or `localhost:8080`".into());
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split('/').next().unwrap_or_default();
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => Some(port),
        _ => None,
    };
    let host = port.map_or(authority, |port| &authority[..authority.len() - port.len() - 1]);
    // Without a scheme a bare word is more likely a mistake than a host.
    let is_bare = !text.contains("://") && port.is_none() && !host.contains('.') && host != "localhost";
    let is_known = ["http", "https"].contains(&scheme.as_str());
    let is_port = port.is_none_or(|port| !port.starts_with('+') && port.parse::<u16>().is_ok());
    if !is_known || host.is_empty() || !is_port || is_bare || text.contains(char::is_whitespace) {
        return wrong();
    }
    Ok(format!("{scheme}://{}", rest.trim_end_matches('/')))
}

/// Where commands find their token, beside a file.
const TOKEN: &str = "STAYGRAPH_TOKEN";

/// What a command asks a service with. A token is never an argument: everybody on the machine can read those.
#[derive(Args)]
pub struct Credential {
    /// A file that holds a token, for a service that asks for one; unless given, the variable STAYGRAPH_TOKEN has it.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl Credential {
    /// What asks with it.
    pub fn client(&self) -> Result<Client, Failure> {
        let (token, place) = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| one(format!("{} cannot be read: {error}", path.display())))?;
                (Some(text), path.display().to_string())
            }
            None => (std::env::var(TOKEN).ok().filter(|token| !token.is_empty()), TOKEN.to_owned()),
        };
        let authorization = match token.as_deref().map(str::trim) {
            None => None,
            Some(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some(format!("Bearer {token}"))
            }
            Some(_) => return Err(one(format!("{place} holds no token: it is one word"))),
        };
        // The system's certificates, and those that SSL_CERT_FILE names: a service often has one of its company's making.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into();
        Ok(Client { agent, authorization })
    }
}

/// Asks a service.
pub struct Client {
    agent: ureq::Agent,
    /// Never shown.
    authorization: Option<String>,
}

impl Client {
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder<WithoutBody> {
        self.authorized(self.agent.get(url.as_ref()))
    }

    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder<WithBody> {
        self.authorized(self.agent.post(url.as_ref()))
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
}

/// An answer's body, or what the service says against it.
pub fn answer(to: &str, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Vec<u8>, Failure> {
    let mut response = sent.map_err(|error| one(format!("{to} does not answer: {error}")))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec();
    let body = body.map_err(|error| one(format!("{to} broke off: {error}")))?;
    if status.is_success() {
        return Ok(body);
    }
    let problem: Json = serde_json::from_slice(&body).unwrap_or_default();
    let said = problem["detail"].as_str().or(problem["errors"][0]["message"].as_str());
    Err(one(format!("{}{}", said.unwrap_or(status.as_str()), hint(status.as_u16()))))
}

/// What to do where a service wants to know who asks.
pub fn hint(status: u16) -> String {
    if status == 401 { format!(" (`--token-file FILE` or {TOKEN} gives a command its token)") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_by_its_address() {
        for (text, url) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("localhost", Some("http://localhost")),
            ("127.0.0.1:8080/", Some("http://127.0.0.1:8080")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            ("https://graph.example/stays/", Some("https://graph.example/stays")),
            ("HTTP://graph.example", Some("http://graph.example")),
            ("8080", None),
            ("nonsense", None),
            ("ftp://graph.example", None),
            ("http://", None),
            ("localhost:", None),
            ("localhost:99999", None),
            ("a b:1", None),
        ] {
            assert_eq!(service_url(text).ok().as_deref(), url, "{text}");
        }
    }
}

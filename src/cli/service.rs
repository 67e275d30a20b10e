//! A running service, as commands name it.

use serde_json::Value as Json;

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

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
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
    Err(one(problem["detail"].as_str().unwrap_or(status.as_str()).to_owned()))
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

//! The gate before each route: who asks, by the request's head, and whether the route is for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::{coded, problem};
use super::routes::Route;
use super::{Service, graphql};
use crate::auth::Refusal;
use crate::limits::RETRY_AFTER_S;
use crate::rights::{Rights, Scope, Scopes, Who};

/// Why somebody is not let in.
pub enum Kept {
    /// No credential, or one that is none, and what is wrong with it.
    Unauthenticated(Option<&'static str>),
    /// Two credentials: which counts nobody can say.
    Ambiguous,
    /// A scope is missing: one of these.
    Forbidden(Arc<Rights>, &'static [Scope]),
    /// Nobody can say now whether a credential is one.
    Away(Refusal),
}

impl Kept {
    /// Its name in the metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Kept::Unauthenticated(_) => "unauthenticated",
            Kept::Ambiguous => "ambiguous",
            Kept::Forbidden(rights, _) if rights.who == Who::Anonymous => "unauthenticated",
            Kept::Forbidden(..) => "forbidden",
            Kept::Away(_) => "keys_away",
        }
    }
}

/// Lets a request through with its rights, or says why not.
pub async fn pass(
    State((service, route)): State<(Arc<Service>, &'static Route)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if route.needs.is_empty() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    if route.is_graphql()
        && let Some(elsewhere) = graphql::sent_on(&parts)
    {
        return elsewhere;
    }
    let rights = rights(&service, peer, &parts).await.and_then(|rights| {
        let missing = route.needs.iter().find(|any| !any.iter().any(|scope| rights.may(*scope)));
        match missing {
            Some(any) => Err(Kept::Forbidden(rights, any)),
            None => Ok(rights),
        }
    });
    match rights {
        Ok(rights) => {
            let who = rights.who.clone();
            parts.extensions.insert(rights);
            let mut response = next.run(Request::from_parts(parts, body)).await;
            response.extensions_mut().insert(who);
            response
        }
        Err(kept) => {
            service.metrics.kept_out(kept.name());
            tracing::debug!(reason = kept.name(), path = route.path, "a request is kept out");
            keep_out(&service, &parts, route, &kept)
        }
    }
}

/// What a request may do, by its head.
async fn rights(service: &Service, peer: SocketAddr, head: &Parts) -> Result<Arc<Rights>, Kept> {
    let mut given = head.headers.get_all(header::AUTHORIZATION).iter();
    let credential = match (given.next(), given.next()) {
        (_, Some(_)) => return Err(Kept::Ambiguous),
        (credential, None) => credential,
    };
    let Some(authority) = &service.authority else {
        return match service.is_here_alone && is_this_machine(peer, head) {
            true => Ok(Arc::new(Rights::new(Who::Machine, Scopes::all()))),
            false => Err(Kept::Unauthenticated(None)),
        };
    };
    let Some(credential) = credential else { return Ok(authority.anonymous()) };
    let token = bearer(credential).ok_or(Kept::Unauthenticated(Some("the credential is no bearer token")))?;
    let now_s = service.api.generation.now().at.seconds;
    authority.rights(token, now_s).await.map_err(|refusal| match refusal {
        Refusal::Bad(why) => Kept::Unauthenticated(Some(why)),
        Refusal::KeysAway(_) => Kept::Away(refusal),
    })
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(credential: &HeaderValue) -> Option<&str> {
    let (scheme, token) = credential.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let letters = token.trim_end_matches('=');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let is_token = !letters.is_empty() && letters.bytes().all(is_letter);
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

/// Whether a request comes from this machine and means to: nobody sent it on, and no page of elsewhere that has bound its name to 127.0.0.1
/// asks it.
fn is_this_machine(peer: SocketAddr, head: &Parts) -> bool {
    let texts = |name| head.headers.get_all(name).iter().map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let mut hosts = texts(header::HOST);
    let is_named = matches!((hosts.next(), hosts.next()), (Some(host), None) if is_local_host(host));
    peer.ip().to_canonical().is_loopback()
        && is_named
        && head.uri.authority().is_none_or(|authority| is_local_host(authority.as_str()))
        && texts(header::ORIGIN).all(is_local_origin)
        && !is_forwarded(&head.headers)
}

/// Whether somebody says that the request was sent on; what they say of whom does not count.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

pub fn is_local_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| is_local_host(authority))
}

/// Whether a host, with or without a port, names this machine to itself.
fn is_local_host(authority: &str) -> bool {
    // Names have no case (RFC 9110, section 4.2.3).
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, port))) => (host, port),
        Some(None) => return false,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn keep_out(service: &Service, head: &Parts, route: &Route, kept: &Kept) -> Response {
    let what = route.name(&head.method);
    let (status, code, detail) = match kept {
        Kept::Unauthenticated(why) => {
            let detail = match (why, &service.authority) {
                (Some(why), _) => (*why).to_owned(),
                (None, Some(_)) => format!("{what} needs a token, as `Authorization: Bearer …`"),
                (None, None) => format!("{what} is for this machine only, since `[auth]` is not configured"),
            };
            (StatusCode::UNAUTHORIZED, Some("UNAUTHENTICATED"), detail)
        }
        Kept::Forbidden(rights, needs) if rights.who == Who::Anonymous => {
            (StatusCode::UNAUTHORIZED, Some("UNAUTHENTICATED"), rights.lacks(&what, needs))
        }
        Kept::Forbidden(rights, needs) => (StatusCode::FORBIDDEN, Some("FORBIDDEN"), rights.lacks(&what, needs)),
        Kept::Ambiguous => {
            let detail = "the request has several `Authorization` headers: send one";
            (StatusCode::BAD_REQUEST, None, detail.to_owned())
        }
        Kept::Away(refusal) => (StatusCode::SERVICE_UNAVAILABLE, Some("KEYS_AWAY"), refusal.to_string()),
    };
    let is_graphql = route.is_graphql();
    let as_graphql = is_graphql.then(|| graphql::kept_out(service, &head.headers, &detail, kept)).flatten();
    let mut response = as_graphql.unwrap_or_else(|| match code {
        Some(code) => coded(status, code, &detail),
        None => problem(status, &detail),
    });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    challenged(response, kept)
}

/// Says in an answer's head what credential is wanted.
pub fn challenged(mut response: Response, kept: &Kept) -> Response {
    if let Some(challenge) = challenge(kept) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What RFC 6750 has a client told of its credential.
fn challenge(kept: &Kept) -> Option<HeaderValue> {
    let realm = "Bearer realm=\"staygraph\"";
    let text = match kept {
        Kept::Unauthenticated(Some(why)) => format!("{realm}, error=\"invalid_token\", error_description=\"{why}\""),
        Kept::Forbidden(rights, needs) if rights.who != Who::Anonymous => {
            let scopes: Vec<&str> = needs.iter().map(|scope| scope.name()).collect();
            format!("{realm}, error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "))
        }
        Kept::Unauthenticated(None) | Kept::Forbidden(..) => realm.to_owned(),
        Kept::Ambiguous | Kept::Away(_) => return None,
    };
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_only_begins_like_this_machine_is_another() {
        for host in
            ["localhost", "localhost:8080", "app.localhost:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:8080"]
        {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "[::1].evil.example",
            "[::1",
            "[::1]8080",
            "127.0.0.1.evil.example",
            "localhost:evil.example",
            "localhost.evil.example",
            "127.0.0.1:80:evil.example",
            "10.0.0.1",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }

    #[test]
    fn only_a_bearer_token_is_a_credential() {
        for (text, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER  a.b.c", Some("a.b.c")),
            ("Bearer a-._~+/==", Some("a-._~+/==")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer ==", None),
            ("Bearer a b", None),
            ("Bearer a,b", None),
            ("Bearer a%20b", None),
            ("Bearer \"a\"", None),
            ("Bearer a=b", None),
            ("Bearer\tabc", None),
            ("Basic abc", None),
            ("Bearerabc", None),
            ("abc", None),
            ("Bearer abc, Bearer def", None),
        ] {
            assert_eq!(bearer(&HeaderValue::from_str(text).expect("a header")), token, "{text}");
        }
        assert_eq!(bearer(&HeaderValue::from_bytes(b"Bearer \xff").expect("a header")), None);
    }

    #[test]
    fn this_machine_is_who_asks_it_by_its_name_and_itself() {
        let asked = |peer: &str, uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).expect("a request").into_parts();
            is_this_machine(peer.parse().expect("an address"), &head)
        };
        let host = ("host", "localhost:8080");
        let here = "127.0.0.1:9";
        for (peer, uri, headers) in [
            (here, "/graphql", &[host][..]),
            ("[::1]:9", "/graphql", &[("host", "[::1]:8080")]),
            ("[::ffff:127.0.0.1]:9", "/graphql", &[host]),
            (here, "/graphql", &[host, ("origin", "http://localhost:5173")]),
            (here, "http://127.0.0.1/graphql", &[host]),
            (here, "/graphql", &[host, ("x-forward", "no header that says so")]),
        ] {
            assert!(asked(peer, uri, headers), "{peer} {uri} {headers:?}");
        }
        for (peer, uri, headers) in [
            ("10.0.0.1:9", "/graphql", &[host][..]),
            (here, "/graphql", &[]),
            (here, "/graphql", &[host, host]),
            (here, "/graphql", &[("host", "evil.example")]),
            (here, "http://evil.example/graphql", &[host]),
            (here, "/graphql", &[host, ("origin", "https://evil.example")]),
            (here, "/graphql", &[host, ("origin", "null")]),
            (here, "/graphql", &[host, ("origin", "http://localhost"), ("origin", "https://evil.example")]),
            (here, "/graphql", &[host, ("forwarded", "for=127.0.0.1")]),
            (here, "/graphql", &[host, ("x-forwarded-for", "127.0.0.1")]),
            (here, "/graphql", &[host, ("X-Forwarded-Proto", "")]),
            (here, "/graphql", &[host, ("x-forwarded-anything", "1")]),
            (here, "/graphql", &[host, ("x-real-ip", "127.0.0.1")]),
            (here, "/graphql", &[host, ("via", "1.1 proxy")]),
        ] {
            assert!(!asked(peer, uri, headers), "{peer} {uri} {headers:?}");
        }
    }
}

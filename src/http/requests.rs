//! Requests in the log: each with `-v`, slow and failed queries always. Never a query string, a variable or a document.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::api::Outcome;
use crate::rights::Who;

/// From how long on a query is called slow.
const SLOW: Duration = Duration::from_secs(1);
/// Letters of an operation's name that are logged.
const NAME_MAX: usize = 80;

/// Notes a request.
pub async fn note(mut request: Request, next: Next) -> Response {
    plainer(request.headers_mut());
    let started = tokio::time::Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    // What an answer is, its header says: no browser is to guess.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    // A path that is none of the service's may hold anything.
    let path = if status == StatusCode::NOT_FOUND { "-" } else { path.as_str() };
    let ms = started.elapsed().as_millis();
    let who = response.extensions_mut().remove::<Who>().map_or_else(|| "-".into(), |who| who.to_string());
    tracing::debug!(%method, path, status = status.as_u16(), ms, who, "request");
    response
}

/// Leaves zstd out of what a client unpacks, where it unpacks something else: some offer it and then cannot.
fn plainer(headers: &mut HeaderMap) {
    let Some(accepted) = headers.get(header::ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok()) else {
        return;
    };
    let names = |coding: &str, name: &str| coding.split(';').next().is_some_and(|given| given.trim() == name);
    let codings = || accepted.split(',');
    let has = |name: &str| codings().any(|coding| names(coding, name));
    if has("zstd") && (has("br") || has("gzip")) {
        let others: Vec<&str> = codings().filter(|coding| !names(coding, "zstd")).collect();
        if let Ok(others) = HeaderValue::from_str(&others.join(",")) {
            headers.insert(header::ACCEPT_ENCODING, others);
        }
    }
}

/// The operation that a request names, or else the name of its document's first.
pub fn operation(request: &crate::api::Request) -> Option<String> {
    request.operation_name.clone().or_else(|| {
        let mut lines = request.source.text()?.lines().map(str::trim_start);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let name = first.strip_prefix("query")?.strip_prefix([' ', '\t'])?.trim_start();
        let name = name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()?;
        Some(name.to_owned()).filter(|name| !name.is_empty())
    })
}

/// Notes a query that took long or failed, by its operation's name.
pub fn query(operation: Option<&str>, outcome: Outcome, took: Duration) {
    // What is no name was no operation's either.
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let operation = operation.filter(is_name).map_or("-", |name| &name[..name.len().min(NAME_MAX)]);
    let (name, ms) = (outcome.name(), took.as_millis());
    match outcome {
        Outcome::Failed => tracing::error!(operation, ms, "a query failed inside the service"),
        _ if took >= SLOW => tracing::warn!(operation, outcome = name, ms, "a query was slow"),
        Outcome::Partial => tracing::info!(operation, ms, "a query gave errors"),
        Outcome::Refused => tracing::info!(operation, ms, "a query was refused"),
        Outcome::Denied => tracing::info!(operation, ms, "a query was not for who asked"),
        Outcome::Overloaded => tracing::warn!(operation, ms, "a query was turned away: too many ask at once"),
        Outcome::Ok | Outcome::NotFreshEnough => tracing::debug!(operation, outcome = name, ms, "query"),
    }
}

//! Dead letters from outside: their bytes, read once more, taken away.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::bodies::object;
use super::panics::blocking;
use super::problem::problem;
use super::{Service, json};
use crate::event::Code;
use crate::pipeline::{Letters, NotNow, Retrier};

/// Which letters a request means.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    id: Option<String>,
    code: Option<String>,
    domain: Option<String>,
}

/// A letter's value, as the log has it.
pub async fn bytes(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let snapshot = service.api.generation.snapshot();
    let found =
        snapshot.dead_letters.iter().find(|(_, letter)| letter.id() == id).map(|(_, letter)| letter.bytes.clone());
    match found {
        Some(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes.to_vec()).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such dead letter is kept: `projection { deadLetters }` lists them"),
    }
}

/// Reads letters once more.
pub async fn retry(State(service): State<Arc<Service>>, request: Request) -> Response {
    let retry = |retrier: &Retrier, letters: &Letters| {
        let done = retrier.retry(letters)?;
        Ok(serde_json::json!({ "letters": done.letters, "applied": done.applied, "refused": done.refused }))
    };
    work(&service, judge(&service, request).await, retry).await
}

/// Takes letters away.
pub async fn discard(State(service): State<Arc<Service>>, request: Request) -> Response {
    let discard = |retrier: &Retrier, letters: &Letters| {
        retrier.discard(letters).map(|count| serde_json::json!({ "letters": count }))
    };
    work(&service, judge(&service, request).await, discard).await
}

/// Does something with letters, on a thread that may block.
async fn work(
    service: &Service,
    wanted: Result<Letters, Response>,
    act: fn(&Retrier, &Letters) -> Result<serde_json::Value, NotNow>,
) -> Response {
    let letters = match wanted {
        Ok(letters) => letters,
        Err(refusal) => return refusal,
    };
    let retrier = service.retrier.clone();
    match blocking("a request for dead letters", move || act(&retrier, &letters)).await {
        Ok(Ok(body)) => json(StatusCode::OK, body.to_string()),
        Ok(Err(why)) => problem(StatusCode::SERVICE_UNAVAILABLE, &why.0),
        Err(failure) => failure,
    }
}

/// Which letters are meant, where that can be said and may be asked.
async fn judge(service: &Service, request: Request) -> Result<Letters, Response> {
    let bad = |detail: String| Err(problem(StatusCode::BAD_REQUEST, &detail));
    let wanted: Wanted = object(service, request, "a request for dead letters", "`id`, `code` and `domain`").await?;
    let letters = Letters { id: wanted.id, code: wanted.code, domain: wanted.domain };
    if letters.is_empty() {
        return bad("say which: `id`, `code` or `domain`, or several of them".into());
    }
    let codes = Code::ALL.map(Code::name);
    if let Some(code) = letters.code.as_deref().filter(|code| !codes.contains(code)) {
        let near = crate::model::nearest(code, codes.into_iter());
        return bad(format!("there is no code `{code}`{near}: there are {}", codes.join(", ")));
    }
    let domains = &service.api.model.domains;
    if let Some(name) = letters.domain.as_deref().filter(|name| !domains.iter().any(|domain| domain.name == **name)) {
        let near = crate::model::nearest(name, domains.iter().map(|domain| domain.name.as_str()));
        return bad(format!("there is no domain `{name}`{near}"));
    }
    Ok(letters)
}

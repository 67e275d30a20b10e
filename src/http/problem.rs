//! Errors outside GraphQL: `application/problem+json` (RFC 9457).

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::ROUTES;

pub fn problem(status: StatusCode, detail: &str) -> Response {
    written(status, described(status, detail))
}

/// A problem with a code that programs tell it by, as GraphQL's errors have.
pub fn coded(status: StatusCode, code: &str, detail: &str) -> Response {
    let mut body = described(status, detail);
    body["code"] = code.into();
    written(status, body)
}

fn described(status: StatusCode, detail: &str) -> Json {
    let title = status.canonical_reason().unwrap_or("Error");
    json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail })
}

fn written(status: StatusCode, body: Json) -> Response {
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

pub async fn not_found(uri: Uri) -> Response {
    let near =
        crate::model::nearest(uri.path(), ROUTES.iter().map(|route| route.path).filter(|path| !path.contains('{')));
    problem(StatusCode::NOT_FOUND, &format!("there is nothing here{near}"))
}

pub async fn method_not_allowed() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "this route takes another method: `Allow` names it")
}

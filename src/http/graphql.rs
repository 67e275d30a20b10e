//! GraphQL over HTTP, by its specification (draft of 2025): POST and GET, queries only, two media types.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Map, Value as Json};

use super::gate::Kept;
use super::problem::problem;
use super::{Service, gate};
use crate::api::{Answer, OnError, Outcome, Request, Source, is_mutation};
use crate::freshness::Demand;
use crate::limits::{GRAPHQL_BYTES_MAX, RETRY_AFTER_S};
use crate::rights::{Rights, Who};

const RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

/// Where a browser that looks at the route is sent: to the page, which asks by itself.
pub fn sent_on(head: &Parts) -> Option<Response> {
    if head.method != Method::GET || accept(&head.headers) != Accepted::Page {
        return None;
    }
    let query = head.uri.query().map(|parameters| format!("?{parameters}")).unwrap_or_default();
    Some(Redirect::to(&format!("/graphiql{query}")).into_response())
}

pub async fn get(
    State(service): State<Arc<Service>>,
    Extension(rights): Extension<Arc<Rights>>,
    headers: HeaderMap,
    RawQuery(parameters): RawQuery,
) -> Response {
    let accepted = accept(&headers);
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(parameters.unwrap_or_default().as_bytes()) {
        let value = match name.as_ref() {
            // An empty one is none.
            _ if value.is_empty() && name != "query" => continue,
            "variables" | "extensions" => match serde_json::from_str(&value) {
                Ok(json) => json,
                Err(_) => return unreadable(&service, &accepted, &format!("the parameter `{name}` is no JSON")),
            },
            _ => Json::String(value.into_owned()),
        };
        members.insert(name.into_owned(), value);
    }
    respond(&service, rights, &headers, &accepted, members, true).await
}

pub async fn post(
    State(service): State<Arc<Service>>,
    Extension(rights): Extension<Arc<Rights>>,
    request: HttpRequest,
) -> Response {
    let (Parts { headers, .. }, body) = request.into_parts();
    let accepted = accept(&headers);
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let is_utf8 =
        |part: &String| part.strip_prefix("charset=").is_none_or(|charset| charset.trim_matches('"') == "utf-8");
    if parts.next().as_deref() != Some(JSON) || !parts.all(|part| is_utf8(&part)) {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a GraphQL request's `Content-Type` must be application/json, in UTF-8",
        );
    }
    let body = match service.room.read(&headers, body, "a GraphQL request", GRAPHQL_BYTES_MAX).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    match serde_json::from_slice(&body.bytes) {
        Ok(Json::Object(members)) => respond(&service, rights, &headers, &accepted, members, false).await,
        Ok(_) => unreadable(&service, &accepted, "a GraphQL request is a JSON object, with its text under `query`"),
        Err(error) => unreadable(&service, &accepted, &format!("the body is no JSON: {error}")),
    }
}

/// What a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    Response,
    Json,
    Page,
    Nothing,
}

/// The best of what is offered, by the weights of `Accept`; without any, `application/json`.
fn accept(headers: &HeaderMap) -> Accepted {
    let ranges: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if ranges.is_empty() {
        return Accepted::Json;
    }
    let mut best = (0.0, Accepted::Nothing);
    for range in ranges.iter().flat_map(|ranges| ranges.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let offered = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            RESPONSE => Accepted::Response,
            JSON | "application/*" | "*/*" => Accepted::Json,
            "text/html" => Accepted::Page,
            _ => continue,
        };
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        if weight > best.0 {
            best = (weight, offered);
        }
    }
    best.1
}

async fn respond(
    service: &Service,
    rights: Arc<Rights>,
    headers: &HeaderMap,
    accepted: &Accepted,
    members: Map<String, Json>,
    is_get: bool,
) -> Response {
    if !matches!(accepted, Accepted::Response | Accepted::Json) {
        return problem(StatusCode::NOT_ACCEPTABLE, &format!("an answer comes as {RESPONSE} or {JSON}"));
    }
    let request = match request(members, headers, rights.clone()) {
        Ok(request) => request,
        Err(message) => return unreadable(service, accepted, &message),
    };
    let started = tokio::time::Instant::now();
    let operation = super::requests::operation(&request);
    // What a GET may not ask for is another matter than what the schema does not have.
    let text = if is_get { request.source.text().map(str::to_owned) } else { None };
    let named = request.operation_name.clone();
    let answer = service.api.answer(request).await;
    let took = started.elapsed();
    service.metrics.query(answer.outcome.name(), took.as_secs_f64());
    super::requests::query(operation.as_deref(), answer.outcome, took);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = is_get
        && !answer.unmet
        && answer.etag.as_deref().is_some_and(|etag| known.is_some_and(|known| names(known, etag)));
    let status = match (accepted, answer.outcome) {
        _ if unchanged => StatusCode::NOT_MODIFIED,
        (_, Outcome::Refused) if text.is_some_and(|text| is_mutation(&text, named.as_deref())) => {
            StatusCode::METHOD_NOT_ALLOWED
        }
        (_, Outcome::Denied) if rights.who == Who::Anonymous => StatusCode::UNAUTHORIZED,
        (_, Outcome::Denied) => StatusCode::FORBIDDEN,
        (_, Outcome::Failed) => StatusCode::INTERNAL_SERVER_ERROR,
        (_, Outcome::Overloaded) => StatusCode::SERVICE_UNAVAILABLE,
        (Accepted::Response, Outcome::NotFreshEnough) => StatusCode::PRECONDITION_FAILED,
        (Accepted::Response, Outcome::Refused) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let lacks = answer.lacks;
    let response = written(status, accepted, answer);
    if lacks.is_empty() {
        return response;
    }
    let kept = Kept::Forbidden(rights, lacks);
    service.metrics.kept_out(kept.name());
    gate::challenged(response, &kept)
}

/// Says to one who is kept out why, as GraphQL; none where that is no answer for them.
pub fn kept_out(service: &Service, headers: &HeaderMap, detail: &str, kept: &Kept) -> Option<Response> {
    let accepted = accept(headers);
    let (status, answer) = match kept {
        _ if !matches!(accepted, Accepted::Response | Accepted::Json) => return None,
        // The service's own trouble is no answer of GraphQL's.
        Kept::Away(_) => return None,
        Kept::Ambiguous => (StatusCode::BAD_REQUEST, service.api.unreadable(detail)),
        Kept::Forbidden(rights, needs) if rights.who != Who::Anonymous => {
            (StatusCode::FORBIDDEN, service.api.denied(rights, detail, needs, None))
        }
        Kept::Unauthenticated(_) | Kept::Forbidden(..) => {
            (StatusCode::UNAUTHORIZED, service.api.unauthenticated(detail))
        }
    };
    Some(written(status, &accepted, answer))
}

/// A body or parameters that are no GraphQL request: 400 in either media type.
fn unreadable(service: &Service, accepted: &Accepted, message: &str) -> Response {
    written(StatusCode::BAD_REQUEST, accepted, service.api.unreadable(message))
}

fn written(status: StatusCode, accepted: &Accepted, answer: Answer) -> Response {
    let kind = if *accepted == Accepted::Response { RESPONSE } else { JSON };
    let keep = if answer.etag.is_some() { "private, no-cache" } else { "no-store" };
    let mut response = Response::builder()
        .status(status)
        .header("freshness", answer.freshness)
        .header(header::VARY, "Authorization, Accept")
        .header(header::CACHE_CONTROL, keep);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response = response.header(header::RETRY_AFTER, RETRY_AFTER_S);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response = response.header(header::ALLOW, "POST");
    }
    if let Some(etag) = answer.etag {
        response = response.header(header::ETAG, etag);
    }
    let body = if status == StatusCode::NOT_MODIFIED {
        Vec::new()
    } else {
        response = response.header(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"));
        answer.body
    };
    let built = response.body(body.into());
    built.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer's headers cannot be written"))
}

/// Whether `If-None-Match` names an ETag, compared weakly.
fn names(header: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned();
    let wanted = opaque(etag);
    header.trim() == "*" || header.split('"').skip(1).step_by(2).any(|tag| tag == wanted)
}

fn request(mut members: Map<String, Json>, headers: &HeaderMap, rights: Arc<Rights>) -> Result<Request, String> {
    let operation_name = match members.remove("operationName") {
        None | Some(Json::Null) => None,
        Some(Json::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(_) => return Err("`operationName` is a string".into()),
    };
    let object = |value: Option<Json>, name: &str| match value {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(members)) => Ok(members),
        Some(_) => Err(format!("`{name}` is an object")),
    };
    let variables = object(members.remove("variables"), "variables")?;
    let extensions = object(members.remove("extensions"), "extensions")?;
    let source = source(&mut members, extensions.get("persistedQuery"))?;
    let demand = demand(extensions.get("freshness"), headers);
    let plan = match extensions.get("plan") {
        None | Some(Json::Null) => false,
        Some(Json::Bool(asked)) => *asked,
        Some(_) => return Err("`extensions.plan` is true or false".into()),
    };
    let on_error = on_error(members.remove("onError"))?;
    Ok(Request { source, operation_name, variables, demand, rights, plan, on_error })
}

/// What a request names its document by.
fn source(members: &mut Map<String, Json>, persisted: Option<&Json>) -> Result<Source, String> {
    let mut text = |name: &str| match members.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is a string")),
    };
    let (query, id) = (text("query")?, text("documentId")?);
    if let Some(id) = id {
        return match query {
            None => Ok(Source::Id(id)),
            Some(_) => Err("a request has `query` or `documentId`, not both".into()),
        };
    }
    match (persisted, query) {
        (None | Some(Json::Null), Some(query)) => Ok(Source::Text(query)),
        (None | Some(Json::Null), None) => {
            Err("`query` is missing: the request's text, as a string; or name a known document by `documentId`".into())
        }
        (Some(persisted), query) => match (&persisted["version"], persisted["sha256Hash"].as_str()) {
            (version, Some(hash)) if *version == 1 => Ok(Source::Hash(hash.to_ascii_lowercase(), query)),
            _ => Err("`extensions.persistedQuery` is `{ version: 1, sha256Hash: … }`".into()),
        },
    }
}

/// `onError`, as the draft of the specification has it.
fn on_error(given: Option<Json>) -> Result<OnError, String> {
    match given.as_ref().map(Json::as_str) {
        None => Ok(OnError::default()),
        _ if given == Some(Json::Null) => Ok(OnError::default()),
        Some(Some("NULL")) => Ok(OnError::Null),
        Some(Some("PROPAGATE")) => Ok(OnError::Propagate),
        Some(Some("HALT")) => Ok(OnError::Halt),
        Some(_) => Err("`onError` is NULL, PROPAGATE or HALT".into()),
    }
}

static DEMANDS: [(&str, HeaderName); 4] = [
    ("atLeast", HeaderName::from_static("freshness-at-least")),
    ("maxStaleness", HeaderName::from_static("freshness-max-staleness")),
    ("wait", HeaderName::from_static("freshness-wait")),
    ("otherwise", HeaderName::from_static("freshness-otherwise")),
];

/// The request's own extensions win over headers, part by part.
fn demand(own: Option<&Json>, headers: &HeaderMap) -> Result<Demand, String> {
    let own = match own {
        None | Some(Json::Null) => None,
        Some(Json::Object(members)) => Some(members),
        Some(_) => return Err("`extensions.freshness` is an object".into()),
    };
    let names = || DEMANDS.iter().map(|(name, _)| *name);
    if let Some(unknown) =
        own.into_iter().flatten().map(|(name, _)| name).find(|name| !names().any(|known| known == *name))
    {
        return Err(format!("`{unknown}` is no part of a freshness demand{}", crate::model::nearest(unknown, names())));
    }
    Demand::read(|part| match own.and_then(|own| own.get(part)) {
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(Json::Null) | None => {
            let header = DEMANDS.iter().find(|(name, _)| *name == part).and_then(|(_, header)| headers.get(header));
            match header.map(|value| value.to_str()) {
                Some(Ok(text)) => Ok(Some(text.trim().to_owned())),
                Some(Err(_)) => Err(format!("`{part}` of the freshness demand is not readable text")),
                None => Ok(None),
            }
        }
        Some(_) => Err(format!("`{part}` of the freshness demand is a string")),
    })
}

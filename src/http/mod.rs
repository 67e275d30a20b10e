//! The routes. HTTP in, HTTP out: what a request means is `api`'s and `intake`'s.

mod bodies;
mod checkpoints;
mod dead_letters;
mod events;
mod graphql;
mod pages;
mod panics;
mod problem;
mod requests;
pub mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::compression::predicate::{NotForContentType, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use bodies::Room;

use crate::api::Api;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::pipeline::{Checkpointing, Retrier};
use crate::telemetry::{Metrics, Store};
use crate::threads::Threads;

/// What the routes work with.
#[derive(Clone)]
pub struct Service {
    pub api: Api,
    /// None where no domain is written to here.
    pub intake: Option<Intake>,
    pub retrier: Arc<Retrier>,
    pub checkpointing: Option<Checkpointing>,
    pub metrics: Arc<Metrics>,
    /// Those whose death ends the service.
    pub threads: Threads,
    /// Origins that browsers may call from; empty means those of this machine.
    pub cors_origins: Vec<String>,
    /// Request headers that browsers may send beside [`SENT`], in small letters.
    pub cors_headers: Vec<String>,
    pub limits: Arc<Limits>,
    /// For the bodies of requests.
    pub room: Room,
}

/// Request headers that browsers may always send.
pub const SENT: [&str; 8] = [
    "content-type",
    "accept",
    "authorization",
    "if-none-match",
    "freshness-at-least",
    "freshness-max-staleness",
    "freshness-wait",
    "freshness-otherwise",
];

/// Bytes below which packing an answer costs more than it saves: a packet's worth.
const PACKED_BYTES_MIN: u16 = 1_400;

/// All routes.
pub fn router(service: Service) -> Router {
    let cors = cors(service.cors_origins.clone(), &service.cors_headers);
    Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/events", post(events::post))
        .route("/dead-letters/{*id}", get(dead_letters::bytes))
        .route("/dead-letters/retry", post(dead_letters::retry))
        .route("/dead-letters/discard", post(dead_letters::discard))
        .route("/projection/checkpoints", post(checkpoints::take))
        .route("/projection/digest/{entity}", get(checkpoints::digests))
        .route("/", get(pages::home))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/starters.json", get(pages::starters))
        .route("/graphiql/{*path}", get(pages::asset))
        .route("/health/live", get(live))
        .route("/health/ready", get(is_ready))
        .route("/metrics", get(metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(panics::guard())
        .layer(compression())
        .layer(axum::middleware::from_fn(requests::note))
        .layer(cors)
        .with_state(Arc::new(service))
}

/// Packs answers for who takes them packed: quickly, since each is another.
fn compression() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(PACKED_BYTES_MIN).and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth)
}

fn cors(origins: Vec<String>, headers: &[String]) -> CorsLayer {
    let allowed = AllowOrigin::predicate(move |origin, _| match origin.to_str() {
        Ok(origin) if origins.is_empty() => is_local_origin(origin),
        Ok(origin) => origins.iter().any(|known| known == origin),
        Err(_) => false,
    });
    let more = headers.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    let allowed_headers: Vec<HeaderName> = SENT.map(HeaderName::from_static).into_iter().chain(more).collect();
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(allowed_headers)
        .expose_headers([HeaderName::from_static("freshness"), header::ETAG])
        .max_age(std::time::Duration::from_secs(600))
}

fn is_local_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| is_local_host(authority))
}

/// Whether a host, with or without a port, names this machine to itself.
fn is_local_host(authority: &str) -> bool {
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

/// Whether a request comes from this machine and means to: a page elsewhere that rebinds its name to 127.0.0.1 does not.
/// No authentication is configured, so this is who may read personal data and write events.
fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    peer.ip().to_canonical().is_loopback() && host.is_none_or(is_local_host)
}

async fn live(State(service): State<Arc<Service>>) -> Response {
    match service.threads.death() {
        None => json(StatusCode::OK, serde_json::json!({ "status": "live" }).to_string()),
        Some(death) => {
            let reason = format!("the thread `{}` {}: the process ends", death.thread, death.how);
            json(
                StatusCode::SERVICE_UNAVAILABLE,
                serde_json::json!({ "status": "dying", "reason": reason }).to_string(),
            )
        }
    }
}

async fn is_ready(State(service): State<Arc<Service>>) -> Response {
    let generation = &service.api.generation;
    match generation.why_unready() {
        None => {
            let since = generation.ready_at().map(|at| at.to_string());
            json(StatusCode::OK, serde_json::json!({ "status": "ready", "since": since }).to_string())
        }
        Some(unready) => {
            let body = serde_json::json!({ "status": "hydrating", "reason": unready.reason() });
            json(StatusCode::SERVICE_UNAVAILABLE, body.to_string())
        }
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let store = service.intake.as_ref().and_then(|intake| match intake.log().disk() {
        Ok((log, free)) => Some(Store { log, free, memory: intake.log().memory() }),
        Err(error) => {
            tracing::warn!(%error, "what the log takes of its disk is not known");
            None
        }
    });
    match service.metrics.render(&service.api.generation, store) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            problem::problem(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written; the log says why")
        }
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
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
}

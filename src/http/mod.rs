//! The routes. HTTP in, HTTP out: what a request means is `api`'s and `intake`'s.

mod bodies;
mod checkpoints;
mod dead_letters;
mod events;
mod gate;
mod graphql;
mod pages;
mod panics;
mod pauses;
mod problem;
mod requests;
mod routes;
pub mod server;
mod state;
pub mod tls;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::compression::predicate::{NotForContentType, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use bodies::Room;
pub use routes::{ROUTES, Route};

use crate::api::Api;
use crate::auth::Authority;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::pipeline::{Checkpointing, Retrier};
use crate::telemetry::Metrics;
use crate::threads::Threads;

/// What the routes work with.
#[derive(Clone)]
pub struct Service {
    pub api: Api,
    /// Who judges credentials; none where only this machine may ask.
    pub authority: Option<Arc<Authority>>,
    /// Whether it listens on a loopback address.
    pub is_here_alone: bool,
    /// None where no domain is written to here.
    pub intake: Option<Intake>,
    pub retrier: Arc<Retrier>,
    pub checkpointing: Option<Checkpointing>,
    /// Where it is asked over TLS.
    pub tls: Option<Arc<tls::Tls>>,
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

/// All routes, with what holds for each.
pub fn router(service: Service) -> Router {
    let cors = cors(service.cors_origins.clone(), &service.cors_headers);
    let service = Arc::new(service);
    routes::all(&service)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(panics::guard())
        .layer(compression())
        .layer(axum::middleware::from_fn(requests::note))
        .layer(cors)
        .with_state(service)
}

/// Packs answers for who takes them packed: quickly, since each is another.
fn compression() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(PACKED_BYTES_MIN).and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth)
}

fn cors(origins: Vec<String>, headers: &[String]) -> CorsLayer {
    let allowed = AllowOrigin::predicate(move |origin, _| match origin.to_str() {
        Ok(origin) if origins.is_empty() => gate::is_local_origin(origin),
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

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

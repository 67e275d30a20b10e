//! How the service is: health, which everybody may ask, and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::problem;
use super::{Service, json};
use crate::auth::Issuer;
use crate::telemetry::{IssuerKeys, Store};

pub async fn live(State(service): State<Arc<Service>>) -> Response {
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

pub async fn ready(State(service): State<Arc<Service>>) -> Response {
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

/// Prometheus text.
pub async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let store = service.intake.as_ref().and_then(|intake| match intake.log().disk() {
        Ok((log, free)) => Some(Store { log, free, memory: intake.log().memory() }),
        Err(error) => {
            tracing::warn!(%error, "what the log takes of its disk is not known");
            None
        }
    });
    let issuers = service.authority.iter().flat_map(|authority| authority.issuers());
    let issuers: Vec<IssuerKeys> = issuers.map(|issuer| of_issuer(issuer)).collect();
    let certificate = service.tls.as_ref().and_then(|tls| tls.ends_at_s());
    match service.metrics.render(&service.api.generation, store, &issuers, certificate) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written; the log says why")
        }
    }
}

fn of_issuer(issuer: &Issuer) -> IssuerKeys {
    let status = issuer.status();
    IssuerKeys { issuer: issuer.config.issuer.clone(), keys: status.keys, age: status.age, failures: status.failures }
}

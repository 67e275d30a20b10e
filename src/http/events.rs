//! `POST /events`: write to the embedded log.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::problem::problem;
use super::{Service, json};
use crate::event::Code;
use crate::intake::{Refusal, Shape};
use crate::source::log::LogError;

pub async fn post(State(service): State<Arc<Service>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shape = match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/cloudevents+json" => Shape::One,
        "application/cloudevents-batch+json" => Shape::Batch,
        "application/x-ndjson" => Shape::Lines,
        "application/json" => Shape::Any,
        _ => {
            let taken = "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson or application/json";
            return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("the body's `Content-Type` must be {taken}"));
        }
    };
    let (what, most) = ("a body of events", service.limits.body_bytes_max);
    let (parts, body) = request.into_parts();
    let body = match service.room.read(&parts.headers, body, what, most).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let is_packed = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the only `Content-Encoding` taken is gzip"),
    };
    let Some(intake) = service.intake.clone() else {
        return problem(StatusCode::NOT_FOUND, "the sources are elsewhere: write events to their topics");
    };
    let (room, turn) = (service.room.clone(), service.room.turn(&body, is_packed).await);
    let metrics = service.metrics.clone();
    let take = move || {
        // As long as the work lasts, whoever waits for it.
        let _turn = turn;
        let body = if is_packed { room.unpack(&body, what, most)? } else { body };
        Ok(intake.take(&body.bytes, shape).map(|receipt| {
            metrics.written(receipt.accepted, receipt.refused.iter().map(|(code, count)| (*code, *count)));
            let is_refused = receipt.accepted == 0 && receipt.rejected() > 0;
            (if is_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, receipt.text)
        }))
    };
    let taken = match tokio::task::spawn_blocking(take).await {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(refusal)) => return refusal,
        Err(panic) => Err(panic),
    };
    match taken {
        Ok(Ok((status, receipt))) => json(status, receipt),
        Ok(Err(Refusal::Unreadable(message))) => problem(StatusCode::BAD_REQUEST, &message),
        Ok(Err(Refusal::TooMany(message))) => problem(StatusCode::PAYLOAD_TOO_LARGE, &message),
        Ok(Err(Refusal::TooLarge(message))) => {
            service.metrics.written(0, std::iter::once((Code::TooLarge, 1)));
            problem(StatusCode::PAYLOAD_TOO_LARGE, &message)
        }
        Ok(Err(Refusal::Log(error))) => {
            tracing::error!(%error, "events cannot be appended");
            let status = match error {
                LogError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, &error.to_string())
        }
        Err(_) => {
            tracing::error!("an append panicked: the line above says where");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the append failed inside the service; its log says why")
        }
    }
}

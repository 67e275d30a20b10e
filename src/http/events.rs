//! `POST /events`: write to the embedded log.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::problem::problem;
use super::{Service, bodies, is_local, json};
use crate::event::Code;
use crate::intake::{Refusal, Shape};
use crate::source::log::LogError;

pub async fn post(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    if !is_local(peer, &headers) {
        return problem(
            StatusCode::FORBIDDEN,
            "events are taken from this machine only, since no authentication is configured",
        );
    }
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
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    // Said before it is read: a client that expects to be told so sends nothing.
    if length.is_some_and(|length| length > most) {
        return bodies::too_large(what, most);
    }
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => return bodies::refusal(&rejection, what, most),
    };
    let body = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => body,
        Some(b"gzip") => match unpack(&body, most) {
            Ok(Some(unpacked)) => unpacked.into(),
            Ok(None) => return bodies::too_large(what, most),
            Err(_) => {
                return problem(StatusCode::BAD_REQUEST, "the body is no gzip, though `Content-Encoding` says so");
            }
        },
        Some(_) => return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the only `Content-Encoding` taken is gzip"),
    };
    let Some(intake) = service.intake.clone() else {
        return problem(StatusCode::NOT_FOUND, "the sources are elsewhere: write events to their topics");
    };
    let metrics = service.metrics.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let receipt = intake.take(&body, shape)?;
        metrics.written(receipt.accepted, receipt.refusals().map(|rejection| rejection.code));
        let refused = receipt.accepted == 0 && receipt.rejected > 0;
        // Names are texts, and memory takes all: it cannot fail.
        let text = serde_json::to_string(&receipt).unwrap_or_default();
        Ok((if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, text))
    });
    match taken.await {
        Ok(Ok((status, receipt))) => json(status, receipt),
        Ok(Err(Refusal::Unreadable(message))) => problem(StatusCode::BAD_REQUEST, &message),
        Ok(Err(Refusal::TooMany(message))) => problem(StatusCode::PAYLOAD_TOO_LARGE, &message),
        Ok(Err(Refusal::TooLarge(message))) => {
            service.metrics.written(0, std::iter::once(Code::TooLarge));
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

/// Unpacks gzip; `None` where it holds more than is taken.
fn unpack(body: &[u8], bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(bytes_max as u64 + 1).read_to_end(&mut unpacked)?;
    Ok((unpacked.len() <= bytes_max).then_some(unpacked))
}

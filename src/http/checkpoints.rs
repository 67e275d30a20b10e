//! A checkpoint, now.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::problem::problem;
use super::{Service, is_local, json};
use crate::pipeline::NotTaken;

/// Takes a checkpoint, and answers when it is safe; one that is being taken is waited for. Where nothing is new, the standing
/// one answers.
pub async fn take(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if !is_local(peer, &headers) {
        let detail = "checkpoints are taken from this machine only, since no authentication is configured";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let Some(checkpointing) = service.checkpointing.clone() else {
        return problem(StatusCode::CONFLICT, "no checkpoints are kept here: `[checkpoints]` says `url = \"none\"`");
    };
    match tokio::task::spawn_blocking(move || checkpointing.take()).await {
        Ok(Ok(taken)) => json(StatusCode::CREATED, crate::api::checkpoint(&taken).to_string()),
        Ok(Err(NotTaken::ReadOnly)) => {
            problem(StatusCode::CONFLICT, "checkpoints are only read here: `[checkpoints]` says `write = false`")
        }
        Ok(Err(NotTaken::Failed(why))) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, &format!("no checkpoint was taken: {why}"))
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "it failed inside the service; its log says why"),
    }
}

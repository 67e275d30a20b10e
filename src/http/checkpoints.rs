//! A checkpoint, now; and each node's digest, for who compares two graphs.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use serde::Deserialize;

use super::panics::blocking;
use super::problem::problem;
use super::{Service, json};
use crate::ids::Slot;
use crate::pipeline::NotTaken;
use crate::projection::Digester;

/// Takes a checkpoint, and answers when it is safe; one that is being taken is waited for. Where nothing is new, the standing
/// one answers.
pub async fn take(State(service): State<Arc<Service>>) -> Response {
    let Some(checkpointing) = service.checkpointing.clone() else {
        return problem(StatusCode::CONFLICT, "no checkpoints are kept here: `[checkpoints]` says `url = \"none\"`");
    };
    match blocking("a request for a checkpoint", move || checkpointing.take()).await {
        Ok(Ok(taken)) => json(StatusCode::CREATED, crate::api::checkpoint(&taken).to_string()),
        Ok(Err(NotTaken::ReadOnly)) => {
            problem(StatusCode::CONFLICT, "checkpoints are only read here: `[checkpoints]` says `write = false`")
        }
        Ok(Err(NotTaken::Failed(why))) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, &format!("no checkpoint was taken: {why}"))
        }
        Err(failure) => failure,
    }
}

/// Where a page of digests begins, and of which version it is: of the newest unless that is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    #[serde(default)]
    from: u32,
    version: Option<u64>,
}

/// Nodes of a page.
const PAGE: usize = 10_000;

/// Keys and digests of an entity's nodes that have events of their own, some of them, and where the next begin.
pub async fn digests(
    State(service): State<Arc<Service>>,
    Path(entity): Path<String>,
    Query(From { from, version }): Query<From>,
) -> Response {
    let Some(entity) = service.api.model.entity_named(&entity) else {
        return problem(
            StatusCode::NOT_FOUND,
            "the model has no such entity: `{ catalog { entities { name } } }` lists them",
        );
    };
    let generation = &service.api.generation;
    let Some(snapshot) = version.map_or_else(|| Some(generation.snapshot()), |version| generation.version(version))
    else {
        return problem(
            StatusCode::GONE,
            "the version is not held any more: `{ projection { version } }` names the newest",
        );
    };
    let made = blocking("a request for digests", move || {
        let mut digester = Digester::new(&snapshot.graph, entity);
        let slots = snapshot.graph.slots(entity).len() as u32;
        let until = slots.min(from.saturating_add(PAGE as u32));
        let nodes = (from..until).filter_map(|slot| {
            let node = snapshot.graph.node(entity.node(Slot(slot)));
            digester.of(&node).map(|hash| serde_json::json!([node.key(), format!("{hash:032x}")]))
        });
        let nodes: Vec<serde_json::Value> = nodes.collect();
        let next = (until < slots).then_some(until);
        serde_json::json!({ "position": snapshot.position().to_string(), "next": next, "nodes": nodes }).to_string()
    });
    match made.await {
        Ok(body) => json(StatusCode::OK, body),
        Err(failure) => failure,
    }
}

//! Pausing what is read, and going on.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::bodies::object;
use super::problem::problem;
use super::{Service, json};
use crate::model::nearest;
use crate::projection::Snapshot;
use crate::serving::Place;

/// What a request means.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// All topics that these domains are read from.
    domains: Vec<String>,
    /// As positions write them: `topic/number`.
    partitions: Vec<String>,
}

const WANTED: &str = "`domains` and `partitions`";

/// Reads nothing more of some domains or partitions. Answers what is paused by then.
pub async fn pause(State(service): State<Arc<Service>>, request: Request) -> Response {
    let places = match judge(&service, request).await {
        Ok(places) => places,
        Err(refusal) => return refusal,
    };
    service.api.generation.serving.pause(&places);
    tell(&service, "paused")
}

/// Reads them on.
pub async fn resume(State(service): State<Arc<Service>>, request: Request) -> Response {
    let places = match judge(&service, request).await {
        Ok(places) => places,
        Err(refusal) => return refusal,
    };
    match service.api.generation.serving.resume(&places) {
        Ok(()) => tell(&service, "resumed"),
        Err(still) => {
            let snapshot = service.api.generation.snapshot();
            let detail = format!(
                "`{}` is one of a topic that is paused as a whole: resume its domain, then pause the other partitions",
                name(&snapshot, still.0)
            );
            problem(StatusCode::CONFLICT, &detail)
        }
    }
}

/// Says what is paused now: to who asked, and in the log.
fn tell(service: &Service, done: &str) -> Response {
    let snapshot = service.api.generation.snapshot();
    let paused = service.api.generation.serving.pauses().all();
    let paused: Vec<String> = paused.into_iter().map(|place| name(&snapshot, place)).collect();
    tracing::info!(paused = paused.join(", "), "reading is {done}");
    json(StatusCode::OK, serde_json::json!({ "paused": paused }).to_string())
}

/// A topic by its name, a partition as positions write it.
fn name(snapshot: &Snapshot, (topic, number): Place) -> String {
    let topic = &snapshot.topics[topic].name;
    number.map_or_else(|| topic.to_string(), |number| format!("{topic}/{number}"))
}

/// Which places are meant, where that can be said.
async fn judge(service: &Service, request: Request) -> Result<Vec<Place>, Response> {
    let Wanted { domains, partitions } = object(service, request, "a request to pause or resume", WANTED).await?;
    let bad = |detail: String| problem(StatusCode::BAD_REQUEST, &detail);
    if domains.is_empty() && partitions.is_empty() {
        return Err(bad(format!("say what: {WANTED}, or one of them, each a list of texts")));
    }
    let (snapshot, known) = (service.api.generation.snapshot(), &service.api.model.domains);
    let mut places = Vec::new();
    for wanted in &domains {
        let Some((domain, _)) = known.entries().find(|(_, domain)| domain.name == *wanted) else {
            let near = nearest(wanted, known.iter().map(|domain| domain.name.as_str()));
            return Err(bad(format!("there is no domain `{wanted}`{near}")));
        };
        let of_domain = snapshot.topics.entries().filter(|(_, topic)| topic.domains.contains(&domain));
        places.extend(of_domain.map(|(topic, _)| (topic, None)));
    }
    for wanted in &partitions {
        let is_it = |place: &Place| name(&snapshot, *place) == *wanted;
        let all = snapshot.partitions.iter().map(|partition| (partition.topic, Some(partition.number)));
        let found: Vec<Place> = all.filter(is_it).collect();
        if found.is_empty() {
            return Err(bad(format!(
                "there is no partition `{wanted}`: it is written `topic/number`, and is read already"
            )));
        }
        places.extend(found);
    }
    Ok(places)
}

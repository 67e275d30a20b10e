//! Freshness as clients read it: GraphQL values, `extensions.freshness`, the `Freshness` header, the ETag.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value as Json, json};

use crate::freshness::{DomainStatus, Moment, PartitionStatus, Status};
use crate::model::Model;
use crate::model::value::Instant;
use crate::position::Position;
use crate::projection::Snapshot;
use crate::query::Reading;
use crate::serving::{Pinned, Serving};

/// The freshness of one answer.
#[derive(Clone, Debug)]
pub struct AnswerFreshness {
    pub status: Status,
    pub as_of: Option<Instant>,
    pub staleness_ms: Option<i64>,
    /// Of the touched domains; empty where none was.
    pub position: Position,
    domains: Vec<Json>,
    pub unmet: Vec<String>,
}

impl AnswerFreshness {
    /// The freshness of an answer from a pinned version that touched these domains, at the moment when it is answered.
    pub fn of(
        model: &Model,
        serving: &Serving,
        pinned: &Pinned,
        touched: &[usize],
        unmet: Vec<String>,
        now: Moment,
    ) -> AnswerFreshness {
        let statuses: Vec<DomainStatus> = touched.iter().map(|domain| serving.aged(pinned, *domain, now)).collect();
        let as_of = statuses.iter().map(|status| status.as_of).min().flatten();
        let domains = touched.iter().zip(&statuses).map(|(domain, status)| {
            json!({
                "domain": model.domains[*domain].name, "status": status.status.name(), "cause": status.cause.name(),
                "asOf": text(status.as_of), "stalenessMs": status.staleness_ms, "lagEvents": status.lag_events,
                "caughtUpInMs": status.caught_up_in_ms,
            })
        });
        AnswerFreshness {
            status: statuses.iter().map(|status| status.status).max().unwrap_or(Status::Fresh),
            staleness_ms: as_of.and_then(|_| statuses.iter().filter_map(|status| status.staleness_ms).max()),
            as_of,
            position: pinned.position(touched),
            domains: domains.collect(),
            unmet,
        }
    }

    /// What stands under `extensions.freshness`.
    pub fn to_json(&self) -> Json {
        let mut freshness = json!({
            "status": self.status.name(), "asOf": text(self.as_of), "stalenessMs": self.staleness_ms,
            "domains": self.domains,
        });
        if !self.position.is_empty() {
            freshness["position"] = json!(self.position.to_string());
        }
        if !self.unmet.is_empty() {
            freshness["unmet"] = json!(self.unmet);
        }
        freshness
    }

    /// The `Freshness` header's value.
    pub fn header(&self) -> String {
        let mut header = format!("status={}", self.status.name());
        if let (Some(as_of), Some(staleness_ms)) = (self.as_of, self.staleness_ms) {
            header += &format!(", as-of=\"{as_of}\", staleness={}.{:03}", staleness_ms / 1000, staleness_ms % 1000);
        }
        header
    }

    /// The answer's ETag, where it touched a domain: a hash of all that the answer is a function of. `rules` is a fingerprint
    /// of what events are read and applied by.
    pub fn etag(&self, rules: u64, pinned: &Pinned, reading: &Reading) -> Option<String> {
        if self.position.is_empty() {
            return None;
        }
        let snapshot = &pinned.snapshot;
        let touched: Vec<usize> = match reading.depends_on_names() {
            true => (0..snapshot.counters.len()).collect(),
            false => reading.touched(),
        };
        // Dead letters that are read once more change the graph and no position; so does reading a log again with schemas that
        // were missing before: then fewer are dead.
        let dead: Vec<u64> = touched.iter().map(|domain| snapshot.counters[*domain].dead).collect();
        let mut hasher = DefaultHasher::new();
        (rules, pinned.position(&touched).to_string(), dead, snapshot.unplaced, reading.personal).hash(&mut hasher);
        Some(format!("W/\"{:016x}\"", hasher.finish()))
    }
}

fn text(at: Option<Instant>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// A `DomainFreshness`.
pub fn domain(model: &Model, pinned: &Pinned, domain: usize) -> Json {
    let (snapshot, freshness) = (&pinned.snapshot, &pinned.freshness);
    let status = &freshness.domains[domain];
    let partitions = freshness.partitions.iter().enumerate();
    let partitions = partitions.filter(|(place, _)| snapshot.topic(*place).domains.contains(&domain));
    json!({
        "domain": model.domains[domain].name, "status": status.status.name(), "cause": status.cause.name(),
        "reason": status.reason(), "asOf": text(status.as_of), "asOfBasis": status.as_of.map(|_| status.as_of_basis.name()),
        "stalenessMs": status.staleness_ms, "lagEvents": status.lag_events, "caughtUpInMs": status.caught_up_in_ms,
        "partitions": partitions.map(|(place, status)| partition(snapshot, place, status)).collect::<Vec<_>>(),
    })
}

fn partition(snapshot: &Snapshot, place: usize, status: &PartitionStatus) -> Json {
    let topic = snapshot.topic(place);
    json!({
        "source": topic.source.as_ref(), "topic": topic.name.as_ref(), "partition": snapshot.partitions[place].number,
        "start": status.start, "applied": status.applied, "end": status.end, "contactAt": text(status.contact_at),
        "lagEvents": status.lag_events, "asOf": text(status.as_of), "stalenessMs": status.staleness_ms,
        "appliedPerSecond": status.applied_per_second, "appendedPerSecond": status.appended_per_second,
        "caughtUpInMs": status.caught_up_in_ms, "status": status.status.name(), "cause": status.cause.name(),
        "reason": status.reason(), "windowComplete": status.window_complete,
    })
}

//! Freshness as clients read it: GraphQL values, `extensions.freshness`, the `Freshness` header, the ETag.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use serde_json::{Value as Json, json};

use super::{Context, json};
use crate::freshness::{DomainStatus, Moment, PartitionStatus, Status};
use crate::ids::{DomainId, PartitionId};
use crate::model::Model;
use crate::model::value::Instant;
use crate::projection::Snapshot;
use crate::serving::{Generation, Pinned};

/// The freshness of one answer.
#[derive(Clone, Debug)]
pub struct AnswerFreshness {
    pub status: Status,
    pub as_of: Option<Instant>,
    pub staleness_ms: Option<i64>,
    /// Of the touched domains; empty where none was.
    pub position: String,
    domains: Vec<(String, DomainStatus)>,
    pub unmet: Vec<String>,
}

impl AnswerFreshness {
    /// The freshness of an answer from a pinned version that touched these domains, at the moment when it is answered.
    pub fn of(
        model: &Model,
        generation: &Generation,
        pinned: &Pinned,
        touched: &[DomainId],
        unmet: Vec<String>,
        now: Moment,
    ) -> AnswerFreshness {
        let statuses: Vec<DomainStatus> = touched.iter().map(|domain| generation.aged(pinned, *domain, now)).collect();
        let as_of = statuses.iter().map(|status| status.as_of).min().flatten();
        AnswerFreshness {
            status: statuses.iter().map(|status| status.status).max().unwrap_or(Status::Fresh),
            staleness_ms: as_of.and_then(|_| statuses.iter().filter_map(|status| status.staleness_ms).max()),
            as_of,
            position: pinned.position(touched),
            domains: touched.iter().map(|domain| model.domains[*domain].name.clone()).zip(statuses).collect(),
            unmet,
        }
    }

    /// An `AnswerFreshness` of some domains: of the same version as the answer's, as it was when that was taken.
    pub fn of_part(context: &Context, domains: &[DomainId]) -> Json {
        let Context { reading, generation, pinned, .. } = context;
        let part = AnswerFreshness::of(reading.model(), generation, pinned, domains, Vec::new(), pinned.at);
        let worst = part.domains.iter().find(|(_, status)| status.status == part.status);
        json!({
            "status": part.status.name(), "cause": worst.map(|(_, worst)| worst.cause.name()),
            "asOf": text(part.as_of), "position": part.position,
        })
    }

    /// Writes what stands under `extensions.freshness`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"status\":\"{}\",\"asOf\":", self.status.name());
        at(out, self.as_of);
        out.extend_from_slice(b",\"stalenessMs\":");
        json::value(out, &self.staleness_ms.into());
        out.extend_from_slice(b",\"domains\":[");
        for (index, (name, status)) in self.domains.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{\"domain\":" } else { b"{\"domain\":" });
            json::text(out, name);
            let _ =
                write!(out, ",\"status\":\"{}\",\"cause\":\"{}\",\"asOf\":", status.status.name(), status.cause.name());
            at(out, status.as_of);
            let numbers = [
                (",\"stalenessMs\":", Json::from(status.staleness_ms)),
                (",\"lagEvents\":", status.lag_events.into()),
                (",\"caughtUpInMs\":", status.caught_up_in_ms.into()),
            ];
            for (name, number) in numbers {
                out.extend_from_slice(name.as_bytes());
                json::value(out, &number);
            }
            out.push(b'}');
        }
        out.push(b']');
        if !self.position.is_empty() {
            let _ = write!(out, ",\"position\":");
            json::text(out, &self.position);
        }
        if !self.unmet.is_empty() {
            out.extend_from_slice(b",\"unmet\":");
            json::value(out, &self.unmet.clone().into());
        }
        out.push(b'}');
    }

    /// The `Freshness` header's value.
    pub fn header(&self) -> String {
        let mut header = b"status=".to_vec();
        header.extend_from_slice(self.status.name().as_bytes());
        if let (Some(as_of), Some(staleness_ms)) = (self.as_of, self.staleness_ms) {
            header.extend_from_slice(b", as-of=");
            json::instant(&mut header, as_of);
            let _ = write!(header, ", staleness={}.{:03}", staleness_ms / 1000, staleness_ms % 1000);
        }
        String::from_utf8(header).unwrap_or_default()
    }

    /// The answer's ETag, where it touched a domain: a hash of all that the answer is a function of.
    pub fn etag(&self, basis: &Basis, pinned: &Pinned, touched: &[DomainId]) -> Option<String> {
        if self.position.is_empty() {
            return None;
        }
        let snapshot = &pinned.snapshot;
        let all: Vec<DomainId> = snapshot.counters.ids().collect();
        let touched = if basis.by_name { &all } else { touched };
        // Dead letters that are read once more change the graph and no position; so does reading a log again with schemas that
        // were missing before: then fewer are dead.
        let dead: Vec<u64> = touched.iter().map(|domain| snapshot.counters[*domain].dead).collect();
        let position = if basis.by_name { pinned.position(touched) } else { self.position.clone() };
        let mut hasher = DefaultHasher::new();
        (basis.rules, position, dead, snapshot.unplaced, basis.personal, basis.rows).hash(&mut hasher);
        Some(format!("W/\"{:016x}\"", hasher.finish()))
    }
}

/// What an answer is a function of, beside the version.
pub struct Basis {
    /// A fingerprint of what events are read and applied by.
    pub rules: u64,
    /// Whether personal data may be read.
    pub personal: bool,
    /// A fingerprint of what of the graph may be seen; none where that is all.
    pub rows: Option<u64>,
    /// Whether it depends on who names what, in any domain.
    pub by_name: bool,
}

fn at(out: &mut Vec<u8>, at: Option<Instant>) {
    match at {
        Some(at) => json::instant(out, at),
        None => out.extend_from_slice(b"null"),
    }
}

fn text(at: Option<Instant>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// A `DomainFreshness`.
pub fn domain(model: &Model, pinned: &Pinned, domain: DomainId) -> Json {
    let (snapshot, freshness) = (&pinned.snapshot, &pinned.freshness);
    let status = &freshness.domains[domain];
    let partitions = freshness.partitions.entries();
    let partitions = partitions.filter(|(id, _)| snapshot.topic(*id).domains.contains(&domain));
    json!({
        "domain": model.domains[domain].name, "status": status.status.name(), "cause": status.cause.name(),
        "reason": status.reason(), "asOf": text(status.as_of), "asOfBasis": status.as_of.map(|_| status.as_of_basis.name()),
        "stalenessMs": status.staleness_ms, "lagEvents": status.lag_events, "caughtUpInMs": status.caught_up_in_ms,
        "partitions": partitions.map(|(id, status)| partition(snapshot, id, status)).collect::<Vec<_>>(),
    })
}

fn partition(snapshot: &Snapshot, id: PartitionId, status: &PartitionStatus) -> Json {
    let topic = snapshot.topic(id);
    json!({
        "source": topic.source.as_ref(), "topic": topic.name.as_ref(), "partition": snapshot.partitions[id].number,
        "start": status.start, "applied": status.applied, "end": status.end, "contactAt": text(status.contact_at),
        "lagEvents": status.lag_events, "asOf": text(status.as_of), "stalenessMs": status.staleness_ms,
        "appliedPerSecond": status.applied_per_second, "appendedPerSecond": status.appended_per_second,
        "caughtUpInMs": status.caught_up_in_ms, "status": status.status.name(), "cause": status.cause.name(),
        "reason": status.reason(), "windowComplete": status.window_complete,
    })
}

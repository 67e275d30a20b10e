//! What a domain's partitions make of it.

use std::sync::Arc;

use super::status::{Basis, Cause, PartitionStatus, Status, Thresholds, status_of};
use super::why::Why;
use crate::model::value::Instant;

/// A domain in the contract's words.
#[derive(Clone, Debug)]
pub struct DomainStatus {
    pub status: Status,
    pub cause: Cause,
    /// Of the worst partition; none where no partition is known.
    why: Option<Why>,
    /// What is known of its topics beside.
    remark: Option<Arc<str>>,
    pub as_of: Option<Instant>,
    pub as_of_basis: Basis,
    pub staleness_ms: Option<i64>,
    pub lag_events: Option<u64>,
    pub caught_up_in_ms: Option<i64>,
}

impl DomainStatus {
    /// The same `ms` milliseconds later, with nothing new.
    pub fn aged(&self, ms: i64, thresholds: &Thresholds) -> DomainStatus {
        let staleness_ms = self.staleness_ms.map(|staleness| staleness + ms.max(0));
        let status = staleness_ms.map_or(self.status, |staleness| self.status.max(status_of(staleness, thresholds)));
        DomainStatus { status, staleness_ms, ..self.clone() }
    }

    /// The cause, as a sentence that counts what `lag_events` counts.
    pub fn reason(&self) -> String {
        let why = self.why.as_ref().map(|why| why.say(self.lag_events.unwrap_or(0)));
        match (why, &self.remark) {
            (Some(why), None) => why,
            (Some(why), Some(remark)) => format!("{why}; {remark}"),
            (None, Some(remark)) => remark.to_string(),
            (None, None) => "its source has not answered since the start".into(),
        }
    }
}

/// Rolls partitions up: the least `asOf`, the worst status with its cause. Unknown anywhere is unknown altogether.
/// `remark` is what is known of its topics beside.
pub fn domain(partitions: &[&PartitionStatus], remark: Option<Arc<str>>) -> DomainStatus {
    let oldest = partitions.iter().min_by_key(|partition| partition.as_of.map(|at| (at.seconds, at.nanos)));
    let as_of = oldest.and_then(|partition| partition.as_of);
    // What is lost is said before anything of the same status, and trouble before what passes by itself. Silence is the
    // least of causes: a domain is silent only when all its partitions are.
    let weight = |partition: &&&PartitionStatus| {
        let behind = partition.lag_events.is_none_or(|lag| lag > 0);
        let (lost, silent) = (partition.cause == Cause::DataLost, partition.cause == Cause::SourceSilent);
        let troubled = !matches!(partition.cause, Cause::CaughtUp | Cause::SourceSilent | Cause::CatchingUp);
        (partition.status, lost, troubled, behind, !silent, partition.staleness_ms.unwrap_or(i64::MAX))
    };
    let worst = partitions.iter().max_by_key(weight);
    let known = !partitions.is_empty();
    DomainStatus {
        status: worst.map_or(Status::Unknown, |partition| partition.status),
        cause: worst.map_or(Cause::SourceUnreachable, |partition| partition.cause),
        why: worst.map(|partition| partition.why.clone()),
        remark,
        as_of,
        as_of_basis: oldest.map_or(Basis::Append, |partition| partition.as_of_basis),
        // Of the same moments, by the clock that no one sets.
        staleness_ms: as_of.and_then(|_| partitions.iter().filter_map(|partition| partition.staleness_ms).max()),
        lag_events: partitions.iter().map(|partition| partition.lag_events).sum::<Option<u64>>().filter(|_| known),
        caught_up_in_ms: partitions
            .iter()
            .map(|partition| partition.caught_up_in_ms)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max()),
    }
}

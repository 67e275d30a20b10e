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
/// `lists` are of its topics: how old what is known of their partitions is, since others may be there by now. `remark` is
/// what is known of its topics beside.
pub fn domain(partitions: &[&PartitionStatus], lists: &[&PartitionStatus], remark: Option<Arc<str>>) -> DomainStatus {
    // Where no partition is known, a list of none says nothing.
    let lists = if partitions.is_empty() { &[] } else { lists };
    let all = || partitions.iter().chain(lists);
    let oldest = all().min_by_key(|partition| partition.as_of.map(|at| (at.seconds, at.nanos)));
    let as_of = oldest.and_then(|partition| partition.as_of);
    // What is lost is said before anything of the same status, and trouble before what passes by itself. Silence is the
    // least of causes: a domain is silent only when all its partitions are.
    let weight = |partition: &&&PartitionStatus| {
        let behind = partition.lag_events.is_none_or(|lag| lag > 0);
        let (lost, silent) = (partition.cause == Cause::DataLost, partition.cause == Cause::SourceSilent);
        let troubled = !matches!(partition.cause, Cause::CaughtUp | Cause::SourceSilent | Cause::CatchingUp);
        (partition.status, lost, troubled, behind, !silent, partition.staleness_ms.unwrap_or(i64::MAX))
    };
    // A list that is new is no reason for anything.
    let old_lists = lists.iter().filter(|list| list.status > Status::Fresh);
    let worst = partitions.iter().chain(old_lists).max_by_key(weight);
    let known = !partitions.is_empty();
    DomainStatus {
        status: worst.map_or(Status::Unknown, |partition| partition.status),
        cause: worst.map_or(Cause::SourceUnreachable, |partition| partition.cause),
        why: worst.map(|partition| partition.why.clone()),
        remark,
        as_of,
        as_of_basis: oldest.map_or(Basis::Append, |partition| partition.as_of_basis),
        // Of the same moments, by the clock that no one sets.
        staleness_ms: as_of.and_then(|_| all().filter_map(|partition| partition.staleness_ms).max()),
        lag_events: partitions.iter().map(|partition| partition.lag_events).sum::<Option<u64>>().filter(|_| known),
        caught_up_in_ms: partitions
            .iter()
            .map(|partition| partition.caught_up_in_ms)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::{AsOf, Inputs, Moment, Window, partition};

    const NOW: i64 = 1000;

    /// Of one that was asked so many seconds ago, if ever, and lags by so many records.
    fn status(asked: Option<i64>, lag: u64) -> PartitionStatus {
        let at = asked.map(|ago| Moment::of_seconds(NOW - ago));
        let inputs = Inputs {
            applied: 10,
            start: Some(0),
            end: at.map(|_| 10 + lag),
            uncommitted: None,
            contact_at: at,
            as_of: at.map(AsOf::of),
            end_moved_at: None,
            hydrated_at: at.map(|_| 10),
            held: None,
            paused: None,
            blocked: None,
            lost: None,
            is_read: true,
            went_back: None,
            window: &Window::default(),
        };
        partition(&inputs, &Thresholds::default(), Moment::of_seconds(NOW))
    }

    /// Status, cause, lag, and how many seconds ago it is as of.
    type Expected = (Status, Cause, Option<u64>, Option<i64>);

    fn check(partitions: &[(Option<i64>, u64)], lists: &[Option<i64>], expected: Expected) {
        let statuses: Vec<_> = partitions.iter().map(|(asked, lag)| status(*asked, *lag)).collect();
        let listed: Vec<_> = lists.iter().map(|asked| status(*asked, 0)).collect();
        let of = domain(&statuses.iter().collect::<Vec<_>>(), &listed.iter().collect::<Vec<_>>(), None);
        let ago = of.as_of.map(|at| NOW - at.seconds);
        assert_eq!((of.status, of.cause, of.lag_events, ago), expected, "{partitions:?} {lists:?}: {}", of.reason());
        assert_eq!(of.staleness_ms, ago.map(|seconds| seconds * 1000), "{partitions:?} {lists:?}");
    }

    #[test]
    fn a_domain_is_as_old_as_its_oldest_partition_and_as_what_is_known_of_others() {
        use Cause::*;
        use Status::*;
        check(&[(Some(1), 0), (Some(2), 0)], &[Some(1)], (Fresh, CaughtUp, Some(0), Some(2)));
        check(&[(Some(1), 0), (Some(9), 3)], &[Some(1)], (Latent, SourceUnreachable, Some(3), Some(9)));
        check(&[(Some(1), 2), (None, 0)], &[Some(1)], (Unknown, SourceUnreachable, None, None));
        // Others may have come since their topic's partitions were listed.
        check(&[(Some(1), 0)], &[Some(3)], (Fresh, CaughtUp, Some(0), Some(3)));
        check(&[(Some(1), 2)], &[Some(1), Some(8)], (Latent, SourceUnreachable, Some(2), Some(8)));
        check(&[(Some(1), 2)], &[Some(1), None], (Unknown, SourceUnreachable, Some(2), None));
        // A list of no partition is nothing to be fresh by.
        check(&[], &[Some(1)], (Unknown, SourceUnreachable, None, None));
    }
}

//! Status, cause and reason: of a partition, and of the domain that its partitions make up.

use std::sync::Arc;

use super::window::{Verdict, Window};
use crate::model::value::Instant;

/// Whose clock a record's time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// The log's, at the append.
    #[default]
    Append,
    /// The producer's.
    Producer,
}

impl Basis {
    pub fn name(self) -> &'static str {
        match self {
            Basis::Append => "APPEND",
            Basis::Producer => "PRODUCER",
        }
    }
}

/// The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Fresh,
    Latent,
    Stale,
    Hydrating,
    Unknown,
}

impl Status {
    pub const ALL: [Status; 5] = [Status::Fresh, Status::Latent, Status::Stale, Status::Hydrating, Status::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Status::Fresh => "FRESH",
            Status::Latent => "LATENT",
            Status::Stale => "STALE",
            Status::Hydrating => "HYDRATING",
            Status::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    CaughtUp,
    CatchingUp,
    Stalled,
    SourceUnreachable,
    SourceSilent,
    Paused,
    Blocked,
    RetentionRisk,
    DataLost,
}

impl Cause {
    pub const ALL: [Cause; 9] = [
        Cause::CaughtUp,
        Cause::CatchingUp,
        Cause::Stalled,
        Cause::SourceUnreachable,
        Cause::SourceSilent,
        Cause::Paused,
        Cause::Blocked,
        Cause::RetentionRisk,
        Cause::DataLost,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Cause::CaughtUp => "CAUGHT_UP",
            Cause::CatchingUp => "CATCHING_UP",
            Cause::Stalled => "STALLED",
            Cause::SourceUnreachable => "SOURCE_UNREACHABLE",
            Cause::SourceSilent => "SOURCE_SILENT",
            Cause::Paused => "PAUSED",
            Cause::Blocked => "BLOCKED",
            Cause::RetentionRisk => "RETENTION_RISK",
            Cause::DataLost => "DATA_LOST",
        }
    }
}

/// A domain's thresholds, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub fresh_within_ms: i64,
    pub stale_after_ms: i64,
    pub quiet_after_ms: i64,
}

/// What is known of a partition at a moment.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub applied: u64,
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub contact_at: Option<Instant>,
    /// When the end last moved, as far as is known.
    pub end_moved_at: Option<Instant>,
    /// The time of the first record that is not applied, where there is one; or, where that is not known, an earlier one.
    pub first_unapplied_at: Option<Instant>,
    /// The end that was seen at the start: until it is reached, the partition hydrates.
    pub hydrated_at: Option<u64>,
    /// Whose clock that time is.
    pub basis: Basis,
    /// Why records are held back on purpose, where they are.
    pub held: Option<&'a str>,
    /// Why the next record cannot be read now, where it cannot.
    pub blocked: Option<&'a str>,
    /// What was gone from the log before it was read.
    pub lost: Option<&'a str>,
    pub window: &'a Window,
}

/// Source contact older than this counts as none, whatever `fresh_within` allows.
const UNREACHABLE_AFTER_MS: i64 = 5000;
/// Lag above this part of what the log still holds is a risk.
const RETENTION_RISK: f64 = 0.8;

/// A partition in the contract's words.
#[derive(Clone, Debug)]
pub struct PartitionStatus {
    pub start: Option<u64>,
    pub applied: u64,
    pub end: Option<u64>,
    pub contact_at: Option<Instant>,
    pub lag_events: Option<u64>,
    pub as_of: Option<Instant>,
    pub as_of_basis: Basis,
    pub staleness_ms: Option<i64>,
    pub applied_per_second: f64,
    pub appended_per_second: Option<f64>,
    pub caught_up_in_ms: Option<i64>,
    pub status: Status,
    pub cause: Cause,
    pub reason: Arc<str>,
    pub window_complete: f64,
}

/// Judges a partition.
pub fn partition(inputs: &Inputs<'_>, thresholds: &Thresholds, now: Instant) -> PartitionStatus {
    // What is applied was in the log: an end read before that is behind.
    let end = inputs.end.map(|end| end.max(inputs.applied));
    let lag = end.map(|end| end - inputs.applied);
    let as_of = match (lag, inputs.contact_at) {
        (Some(0), contact_at) => contact_at,
        (Some(_), Some(contact_at)) => inputs.first_unapplied_at.map(|at| at.min(contact_at)),
        _ => None,
    };
    let staleness_ms = as_of.map(|as_of| now.millis_since(as_of));
    let hydrating = inputs.hydrated_at.is_none_or(|target| inputs.applied < target);
    let status = match staleness_ms {
        _ if inputs.contact_at.is_none() => Status::Unknown,
        _ if hydrating => Status::Hydrating,
        None => Status::Unknown,
        Some(staleness) if staleness > thresholds.stale_after_ms => Status::Stale,
        Some(staleness) if staleness > thresholds.fresh_within_ms => Status::Latent,
        Some(_) => Status::Fresh,
    };
    let (applied_per_second, appended_per_second) =
        (inputs.window.applied_per_second(), inputs.window.appended_per_second());
    let closing = applied_per_second - appended_per_second.unwrap_or(0.0);
    let caught_up_in_ms = match lag {
        Some(0) => Some(0),
        // What is held back on purpose is not being caught up with.
        Some(_) if inputs.held.is_some() && !hydrating => None,
        Some(lag) if closing > 0.0 => Some((lag as f64 / closing * 1000.0).ceil() as i64),
        _ => None,
    };
    let (cause, reason) = cause(inputs, lag, status, thresholds, now);
    PartitionStatus {
        start: inputs.start,
        applied: inputs.applied,
        end,
        contact_at: inputs.contact_at,
        lag_events: lag,
        as_of,
        as_of_basis: inputs.basis,
        staleness_ms,
        applied_per_second,
        appended_per_second,
        caught_up_in_ms,
        status,
        cause,
        reason: reason.into(),
        window_complete: inputs.window.complete(),
    }
}

fn cause(
    inputs: &Inputs<'_>,
    lag: Option<u64>,
    status: Status,
    thresholds: &Thresholds,
    now: Instant,
) -> (Cause, String) {
    let Some(contact_at) = inputs.contact_at else {
        return (Cause::SourceUnreachable, "the source has not answered since the start".into());
    };
    let contact_age_ms = now.millis_since(contact_at);
    let lag = lag.unwrap_or(0);
    if let Some(start) = inputs.start.filter(|start| *start > inputs.applied) {
        let lost = start - inputs.applied;
        return (Cause::DataLost, format!("the log starts at {start}: {lost} offsets before it were never applied"));
    }
    if let Some(lost) = inputs.lost {
        return (Cause::DataLost, lost.into());
    }
    if contact_age_ms > UNREACHABLE_AFTER_MS
        || lag == 0 && status > Status::Fresh && contact_age_ms > thresholds.fresh_within_ms
    {
        return (Cause::SourceUnreachable, format!("the source last answered {} ago", seconds(contact_age_ms)));
    }
    if let Some(blocked) = inputs.blocked {
        return (Cause::Blocked, format!("{lag} records behind: {blocked}"));
    }
    if let (Some(start), Some(end)) = (inputs.start, inputs.end)
        && start > 0
        && lag as f64 > RETENTION_RISK * end.saturating_sub(start) as f64
    {
        return (
            Cause::RetentionRisk,
            format!("{lag} records behind, of {} that the log still holds", end.saturating_sub(start)),
        );
    }
    if lag == 0 {
        let quiet_ms = inputs.end_moved_at.map_or(0, |at| now.millis_since(at));
        if quiet_ms > thresholds.quiet_after_ms {
            return (
                Cause::SourceSilent,
                format!("everything is applied, and nothing new has come for {}", seconds(quiet_ms)),
            );
        }
        return (Cause::CaughtUp, "everything that the log holds is applied".into());
    }
    if let Some(held) = inputs.held
        && status != Status::Hydrating
    {
        return (Cause::Paused, format!("{lag} records behind: {held}"));
    }
    match inputs.window.verdict(now) {
        Verdict::Stalled => {
            (Cause::Stalled, format!("{lag} records behind, and nothing was applied in the last half minute"))
        }
        Verdict::Falling => (
            Cause::CatchingUp,
            format!("{lag} records behind, and not converging: they come faster than they are applied"),
        ),
        Verdict::Rewound => (Cause::CatchingUp, format!("{lag} records behind, being applied anew")),
        Verdict::Stopped | Verdict::CaughtUp | Verdict::CatchingUp => {
            (Cause::CatchingUp, format!("{lag} records behind, and catching up"))
        }
    }
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// A domain in the contract's words.
#[derive(Clone, Debug)]
pub struct DomainStatus {
    pub status: Status,
    pub cause: Cause,
    pub reason: Arc<str>,
    pub as_of: Option<Instant>,
    pub as_of_basis: Basis,
    pub staleness_ms: Option<i64>,
    pub lag_events: Option<u64>,
    pub caught_up_in_ms: Option<i64>,
}

/// Rolls partitions up: the least `asOf`, the worst status with its cause. Unknown anywhere is unknown altogether.
/// `remark` is what is known of its topics beside.
pub fn domain(partitions: &[&PartitionStatus], remark: Option<&str>, now: Instant) -> DomainStatus {
    let oldest = partitions.iter().min_by_key(|partition| partition.as_of.map(|at| (at.seconds, at.nanos)));
    let as_of = oldest.and_then(|partition| partition.as_of);
    // What is lost is said before anything of the same status. Silence is the least of causes: a domain is silent only when all its partitions are.
    let weight = |partition: &&&PartitionStatus| {
        let behind = partition.lag_events.is_none_or(|lag| lag > 0);
        let (lost, silent) = (partition.cause == Cause::DataLost, partition.cause == Cause::SourceSilent);
        (partition.status, lost, behind, !silent, partition.staleness_ms.unwrap_or(i64::MAX))
    };
    let worst = partitions.iter().max_by_key(weight);
    let known = !partitions.is_empty();
    DomainStatus {
        status: worst.map_or(Status::Unknown, |partition| partition.status),
        cause: worst.map_or(Cause::SourceUnreachable, |partition| partition.cause),
        reason: match (worst, remark) {
            (Some(partition), None) => partition.reason.clone(),
            (Some(partition), Some(remark)) => format!("{}; {remark}", partition.reason).into(),
            (None, remark) => remark.unwrap_or("its source has not answered since the start").into(),
        },
        as_of,
        as_of_basis: oldest.map_or(Basis::Append, |partition| partition.as_of_basis),
        staleness_ms: as_of.map(|as_of| now.millis_since(as_of)),
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

    const THRESHOLDS: Thresholds =
        Thresholds { fresh_within_ms: 5000, stale_after_ms: 300_000, quiet_after_ms: 3_600_000 };

    fn at(second: i64) -> Instant {
        Instant { seconds: second, nanos: 0 }
    }

    fn check(change: impl FnOnce(&mut Inputs<'_>), now: i64, expected: (Status, Cause, Option<u64>, Option<i64>)) {
        let window = Window::default();
        let mut inputs = Inputs {
            applied: 10,
            start: Some(0),
            end: Some(10),
            contact_at: Some(at(1000)),
            end_moved_at: Some(at(900)),
            first_unapplied_at: None,
            hydrated_at: Some(10),
            basis: Basis::Append,
            held: None,
            blocked: None,
            lost: None,
            window: &window,
        };
        change(&mut inputs);
        let status = partition(&inputs, &THRESHOLDS, at(now));
        assert_eq!(
            (status.status, status.cause, status.lag_events, status.staleness_ms),
            expected,
            "{}",
            status.reason
        );
    }

    #[test]
    fn the_words_as_they_are_defined() {
        use Cause::*;
        use Status::*;
        check(|_| {}, 1001, (Fresh, CaughtUp, Some(0), Some(1000)));
        check(|inputs| inputs.contact_at = None, 1001, (Unknown, SourceUnreachable, Some(0), None));
        check(|_| {}, 1006, (Latent, SourceUnreachable, Some(0), Some(6000)));
        check(|_| {}, 1301, (Stale, SourceUnreachable, Some(0), Some(301_000)));
        check(|inputs| inputs.hydrated_at = Some(11), 1001, (Hydrating, CaughtUp, Some(0), Some(1000)));
        check(|inputs| inputs.end_moved_at = Some(at(-3000)), 1001, (Fresh, SourceSilent, Some(0), Some(1000)));
        let behind = |inputs: &mut Inputs<'_>| (inputs.end, inputs.first_unapplied_at) = (Some(12), Some(at(990)));
        check(behind, 1000, (Latent, CatchingUp, Some(2), Some(10_000)));
        check(
            |inputs| {
                behind(inputs);
                inputs.held = Some("on purpose")
            },
            1000,
            (Latent, Paused, Some(2), Some(10_000)),
        );
        check(
            |inputs| {
                behind(inputs);
                inputs.start = Some(11)
            },
            1000,
            (Latent, DataLost, Some(2), Some(10_000)),
        );
        check(
            |inputs| {
                behind(inputs);
                inputs.start = Some(10)
            },
            1000,
            (Latent, RetentionRisk, Some(2), Some(10_000)),
        );
        // The log's time of a record is never later than the last contact.
        check(
            |inputs| (inputs.end, inputs.first_unapplied_at) = (Some(12), Some(at(1010))),
            1001,
            (Fresh, CatchingUp, Some(2), Some(1000)),
        );
        // An end read before the last apply is behind, and no negative lag.
        check(|inputs| inputs.end = Some(8), 1001, (Fresh, CaughtUp, Some(0), Some(1000)));
    }
}

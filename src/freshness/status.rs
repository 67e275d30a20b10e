//! Status and cause of a partition.

use std::sync::Arc;

use super::Moment;
use super::contacts::AsOf;
use super::why::Why;
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

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { fresh_within_ms: 5000, stale_after_ms: 300_000, quiet_after_ms: 3_600_000 }
    }
}

/// What is known of a partition at a moment.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub applied: u64,
    pub start: Option<u64>,
    /// As a reader of committed records sees it.
    pub end: Option<u64>,
    /// Where open transactions hold records back: the end of all that was appended.
    pub uncommitted: Option<u64>,
    /// The moment before the source was asked for what it told last.
    pub contact_at: Option<Moment>,
    /// Up to when all that was appended is applied; see [`super::Contacts`].
    pub as_of: Option<AsOf>,
    /// When the end last moved, as far as is known.
    pub end_moved_at: Option<Moment>,
    /// The end that was seen at the start: until it is reached, the partition hydrates.
    pub hydrated_at: Option<u64>,
    /// Why records are held back on purpose, where they are.
    pub held: Option<&'a Arc<str>>,
    /// Since when nothing is read on purpose, where somebody paused it.
    pub paused: Option<&'a Arc<str>>,
    /// Why the next record cannot be read or applied now, where it cannot.
    pub blocked: Option<&'a Arc<str>>,
    /// What was gone from the log before it was read.
    pub lost: Option<&'a Arc<str>>,
    /// Whether somebody reads it.
    pub is_read: bool,
    /// The log's end, where it lies before what was applied of it.
    pub went_back: Option<u64>,
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
    pub why: Why,
    pub window_complete: f64,
}

impl PartitionStatus {
    /// The cause, as a sentence.
    pub fn reason(&self) -> String {
        self.why.say(self.lag_events.unwrap_or(0))
    }
}

/// The status that a staleness means.
pub fn status_of(staleness_ms: i64, thresholds: &Thresholds) -> Status {
    match staleness_ms {
        staleness if staleness > thresholds.stale_after_ms => Status::Stale,
        staleness if staleness > thresholds.fresh_within_ms => Status::Latent,
        _ => Status::Fresh,
    }
}

/// Judges a partition.
pub fn partition(inputs: &Inputs<'_>, thresholds: &Thresholds, now: Moment) -> PartitionStatus {
    // What is applied was in the log: an end read before that is behind.
    let end = inputs.end.map(|end| end.max(inputs.applied));
    let lag = end.map(|end| end - inputs.applied);
    let as_of = inputs.as_of.filter(|_| lag.is_some() && inputs.contact_at.is_some());
    let staleness_ms = as_of.map(|as_of| as_of.staleness_ms(now));
    let hydrating = inputs.hydrated_at.is_none_or(|target| inputs.applied < target);
    let status = match staleness_ms {
        _ if inputs.contact_at.is_none() => Status::Unknown,
        _ if hydrating => Status::Hydrating,
        None => Status::Unknown,
        Some(staleness) => status_of(staleness, thresholds),
    };
    let (applied_per_second, appended_per_second) =
        (inputs.window.applied_per_second(), inputs.window.appended_per_second());
    let closing = applied_per_second - appended_per_second.unwrap_or(0.0);
    let caught_up_in_ms = match lag {
        Some(0) => Some(0),
        // What is held back on purpose is not being caught up with.
        Some(_) if inputs.held.is_some() && !hydrating || inputs.paused.is_some() => None,
        Some(lag) if closing > 0.0 => Some((lag as f64 / closing * 1000.0).ceil() as i64),
        _ => None,
    };
    let (cause, why) = cause(inputs, lag, status, thresholds, now);
    PartitionStatus {
        start: inputs.start,
        applied: inputs.applied,
        end,
        contact_at: inputs.contact_at.map(|moment| moment.at),
        lag_events: lag,
        as_of: as_of.map(|as_of| as_of.at),
        as_of_basis: as_of.map_or(Basis::Append, |as_of| as_of.basis),
        staleness_ms,
        applied_per_second,
        appended_per_second,
        caught_up_in_ms,
        status,
        cause,
        why,
        window_complete: inputs.window.complete(),
    }
}

fn cause(inputs: &Inputs<'_>, lag: Option<u64>, status: Status, thresholds: &Thresholds, now: Moment) -> (Cause, Why) {
    let Some(contact_at) = inputs.contact_at else {
        return (Cause::SourceUnreachable, Why::NeverAnswered);
    };
    let applied = inputs.applied;
    let contact_age_ms = now.ms_since(contact_at);
    let lag = lag.unwrap_or(0);
    if let Some(start) = inputs.start.filter(|start| *start > applied) {
        return (Cause::DataLost, Why::StartPassed { start, applied });
    }
    if let Some(lost) = inputs.lost {
        return (Cause::DataLost, Why::Lost(lost.clone()));
    }
    if contact_age_ms > UNREACHABLE_AFTER_MS
        || lag == 0 && status > Status::Fresh && contact_age_ms > thresholds.fresh_within_ms
    {
        return (Cause::SourceUnreachable, Why::Unreachable(contact_age_ms));
    }
    if !inputs.is_read {
        return (Cause::Stalled, Why::Unread);
    }
    if let Some(end) = inputs.went_back {
        return (Cause::Stalled, Why::WentBack { end, applied });
    }
    // What the log is about to drop is said before why: a pause is somebody's to end, and in time.
    if let Some(paused) = inputs.paused.filter(|_| !is_at_risk(inputs, lag)) {
        return (Cause::Paused, Why::Held(paused.clone()));
    }
    if let Some(blocked) = inputs.blocked.filter(|_| inputs.paused.is_none()) {
        return (Cause::Blocked, Why::Blocked(blocked.clone()));
    }
    if lag == 0
        && let Some(all) = inputs.uncommitted.filter(|all| *all > applied)
    {
        return (Cause::Blocked, Why::OpenTransaction { from: applied, records: all - applied });
    }
    if is_at_risk(inputs, lag) {
        return (Cause::RetentionRisk, Why::RetentionRisk(held_by_log(inputs)));
    }
    if lag == 0 {
        let quiet_ms = inputs.end_moved_at.map_or(0, |at| now.ms_since(at));
        if quiet_ms > thresholds.quiet_after_ms {
            return (Cause::SourceSilent, Why::Silent(quiet_ms));
        }
        return (Cause::CaughtUp, Why::CaughtUp);
    }
    if let Some(held) = inputs.held
        && status != Status::Hydrating
    {
        return (Cause::Paused, Why::Held(held.clone()));
    }
    let verdict = inputs.window.verdict(now);
    let cause = if verdict == Verdict::Stalled { Cause::Stalled } else { Cause::CatchingUp };
    (cause, Why::Window(verdict))
}

/// Records that the log still holds.
fn held_by_log(inputs: &Inputs<'_>) -> u64 {
    inputs.end.unwrap_or(0).saturating_sub(inputs.start.unwrap_or(0))
}

/// Whether the log, which drops what is old, may soon drop what is not applied.
fn is_at_risk(inputs: &Inputs<'_>, lag: u64) -> bool {
    inputs.start.is_some_and(|start| start > 0)
        && inputs.end.is_some()
        && lag as f64 > RETENTION_RISK * held_by_log(inputs) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    static ON_PURPOSE: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "on purpose".into());

    fn at(second: i64) -> Moment {
        Moment::of_seconds(second)
    }

    fn as_of(second: i64) -> Option<AsOf> {
        Some(AsOf::of(at(second)))
    }

    fn check(change: impl FnOnce(&mut Inputs<'_>), now: i64, expected: (Status, Cause, Option<u64>, Option<i64>)) {
        let window = Window::default();
        let mut inputs = Inputs {
            applied: 10,
            start: Some(0),
            end: Some(10),
            contact_at: Some(at(1000)),
            end_moved_at: Some(at(900)),
            uncommitted: None,
            as_of: as_of(1000),
            hydrated_at: Some(10),
            held: None,
            paused: None,
            blocked: None,
            lost: None,
            is_read: true,
            went_back: None,
            window: &window,
        };
        change(&mut inputs);
        let status = partition(&inputs, &Thresholds::default(), at(now));
        assert_eq!(
            (status.status, status.cause, status.lag_events, status.staleness_ms),
            expected,
            "{}",
            status.reason()
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
        let behind = |inputs: &mut Inputs<'_>| {
            (inputs.end, inputs.as_of) = (Some(12), as_of(990));
        };
        check(behind, 1000, (Latent, CatchingUp, Some(2), Some(10_000)));
        check(
            |inputs| {
                behind(inputs);
                inputs.held = Some(&ON_PURPOSE)
            },
            1000,
            (Latent, Paused, Some(2), Some(10_000)),
        );
        // Whoever paused it sees it paused, whatever its offsets say; its age goes on by the clock.
        let pause = |inputs: &mut Inputs<'_>| inputs.paused = Some(&ON_PURPOSE);
        check(pause, 1001, (Fresh, Paused, Some(0), Some(1000)));
        let paused = |change: fn(&mut Inputs<'_>)| {
            move |inputs: &mut Inputs<'_>| {
                (inputs.end, inputs.as_of, inputs.paused) = (Some(12), as_of(990), Some(&*ON_PURPOSE));
                change(inputs);
            }
        };
        check(paused(|_| {}), 1000, (Latent, Paused, Some(2), Some(10_000)));
        check(paused(|_| {}), 1004, (Latent, Paused, Some(2), Some(14_000)));
        check(paused(|inputs| inputs.hydrated_at = Some(11)), 1000, (Hydrating, Paused, Some(2), Some(10_000)));
        check(paused(|inputs| inputs.blocked = Some(&ON_PURPOSE)), 1000, (Latent, Paused, Some(2), Some(10_000)));
        // What is worse, and will not wait, is said instead.
        check(paused(|inputs| inputs.start = Some(10)), 1000, (Latent, RetentionRisk, Some(2), Some(10_000)));
        check(paused(|inputs| inputs.start = Some(11)), 1000, (Latent, DataLost, Some(2), Some(10_000)));
        check(
            paused(|inputs| inputs.contact_at = Some(at(990))),
            1000,
            (Latent, SourceUnreachable, Some(2), Some(10_000)),
        );
        // Whatever its offsets say: nobody would see what comes.
        check(|inputs| inputs.is_read = false, 1001, (Fresh, Stalled, Some(0), Some(1000)));
        check(|inputs| inputs.went_back = Some(7), 1006, (Latent, SourceUnreachable, Some(0), Some(6000)));
        check(|inputs| inputs.went_back = Some(7), 1001, (Fresh, Stalled, Some(0), Some(1000)));
        // All that can be read is applied, and records lie behind it.
        let open = |inputs: &mut Inputs<'_>| {
            (inputs.uncommitted, inputs.as_of) = (Some(12), as_of(990));
        };
        check(open, 1000, (Latent, Blocked, Some(0), Some(10_000)));
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
        // An end read before the last apply is behind, and no negative lag.
        check(|inputs| inputs.end = Some(8), 1001, (Fresh, CaughtUp, Some(0), Some(1000)));
    }
}

//! The one place that asks what time it is. Everything below the edges is told.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::freshness::Moment;
use crate::model::value::Instant;

/// The wall clock, in UTC: a stamp, which an operator or NTP may set back or forth.
#[expect(clippy::disallowed_methods, reason = "the edge where the time comes in")]
pub fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

/// The time since the first call, by a clock that nobody sets: what intervals are measured with.
#[expect(clippy::disallowed_methods, reason = "the edge where the time comes in")]
pub fn tick() -> Duration {
    static BEGAN_AT: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    BEGAN_AT.elapsed()
}

/// The wall clock, and beside it the one that nobody sets.
pub fn moment() -> Moment {
    Moment { at: now(), tick_ms: tick().as_millis() as i64 }
}

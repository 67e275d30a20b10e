//! The one place that asks what time it is. Everything below the edges is told.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

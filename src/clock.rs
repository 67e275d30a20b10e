//! The one place that asks what time it is. Everything below the edges is told.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::freshness::Moment;
use crate::model::value::Instant;

/// The wall clock, in UTC.
#[expect(clippy::disallowed_methods, reason = "the edge where the time comes in")]
pub fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

/// The wall clock, and beside it one that nobody sets, to measure by.
#[expect(clippy::disallowed_methods, reason = "the edge where the time comes in")]
pub fn moment() -> Moment {
    static BEGAN_AT: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    let tick_ms = BEGAN_AT.elapsed().as_millis() as i64;
    Moment { at: now(), tick_ms }
}

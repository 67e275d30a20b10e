//! The one place that asks what time it is. Everything below the edges is told.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::value::Instant;

/// The wall clock, in UTC.
#[expect(clippy::disallowed_methods, reason = "the edge where the time comes in")]
pub fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

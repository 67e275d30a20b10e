//! How fresh an answer is, and what a client may demand of it: the words of docs/freshness.md, as pure functions of
//! positions, log ends and the time.
//!
//! Not here: who reads the log's ends, or who waits. Positions come in, words go out.

mod contacts;
mod demand;
mod domain;
mod status;
mod why;
mod window;

pub use contacts::{AsOf, Contacts};
pub use demand::{Demand, Otherwise, parse_duration_ms};
pub use domain::{DomainStatus, domain};
pub use status::{Basis, Cause, Inputs, PartitionStatus, Status, Thresholds, partition, status_of};
pub use window::{Sample, Verdict, Window};

use crate::model::value::Instant;

/// A moment by two clocks: the wall's, which stamps and which people set, and one that only goes forward, which measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Instant,
    /// Milliseconds since the process began.
    pub tick_ms: i64,
}

impl Moment {
    /// Milliseconds since an earlier moment.
    pub fn ms_since(&self, earlier: Moment) -> i64 {
        self.tick_ms - earlier.tick_ms
    }

    /// The same, or as much earlier as `at` is.
    pub fn at_most(self, at: Instant) -> Moment {
        let ms = self.at.millis_since(at);
        if self.at <= at { self } else { Moment { at, tick_ms: self.tick_ms - ms - 1 } }
    }

    #[cfg(test)]
    pub fn of_seconds(seconds: i64) -> Moment {
        Moment { at: Instant { seconds, nanos: 0 }, tick_ms: seconds * 1000 }
    }
}

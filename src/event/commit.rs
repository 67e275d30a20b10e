//! The order of the database that an event comes from.

use crate::model::value::Instant;

/// The place of an event among a database's commits. What was read by a snapshot lies below all changes, so that it sets
/// only what no change has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    /// False for what a snapshot read.
    pub is_change: bool,
    /// The log's own numbers, the most significant first: an LSN, or a file, a position in it and a row. Of a snapshot,
    /// the nanosecond of reading.
    pub place: [u64; 3],
    /// Tells the events of one row's change apart: deletions first, then as they were made.
    pub ordinal: u32,
}

/// A table was emptied: what the producer's events set before, is deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Truncation {
    /// The producer whose events are of that table.
    pub source: String,
    pub id: String,
    pub time: Instant,
    pub commit: Commit,
}

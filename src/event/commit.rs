//! What the database that events come from says of them: their order, and which belong together.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

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
    /// Whether it is anything but a deletion: of what has one place, deletions come first, wherever they lie.
    pub is_late: bool,
    /// Where the log has it. It decides among changes of one place.
    pub offset: u64,
    /// Tells the events of one row's change apart: as they were made.
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

/// Tells one transaction of a database from another: 64 bits of a hash with fixed keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transaction(pub u64);

impl Transaction {
    pub fn named(id: &str) -> Transaction {
        Transaction(BuildHasherDefault::<DefaultHasher>::default().hash_one(id))
    }
}

/// A record's place in its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub transaction: Transaction,
    /// From 1, over all tables. A record that comes twice has the same.
    pub order: u64,
}

/// The end of a transaction: how many records of each table belong to it, by the names that the database has for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub transaction: Transaction,
    pub counts: Vec<(Box<str>, u64)>,
}

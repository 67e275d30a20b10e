//! Where records come from. A source reads its partitions in order and hands records on; apart from that, with a
//! heartbeat of its own, it tells where their logs start and end.
//!
//! Not here: what a record means. Bytes and their places in, bytes and their places out.

pub mod embedded;
pub mod kafka;
pub mod log;

use std::time::Duration;

use crate::freshness::{Basis, Moment};
use crate::ids::{By, PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;

/// How often a log's ends are asked for when nothing else asks: well below the least sensible `fresh_within`.
pub const HEARTBEAT: Duration = Duration::from_millis(250);

/// A record as it lies in a log.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    pub offset: u64,
    pub at: Instant,
    pub basis: Basis,
    pub key: Option<&'a [u8]>,
    /// None for a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A partition that a source has found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub topic: TopicId,
    pub number: u32,
    pub log: LogId,
    /// The first offset that its log holds.
    pub start: u64,
}

/// What becomes of a partition that was found.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Its number.
    pub partition: PartitionId,
    /// What its log is called: another than it was found as, where it lost records since its topic was made.
    pub log: LogId,
    /// Whether nobody knew it.
    pub is_new: bool,
}

/// What a source tells of a partition's log.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// As finding it gave it.
    pub partition: PartitionId,
    pub start: u64,
    /// As a reader of committed records sees it.
    pub end: u64,
    /// Of all that was appended, committed or not. Asked for first: at most `end` where nothing is open.
    pub all: u64,
}

impl Extent {
    /// Of a log without transactions.
    pub fn committed(partition: PartitionId, start: u64, end: u64) -> Extent {
        Extent { partition, start, end, all: end }
    }
}

/// What was true before a source was asked: its answer is as of then, however long it took.
#[derive(Clone, Debug)]
pub struct Asked {
    pub moment: Moment,
    /// The next record that readers of the graph saw: of several generations the greatest, and 0 where it is of a log before this one.
    pub applied: By<PartitionId, u64>,
}

/// What became of a record that was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// It cannot be read now, and not for a fault of its own: to be handed on again, and no later one of its partition
    /// before it. It ends when that is taken.
    Blocked,
    /// As much of the partition waits as may: to be handed on again soon, and no later one of it before.
    Full,
    /// Nobody takes records any more.
    Closed,
}

/// Takes what a source reads for one generation. It belongs to the thread that reads.
pub trait Sink {
    fn is_closed(&self) -> bool;

    /// Whether a partition is paused: what is handed on of it is not taken.
    fn is_paused(&self, partition: PartitionId) -> bool;

    /// Takes the next record of a partition.
    fn take(&mut self, partition: PartitionId, raw: &Raw<'_>) -> Taken;

    /// Reading of a partition, whose log is called so by now, begins: at the offset that this gives. That is later than where the log
    /// starts, where what lies before was applied by an earlier run. `origin` is what its topic was made as, `start` where who read
    /// the log before it goes on.
    fn begin(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64) -> u64;

    /// Says whether the partition is read: until that is said nobody reads it.
    fn reads(&mut self, partition: PartitionId, is_read: bool);

    /// The partition's next record, which is not handed on yet, and when it was appended.
    fn holds(&mut self, partition: PartitionId, offset: u64, at: Instant, basis: Basis);

    /// All before `next` was handed on, and nothing more is at hand: what was taken goes on its way.
    fn flush(&mut self, partition: PartitionId, next: u64) -> Taken;

    /// The log no longer holds what lies before `next` and was not read.
    fn lose(&mut self, partition: PartitionId, next: u64, why: String) -> Taken;

    /// The topic is another now: reading begins at the start of its new log. `origin` is what the topic was made as.
    fn restart(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64, why: String) -> Taken;
}

/// Takes what a source tells of its logs. It is shared by threads.
pub trait Registrar: Send + Sync {
    fn is_closed(&self) -> bool;

    /// Gives a partition its id.
    fn find(&self, found: Found) -> Placed;

    /// The source has told which partitions a topic has: those that were found, and these, which are there and cannot be
    /// found yet.
    fn listed(&self, asked: &Asked, topic: TopicId, unfound: Vec<u32>);

    /// The source is about to be asked for extents, or for partitions.
    fn asked(&self) -> Asked;

    /// The source has told the extents of some partitions.
    fn contact(&self, asked: &Asked, extents: &[Extent]);

    /// The source has told which partitions there are: all of them are found by now.
    fn answered(&self);

    /// Something about a topic that a person has to know: that it is not there, say. None once it is mended.
    fn remark(&self, topic: TopicId, remark: Option<String>);

    /// The next record of a partition that readers of the graph see.
    fn applied(&self, partition: PartitionId) -> u64;
}

/// Where dead letters are written beside: the newest of a key counts, none where the letter is no more. Never blocks.
pub trait Outlet: Send + Sync {
    fn put(&self, key: &str, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]);
}

/// How a header is called whose name is no UTF-8.
pub const NAME_UNREADABLE: &str = "\u{fffd}";

/// A source of records: loops, each on a thread of its own, until what they hand to is closed. One tells of its logs; one for each
/// generation reads them.
pub trait Source: Send + Sync {
    fn read(&self, sink: &mut dyn Sink);

    fn watch(&self, registrar: &dyn Registrar);

    /// Has the ends asked for at once; and both loops look whether they are to end.
    fn wake(&self);
}

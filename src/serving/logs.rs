//! What sources, readers and the gate have told of each partition's log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::freshness::{Basis, Contacts, Inputs, Moment, PartitionStatus, Sample, Thresholds, Window, partition};
use crate::ids::{By, PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::{Partition, Snapshot};
use crate::source::{Asked, Extent};

/// How far apart the windows' samples are, at least.
const SAMPLE_MS: i64 = 1000;

/// A record that is on its way to the graph.
#[derive(Clone, Copy, Debug)]
struct Coming {
    offset: u64,
    at: Instant,
    basis: Basis,
}

/// What is known of one partition's log.
#[derive(Debug, Default)]
struct Log {
    topic: TopicId,
    number: u32,
    /// What it is called: versions may be of another still.
    log: Option<LogId>,
    start: Option<u64>,
    end: Option<u64>,
    /// The end of all that was appended, committed or not.
    all: Option<u64>,
    contacts: Contacts,
    contact_at: Option<Moment>,
    end_moved_at: Option<Moment>,
    /// The end that was seen first: where hydration ends.
    target: Option<u64>,
    /// What was applied when the log's end was seen to lie before it.
    went_back: Option<u64>,
    /// Contacts that were asked for before, or then, may be of another log.
    began_at: Option<Moment>,
    sampled_at: Option<Moment>,
    window: Window,
    /// Nobody asks for a version that has applied less.
    retired: u64,
    /// The first record of each batch that is not applied yet, in order.
    coming: VecDeque<Coming>,
    /// Whether a reader reads it.
    is_read: bool,
    /// Why its next record cannot be read now.
    blocked: Option<Arc<str>>,
    /// Why what was read of it is not applied yet.
    waits: Option<Arc<str>>,
    /// Whether as much of it waits as may.
    is_full: bool,
}

/// What else a partition is judged by.
pub struct Judged<'a> {
    pub applied: u64,
    /// The log that so much is applied of.
    pub log: Option<LogId>,
    pub lost: Option<&'a Arc<str>>,
    pub held: Option<&'a Arc<str>>,
    pub thresholds: Thresholds,
    pub now: Moment,
}

/// Of all partitions.
#[derive(Debug, Default)]
pub struct Logs {
    logs: RwLock<By<PartitionId, Arc<Mutex<Log>>>>,
}

impl Logs {
    fn log(&self, partition: PartitionId) -> Option<Arc<Mutex<Log>>> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).get(partition).cloned()
    }

    fn change<T>(&self, partition: PartitionId, change: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.log(partition).map(|log| change(&mut lock(&log)))
    }

    /// A partition is there: one that is known already, of this log or another, or the next. One that comes `late` has nothing
    /// to hydrate.
    pub fn found(&self, partition: PartitionId, (topic, number): (TopicId, u32), log: LogId, now: Moment, late: bool) {
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        match logs.get(partition) {
            None => {
                let log = Log { topic, number, log: Some(log), target: late.then_some(0), ..Log::default() };
                logs.push(Arc::new(Mutex::new(log)));
            }
            Some(known) => {
                let mut known = lock(known);
                if known.log != Some(log) {
                    known.restart(log, now);
                }
            }
        }
    }

    /// A record is on its way to the graph: the first of a batch, or one that is held.
    pub fn coming(&self, partition: PartitionId, offset: u64, at: Instant, basis: Basis) {
        self.change(partition, |log| {
            if log.coming.back().is_none_or(|last| last.offset < offset) {
                log.coming.push_back(Coming { offset, at, basis });
            }
        });
    }

    /// Says whether somebody reads a partition.
    pub fn read(&self, partition: PartitionId, is_read: bool) {
        self.change(partition, |log| log.is_read = is_read);
    }

    /// Why the next record of a partition cannot be read now; none once it can.
    pub fn block(&self, partition: PartitionId, why: Option<String>) {
        self.change(partition, |log| log.blocked = why.map(Into::into));
    }

    /// Why what was read of a partition is not applied yet; none once it is.
    pub fn wait(&self, partition: PartitionId, why: Option<String>) {
        self.change(partition, |log| log.waits = why.map(Into::into));
    }

    /// Says whether as much of a partition waits as may.
    pub fn fill(&self, partition: PartitionId, is_full: bool) {
        self.change(partition, |log| log.is_full = is_full);
    }

    pub fn is_full(&self, partition: PartitionId) -> bool {
        self.change(partition, |log| log.is_full).unwrap_or(false)
    }

    /// Another log of the same topic is read from now on.
    pub fn restarted(&self, partition: PartitionId, log: LogId, now: Moment) {
        self.change(partition, |known| known.restart(log, now));
    }

    /// Nobody asks any more for a version that has applied less than this of a log.
    pub fn retire(&self, partition: PartitionId, of: LogId, applied: u64) {
        self.change(partition, |log| {
            if log.log != Some(of) {
                return;
            }
            log.retired = applied;
            while log.coming.front().is_some_and(|coming| coming.offset < applied) {
                log.coming.pop_front();
            }
            log.contacts.forget(applied);
        });
    }

    /// A source has answered where the logs of some partitions start and end. `applied` is of now.
    pub fn contact(&self, asked: &Asked, extents: &[Extent], applied: &By<PartitionId, u64>) {
        for extent in extents {
            let at = |applied: &By<PartitionId, u64>| applied.get(extent.partition).copied().unwrap_or(0);
            self.change(extent.partition, |log| log.contact(asked.moment, extent, at(&asked.applied), at(applied)));
        }
    }

    /// The end that was seen first, once it was.
    pub fn target(&self, partition: PartitionId) -> Option<u64> {
        self.change(partition, |log| log.target).flatten()
    }

    /// Topics and numbers of the partitions that were found after the first `count`.
    pub fn found_after(&self, count: usize) -> Vec<(TopicId, u32)> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.iter().skip(count).map(|log| lock(log)).map(|log| (log.topic, log.number)).collect()
    }

    /// The topics of which a partition was found and told of.
    pub fn heard(&self) -> Vec<TopicId> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.iter().map(|log| lock(log)).filter(|log| log.target.is_some()).map(|log| log.topic).collect()
    }

    /// Whether every partition has come to the end that was seen first.
    pub fn is_hydrated(&self, snapshot: &Snapshot) -> bool {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let reached = |(partition, log): (PartitionId, &Arc<Mutex<Log>>)| {
            let (log, known) = (lock(log), snapshot.partitions.get(partition));
            let is_it = |known: &&Partition| log.log == Some(known.log);
            let applied = known.filter(is_it).map_or(0, |_| snapshot.applied[partition]);
            log.target.is_some_and(|target| applied >= target)
        };
        logs.entries().all(reached)
    }

    /// Judges a partition.
    pub fn judge(&self, partition: PartitionId, judged: &Judged<'_>) -> PartitionStatus {
        match self.log(partition) {
            Some(log) => lock(&log).judge(judged),
            // The projector hears of it first.
            None => Logs::unknown(judged),
        }
    }

    /// Judges a topic by when its partitions were listed: as one that is empty, and was asked for then.
    pub fn list(at: Option<Moment>, judged: &Judged<'_>) -> PartitionStatus {
        let mut log = Log { is_read: true, ..Log::default() };
        if let Some(at) = at {
            (log.start, log.end, log.target, log.contact_at) = (Some(0), Some(0), Some(0), Some(at));
            log.contacts.push(at, 0);
        }
        log.judge(judged)
    }

    /// Judges a partition that was not found.
    pub fn unknown(judged: &Judged<'_>) -> PartitionStatus {
        Log::default().judge(judged)
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Another log is read from now on.
    fn restart(&mut self, log: LogId, now: Moment) {
        let Log { topic, number, is_read, target, .. } = *self;
        let (log, target, began_at) = (Some(log), target.map(|_| 0), Some(now));
        *self = Log { topic, number, log, is_read, target, began_at, ..Log::default() };
    }

    /// `then` was applied when the source was asked, and `now` is.
    fn contact(&mut self, asked: Moment, extent: &Extent, then: u64, now: u64) {
        if self.began_at.is_some_and(|began_at| began_at.tick_ms >= asked.tick_ms) {
            return;
        }
        if self.end != Some(extent.end) {
            self.end_moved_at = Some(asked);
        }
        // What a log lost is not waited for.
        self.target = Some(self.target.map_or(extent.end, |target| target.min(extent.end)));
        (self.start, self.end, self.all) = (Some(extent.start), Some(extent.end), Some(extent.all));
        self.contact_at = Some(asked);
        self.went_back = Some(extent.all).filter(|all| *all < then);
        if self.went_back.is_none() {
            self.contacts.push(asked, extent.all);
            self.contacts.forget(self.retired);
        }
        if self.sampled_at.is_none_or(|at| asked.ms_since(at) >= SAMPLE_MS) {
            self.sampled_at = Some(asked);
            self.window.push(Sample { at: asked, applied: now, end: extent.end.max(now) });
        }
    }

    fn judge(&self, judged: &Judged<'_>) -> PartitionStatus {
        let Judged { applied, log, lost, held, thresholds, now } = *judged;
        // What was applied of another log says nothing of this one.
        let applied = if log.is_some_and(|log| self.log != Some(log)) { 0 } else { applied };
        let first = self.coming.iter().find(|coming| coming.offset >= applied);
        let inputs = Inputs {
            applied,
            start: self.start,
            end: self.end,
            uncommitted: self.all,
            contact_at: self.contact_at,
            as_of: self.contacts.as_of(applied, first.map(|first| (first.at, first.basis))),
            end_moved_at: self.end_moved_at,
            hydrated_at: self.target,
            held,
            blocked: self.blocked.as_ref().or(self.waits.as_ref()),
            lost,
            is_read: self.is_read,
            went_back: self.went_back,
            window: &self.window,
        };
        partition(&inputs, &thresholds, now)
    }
}

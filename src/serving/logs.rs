//! What sources have told of each partition's log, and how far each generation is with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::freshness::{Basis, Contacts, Inputs, Moment, PartitionStatus, Sample, Thresholds, Window, partition};
use crate::ids::{By, GenerationId, PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::{Partition, Snapshot};
use crate::source::Extent;

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
    contact_at: Option<Moment>,
    end_moved_at: Option<Moment>,
    /// The log's end, where it was seen to lie before what some generation had applied.
    went_back: Option<u64>,
    /// Contacts that were asked for before, or then, may be of another log.
    began_at: Option<Moment>,
    lanes: Vec<Lane>,
}

/// How far a generation is with a partition's log.
#[derive(Debug, Default)]
struct Lane {
    generation: GenerationId,
    /// The end that was known first: where hydration ends.
    target: Option<u64>,
    /// Those that its versions may be as old as: of each as many, however far behind another is.
    contacts: Contacts,
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
    pub paused: Option<&'a Arc<str>>,
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

    fn change_lane<T>(
        &self,
        of: GenerationId,
        partition: PartitionId,
        change: impl FnOnce(&mut Lane) -> T,
    ) -> Option<T> {
        self.change(partition, |log| log.lane_mut(of).map(change)).flatten()
    }

    /// A generation begins: to the end of each log that is known, it hydrates.
    pub fn begin(&self, generation: GenerationId) {
        // Nobody adds a log meanwhile.
        let logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        for log in logs.iter() {
            let mut log = lock(log);
            let mut lane = Lane { generation, target: log.end, ..Lane::default() };
            if let (Some(at), Some(all)) = (log.contact_at, log.all) {
                lane.contacts.push(at, all);
            }
            log.lanes.push(lane);
        }
    }

    /// A generation is no more.
    pub fn discard(&self, generation: GenerationId) {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        for log in logs.iter() {
            lock(log).lanes.retain(|lane| lane.generation != generation);
        }
    }

    /// A partition is there: one that is known already, of this log or another, or the next. `generations` are all that there are,
    /// each with whether it has hydrated: one that comes late has nothing to hydrate.
    pub fn found(
        &self,
        partition: PartitionId,
        (topic, number): (TopicId, u32),
        log: LogId,
        now: Moment,
        generations: impl Iterator<Item = (GenerationId, bool)>,
    ) {
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        match logs.get(partition) {
            None => {
                let lane = |(generation, late): (GenerationId, bool)| Lane {
                    generation,
                    target: late.then_some(0),
                    ..Lane::default()
                };
                let lanes = generations.map(lane).collect();
                logs.push(Arc::new(Mutex::new(Log { topic, number, log: Some(log), lanes, ..Log::default() })));
            }
            Some(known) => {
                let mut known = lock(known);
                if known.log != Some(log) {
                    known.become_other(log, now);
                    known.lanes.iter_mut().for_each(Lane::restart);
                }
            }
        }
    }

    /// A record is on its way to the graph: the first of a batch, or one that is held.
    pub fn coming(&self, of: GenerationId, partition: PartitionId, offset: u64, at: Instant, basis: Basis) {
        self.change_lane(of, partition, |lane| {
            if lane.coming.back().is_none_or(|last| last.offset < offset) {
                lane.coming.push_back(Coming { offset, at, basis });
            }
        });
    }

    /// Says whether somebody reads a partition.
    pub fn read(&self, of: GenerationId, partition: PartitionId, is_read: bool) {
        self.change_lane(of, partition, |lane| lane.is_read = is_read);
    }

    /// Why the next record of a partition cannot be read now; none once it can.
    pub fn block(&self, of: GenerationId, partition: PartitionId, why: Option<String>) {
        self.change_lane(of, partition, |lane| lane.blocked = why.map(Into::into));
    }

    /// Why what was read of a partition is not applied yet; none once it is.
    pub fn wait(&self, of: GenerationId, partition: PartitionId, why: Option<String>) {
        self.change_lane(of, partition, |lane| lane.waits = why.map(Into::into));
    }

    /// Says whether as much of a partition waits as may.
    pub fn fill(&self, of: GenerationId, partition: PartitionId, is_full: bool) {
        self.change_lane(of, partition, |lane| lane.is_full = is_full);
    }

    pub fn is_full(&self, of: GenerationId, partition: PartitionId) -> bool {
        self.change_lane(of, partition, |lane| lane.is_full).unwrap_or(false)
    }

    /// A generation reads another log of the same topic from now on. The first to say so says it of the log.
    pub fn restarted(&self, of: GenerationId, partition: PartitionId, log: LogId, now: Moment) {
        self.change(partition, |known| {
            if known.log != Some(log) {
                known.become_other(log, now);
            }
            known.lane_mut(of).into_iter().for_each(Lane::restart);
        });
    }

    /// Whether a partition's log is this one by now.
    pub fn is_called(&self, partition: PartitionId, log: LogId) -> bool {
        self.change(partition, |known| known.log == Some(log)).unwrap_or(false)
    }

    /// Nobody asks any more for a version of a generation's that has applied less than this of a log.
    pub fn retire(&self, generation: GenerationId, partition: PartitionId, of: LogId, applied: u64) {
        self.change(partition, |log| {
            if log.log != Some(of) {
                return;
            }
            let Some(lane) = log.lane_mut(generation) else { return };
            lane.retired = applied;
            while lane.coming.front().is_some_and(|coming| coming.offset < applied) {
                lane.coming.pop_front();
            }
            lane.contacts.forget(applied);
        });
    }

    /// A source has answered where the log of a partition starts and ends. `then` is what some generation had applied when it
    /// was asked, `now` what a generation has.
    pub fn contact(&self, asked: Moment, extent: &Extent, then: u64, now: impl Fn(GenerationId) -> u64) {
        self.change(extent.partition, |log| log.contact(asked, extent, then, now));
    }

    /// The end that was known first, once one was.
    pub fn target(&self, of: GenerationId, partition: PartitionId) -> Option<u64> {
        self.change_lane(of, partition, |lane| lane.target).flatten()
    }

    /// Topics and numbers of the partitions that were found after the first `count`.
    pub fn found_after(&self, count: usize) -> Vec<(TopicId, u32)> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.iter().skip(count).map(|log| lock(log)).map(|log| (log.topic, log.number)).collect()
    }

    /// The topics of which a partition was found and told of.
    pub fn heard(&self, of: GenerationId) -> Vec<TopicId> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let is_heard = |log: &Log| log.lane(of).is_some_and(|lane| lane.target.is_some());
        logs.iter().map(|log| lock(log)).filter(|log| is_heard(log)).map(|log| log.topic).collect()
    }

    /// Whether every partition of a generation's version has come to the end that was known first.
    pub fn is_hydrated(&self, of: GenerationId, snapshot: &Snapshot) -> bool {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let reached = |(partition, log): (PartitionId, &Arc<Mutex<Log>>)| {
            let (log, known) = (lock(log), snapshot.partitions.get(partition));
            let is_it = |known: &&Partition| log.log == Some(known.log);
            let applied = known.filter(is_it).map_or(0, |_| snapshot.applied[partition]);
            log.lane(of).and_then(|lane| lane.target).is_some_and(|target| applied >= target)
        };
        logs.entries().all(reached)
    }

    /// Judges a partition.
    pub fn judge(&self, of: GenerationId, partition: PartitionId, judged: &Judged<'_>) -> PartitionStatus {
        let judge = |log: &mut Log| log.lane(of).map(|lane| log.judge(lane, judged));
        // The projector may hear of it first.
        self.change(partition, judge).flatten().unwrap_or_else(|| Logs::unknown(judged))
    }

    /// Judges a topic by when its partitions were listed: as one that is empty, and was asked for then.
    pub fn list(at: Option<Moment>, judged: &Judged<'_>) -> PartitionStatus {
        let (mut log, mut lane) = (Log::default(), Lane { is_read: true, ..Lane::default() });
        if let Some(at) = at {
            (log.start, log.end, lane.target, log.contact_at) = (Some(0), Some(0), Some(0), Some(at));
            lane.contacts.push(at, 0);
        }
        log.judge(&lane, judged)
    }

    /// Judges a partition that was not found.
    pub fn unknown(judged: &Judged<'_>) -> PartitionStatus {
        Log::default().judge(&Lane::default(), judged)
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// Another log is read from now on.
    fn restart(&mut self) {
        let (target, contacts) = (self.target.map(|_| 0), std::mem::take(&mut self.contacts));
        let Lane { generation, is_read, .. } = *self;
        *self = Lane { generation, target, contacts, is_read, ..Lane::default() };
    }
}

impl Log {
    fn lane(&self, of: GenerationId) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.generation == of)
    }

    fn lane_mut(&mut self, of: GenerationId) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.generation == of)
    }

    /// What was told of it was of another log.
    fn become_other(&mut self, log: LogId, now: Moment) {
        let Log { topic, number, .. } = *self;
        let mut lanes = std::mem::take(&mut self.lanes);
        lanes.iter_mut().for_each(|lane| lane.contacts = Contacts::default());
        *self = Log { topic, number, log: Some(log), began_at: Some(now), lanes, ..Log::default() };
    }

    fn contact(&mut self, asked: Moment, extent: &Extent, then: u64, now: impl Fn(GenerationId) -> u64) {
        if self.began_at.is_some_and(|began_at| began_at.tick_ms >= asked.tick_ms) {
            return;
        }
        if self.end != Some(extent.end) {
            self.end_moved_at = Some(asked);
        }
        (self.start, self.end, self.all) = (Some(extent.start), Some(extent.end), Some(extent.all));
        self.contact_at = Some(asked);
        self.went_back = Some(extent.all).filter(|all| *all < then);
        for lane in &mut self.lanes {
            if self.went_back.is_none() {
                lane.contacts.push(asked, extent.all);
                lane.contacts.forget(lane.retired);
            }
            // What a log lost is not waited for.
            lane.target = Some(lane.target.map_or(extent.end, |target| target.min(extent.end)));
            if lane.sampled_at.is_none_or(|at| asked.ms_since(at) >= SAMPLE_MS) {
                let applied = now(lane.generation);
                lane.sampled_at = Some(asked);
                lane.window.push(Sample { at: asked, applied, end: extent.end.max(applied) });
            }
        }
    }

    fn judge(&self, lane: &Lane, judged: &Judged<'_>) -> PartitionStatus {
        let Judged { applied, log, lost, held, paused, thresholds, now } = *judged;
        // What was applied of another log says nothing of this one.
        let applied = if log.is_some_and(|log| self.log != Some(log)) { 0 } else { applied };
        let first = lane.coming.iter().find(|coming| coming.offset >= applied);
        let inputs = Inputs {
            applied,
            start: self.start,
            end: self.end,
            uncommitted: self.all,
            contact_at: self.contact_at,
            as_of: lane.contacts.as_of(applied, first.map(|first| (first.at, first.basis))),
            end_moved_at: self.end_moved_at,
            hydrated_at: lane.target,
            held,
            paused,
            blocked: lane.blocked.as_ref().or(lane.waits.as_ref()),
            lost,
            is_read: lane.is_read,
            // Who has applied less than is there has lost nothing.
            went_back: self.went_back.filter(|all| *all < applied),
            window: &lane.window,
        };
        partition(&inputs, &thresholds, now)
    }
}

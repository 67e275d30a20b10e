//! A generation of a later model that begins while the process runs: it reads all from where the logs begin, at a pace of its own, and
//! may be gone at any moment. Who serves beside it is not to notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use staygraph::freshness::{Status, Thresholds};
use staygraph::ids::{PartitionId, TopicId};
use staygraph::pipeline::{Line, Parts, Wired};
use staygraph::position::LogId;
use staygraph::projection::{Gate, Projector, Snapshot};
use staygraph::serving::{DomainServing, Generation, Serving};
use staygraph::source::{Raw, Sink as _, Taken};
use staygraph::telemetry::Metrics;

use super::belief::{Lane, undisturbed};
use super::cluster::{Cluster, Log};
use super::dice::{moment, tick};
use super::life::{Feed, formats, topics};
use crate::laws::digests;
use crate::laws::world::World;

/// Less than what the channel to the projector holds, by what is told to all projectors at once.
const QUEUED_MAX: usize = 3;

pub struct Shadow {
    world: World,
    line: Line,
    generation: Arc<Generation>,
    reads: BTreeMap<PartitionId, Read>,
    queued: usize,
    version: u64,
}

/// A partition that it reads.
struct Read {
    next: u64,
    is_pending: bool,
    lane: Lane,
}

impl Shadow {
    pub fn begin(wired: &Wired, serving: &Arc<Serving>, cluster: &Cluster, gate: Gate) -> Shadow {
        let world = World::later(cluster.modes);
        let mut projector = Projector::new(world.model.clone(), world.rules.clone(), topics(cluster), 1_000_000);
        let domains = [(); 2].map(|()| DomainServing { thresholds: Thresholds::default(), held: None });
        let generation = serving.begin(world.model.clone(), Vec::from(domains).into(), projector.publish());
        let parts = Parts {
            formats: formats(cluster),
            decoder: world.decoder.clone(),
            outlet: None,
            projector,
            gate,
            generation: generation.clone(),
            saving: None,
            metrics: Arc::new(Metrics::new(world.model.clone()).expect("names that are new")),
            clock: moment,
            tick,
        };
        let line = wired.line(parts, cluster.topics());
        Shadow { world, line, generation, reads: BTreeMap::new(), queued: 0, version: 0 }
    }

    /// Leaves room for one more piece of work.
    pub fn send(&mut self) {
        if self.queued >= QUEUED_MAX {
            self.project_all();
        }
        self.queued += 1;
    }

    pub fn project_all(&mut self) {
        while self.line.projecting.step() {}
        self.queued = 0;
    }

    pub fn project(&mut self) -> bool {
        let is_work = self.line.projecting.step();
        self.queued = if is_work { self.queued.saturating_sub(1) } else { 0 };
        is_work
    }

    fn sink(&mut self, feed: &Feed) -> &mut staygraph::pipeline::PartitionSink {
        &mut self.line.sinks[feed.place / 2]
    }

    fn flush(&mut self, feed: &Feed) {
        let Some(read) = self.reads.get_mut(&feed.partition) else { return };
        if std::mem::take(&mut read.is_pending) {
            let next = read.next;
            read.lane.reach(next);
            self.send();
            assert_eq!(self.sink(feed).flush(feed.partition, next), Taken::Yes);
        }
    }

    /// A source tells its readers that a partition has another log.
    pub fn restart(&mut self, feed: &Feed, log: LogId, origin: LogId, start: u64) {
        if !self.reads.contains_key(&feed.partition) {
            return;
        }
        self.flush(feed);
        // Positions of one log and of the next can be told apart.
        self.project_all();
        self.send();
        assert_eq!(self.sink(feed).restart(feed.partition, log, origin, start, "another log".into()), Taken::Yes);
        self.project_all();
        if let Some(read) = self.reads.get_mut(&feed.partition) {
            read.lane.restart(log, origin, start);
            read.next = start;
        }
    }

    /// There is nothing of a partition that it could read.
    pub fn reads_nothing_of(&mut self, feed: &Feed) {
        self.sink(feed).reads(feed.partition, true);
    }

    /// Its reader hands on so many records of a partition; then, perhaps, sends them on their way.
    pub fn hand_on(&mut self, cluster: &Cluster, feed: &Feed, count: usize, flushes: bool) {
        let log: &Log = &cluster.logs[feed.place];
        if feed.is_gone || log.origin != feed.origin || feed.next > log.end {
            return;
        }
        if !self.reads.contains_key(&feed.partition) {
            self.send();
            let next = self.sink(feed).begin(feed.partition, feed.log, feed.origin, feed.start);
            self.sink(feed).reads(feed.partition, true);
            self.project_all();
            let lane = Lane::new(feed.place, feed.log, next);
            self.reads.insert(feed.partition, Read { next, is_pending: false, lane });
        }
        let next = self.reads[&feed.partition].next;
        if next < log.start {
            self.flush(feed);
            self.send();
            assert_eq!(self.sink(feed).lose(feed.partition, log.start, "it is gone".into()), Taken::Yes);
            let read = self.reads.get_mut(&feed.partition).expect("it is read");
            read.lane.reach(log.start);
            read.next = log.start;
        }
        let next = self.reads[&feed.partition].next;
        for record in log.records.iter().filter(|record| record.offset >= next).take(count) {
            let (at, basis) = record.stamp;
            let raw = Raw { offset: record.offset, at, basis, key: None, value: Some(&record.value), headers: &[] };
            // A batch may be full.
            self.send();
            match self.sink(feed).take(feed.partition, &raw) {
                Taken::Yes => {}
                Taken::Full if self.sink(feed).is_paused(feed.partition) => break,
                taken => panic!("{taken:?}"),
            }
            let read = self.reads.get_mut(&feed.partition).expect("it is read");
            read.lane.give(record.offset, record.given.clone());
            (read.next, read.is_pending) = (record.offset + 1, true);
        }
        let read = self.reads.get_mut(&feed.partition).expect("it is read");
        if flushes && log.records.iter().all(|record| record.offset < read.next) && read.next < log.end {
            (read.next, read.is_pending) = (log.end, true);
        }
        if flushes {
            self.flush(feed);
        }
    }

    /// What it shows is what its model makes of the records that it has come to.
    pub fn check(&mut self, cluster: &Cluster) {
        let snapshot = self.generation.snapshot();
        assert!(snapshot.version >= self.version);
        if snapshot.version > self.version {
            self.version = snapshot.version;
            let at = |(id, read): (&PartitionId, &Read)| read.lane.at(&snapshot.partitions[*id], snapshot.applied[*id]);
            let lanes: Vec<Lane> = self.reads.iter().map(at).collect();
            assert_eq!(digests(&snapshot.graph), undisturbed(&self.world, cluster, lanes.iter()));
            assert_eq!(snapshot.graph.validate(), Ok(()));
        }
        let pinned = self.generation.pin();
        for (id, status) in pinned.freshness.partitions.entries() {
            let is_short = self.generation.target(id).is_none_or(|target| status.applied < target);
            let is_building = matches!(status.status, Status::Hydrating | Status::Unknown);
            assert!(!is_short || is_building, "{id:?} is short of its target, and {:?}", status.status);
        }
    }

    /// Whether it has come to where another generation is.
    pub fn is_through(&self, other: &Snapshot) -> bool {
        let own = self.generation.snapshot();
        self.reads.keys().all(|id| own.applied[*id] == other.applied[*id])
    }

    /// It has come to the end, and says so.
    pub fn check_end(&self, cluster: &Cluster) {
        assert!(self.generation.ready_at().is_some(), "{:?}", self.generation.why_unready());
        for (id, status) in self.generation.pin().freshness.domains.entries() {
            assert_eq!(status.status, Status::Fresh, "{id:?}: {}", status.reason());
        }
        let is_read = |log: &Log| {
            let is_it = |known: &PartitionId| {
                let known = &self.generation.snapshot().partitions[*known];
                (known.topic, known.number) == (log.topic, log.number)
            };
            self.reads.keys().any(is_it)
        };
        let topics = TopicId(cluster.topics() as u32);
        assert!(cluster.logs.iter().filter(|log| log.is_there && log.topic < topics).all(is_read));
    }

    /// It is no more.
    pub fn discard(self) {
        let left = Arc::downgrade(&self.generation);
        self.line.retrier.close();
        drop(self);
        assert!(left.upgrade().is_none(), "somebody holds a generation that was discarded");
    }
}

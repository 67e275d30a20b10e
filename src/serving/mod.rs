//! What requests read and sources tell: versions of each generation, the logs' ends, and who waits for which.
//!
//! A [`Generation`] is what one projection of the logs comes to; there may be several beside each other, each as fresh as it is.
//! [`Serving`] is what they share: what sources tell of the logs, and which checkpoints there are.

mod digests;
mod generation;
mod logs;
mod pauses;
mod versions;
mod waits;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use arc_swap::ArcSwap;

use crate::freshness::{Moment, Thresholds};
use crate::ids::{By, DomainId, GenerationId, Id, PartitionId, TopicId};
use crate::model::Model;
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::Snapshot;
use crate::source::{Asked, Extent};

pub use generation::{Freshness, Generation, Pinned, Unready};
use logs::Logs;
pub use pauses::{Pauses, Place, StillPaused};
pub use versions::{Since, TooOld};
pub use waits::{Short, TooMany, Wanted};

/// Has the logs' ends asked for at once.
pub type ContactNow = Box<dyn Fn() + Send + Sync>;

/// A checkpoint that a start can be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// Of all partitions.
    pub position: String,
    /// The model's fingerprint.
    pub model: String,
    /// Of its data.
    pub bytes: u64,
    /// Where people find its data.
    pub location: String,
}

/// What a domain is served with.
#[derive(Clone, Debug)]
pub struct DomainServing {
    pub thresholds: Thresholds,
    /// Why its records are held back on purpose, where they are.
    pub held: Option<Arc<str>>,
}

/// Which partitions a topic has, as its source told last.
#[derive(Clone, Debug, Default)]
struct List {
    /// Before the source was asked for it.
    at: Option<Moment>,
    /// Numbers of those that are there, and were not found.
    unfound: Vec<u32>,
}

/// What all generations share. A generation is one of its own for as long as somebody holds it.
pub struct Serving {
    logs: Logs,
    pauses: Pauses,
    generations: RwLock<Generations>,
    /// What a person has to know.
    remarks: RwLock<By<TopicId, Option<Arc<str>>>>,
    lists: RwLock<By<TopicId, List>>,
    /// Sources that have not told their partitions yet.
    unheard: AtomicUsize,
    /// Newest first.
    checkpoints: ArcSwap<Vec<Checkpoint>>,
    contact_now: ContactNow,
    clock: fn() -> Moment,
    pub started_at: Instant,
}

/// Those that are there, in the order in which they began, and how many ever were.
#[derive(Default)]
struct Generations {
    all: Vec<Weak<Generation>>,
    begun: usize,
}

impl Generations {
    fn alive(&self) -> impl Iterator<Item = Arc<Generation>> {
        self.all.iter().filter_map(Weak::upgrade)
    }
}

impl Serving {
    /// Of `sources` sources, which read so many topics, each is to tell its partitions before a generation is ready.
    pub fn new(topics: usize, sources: usize, contact_now: ContactNow, clock: fn() -> Moment) -> Serving {
        Serving {
            logs: Logs::default(),
            pauses: Pauses::default(),
            generations: RwLock::default(),
            remarks: RwLock::new((0..topics).map(|_| None).collect()),
            lists: RwLock::new((0..topics).map(|_| List::default()).collect()),
            unheard: AtomicUsize::new(sources),
            checkpoints: ArcSwap::default(),
            contact_now,
            clock,
            started_at: clock().at,
        }
    }

    /// Begins a generation with its first version. What that knows of partitions has their numbers.
    pub fn begin(
        self: &Arc<Serving>,
        model: Arc<Model>,
        domains: By<DomainId, DomainServing>,
        first: Snapshot,
    ) -> Arc<Generation> {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let id = GenerationId::of(generations.begun);
        generations.begun += 1;
        self.logs.begin(id);
        let known = first.partitions.clone();
        let generation = Arc::new(Generation::new(id, self.clone(), model, domains, first));
        generations.all.retain(|generation| generation.strong_count() > 0);
        generations.all.push(Arc::downgrade(&generation));
        for (partition, known) in known.entries() {
            self.add(&generations, partition, (known.topic, known.number), known.log);
        }
        generation
    }

    fn generations(&self) -> Vec<Arc<Generation>> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner).alive().collect()
    }

    /// The checkpoints that there are, newest first.
    pub fn checkpoints(&self) -> Arc<Vec<Checkpoint>> {
        self.checkpoints.load_full()
    }

    pub fn set_checkpoints(&self, checkpoints: Vec<Checkpoint>) {
        self.checkpoints.store(Arc::new(checkpoints));
    }

    pub fn now(&self) -> Moment {
        (self.clock)()
    }

    /// A partition of a topic is there. Each is told in the order of their numbers.
    pub fn found(&self, partition: PartitionId, topic: TopicId, number: u32, log: LogId) {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        self.add(&generations, partition, (topic, number), log);
    }

    fn add(&self, generations: &Generations, partition: PartitionId, place: (TopicId, u32), log: LogId) {
        // Held beyond the logs' lock, which whoever lets the last of them go takes.
        let alive: Vec<Arc<Generation>> = generations.alive().collect();
        let all = alive.iter().map(|generation| (generation.id(), generation.ready_at().is_some()));
        self.logs.found(partition, place, log, self.now(), all);
    }

    /// A source has told which partitions a topic has: those that were found, and these. A contact follows, which tells who
    /// waits.
    pub fn listed(&self, asked: &Asked, topic: TopicId, unfound: Vec<u32>) {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)[topic] = List { at: Some(asked.moment), unfound };
    }

    fn lists(&self) -> By<TopicId, List> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is nothing of a partition that anybody could read.
    pub fn gone(&self, partition: PartitionId) {
        self.generations().iter().for_each(|generation| generation.read(partition, true));
    }

    /// What a person has to know of a topic; none once it is mended.
    pub fn remark(&self, topic: TopicId, remark: Option<String>) {
        self.remarks.write().unwrap_or_else(PoisonError::into_inner)[topic] = remark.map(Into::into);
    }

    fn remark_of(&self, topic: TopicId) -> Option<Arc<str>> {
        self.remarks.read().unwrap_or_else(PoisonError::into_inner)[topic].clone()
    }

    /// What somebody paused, for all generations.
    pub fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// Nothing more of these places is read, from about now on.
    pub fn pause(&self, places: &[Place]) {
        let since: Arc<str> = format!("paused since {}, until somebody resumes it", self.now().at).into();
        self.pauses.pause(places, &since);
    }

    /// These places are read on. The error names one whose topic is paused as a whole: nothing changes then.
    pub fn resume(&self, places: &[Place]) -> Result<(), StillPaused> {
        self.pauses.resume(places)?;
        // Readers look at once.
        (self.contact_now)();
        Ok(())
    }

    /// A source has told its partitions for the first time.
    pub fn answered(&self) {
        self.unheard.fetch_sub(1, Ordering::AcqRel);
        self.generations().iter().for_each(|generation| generation.note_ready());
    }

    /// A source is about to be asked where logs end.
    pub fn asked(&self) -> Asked {
        let mut applied: By<PartitionId, u64> = By::default();
        for snapshot in self.generations().iter().map(|generation| generation.snapshot()) {
            for (partition, offset) in snapshot.applied.entries() {
                let most = applied.grow(partition, || 0);
                // What was applied of another log says nothing of this one.
                if self.logs.is_called(partition, snapshot.partitions[partition].log) {
                    *most = (*most).max(*offset);
                }
            }
        }
        Asked { moment: self.now(), applied }
    }

    /// A source has told where the logs of some partitions start and end.
    pub fn contact(&self, asked: &Asked, extents: &[Extent]) {
        let generations = self.generations();
        let now: Vec<_> = generations.iter().map(|generation| (generation.id(), generation.snapshot())).collect();
        for extent in extents {
            let at = |applied: &By<PartitionId, u64>| applied.get(extent.partition).copied().unwrap_or(0);
            let now = |of: GenerationId| {
                now.iter().find(|(id, _)| *id == of).map_or(0, |(_, snapshot)| at(&snapshot.applied))
            };
            self.logs.contact(asked.moment, extent, at(&asked.applied), now);
        }
        for generation in generations {
            generation.note_ready();
            // Not the projector's time, and every millisecond makes the contact older.
            generation.tell_now();
        }
    }

    /// The next record of a partition that readers of the first generation see: of the one that serves.
    pub fn applied(&self, partition: PartitionId) -> u64 {
        let first = self.generations.read().unwrap_or_else(PoisonError::into_inner).alive().next();
        first.and_then(|first| first.snapshot().applied.get(partition).copied()).unwrap_or(0)
    }
}

//! The rules that turn events into a graph: order, duplicates, gaps, deletion, erasure, merging.
//!
//! Pure and synchronous: the graph after [`Projector::apply`] is a function of the set of events, whatever their order of
//! arrival. Counters, offsets and times of applying are outside that law. The naive twin in `tests/it/oracle.rs` says the
//! same in the plainest way, and the property tests hold the two together.
//!
//! Not here: reading logs, publishing versions, any clock.

mod apply;
mod catalogue;
mod dead;
mod groups;
mod pages;
mod record;
mod seen;

use std::sync::Arc;

pub use catalogue::{Catalogue, Drift, DriftKind, Seen};
pub use dead::{DeadLetter, DeadLetters};

use crate::event::{Batch, OrderBy};
use crate::graph::{Graph, View};
use crate::model::Model;
use crate::model::cell::Cell;
use crate::model::value::Instant;
use crate::position::{Entry, LogId};

/// What a domain's projection is told.
#[derive(Clone, Copy, Debug)]
pub struct DomainRules {
    pub order_by: OrderBy,
    /// Whether missing versions are reported; only under `sequence`.
    pub report_gaps: bool,
}

/// A partition that the projector reads, in the order in which batches number them.
#[derive(Clone, Debug)]
pub struct Partition {
    pub domain: usize,
    pub source: Arc<str>,
    pub topic: Arc<str>,
    pub log: LogId,
    pub number: u32,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub applied: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub dead: u64,
}

/// One version of all that queries read: the graph across all domains, and where it stands.
#[derive(Clone)]
pub struct Snapshot {
    pub version: u64,
    pub graph: View,
    pub partitions: Arc<Vec<Partition>>,
    /// By partition: the next record to apply.
    pub applied: Vec<u64>,
    /// By domain.
    pub counters: Vec<Counters>,
    /// By entity.
    pub catalogue: Vec<Arc<Catalogue>>,
    pub dead_letters: DeadLetters,
}

impl Snapshot {
    /// The partition's entry of a position.
    pub fn entry(&self, partition: usize) -> Entry {
        let description = &self.partitions[partition];
        Entry {
            topic: description.topic.clone(),
            log: Some(description.log),
            partition: description.number,
            offset: self.applied[partition],
        }
    }
}

/// Events whose keys are looked up together: few enough that what was fetched for the last is still cached.
const AHEAD: usize = 256;

/// The slots that some events name, where those had one when they were looked up.
#[derive(Default)]
struct Ahead {
    /// By event: its own first, then its links' targets in their order.
    slots: Vec<Option<u32>>,
    starts: Vec<usize>,
}

impl Ahead {
    fn of(&self, event: usize) -> &[Option<u32>] {
        &self.slots[self.starts[event]..]
    }
}

/// Owns the graph and every write to it.
pub struct Projector {
    model: Arc<Model>,
    rules: Vec<DomainRules>,
    partitions: Arc<Vec<Partition>>,
    /// By partition: its topic's rank among all, which orders stamps of equal offset.
    topic_ranks: Vec<u64>,
    graph: Graph,
    /// What the rules keep of the entity at hand; its buffers are used again.
    record: record::Record,
    groups: groups::Groups,
    /// By partition: the ids that tell duplicates under `position`.
    recent: Vec<seen::Recent>,
    applied: Vec<u64>,
    counters: Vec<Counters>,
    catalogue: Vec<Arc<Catalogue>>,
    tally: catalogue::Tally,
    dead_letters: DeadLetters,
    version: u64,
}

impl Projector {
    /// `ids_remembered` is how many ids of a partition are kept to tell duplicates under `position`.
    pub fn new(
        model: Arc<Model>,
        rules: Vec<DomainRules>,
        partitions: Vec<Partition>,
        ids_remembered: usize,
    ) -> Projector {
        let mut topics: Vec<&str> = partitions.iter().map(|partition| partition.topic.as_ref()).collect();
        topics.sort_unstable();
        topics.dedup();
        let rank = |partition: &Partition| topics.binary_search(&partition.topic.as_ref()).unwrap_or(0) as u64;
        Projector {
            graph: Graph::new(model.clone()),
            record: record::Record::default(),
            groups: groups::Groups::default(),
            recent: partitions.iter().map(|_| seen::Recent::new(ids_remembered)).collect(),
            applied: vec![0; partitions.len()],
            counters: vec![Counters::default(); model.domains.len()],
            catalogue: model.entities.iter().map(|_| Arc::new(Catalogue::default())).collect(),
            tally: catalogue::Tally::default(),
            dead_letters: DeadLetters::default(),
            version: 0,
            topic_ranks: partitions.iter().map(rank).collect(),
            partitions: Arc::new(partitions),
            rules,
            model,
        }
    }

    /// Applies records in their order. Those before the partition's position are in already, and left out.
    pub fn apply(&mut self, batch: &Batch, now: Instant) {
        let partition = batch.partition;
        for start in (0..batch.len()).step_by(AHEAD) {
            let records = || batch.records().skip(start).take(AHEAD);
            let ahead = self.look_ahead(records());
            for (index, record) in records().enumerate() {
                let (offset, appended_at, known) = (record.offset, record.appended_at, ahead.of(index));
                if offset < self.applied[partition] {
                    continue;
                }
                match record.outcome {
                    Ok(event) => {
                        self.apply_event(&event, apply::Place { partition, offset, appended_at, now, known });
                    }
                    Err(refused) => self.bury(refused, partition, offset, appended_at),
                }
                self.applied[partition] = offset + 1;
            }
        }
        self.applied[partition] = self.applied[partition].max(batch.next_offset);
    }

    /// Looks up together what some events name.
    fn look_ahead<'a>(&self, records: impl Iterator<Item = crate::event::Record<'a>>) -> Ahead {
        let mut ahead = Ahead::default();
        let mut named = Vec::new();
        let mut keys = vec![Vec::new(); self.model.entities.len()];
        for record in records {
            ahead.starts.push(named.len());
            let Ok(event) = record.outcome else { continue };
            let mut name = |entity: usize, key| {
                named.push(entity);
                keys[entity].push(key);
            };
            name(event.entity, event.key);
            for (field, cell) in event.patch.iter() {
                if let (Some(target), Cell::String(key)) =
                    (self.model.entities[event.entity].fields[field].kind.link(), cell)
                {
                    name(target, key);
                }
            }
        }
        let found = keys.iter().enumerate().map(|(entity, keys)| self.graph.find_all(entity, keys).into_iter());
        let mut found: Vec<_> = found.collect();
        ahead.slots = named.into_iter().map(|entity| found[entity].next().flatten()).collect();
        ahead
    }

    /// A new version of everything applied so far.
    pub fn publish(&mut self) -> Snapshot {
        self.version += 1;
        self.settle_tally();
        Snapshot {
            version: self.version,
            graph: self.graph.publish(),
            partitions: self.partitions.clone(),
            applied: self.applied.clone(),
            counters: self.counters.clone(),
            catalogue: self.catalogue.clone(),
            dead_letters: self.dead_letters.clone(),
        }
    }

    /// The next record of a partition to apply.
    pub fn position(&self, partition: usize) -> u64 {
        self.applied[partition]
    }

    fn settle_tally(&mut self) {
        self.tally.settle(&mut self.catalogue, |name| self.graph.text(name));
    }

    /// Pages of the graph with records that are kept for a version, or wait to be dropped.
    pub fn backlog(&self) -> usize {
        self.graph.backlog()
    }

    /// Records of the graph that are kept for older versions, or wait to be dropped. Looks at every page.
    pub fn older(&self) -> usize {
        self.graph.older()
    }

    /// The versions that somebody reads, the newest among them.
    pub fn pinned(&self) -> usize {
        self.graph.pinned()
    }

    fn bury(&mut self, refused: &crate::event::Refused, partition: usize, offset: u64, appended_at: Instant) {
        let description = &self.partitions[partition];
        let domain = &self.model.domains[description.domain];
        let prefix = refused.rejection.kind.as_deref().and_then(|kind| kind.split_once('.')).map(|(prefix, _)| prefix);
        let named = prefix.and_then(|prefix| self.model.entity_of_event(prefix));
        let entity = named.filter(|entity| domain.entities.contains(entity)).or(domain.entities.first().copied());
        if let Some(entity) = entity {
            Arc::make_mut(&mut self.catalogue[entity]).dead_letter(refused.rejection.code);
        }
        self.counters[description.domain].dead += 1;
        self.dead_letters.push(DeadLetter {
            domain: domain.name.as_str().into(),
            topic: description.topic.clone(),
            partition: description.number,
            offset,
            at: appended_at,
            bytes: refused.bytes.clone(),
            rejection: (*refused.rejection).clone(),
        });
    }
}

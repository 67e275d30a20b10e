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
mod digest;
mod entity;
mod erasure;
mod folded;
mod gate;
mod groups;
mod ledger;
mod pages;
mod remembered;
mod rivals;
mod saved;
mod seen;
mod stamp;
mod truncate;

use std::ops::Range;
use std::sync::Arc;

pub use catalogue::{Catalogue, Drift, DriftKind, Seen};
pub use dead::{DeadLetter, DeadLetters};
pub use digest::{Digest, Digester, STEP as DIGEST_STEP, digest, digest_since};
pub use entity::Told;
pub use erasure::Erased;
pub use folded::{Changes, Folded};
pub use gate::{Boundaries, Gate, Step, Steps, Waits};
use remembered::Remembered;
pub use rivals::{Disagreement, Example};
pub use saved::{Capture, Owner, Vault, relabel, strip};
pub use stamp::{Place, Stamp};

use crate::event::{Batch, OrderBy, SUBJECT_BYTES_MAX};
use crate::graph::{Graph, View};
use crate::ids::{By, DomainId, EntityId, PartitionId, Slot, TopicId};
use crate::model::Model;
use crate::model::cell::Cell;
use crate::model::value::Instant;
use crate::position::{Entry, LogId, Position};

/// What a domain's projection is told.
#[derive(Clone, Copy, Debug)]
pub struct DomainRules {
    pub order_by: OrderBy,
    /// Whether missing versions are reported; only under `sequence`.
    pub report_gaps: bool,
}

/// A topic that may carry events of some domains, whether it is there yet or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub source: Arc<str>,
    pub name: Arc<str>,
    pub domains: Arc<[DomainId]>,
}

impl Topic {
    /// A topic of its own for each domain, named as it is.
    pub fn of_domains(model: &Model, source: &str) -> By<TopicId, Topic> {
        let topic = |(id, domain): (DomainId, &crate::model::Domain)| Topic {
            source: source.into(),
            name: domain.name.as_str().into(),
            domains: [id].into(),
        };
        model.domains.entries().map(topic).collect()
    }
}

/// A partition that the projector reads.
#[derive(Clone, Debug)]
pub struct Partition {
    pub topic: TopicId,
    pub log: LogId,
    /// What its topic was made as. The same as `log`, unless that lost records.
    pub origin: LogId,
    /// In its topic.
    pub number: u32,
    /// What of its log was gone before it was read.
    pub lost: Option<Arc<str>>,
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
    pub topics: Arc<By<TopicId, Topic>>,
    pub partitions: Arc<By<PartitionId, Partition>>,
    /// The next record to apply.
    pub applied: By<PartitionId, u64>,
    pub counters: By<DomainId, Counters>,
    pub catalogue: By<EntityId, Arc<Catalogue>>,
    pub dead_letters: DeadLetters,
    /// How often something changed that no position tells of: dead letters read once more, or discarded.
    pub unplaced: u64,
    /// Words on fields that several producers set, which were not kept as there are too many such fields.
    pub untold: u64,
    pub memory: Memory,
}

/// Bytes of what only the writer needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The graph's: records' addresses, what waits for a version, names.
    pub writer: usize,
    /// What the rules remember beside the records: ids, merges, what producers disagree on.
    pub rules: usize,
}

impl Snapshot {
    /// A partition as people write it: `topic/number`.
    pub fn name(&self, partition: PartitionId) -> String {
        format!("{}/{}", self.topic(partition).name, self.partitions[partition].number)
    }

    /// Of all partitions.
    pub fn position(&self) -> Position {
        let mut position = Position::default();
        for (id, Partition { log, number, .. }) in self.partitions.entries() {
            let topic = self.topic(id).name.clone();
            position.include(Entry { topic, log: Some(*log), partition: *number, offset: self.applied[id] });
        }
        position
    }

    /// The topic that a partition is of.
    pub fn topic(&self, partition: PartitionId) -> &Topic {
        &self.topics[self.partitions[partition].topic]
    }
}

/// Events whose keys are looked up together: few enough that what was fetched for the last is still cached.
const AHEAD: usize = 256;

/// The slots that some events name, where those had one when they were looked up.
#[derive(Default)]
struct Ahead {
    /// By event: its own first, then its links' targets in their order.
    slots: Vec<Option<Slot>>,
    starts: Vec<usize>,
}

impl Ahead {
    fn of(&self, event: usize) -> &[Option<Slot>] {
        &self.slots[self.starts[event]..]
    }
}

/// Owns the graph and every write to it.
pub struct Projector {
    model: Arc<Model>,
    rules: By<DomainId, DomainRules>,
    topics: Arc<By<TopicId, Topic>>,
    partitions: Arc<By<PartitionId, Partition>>,
    /// Each topic's rank among all by name, which orders stamps of equal offset.
    topic_ranks: By<TopicId, u64>,
    ids_remembered: usize,
    graph: Graph,
    /// What the rules keep of the entity at hand; its buffers are used again.
    ledger: ledger::Ledger,
    /// What the event at hand does.
    effect: entity::Effect,
    remembered: Remembered,
    /// What erasures reached, until somebody takes it.
    erased: Erased,
    applied: By<PartitionId, u64>,
    counters: By<DomainId, Counters>,
    catalogue: By<EntityId, Arc<Catalogue>>,
    tally: catalogue::Tally,
    dead_letters: DeadLetters,
    /// Whether dead letters are read once more: nothing of it is counted twice.
    is_again: bool,
    /// Changes of what is served that no position tells of.
    unplaced: u64,
    version: u64,
}

impl Projector {
    /// `ids_remembered` is how many ids of a partition are kept to tell duplicates under `position`.
    pub fn new(
        model: Arc<Model>,
        rules: By<DomainId, DomainRules>,
        topics: By<TopicId, Topic>,
        ids_remembered: usize,
    ) -> Projector {
        let rank = |topic: &Topic| topics.iter().filter(|other| other.name < topic.name).count() as u64;
        Projector {
            graph: Graph::new(model.clone()),
            ledger: ledger::Ledger::default(),
            effect: entity::Effect::default(),
            remembered: Remembered::new(&model),
            erased: Erased::default(),
            applied: By::default(),
            ids_remembered,
            counters: model.domains.iter().map(|_| Counters::default()).collect(),
            catalogue: model.entities.iter().map(|_| Arc::new(Catalogue::default())).collect(),
            tally: catalogue::Tally::default(),
            dead_letters: DeadLetters::default(),
            is_again: false,
            unplaced: 0,
            version: 0,
            topic_ranks: topics.iter().map(rank).collect(),
            topics: topics.into(),
            partitions: Arc::default(),
            rules,
            model,
        }
    }

    /// Reads another partition from now on, from an offset of its log. Gives its number.
    pub fn add(&mut self, partition: Partition, start: u64) -> PartitionId {
        Arc::make_mut(&mut self.partitions).push(partition);
        self.remembered.recent.push(seen::Recent::new(self.ids_remembered));
        self.remembered.raised.push(0);
        self.applied.push(start)
    }

    /// Goes on from `next`: what lies before it is gone from the log, and was not applied.
    pub fn lose(&mut self, partition: PartitionId, next: u64, why: &str) {
        self.applied[partition] = self.applied[partition].max(next);
        Arc::make_mut(&mut self.partitions)[partition].lost = Some(why.into());
    }

    /// Goes on at the start of another log of the same topic.
    pub fn restart(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64, why: &str) {
        self.remembered.raised[partition] += self.applied[partition].saturating_sub(start);
        self.applied[partition] = start;
        let description = &mut Arc::make_mut(&mut self.partitions)[partition];
        (description.log, description.origin, description.lost) = (log, origin, Some(why.into()));
    }

    fn topic(&self, partition: PartitionId) -> &Topic {
        &self.topics[self.partitions[partition].topic]
    }

    /// Applies records in their order. Those before the partition's position are in already, and left out.
    pub fn apply(&mut self, batch: &Batch, now: Instant) {
        self.apply_before(batch, batch.next_offset, now);
    }

    /// Applies a batch's records before an offset.
    pub fn apply_before(&mut self, batch: &Batch, until: u64, now: Instant) {
        // One record may hold several events.
        let from = self.applied[batch.partition];
        self.apply_records(batch, from..until, now);
        self.applied[batch.partition] = from.max(until);
    }

    /// Applies what became of dead letters when they were read once more: each record's events in the place that the log
    /// gave it. The letters are taken away; what is refused again comes as a new one.
    pub fn apply_again(&mut self, batch: &Batch, letters: &[usize], now: Instant) {
        self.discard(letters);
        self.is_again = true;
        self.apply_records(batch, 0..u64::MAX, now);
        self.is_again = false;
        self.unplaced += 1;
    }

    /// Applies what a batch has between two offsets, wherever the partition stands.
    fn apply_records(&mut self, batch: &Batch, offsets: Range<u64>, now: Instant) {
        let partition = batch.partition;
        let all = batch.between(offsets.start, offsets.end);
        for start in all.clone().step_by(AHEAD) {
            let range = start..all.end.min(start + AHEAD);
            let ahead = self.look_ahead(batch.items_in(range.clone()));
            for (index, item) in batch.items_in(range).enumerate() {
                let crate::event::Item { offset, appended_at, commit, .. } = item;
                let known = ahead.of(index);
                match item.outcome {
                    Ok(event) => {
                        self.apply_event(&event, apply::Arrival { partition, offset, commit, appended_at, now, known });
                    }
                    Err(refused) => self.bury(refused, partition, offset, appended_at),
                }
            }
        }
        for (offset, appended_at, truncation) in &batch.truncations {
            if offsets.contains(offset) {
                self.truncate(truncation, partition, *offset, *appended_at, now);
            }
        }
    }

    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// Takes dead letters away that nobody wants.
    pub fn discard(&mut self, letters: &[usize]) {
        for letter in letters.iter().filter_map(|letter| self.dead_letters.remove(*letter)) {
            self.unplaced += 1;
            let Some(node) = letter.node else { continue };
            if let Some(count) = self.remembered.rejected.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    self.remembered.rejected.remove(&node);
                    self.graph.set_rejected(node, false);
                }
            }
        }
    }

    /// Looks up together what some events name.
    fn look_ahead<'a>(&self, items: impl Iterator<Item = crate::event::Item<'a>>) -> Ahead {
        let mut ahead = Ahead::default();
        let mut named = Vec::new();
        let mut keys: By<EntityId, Vec<_>> = self.model.entities.iter().map(|_| Vec::new()).collect();
        for item in items {
            ahead.starts.push(named.len());
            let Ok(event) = item.outcome else { continue };
            let mut name = |entity: EntityId, key| {
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
        let found = keys.entries().map(|(entity, keys)| self.graph.find_all(entity, keys).into_iter());
        let mut found: By<EntityId, _> = found.collect();
        ahead.slots = named.into_iter().map(|entity| found[entity].next().flatten()).collect();
        ahead
    }

    /// A new version of everything applied so far.
    pub fn publish(&mut self) -> Snapshot {
        self.version += 1;
        self.tell_catalogue();
        Snapshot {
            version: self.version,
            graph: self.graph.publish(),
            topics: self.topics.clone(),
            partitions: self.partitions.clone(),
            applied: self.applied.clone(),
            counters: self.counters.clone(),
            catalogue: self.catalogue.clone(),
            dead_letters: self.dead_letters.clone(),
            unplaced: self.unplaced,
            untold: self.remembered.rivals.untold(),
            memory: self.memory(),
        }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn topics(&self) -> &Arc<By<TopicId, Topic>> {
        &self.topics
    }

    /// The partitions that it reads.
    pub fn partitions(&self) -> &Arc<By<PartitionId, Partition>> {
        &self.partitions
    }

    /// How often something changed that no position tells of.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// The next record of a partition to apply.
    pub fn position(&self, partition: PartitionId) -> u64 {
        self.applied[partition]
    }

    fn tell_catalogue(&mut self) {
        self.tally.tell(&mut self.catalogue, |name| self.graph.text(name).clone());
        self.remembered.last_words.tell(&mut self.catalogue, |name| self.graph.text(name).clone());
        for entity in self.remembered.rivals.take_changed() {
            let disagreements = self.remembered.rivals.of(entity, |name| self.graph.text(name).clone());
            Arc::make_mut(&mut self.catalogue[entity]).disagreements = disagreements;
        }
    }

    fn memory(&self) -> Memory {
        Memory { writer: self.graph.size(), rules: self.remembered.size() }
    }

    /// Gives back what it keeps to be quick and will not need soon: once hydration is over.
    pub fn shrink(&mut self) {
        self.graph.shrink();
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

    fn bury(&mut self, refused: &crate::event::Refused, partition: PartitionId, offset: u64, appended_at: Instant) {
        let topic = self.topic(partition).clone();
        let rejection = &refused.rejection;
        let prefix = rejection.kind.as_deref().and_then(|kind| kind.split_once('.')).map(|(prefix, _)| prefix);
        let of_topic = |entity: &EntityId| topic.domains.contains(&self.model.entities[*entity].domain);
        let named = prefix.and_then(|prefix| self.model.entity_of_event(prefix)).filter(of_topic);
        // What does not say whose it is counts for the first that it may be of.
        let first = topic.domains.first().and_then(|domain| self.model.domains[*domain].entities.first().copied());
        let Some(entity) = named.or(first) else { return };
        let domain = self.model.entities[entity].domain;
        if !self.is_again {
            Arc::make_mut(&mut self.catalogue[entity]).dead_letter(rejection.code);
            self.counters[domain].dead += 1;
        }
        let subject = rejection.subject.as_deref().filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()));
        let node = named.zip(subject).map(|(entity, subject)| entity.node(self.graph.slot(entity, subject)));
        let is_erased = self.is_erased(node, &topic, refused);
        if let Some(node) = node {
            *self.remembered.rejected.entry(node).or_default() += 1;
            self.graph.set_rejected(node, true);
        }
        let mut letter = DeadLetter {
            domain: self.model.domains[domain].name.as_str().into(),
            topic: topic.name.clone(),
            partition: self.partitions[partition].number,
            offset,
            at: appended_at,
            bytes: refused.bytes.clone(),
            beside: refused.beside.clone(),
            partition_id: partition,
            node,
            rejection: (**rejection).clone(),
            is_erased: false,
        };
        if is_erased {
            letter.erase();
        }
        self.dead_letters.push(letter);
    }
}

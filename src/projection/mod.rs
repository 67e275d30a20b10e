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
mod erasure;
mod gate;
mod groups;
mod pages;
mod record;
mod rivals;
mod seen;
mod truncate;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub use catalogue::{Catalogue, Drift, DriftKind, Seen};
pub use dead::{DeadLetter, DeadLetters};
pub use erasure::Erased;
pub use gate::{Boundaries, Gate, Step, Steps, Waits};
pub use rivals::{Disagreement, Example};

use crate::event::{Batch, OrderBy, SUBJECT_BYTES_MAX};
use crate::graph::{Graph, View};
use crate::model::Model;
use crate::model::cell::Cell;
use crate::model::value::Instant;
use crate::position::LogId;

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
    pub domains: Arc<[usize]>,
}

impl Topic {
    /// A topic of its own for each domain, named as it is.
    pub fn of_domains(model: &Model, source: &str) -> Vec<Topic> {
        let topic = |(index, domain): (usize, &crate::model::Domain)| Topic {
            source: source.into(),
            name: domain.name.as_str().into(),
            domains: [index].into(),
        };
        model.domains.iter().enumerate().map(topic).collect()
    }
}

/// A partition that the projector reads, in the order in which batches number them.
#[derive(Clone, Debug)]
pub struct Partition {
    /// An index of the topics.
    pub topic: usize,
    pub log: LogId,
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
    pub topics: Arc<[Topic]>,
    /// By the number that batches have.
    pub partitions: Arc<Vec<Partition>>,
    /// By partition: the next record to apply.
    pub applied: Vec<u64>,
    /// By domain.
    pub counters: Vec<Counters>,
    /// By entity.
    pub catalogue: Vec<Arc<Catalogue>>,
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
    pub fn name(&self, partition: usize) -> String {
        format!("{}/{}", self.topic(partition).name, self.partitions[partition].number)
    }

    /// The topic that a partition is of.
    pub fn topic(&self, partition: usize) -> &Topic {
        &self.topics[self.partitions[partition].topic]
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
    topics: Arc<[Topic]>,
    partitions: Arc<Vec<Partition>>,
    /// By topic: its rank among all by name, which orders stamps of equal offset.
    topic_ranks: Vec<u64>,
    ids_remembered: usize,
    graph: Graph,
    /// What the rules keep of the entity at hand; its buffers are used again.
    record: record::Record,
    groups: groups::Groups,
    /// What erasures reached, until somebody takes it.
    erased: Erased,
    /// By partition: the ids that tell duplicates under `position`.
    recent: Vec<seen::Recent>,
    applied: Vec<u64>,
    /// By partition: what its offsets are raised by as stamps. A log that was made anew comes after the old one.
    raised: Vec<u64>,
    counters: Vec<Counters>,
    catalogue: Vec<Arc<Catalogue>>,
    tally: catalogue::Tally,
    rivals: rivals::Rivals,
    last_words: catalogue::LastWords,
    /// By producer: the truncations of its table.
    truncations: HashMap<u32, Vec<truncate::Heard>>,
    dead_letters: DeadLetters,
    /// By entity and slot: how many events of it were refused, and neither applied since nor discarded. Those that are too
    /// many to be kept count too.
    rejected: HashMap<(usize, u32), u32>,
    /// Whether dead letters are read once more: nothing of it is counted twice.
    is_again: bool,
    /// Changes of what is served that no position tells of.
    unplaced: u64,
    version: u64,
}

impl Projector {
    /// `ids_remembered` is how many ids of a partition are kept to tell duplicates under `position`.
    pub fn new(model: Arc<Model>, rules: Vec<DomainRules>, topics: Vec<Topic>, ids_remembered: usize) -> Projector {
        let rank = |topic: &Topic| topics.iter().filter(|other| other.name < topic.name).count() as u64;
        Projector {
            graph: Graph::new(model.clone()),
            record: record::Record::default(),
            groups: groups::Groups::default(),
            erased: Erased::default(),
            recent: Vec::new(),
            applied: Vec::new(),
            raised: Vec::new(),
            ids_remembered,
            counters: vec![Counters::default(); model.domains.len()],
            catalogue: model.entities.iter().map(|_| Arc::new(Catalogue::default())).collect(),
            tally: catalogue::Tally::default(),
            rivals: rivals::Rivals::default(),
            last_words: catalogue::LastWords::new(model.entities.len()),
            truncations: HashMap::new(),
            dead_letters: DeadLetters::default(),
            rejected: HashMap::new(),
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
    pub fn add(&mut self, partition: Partition, start: u64) -> usize {
        Arc::make_mut(&mut self.partitions).push(partition);
        self.recent.push(seen::Recent::new(self.ids_remembered));
        self.applied.push(start);
        self.raised.push(0);
        self.applied.len() - 1
    }

    /// Goes on from `next`: what lies before it is gone from the log, and was not applied.
    pub fn lose(&mut self, partition: usize, next: u64, why: &str) {
        self.applied[partition] = self.applied[partition].max(next);
        Arc::make_mut(&mut self.partitions)[partition].lost = Some(why.into());
    }

    /// Goes on at the start of another log of the same topic.
    pub fn restart(&mut self, partition: usize, log: LogId, start: u64, why: &str) {
        self.raised[partition] += self.applied[partition].saturating_sub(start);
        self.applied[partition] = start;
        let description = &mut Arc::make_mut(&mut self.partitions)[partition];
        (description.log, description.lost) = (log, Some(why.into()));
    }

    fn topic(&self, partition: usize) -> &Topic {
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
            let ahead = self.look_ahead(batch.records_in(range.clone()));
            for (index, record) in batch.records_in(range).enumerate() {
                let crate::event::Record { offset, appended_at, commit, .. } = record;
                let known = ahead.of(index);
                match record.outcome {
                    Ok(event) => {
                        self.apply_event(&event, apply::Place { partition, offset, commit, appended_at, now, known });
                    }
                    Err(refused) => self.bury(refused, partition, offset, appended_at),
                }
            }
        }
        for (offset, appended_at, truncation) in &batch.truncations {
            if offsets.contains(offset) {
                self.truncate(truncation, (partition, *offset, *appended_at), now);
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
            if let Some(count) = self.rejected.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    self.rejected.remove(&node);
                    self.graph.set_rejected(node.0, node.1, false);
                }
            }
        }
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
            topics: self.topics.clone(),
            partitions: self.partitions.clone(),
            applied: self.applied.clone(),
            counters: self.counters.clone(),
            catalogue: self.catalogue.clone(),
            dead_letters: self.dead_letters.clone(),
            unplaced: self.unplaced,
            untold: self.rivals.untold(),
            memory: self.memory(),
        }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn topics(&self) -> &Arc<[Topic]> {
        &self.topics
    }

    /// How many partitions it reads.
    pub fn partitions(&self) -> usize {
        self.applied.len()
    }

    /// The next record of a partition to apply.
    pub fn position(&self, partition: usize) -> u64 {
        self.applied[partition]
    }

    fn settle_tally(&mut self) {
        self.tally.settle(&mut self.catalogue, |name| self.graph.text(name));
        self.last_words.settle(&mut self.catalogue, |name| self.graph.text(name));
        for entity in self.rivals.take_changed() {
            let disagreements = self.rivals.of(entity, |name| self.graph.text(name));
            Arc::make_mut(&mut self.catalogue[entity]).disagreements = disagreements;
        }
    }

    fn memory(&self) -> Memory {
        let recent = self.recent.iter().map(seen::Recent::size).sum::<usize>();
        let rejected = self.rejected.capacity() * size_of::<((usize, u32), u32)>();
        Memory { writer: self.graph.size(), rules: self.groups.size() + self.rivals.size() + recent + rejected }
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

    fn bury(&mut self, refused: &crate::event::Refused, partition: usize, offset: u64, appended_at: Instant) {
        let topic = self.topic(partition).clone();
        let rejection = &refused.rejection;
        let prefix = rejection.kind.as_deref().and_then(|kind| kind.split_once('.')).map(|(prefix, _)| prefix);
        let of_topic = |entity: &usize| topic.domains.contains(&self.model.entities[*entity].domain);
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
        let node = named.zip(subject).map(|(entity, subject)| (entity, self.graph.slot(entity, subject)));
        let is_erased = self.is_erased(node, &topic, refused);
        if let Some(node) = node {
            *self.rejected.entry(node).or_default() += 1;
            self.graph.set_rejected(node.0, node.1, true);
        }
        let mut letter = DeadLetter {
            domain: self.model.domains[domain].name.as_str().into(),
            topic: topic.name.clone(),
            partition: self.partitions[partition].number,
            offset,
            at: appended_at,
            bytes: refused.bytes.clone(),
            beside: refused.beside.clone(),
            place: partition,
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

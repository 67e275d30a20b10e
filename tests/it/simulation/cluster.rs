//! The logs as they are, whatever anybody is told of them: what outlives every process, and the truth that answers are held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value as Json, json};
use staygraph::event::OrderBy;
use staygraph::freshness::{Basis, Moment};
use staygraph::ids::{Id as _, PartitionId, TopicId};
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{Partition, Snapshot};

use super::dice::{Dice, moment, now_ms};
use crate::laws::world::{Modes, Spec, World, spec};
use crate::oracle::{Fact, Id};

/// Each topic has two partitions at most: those of `guests`, of `stays`, and of the boundaries of transactions.
pub const TOPICS: usize = 3;
pub const BOUNDARIES: TopicId = TopicId(2);
pub const NAMES: [&str; TOPICS] = ["guests", "stays", "boundaries"];
const SPECS: usize = 40;

/// What is given with a record, however it is wrapped.
#[derive(Debug)]
pub struct Given {
    pub event: Vec<u8>,
    pub said: Said,
}

/// What an event comes to, for the oracle.
#[derive(Debug)]
pub enum Said {
    Fact(Fact),
    Refused(Id),
    /// A transaction's end.
    End,
}

pub struct Record {
    pub offset: u64,
    /// When it was appended.
    pub at: Moment,
    /// What the record says of that.
    pub stamp: (Instant, Basis),
    pub value: Vec<u8>,
    pub given: Arc<Given>,
    pub transaction: Option<u64>,
}

/// A partition's log.
pub struct Log {
    pub topic: TopicId,
    pub number: u32,
    pub is_there: bool,
    /// What its topic was made as.
    pub origin: LogId,
    /// What it is called once it has lost its last records.
    pub known_as: LogId,
    /// Whether it has lost its last records, and nobody has noticed.
    pub is_cut: bool,
    pub start: u64,
    pub end: u64,
    pub records: Vec<Record>,
}

pub struct Cluster {
    pub world: World,
    pub modes: Modes,
    pub has_transactions: bool,
    pub logs: Vec<Log>,
    specs: Vec<Spec>,
    /// Which of them were written.
    written: Vec<usize>,
    unwritten: Vec<usize>,
    basis: [Basis; TOPICS],
    made: u32,
    transactions: u64,
    /// Whether anything was ever lost.
    pub has_lost: bool,
}

impl Cluster {
    pub fn new(seed: u64, dice: &mut Dice) -> Cluster {
        let orders = [OrderBy::Sequence, OrderBy::Position, OrderBy::Time];
        let has_transactions = dice.percent(40);
        // Under `position` a table's rows are ordered by their database's place, of which the oracle knows nothing.
        let orders = if has_transactions { &[OrderBy::Sequence, OrderBy::Time][..] } else { &orders };
        let modes = [*dice.one(orders), *dice.one(orders)];
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), random);
        let specs = vec(spec(), 10..SPECS).new_tree(&mut runner).expect("nothing is left out").current();
        let mut cluster = Cluster {
            world: World::new(modes),
            modes,
            has_transactions,
            logs: Vec::new(),
            written: Vec::new(),
            unwritten: (0..specs.len()).collect(),
            specs,
            // By producers' times that are all over the place, nobody can tell what is waited for.
            basis: [(); TOPICS].map(|()| match has_transactions || dice.percent(70) {
                true => Basis::Append,
                false => Basis::Producer,
            }),
            made: 0,
            transactions: 0,
            has_lost: false,
        };
        for topic in 0..TOPICS {
            for number in 0..2 {
                cluster.logs.push(Log {
                    topic: TopicId::of(topic),
                    number,
                    is_there: false,
                    origin: LogId(0),
                    known_as: LogId(0),
                    is_cut: false,
                    start: 0,
                    end: 0,
                    records: Vec::new(),
                });
            }
            let both = cluster.has_both(topic) || dice.percent(60);
            cluster.make(topic, both, dice);
        }
        cluster
    }

    /// Topics that somebody reads.
    pub fn topics(&self) -> usize {
        if self.has_transactions { TOPICS } else { TOPICS - 1 }
    }

    /// Under `position` a key stays in one partition, and so there are always as many.
    fn has_both(&self, topic: usize) -> bool {
        self.modes.get(topic) == Some(&OrderBy::Position)
    }

    pub fn of_topic(&self, topic: usize) -> &[Log] {
        &self.logs[topic * 2..topic * 2 + 2]
    }

    /// Makes a topic, in the place of the one that was there.
    pub fn make(&mut self, topic: usize, both: bool, dice: &mut Dice) {
        self.made += 1;
        let log = LogId::of(&format!("{topic} {}", self.made));
        let both = both || self.has_both(topic);
        for number in 0..2 {
            let is_there = number == 0 || both;
            let start = if is_there { dice.below(3) as u64 } else { 0 };
            let of = &mut self.logs[topic * 2 + number];
            self.has_lost |= !of.records.is_empty();
            (of.is_there, of.origin, of.known_as, of.is_cut) = (is_there, log, log, false);
            (of.start, of.end, of.records) = (start, start, Vec::new());
        }
    }

    /// A topic has another partition.
    pub fn grow(&mut self, topic: usize) -> bool {
        !std::mem::replace(&mut self.logs[topic * 2 + 1].is_there, true)
    }

    /// Writes something, where something may be written: an event, an event that was written before, or a transaction.
    pub fn write(&mut self, dice: &mut Dice) -> bool {
        if self.logs.iter().any(|log| log.is_cut) {
            return false;
        }
        let count = if self.has_transactions { 1 + dice.below(4) } else { 1 };
        let mut events = Vec::new();
        for _ in 0..count {
            let again = !self.written.is_empty() && (self.unwritten.is_empty() || dice.percent(15));
            let event = if again {
                *dice.one(&self.written)
            } else if self.unwritten.is_empty() {
                break;
            } else {
                let place = dice.below(self.unwritten.len());
                self.unwritten.remove(place)
            };
            self.written.push(event);
            events.push(event);
        }
        self.transactions += 1;
        let transaction = self.has_transactions.then_some(self.transactions);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (order, event) in events.iter().enumerate() {
            let spec = &self.specs[*event];
            let topic = spec.domain();
            let side = match self.modes[topic] {
                OrderBy::Position => usize::from(spec.key % 2),
                _ => dice.below(2),
            };
            let place = topic * 2 + if self.logs[topic * 2 + 1].is_there { side } else { 0 };
            let bytes = spec.bytes(*event);
            *counts.entry(NAMES[topic]).or_default() += 1;
            let value = match transaction {
                Some(id) => row(NAMES[topic], &bytes, id, order + 1),
                None => bytes.clone(),
            };
            self.append(place, value, transaction, dice, |world, offset| {
                let (partition, record) = (PartitionId::of(place), [(offset, bytes)]);
                let said = match world.facts(partition, &record).pop() {
                    Some(fact) => Said::Fact(fact),
                    None => Said::Refused(world.refused(partition, &record).pop().expect("it says whose it is")),
                };
                let [(_, event)] = record;
                Given { event, said }
            });
        }
        if let Some(id) = transaction {
            let counts = counts
                .iter()
                .map(|(table, count)| json!({ "data_collection": format!("public.{table}"), "event_count": count }));
            let end = json!({
                "status": "END", "id": id.to_string(), "event_count": events.len(),
                "data_collections": counts.collect::<Vec<Json>>(),
            });
            let side = if self.logs[BOUNDARIES.index() * 2 + 1].is_there { dice.below(2) } else { 0 };
            self.append(BOUNDARIES.index() * 2 + side, end.to_string().into_bytes(), None, dice, |_, _| Given {
                event: Vec::new(),
                said: Said::End,
            });
        }
        true
    }

    fn append(
        &mut self,
        place: usize,
        value: Vec<u8>,
        transaction: Option<u64>,
        dice: &mut Dice,
        given: impl FnOnce(&World, u64) -> Given,
    ) {
        let log = &mut self.logs[place];
        let basis = self.basis[log.topic.index()];
        let at = moment();
        let stamp = match basis {
            Basis::Append => at.at,
            // A producer's clock may say anything.
            Basis::Producer => at.at.minus_millis(dice.below(40_000) as i64 - 20_000),
        };
        // Offsets are not dense.
        let offset = log.end + dice.below(3) as u64;
        let given = given(&self.world, offset);
        log.records.push(Record { offset, at, stamp: (stamp, basis), value, given: Arc::new(given), transaction });
        log.end = offset + 1 + u64::from(dice.percent(10));
    }

    /// A log lets go of its first records.
    pub fn retain(&mut self, place: usize, dice: &mut Dice) {
        let log = &mut self.logs[place];
        let span = log.end - log.start;
        log.start += dice.below(span as usize / 2 + 1) as u64;
        let start = log.start;
        let count = log.records.len();
        log.records.retain(|record| record.offset >= start);
        self.has_lost |= log.records.len() < count;
    }

    /// A log loses its last records.
    pub fn cut(&mut self, place: usize, dice: &mut Dice) {
        let log = &mut self.logs[place];
        let span = log.end - log.start;
        log.end -= dice.below(span as usize / 2 + 1) as u64;
        let end = log.end;
        log.records.retain(|record| record.offset < end);
        (log.is_cut, self.has_lost) = (true, true);
    }

    /// Whether a version has all that was appended to a partition more than so many milliseconds ago, and is there still.
    pub fn is_applied(&self, snapshot: &Snapshot, log: &Log, ago_ms: i64) -> Result<(), String> {
        let is_it = |known: &Partition| {
            (known.topic, known.number) == (log.topic, log.number) && (known.log == log.known_as || log.is_cut)
        };
        let applied = snapshot.partitions.find(is_it).map_or(0, |partition| snapshot.applied[partition]);
        let old = log.records.iter().filter(|record| record.at.tick_ms < now_ms() - ago_ms);
        match old.filter(|_| log.is_there).find(|record| record.offset >= applied) {
            None => Ok(()),
            Some(missing) => Err(format!(
                "{}/{}@{} was appended {} ms ago, and {applied} is applied",
                NAMES[log.topic.index()],
                log.number,
                missing.offset,
                now_ms() - missing.at.tick_ms
            )),
        }
    }

    /// The same of all of a topic's partitions, whoever knows of them.
    pub fn is_applied_in(&self, snapshot: &Snapshot, topic: usize, ago_ms: i64) -> Result<(), String> {
        self.of_topic(topic).iter().try_for_each(|log| self.is_applied(snapshot, log, ago_ms))
    }
}

/// A row's change as Debezium writes it, which holds an event.
fn row(table: &str, event: &[u8], transaction: u64, order: usize) -> Vec<u8> {
    let mut event: Json = serde_json::from_slice(event).expect("it is JSON");
    event.as_object_mut().expect("an object").remove("specversion");
    let change = json!({
        "before": null, "after": { "event": event }, "op": "c", "ts_ms": 1,
        "source": {
            "connector": "postgresql", "name": "legacy", "schema": "public", "table": table, "lsn": transaction, "ts_ms": 1,
        },
        "transaction": { "id": transaction.to_string(), "total_order": order, "data_collection_order": 1 },
    });
    change.to_string().into_bytes()
}

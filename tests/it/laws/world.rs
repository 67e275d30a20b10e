//! The laws' little world: a model, events made of small numbers so that everything collides, and logs that deliver them.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use staygraph::event::{Batch, Buffer, Decoder, OrderBy};
use staygraph::ids::{By, DomainId, Id as _, PartitionId, TopicId};
use staygraph::model::Model;
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Topic};

use crate::oracle::{Fact, Id};

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest") @check(rule: "level <= limit") @check(rule: "level != 3 || vip") {
  name: String @personal @search
  code: Int @personal
  level: Int @index
  limit: Int
  vip: Boolean
  spare: Int @derive(rule: "limit - level")
  secret: Int @personal @derive(rule: "limit * 1000 + level")
  friend: Guest @link(reverse: "friendOf")
  home: Place @link(reverse: "residents")
  status: GuestStatus @index
  seenAt: DateTime @occurredAt(events: ["joined", "seen"])
}
enum GuestStatus { NEW @on(events: ["joined"]) GONE @on(events: ["left"]) BACK }
type Stay @entity(domain: "stays", event: "stay") @check(rule: "from < to") {
  guest: Guest @link(reverse: "stays")
  place: Place @link
  from: Date
  to: Date
  nights: Int @derive(rule: "days(from, to)")
  double: Int @derive(rule: "nights * 2")
  total: Money
  bookedAt: DateTime @occurredAt(events: ["booked"])
}
type Place @entity(domain: "stays", event: "place", plural: "places") {
  title: String
  tags: [String!]
  owner: Guest @link(reverse: "places")
}
"#;

/// What every personal value holds, so that a leak is found wherever it is.
pub const SECRET: &str = "SECRET";
/// A personal number, for the same.
pub const SECRET_NUMBER: i64 = 555_000;
pub const KEYS: usize = 3;
/// Two of each domain's topic.
pub const PARTITIONS: usize = 4;

pub fn model() -> Arc<Model> {
    parsed(MODEL)
}

/// A later model: what the first one takes for an attribute is a field.
fn later_model() -> Arc<Model> {
    parsed(&MODEL.replace("  total: Money\n", "  total: Money\n  colour: Int\n"))
}

fn parsed(text: &str) -> Arc<Model> {
    Arc::new(Model::parse(text, "laws.graphql").unwrap_or_else(|faults| panic!("{faults:?}")))
}

/// The ordering of `guests`, then of `stays`.
pub type Modes = [OrderBy; 2];

pub struct World {
    pub model: Arc<Model>,
    pub decoder: Decoder,
    pub rules: By<DomainId, DomainRules>,
    pub partitions: By<PartitionId, Partition>,
}

impl World {
    pub fn new(modes: Modes) -> World {
        World::of(model(), modes)
    }

    /// The same of a later model.
    pub fn later(modes: Modes) -> World {
        World::of(later_model(), modes)
    }

    fn of(model: Arc<Model>, modes: Modes) -> World {
        let partitions = (0..PARTITIONS).map(|index| {
            let (topic, number) = (TopicId::of(index / 2), (index % 2) as u32);
            Partition { topic, log: LogId(topic.0), origin: LogId(topic.0), number, lost: None }
        });
        World {
            decoder: Decoder::new(model.clone(), modes.to_vec().into(), 1 << 16),
            rules: modes.iter().map(|mode| DomainRules { order_by: *mode, report_gaps: true }).collect(),
            partitions: partitions.collect(),
            model,
        }
    }

    /// A projector that reads nothing yet.
    pub fn new_projector(&self) -> Projector {
        let topics = Topic::of_domains(&self.model, "log");
        Projector::new(self.model.clone(), self.rules.clone(), topics, 1_000_000)
    }

    pub fn projector(&self) -> Projector {
        let mut projector = self.new_projector();
        for partition in &self.partitions {
            projector.add(partition.clone(), 0);
        }
        projector
    }

    /// Every key of every entity, and one that no event names.
    pub fn keys(&self) -> BTreeSet<Id> {
        let names = (0..KEYS).map(|key| key_name(key as u8)).chain(["nobody".to_owned()]);
        names.flat_map(|name| self.model.entities.ids().map(move |entity| (entity, name.clone()))).collect()
    }

    /// Each domain has a topic of its own.
    fn domain_of(&self, partition: PartitionId) -> DomainId {
        DomainId::of(self.partitions[partition].topic.index())
    }

    pub fn batch(&self, partition: PartitionId, records: &[(u64, Vec<u8>)], next_offset: u64) -> Batch {
        let mut batch = Batch::new(partition);
        for (offset, bytes) in records {
            batch.push(&self.decoder, &[self.domain_of(partition)], *offset, Instant::EPOCH, bytes);
        }
        batch.next_offset = next_offset;
        batch
    }

    /// The oracle's side of a batch.
    pub fn facts(&self, partition: PartitionId, records: &[(u64, Vec<u8>)]) -> Vec<Fact> {
        let description = &self.partitions[partition];
        let mut buffer = Buffer::default();
        let decoded = records.iter().filter_map(|(offset, bytes)| {
            let event = self.decoder.decode(bytes, &[self.domain_of(partition)], &mut buffer).ok()?.into();
            let topic = self.model.domains[self.domain_of(partition)].name.clone();
            let partition = description.number;
            Some(Fact { event, topic, partition, offset: *offset })
        });
        decoded.collect()
    }

    /// The entities whose events are refused.
    pub fn refused(&self, partition: PartitionId, records: &[(u64, Vec<u8>)]) -> Vec<Id> {
        let domain = self.domain_of(partition);
        let mut buffer = Buffer::default();
        let refused = records.iter().filter_map(|(_, bytes)| {
            let rejection = self.decoder.decode(bytes, &[domain], &mut buffer).err()?;
            let (kind, subject) = (rejection.kind?, rejection.subject?);
            Some((self.model.entity_of_event(kind.split_once('.')?.0)?, subject))
        });
        refused.collect()
    }
}

/// An event as small numbers, which proptest makes smaller still.
#[derive(Clone, Debug)]
pub struct Spec {
    pub entity: usize,
    pub key: u8,
    verb: u8,
    version: u8,
    time: u8,
    source: u8,
    /// Starts the id, so that ids and the order of arrival have nothing in common.
    salt: u8,
    data: Vec<(u8, u8)>,
}

pub fn spec() -> impl Strategy<Value = Spec> {
    let data = vec((0u8..12, 0u8..8), 0..6);
    // Most events are guests': they have what can be personal, and links to themselves.
    let entity = prop_oneof![5 => Just(0usize), 3 => Just(1), 1 => Just(2)];
    let parts = (entity, 0u8..KEYS as u8, 0u8..16, 1u8..9, 0u8..5, 0u8..2, any::<u8>(), data);
    parts.prop_map(|(entity, key, verb, version, time, source, salt, data)| Spec {
        entity,
        key,
        verb,
        version,
        time,
        source,
        salt,
        data,
    })
}

pub fn key_name(key: u8) -> String {
    format!("k{key}")
}

impl Spec {
    /// An index of the domains.
    pub fn domain(&self) -> usize {
        self.entity.min(1)
    }

    /// The event in CloudEvents' JSON. Some are refused: their data break a check, or name the entity itself.
    pub fn bytes(&self, number: usize) -> Vec<u8> {
        let mut data = serde_json::Map::new();
        for (pick, value) in &self.data {
            let (name, value) = self.member(*pick, *value);
            data.insert(name.to_owned(), value);
        }
        let verb = match (self.verb, self.entity) {
            (0 | 1, _) => "deleted",
            (2, _) => "erased",
            (3..=6, _) => {
                let into = self.data.first().map_or(self.salt, |(_, value)| *value) % KEYS as u8;
                data.insert("into".into(), key_name(into).into());
                "merged"
            }
            (7 | 8, 0) => "joined",
            (9, 0) => "left",
            (10, 0) => "seen",
            (7..=9, 1) => "booked",
            _ => "changed",
        };
        let prefix = ["guest", "stay", "place"][self.entity];
        let event = json!({
            "specversion": "1.0",
            "id": format!("{:02x}-{number}", self.salt),
            "source": format!("/s{}", self.source),
            "type": format!("{prefix}.{verb}"),
            "subject": key_name(self.key),
            "time": format!("2024-01-01T00:00:0{}Z", self.time),
            "sequence": self.version,
            "data": data,
        });
        event.to_string().into_bytes()
    }

    fn member(&self, pick: u8, value: u8) -> (&'static str, Json) {
        let number = i64::from(value);
        let key = Json::from(key_name(value % KEYS as u8));
        let secret = Json::from(format!("{SECRET}-{value}"));
        let date = Json::from(format!("2024-06-{:02}", value + 1));
        let clears = value == 7;
        let (name, value) = match (self.entity, pick) {
            (0, 0 | 1) => ("name", secret),
            (0, 2) => ("code", (SECRET_NUMBER + number).into()),
            (0, 3) => ("level", number.into()),
            (0, 4) => ("limit", number.into()),
            (0, 5) => ("vip", (number % 2 == 0).into()),
            (0, 6) => ("friendId", key),
            (0, 7) => ("homeId", key),
            (0, 8) => ("status", ["NEW", "GONE", "BACK"][value as usize % 3].into()),
            (0, 9) => ("seenAt", format!("2023-01-01T00:00:0{value}Z").into()),
            (0, _) => (["hint", "note"][value as usize % 2], json!({ "text": secret })),
            (1, 0 | 1) => ("guestId", key),
            (1, 2 | 3) => ("placeId", key),
            (1, 4 | 5) => ("from", date),
            (1, 6 | 7) => ("to", date),
            (1, 8) => ("total", json!({ "minor": number * 100, "currency": "SGD" })),
            (1, 9) => ("bookedAt", format!("2023-01-01T00:00:0{value}Z").into()),
            (1, _) => ("colour", number.into()),
            (_, 0..=2) => ("title", format!("title {value}").into()),
            (_, 3 | 4) => ("tags", json!([format!("tag {value}")])),
            (_, 5..=8) => ("ownerId", key),
            (_, _) => (["floor", "view"][value as usize % 2], number.into()),
        };
        (name, if clears { Json::Null } else { value })
    }
}

/// How a set of events gets into logs and from there to a projector.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sorts the events of a domain whose order of arrival is free.
    shuffle: Vec<u8>,
    /// Which partition such an event is in.
    side: Vec<bool>,
    /// Events that come again: which, and how much later.
    again: Vec<(u8, u8)>,
    /// The partition to read next, how many records of it, and how many of those before to read once more.
    pub steps: Vec<(u8, u8, u8)>,
}

pub const EVENTS_MAX: usize = 28;

pub fn plan() -> impl Strategy<Value = Plan> {
    let again = vec((any::<u8>(), any::<u8>()), 0..8);
    let steps = vec((any::<u8>(), 1u8..6, 0u8..3), EVENTS_MAX);
    let parts = (vec(any::<u8>(), EVENTS_MAX), vec(any::<bool>(), EVENTS_MAX), again, steps);
    parts.prop_map(|(shuffle, side, again, steps)| Plan { shuffle, side, again, steps })
}

/// The records of one partition, with their offsets.
pub type Log = Vec<(u64, Vec<u8>)>;

impl Plan {
    /// Under `position` the order within a partition is the log's own and a key stays in one partition; otherwise both are
    /// anybody's guess.
    pub fn logs(&self, specs: &[Spec], modes: Modes) -> Vec<Log> {
        let again =
            self.again.iter().map(|(which, delay)| (usize::from(*which) % specs.len(), usize::from(*delay) + 1));
        let first = (0..specs.len()).map(|index| (index, 0));
        let mut placed: Vec<(usize, usize, usize)> = Vec::new();
        for (copy, (index, delay)) in first.chain(again).enumerate() {
            let spec = &specs[index];
            let (place, side) = match modes[spec.domain()] {
                OrderBy::Position => (index * 10 + delay, usize::from(spec.key % 2)),
                _ => {
                    (usize::from(self.shuffle[copy % EVENTS_MAX]), usize::from(self.side[(copy + delay) % EVENTS_MAX]))
                }
            };
            placed.push((place, index, spec.domain() * 2 + side));
        }
        placed.sort_by_key(|(place, _, _)| *place);
        let mut logs: Vec<Log> = vec![Vec::new(); PARTITIONS];
        for (_, index, partition) in placed {
            let log = &mut logs[partition];
            // Offsets need not be dense.
            let offset = log.last().map_or(3, |(last, _)| last + 1 + (index % 3) as u64);
            log.push((offset, specs[index].bytes(index)));
        }
        logs
    }
}

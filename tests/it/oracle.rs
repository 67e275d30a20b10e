//! The projection once more, in the plainest way: all events of a model at once, plain maps, no incremental step.
//!
//! Written from the event contract, not from `src/projection`; the comments quote the sentence that each rule comes from.
//! Slow on purpose and kept forever: what the property tests of `laws` hold the projector against.

use std::collections::{BTreeMap, BTreeSet};

use staygraph::event::{self, OrderBy};
use staygraph::ids::{By, DomainId, EntityId, FieldId};
use staygraph::model::cell::Cell;
use staygraph::model::value::{Instant, LONG_MAX, Value};
use staygraph::model::{Entity, Kind, Model, Operands};
use staygraph::projection::DomainRules;

/// An entity of the model and a key.
pub type Id = (EntityId, String);

/// A decoded event, for keeps.
#[derive(Clone, Debug)]
pub struct Event {
    pub entity: EntityId,
    pub key: String,
    pub action: Action,
    pub envelope: Envelope,
    pub patch: Vec<(FieldId, Value)>,
    pub attributes: Vec<(String, serde_json::Value)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Change,
    Delete,
    Erase,
    Merge(String),
}

#[derive(Clone, Debug)]
pub struct Envelope {
    pub id: String,
    pub source: String,
    pub time: Instant,
    pub version: Option<u64>,
}

impl From<event::Event<'_>> for Event {
    fn from(event: event::Event<'_>) -> Event {
        let envelope = event.envelope;
        Event {
            entity: event.entity,
            key: event.key.to_owned(),
            action: match event.action {
                event::Action::Change => Action::Change,
                event::Action::Delete => Action::Delete,
                event::Action::Erase => Action::Erase,
                event::Action::Merge(into) => Action::Merge(into.to_owned()),
            },
            envelope: Envelope {
                id: envelope.id.to_owned(),
                source: envelope.source.to_owned(),
                time: envelope.time,
                version: envelope.version,
            },
            patch: event.patch.iter().map(|(field, cell)| (field, cell.to_value())).collect(),
            attributes: event
                .attributes
                .iter()
                .map(|(name, text)| (name.to_owned(), serde_json::from_str(text).expect("attributes are JSON")))
                .collect(),
        }
    }
}

/// An event and where the log has it.
#[derive(Clone, Debug)]
pub struct Fact {
    pub event: Event,
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
}

/// All that the law covers of a graph, in a canonical form: equal graphs have equal dumps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dump {
    /// Each entity that can be looked at under its own key.
    pub nodes: BTreeMap<Id, NodeDump>,
    /// Each key and the key that answers for it.
    pub answers: BTreeMap<Id, Option<String>>,
    /// By entity.
    pub counts: Vec<CountsDump>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeDump {
    pub completeness: &'static str,
    pub listed: bool,
    pub missing_versions: Vec<u64>,
    /// Values that are there, links as the keys that answer.
    pub fields: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
    pub breaches: Vec<usize>,
    /// Source and id.
    pub last_event: Option<(String, String)>,
    /// Who is listed on the other side of links.
    pub reverses: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CountsDump {
    pub listed: i64,
    pub references: i64,
    pub incomplete: i64,
    pub deleted: i64,
    pub erased: i64,
    pub filled: Vec<i64>,
    pub breaches: Vec<i64>,
}

/// "Events of an entity are totally ordered by (stamp, `source`, `id`)".
type Order = (Stamp, String, String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stamp {
    /// "`sequence`".
    Sequence(u64),
    /// "(offset, topic, partition) in the log".
    Position(u64, String, u32),
    /// "(`time`, `source`, `id`)".
    Time(Instant, String, String),
}

/// What the events of one entity come to, before merges and erasure are looked at.
#[derive(Default)]
struct Own {
    values: BTreeMap<FieldId, Value>,
    attributes: BTreeMap<String, serde_json::Value>,
    is_deleted: bool,
    missing_versions: Vec<u64>,
    /// The key it merges into, and (`time`, `source`, `id`).
    merge: Option<(String, (Instant, String, String))>,
    last_event: (String, String),
}

pub struct Oracle<'a> {
    model: &'a Model,
    own: BTreeMap<Id, Own>,
    /// Who answers with whom: merges that count.
    aliases: BTreeMap<Id, Id>,
    erased: BTreeSet<Id>,
    named: BTreeSet<Id>,
    refused: BTreeSet<Id>,
}

impl<'a> Oracle<'a> {
    /// Takes the set of events: their order here does not matter. `refused` are those whose events could not be applied.
    pub fn new(
        model: &'a Model,
        rules: &By<DomainId, DomainRules>,
        facts: &[Fact],
        refused: &BTreeSet<Id>,
    ) -> Oracle<'a> {
        let events = without_duplicates(facts);
        let mut by_entity: BTreeMap<Id, Vec<(Order, &Fact)>> = BTreeMap::new();
        for fact in &events {
            let order_by = rules[model.entities[fact.event.entity].domain].order_by;
            by_entity.entry(id_of(&fact.event)).or_default().push((order_of(fact, order_by), fact));
        }
        let mut own = BTreeMap::new();
        for (id, mut events) in by_entity {
            events.sort_by(|(a, _), (b, _)| a.cmp(b));
            let rules = rules[model.entities[id.0].domain];
            own.insert(id, fold(&events, rules));
        }
        let aliases = aliases(&own);
        // What is refused of an entity names it too.
        let named = named(model, &own).into_iter().chain(refused.iter().cloned()).collect();
        let erased = erased(&events);
        Oracle { model, own, aliases, erased, named, refused: refused.clone() }
    }

    /// Whether "no `@personal` value" of it may be anywhere.
    pub fn is_erased(&self, id: &Id) -> bool {
        self.erased.contains(id)
    }

    /// "Every look-up and link answers with the survivor (its id and key), through chains too".
    fn survivor(&self, id: &Id) -> Id {
        let mut id = id;
        while let Some(into) = self.aliases.get(id) {
            id = into;
        }
        id.clone()
    }

    /// "The node exists, as long as anything names it, as a *reference* […] until its own events arrive."
    fn exists(&self, id: &Id) -> bool {
        self.own.contains_key(id) || self.named.contains(id)
    }

    /// "Lists, counts and reverse links hold only what is there (no `REFERENCE`, nothing deleted […]; who is erased but not
    /// deleted is there)"; an alias "is in no list".
    fn is_listed(&self, id: &Id) -> bool {
        self.own.get(id).is_some_and(|own| !own.is_deleted) && !self.aliases.contains_key(id)
    }

    /// The canonical dump. `keys` are those to look up.
    pub fn dump(&self, keys: &BTreeSet<Id>) -> Dump {
        let mut dump = Dump::default();
        for entity in &self.model.entities {
            let (filled, breaches) = (vec![0; entity.fields.len()], vec![0; entity.checks.len()]);
            dump.counts.push(CountsDump { filled, breaches, ..CountsDump::default() });
        }
        for id in keys {
            let answer = self.exists(id).then(|| self.survivor(id).1);
            dump.answers.insert(id.clone(), answer);
        }
        for id in self.own.keys().chain(&self.named) {
            if !self.aliases.contains_key(id) && !dump.nodes.contains_key(id) {
                let node = self.node(id);
                self.count(id, &node, &mut dump.counts[id.0.index()]);
                dump.nodes.insert(id.clone(), node);
            }
        }
        dump
    }

    fn node(&self, id: &Id) -> NodeDump {
        let entity = &self.model.entities[id.0];
        let mut node = NodeDump { listed: self.is_listed(id), reverses: self.reverses(id), ..NodeDump::default() };
        let Some(own) = self.own.get(id) else {
            // "A reference stays one until its own events arrive".
            node.completeness = "REFERENCE";
            return node;
        };
        // "Where several hold: `ERASED`, `DELETED`, `INCOMPLETE`, `COMPLETE`".
        node.completeness = match own {
            _ if self.is_erased(id) => "ERASED",
            own if own.is_deleted => "DELETED",
            // "While there are any its completeness is `INCOMPLETE`".
            own if !own.missing_versions.is_empty() || self.refused.contains(id) => "INCOMPLETE",
            _ => "COMPLETE",
        };
        node.missing_versions = own.missing_versions.clone();
        node.last_event = Some(own.last_event.clone());
        if own.is_deleted {
            // "A `DELETED` one too, with its `lastEvent` and no attributes".
            return node;
        }
        let values = self.values(id, own);
        for (id, field) in entity.fields.entries() {
            let text = match (values.value(id), field.kind.link()) {
                (Cell::Null, _) => continue,
                (Cell::String(key), Some(target)) => self.survivor(&(target, key.to_string())).1,
                (value, _) => format!("{value:?}"),
            };
            node.fields.insert(field.name.clone(), text);
        }
        // "Unknown attributes of an entity that has `@personal` fields count as personal".
        if !(self.is_erased(id) && entity.fields.iter().any(|field| field.personal)) {
            node.attributes = own.attributes.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        }
        // "Where only fields of different events together break it, no event is refused […]: the entity says so in
        // `breaches`"; "where an operand is null or absent, a check is not judged".
        let broken = entity.checks.iter().enumerate().filter(|(_, check)| check.rule.holds(&values) == Some(false));
        node.breaches = broken.map(|(index, _)| index).collect();
        node
    }

    fn values(&self, id: &Id, own: &Own) -> Values<'a> {
        let entity = &self.model.entities[id.0];
        let mut values = own.values.clone();
        let is_erased = self.is_erased(id);
        if is_erased {
            // "`erased` wins over everything before and after it […]: no `@personal` value comes back".
            values.retain(|field, _| !entity.fields[*field].personal);
        }
        Values { entity, values, is_erased }
    }

    /// Who is listed and links here, or to one of its aliases, by the name of the other side.
    fn reverses(&self, id: &Id) -> BTreeMap<String, BTreeSet<String>> {
        let mut reverses = BTreeMap::new();
        for reverse in &self.model.entities[id.0].reverses {
            let mut keys = BTreeSet::new();
            for (other, own) in &self.own {
                let named = (other.0 == reverse.entity).then(|| own.values.get(&reverse.field)).flatten();
                if let Some(Value::String(key)) = named
                    && self.is_listed(other)
                    && self.survivor(&(id.0, key.to_string())) == *id
                {
                    keys.insert(other.1.clone());
                }
            }
            reverses.insert(reverse.name.clone(), keys);
        }
        reverses
    }

    fn count(&self, id: &Id, node: &NodeDump, counts: &mut CountsDump) {
        match self.own.get(id) {
            None => counts.references += 1,
            Some(own) => {
                counts.deleted += i64::from(own.is_deleted);
                counts.erased += i64::from(self.is_erased(id));
            }
        }
        if node.listed {
            counts.listed += 1;
            counts.incomplete += i64::from(!node.missing_versions.is_empty() || self.refused.contains(id));
            for (filled, field) in counts.filled.iter_mut().zip(&self.model.entities[id.0].fields) {
                *filled += i64::from(node.fields.contains_key(&field.name));
            }
            for check in &node.breaches {
                counts.breaches[*check] += 1;
            }
        }
    }
}

/// An entity's values as operands, derived ones computed.
struct Values<'a> {
    entity: &'a Entity,
    values: BTreeMap<FieldId, Value>,
    is_erased: bool,
}

impl Operands for Values<'_> {
    fn value(&self, id: FieldId) -> Cell<'_> {
        let field = &self.entity.fields[id];
        if self.is_erased && field.personal {
            return Cell::Null;
        }
        let Some(rule) = &field.derived else { return self.values.get(&id).map_or(Cell::Null, Value::cell) };
        // "Where an operand is null or absent, […] a derived value is null".
        match (rule.evaluate(self), &field.kind) {
            (Some(Cell::Int(number)), Kind::Int) if i32::try_from(number).is_err() => Cell::Null,
            (Some(Cell::Int(number)), Kind::Long) if !(-LONG_MAX..=LONG_MAX).contains(&number) => Cell::Null,
            (Some(Cell::Float(number)), _) if !number.is_finite() => Cell::Null,
            (value, _) => value.unwrap_or(Cell::Null),
        }
    }
}

fn id_of(event: &Event) -> Id {
    (event.entity, event.key.to_string())
}

fn order_of(fact: &Fact, order_by: OrderBy) -> Order {
    let envelope = &fact.event.envelope;
    let (source, id) = (envelope.source.to_string(), envelope.id.to_string());
    let stamp = match order_by {
        OrderBy::Sequence => Stamp::Sequence(envelope.version.expect("the decoder demands a version")),
        OrderBy::Position => Stamp::Position(fact.offset, fact.topic.clone(), fact.partition),
        OrderBy::Time => Stamp::Time(envelope.time, source.clone(), id.clone()),
    };
    (stamp, source, id)
}

/// "A duplicate (same topic, `source`, `id`) changes nothing […]; under `position` the first position counts".
fn without_duplicates(facts: &[Fact]) -> Vec<Fact> {
    let mut facts = facts.to_vec();
    facts.sort_by_key(|fact| (fact.offset, fact.topic.clone(), fact.partition));
    let mut seen = BTreeSet::new();
    facts.retain(|fact| {
        let envelope = &fact.event.envelope;
        seen.insert((fact.topic.clone(), envelope.source.clone(), envelope.id.clone()))
    });
    facts
}

/// An entity's events, smallest first: "each field takes the value of the greatest *stamp* that set it", so the later
/// simply overwrites.
fn fold(events: &[(Order, &Fact)], rules: DomainRules) -> Own {
    let mut own = Own::default();
    // "Versions start at 1".
    let mut first_wanted = 1;
    let mut versions = BTreeSet::new();
    for (_, fact) in events {
        let event = &fact.event;
        let version = event.envelope.version;
        versions.extend(version);
        match &event.action {
            Action::Delete => {
                // "`deleted` (its data is ignored) wins over every smaller stamp", "a newer deletion undoes it [a merge]",
                // "versions missing below a deletion no longer count".
                own.values.clear();
                own.attributes.clear();
                own.merge = None;
                own.is_deleted = true;
                first_wanted = version.map_or(1, |version| version + 1);
            }
            // "A greater one brings the entity back, empty but for what is newer than the deletion": any greater one, an
            // erasure too.
            Action::Change | Action::Erase => own.is_deleted = false,
            Action::Merge(into) => {
                own.is_deleted = false;
                let envelope = &event.envelope;
                let order = (envelope.time, envelope.source.to_string(), envelope.id.to_string());
                own.merge = Some((into.to_string(), order));
            }
        }
        if event.action != Action::Delete {
            // "A field that is present is set (an object as a whole), `null` clears it, an absent one is left as it is."
            for (field, value) in &event.patch {
                own.values.insert(*field, value.clone());
            }
            for (name, value) in &event.attributes {
                own.attributes.insert(name.to_string(), value.clone());
            }
        }
        // "An entity's `lastEvent` is the greatest in that order, not the last to arrive."
        own.last_event = (event.envelope.source.to_string(), event.envelope.id.to_string());
    }
    own.attributes.retain(|_, value| !value.is_null());
    if rules.order_by == OrderBy::Sequence && rules.report_gaps {
        // "A jump (3, then 5) […] marks the entity as *incomplete*, naming the missing versions (the lowest 100)".
        let greatest = versions.last().copied().unwrap_or(0);
        own.missing_versions =
            (first_wanted..greatest).filter(|version| !versions.contains(version)).take(100).collect();
    }
    own
}

/// "The old id is an alias from then on"; "in a cycle, the merge with the smallest (`time`, `source`, `id`) is void".
fn aliases(own: &BTreeMap<Id, Own>) -> BTreeMap<Id, Id> {
    let merges: BTreeMap<Id, (Id, &(Instant, String, String))> = own
        .iter()
        .filter_map(|(id, own)| own.merge.as_ref().map(|(into, order)| (id.clone(), ((id.0, into.clone()), order))))
        .collect();
    let mut aliases: BTreeMap<Id, Id> = merges.iter().map(|(id, (into, _))| (id.clone(), into.clone())).collect();
    for start in merges.keys() {
        let mut members = vec![start];
        let mut at = &merges[start].0;
        while at != start && !members.contains(&at) && merges.contains_key(at) {
            members.push(at);
            at = &merges[at].0;
        }
        if at == start {
            let void = members.into_iter().min_by_key(|member| merges[*member].1).expect("a cycle has members");
            aliases.remove(void);
        }
    }
    aliases
}

/// Whom any link names, or any merge that stands, void or not.
fn named(model: &Model, own: &BTreeMap<Id, Own>) -> BTreeSet<Id> {
    let mut named = BTreeSet::new();
    for (id, own) in own {
        for (field, value) in &own.values {
            if let (Some(target), Value::String(key)) = (model.entities[id.0].fields[*field].kind.link(), value) {
                named.insert((target, key.to_string()));
            }
        }
        if let Some((into, _)) = &own.merge {
            named.insert((id.0, into.clone()));
        }
    }
    named
}

/// "It reaches every id joined by any merge ever named (current, superseded, undone or void), both ways and transitively".
fn erased(events: &[Fact]) -> BTreeSet<Id> {
    let erasures = events.iter().filter(|fact| fact.event.action == Action::Erase);
    let mut erased: BTreeSet<Id> = erasures.map(|fact| id_of(&fact.event)).collect();
    loop {
        let before = erased.len();
        for fact in events {
            if let Action::Merge(into) = &fact.event.action {
                let (from, into) = (id_of(&fact.event), (fact.event.entity, into.to_string()));
                if erased.contains(&from) || erased.contains(&into) {
                    erased.extend([from, into]);
                }
            }
        }
        if erased.len() == before {
            return erased;
        }
    }
}

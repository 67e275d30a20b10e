//! What was seen of an entity: event types, producers, drift, dead letters. Discovery, not state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::rivals::Disagreement;
use crate::event::Code;
use crate::graph::{Reader, put};
use crate::ids::{By, EntityId, Slot};
use crate::model::Model;
use crate::model::value::Instant;

/// Names kept of each kind; what comes beyond is counted together, so that a producer of endless names costs no memory.
const NAMES_MAX: usize = 1000;
/// The name under which they are counted.
const OTHERS: &str = "(others)";
/// Kinds of events that are counted apart before they are put into the catalogues.
const TALLY_MAX: usize = 64;

/// How often something was seen, and when, by the log's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub count: u64,
    pub first: Instant,
    pub last: Instant,
    pub in_model: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftKind {
    Attribute,
    EventType,
    Extension,
}

impl DriftKind {
    pub const ALL: [DriftKind; 3] = [DriftKind::Attribute, DriftKind::EventType, DriftKind::Extension];

    pub fn name(self) -> &'static str {
        match self {
            DriftKind::Attribute => "ATTRIBUTE",
            DriftKind::EventType => "EVENT_TYPE",
            DriftKind::Extension => "EXTENSION",
        }
    }
}

/// What the contract does not know, and was seen all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    pub count: u64,
    pub last: Instant,
    /// The slot of the only entity that it was seen of: the name goes with it where that is erased. None where it was seen of
    /// several, or is nobody's.
    pub sole: Option<Slot>,
}

/// What was seen of one entity.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub event_types: BTreeMap<Arc<str>, Seen>,
    pub producers: BTreeMap<Arc<str>, Seen>,
    pub drift: BTreeMap<DriftKind, BTreeMap<Arc<str>, Drift>>,
    pub dead_letters: BTreeMap<Code, u64>,
    /// By producer: how many entities' last event is its.
    pub last_words: BTreeMap<Arc<str>, u64>,
    /// By field.
    pub disagreements: Vec<Disagreement>,
}

/// By entity and producer: how many entities' last event is its.
#[derive(Clone, Default)]
pub(super) struct LastWords {
    counts: By<EntityId, HashMap<u32, u64>>,
    changed: By<EntityId, bool>,
}

impl LastWords {
    pub fn new(model: &Model) -> LastWords {
        let entities = model.entities.ids();
        LastWords {
            counts: entities.clone().map(|_| HashMap::new()).collect(),
            changed: entities.map(|_| false).collect(),
        }
    }

    /// An entity's last event is of another producer than before.
    pub fn pass(&mut self, entity: EntityId, from: Option<u32>, to: u32) {
        if from == Some(to) {
            return;
        }
        let counts = &mut self.counts[entity];
        if let Some(from) = from
            && let Some(count) = counts.get_mut(&from)
        {
            *count -= 1;
            if *count == 0 {
                counts.remove(&from);
            }
        }
        *counts.entry(to).or_default() += 1;
        self.changed[entity] = true;
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, self.counts.len() as u64);
        for counts in &self.counts {
            put(out, counts.len() as u64);
            for (source, count) in counts {
                put(out, u64::from(*source));
                put(out, *count);
            }
        }
    }

    pub fn restore(reader: &mut Reader<'_>) -> LastWords {
        let entities = 0..reader.number();
        let of_entity = |_| (0..reader.number()).map(|_| (reader.number() as u32, reader.number())).collect();
        let counts: By<EntityId, HashMap<u32, u64>> = entities.map(of_entity).collect();
        LastWords { changed: counts.iter().map(|_| true).collect(), counts }
    }

    /// Puts what changed into the catalogues.
    pub fn tell(&mut self, catalogues: &mut By<EntityId, Arc<Catalogue>>, text: impl Fn(u32) -> Arc<str>) {
        for (entity, changed) in self.changed.entries_mut().filter(|(_, changed)| **changed) {
            *changed = false;
            let mut counts: Vec<(u64, u32)> =
                self.counts[entity].iter().map(|(source, count)| (*count, *source)).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let mut words = BTreeMap::new();
            for (place, (count, source)) in counts.into_iter().enumerate() {
                let name = if place < NAMES_MAX { text(source) } else { OTHERS.into() };
                *words.entry(name).or_default() += count;
            }
            Arc::make_mut(&mut catalogues[entity]).last_words = words;
        }
    }
}

impl Catalogue {
    fn event(&mut self, kind: &str, in_model: bool, source: &str, tallied: &Tallied) {
        see(&mut self.event_types, kind, in_model, tallied);
        // No model names a producer.
        see(&mut self.producers, source, false, tallied);
        if !in_model {
            self.drifts(DriftKind::EventType, kind, tallied.count, tallied.last, None);
        }
    }

    pub fn drift(&mut self, kind: DriftKind, name: &str, at: Instant, slot: Slot) {
        self.drifts(kind, name, 1, at, Some(slot));
    }

    /// Forgets the names that nobody else's events had.
    pub fn forget(&mut self, slot: Slot) {
        self.drift.retain(|_, names| {
            names.retain(|_, drift| drift.sole != Some(slot));
            !names.is_empty()
        });
    }

    fn drifts(&mut self, kind: DriftKind, name: &str, count: u64, at: Instant, slot: Option<Slot>) {
        let names = self.drift.entry(kind).or_default();
        if !names.contains_key(name) {
            let name = if names.len() < NAMES_MAX { name } else { OTHERS };
            let sole = slot.filter(|_| name != OTHERS);
            names.entry(name.into()).or_insert(Drift { count: 0, last: at, sole });
        }
        let name = if names.contains_key(name) { name } else { OTHERS };
        if let Some(drift) = names.get_mut(name) {
            drift.count += count;
            drift.last = drift.last.max(at);
            drift.sole = drift.sole.filter(|sole| slot == Some(*sole));
        }
    }

    pub fn dead_letter(&mut self, code: Code) {
        *self.dead_letters.entry(code).or_default() += 1;
    }
}

fn see(names: &mut BTreeMap<Arc<str>, Seen>, name: &str, in_model: bool, tallied: &Tallied) {
    let name = if names.contains_key(name) || names.len() < NAMES_MAX { name } else { OTHERS };
    if !names.contains_key(name) {
        names.insert(name.into(), Seen { count: 0, first: tallied.first, last: tallied.last, in_model });
    }
    if let Some(seen) = names.get_mut(name) {
        seen.count += tallied.count;
        seen.first = seen.first.min(tallied.first);
        seen.last = seen.last.max(tallied.last);
    }
}

/// Events since the last version, by entity, type and producer: counted by numbers, and by names only then.
#[derive(Default)]
pub struct Tally(Vec<((EntityId, u32, u32, bool), Tallied)>);

struct Tallied {
    count: u64,
    first: Instant,
    last: Instant,
}

impl Tally {
    pub fn event(&mut self, entity: EntityId, kind: u32, source: u32, in_model: bool, at: Instant) {
        let what = (entity, kind, source, in_model);
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, tallied)) => {
                tallied.count += 1;
                tallied.first = tallied.first.min(at);
                tallied.last = tallied.last.max(at);
            }
            // Many names are a producer's fault, and would be looked through for each event.
            None => self.0.push((what, Tallied { count: 1, first: at, last: at })),
        }
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= TALLY_MAX
    }

    /// Puts what was counted into the catalogues. `text` gives a name's text.
    pub fn tell(&mut self, catalogues: &mut By<EntityId, Arc<Catalogue>>, text: impl Fn(u32) -> Arc<str>) {
        for ((entity, kind, source, in_model), tallied) in self.0.drain(..) {
            Arc::make_mut(&mut catalogues[entity]).event(&text(kind), in_model, &text(source), &tallied);
        }
    }
}

//! What was seen of an entity: event types, producers, drift, dead letters. Discovery, not state.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Code;
use crate::model::value::Instant;

/// Names kept of each kind; what comes beyond is counted together, so that a producer of endless names costs no memory.
const NAMES_MAX: usize = 1000;
/// The name under which they are counted.
const OTHERS: &str = "(others)";

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
}

/// What was seen of one entity.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub event_types: BTreeMap<Arc<str>, Seen>,
    pub producers: BTreeMap<Arc<str>, Seen>,
    pub drift: BTreeMap<DriftKind, BTreeMap<Arc<str>, Drift>>,
    pub dead_letters: BTreeMap<Code, u64>,
}

impl Catalogue {
    pub fn event(&mut self, kind: &str, in_model: bool, source: &str, at: Instant) {
        see(&mut self.event_types, kind, in_model, at);
        // No model names a producer.
        see(&mut self.producers, source, false, at);
        if !in_model {
            self.drift(DriftKind::EventType, kind, at);
        }
    }

    pub fn drift(&mut self, kind: DriftKind, name: &str, at: Instant) {
        let names = self.drift.entry(kind).or_default();
        if !names.contains_key(name) {
            let name = if names.len() < NAMES_MAX { name } else { OTHERS };
            names.entry(name.into()).or_insert(Drift { count: 0, last: at });
        }
        let name = if names.contains_key(name) { name } else { OTHERS };
        if let Some(drift) = names.get_mut(name) {
            drift.count += 1;
            drift.last = drift.last.max(at);
        }
    }

    pub fn dead_letter(&mut self, code: Code) {
        *self.dead_letters.entry(code).or_default() += 1;
    }
}

fn see(names: &mut BTreeMap<Arc<str>, Seen>, name: &str, in_model: bool, at: Instant) {
    if let Some(seen) = names.get_mut(name) {
        seen.count += 1;
        seen.first = seen.first.min(at);
        seen.last = seen.last.max(at);
        return;
    }
    let name = if names.len() < NAMES_MAX { name } else { OTHERS };
    names.entry(name.into()).or_insert(Seen { count: 0, first: at, last: at, in_model }).count += 1;
}

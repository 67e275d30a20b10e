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
    pub drift: BTreeMap<(DriftKind, Arc<str>), Drift>,
    pub dead_letters: BTreeMap<Code, u64>,
}

impl Catalogue {
    pub fn event(&mut self, kind: &Arc<str>, in_model: bool, source: &Arc<str>, at: Instant) {
        see(&mut self.event_types, kind, in_model, at);
        // No model names a producer.
        see(&mut self.producers, source, false, at);
        if !in_model {
            self.drift(DriftKind::EventType, kind, at);
        }
    }

    pub fn drift(&mut self, kind: DriftKind, name: &Arc<str>, at: Instant) {
        let known = (kind, name.clone());
        if let Some(drift) = self.drift.get_mut(&known) {
            drift.count += 1;
            drift.last = drift.last.max(at);
            return;
        }
        let of_kind = self.drift.keys().filter(|(other, _)| *other == kind).count();
        let name = if of_kind < NAMES_MAX { known.1 } else { OTHERS.into() };
        let drift = self.drift.entry((kind, name)).or_insert(Drift { count: 0, last: at });
        drift.count += 1;
        drift.last = drift.last.max(at);
    }

    pub fn dead_letter(&mut self, code: Code) {
        *self.dead_letters.entry(code).or_default() += 1;
    }
}

fn see(names: &mut BTreeMap<Arc<str>, Seen>, name: &Arc<str>, in_model: bool, at: Instant) {
    if let Some(seen) = names.get_mut(name) {
        seen.count += 1;
        seen.first = seen.first.min(at);
        seen.last = seen.last.max(at);
        return;
    }
    let name = if names.len() < NAMES_MAX { name.clone() } else { OTHERS.into() };
    names.entry(name).or_insert(Seen { count: 0, first: at, last: at, in_model }).count += 1;
}

//! An entity as its own events make it, without a graph: what its past is read from.
//!
//! Links are keys, as events named them. What others' events say of it is not here: who merges into it, whom its merge
//! makes the same, whether an erasure of one of those reached it.

use std::collections::BTreeMap;

use super::DomainRules;
use super::entity::{self, Effect, Outcome, Told};
use super::ledger::{Ledger, Sources};
use super::stamp::{Order, Stamp};
use crate::event::{Action, Event};
use crate::ids::{By, FieldId};
use crate::model::cell::Cell;
use crate::model::value::Value;
use crate::model::{Entity, Operands};

/// What one event changed of its entity. What a field is now, the entity has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// What the event was to those before it. Of a duplicate nothing else is told.
    pub told: Told,
    /// Whether it set or cleared anything, be it to the same value.
    pub takes: bool,
    /// Whether no event before it is greater.
    pub is_last: bool,
    /// Fields that have another value, derived ones among them, and which they had.
    pub fields: Vec<(FieldId, Value)>,
    /// Unknown attributes that have another value, and which they had, as JSON.
    pub attributes: Vec<(Box<str>, Option<Box<str>>)>,
}

/// Folds the events of one entity, in whatever order they come.
pub struct Folded<'m> {
    description: &'m Entity,
    rules: DomainRules,
    ledger: Ledger,
    effect: Effect,
    sources: Texts,
    values: By<FieldId, Value>,
    /// Names, and values as JSON.
    attributes: BTreeMap<Box<str>, Box<str>>,
    /// The key that it merges into.
    merge: Option<Box<str>>,
    is_deleted: bool,
    is_erased: bool,
    missing: Vec<u64>,
}

/// The texts of sources, numbered as they come.
#[derive(Default)]
struct Texts(Vec<Box<str>>);

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        let known = self.0.iter().position(|known| **known == *text);
        known.unwrap_or_else(|| {
            self.0.push(text.into());
            self.0.len() - 1
        }) as u32
    }
}

impl Sources for Texts {
    fn text(&self, source: u32) -> &str {
        &self.0[source as usize]
    }
}

impl Operands for Folded<'_> {
    fn value(&self, field: FieldId) -> Cell<'_> {
        self.values[field].cell()
    }
}

impl<'m> Folded<'m> {
    /// One without events. `is_erased`: an erasure reaches it, whatever its own events say.
    pub fn new(description: &'m Entity, rules: DomainRules, is_erased: bool) -> Folded<'m> {
        let mut ledger = Ledger::default();
        ledger.read(&[], description.fields.len());
        Folded {
            description,
            rules,
            ledger,
            effect: Effect::default(),
            sources: Texts::default(),
            values: description.fields.iter().map(|_| Value::Null).collect(),
            attributes: BTreeMap::new(),
            merge: None,
            is_deleted: false,
            is_erased,
            missing: Vec::new(),
        }
    }

    /// Applies one of its events. Under `position` the caller leaves out duplicates, which only the partition can tell.
    pub fn apply(&mut self, event: &Event<'_>, stamp: Stamp) -> Changes {
        let source = event.envelope.source;
        let order = Order { stamp, source: (self.sources.number(source), source), id: event.envelope.id };
        let told = entity::tell(&mut self.ledger, self.rules, event, order);
        if told == Told::Duplicate {
            return Changes { told, ..Changes::default() };
        }
        let before = (self.values.clone(), self.attributes.clone());
        let mut effect = std::mem::take(&mut self.effect);
        entity::apply(&mut self.ledger, self.description, self.is_erased, event, order, &self.sources, &mut effect);
        self.set(event, &effect);
        if event.action == Action::Erase {
            self.erase();
        }
        self.derive();
        self.is_deleted = effect.is_deleted;
        self.missing = entity::missing(&self.ledger, self.rules).unwrap_or_default();
        let (takes, is_last) = (effect.takes, effect.is_last);
        self.effect = effect;
        let differs = |field: &FieldId| before.0[*field] != self.values[*field];
        let fields = self.values.ids().filter(differs).map(|field| (field, before.0[field].clone())).collect();
        let names = before.1.keys().chain(self.attributes.keys().filter(|name| !before.1.contains_key(*name)));
        let names = names.filter(|name| before.1.get(*name) != self.attributes.get(*name));
        let attributes = names.map(|name| (name.clone(), before.1.get(name).cloned())).collect();
        Changes { told, takes, is_last, fields, attributes }
    }

    fn set(&mut self, event: &Event<'_>, effect: &Effect) {
        for ((field, cell), outcome) in event.patch.iter().zip(&effect.fields) {
            if let Outcome::Judged { wins: true, .. } = outcome {
                self.values[field] = cell.to_value();
            }
        }
        for ((name, json), wins) in event.attributes.iter().zip(&effect.attributes) {
            match (wins, json) {
                (false, _) => {}
                (true, "null") => drop(self.attributes.remove(name)),
                (true, json) => drop(self.attributes.insert(name.into(), json.into())),
            }
        }
        effect.cleared.iter().for_each(|field| self.values[*field] = Value::Null);
        effect.cleared_attributes.iter().for_each(|name| drop(self.attributes.remove(name)));
        if effect.unmerges {
            self.merge = None;
        }
        if let (true, Action::Merge(into)) = (effect.merges, event.action) {
            self.merge = Some(into.into());
        }
    }

    /// An erasure reached it: nothing personal is left, nor comes back.
    fn erase(&mut self) {
        self.is_erased = true;
        if self.description.has_personal {
            let personal = self.description.fields.entries().filter(|(_, field)| field.personal);
            personal.for_each(|(field, _)| self.values[field] = Value::Null);
            self.attributes.clear();
            self.ledger.forget_attributes();
        }
    }

    fn derive(&mut self) {
        for (field, described) in self.description.fields.entries() {
            let Some(rule) = &described.derived else { continue };
            self.values[field] = match self.is_erased && described.personal {
                true => Value::Null,
                false => rule.derive(&described.kind, &*self),
            };
        }
    }

    pub fn values(&self) -> &By<FieldId, Value> {
        &self.values
    }

    /// What its events hold beyond the model: names, and values as JSON.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, json)| (&**name, &**json))
    }

    /// The key that it merges into, be that merge void or not.
    pub fn merge(&self) -> Option<&str> {
        self.merge.as_deref()
    }

    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    pub fn is_erased(&self) -> bool {
        self.is_erased
    }

    /// The lowest versions that are missing below the greatest seen.
    pub fn missing(&self) -> &[u64] {
        &self.missing
    }

    /// The source and id of the event that set a field, where one did.
    pub fn set_by(&self, field: FieldId) -> Option<(&str, &str)> {
        let (_, source, id) = self.ledger.set_field(field)?;
        Some((self.sources.text(source), id))
    }
}

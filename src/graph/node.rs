//! One entity at one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::postings::Postings;
use crate::model::value::{Instant, Value};
use crate::model::{Entity, Operands};

/// Whether an entity's own events have arrived, and what they came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known, if at all, because something names it.
    Reference,
    Present,
    Deleted,
}

/// The word for an entity's state, in the order in which one hides another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completeness {
    Complete,
    Incomplete,
    Reference,
    Deleted,
    Erased,
}

impl Completeness {
    pub const ALL: [Completeness; 5] = [
        Completeness::Complete,
        Completeness::Incomplete,
        Completeness::Reference,
        Completeness::Deleted,
        Completeness::Erased,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Completeness::Complete => "COMPLETE",
            Completeness::Incomplete => "INCOMPLETE",
            Completeness::Reference => "REFERENCE",
            Completeness::Deleted => "DELETED",
            Completeness::Erased => "ERASED",
        }
    }
}

/// The event that an entity's current state comes from: its lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRef {
    pub id: Arc<str>,
    pub kind: Arc<str>,
    pub source: Arc<str>,
    pub sequence: Option<Arc<str>>,
    pub time: Instant,
    pub topic: Arc<str>,
    pub partition: u32,
    pub offset: u64,
    pub appended_at: Instant,
    pub applied_at: Instant,
    pub dataschema: Option<Arc<str>>,
    pub traceparent: Option<Arc<str>>,
}

/// A merge into another entity of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The slot it names.
    pub into: u32,
    /// Orders merges of a cycle: the smallest is void.
    pub order: (Instant, Arc<str>, Arc<str>),
    /// Whether it is the one of its cycle that does not count.
    pub void: bool,
}

/// An entity, as one version of the graph has it.
#[derive(Clone, Debug)]
pub struct Node {
    pub key: Arc<str>,
    pub state: State,
    /// Forgotten: no personal value is here, nor will be.
    pub erased: bool,
    /// By field; derived ones too. Empty for a reference.
    pub fields: Box<[Value]>,
    /// What arrived beyond the model.
    pub attributes: Option<Arc<BTreeMap<Arc<str>, serde_json::Value>>>,
    /// The lowest hundred versions that are missing.
    pub missing: Option<Arc<[u64]>>,
    pub last_event: Option<Arc<EventRef>>,
    pub merge: Option<Merge>,
    /// Who merges into this one.
    pub aliases: Postings,
    /// How many links and merges name it.
    pub named_by: u32,
    /// By reverse: the slots whose link is this one.
    pub reverses: Box<[Postings]>,
}

impl Node {
    pub fn new(key: Arc<str>, reverses: usize) -> Node {
        Node {
            key,
            state: State::Reference,
            erased: false,
            fields: Box::default(),
            attributes: None,
            missing: None,
            last_event: None,
            merge: None,
            aliases: Postings::default(),
            named_by: 0,
            reverses: vec![Postings::default(); reverses].into(),
        }
    }

    /// Whether anyone can look at it: it has events of its own, or something names it.
    pub fn exists(&self) -> bool {
        self.state != State::Reference || self.named_by > 0
    }

    /// Whether it answers with another, its survivor.
    pub fn is_alias(&self) -> bool {
        self.merge.as_ref().is_some_and(|merge| !merge.void)
    }

    /// Whether lists, counts and reverse links hold it.
    pub fn is_listed(&self) -> bool {
        self.state == State::Present && !self.is_alias()
    }

    pub fn completeness(&self) -> Completeness {
        match self.state {
            State::Reference => Completeness::Reference,
            _ if self.erased => Completeness::Erased,
            State::Deleted => Completeness::Deleted,
            State::Present if self.missing.is_some() => Completeness::Incomplete,
            State::Present => Completeness::Complete,
        }
    }

    pub fn value(&self, field: usize) -> &Value {
        self.fields.get(field).unwrap_or(&Value::Null)
    }

    /// The checks that its state does not hold, by their place in the model.
    pub fn breaches<'a>(&'a self, entity: &'a Entity) -> impl Iterator<Item = usize> + 'a {
        let judged = self.state == State::Present && !self.fields.is_empty();
        let checks = entity.checks.iter().enumerate().filter(move |_| judged);
        checks.filter(|(_, check)| check.rule.holds(self) == Some(false)).map(|(index, _)| index)
    }
}

impl Operands for Node {
    fn value(&self, field: usize) -> Value {
        Node::value(self, field).clone()
    }
}

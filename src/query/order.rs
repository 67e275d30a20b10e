//! The order of a list: terms, then the key, ascending. Nulls come last in either direction, and so does what a link that
//! names nobody leads to.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::{QueryError, Reading};
use crate::graph::{Code, Node, code_of, key_code};
use crate::ids::{EntityId, FieldId};
use crate::limits::ORDERS_MAX;
use crate::model::cell::Cell;
use crate::model::value::Value;
use crate::model::{Kind, Model};
use crate::rights::Rights;

/// One term of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The links that lead to the value, each with its target's entity.
    pub links: Vec<(FieldId, EntityId)>,
    /// `None` is the key.
    pub field: Option<FieldId>,
    pub descending: bool,
}

/// A total order of one entity's nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub terms: Vec<Term>,
    /// Names the entity and the terms, so that a cursor of another order is recognised.
    pub signature: String,
    /// Whether a term is personal.
    pub personal: bool,
}

/// By key, ascending.
static BY_KEY: Term = Term { links: Vec::new(), field: None, descending: false };

impl Order {
    /// Reads `orderBy`, coerced. `rights` say whether personal fields may be sorted by.
    pub fn read(model: &Model, entity: EntityId, input: Option<&Json>, rights: &Rights) -> Result<Order, QueryError> {
        let mut order = Order { terms: Vec::new(), signature: model.entities[entity].name.clone(), personal: false };
        let terms = input.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        if terms.len() > ORDERS_MAX {
            let message = format!("`orderBy` has {} members, and at most {ORDERS_MAX} are taken", terms.len());
            return Err(QueryError::bad_input(message));
        }
        for term in terms {
            order.add(model, entity, term, rights)?;
        }
        Ok(order)
    }

    fn add(&mut self, model: &Model, entity: EntityId, term: &Json, rights: &Rights) -> Result<(), QueryError> {
        let (mut holder, mut links, mut input) = (entity, Vec::new(), term);
        self.signature.push(' ');
        loop {
            if links.len() > ORDERS_MAX {
                return Err(QueryError::bad_input(format!("`orderBy` follows at most {ORDERS_MAX} links")));
            }
            let mut members = input.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
            let (Some((name, value)), None) = (members.next(), members.next()) else {
                return Err(QueryError::bad_input(
                    "each member of `orderBy` names exactly one field, as in `[{ key: ASC }]`",
                ));
            };
            let described = &model.entities[holder];
            let field = described.field_named(name);
            self.signature += name;
            if let Some((field, target)) = field.and_then(|field| Some((field, described.fields[field].kind.link()?))) {
                self.signature.push('.');
                links.push((field, target));
                (holder, input) = (target, value);
                continue;
            }
            if field.is_some_and(|field| described.fields[field].personal) {
                if !rights.sees_personal() {
                    return Err(QueryError::forbidden(name));
                }
                self.personal = true;
            }
            let descending = value == "DESC";
            self.signature += if descending { " DESC" } else { " ASC" };
            self.terms.push(Term { links, field, descending });
            return Ok(());
        }
    }

    /// The first term, whatever else there is: by key where there is none.
    pub fn first(&self) -> &Term {
        self.terms.first().unwrap_or(&BY_KEY)
    }

    /// The entities that it leads to.
    pub fn targets(&self) -> impl Iterator<Item = EntityId> {
        self.terms.iter().flat_map(|term| term.links.iter().map(|(_, target)| *target))
    }

    pub fn compare(&self, reading: &Reading, a: &Node<'_>, b: &Node<'_>) -> Ordering {
        for term in &self.terms {
            let ordering = match (&term.links[..], term.field) {
                ([], Some(field)) => compare(a.value(field), b.value(field), term.descending),
                ([], None) => directed(a.key().as_bytes().cmp(b.key().as_bytes()), term.descending),
                _ => {
                    let (a, b) = (term.end(reading, a), term.end(reading, b));
                    compare(term.cell(a.as_ref()), term.cell(b.as_ref()), term.descending)
                }
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a.key().as_bytes().cmp(b.key().as_bytes())
    }

    /// Compares a node with a place that a cursor remembers: its terms' values (the key's among them), then its key.
    pub fn compare_to(&self, reading: &Reading, node: &Node<'_>, values: &[Value], key: &str) -> Ordering {
        for (term, value) in self.terms.iter().zip(values) {
            let ordering = match (&term.links[..], term.field) {
                ([], Some(field)) => compare(node.value(field), value.cell(), term.descending),
                ([], None) => directed(node.key().as_bytes().cmp(key.as_bytes()), term.descending),
                _ => compare(term.cell(term.end(reading, node).as_ref()), value.cell(), term.descending),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        node.key().as_bytes().cmp(key.as_bytes())
    }
}

impl Term {
    /// Shows the value that it sorts a node by.
    pub fn look<T>(&self, reading: &Reading, node: &Node<'_>, show: impl FnOnce(Cell<'_>) -> T) -> T {
        match &self.links[..] {
            [] => show(self.cell(Some(node))),
            _ => show(self.cell(self.end(reading, node).as_ref())),
        }
    }

    /// The code of that value; none where it is null.
    pub fn code(&self, reading: &Reading, kind: Option<&Kind>, node: &Node<'_>) -> Option<Code> {
        self.look(reading, node, |cell| match (kind, cell) {
            (Some(kind), cell) => code_of(kind, cell),
            (None, Cell::String(key)) => Some(key_code(key)),
            (None, _) => None,
        })
    }

    /// What the value is; none of a key.
    pub fn kind<'m>(&self, model: &'m Model, entity: EntityId) -> Option<&'m Kind> {
        let holder = self.links.last().map_or(entity, |(_, target)| *target);
        self.field.map(|field| &model.entities[holder].fields[field].kind)
    }

    /// Where its links lead from a node.
    fn end<'v>(&self, reading: &'v Reading, node: &Node<'v>) -> Option<Node<'v>> {
        let mut at = node.clone();
        for (field, target) in &self.links {
            let id = reading.view.follow(&at, *field, *target)?;
            at = Some(reading.view.node(id)).filter(|node| reading.shows_or_ends(id, node))?;
        }
        Some(at)
    }

    fn cell<'n>(&self, node: Option<&'n Node<'_>>) -> Cell<'n> {
        match (node, self.field) {
            (None, _) => Cell::Null,
            (Some(node), Some(field)) => node.value(field),
            (Some(node), None) => Cell::String(node.key()),
        }
    }
}

fn directed(ordering: Ordering, descending: bool) -> Ordering {
    if descending { ordering.reverse() } else { ordering }
}

fn compare(a: Cell<'_>, b: Cell<'_>, descending: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) => directed(a.compare(b).unwrap_or(Ordering::Equal), descending),
        (a, b) => a.cmp(&b),
    }
}

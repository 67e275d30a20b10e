//! The order of a list: terms, then the key, ascending. Nulls come last in either direction.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::QueryError;
use crate::graph::Node;
use crate::limits::ORDERS_MAX;
use crate::model::Model;
use crate::model::cell::Cell;
use crate::model::value::Value;

/// One term of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// `None` is the key.
    pub field: Option<usize>,
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

impl Order {
    pub fn read(model: &Model, entity: usize, input: Option<&Json>, personal: bool) -> Result<Order, QueryError> {
        let description = &model.entities[entity];
        let mut order = Order { terms: Vec::new(), signature: description.name.clone(), personal: false };
        let terms = input.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        if terms.len() > ORDERS_MAX {
            let message = format!("`orderBy` has {} members, and at most {ORDERS_MAX} are taken", terms.len());
            return Err(QueryError::bad_input(message));
        }
        for term in terms {
            let members: Vec<_> =
                term.as_object().into_iter().flatten().filter(|(_, direction)| !direction.is_null()).collect();
            let [(name, direction)] = members[..] else {
                return Err(QueryError::bad_input(
                    "each member of `orderBy` names exactly one field, as in `[{ key: ASC }]`",
                ));
            };
            let field = description.field_named(name);
            if let Some(field) = field.map(|field| &description.fields[field])
                && field.personal
            {
                if !personal {
                    return Err(QueryError::forbidden(name));
                }
                order.personal = true;
            }
            let descending = direction == "DESC";
            order.terms.push(Term { field, descending });
            order.signature += &format!(" {name} {}", if descending { "DESC" } else { "ASC" });
        }
        Ok(order)
    }

    /// The first term, whatever else there is: by key where there is none.
    pub fn first(&self) -> Term {
        self.terms.first().copied().unwrap_or(Term { field: None, descending: false })
    }

    pub fn compare(&self, a: &Node<'_>, b: &Node<'_>) -> Ordering {
        for term in &self.terms {
            let ordering = match term.field {
                Some(field) => compare(a.value(field), b.value(field), term.descending),
                None => directed(a.key().as_bytes().cmp(b.key().as_bytes()), term.descending),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a.key().as_bytes().cmp(b.key().as_bytes())
    }

    /// Compares a node with a place that a cursor remembers: its terms' values (the key's among them), then its key.
    pub fn compare_to(&self, node: &Node<'_>, values: &[Value], key: &str) -> Ordering {
        for (term, value) in self.terms.iter().zip(values) {
            let ordering = match term.field {
                Some(field) => compare(node.value(field), value.cell(), term.descending),
                None => directed(node.key().as_bytes().cmp(key.as_bytes()), term.descending),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        node.key().as_bytes().cmp(key.as_bytes())
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

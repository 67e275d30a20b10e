//! Filters, asked of one node. Two-valued: a comparison with null is false.

use std::cmp::Ordering;

use super::{QueryError, Reading};
use crate::graph::{Completeness, Node, fold_case};
use crate::ids::{EntityId, FieldId, NodeId};
use crate::model::cell::Cell;
use crate::model::value::{GeoPoint, Value};

/// A filter over one entity's nodes.
#[derive(Clone, Debug)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// Of a link to one: whether it is null. At the root a node always is.
    IsNull(bool),
    Key(Vec<Test>),
    Completeness(Vec<Completeness>),
    Field {
        field: FieldId,
        tests: Vec<Test>,
    },
    Money {
        field: FieldId,
        currency: Vec<Test>,
        minor: Vec<Test>,
    },
    Near {
        field: FieldId,
        center: GeoPoint,
        km: f64,
    },
    Link {
        field: FieldId,
        entity: EntityId,
        filter: Box<Filter>,
    },
    Reverse {
        reverse: usize,
        entity: EntityId,
        quantifier: Quantifier,
        filter: Box<Filter>,
    },
    /// Judged over the whole graph, whatever who asks may see of it.
    Whole(Box<Filter>),
}

/// Over what a filter is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// What who asks may see.
    Seen,
    /// The whole graph.
    Whole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    Some,
    None,
    Every,
}

/// One comparison of a value.
#[derive(Clone, Debug)]
pub enum Test {
    Equal(Value),
    NotEqual(Value),
    /// Of values in their order.
    In(Vec<Value>),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    StartsWith(String),
    Contains(String),
    Has(Value),
    IsNull(bool),
    /// Of the text with its case folded; what it is compared with is folded already.
    Folded(Box<Test>),
}

impl Filter {
    /// What is to be judged, and over what: `over`, unless it says otherwise itself.
    pub fn over(&self, over: Over) -> (&Filter, Over) {
        match self {
            Filter::Whole(filter) => (filter, Over::Whole),
            filter => (filter, over),
        }
    }

    /// Whether it holds for a node that may be seen; across links for what may be.
    pub fn matches(&self, reading: &Reading, id: NodeId, node: &Node<'_>) -> Result<bool, QueryError> {
        self.holds(reading, id, node, Over::Seen)
    }

    /// Whether it holds for a node; what lies across links is judged over what is said.
    pub(super) fn holds(&self, reading: &Reading, id: NodeId, node: &Node<'_>, over: Over) -> Result<bool, QueryError> {
        reading.step()?;
        Ok(match self {
            Filter::And(parts) => {
                for part in parts {
                    if !part.holds(reading, id, node, over)? {
                        return Ok(false);
                    }
                }
                true
            }
            Filter::Or(parts) => {
                for part in parts {
                    if part.holds(reading, id, node, over)? {
                        return Ok(true);
                    }
                }
                false
            }
            Filter::Not(part) => !part.holds(reading, id, node, over)?,
            Filter::IsNull(wanted) => !wanted,
            Filter::Key(tests) => passes(Cell::String(node.key()), tests),
            Filter::Completeness(wanted) => wanted.contains(&node.completeness()),
            Filter::Field { field, tests } => passes(node.value(*field), tests),
            Filter::Money { field, currency, minor } => match node.value(*field) {
                Cell::Money(money) => {
                    (currency.is_empty() || passes(Cell::String(money.currency()), currency))
                        && passes(Cell::Int(money.minor), minor)
                }
                _ => false,
            },
            Filter::Near { field, center, km } => match node.value(*field) {
                Cell::GeoPoint(point) => point.distance_km(center) <= *km,
                _ => false,
            },
            Filter::Link { field, entity: target_entity, filter } => {
                let target = match over {
                    Over::Seen => reading.follow(node, *field, *target_entity)?,
                    Over::Whole => reading.view.follow(node, *field, *target_entity),
                };
                match target {
                    Some(target) => filter.holds(reading, target, &reading.node(target), over)?,
                    None => filter.matches_null_link(),
                }
            }
            Filter::Reverse { reverse, entity: source_entity, quantifier, filter } => {
                return self::reverse(reading, id, (*reverse, *source_entity), *quantifier, filter, over);
            }
            Filter::Whole(filter) => filter.holds(reading, id, node, Over::Whole)?,
        })
    }

    /// A filter through a null link is false, but for what it says of the link itself.
    pub fn matches_null_link(&self) -> bool {
        match self {
            Filter::IsNull(wanted) => *wanted,
            Filter::And(parts) => !parts.is_empty() && parts.iter().all(Filter::matches_null_link),
            Filter::Or(parts) => parts.iter().any(Filter::matches_null_link),
            Filter::Not(part) => part.is_of_the_link() && !part.matches_null_link(),
            _ => false,
        }
    }

    fn is_of_the_link(&self) -> bool {
        match self {
            Filter::IsNull(_) => true,
            Filter::And(parts) | Filter::Or(parts) => parts.iter().all(Filter::is_of_the_link),
            Filter::Not(part) => part.is_of_the_link(),
            _ => false,
        }
    }
}

fn reverse(
    reading: &Reading,
    id: NodeId,
    (reverse, source_entity): (usize, EntityId),
    quantifier: Quantifier,
    filter: &Filter,
    over: Over,
) -> Result<bool, QueryError> {
    reading.touch(source_entity);
    let (view, field) = (&reading.view, reading.view.model().entities[id.entity].reverses[reverse].field);
    for member in view.merged(view.survivor(id)) {
        for source in view.sources(source_entity, field, member) {
            let source = source_entity.node(source);
            let node = view.node(source);
            if over == Over::Seen && !reading.shows(source, &node)? {
                continue;
            }
            match (quantifier, filter.holds(reading, source, &node, over)?) {
                (Quantifier::Some, true) => return Ok(true),
                (Quantifier::None, true) | (Quantifier::Every, false) => return Ok(false),
                _ => {}
            }
        }
    }
    Ok(quantifier != Quantifier::Some)
}

pub fn passes(value: Cell<'_>, tests: &[Test]) -> bool {
    tests.iter().all(|test| {
        if let Test::IsNull(wanted) = test {
            return value.is_null() == *wanted;
        }
        if value.is_null() {
            return false;
        }
        let is = |other: &Value, accepted: fn(Ordering) -> bool| value.compare(other.cell()).is_some_and(accepted);
        match test {
            Test::Equal(other) => is(other, Ordering::is_eq),
            Test::NotEqual(other) => is(other, Ordering::is_ne),
            Test::In(others) => {
                // From the value's side, as the others are in the values' order.
                let order = |other: &Value| value.compare(other.cell()).map_or(Ordering::Less, Ordering::reverse);
                others.binary_search_by(order).is_ok()
            }
            Test::Less(other) => is(other, Ordering::is_lt),
            Test::LessOrEqual(other) => is(other, Ordering::is_le),
            Test::Greater(other) => is(other, Ordering::is_gt),
            Test::GreaterOrEqual(other) => is(other, Ordering::is_ge),
            Test::StartsWith(prefix) => matches!(value, Cell::String(text) if text.starts_with(prefix.as_str())),
            Test::Contains(part) => matches!(value, Cell::String(text) if text.contains(part.as_str())),
            Test::Has(item) => matches!(value, Cell::List(items) if items.iter().any(|known| known == item.cell())),
            Test::IsNull(_) => true,
            Test::Folded(test) => match value {
                Cell::String(text) => passes(Cell::String(&fold_case(text)), std::slice::from_ref(test)),
                _ => false,
            },
        }
    })
}

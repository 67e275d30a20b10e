//! Filters: read once from their input, then asked of each node. Two-valued: a comparison with null is false.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{QueryError, Reading};
use crate::graph::{Completeness, Node};
use crate::model::value::{Date, GeoPoint, Instant, Value};
use crate::model::{Kind, Model};

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
        field: usize,
        tests: Vec<Test>,
    },
    Money {
        field: usize,
        currency: Vec<Test>,
        minor: Vec<Test>,
    },
    Near {
        field: usize,
        center: GeoPoint,
        km: f64,
    },
    Link {
        field: usize,
        entity: usize,
        filter: Box<Filter>,
    },
    Reverse {
        reverse: usize,
        entity: usize,
        quantifier: Quantifier,
        filter: Box<Filter>,
    },
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
    In(Vec<Value>),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    StartsWith(String),
    Contains(String),
    Has(Value),
    IsNull(bool),
}

impl Filter {
    /// Reads a filter of an entity. `personal` says whether personal fields may be filtered by.
    pub fn read(model: &Model, entity: usize, input: &Json, personal: bool) -> Result<Filter, QueryError> {
        Reader { model, personal }.filter(entity, input)
    }

    pub fn matches(&self, reading: &Reading, entity: usize, node: &Node) -> Result<bool, QueryError> {
        reading.step()?;
        Ok(match self {
            Filter::And(parts) => {
                for part in parts {
                    if !part.matches(reading, entity, node)? {
                        return Ok(false);
                    }
                }
                true
            }
            Filter::Or(parts) => {
                for part in parts {
                    if part.matches(reading, entity, node)? {
                        return Ok(true);
                    }
                }
                false
            }
            Filter::Not(part) => !part.matches(reading, entity, node)?,
            Filter::IsNull(wanted) => !wanted,
            Filter::Key(tests) => passes(&Value::String(node.key.clone()), tests),
            Filter::Completeness(wanted) => wanted.contains(&node.completeness()),
            Filter::Field { field, tests } => passes(node.value(*field), tests),
            Filter::Money { field, currency, minor } => match node.value(*field) {
                Value::Money(money) => {
                    (currency.is_empty() || passes(&Value::String(money.currency().into()), currency))
                        && passes(&Value::Int(money.minor), minor)
                }
                _ => false,
            },
            Filter::Near { field, center, km } => match node.value(*field) {
                Value::GeoPoint(point) => point.distance_km(center) <= *km,
                _ => false,
            },
            Filter::Link { field, entity: target_entity, filter } => {
                match reading.view.follow(node, *field, *target_entity) {
                    Some(slot) => filter.matches(reading, *target_entity, reading.node(*target_entity, slot))?,
                    None => filter.matches_null_link(),
                }
            }
            Filter::Reverse { reverse, entity: source_entity, quantifier, filter } => {
                return self::reverse(reading, entity, node, (*reverse, *source_entity), *quantifier, filter);
            }
        })
    }

    /// A filter through a null link is false, but for what it says of the link itself.
    fn matches_null_link(&self) -> bool {
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
    entity: usize,
    node: &Node,
    (reverse, source_entity): (usize, usize),
    quantifier: Quantifier,
    filter: &Filter,
) -> Result<bool, QueryError> {
    reading.touch(source_entity);
    let Some(slot) = reading.view.find(entity, &node.key) else { return Ok(false) };
    for postings in reading.view.reverse(entity, slot, reverse) {
        for source in postings.iter() {
            let source = reading.view.node(source_entity, source);
            if source.is_listed() {
                match (quantifier, filter.matches(reading, source_entity, source)?) {
                    (Quantifier::Some, true) => return Ok(true),
                    (Quantifier::None, true) | (Quantifier::Every, false) => return Ok(false),
                    _ => {}
                }
            }
        }
    }
    Ok(quantifier != Quantifier::Some)
}

fn passes(value: &Value, tests: &[Test]) -> bool {
    tests.iter().all(|test| {
        if let Test::IsNull(wanted) = test {
            return value.is_null() == *wanted;
        }
        if value.is_null() {
            return false;
        }
        let is = |other: &Value, accepted: fn(Ordering) -> bool| value.compare(other).is_some_and(accepted);
        match test {
            Test::Equal(other) => is(other, Ordering::is_eq),
            Test::NotEqual(other) => is(other, Ordering::is_ne),
            Test::In(others) => others.iter().any(|other| is(other, Ordering::is_eq)),
            Test::Less(other) => is(other, Ordering::is_lt),
            Test::LessOrEqual(other) => is(other, Ordering::is_le),
            Test::Greater(other) => is(other, Ordering::is_gt),
            Test::GreaterOrEqual(other) => is(other, Ordering::is_ge),
            Test::StartsWith(prefix) => matches!(value, Value::String(text) if text.starts_with(prefix.as_str())),
            Test::Contains(part) => matches!(value, Value::String(text) if text.contains(part.as_str())),
            Test::Has(item) => matches!(value, Value::List(items) if items.contains(item)),
            Test::IsNull(_) => true,
        }
    })
}

struct Reader<'a> {
    model: &'a Model,
    personal: bool,
}

impl Reader<'_> {
    fn filter(&self, entity: usize, input: &Json) -> Result<Filter, QueryError> {
        let mut parts = Vec::new();
        for (name, value) in members(input, "a filter")? {
            parts.push(self.part(entity, name, value)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn part(&self, entity: usize, name: &str, value: &Json) -> Result<Filter, QueryError> {
        let description = &self.model.entities[entity];
        if value.is_null() {
            return Err(QueryError::bad_input(format!(
                "`{name}` is null in a filter: leave it out, or write `{{ isNull: true }}`"
            )));
        }
        let list = |value: &Json| -> Result<Vec<Filter>, QueryError> {
            value.as_array().into_iter().flatten().map(|item| self.filter(entity, item)).collect()
        };
        match name {
            "and" => return Ok(Filter::And(list(value)?)),
            "or" => return Ok(Filter::Or(list(value)?)),
            "not" => return Ok(Filter::Not(Box::new(self.filter(entity, value)?))),
            "isNull" => return Ok(Filter::IsNull(value.as_bool().unwrap_or_default())),
            "key" => return Ok(Filter::Key(self.tests(&Kind::String, name, value)?)),
            "completeness" => return completeness(value),
            _ => {}
        }
        if let Some(field) = description.field_named(name) {
            return self.field(entity, field, value);
        }
        let reverse = description.reverses.iter().position(|reverse| reverse.name == name);
        let reverse =
            reverse.ok_or_else(|| QueryError::bad_input(format!("{} has no field `{name}`", description.name)))?;
        let source = description.reverses[reverse].entity;
        let mut parts = Vec::new();
        for (quantifier, filter) in members(value, name)? {
            if filter.is_null() {
                return Err(QueryError::bad_input(format!("`{quantifier}` of `{name}` is null: leave it out")));
            }
            let filter = Box::new(self.filter(source, filter)?);
            let quantifier = match quantifier.as_str() {
                "some" => Quantifier::Some,
                "none" => Quantifier::None,
                _ => Quantifier::Every,
            };
            parts.push(Filter::Reverse { reverse, entity: source, quantifier, filter });
        }
        Ok(Filter::And(parts))
    }

    fn field(&self, entity: usize, field: usize, value: &Json) -> Result<Filter, QueryError> {
        let description = &self.model.entities[entity].fields[field];
        if description.personal && !self.personal {
            return Err(QueryError::forbidden(&description.name));
        }
        match &description.kind {
            Kind::Link { entity, .. } => {
                Ok(Filter::Link { field, entity: *entity, filter: Box::new(self.filter(*entity, value)?) })
            }
            Kind::Money => {
                let (mut currency, mut minor, mut null) = (Vec::new(), Vec::new(), Vec::new());
                let mut named = false;
                for (name, value) in members(value, &description.name)? {
                    match name.as_str() {
                        "currency" => (currency, named) = (self.tests(&Kind::String, name, value)?, true),
                        "minor" => (minor, named) = (self.tests(&Kind::Long, name, value)?, true),
                        _ => null.push(is_null(value)?),
                    }
                }
                let null = Filter::Field { field, tests: null };
                Ok(if named { Filter::And(vec![null, Filter::Money { field, currency, minor }]) } else { null })
            }
            Kind::GeoPoint => {
                let mut parts = Vec::new();
                for (name, value) in members(value, &description.name)? {
                    parts.push(match name.as_str() {
                        "near" => near(field, value)?,
                        _ => Filter::Field { field, tests: vec![is_null(value)?] },
                    });
                }
                Ok(Filter::And(parts))
            }
            kind => Ok(Filter::Field { field, tests: self.tests(kind, &description.name, value)? }),
        }
    }

    fn tests(&self, kind: &Kind, field: &str, input: &Json) -> Result<Vec<Test>, QueryError> {
        let mut tests = Vec::new();
        for (operator, value) in members(input, field)? {
            if value.is_null() {
                let message = format!("`{operator}` of `{field}` is null: write `{{ isNull: true }}` to ask for null");
                return Err(QueryError::bad_input(message));
            }
            let item = || self.value(kind, field, value);
            let text = || value.as_str().unwrap_or_default().to_owned();
            tests.push(match operator.as_str() {
                "eq" => Test::Equal(item()?),
                "ne" => Test::NotEqual(item()?),
                "in" => {
                    let items = value.as_array().into_iter().flatten();
                    Test::In(items.map(|item| self.value(kind, field, item)).collect::<Result<_, _>>()?)
                }
                "lt" => Test::Less(item()?),
                "lte" => Test::LessOrEqual(item()?),
                "gt" => Test::Greater(item()?),
                "gte" => Test::GreaterOrEqual(item()?),
                "startsWith" => Test::StartsWith(text()),
                "contains" => Test::Contains(text()),
                "has" => match kind {
                    Kind::List(item) => Test::Has(self.value(item, field, value)?),
                    _ => Test::Has(item()?),
                },
                _ => is_null(value)?,
            });
        }
        Ok(tests)
    }

    fn value(&self, kind: &Kind, field: &str, input: &Json) -> Result<Value, QueryError> {
        let text =
            || input.as_str().ok_or_else(|| QueryError::bad_input(format!("`{field}` is compared with a text here")));
        let wrong = |what: String| QueryError::bad_input(format!("`{field}` is compared with something that {what}"));
        Ok(match kind {
            Kind::Id if input.is_number() => Value::String(Arc::from(input.to_string())),
            Kind::String | Kind::Id => Value::String(Arc::from(text()?)),
            Kind::Int | Kind::Long => Value::Int(input.as_i64().ok_or_else(|| wrong("is no integer".into()))?),
            Kind::Float => Value::Float(input.as_f64().ok_or_else(|| wrong("is no number".into()))?),
            Kind::Boolean => Value::Boolean(input.as_bool().ok_or_else(|| wrong("is neither true nor false".into()))?),
            Kind::Date => {
                Value::Date(Date::parse(text()?).ok_or_else(|| wrong("is no date: write `\"2024-06-01\"`".into()))?)
            }
            Kind::DateTime => Value::DateTime(Instant::parse(text()?).map_err(|why| wrong(why.into()))?),
            Kind::Enum(index) => Value::Enum(
                self.model.enums[*index].position(text()?).ok_or_else(|| wrong("is none of its values".into()))?,
            ),
            Kind::Json => Value::Json(Arc::new(input.clone())),
            _ => return Err(wrong("it cannot be compared with".into())),
        })
    }
}

fn members<'a>(input: &'a Json, what: &str) -> Result<impl Iterator<Item = (&'a String, &'a Json)>, QueryError> {
    let object = input.as_object().ok_or_else(|| QueryError::bad_input(format!("{what} is an object")))?;
    Ok(object.iter())
}

fn is_null(value: &Json) -> Result<Test, QueryError> {
    value.as_bool().map(Test::IsNull).ok_or_else(|| QueryError::bad_input("`isNull` is true or false"))
}

fn near(field: usize, value: &Json) -> Result<Filter, QueryError> {
    let number = |name: &str| value.get(name).and_then(Json::as_f64).unwrap_or(f64::NAN);
    let (lat, lon, km) = (number("lat"), number("lon"), number("km"));
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) || km.is_nan() || km < 0.0 {
        return Err(QueryError::bad_input("`near` takes a `lat` within ±90, a `lon` within ±180 and `km` from 0"));
    }
    Ok(Filter::Near { field, center: GeoPoint { lat, lon }, km })
}

fn completeness(value: &Json) -> Result<Filter, QueryError> {
    let named = |value: &Json| Completeness::ALL.into_iter().find(|known| Some(known.name()) == value.as_str());
    let mut wanted = Completeness::ALL.to_vec();
    for (operator, value) in members(value, "completeness")? {
        if value.is_null() {
            return Err(QueryError::bad_input(format!("`{operator}` of `completeness` is null: leave it out")));
        }
        match operator.as_str() {
            "eq" => wanted.retain(|known| named(value) == Some(*known)),
            "ne" => wanted.retain(|known| named(value) != Some(*known)),
            _ => wanted.retain(|known| value.as_array().into_iter().flatten().any(|item| named(item) == Some(*known))),
        }
    }
    Ok(Filter::Completeness(wanted))
}

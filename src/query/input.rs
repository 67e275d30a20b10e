//! Filters read from GraphQL's input, already coerced, as JSON.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value as Json;

use super::QueryError;
use super::filter::{Filter, Quantifier, Test};
use crate::graph::{Completeness, fold_case};
use crate::ids::{EntityId, FieldId};
use crate::limits::{FILTER_PARTS_MAX, ITEMS_MAX};
use crate::model::value::{Date, GeoPoint, Instant, Value};
use crate::model::{Kind, Model};
use crate::rights::Rights;

/// Reads a filter of an entity. `rights` say whether personal fields may be filtered by.
pub fn read(model: &Model, entity: EntityId, input: &Json, rights: &Rights) -> Result<Filter, QueryError> {
    FilterReader { model, rights, parts: Cell::new(0) }.filter(entity, input)
}

struct FilterReader<'a> {
    model: &'a Model,
    rights: &'a Rights,
    /// How many were read.
    parts: Cell<usize>,
}

impl FilterReader<'_> {
    fn filter(&self, entity: EntityId, input: &Json) -> Result<Filter, QueryError> {
        let mut parts = Vec::new();
        for (name, value) in members(input, "a filter")? {
            self.count()?;
            parts.push(self.part(entity, name, value)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn count(&self) -> Result<(), QueryError> {
        self.parts.set(self.parts.get() + 1);
        match self.parts.get() <= FILTER_PARTS_MAX {
            true => Ok(()),
            false => Err(QueryError::bad_input(format!(
                "a filter has at most {FILTER_PARTS_MAX} parts: `in` takes {ITEMS_MAX} values in one"
            ))),
        }
    }

    fn part(&self, entity: EntityId, name: &str, value: &Json) -> Result<Filter, QueryError> {
        let description = &self.model.entities[entity];
        if value.is_null() {
            return Err(QueryError::bad_input(format!(
                "`{name}` is null in a filter: leave it out, or write `{{ isNull: true }}`"
            )));
        }
        let list = |value: &Json| -> Result<Vec<Filter>, QueryError> {
            let items = value.as_array().into_iter().flatten();
            items.map(|item| self.count().and_then(|()| self.filter(entity, item))).collect()
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

    fn field(&self, entity: EntityId, field: FieldId, value: &Json) -> Result<Filter, QueryError> {
        let description = &self.model.entities[entity].fields[field];
        if description.personal && !self.rights.sees_personal() {
            return Err(QueryError::forbidden(&description.name));
        }
        match &description.kind {
            Kind::Link(entity) => {
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
        let folds = input.get("ignoreCase").and_then(Json::as_bool).unwrap_or_default();
        for (operator, value) in members(input, field)?.filter(|(operator, _)| *operator != "ignoreCase") {
            if value.is_null() {
                let message = format!("`{operator}` of `{field}` is null: write `{{ isNull: true }}` to ask for null");
                return Err(QueryError::bad_input(message));
            }
            self.count()?;
            let item = || self.value(kind, field, value);
            let text = || value.as_str().unwrap_or_default().to_owned();
            tests.push(match operator.as_str() {
                "eq" => Test::Equal(item()?),
                "ne" => Test::NotEqual(item()?),
                "in" => {
                    let items = value.as_array().map_or(&[][..], Vec::as_slice);
                    if items.len() > ITEMS_MAX {
                        let message =
                            format!("`in` of `{field}` has {} items, and at most {ITEMS_MAX} are taken", items.len());
                        return Err(QueryError::bad_input(message));
                    }
                    let items = items.iter().map(|item| self.value(kind, field, item));
                    let mut items = items.collect::<Result<Vec<Value>, _>>()?;
                    items.sort_by(|a, b| a.cell().compare(b.cell()).unwrap_or(Ordering::Equal));
                    Test::In(items)
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
        Ok(if folds { tests.into_iter().map(fold).collect() } else { tests })
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
            Kind::Json => Value::Json(input.to_string().into()),
            _ => return Err(wrong("it cannot be compared with".into())),
        })
    }
}

/// A test of a text, whose case does not count.
fn fold(test: Test) -> Test {
    let value = |value: Value| match value {
        Value::String(text) => Value::String(fold_case(&text).into()),
        other => other,
    };
    Test::Folded(Box::new(match test {
        Test::Equal(other) => Test::Equal(value(other)),
        Test::NotEqual(other) => Test::NotEqual(value(other)),
        Test::In(others) => {
            let mut others: Vec<Value> = others.into_iter().map(value).collect();
            others.sort_by(|a, b| a.cell().compare(b.cell()).unwrap_or(Ordering::Equal));
            Test::In(others)
        }
        Test::Less(other) => Test::Less(value(other)),
        Test::LessOrEqual(other) => Test::LessOrEqual(value(other)),
        Test::Greater(other) => Test::Greater(value(other)),
        Test::GreaterOrEqual(other) => Test::GreaterOrEqual(value(other)),
        Test::StartsWith(text) => Test::StartsWith(fold_case(&text)),
        Test::Contains(text) => Test::Contains(fold_case(&text)),
        // Whether there is a text has no case.
        test => return test,
    }))
}

fn members<'a>(input: &'a Json, what: &str) -> Result<impl Iterator<Item = (&'a String, &'a Json)>, QueryError> {
    let object = input.as_object().ok_or_else(|| QueryError::bad_input(format!("{what} is an object")))?;
    Ok(object.iter())
}

fn is_null(value: &Json) -> Result<Test, QueryError> {
    value.as_bool().map(Test::IsNull).ok_or_else(|| QueryError::bad_input("`isNull` is true or false"))
}

fn near(field: FieldId, value: &Json) -> Result<Filter, QueryError> {
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

//! Input coercion, by the specification's sections 3 and 6.4.1 (September 2025): the only reading of what clients give.
//!
//! A literal of a document, a default and a variable's value are all made JSON first and then coerced by their type, so that
//! no two of them can differ.

use apollo_compiler::Schema;
use apollo_compiler::ast::{InputValueDefinition, Type, Value as Literal};
use apollo_compiler::executable::Operation;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use serde_json::{Map, Number, Value as Json};

use crate::limits::NESTING_MAX;
use crate::model::nearest;
use crate::model::value::{Date, Instant, LONG_MAX};

pub type Variables = Map<String, Json>;

/// Why a value is not of its type: where in it, and what to write.
#[derive(Debug)]
pub struct Wrong {
    /// From the inside to the outside, each with its `.` or brackets.
    path: Vec<String>,
    what: String,
    /// Whether it is of another kind: a number in a text's place.
    pub is_other_kind: bool,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Wrong {
        Wrong { path: Vec::new(), what: what.into(), is_other_kind: true }
    }

    /// Of the right kind, and no value all the same.
    fn value(what: impl Into<String>) -> Wrong {
        Wrong { is_other_kind: false, ..Wrong::new(what) }
    }

    fn within(mut self, segment: String) -> Wrong {
        self.path.push(segment);
        self
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// As a sentence about what `name` names.
    pub fn of(&self, name: &str) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        format!("`{name}{path}` {}", self.what)
    }
}

/// The variables of an operation from what a request gives.
pub fn variables(schema: &Schema, operation: &Operation, given: &Variables) -> Result<Variables, (usize, String)> {
    let mut coerced = Variables::new();
    for (place, variable) in operation.variables.iter().enumerate() {
        let name = variable.name.as_str();
        let value = match (given.get(name), &variable.default_value) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => literal(default, &Variables::new()).unwrap_or_default(),
            (None, None) if variable.ty.is_non_null() => {
                return Err((place, format!("`${name}` is missing: it is a `{}`", variable.ty)));
            }
            (None, None) => continue,
        };
        let value = value_of(schema, &variable.ty, value).map_err(|wrong| (place, wrong.of(&format!("${name}"))))?;
        coerced.insert(name.to_owned(), value);
    }
    Ok(coerced)
}

/// A field's arguments, from the literals that a document gives and the variables, coerced.
pub fn arguments<'a>(
    schema: &Schema,
    definitions: impl Iterator<Item = &'a InputValueDefinition>,
    given: impl Fn(&str) -> Option<&'a Literal>,
    variables: &Variables,
) -> Result<Map<String, Json>, Wrong> {
    let mut coerced = Map::new();
    for definition in definitions {
        let name = definition.name.as_str();
        let value = given(name).and_then(|value| literal(value, variables));
        if let Some(value) = member(schema, definition, value)? {
            coerced.insert(name.to_owned(), value);
        }
    }
    Ok(coerced)
}

/// A literal as JSON; none of a variable that has no value.
pub fn literal(value: &Literal, variables: &Variables) -> Option<Json> {
    Some(match value {
        Literal::Null => Json::Null,
        Literal::Enum(name) => name.as_str().into(),
        Literal::Variable(name) => return variables.get(name.as_str()).cloned(),
        Literal::String(text) => text.as_str().into(),
        Literal::Int(number) => self::number(number.as_str()),
        Literal::Float(number) => self::number(number.as_str()),
        Literal::Boolean(truth) => (*truth).into(),
        Literal::List(items) => {
            items.iter().map(|item| literal(item, variables).unwrap_or_default()).collect::<Vec<Json>>().into()
        }
        Literal::Object(members) => {
            let members =
                members.iter().filter_map(|(name, value)| Some((name.to_string(), literal(value, variables)?)));
            Json::Object(members.collect())
        }
    })
}

/// A number of a document, whose numbers are JSON's.
fn number(text: &str) -> Json {
    serde_json::from_str::<Number>(text).map_or(Json::Null, Json::Number)
}

/// A member of an input, or an argument: its default where nothing is given.
fn member(schema: &Schema, definition: &InputValueDefinition, given: Option<Json>) -> Result<Option<Json>, Wrong> {
    let within = || format!(".{}", definition.name);
    let given = given.or_else(|| literal(definition.default_value.as_ref()?, &Variables::new()));
    match given {
        None if definition.ty.is_non_null() => {
            Err(Wrong::new(format!("is missing: it is a `{}`", definition.ty)).within(within()))
        }
        None => Ok(None),
        Some(value) => value_of(schema, &definition.ty, value).map(Some).map_err(|wrong| wrong.within(within())),
    }
}

/// A value of a type.
pub fn value_of(schema: &Schema, of_type: &Type, value: Json) -> Result<Json, Wrong> {
    at(schema, of_type, value, 0)
}

fn at(schema: &Schema, of_type: &Type, value: Json, depth: usize) -> Result<Json, Wrong> {
    if depth > NESTING_MAX {
        return Err(Wrong::new("nests deeper than a value may"));
    }
    match of_type {
        Type::NonNullNamed(_) | Type::NonNullList(_) if value.is_null() => {
            Err(Wrong::new(format!("is null, and it is a `{of_type}`")))
        }
        _ if value.is_null() => Ok(Json::Null),
        Type::Named(name) | Type::NonNullNamed(name) => named(schema, name, value, depth),
        Type::List(item) | Type::NonNullList(item) => match value {
            Json::Array(items) => {
                let items = items.into_iter().enumerate();
                let coerced = items.map(|(index, value)| {
                    at(schema, item, value, depth + 1).map_err(|wrong| wrong.within(format!("[{index}]")))
                });
                Ok(Json::Array(coerced.collect::<Result<_, _>>()?))
            }
            // A list of one.
            single => Ok(Json::Array(vec![at(schema, item, single, depth + 1)?])),
        },
    }
}

fn named(schema: &Schema, name: &str, value: Json, depth: usize) -> Result<Json, Wrong> {
    match schema.types.get(name) {
        Some(ExtendedType::Enum(values)) => match &value {
            Json::String(text) if values.values.contains_key(text.as_str()) => Ok(value),
            Json::String(text) => {
                let near = nearest(text, values.values.keys().map(|value| value.as_str()));
                Err(Wrong::new(format!("is none of the values of `{name}`{near}")))
            }
            _ => Err(Wrong::new(format!("is no value of `{name}`: it is the value's name"))),
        },
        Some(ExtendedType::InputObject(input)) => match value {
            Json::Object(members) => object(schema, input, members, depth),
            _ => Err(Wrong::new(format!("is no `{name}`, which is an object"))),
        },
        _ => scalar(name, value),
    }
}

fn object(schema: &Schema, input: &InputObjectType, mut given: Map<String, Json>, depth: usize) -> Result<Json, Wrong> {
    if let Some(unknown) = given.keys().find(|name| !input.fields.contains_key(name.as_str())) {
        let near = nearest(unknown, input.fields.keys().map(|name| name.as_str()));
        return Err(Wrong::new(format!("has a member that `{}` does not have{near}", input.name)));
    }
    if is_one_of(input) {
        let named: Vec<&Json> = given.values().collect();
        if !matches!(named[..], [value] if !value.is_null()) {
            return Err(Wrong::new(format!(
                "has {} members: a `{}` has exactly one, which is not null",
                named.len(),
                input.name
            )));
        }
    }
    let mut coerced = Map::new();
    // In the order given, which the order of a list's terms may depend on.
    let names: Vec<String> = given.keys().cloned().collect();
    for name in names {
        let (Some(definition), Some(value)) = (input.fields.get(name.as_str()), given.remove(&name)) else { continue };
        let value = at(schema, &definition.ty, value, depth + 1).map_err(|wrong| wrong.within(format!(".{name}")))?;
        coerced.insert(name, value);
    }
    for (name, definition) in &input.fields {
        if !coerced.contains_key(name.as_str())
            && let Some(value) = member(schema, definition, None)?
        {
            coerced.insert(name.to_string(), value);
        }
    }
    Ok(Json::Object(coerced))
}

pub fn is_one_of(input: &InputObjectType) -> bool {
    input.directives.has("oneOf")
}

fn scalar(name: &str, value: Json) -> Result<Json, Wrong> {
    /// The integer that a number is, also written as `3.0`.
    fn integer(value: &Json) -> Option<i64> {
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() <= LONG_MAX as f64).then_some(number as i64);
        value.as_i64().or_else(|| value.as_f64().and_then(whole))
    }
    let fits = |number: Option<i64>, most: i64, least: i64| number.filter(|number| (least..=most).contains(number));
    match (name, &value) {
        ("String", Json::String(_)) | ("ID", Json::String(_)) | ("Boolean", Json::Bool(_)) => Ok(value),
        ("Int", Json::Number(_)) => fits(integer(&value), i64::from(i32::MAX), i64::from(i32::MIN))
            .map(Json::from)
            .ok_or_else(|| Wrong::new("is no `Int`, an integer of 32 bits")),
        ("Long", Json::Number(_)) => fits(integer(&value), LONG_MAX, -LONG_MAX)
            .map(Json::from)
            .ok_or_else(|| Wrong::value("is no `Long`, an integer within ±(2^53 − 1)")),
        ("Float", Json::Number(_)) => Ok(value),
        ("ID", Json::Number(_)) => match integer(&value) {
            Some(number) => Ok(number.to_string().into()),
            None => Err(Wrong::new("is no `ID`, a text or an integer")),
        },
        ("JSON" | "_Any", _) => Ok(value),
        ("Date", Json::String(text)) => match Date::parse(text) {
            Some(_) => Ok(value),
            None => Err(Wrong::value("is no date: write `\"2024-06-01\"`")),
        },
        ("DateTime", Json::String(text)) => match Instant::parse(text) {
            Ok(_) => Ok(value),
            Err(why) => Err(Wrong::value(why)),
        },
        ("String", _) => Err(Wrong::new("is no `String`: it stands in quotes")),
        ("ID", _) => Err(Wrong::new("is no `ID`, a text or an integer")),
        ("Boolean", _) => Err(Wrong::new("is no `Boolean`: true or false, without quotes")),
        ("Date", _) => Err(Wrong::new("is no `Date`: write \"2024-06-01\"")),
        ("DateTime", _) => Err(Wrong::new("is no `DateTime`: write \"2024-06-01T12:30:00Z\"")),
        (name, _) => Err(Wrong::new(format!("is no `{name}`, which is a number"))),
    }
}

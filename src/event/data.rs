//! An event's data: a merge patch (RFC 7386, one level deep) of the entity's attributes, read strictly by the model.

use std::sync::Arc;

use super::{Action, Code, Event, Json, Rejection, SUBJECT_BYTES_MAX};
use crate::model::value::{Date, GeoPoint, Instant, LONG_MAX, Money, Value};
use crate::model::{Effect, Entity, Kind, Model, Operands};

/// Fills in the event's patch, attributes and action, and judges its checks.
pub fn read(root: &Json<'_>, model: &Model, past_participle: &str, event: &mut Event) -> Result<(), Rejection> {
    let entity = &model.entities[event.entity];
    if root.get("data_base64").is_some_and(|value| *value != Json::Null) {
        return Err(Rejection::new(Code::BadField, "data_base64", "binary data is not taken: write JSON under `data`"));
    }
    match past_participle {
        // Its data is ignored, whatever it is.
        "deleted" => {
            event.action = Action::Delete;
            return Ok(());
        }
        "erased" => event.action = Action::Erase,
        _ => {}
    }
    let no_members = Vec::new();
    let members = match root.get("data") {
        None | Some(Json::Null) => &no_members,
        Some(Json::Object(members)) => members,
        Some(other) => {
            return Err(Rejection::new(
                Code::BadField,
                "data",
                format!("`data` must be an object, not {}", other.noun()),
            ));
        }
    };
    if let Some(media_type) = root.get("datacontenttype").and_then(Json::text)
        && !members.is_empty()
        && !is_json(media_type)
    {
        let message = "`datacontenttype` must be JSON's: `application/json`, or one that ends in `+json`";
        return Err(Rejection::new(Code::BadField, "datacontenttype", message));
    }
    let merges = past_participle == "merged";
    for (name, value) in members {
        if merges && name == "into" {
            continue;
        }
        match entity.by_wire_name.get(name.as_ref()) {
            Some(index) => {
                let field = &entity.fields[*index];
                if field.derived.is_some() {
                    return Err(bad_field(name, "is derived from other fields, and no event may set it"));
                }
                let value =
                    read_value(value, &field.kind, model, field.personal).map_err(|why| bad_field(name, &why))?;
                event.patch.push((*index, value));
            }
            None => event.attributes.push((Arc::from(name.as_ref()), value.to_value())),
        }
    }
    if merges {
        event.action = Action::Merge(survivor(root, &event.key)?);
    }
    judge(entity, &event.patch)?;
    for effect in entity.effects.get(past_participle).into_iter().flatten() {
        let (field, value) = match effect {
            Effect::Set { field, value } => (*field, Value::Enum(*value)),
            Effect::OccurredAt { field } => (*field, Value::DateTime(event.envelope.time)),
        };
        // Where the data name the field, they count, null included.
        if !event.patch.iter().any(|(known, _)| *known == field) {
            event.patch.push((field, value));
        }
    }
    Ok(())
}

fn survivor(root: &Json<'_>, key: &str) -> Result<Arc<str>, Rejection> {
    let refuse = |what: &str| Err(bad_field("into", what));
    match root.get("data").and_then(|data| data.get("into")) {
        None | Some(Json::Null) => refuse("is missing: the key of the entity that survives"),
        Some(Json::Text(into)) if **into == *key => refuse("names the entity itself"),
        Some(value) => match read_key(value) {
            Ok(into) => Ok(into),
            Err(why) => refuse(&why),
        },
    }
}

fn bad_field(name: &str, what: &str) -> Rejection {
    let name = super::shorten(name);
    Rejection::at(Code::BadField, Some(format!("data.{name}")), format!("`data.{name}` {what}"))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// The event's own data, as a rule's operands; a derived operand is derived from them.
struct Data<'a> {
    entity: &'a Entity,
    patch: &'a [(usize, Value)],
}

impl Operands for Data<'_> {
    fn value(&self, field: usize) -> Value {
        match &self.entity.fields[field].derived {
            Some(rule) => rule.evaluate(self).unwrap_or(Value::Null),
            None => {
                self.patch.iter().find(|(known, _)| *known == field).map_or(Value::Null, |(_, value)| value.clone())
            }
        }
    }
}

fn judge(entity: &Entity, patch: &[(usize, Value)]) -> Result<(), Rejection> {
    for check in &entity.checks {
        if check.rule.holds(&Data { entity, patch }) == Some(false) {
            let named = |field: &&usize| patch.iter().any(|(known, _)| known == *field);
            let field = check.rule.fields.iter().find(named).or(check.rule.fields.first());
            let field = field.map(|field| format!("data.{}", entity.fields[*field].wire_name));
            return Err(Rejection::at(Code::CheckFailed, field, format!("the data break the check `{}`", check.text)));
        }
    }
    Ok(())
}

/// Reads a field's value, `Null` clearing it. The error completes "`data.x` …" and repeats no personal value.
fn read_value(value: &Json<'_>, kind: &Kind, model: &Model, personal: bool) -> Result<Value, String> {
    let wanted = |what: &str| Err(format!("must be {what}, not {}", value.noun()));
    Ok(match (kind, value) {
        (_, Json::Null) => Value::Null,
        (Kind::String | Kind::Id, Json::Text(text)) => Value::String(Arc::from(text.as_ref())),
        (Kind::String | Kind::Id, _) => return wanted("a text"),
        (Kind::Int, Json::Integer(number)) if i32::try_from(*number).is_ok() => Value::Int(*number),
        (Kind::Int, Json::Integer(_) | Json::Unsigned(_)) => return Err("does not fit 32 bits".into()),
        (Kind::Int, _) => return wanted("an integer"),
        (Kind::Long, Json::Integer(number)) if number.unsigned_abs() <= LONG_MAX as u64 => Value::Int(*number),
        (Kind::Long, Json::Integer(_) | Json::Unsigned(_)) => return Err("lies outside ±(2^53 − 1)".into()),
        (Kind::Long, _) => return wanted("an integer"),
        (Kind::Float, _) => match number(value) {
            Some(number) => Value::Float(number),
            None => return wanted("a number"),
        },
        (Kind::Boolean, Json::Boolean(truth)) => Value::Boolean(*truth),
        (Kind::Boolean, _) => return wanted("true or false"),
        (Kind::Date, Json::Text(text)) => {
            Value::Date(Date::parse(text).ok_or("must be a date that exists, as `2024-06-01`")?)
        }
        (Kind::Date, _) => return wanted("a date, as `\"2024-06-01\"`"),
        (Kind::DateTime, Json::Text(text)) => Value::DateTime(Instant::parse(text)?),
        (Kind::DateTime, _) => return wanted("a date and time, as `\"2024-06-01T12:30:00Z\"`"),
        (Kind::Json, other) => Value::Json(Arc::new(other.to_value())),
        (Kind::Money, _) => Value::Money(money(value)?),
        (Kind::GeoPoint, _) => Value::GeoPoint(geo_point(value)?),
        (Kind::Enum(index), Json::Text(text)) => match model.enums[*index].position(text) {
            Some(position) => Value::Enum(position),
            None => {
                let enumeration = &model.enums[*index];
                let known: Vec<&str> = enumeration.values.iter().map(|value| value.name.as_str()).collect();
                let said = if personal { "the text".to_owned() } else { format!("`{}`", super::shorten(text)) };
                return Err(format!("must be one of {}: {said} is no {}", known.join(", "), enumeration.name));
            }
        },
        (Kind::Enum(index), _) => return wanted(&format!("a value of {}", model.enums[*index].name)),
        (Kind::Link { .. }, _) => Value::String(read_key(value)?),
        (Kind::List(item), Json::Array(items)) => {
            let read = |(index, value): (usize, &Json<'_>)| match value {
                Json::Null => Err(format!("has a null at {index}: a list's items are values")),
                value => read_value(value, item, model, personal).map_err(|why| format!("at {index} {why}")),
            };
            Value::List(items.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?.into())
        }
        (Kind::List(_), _) => return wanted("an array"),
    })
}

fn read_key(value: &Json<'_>) -> Result<Arc<str>, String> {
    match value {
        Json::Text(text) if (1..=SUBJECT_BYTES_MAX).contains(&text.len()) => Ok(Arc::from(text.as_ref())),
        Json::Text(_) => Err(format!("must have 1 to {SUBJECT_BYTES_MAX} bytes, as every key")),
        other => Err(format!("must be the other's key as a text, not {}", other.noun())),
    }
}

fn number(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Integer(number) => Some(*number as f64),
        Json::Unsigned(number) => Some(*number as f64),
        Json::Float(number) => Some(*number),
        _ => None,
    }
}

/// An object's two members, where it has exactly those.
fn pair<'a>(value: &'a Json<'a>, names: [&str; 2]) -> Option<[&'a Json<'a>; 2]> {
    match value {
        Json::Object(members) if members.len() == 2 => Some([value.get(names[0])?, value.get(names[1])?]),
        _ => None,
    }
}

fn money(value: &Json<'_>) -> Result<Money, String> {
    let shape = "must be Money: `{\"minor\": 12345, \"currency\": \"SGD\"}`, with exactly these members";
    let [minor, currency] = pair(value, ["minor", "currency"]).ok_or(shape)?;
    let minor = match minor {
        Json::Integer(minor) if minor.unsigned_abs() <= LONG_MAX as u64 => *minor,
        _ => return Err("has a `minor` that is no integer within ±(2^53 − 1)".into()),
    };
    let currency = match currency {
        Json::Text(text) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => text.as_bytes().try_into().ok(),
        _ => None,
    };
    Ok(Money { minor, currency: currency.ok_or("has a `currency` that is not three capitals")? })
}

fn geo_point(value: &Json<'_>) -> Result<GeoPoint, String> {
    let shape = "must be a GeoPoint: `{\"lat\": 1.29, \"lon\": 103.85}`, with exactly these members";
    let [lat, lon] = pair(value, ["lat", "lon"]).ok_or(shape)?;
    let within = |value, limit: f64| number(value).filter(|degrees| (-limit..=limit).contains(degrees));
    let lat = within(lat, 90.0).ok_or("has a `lat` that is no number within ±90")?;
    let lon = within(lon, 180.0).ok_or("has a `lon` that is no number within ±180")?;
    Ok(GeoPoint { lat, lon })
}

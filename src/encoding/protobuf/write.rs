//! A decoded message as JSON. prost bounds how deep messages nest, and so how deep this goes.

use prost_reflect::{DynamicMessage, EnumDescriptor, MapKey, Value};

use super::{Content, Field, Form, Message, Schema};
use crate::encoding::calendar;
use crate::encoding::fault::{Fault, Fit};
use crate::encoding::{OUT_BYTES_MAX, decimal, json};

/// Doubles hold every integer up to here.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) fn message(schema: &Schema, place: usize, value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
    Writer { schema, out_max: out.len() + OUT_BYTES_MAX }.message(place, value, out)
}

struct Writer<'a> {
    schema: &'a Schema,
    out_max: usize,
}

impl Writer<'_> {
    fn message(&self, place: usize, value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
        // Names are repeated for every message of a list, so a few bytes may become many.
        if out.len() > self.out_max {
            return Err(Fault::new(format!("the record has more than {OUT_BYTES_MAX} bytes as JSON")));
        }
        let message = &self.schema.messages[place];
        match message.form {
            Form::Object => self.object(message, value, out),
            Form::Timestamp => timestamp(value, out),
            Form::Duration => duration(value, out),
            Form::Wrapper => self.only_field(message, value, out),
            Form::Struct | Form::List => self.only_field(message, value, out),
            Form::Value => self.any_value(message, value, out),
            Form::FieldMask => {
                let paths = value.get_field_by_number(1);
                let paths = paths.as_deref().and_then(Value::as_list).unwrap_or_default();
                let paths: Vec<&str> = paths.iter().filter_map(Value::as_str).collect();
                json::text(&paths.join(","), out);
                Ok(())
            }
            Form::Any => {
                out.extend_from_slice(b"{\"@type\":");
                json::text(value.get_field_by_number(1).as_deref().and_then(Value::as_str).unwrap_or_default(), out);
                out.extend_from_slice(b",\"value\":");
                json::base64(
                    value.get_field_by_number(2).as_deref().and_then(Value::as_bytes).map_or(&[], |all| all),
                    out,
                );
                out.push(b'}');
                Ok(())
            }
            Form::Date => {
                let [year, month, day] = [1, 2, 3].map(|number| int(value, number));
                if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                    // A year without a day, and whatever else the type allows, is no date.
                    return self.object(message, value, out);
                }
                out.push(b'"');
                for (part, width, end) in [(year, 4, b'-'), (month, 2, b'-'), (day, 2, b'"')] {
                    calendar::digits(part.unsigned_abs(), width, out);
                    out.push(end);
                }
                Ok(())
            }
            Form::Decimal => {
                let bytes = value.get_field_by_number(1);
                let bytes = bytes.as_deref().and_then(Value::as_bytes).map_or(&[][..], |bytes| bytes);
                let scale = i32::try_from(int(value, 3)).unwrap_or(i32::MAX);
                decimal::unscaled(bytes, scale, out).map_err(Fault::new)
            }
        }
    }

    fn object(&self, message: &Message, value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
        out.push(b'{');
        let mut is_first = true;
        for field in &message.fields {
            if field.descriptor.supports_presence() && !value.has_field(&field.descriptor) {
                continue;
            }
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            out.extend_from_slice(&field.lead);
            self.field(field, value, out).map_err(|fault| fault.within(&field.name))?;
        }
        out.push(b'}');
        Ok(())
    }

    fn field(&self, field: &Field, of: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
        match &*of.get_field(&field.descriptor) {
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.value(&field.content, item, out).map_err(|fault| fault.at(index))?;
                }
                out.push(b']');
                Ok(())
            }
            Value::Map(members) => {
                // The same record gives the same text.
                let mut members: Vec<(&MapKey, &Value)> = members.iter().collect();
                members.sort_unstable_by(|one, other| one.0.cmp(other.0));
                out.push(b'{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    map_key(key, out);
                    out.push(b':');
                    self.value(&field.content, value, out).map_err(Fault::under_key)?;
                }
                out.push(b'}');
                Ok(())
            }
            value => self.value(&field.content, value, out),
        }
    }

    fn value(&self, content: &Content, value: &Value, out: &mut Vec<u8>) -> Fit {
        match (value, content) {
            (Value::Message(value), Content::Message(place)) => return self.message(*place, value, out),
            (Value::EnumNumber(number), Content::Enum(values)) => symbol(values, *number, out),
            (Value::Bool(value), _) => json::boolean(*value, out),
            (Value::I32(value), _) | (Value::EnumNumber(value), _) => json::integer((*value).into(), out),
            (Value::I64(value), _) => json::integer(*value, out),
            (Value::U32(value), _) => json::unsigned((*value).into(), out),
            (Value::U64(value), _) => json::unsigned(*value, out),
            (Value::F32(value), _) => json::single(*value, out),
            (Value::F64(value), _) => json::double(*value, out),
            (Value::String(value), _) => json::text(value, out),
            (Value::Bytes(value), _) => json::base64(value, out),
            (Value::Message(_) | Value::List(_) | Value::Map(_), _) => {
                return Err(Fault::new("the value is of another type than its field"));
            }
        }
        Ok(())
    }

    fn only_field(&self, message: &Message, value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
        let field = message.fields.first().ok_or_else(|| Fault::new("the schema's message lacks its field"))?;
        self.field(field, value, out)
    }

    /// `google.protobuf.Value`: whichever of its fields is set. Its numbers are all doubles, and whole ones are written
    /// without a point, since that is what was meant.
    fn any_value(&self, message: &Message, value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
        let Some(field) = message.fields.iter().find(|field| value.has_field(&field.descriptor)) else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        match &*value.get_field(&field.descriptor) {
            Value::F64(number) if number.fract() == 0.0 && number.abs() <= WHOLE_MAX => {
                json::integer(*number as i64, out)
            }
            _ => return self.field(field, value, out),
        }
        Ok(())
    }
}

/// A value of an enum: its name, or its number where the schema has none for it.
fn symbol(values: &EnumDescriptor, number: i32, out: &mut Vec<u8>) {
    match values.get_value(number) {
        Some(_) if values.full_name() == "google.protobuf.NullValue" => out.extend_from_slice(b"null"),
        Some(value) => json::text(value.name(), out),
        None => json::integer(number.into(), out),
    }
}

fn map_key(key: &MapKey, out: &mut Vec<u8>) {
    match key {
        MapKey::String(key) => return json::text(key, out),
        _ => out.push(b'"'),
    }
    match key {
        MapKey::Bool(key) => json::boolean(*key, out),
        MapKey::I32(key) => json::integer((*key).into(), out),
        MapKey::I64(key) => json::integer(*key, out),
        MapKey::U32(key) => json::unsigned((*key).into(), out),
        MapKey::U64(key) => json::unsigned(*key, out),
        MapKey::String(_) => {}
    }
    out.push(b'"');
}

/// An integer field of a message, 0 where it is unset.
fn int(message: &DynamicMessage, number: u32) -> i64 {
    match message.get_field_by_number(number).as_deref() {
        Some(Value::I64(value)) => *value,
        Some(Value::I32(value)) => (*value).into(),
        _ => 0,
    }
}

fn timestamp(value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
    let nanos = u64::try_from(int(value, 2)).ok().filter(|nanos| *nanos < 1_000_000_000);
    let nanos = nanos.ok_or_else(|| Fault::new("a timestamp's nanos are not 0 to 999,999,999"))?;
    out.push(b'"');
    calendar::seconds_and_nanos(int(value, 1), nanos, out);
    out.extend_from_slice(b"Z\"");
    Ok(())
}

/// Seconds with a fraction and an `s`, such as `"-1.500s"`.
fn duration(value: &DynamicMessage, out: &mut Vec<u8>) -> Fit {
    let (seconds, nanos) = (int(value, 1), int(value, 2));
    if nanos.unsigned_abs() >= 1_000_000_000 || seconds.signum() * nanos.signum() < 0 {
        return Err(Fault::new("a duration's nanos do not go with its seconds"));
    }
    out.push(b'"');
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    calendar::digits(seconds.unsigned_abs(), 1, out);
    calendar::fraction(nanos.unsigned_abs(), out);
    out.extend_from_slice(b"s\"");
    Ok(())
}

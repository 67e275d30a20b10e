//! JSON text into the values that programs run on, and back.

use std::fmt;

use jaq_json::{Map, Num, Val};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{Numerals, is_exact};

/// Integers that a double holds without loss lie within ± this.
const DOUBLE_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads one JSON value. The error says what is wrong and where, and repeats nothing of the text.
pub fn read(text: &[u8]) -> Result<Val, String> {
    // serde's own words about data may quote them; the place is all that is safe.
    let place = |error: serde_json::Error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a name stands twice in one object",
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is no JSON, or it is nested too deep",
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // What serde does not take for UTF-8 holds no number that is asked for.
    let mut numerals = Numerals::of(std::str::from_utf8(text).unwrap_or_default());
    let read = ValueReader(&mut numerals).deserialize(&mut deserializer);
    read.and_then(|value| deserializer.end().map(|()| value)).map_err(place)
}

/// Reads a value. serde makes doubles of numbers, so their digits are read beside.
struct ValueReader<'r, 't>(&'r mut Numerals<'t>);

impl<'de> DeserializeSeed<'de> for ValueReader<'_, '_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader<'_, '_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Val, E> {
        Ok(Val::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Val, E> {
        self.0.next();
        Ok(Val::Num(Num::from_integral(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Val, E> {
        self.0.next();
        Ok(Val::Num(Num::from_integral(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Val, E> {
        let written = self.0.next().unwrap_or_default();
        if is_exact(written, value) {
            return Ok(Val::Num(Num::Float(value)));
        }
        let integer = Num::from_str_radix(written, 10);
        Ok(Val::Num(integer.unwrap_or_else(|| Num::Dec(written.to_owned().into()))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Val, E> {
        Ok(string(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Val, E> {
        Ok(Val::utf8_str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Val, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(ValueReader(self.0))? {
            all.push(item);
        }
        Ok(all.into_iter().collect())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Val, A::Error> {
        let mut all = Map::default();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(ValueReader(self.0))?;
            if all.insert(Val::utf8_str(name), value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Val::obj(all))
    }
}

/// What Connect's converter writes where schemas are enabled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The payload of a text in JSON, without the schema that Connect's converter may have put beside it. This is where values
/// come in: as they are in the text.
pub fn payload(text: &[u8]) -> Result<Val, String> {
    let start = text.trim_ascii_start();
    // The schema is most of the text, and nobody reads it.
    if start.starts_with(b"{\"schema\"")
        && let Ok(wrapped) = serde_json::from_slice::<Wrapped<'_>>(start)
        && (wrapped.schema.get() == "null" || wrapped.schema.get().starts_with('{'))
    {
        return read(wrapped.payload.get().as_bytes());
    }
    read(text).map(unwrapped)
}

/// A value without the schema beside it.
pub fn unwrapped(value: Val) -> Val {
    let is_schema = |schema: &Val| matches!(schema, Val::Null | Val::Obj(_));
    match get(&value, "payload") {
        Some(payload) if members(&value).count() == 2 && get(&value, "schema").is_some_and(is_schema) => {
            payload.clone()
        }
        _ => value,
    }
}

/// A text as a value.
pub fn string(text: &str) -> Val {
    Val::utf8_str(text.to_owned())
}

/// An object of members in their order.
pub fn object<'n>(members: impl IntoIterator<Item = (&'n str, Val)>) -> Val {
    Val::obj(members.into_iter().map(|(name, value)| (string(name), value)).collect())
}

/// A value's text, if it is one.
pub fn text(value: &Val) -> Option<&str> {
    match value {
        Val::TStr(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// An object's members; none of anything else.
pub fn members(value: &Val) -> impl Iterator<Item = (&str, &Val)> {
    let map = match value {
        Val::Obj(map) => Some(map),
        _ => None,
    };
    map.into_iter().flat_map(|map| map.iter()).filter_map(|(name, value)| Some((text(name)?, value)))
}

/// A member of an object. Null is one.
pub fn get<'v>(value: &'v Val, name: &str) -> Option<&'v Val> {
    members(value).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A member's text.
pub fn get_text<'v>(value: &'v Val, name: &str) -> Option<&'v str> {
    get(value, name).and_then(text)
}

/// A member that is an integer from 0, written as a number or as a text.
pub fn get_number(value: &Val, name: &str) -> Option<u64> {
    match get(value, name)? {
        Val::Num(number) => number.as_isize().and_then(|number| u64::try_from(number).ok()),
        other => text(other)?.parse().ok(),
    }
}

/// Whether a value is an object.
pub fn is_object(value: &Val) -> bool {
    matches!(value, Val::Obj(_))
}

/// Writes a value as JSON. A number is written as jq has it: `2.0` is 2. The error names what JSON cannot hold, by its
/// kind alone.
pub fn write(value: &Val, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Val::Num(Num::Float(number)) => write_float(*number, out)?,
        Val::Num(Num::Dec(digits)) => write_digits(digits, out)?,
        Val::Num(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Val::TStr(bytes) => write_text(std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8")?, out),
        Val::BStr(_) => return Err("bytes, where only texts are"),
        Val::Arr(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Val::Obj(map) => {
            out.push(b'{');
            for (index, (name, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(text(name).ok_or("an object's name that is no text")?, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Writes a number that no program computed with: as it was, unless a double says the same.
fn write_digits(digits: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let double: f64 = digits.parse().map_err(|_| "a number that is none")?;
    let is_json = serde_json::from_str::<&RawValue>(digits).is_ok();
    if !is_json || is_exact(digits, double) {
        return write_float(double, out);
    }
    out.extend_from_slice(digits.as_bytes());
    Ok(())
}

fn write_float(number: f64, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !number.is_finite() {
        return Err("a number that is infinite, or none");
    }
    let text = match number.fract() == 0.0 && number.abs() < DOUBLE_INTEGER_MAX {
        true => (number as i64).to_string(),
        false => serde_json::Number::from_f64(number).map(|number| number.to_string()).unwrap_or_default(),
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Writes a text in quotes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a text into memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for text in [
            r#"{"a":[1,-2,null,true,"x\ny"],"b":{"c":0.5}}"#,
            r#"18446744073709551615"#,
            r#"{"name that is long":9007199254740993}"#,
            r#"{"1":[12345678901234567890123,"2",-1234567890123456.78,0.1000000000000000055511151231257827]}"#,
        ] {
            let mut out = Vec::new();
            write(&read(text.as_bytes()).unwrap(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        let mut out = Vec::new();
        write(&read(b"[2.0, 1e3]").unwrap(), &mut out).unwrap();
        assert_eq!(out, b"[2,1000]");
    }

    #[test]
    fn faults_repeat_nothing() {
        for text in [r#"{"secret":1,"secret":2}"#, r#"{"secret"#, "secret", r#""secret"x"#] {
            let fault = read(text.as_bytes()).unwrap_err();
            assert!(!fault.contains("secret"), "{fault}");
        }
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
    }
}

//! What of a row is real: placeholders for what was not sent, and what fills a delete.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jaq_json::{Map, Num, Val};
use jiff::civil::{Date, Time};

use super::json::{get, get_text, is_object, members, string, text};

/// What Debezium writes for a column that the database did not send, as PostgreSQL does not for a large value that an
/// update leaves as it is; unless a connector says otherwise.
const UNAVAILABLE: &str = "__debezium_unavailable_value";
/// The same in an array of UUIDs: the name-based UUID of the text.
const UNAVAILABLE_UUID: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

/// The forms of what stands for a column that was not sent.
#[derive(Clone, Debug)]
pub struct Unavailable {
    text: String,
    /// As bytes are written: base64, the same for URLs, hexadecimal digits.
    bytes: [String; 3],
    uuid: Option<&'static str>,
}

impl Default for Unavailable {
    fn default() -> Unavailable {
        Unavailable { uuid: Some(UNAVAILABLE_UUID), ..Unavailable::of(UNAVAILABLE) }
    }
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

impl Unavailable {
    pub fn of(text: &str) -> Unavailable {
        let hexadecimal = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes = [base64(text.as_bytes()), URL_SAFE.encode(text), hexadecimal];
        Unavailable { text: text.to_owned(), bytes, uuid: None }
    }

    /// The row without the columns that were not sent.
    pub fn sent(&self, row: Val) -> Val {
        match row {
            Val::Obj(map) if map.values().any(|value| self.is(value)) => {
                let kept = map.iter().filter(|(_, value)| !self.is(value));
                Val::obj(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map>())
            }
            row => row,
        }
    }

    /// Whether a value stands for one that was not sent.
    fn is(&self, value: &Val) -> bool {
        match value {
            Val::TStr(_) => text(value).is_some_and(|text| self.is_text(text)),
            Val::Arr(items) => matches!(&items[..], [item] if self.is(item)) || self.is_numbers(items),
            // In a map, as hstore is one.
            Val::Obj(map) => map.len() == 1 && get(value, &self.text).is_some_and(|value| self.is(value)),
            _ => false,
        }
    }

    fn is_text(&self, text: &str) -> bool {
        let [base64, url, hexadecimal] = &self.bytes;
        text == self.text
            || text == base64
            || text == url
            || text.trim_end_matches('=') == url.trim_end_matches('=')
            || Some(text) == self.uuid
            || text.strip_prefix("\\x").unwrap_or(text).eq_ignore_ascii_case(hexadecimal)
            // A map as a text, in JSON.
            || text.starts_with('{')
                && text.len() > 2 * self.text.len()
                && super::json::read(text.as_bytes()).is_ok_and(|map| matches!(map, Val::Obj(_)) && self.is(&map))
    }

    /// An array of numbers that are the text's bytes. Where a schema says what its items are, they were made dates, times or
    /// decimals of: the numbers behind those count.
    fn is_numbers(&self, items: &[Val]) -> bool {
        let is_byte = |read: fn(&Val) -> Option<i64>| {
            items.iter().zip(self.text.bytes()).all(|(item, byte)| read(item) == Some(i64::from(byte)))
        };
        const READINGS: [fn(&Val) -> Option<i64>; 5] = [
            number,
            |item| {
                Some(
                    Date::strptime("%Y-%m-%d", text(item)?).ok()?.duration_since(Date::constant(1970, 1, 1)).as_hours()
                        / 24,
                )
            },
            |item| behind(item, 1_000_000),
            |item| behind(item, 1000),
            |item| behind(item, 1),
        ];
        items.len() == self.text.len() && READINGS.into_iter().any(is_byte)
    }
}

fn number(item: &Val) -> Option<i64> {
    match item {
        Val::Num(Num::Int(number)) => i64::try_from(*number).ok(),
        Val::Num(Num::Float(number)) if number.fract() == 0.0 => Some(*number as i64),
        other => text(other)?.parse().ok(),
    }
}

/// The count that a time, or a time of 1970-01-01, was made of: in units of so many nanoseconds.
fn behind(item: &Val, unit: i64) -> Option<i64> {
    let written = text(item)?;
    let time = written.strip_prefix("1970-01-01T").unwrap_or(written).trim_end_matches('Z');
    let since = time.parse::<Time>().ok()?.duration_since(Time::midnight()).as_nanos();
    let since = i64::try_from(since).ok()?;
    (since % unit == 0).then_some(since / unit)
}

/// What is real of a deleted row. PostgreSQL sends its key alone, unless told otherwise, and Debezium fills the other
/// columns: null, or where null is not allowed a zero or the column's default. Nothing tells fillers from values, so only the
/// key is kept: of PostgreSQL's rows, and of those that do not say where they come from. Without a key the whole row was sent.
pub fn deleted(row: Val, key: &Val, source: &Val) -> Val {
    let fills = get_text(source, "connector").is_none_or(|connector| connector == "postgresql");
    if !fills || !is_object(&row) || members(key).next().is_none() {
        return row;
    }
    let kept = members(&row).filter(|(name, _)| get(key, name).is_some());
    Val::obj(kept.map(|(name, value)| (string(name), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn value(text: &str) -> Val {
        json::read(text.as_bytes()).unwrap()
    }

    /// What an array of numbers is made into whose items have a type.
    fn converted(text: &str, item: impl Fn(u8) -> String) -> String {
        let items: Vec<String> = text.bytes().map(|byte| format!("\"{}\"", item(byte))).collect();
        format!("[{}]", items.join(","))
    }

    #[test]
    fn placeholders_are_left_out() {
        for (placeholder, uuid) in [(UNAVAILABLE, true), ("<not sent>", false)] {
            let unavailable = if uuid { Unavailable::default() } else { Unavailable::of(placeholder) };
            let bytes: Vec<String> = placeholder.bytes().map(|byte| byte.to_string()).collect();
            let doubles: Vec<String> = placeholder.bytes().map(|byte| format!("{byte}.0")).collect();
            let hexadecimal: String = placeholder.bytes().map(|byte| format!("{byte:02X}")).collect();
            let day =
                |byte: u8| Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(byte)).unwrap().to_string();
            let mut forms = vec![
                format!("\"{placeholder}\""),
                format!("\"{}\"", base64(placeholder.as_bytes())),
                format!("\"{}\"", URL_SAFE.encode(placeholder)),
                format!("\"{hexadecimal}\""),
                format!("\"\\\\x{hexadecimal}\""),
                format!("[\"{placeholder}\"]"),
                format!("[{}]", bytes.join(",")),
                format!("[{}]", doubles.join(",")),
                format!("{{\"{placeholder}\":\"{placeholder}\"}}"),
                serde_json::to_string(&format!("{{\"{placeholder}\":\"{placeholder}\"}}")).unwrap(),
                converted(placeholder, day),
                converted(placeholder, |byte| byte.to_string()),
                converted(placeholder, |byte| format!("00:00:00.{byte:03}")),
                converted(placeholder, |byte| format!("00:00:00.{byte:06}")),
                converted(placeholder, |byte| format!("1970-01-01T00:00:00.{byte:03}")),
                converted(placeholder, |byte| format!("1970-01-01T00:00:00.{byte:06}Z")),
                converted(placeholder, |byte| format!("1970-01-01T00:00:00.{byte:09}")),
            ];
            if uuid {
                forms.push(format!("[\"{UNAVAILABLE_UUID}\"]"));
            }
            for form in forms {
                let row = unavailable.sent(value(&format!("{{\"id\":1,\"note\":{form},\"left\":null}}")));
                assert_eq!(row, value(r#"{"id":1,"left":null}"#), "{form}");
            }
            for kept in [format!("\"about {placeholder}\""), "[]".into(), "{}".into(), "[1]".into(), "\"{}\"".into()] {
                let row = value(&format!("{{\"id\":1,\"note\":{kept}}}"));
                assert_eq!(unavailable.sent(row.clone()), row);
            }
        }
    }

    #[test]
    fn fillers_of_a_delete_are_no_values() {
        let key = value(r#"{"id":7}"#);
        let row =
            value(r#"{"id":7,"name":"","status":"A","uuid":"00000000-0000-0000-0000-000000000000","n":0,"x":null}"#);
        let from = |connector: &str| value(&format!("{{\"connector\":\"{connector}\"}}"));
        assert_eq!(deleted(row.clone(), &key, &from("postgresql")), key);
        assert_eq!(deleted(row.clone(), &key, &Val::Null), key);
        assert_eq!(deleted(row.clone(), &key, &from("mysql")), row);
        assert_eq!(deleted(row.clone(), &Val::Null, &from("postgresql")), row);
    }
}

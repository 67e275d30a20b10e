//! What of a row is real: placeholders for what was not sent, and what fills a delete.

use jaq_json::{Map, Num, Val};

use super::json::{get, is_object, members, text};

/// What Debezium writes for a column that the database did not send, as PostgreSQL does not for a large value that an
/// update leaves as it is.
const UNAVAILABLE: &str = "__debezium_unavailable_value";
/// The same in a column of bytes, as base64 and as hexadecimal digits.
const UNAVAILABLE_BASE64: &str = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";
const UNAVAILABLE_HEX: &str = "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565";
/// The same in an array of UUIDs: the name-based UUID of the text.
const UNAVAILABLE_UUID: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

/// Whether a value stands for one that was not sent.
fn is_unavailable(value: &Val) -> bool {
    match value {
        Val::TStr(_) => text(value).is_some_and(|text| {
            [UNAVAILABLE, UNAVAILABLE_BASE64, UNAVAILABLE_UUID].contains(&text)
                || text.strip_prefix("\\x").unwrap_or(text).eq_ignore_ascii_case(UNAVAILABLE_HEX)
        }),
        // In an array of numbers, the text's bytes.
        Val::Arr(items) => {
            matches!(&items[..], [item] if is_unavailable(item))
                || {
                    let is_byte = |(item, byte): (&Val, u8)| matches!(item, Val::Num(Num::Int(number)) if *number == isize::from(i16::from(byte)));
                    items.len() == UNAVAILABLE.len() && items.iter().zip(UNAVAILABLE.bytes()).all(is_byte)
                }
        }
        // In a map, as hstore is one.
        Val::Obj(map) => map.len() == 1 && get(value, UNAVAILABLE).is_some_and(is_unavailable),
        _ => false,
    }
}

/// The row without the columns that were not sent.
pub fn sent(row: Val) -> Val {
    match row {
        Val::Obj(map) if map.values().any(is_unavailable) => {
            let kept = map.iter().filter(|(_, value)| !is_unavailable(value));
            Val::obj(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map>())
        }
        row => row,
    }
}

/// What a database that sends the key of a deleted row alone has of it. Debezium fills its other columns: null, and 0 or
/// an empty text where null is not allowed. A row with anything else is one that was sent whole.
pub fn deleted(row: Val, key: &Val) -> Val {
    if !is_object(&row) || members(key).next().is_none() {
        return row;
    }
    let others = members(&row).filter(|(name, _)| get(key, name).is_none());
    if !others.map(|(_, value)| value).all(is_filler) {
        return row;
    }
    let kept = members(&row).filter(|(name, _)| get(key, name).is_some());
    Val::obj(kept.map(|(name, value)| (super::json::string(name), value.clone())).collect())
}

fn is_filler(value: &Val) -> bool {
    match value {
        Val::Null | Val::Bool(false) | Val::Num(Num::Int(0)) => true,
        Val::Num(Num::Float(number)) => *number == 0.0,
        // A decimal's 0, the epoch's date or time in any of its forms, an empty document.
        Val::TStr(_) => text(value).is_some_and(|text| {
            let rest = text.strip_prefix("1970-01-01").unwrap_or(text);
            text == "{}" || rest.bytes().all(|byte| b"0.:TZ+".contains(&byte))
        }),
        Val::Arr(items) => items.is_empty(),
        Val::Obj(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn value(text: &str) -> Val {
        json::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn placeholders_are_left_out() {
        let bytes: Vec<String> = UNAVAILABLE.bytes().map(|byte| byte.to_string()).collect();
        let forms = [
            format!("\"{UNAVAILABLE}\""),
            format!("\"{UNAVAILABLE_BASE64}\""),
            format!("\"{UNAVAILABLE_HEX}\""),
            format!("\"\\\\x{UNAVAILABLE_HEX}\""),
            format!("[\"{UNAVAILABLE}\"]"),
            format!("[\"{UNAVAILABLE_UUID}\"]"),
            format!("[{}]", bytes.join(",")),
            format!("{{\"{UNAVAILABLE}\":\"{UNAVAILABLE}\"}}"),
        ];
        for form in forms {
            let row = sent(value(&format!("{{\"id\":1,\"note\":{form},\"left\":null}}")));
            assert_eq!(row, value(r#"{"id":1,"left":null}"#), "{form}");
        }
        let row = value(r#"{"id":1,"note":"about __debezium_unavailable_value"}"#);
        assert_eq!(sent(row.clone()), row);
    }

    #[test]
    fn fillers_of_a_delete_are_no_values() {
        let key = value(r#"{"id":7}"#);
        let filled = r#"{"id":7,"name":"","rate":"0.00","at":"1970-01-01T00:00:00Z","on":"1970-01-01","n":0,"x":null,"b":false}"#;
        assert_eq!(deleted(value(filled), &key), key);
        let whole = value(r#"{"id":7,"name":"Ann","n":0}"#);
        assert_eq!(deleted(whole.clone(), &key), whole);
        let without_key = value(r#"{"id":7,"n":0}"#);
        assert_eq!(deleted(without_key.clone(), &Val::Null), without_key);
    }
}

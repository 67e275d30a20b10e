//! What of a row is real: placeholders for what was not sent, and what fills a delete.

use jaq_json::{Map, Num, Val};

use super::json::{get, get_text, is_object, members, string, text};

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
        let row =
            value(r#"{"id":7,"name":"","status":"A","uuid":"00000000-0000-0000-0000-000000000000","n":0,"x":null}"#);
        let from = |connector: &str| value(&format!("{{\"connector\":\"{connector}\"}}"));
        assert_eq!(deleted(row.clone(), &key, &from("postgresql")), key);
        assert_eq!(deleted(row.clone(), &key, &Val::Null), key);
        assert_eq!(deleted(row.clone(), &key, &from("mysql")), row);
        assert_eq!(deleted(row.clone(), &Val::Null, &from("postgresql")), row);
    }
}

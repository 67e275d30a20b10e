//! An answer's data as JSON text.

use async_graphql::Value;

/// Writes a value. What is binary is JSON text already, of attributes and of the scalar `JSON`: GraphQL's own numbers would
/// not hold it.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Binary(text) => out.push_str(std::str::from_utf8(text).unwrap_or("null")),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                leaf(name.as_str(), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Null => out.push_str("null"),
        Value::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::String(text) => leaf(text, out),
        Value::Enum(name) => leaf(name.as_str(), out),
        Value::Number(number) => leaf(number, out),
    }
}

fn leaf<T: serde::Serialize + ?Sized>(value: &T, out: &mut String) {
    // A text or a number is always JSON.
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

//! A JSON object, strictly: a name twice in one object is refused, at any depth, since readers differ in which they take.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Reads an object, and nothing after it.
pub fn object(bytes: &[u8]) -> Option<Map<String, Json>> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Value.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Json::Object(members) => Some(members),
        _ => None,
    }
}

struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Value)? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Value)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in one object"));
            }
        }
        Ok(Json::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_and_each_name_once() {
        let read = object(br#"{"a":[1,-2,3.5,true,null,{"b":"c"}]}"#).expect("an object");
        assert_eq!(Json::Object(read), serde_json::json!({ "a": [1, -2, 3.5, true, null, { "b": "c" }] }));
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"a":1,"a":1}]}"#,
            r#"{} {}"#,
            "[]",
            "1",
            "",
            "{",
            r#"{"a":1e999}"#,
        ] {
            assert_eq!(object(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(object(&[b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat()), None);
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
    }
}

//! JSON, strictly: a name twice in one object and U+0000 are refused, and an integer is told from `2.0`, `1e3` and `-0`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows its texts from the input where it can.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Boolean(bool),
    /// Written as an integer that an `i64` holds.
    Integer(i64),
    /// Written as an integer above that.
    Unsigned(u64),
    /// Written with a fraction or an exponent, as `-0`, or too large for the others.
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Reads a document. The error says what is wrong and where, and repeats nothing of it.
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

impl<'a> Json<'a> {
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for a message: never its content.
    pub fn noun(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Boolean(_) => "true or false",
            Json::Integer(_) | Json::Unsigned(_) => "an integer",
            Json::Float(_) => "a number with a fraction or an exponent",
            Json::Text(_) => "a text",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }

    pub fn to_value(&self) -> serde_json::Value {
        match self {
            Json::Null => serde_json::Value::Null,
            Json::Boolean(value) => (*value).into(),
            Json::Integer(value) => (*value).into(),
            Json::Unsigned(value) => (*value).into(),
            Json::Float(value) => (*value).into(),
            Json::Text(value) => serde_json::Value::String(value.clone().into_owned()),
            Json::Array(items) => items.iter().map(Json::to_value).collect(),
            Json::Object(members) => {
                members.iter().map(|(name, value)| (name.clone().into_owned(), value.to_value())).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

fn no_nul<E: Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("U+0000 in a name or a text")) } else { Ok(()) }
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Unsigned(value), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        no_nul(text)?;
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        no_nul(text)?;
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        /// Above it a set looks names up; below it, a scan is faster.
        const SCAN_MAX: usize = 16;
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Name(name)) = members.next_key()? {
            no_nul(&name)?;
            let twice = if object.len() < SCAN_MAX {
                object.iter().any(|(known, _)| *known == name)
            } else {
                if seen.is_empty() {
                    seen.extend(object.iter().map(|(known, _)| known.clone()));
                }
                !seen.insert(name.clone())
            };
            if twice {
                return Err(A::Error::custom("a name stands twice in one object"));
            }
            object.push((name, members.next_value()?));
        }
        Ok(Json::Object(object))
    }
}

/// An object's name; `Cow`'s own `Deserialize` never borrows.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_told_from_what_only_looks_like_one() {
        for text in ["2.0", "1e3", "-0", "1E0", "18446744073709551616"] {
            assert!(matches!(parse(text.as_bytes()), Ok(Json::Float(_))), "{text}");
        }
        assert_eq!(parse(b"9007199254740993"), Ok(Json::Integer(9_007_199_254_740_993)));
        assert_eq!(parse(b"18446744073709551615"), Ok(Json::Unsigned(u64::MAX)));
    }

    #[test]
    fn what_would_be_guessed_at_is_refused() {
        let many = (0..40).map(|i| format!("\"k{i}\":1,")).collect::<String>();
        let cases: Vec<Vec<u8>> = vec![
            br#"{"a":1,"a":2}"#.to_vec(),
            br#"{"x":[{"a":1,"\u0061":2}]}"#.to_vec(),
            br#"{"a":"\u0000"}"#.to_vec(),
            br#"{"\u0000":1}"#.to_vec(),
            b"{\"a\":\"\xff\"}".to_vec(),
            b"{".to_vec(),
            b"".to_vec(),
            b"{} {}".to_vec(),
            br#""\ud800""#.to_vec(),
            b"NaN".to_vec(),
            b"[1,]".to_vec(),
            b"01".to_vec(),
            "[".repeat(100_000).into_bytes(),
            format!("{{{many}\"k7\":2}}").into_bytes(),
        ];
        for case in cases {
            assert!(parse(&case).is_err(), "{}", String::from_utf8_lossy(&case[..case.len().min(60)]));
        }
    }
}

//! Kafka Connect's JSON, `{"schema": …, "payload": …}`, as the payload alone, with what its schema says worked out.
//!
//! The payload is read once and written as it is read. Whatever the schema says nothing of is copied as it was written,
//! numbers to the last digit. JSON of any other shape, and a payload under `"schema": null`, pass as they are.

mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::fault::{Fault, Fit};
use super::semantic::{self, Semantic};
use super::{EncodingError, OUT_BYTES_MAX, decimal, json};
use schema::Shape;

/// Schemas that are remembered. A topic has a handful at a time, and every message repeats its own.
const KNOWN_MAX: usize = 32;

/// Reads Connect's JSON, and remembers the schemas that it has seen. One a thread.
#[derive(Debug, Default)]
pub struct Connect {
    /// Schemas by their text, the last used first.
    known: Vec<(Box<str>, Arc<Shape>)>,
}

impl Connect {
    pub fn new() -> Connect {
        Connect::default()
    }

    /// Writes a message's payload as JSON text into `out`, in place of what that held. After an error it is empty.
    ///
    /// JSON that passes as it is, is not judged here.
    pub fn to_json(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodingError> {
        out.clear();
        let written = self.write(bytes, out);
        if written.is_err() {
            out.clear();
        }
        Ok(written?)
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Fit {
        let Some((schema, payload)) = parts(bytes) else {
            out.extend_from_slice(bytes);
            return Ok(());
        };
        if schema.get() == "null" {
            out.extend_from_slice(payload.get().as_bytes());
            return Ok(());
        }
        let node = self.node(schema.get())?;
        let mut walk = Writing { out, fault: None };
        let mut deserializer = Deserializer::from_str(payload.get());
        let seed = Seed { node: &node, walk: &mut walk };
        let read = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match (read, walk.fault) {
            (_, Some(fault)) => Err(fault),
            (Ok(()), None) => Ok(()),
            // serde's own words would repeat the value.
            (Err(_), None) => Err(Fault::new("the payload does not have the shape that its schema says")),
        }
    }

    fn node(&mut self, text: &str) -> Fit<Arc<Shape>> {
        if let Some(place) = self.known.iter().position(|(known, _)| **known == *text) {
            self.known[..=place].rotate_right(1);
        } else {
            let node = Shape::parse(text).map_err(|error| Fault::new(format!("the message's schema: {error}")))?;
            self.known.truncate(KNOWN_MAX - 1);
            self.known.insert(0, (text.into(), Arc::new(node)));
        }
        Ok(self.known[0].1.clone())
    }
}

/// The two members of Connect's envelope, where the bytes are an object of those two alone.
fn parts(bytes: &[u8]) -> Option<(&RawValue, &RawValue)> {
    struct Envelope;

    impl<'de> Visitor<'de> for Envelope {
        type Value = (&'de RawValue, &'de RawValue);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Connect's envelope")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let (mut schema, mut payload) = (None, None);
            while let Some(name) = members.next_key::<&str>()? {
                // The first other name ends the reading: JSON without a schema costs next to nothing here.
                let place = match name {
                    "schema" => &mut schema,
                    "payload" => &mut payload,
                    _ => return Err(A::Error::custom("another member")),
                };
                if place.replace(members.next_value()?).is_some() {
                    return Err(A::Error::custom("a member twice"));
                }
            }
            schema.zip(payload).ok_or_else(|| A::Error::custom("a member is missing"))
        }
    }

    let mut deserializer = Deserializer::from_slice(bytes);
    let parts = deserializer.deserialize_map(Envelope).ok()?;
    deserializer.end().ok()?;
    Some(parts)
}

struct Writing<'a> {
    out: &'a mut Vec<u8>,
    /// The first fault. serde's errors have no room for it.
    fault: Option<Box<Fault>>,
}

impl Writing<'_> {
    fn checked<E: serde::de::Error>(&mut self, fit: Fit) -> Result<(), E> {
        fit.map_err(|fault| self.failed(fault))
    }

    fn failed<E: serde::de::Error>(&mut self, fault: Box<Fault>) -> E {
        self.fault = Some(fault);
        E::custom("a fault was kept")
    }

    /// Names where a fault is, if there is none yet.
    fn named<E>(&mut self, result: Result<(), E>, name: impl FnOnce(Box<Fault>) -> Box<Fault>) -> Result<(), E> {
        result.inspect_err(|_| {
            let fault = self.fault.take().unwrap_or_else(|| Fault::new("the value does not fit its schema"));
            self.fault = Some(name(fault));
        })
    }
}

/// Reads one value as its schema says, and writes it.
struct Seed<'n, 'w, 'o> {
    node: &'n Shape,
    walk: &'w mut Writing<'o>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node {
            Shape::Plain | Shape::Value(_) | Shape::ScaledDecimal => {
                let raw: &RawValue = serde::Deserialize::deserialize(deserializer)?;
                let fit = leaf(self.node, raw.get(), self.walk.out);
                self.walk.checked(fit)
            }
            Shape::Struct(_) | Shape::Map(_) | Shape::Array(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of its schema's type")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.walk.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Seed { node, walk } = self;
        if matches!(node, Shape::Array(_)) {
            return Err(walk.failed(Fault::new("is an object where its schema says an array")));
        }
        walk.out.push(b'{');
        let mut is_first = true;
        while let Some(Name(name)) = members.next_key()? {
            if !is_first {
                walk.out.push(b',');
            }
            is_first = false;
            json::text(&name, walk.out);
            walk.out.push(b':');
            // A map's keys are data, and so are names that the schema does not know.
            let (node, is_named) = match node {
                Shape::Struct(fields) => fields.get(&*name).map_or((&Shape::Plain, false), |node| (node, true)),
                Shape::Map(values) => (&**values, false),
                _ => (&Shape::Plain, false),
            };
            let read = members.next_value_seed(Seed { node, walk });
            walk.named(read, |fault| if is_named { fault.within(&name) } else { fault.under_key() })?;
        }
        walk.out.push(b'}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Seed { node, walk } = self;
        let node = match node {
            Shape::Array(items) => &**items,
            // A map whose keys are no text is a list of pairs.
            Shape::Map(_) => &Shape::Plain,
            _ => return Err(walk.failed(Fault::new("is an array where its schema says an object"))),
        };
        walk.out.push(b'[');
        let mut index = 0;
        loop {
            let start = walk.out.len();
            if index > 0 {
                walk.out.push(b',');
            }
            let mut is_there = false;
            let read = items.next_element_seed(Seed { node, walk }).map(|item| is_there = item.is_some());
            walk.named(read, |fault| fault.at(index))?;
            if !is_there {
                walk.out.truncate(start);
                break;
            }
            index += 1;
        }
        walk.out.push(b']');
        Ok(())
    }
}

/// A name of an object, borrowed where nothing in it is escaped.
struct Name<'de>(std::borrow::Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Name<'de>, E> {
                Ok(Name(value.to_owned().into()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A value that is written as one: as it was, or as what it stands for.
fn leaf(node: &Shape, raw: &str, out: &mut Vec<u8>) -> Fit {
    if out.len() > OUT_BYTES_MAX {
        return Err(Fault::new(format!("the record has more than {OUT_BYTES_MAX} bytes as JSON")));
    }
    match node {
        _ if raw == "null" => out.extend_from_slice(b"null"),
        Shape::Value(semantic) => value(*semantic, raw, out)?,
        Shape::ScaledDecimal => scaled_decimal(raw, out)?,
        _ => out.extend_from_slice(raw.as_bytes()),
    }
    Ok(())
}

fn value(semantic: Semantic, raw: &str, out: &mut Vec<u8>) -> Fit {
    match semantic {
        Semantic::Decimal { .. } if raw.starts_with('"') => {
            let text = string(raw)?;
            let bytes =
                json::from_base64(&text).ok_or_else(|| Fault::new("a decimal is neither a number nor base64"))?;
            semantic::bytes(Some(semantic), &bytes, out)
        }
        // `decimal.format=NUMERIC`: the number has its point already.
        Semantic::Decimal { .. } => decimal::number(raw, out).map_err(Fault::new),
        Semantic::IsoLocal => {
            semantic::text(Some(semantic), &string(raw)?, out);
            Ok(())
        }
        _ => {
            let count = raw.parse().map_err(|_| Fault::new("is no integer where its schema says a date or a time"))?;
            semantic::integer(Some(semantic), count, out);
            Ok(())
        }
    }
}

fn string(raw: &str) -> Fit<String> {
    serde_json::from_str(raw).map_err(|_| Fault::new("is no text where its schema says one"))
}

fn scaled_decimal(raw: &str, out: &mut Vec<u8>) -> Fit {
    #[derive(serde::Deserialize)]
    struct Parts {
        scale: i32,
        value: String,
    }

    const FAULT: &str = "a decimal is not a scale and base64";
    let parts: Parts = serde_json::from_str(raw).map_err(|_| Fault::new(FAULT))?;
    let bytes = json::from_base64(&parts.value).ok_or_else(|| Fault::new(FAULT))?;
    decimal::unscaled(&bytes, parts.scale, out).map_err(Fault::new)
}

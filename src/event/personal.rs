//! What of an event's text is somebody's own, cut out of it and put back, byte for byte.
//!
//! Of an entity that has personal fields those are: the members of `data` that are personal, or that the model does not know
//! (name and value), and extensions of the envelope that nobody knows. What is left is an event too.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::envelope;
use crate::model::{Entity, Model};

/// An event, cut.
#[derive(Clone, Debug)]
pub struct Cut<'m, 'e> {
    pub entity: &'m Entity,
    /// None where the event names none, or none that is a text.
    pub subject: Option<Cow<'e, str>>,
    /// The event without what is somebody's own.
    pub body: Vec<u8>,
    /// That, and where it stood.
    pub personal: Vec<u8>,
}

/// Cuts an event. None where nothing of it is somebody's own, as far as can be read: no event in JSON, of no entity of the
/// model, of one without personal fields.
pub fn cut<'m, 'e>(model: &'m Model, event: &'e [u8]) -> Option<Cut<'m, 'e>> {
    let Members(all) = serde_json::from_slice(event).ok()?;
    let text = |name: &str| {
        let (_, value) = all.iter().find(|(known, _)| known == name)?;
        serde_json::from_str::<Text<'e>>(value.get()).ok().map(|text| text.0)
    };
    let kind = text("type")?;
    let (prefix, happening) = kind.split_once('.')?;
    let entity = &model.entities[model.entity_of_event(prefix)?];
    if !entity.has_personal {
        return None;
    }
    let mut spans = Vec::new();
    let is_own = |name: &str, value: &RawValue| match name {
        // What cannot be read apart goes as a whole.
        "data" => !value.get().starts_with(['{', 'n']),
        _ => !envelope::knows(name) || name == "data_base64",
    };
    cuts(event, &all, is_own, &mut spans);
    for (_, data) in all.iter().filter(|(name, _)| name == "data") {
        let Ok(Members(fields)) = serde_json::from_str(data.get()) else { continue };
        let is_own = |name: &str, _: &RawValue| {
            let is_known = entity.by_wire_name.get(name).is_some_and(|field| !entity.fields[*field].personal);
            !(is_known || name == "into" && happening == "merged")
        };
        cuts(event, &fields, is_own, &mut spans);
    }
    if spans.is_empty() {
        return None;
    }
    spans.sort_unstable_by_key(|span| span.start);
    let (mut body, mut places, mut bytes, mut from) = (Vec::with_capacity(event.len()), Vec::new(), Vec::new(), 0);
    for span in &spans {
        body.extend_from_slice(&event[from..span.start]);
        places.extend_from_slice(&(body.len() as u32).to_be_bytes());
        places.extend_from_slice(&(span.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&event[span.clone()]);
        from = span.end;
    }
    body.extend_from_slice(&event[from..]);
    let mut personal = (spans.len() as u32).to_be_bytes().to_vec();
    personal.append(&mut places);
    personal.append(&mut bytes);
    Some(Cut { entity, subject: text("subject"), body, personal })
}

/// The event as it was; none where the two do not fit.
pub fn restore(body: &[u8], personal: &[u8]) -> Option<Vec<u8>> {
    let (count, rest) = personal.split_first_chunk::<4>()?;
    let count = u32::from_be_bytes(*count) as usize;
    let (places, mut bytes) = rest.split_at_checked(count.checked_mul(8)?)?;
    let (places, _) = places.as_chunks::<8>();
    let (mut event, mut from) = (Vec::with_capacity(body.len() + bytes.len()), 0);
    for place in places {
        let [at, length] =
            [&place[..4], &place[4..]].map(|half| half.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)));
        event.extend_from_slice(body.get(from..at)?);
        let (cut, after) = bytes.split_at_checked(length)?;
        event.extend_from_slice(cut);
        (from, bytes) = (at, after);
    }
    event.extend_from_slice(body.get(from..)?);
    bytes.is_empty().then_some(event)
}

/// Changes whenever a model cuts otherwise; perhaps between versions of Rust too, which has more cut anew than must be.
pub fn fingerprint(model: &Model) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entity in model.entities.iter().filter(|entity| entity.has_personal) {
        let mut known: Vec<_> =
            entity.by_wire_name.iter().map(|(name, field)| (name, entity.fields[*field].personal)).collect();
        known.sort_unstable();
        (&entity.event, known).hash(&mut hasher);
    }
    hasher.finish()
}

/// Notes what is to be cut of an object, with a comma beside, so that what is left is an object.
fn cuts(event: &[u8], members: &[Member<'_>], is_own: impl Fn(&str, &RawValue) -> bool, spans: &mut Vec<Range<usize>>) {
    let place = |text: &str| text.as_ptr() as usize - event.as_ptr() as usize;
    let (mut kept_end, mut cut) = (None, None::<Range<usize>>);
    for (name, value) in members {
        let own = place(name.raw)..place(value.get()) + value.get().len();
        if is_own(name, value) {
            let start = cut.take().map_or(kept_end.unwrap_or(own.start), |cut| cut.start);
            cut = Some(start..own.end);
        } else {
            // The comma before goes with those behind a member that stays, the one after with the first.
            if let Some(cut) = cut.take() {
                spans.push(if kept_end.is_some() { cut } else { cut.start..own.start });
            }
            kept_end = Some(own.end);
        }
    }
    spans.extend(cut);
}

/// A member's name, and how it is written.
struct Name<'e> {
    raw: &'e str,
    text: Cow<'e, str>,
}

impl std::ops::Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq<str> for Name<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.text == *other
    }
}

type Member<'e> = (Name<'e>, &'e RawValue);

/// A text, lent where it is written without an escape.
#[derive(Deserialize)]
struct Text<'e>(#[serde(borrow)] Cow<'e, str>);

/// An object's members in their order.
struct Members<'e>(Vec<Member<'e>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let text = serde_json::from_str::<Text<'de>>(name.get()).map_err(serde::de::Error::custom)?.0;
            self.0.push((Name { raw: name.get(), text }, value));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"
        type Person @entity(domain: "people", event: "person") { name: String @personal email: String @personal rating: Float }
        type Room @entity(domain: "rooms", event: "room") { name: String }"#;

    fn check(event: &str, expected: Option<(&str, Option<&str>)>) {
        let model = Model::parse(MODEL, "model.graphql").expect("a model");
        let cut = cut(&model, event.as_bytes());
        let told = cut.as_ref().map(|cut| (std::str::from_utf8(&cut.body).expect("text"), cut.subject.as_deref()));
        assert_eq!(told, expected, "{event}");
        if let Some(cut) = &cut {
            assert_eq!(restore(&cut.body, &cut.personal).as_deref(), Some(event.as_bytes()), "{event}");
            assert!(serde_json::from_slice::<serde_json::Value>(&cut.body).is_ok(), "{event}");
            assert!(super::cut(&model, &cut.body).is_none(), "nothing is left to cut: {event}");
            for length in 0..cut.personal.len() {
                assert!(restore(&cut.body, &cut.personal[..length]).is_none(), "{length} bytes of {event}");
            }
        }
    }

    #[test]
    fn what_is_somebodys_own_is_cut_and_comes_back() {
        let person = |data: &str| format!(r#"{{"type":"person.x","subject":"a",{data}}}"#);
        for (data, left) in [
            (r#""data":{"name":"Ann","rating":4}"#, r#""data":{"rating":4}"#),
            (r#""data":{"rating":4,"name":"Ann"}"#, r#""data":{"rating":4}"#),
            (r#""data":{ "name" : "Ann" , "email":"b" , "rating" : 4 }"#, r#""data":{ "rating" : 4 }"#),
            (r#""data":{"rating":4,"x":[{"name":1}],"name":"A","email":"b"}"#, r#""data":{"rating":4}"#),
            (r#""data":{"name":"A","rating":4,"email":"b"}"#, r#""data":{"rating":4}"#),
            (r#""data":{ "name":"Ann" }"#, r#""data":{  }"#),
            (r#""data":{"\u006eame":"Ann \" }","rating":1}"#, r#""data":{"rating":1}"#),
            // It cannot be read apart.
            (r#""data":"Ann","time":"t""#, r#""time":"t""#),
            (r#""data_base64":"QW5u","time":"t""#, r#""time":"t""#),
            (r#""comment":"Ann","data":{"into":"b"},"id":"1""#, r#""data":{},"id":"1""#),
        ] {
            check(&person(data), Some((&person(left), Some("a"))));
        }
        for data in [r#""data":{"rating":4}"#, r#""data":{}"#, r#""data":null"#, r#""id":"Ann""#] {
            check(&person(data), None);
        }
        check(
            r#"{"data":{"into":"b","because":"Ann moved"},"type":"person.merged"}"#,
            Some((r#"{"data":{"into":"b"},"type":"person.merged"}"#, None)),
        );
        for other in [
            r#"{"type":"room.x","subject":"a","data":{"name":"Blue"}}"#,
            r#"{"type":"boat.x","subject":"a","data":{"name":"Ann"}}"#,
            r#"{"type":"person","data":{"name":"Ann"}}"#,
            r#"{"type":7}"#,
            r#"["type"]"#,
            "\0\u{1}avro",
            "",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn another_model_cuts_otherwise_and_says_so() {
        let of = |text: &str| fingerprint(&Model::parse(text, "model.graphql").expect("a model"));
        let same = MODEL.replace("rating: Float", "rating: Int").replace("name: String }", "name: String beds: Int }");
        assert_eq!(of(MODEL), of(&same));
        for other in [
            MODEL.replace("rating: Float", "rating: Float @personal"),
            MODEL.replace("rating: Float", "rating: Float age: Int"),
            MODEL.replace("name: String }", "name: String @personal }"),
        ] {
            assert_ne!(of(MODEL), of(&other), "{other}");
        }
    }
}

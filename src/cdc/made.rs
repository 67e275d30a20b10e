//! What a program gives, into events with ids and stamps.

use std::fmt::Write;

use jaq_json::{Num, Val};

use super::commit::Place;
use super::json::{self, get, get_text, is_object, members, object, string, text};
use super::message::{Change, Op};
use super::program::Failure;
use crate::event::{Commit, Truncation};

/// What an event that a program gives may have.
const MEMBERS: [&str; 8] = ["type", "subject", "data", "time", "source", "id", "sequence", "traceparent"];
/// An event that a program made, in CloudEvents' structured JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub json: Vec<u8>,
    pub commit: Commit,
    pub has_sequence: bool,
}

impl Change {
    /// What a program is given.
    pub fn input(&self, topic: &str) -> Val {
        object([
            ("op", string(self.op.word())),
            ("key", self.key.clone()),
            ("before", self.before.clone()),
            ("after", self.after.clone()),
            ("source", self.source.clone()),
            ("headers", self.headers.clone()),
            ("topic", string(topic)),
        ])
    }

    /// Names the change among those of its table. The greater is the later, so that ids tell changes of one time apart.
    fn id(&self, ordinal: u32, hash: u64) -> String {
        let (rank, late) = (u8::from(self.place.is_change), u8::from(self.op != Op::Delete));
        format!("{rank}-{}-{late}{ordinal:03}-{hash:016x}", self.place.text)
    }

    /// Tells rows of one place apart, by the key, or by the whole row where there is none; and changes of one row where the place does
    /// not, by all that they say.
    fn hash(&self) -> u64 {
        let mut text = Vec::new();
        let (order, op) = (self.part.map_or(0, |part| part.order), string(self.op.word()));
        let order = Val::Num(Num::from_integral(order));
        let parts: &[&Val] = match (&self.key, self.place.is_shared) {
            (key, true) => &[key, &op, &self.before, &self.after, &order],
            (Val::Null, false) => &[&self.before, &self.after],
            (key, false) => &[key, &Val::Null],
        };
        for part in parts {
            // What cannot be written tells nothing apart, and no row holds it.
            let _ = json::write(part, &mut text);
        }
        // FNV-1a: the same on every machine and in every version.
        text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Names the producer: `/cdc/<name>/<schema>.<table>`.
fn source_reference(source: &Val) -> String {
    let part = |names: &[&str]| names.iter().find_map(|name| get_text(source, name)).unwrap_or_default();
    let (name, schema, table) = (part(&["name"]), part(&["schema", "db"]), part(&["table", "collection"]));
    let dot = if schema.is_empty() { "" } else { "." };
    format!("/cdc/{}/{}{dot}{}", encoded(name), encoded(schema), encoded(table))
}

/// What emptied a table, before anything else of its place.
pub fn truncation(source: &Val, place: &Place) -> Truncation {
    Truncation {
        source: source_reference(source),
        id: format!("{}-{}-truncate", u8::from(place.is_change), place.text),
        time: place.at,
        commit: commit(place, false, 0),
    }
}

fn commit(place: &Place, is_late: bool, ordinal: u32) -> Commit {
    Commit { is_change: place.is_change, place: place.numbers, is_late, offset: place.offset, ordinal }
}

/// Encodes what a segment of a URI's path does not hold.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing into memory does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// The events of a change's outputs.
pub fn events(change: &Change, outputs: &[Val]) -> Result<Vec<Made>, Failure> {
    let (source, hash) = (source_reference(&change.source), change.hash());
    let event = |(output, ordinal): (&Val, u32)| event(change, output, ordinal, &source, hash);
    outputs.iter().zip(0..).map(event).collect()
}

fn event(change: &Change, output: &Val, ordinal: u32, source: &str, hash: u64) -> Result<Made, Failure> {
    let failed = |message: String| Failure { message, detail: None };
    if !is_object(output) {
        return Err(failed("it gives something else than an object: an event is {type, subject, data}".into()));
    }
    if let Some((unknown, _)) = members(output).find(|(name, _)| !MEMBERS.contains(name)) {
        let near = crate::model::nearest(unknown, MEMBERS.into_iter());
        return Err(failed(format!("it gives an event with a member that events do not have{near}")));
    }
    let given = |name: &str| get(output, name).filter(|value| !matches!(value, Val::Null));
    let mut event = vec![("specversion", string("1.0"))];
    event.push(("id", given("id").cloned().unwrap_or_else(|| string(&change.id(ordinal, hash)))));
    event.push(("source", given("source").cloned().unwrap_or_else(|| string(source))));
    for name in ["type", "subject"] {
        let value = given(name).ok_or_else(|| failed(format!("it gives an event without `{name}`")))?;
        if text(value).is_none() {
            return Err(failed(format!("it gives an event whose `{name}` is no text: write `tostring` behind it")));
        }
        event.push((name, value.clone()));
    }
    event.push(("time", given("time").cloned().unwrap_or_else(|| string(&change.place.at.to_string()))));
    for name in ["sequence", "traceparent", "data"] {
        if let Some(value) = given(name) {
            event.push((name, value.clone()));
        }
    }
    let mut text = Vec::new();
    json::write(&object(event), &mut text).map_err(|what| failed(format!("it gives an event with {what}")))?;
    let commit = commit(&change.place, change.op != Op::Delete, ordinal);
    Ok(Made { json: text, commit, has_sequence: given("sequence").is_some() })
}

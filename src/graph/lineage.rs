//! The event that an entity's state comes from, packed and read.

use std::sync::Arc;

use super::bytes::{Reader, put, put_instant, put_long, put_signed};
use super::names::Names;
use crate::model::value::Instant;

/// An entity's lineage: its last event and where the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRef<'a> {
    pub id: &'a str,
    pub kind: Arc<str>,
    pub source: Arc<str>,
    /// As it was written.
    pub sequence: Option<String>,
    pub time: Instant,
    pub topic: Arc<str>,
    pub partition: u32,
    pub offset: u64,
    pub appended_at: Instant,
    pub applied_at: Instant,
    pub dataschema: Option<Arc<str>>,
    pub traceparent: Option<&'a str>,
}

/// The same, on its way into a record.
#[derive(Clone, Copy, Debug)]
pub struct Lineage<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub source: &'a str,
    pub sequence: Option<&'a str>,
    pub time: Instant,
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
    pub appended_at: Instant,
    pub applied_at: Instant,
    pub dataschema: Option<&'a str>,
    pub traceparent: Option<&'a str>,
}

const HAS_DATASCHEMA: u64 = 1;
const HAS_TRACEPARENT: u64 = 2;
const HAS_SEQUENCE: u64 = 4;
/// The sequence is a number without leading zeros.
const SEQUENCE_IS_NUMBER: u64 = 8;

impl Lineage<'_> {
    pub fn pack(&self, out: &mut Vec<u8>, mut number_of: impl FnMut(&str) -> u32) {
        let number = self.sequence.and_then(|text| text.parse::<u64>().ok().filter(|_| !text.starts_with(['0', '+'])));
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        put(
            out,
            flag(self.dataschema.is_some(), HAS_DATASCHEMA)
                | flag(self.traceparent.is_some(), HAS_TRACEPARENT)
                | flag(self.sequence.is_some(), HAS_SEQUENCE)
                | flag(number.is_some(), SEQUENCE_IS_NUMBER),
        );
        put_long(out, self.id.as_bytes());
        for name in [self.kind, self.source, self.topic] {
            put(out, u64::from(number_of(name)));
        }
        put(out, u64::from(self.partition));
        put(out, self.offset);
        put_instant(out, self.time);
        // Each from the one before: small where little lies between them.
        put_signed(out, self.appended_at.micros());
        put_signed(out, self.applied_at.micros().wrapping_sub(self.appended_at.micros()));
        match (number, self.sequence) {
            (Some(number), _) => put(out, number),
            (None, Some(text)) => put_long(out, text.as_bytes()),
            (None, None) => {}
        }
        if let Some(dataschema) = self.dataschema {
            put(out, u64::from(number_of(dataschema)));
        }
        if let Some(traceparent) = self.traceparent {
            put_long(out, traceparent.as_bytes());
        }
    }
}

impl<'a> EventRef<'a> {
    /// `None` where there is none: a reference has no event.
    pub fn read(bytes: &'a [u8], names: &Names) -> Option<EventRef<'a>> {
        if bytes.is_empty() {
            return None;
        }
        let mut reader = Reader(bytes);
        let flags = reader.number();
        let has = |bit: u64| flags & bit != 0;
        let id = reader.text();
        let name = |reader: &mut Reader<'_>| names.text(reader.number() as u32);
        let (kind, source, topic) = (name(&mut reader), name(&mut reader), name(&mut reader));
        let (partition, offset) = (reader.number() as u32, reader.number());
        let time = reader.instant();
        let appended_at = reader.signed();
        let applied_at = appended_at.wrapping_add(reader.signed());
        let sequence = match (has(HAS_SEQUENCE), has(SEQUENCE_IS_NUMBER)) {
            (true, true) => Some(reader.number().to_string()),
            (true, false) => Some(reader.text().to_owned()),
            _ => None,
        };
        let dataschema = has(HAS_DATASCHEMA).then(|| name(&mut reader));
        let traceparent = has(HAS_TRACEPARENT).then(|| reader.text());
        Some(EventRef {
            id,
            kind,
            source,
            sequence,
            time,
            topic,
            partition,
            offset,
            appended_at: Instant::from_micros(appended_at),
            applied_at: Instant::from_micros(applied_at),
            dataschema,
            traceparent,
        })
    }

    /// The event's id and its source's number, without the rest.
    pub fn origin(bytes: &'a [u8]) -> (&'a str, u32) {
        let mut reader = Reader(bytes);
        reader.number();
        let id = reader.text();
        reader.number();
        (id, reader.number() as u32)
    }
}

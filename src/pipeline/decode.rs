//! A record, as its topic's format has it, into the events of a batch.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::cdc::{self, Logged, Mapping, Message, Outcome, Skipped};
use crate::event::{Batch, Decoder};
use crate::source::Raw;
use crate::telemetry::Metrics;

/// How a topic's records are read.
#[derive(Clone, Debug)]
pub struct Format {
    /// The domains whose events it may carry.
    pub domains: Arc<[usize]>,
    /// Of a topic that carries a table's changes: what makes events of them.
    pub mapping: Option<Arc<Mapping>>,
}

/// Translates records; its buffers are used again.
pub struct Translator {
    decoder: Decoder,
    /// By topic.
    formats: Arc<[Format]>,
    metrics: Arc<Metrics>,
    text: Vec<u8>,
}

impl Translator {
    pub fn new(decoder: Decoder, formats: Arc<[Format]>, metrics: Arc<Metrics>) -> Translator {
        Translator { decoder, formats, metrics, text: Vec::new() }
    }

    /// Puts the record's events into the batch, or why they cannot be read. The error is why it cannot be read now, and
    /// is to be tried again.
    pub fn push(&mut self, topic: usize, raw: &Raw<'_>, batch: &mut Batch) -> Result<(), String> {
        let Format { domains, mapping } = &self.formats[topic];
        if is_binary(raw) {
            structured(raw, &mut self.text);
            batch.push(&self.decoder, domains, raw.offset, raw.at, &self.text);
        } else if let Some(mapping) = mapping {
            if let Some(skipped) = mapped(mapping, &self.decoder, domains, raw, batch) {
                self.metrics.skipped(mapping.topic(), skipped.name());
            }
        } else if let Some(value) = raw.value {
            let unwrapped = cdc::outbox(value);
            batch.push(&self.decoder, domains, raw.offset, raw.at, unwrapped.as_deref().unwrap_or(value));
        }
        // Without a value it is a tombstone: compaction's, and nothing to a graph.
        Ok(())
    }
}

/// Puts the events of a table's change into the batch. What cannot be read of a record is one dead letter, with the first
/// reason; the other events of it are applied.
fn mapped(
    mapping: &Mapping,
    decoder: &Decoder,
    domains: &[usize],
    raw: &Raw<'_>,
    batch: &mut Batch,
) -> Option<Skipped> {
    let logged = Logged { offset: raw.offset, at: raw.at };
    let message = Message { key: raw.key, value: raw.value, headers: raw.headers, logged };
    let refused = match mapping.read(&message) {
        Ok(Outcome::Skipped(what)) => return Some(what),
        Ok(Outcome::Event(event)) => {
            batch.push(decoder, domains, raw.offset, raw.at, &event);
            None
        }
        Ok(Outcome::Made(all)) => {
            let mut first = None;
            for made in all {
                let pushed = batch.push_made(decoder, domains, (raw.offset, raw.at), Some(made.commit), &made.json);
                if let Err(rejection) = pushed {
                    first.get_or_insert_with(|| Box::new(mapping.blamed(&made, *rejection)));
                }
            }
            first
        }
        Err(refusal) => Some(Box::new(refusal.rejection)),
    };
    if let Some(rejection) = refused {
        batch.refuse(raw.offset, raw.at, rejection, raw.value.unwrap_or_default());
    }
    None
}

/// Whether headers hold the event's attributes (CloudEvents' Kafka binding, binary mode).
fn is_binary(raw: &Raw<'_>) -> bool {
    let has = |wanted: &str| raw.headers.iter().any(|(name, _)| *name == wanted);
    let structured = |value: &[u8]| value.starts_with(b"application/cloudevents");
    let content_type = raw.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let is_structured = content_type.and_then(|(_, value)| *value).is_some_and(structured);
    !is_structured && (has("ce_specversion") || has("ce_id") || has("ce_type"))
}

/// The event in structured JSON. What is no JSON stays as it is, and is refused for it.
fn structured(raw: &Raw<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.push(b'{');
    let member = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        let text = String::from_utf8_lossy(value);
        // Writing a text into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b':');
        let _ = serde_json::to_writer(&mut *out, &text);
    };
    for (name, value) in raw.headers {
        let Some(value) = value else { continue };
        if let Some(attribute) = name.strip_prefix("ce_") {
            member(out, attribute, value);
        } else if name.eq_ignore_ascii_case("content-type") {
            member(out, "datacontenttype", value);
        }
    }
    if let Some(value) = raw.value.filter(|value| !value.is_empty()) {
        out.extend_from_slice(if out.len() > 1 { b",\"data\":" } else { b"\"data\":" });
        match serde_json::from_slice::<&RawValue>(value) {
            Ok(_) => out.extend_from_slice(value),
            // Told apart from a value that would close the object and go on.
            Err(_) => out.extend_from_slice(b"!"),
        }
    }
    out.push(b'}');
}

//! A record, as its topic's format has it, into the events of a batch.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::event::{Batch, Decoder};
use crate::source::Raw;

/// How a topic's records are read.
#[derive(Clone, Debug)]
pub struct Format {
    /// The domains whose events it may carry.
    pub domains: Arc<[usize]>,
}

/// Translates records; its buffers are used again.
pub struct Translator {
    decoder: Decoder,
    /// By topic.
    formats: Arc<[Format]>,
    text: Vec<u8>,
}

impl Translator {
    pub fn new(decoder: Decoder, formats: Arc<[Format]>) -> Translator {
        Translator { decoder, formats, text: Vec::new() }
    }

    /// Puts the record's events into the batch, or why they cannot be read. The error is why it cannot be read now, and
    /// is to be tried again.
    pub fn push(&mut self, topic: usize, raw: &Raw<'_>, batch: &mut Batch) -> Result<(), String> {
        let domains = &self.formats[topic].domains;
        if is_binary(raw) {
            structured(raw, &mut self.text);
            batch.push(&self.decoder, domains, raw.offset, raw.at, &self.text);
        } else if let Some(value) = raw.value {
            batch.push(&self.decoder, domains, raw.offset, raw.at, value);
        }
        // Without a value it is a tombstone: compaction's, and nothing to a graph.
        Ok(())
    }
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

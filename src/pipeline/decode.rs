//! A record, as its topic's format has it, into the events of a batch.

use std::sync::Arc;

use super::binary;
use super::names::Names;
use crate::cdc::{self, Logged, Mapping, Message, Outcome, Reading, Skipped};
use crate::encoding::{Connect, Encoding, EncodingError, Registry, json_of, to_json};
use crate::event::{Batch, Beside, Code, Decoder, OrderBy, Rejection};
use crate::ids::{By, DomainId, TopicId};
use crate::source::{NAME_UNREADABLE, Raw};
use crate::telemetry::Metrics;

/// How a topic's records are read.
#[derive(Clone, Debug)]
pub struct Format {
    /// The domains whose events it may carry.
    pub domains: Arc<[DomainId]>,
    pub encoding: Encoding,
    /// Where schemas are, for encodings that need them.
    pub registry: Option<Arc<Registry>>,
    pub carries: Carries,
}

/// What a topic carries.
#[derive(Clone, Debug)]
pub enum Carries {
    Events,
    /// A table's changes, and what makes events of them.
    Changes {
        mapping: Arc<Mapping>,
        /// Whether somebody tells where their transactions end.
        in_transactions: bool,
    },
    /// The boundaries of a database's transactions.
    Boundaries,
}

/// Translates records; its buffers are used again.
pub struct Translator {
    decoder: Decoder,
    formats: Arc<By<TopicId, Format>>,
    metrics: Arc<Metrics>,
    connect: Connect,
    names: Names,
    text: Vec<u8>,
    value: Vec<u8>,
    key: Vec<u8>,
}

impl Translator {
    pub fn new(decoder: Decoder, formats: Arc<By<TopicId, Format>>, metrics: Arc<Metrics>) -> Translator {
        let (text, value, key) = (Vec::new(), Vec::new(), Vec::new());
        let (connect, names) = (Connect::new(), Names::default());
        Translator { decoder, formats, metrics, connect, names, text, value, key }
    }

    /// Asks for schemas again that were not there or were wrong: somebody may have mended them.
    pub fn forget_bad_schemas(&self) {
        self.formats.iter().filter_map(|format| format.registry.as_ref()).for_each(|registry| registry.forget_bad());
    }

    /// Whether a topic's records may have to wait for others.
    pub fn waits(&self, topic: TopicId) -> bool {
        match &self.formats[topic].carries {
            Carries::Events => false,
            Carries::Changes { in_transactions, .. } => *in_transactions,
            Carries::Boundaries => true,
        }
    }

    /// Puts the record's events into the batch, or why they cannot be read. The error is why it cannot be read now, and
    /// is to be tried again.
    pub fn push(&mut self, topic: TopicId, raw: &Raw<'_>, batch: &mut Batch) -> Result<(), String> {
        let Translator { decoder, formats, metrics, connect, names, text, value, key } = self;
        let format = &formats[topic];
        let from = batch.len();
        let outcome = match read(connect, format, raw, value, key) {
            Ok(read) => {
                put(decoder, format, metrics, &read, text, batch);
                batch.admit(from, |name| names.admits(name));
                Ok(())
            }
            Err(EncodingError::Away(why)) => Err(why),
            Err(EncodingError::Bad { field, message }) => {
                let rejection = Box::new(Rejection::at(Code::BadEncoding, field, message));
                batch.refuse(raw.offset, raw.at, rejection, raw.value.unwrap_or_default());
                Ok(())
            }
        };
        batch.trace(from, raw.value, || Beside {
            key: raw.key.map(Into::into),
            headers: raw.headers.iter().map(|(name, value)| ((*name).into(), value.map(Into::into))).collect(),
            has_value: raw.value.is_some(),
        });
        outcome
    }
}

/// The record with its value, and for a mapping its key, as JSON text; the buffers hold what had to be written anew.
fn read<'a>(
    connect: &mut Connect,
    format: &Format,
    raw: &Raw<'a>,
    value: &'a mut Vec<u8>,
    key: &'a mut Vec<u8>,
) -> Result<Raw<'a>, EncodingError> {
    let mut read = *raw;
    let is_cdc = !matches!(format.carries, Carries::Events);
    match (&format.registry, format.encoding) {
        (Some(registry), Encoding::Avro | Encoding::Protobuf) => {
            if let Some(bytes) = raw.value {
                to_json(format.encoding, Some(registry), bytes, value)?;
                read.value = Some(value);
            }
            if let Some(bytes) = raw.key.filter(|_| is_cdc) {
                // Connectors often write keys otherwise than values: a key that is no Avro stays as it is.
                match to_json(format.encoding, Some(registry), bytes, key) {
                    Ok(()) => read.key = Some(key),
                    Err(EncodingError::Bad { .. }) => {}
                    Err(away) => return Err(away),
                }
            }
        }
        _ if is_cdc => {
            if let Some(bytes) = raw.value {
                connect.to_json(json_of(bytes), value)?;
                read.value = Some(value);
            }
            if let Some(bytes) = raw.key
                && connect.to_json(json_of(bytes), key).is_ok()
            {
                read.key = Some(key);
            }
        }
        _ => read.value = raw.value.map(json_of),
    }
    Ok(read)
}

fn put(decoder: &Decoder, format: &Format, metrics: &Metrics, raw: &Raw<'_>, text: &mut Vec<u8>, batch: &mut Batch) {
    let Format { domains, carries, encoding, .. } = format;
    if raw.headers.iter().any(|(name, _)| *name == NAME_UNREADABLE) {
        let rejection = Rejection::at(Code::BadEnvelope, None, "a header's name is no UTF-8");
        batch.refuse(raw.offset, raw.at, Box::new(rejection), raw.value.unwrap_or_default());
        return;
    }
    if binary::is_binary(raw) {
        let from = batch.len();
        match binary::structured(raw, *encoding == Encoding::Json, text) {
            Ok(()) => batch.push(decoder, domains, raw.offset, raw.at, text),
            Err(rejection) => batch.refuse(raw.offset, raw.at, rejection, raw.value.unwrap_or_default()),
        }
        batch.name(from, |rejection| binary::name(raw, rejection));
        return;
    }
    match (carries, raw.value) {
        (Carries::Changes { mapping, in_transactions }, _) => {
            if let Some(skipped) = mapped(mapping, *in_transactions, decoder, domains, raw, batch) {
                metrics.skipped(mapping.topic(), skipped.name());
            }
        }
        (Carries::Boundaries, Some(value)) => match cdc::end(value) {
            Ok(end) => batch.ends.extend(end.map(|end| (raw.at, end))),
            Err(rejection) => batch.refuse(raw.offset, raw.at, rejection, value),
        },
        (Carries::Events, Some(value)) => {
            let unwrapped = cdc::outbox(value);
            batch.push(decoder, domains, raw.offset, raw.at, unwrapped.as_deref().unwrap_or(value));
        }
        // A tombstone: compaction's, and nothing to a graph.
        (_, None) => {}
    }
}

/// Puts the events of a table's change into the batch. What cannot be read of a record is one dead letter, with the first
/// reason; the other events of it are applied.
fn mapped(
    mapping: &Mapping,
    in_transactions: bool,
    decoder: &Decoder,
    domains: &[DomainId],
    raw: &Raw<'_>,
    batch: &mut Batch,
) -> Option<Skipped> {
    let logged = Logged { offset: raw.offset, at: raw.at };
    let message = Message { key: raw.key, value: raw.value, headers: raw.headers, logged };
    let Reading { part, outcome } = mapping.read(&message);
    batch.parts.extend(part.filter(|_| in_transactions).map(|part| (raw.offset, raw.at, part)));
    let refused = match outcome {
        Ok(Outcome::Skipped(what)) => return Some(what),
        Ok(Outcome::Truncated(truncation)) => {
            let is_ordered = |domain: &DomainId| decoder.order_by(*domain) != OrderBy::Sequence;
            if domains.iter().all(is_ordered) {
                batch.truncate(raw.offset, raw.at, truncation);
                None
            } else {
                let message = "TRUNCATE has no place among versions: order the domain by `position` or `time`";
                Some(Box::new(Rejection::at(Code::BadField, Some("op".into()), message)))
            }
        }
        Ok(Outcome::Event(event)) => {
            batch.push(decoder, domains, raw.offset, raw.at, &event);
            None
        }
        Ok(Outcome::Made(all)) => {
            let mut first = None;
            for made in all {
                let pushed = batch.push_made(decoder, domains, raw.offset, raw.at, Some(made.commit), &made.json);
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

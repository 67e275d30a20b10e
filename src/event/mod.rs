//! Bytes into canonical events: the envelope, the contract's strictness, the reasons why something cannot be applied.
//!
//! Pure: no log, no clock, no graph. What an event does to a node is `projection`'s.

mod batch;
mod buffer;
mod commit;
mod data;
mod envelope;
mod numerals;
pub mod personal;
mod routes;
mod scan;
mod strict;
mod tape;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::sync::Arc;

use crate::ids::{By, DomainId, EntityId};
use crate::model::Model;
use crate::model::value::Instant;

pub use batch::{Batch, Beside, Item, Refused};
pub use buffer::{Attributes, Buffer, Extensions, Patch};
pub use commit::{Commit, End, Part, Transaction, Truncation};
pub use numerals::{Numerals, is_exact, plain};

use buffer::{Stored, Stretch};
use routes::Routes;

/// How a domain's events are ordered. The words are the configuration's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// The entity's version, 1, 2, 3, …
    #[default]
    Sequence,
    /// The place in the log.
    Position,
    /// The business time, then source, then id.
    Time,
}

/// A decoded event, its data checked against the model; borrowed from the buffer that it was decoded into.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// An index of the model's entities.
    pub entity: EntityId,
    pub key: &'a str,
    pub action: Action<'a>,
    pub envelope: Envelope<'a>,
    /// The fields that it sets, by its data or by happening.
    pub patch: Patch<'a>,
    /// What its data holds beyond the model.
    pub attributes: Attributes<'a>,
    /// Extensions of the envelope that nobody knows.
    pub unknown_extensions: Extensions<'a>,
    /// Whether the model names the event's type.
    pub in_model: bool,
}

/// What an event does beside its patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    Change,
    Delete,
    Erase,
    /// The key of the survivor.
    Merge(&'a str),
}

/// The envelope's parts that are kept as lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub id: &'a str,
    pub source: &'a str,
    pub kind: &'a str,
    pub time: Instant,
    /// As a number, where it is one from 1.
    pub version: Option<u64>,
    /// As it was written.
    pub sequence: Option<&'a str>,
    pub dataschema: Option<&'a str>,
    pub traceparent: Option<&'a str>,
}

/// Why an event cannot be applied, in the order in which it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    TooLarge,
    BadEncoding,
    BadJson,
    BadEnvelope,
    UnknownEntity,
    BadField,
    CheckFailed,
}

impl Code {
    pub const ALL: [Code; 7] = [
        Code::TooLarge,
        Code::BadEncoding,
        Code::BadJson,
        Code::BadEnvelope,
        Code::UnknownEntity,
        Code::BadField,
        Code::CheckFailed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Code::TooLarge => "TOO_LARGE",
            Code::BadEncoding => "BAD_ENCODING",
            Code::BadJson => "BAD_JSON",
            Code::BadEnvelope => "BAD_ENVELOPE",
            Code::UnknownEntity => "UNKNOWN_ENTITY",
            Code::BadField => "BAD_FIELD",
            Code::CheckFailed => "CHECK_FAILED",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event refused: the first fault, the field that it is in, and a message that repeats no personal value.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    pub code: Code,
    pub field: Option<String>,
    pub message: String,
    /// What could be read of the envelope, for the dead letter.
    pub id: Option<String>,
    pub kind: Option<String>,
    pub subject: Option<String>,
}

impl Rejection {
    fn new(code: Code, field: impl Into<Option<&'static str>>, message: impl Into<String>) -> Rejection {
        Rejection::at(code, field.into().map(str::to_owned), message)
    }

    pub fn at(code: Code, field: Option<String>, message: impl Into<String>) -> Rejection {
        Rejection { code, field, message: message.into(), id: None, kind: None, subject: None }
    }
}

/// Decodes events by a model and its domains' ordering.
#[derive(Clone, Debug)]
pub struct Decoder {
    model: Arc<Model>,
    order_by: By<DomainId, OrderBy>,
    /// An event of more bytes is refused.
    event_bytes_max: usize,
    routes: Arc<Routes>,
}

impl Decoder {
    pub fn new(model: Arc<Model>, order_by: By<DomainId, OrderBy>, event_bytes_max: usize) -> Decoder {
        let routes = Arc::new(Routes::new(&model));
        Decoder { model, order_by, event_bytes_max, routes }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn order_by(&self, domain: DomainId) -> OrderBy {
        self.order_by.get(domain).copied().unwrap_or_default()
    }

    /// Reads one event in CloudEvents' structured JSON, in place of what the buffer held. `domains` are the topic's,
    /// none where any will do.
    pub fn decode<'b>(
        &self,
        bytes: &[u8],
        domains: &[DomainId],
        buffer: &'b mut Buffer,
    ) -> Result<Event<'b>, Box<Rejection>> {
        buffer.clear();
        let stored = self.read(bytes, domains, buffer)?;
        Ok(buffer.event(&stored))
    }

    /// Reads one event behind those that the buffer holds. Of one that is refused, nothing stays there.
    fn read(&self, bytes: &[u8], domains: &[DomainId], buffer: &mut Buffer) -> Result<Stored, Box<Rejection>> {
        if bytes.len() > self.event_bytes_max {
            let message =
                format!("the event has {} bytes, and at most {} are taken", bytes.len(), self.event_bytes_max);
            return Err(Box::new(Rejection::new(Code::TooLarge, None, message)));
        }
        let mark = buffer.mark();
        let read = match buffer.tape.read(bytes) {
            Ok(()) => self.judge(domains, buffer).map_err(|mut rejection| {
                let text = |name| buffer.tape.root().get(name).and_then(|value| value.text()).map(str::to_owned);
                rejection.id = text("id");
                rejection.kind = text("type");
                rejection.subject = text("subject").filter(|subject| subject.len() <= SUBJECT_BYTES_MAX);
                rejection
            }),
            Err(message) => Err(Rejection::new(Code::BadJson, None, message)),
        };
        read.map_err(|rejection| {
            buffer.cut(mark);
            Box::new(rejection)
        })
    }

    /// Judges what was read onto the buffer's tape, in the contract's order.
    fn judge(&self, domains: &[DomainId], buffer: &mut Buffer) -> Result<Stored, Rejection> {
        let Buffer { tape, kept } = buffer;
        let before = [kept.patch.len(), kept.attributes.len(), kept.extensions.len()];
        let root = tape.root();
        let members = envelope::Members::of(root);
        let parts = envelope::read(root, &members, kept)?;
        let route = self.routes.find(&self.model, root.spanned(parts.kind), domains)?;
        let by_sequence = self.order_by(self.model.entities[route.entity].domain) == OrderBy::Sequence;
        let required = envelope::require(&parts, by_sequence, kept)?;
        let head = data::Head { route, key: root.spanned(required.subject), time: required.time };
        let action = data::read(&members, root, &self.model, head, kept)?;
        Ok(Stored {
            entity: route.entity,
            key: required.subject,
            action,
            id: parts.id,
            source: parts.source,
            kind: parts.kind,
            time: required.time,
            version: required.version,
            sequence: required.sequence,
            dataschema: parts.dataschema,
            traceparent: parts.traceparent,
            patch: Stretch { start: before[0], end: kept.patch.len() },
            attributes: Stretch { start: before[1], end: kept.attributes.len() },
            extensions: Stretch { start: before[2], end: kept.extensions.len() },
            in_model: route.in_model,
        })
    }
}

/// The longest subject, and the longest key that a link may name.
pub use crate::limits::SUBJECT_BYTES_MAX;

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(40).chain("…".chars()).collect() }
}

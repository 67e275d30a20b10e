//! Bytes into canonical events: the envelope, the contract's strictness, the reasons why something cannot be applied.
//!
//! Pure: no log, no clock, no graph. What an event does to a node is `projection`'s.

mod batch;
mod data;
mod envelope;
mod json;

use std::fmt;
use std::sync::Arc;

use crate::model::Model;
use crate::model::value::{Instant, Value};

pub use batch::{Batch, Record, Refused};
pub use json::Json;

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

/// A decoded event, its data checked against the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// An index of the model's entities.
    pub entity: usize,
    pub key: Arc<str>,
    pub action: Action,
    pub envelope: Envelope,
    /// The fields that it sets, by its data or by happening; `Null` clears. A link's value is the other's key.
    pub patch: Vec<(usize, Value)>,
    /// What its data holds beyond the model.
    pub attributes: Vec<(Arc<str>, serde_json::Value)>,
    /// Extensions of the envelope that nobody knows.
    pub unknown_extensions: Vec<String>,
    /// Whether the model names the event's type.
    pub in_model: bool,
}

/// What an event does beside its patch.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Change,
    Delete,
    Erase,
    /// The key of the survivor.
    Merge(Arc<str>),
}

/// The envelope's parts that are kept as lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub id: Arc<str>,
    pub source: Arc<str>,
    pub kind: Arc<str>,
    pub time: Instant,
    /// As a number, where it is one from 1.
    pub version: Option<u64>,
    /// As it was written.
    pub sequence: Option<Arc<str>>,
    pub dataschema: Option<Arc<str>>,
    pub traceparent: Option<Arc<str>>,
}

/// Why an event cannot be applied, in the order in which it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    TooLarge,
    BadJson,
    BadEnvelope,
    UnknownEntity,
    BadField,
    CheckFailed,
}

impl Code {
    pub const ALL: [Code; 6] =
        [Code::TooLarge, Code::BadJson, Code::BadEnvelope, Code::UnknownEntity, Code::BadField, Code::CheckFailed];

    pub fn name(self) -> &'static str {
        match self {
            Code::TooLarge => "TOO_LARGE",
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

    fn at(code: Code, field: Option<String>, message: impl Into<String>) -> Rejection {
        Rejection { code, field, message: message.into(), id: None, kind: None, subject: None }
    }
}

/// Decodes events by a model and its domains' ordering.
#[derive(Clone, Debug)]
pub struct Decoder {
    model: Arc<Model>,
    /// By domain.
    order_by: Vec<OrderBy>,
    /// An event of more bytes is refused.
    event_bytes_max: usize,
}

impl Decoder {
    pub fn new(model: Arc<Model>, order_by: Vec<OrderBy>, event_bytes_max: usize) -> Decoder {
        Decoder { model, order_by, event_bytes_max }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn order_by(&self, domain: usize) -> OrderBy {
        self.order_by.get(domain).copied().unwrap_or_default()
    }

    /// Reads one event in CloudEvents' structured JSON. `domain` is the topic's, where the event comes from one.
    pub fn decode(&self, bytes: &[u8], domain: Option<usize>) -> Result<Event, Box<Rejection>> {
        if bytes.len() > self.event_bytes_max {
            let message =
                format!("the event has {} bytes, and at most {} are taken", bytes.len(), self.event_bytes_max);
            return Err(Box::new(Rejection::new(Code::TooLarge, None, message)));
        }
        let root = json::parse(bytes).map_err(|message| Box::new(Rejection::new(Code::BadJson, None, message)))?;
        self.decode_json(&root, domain).map_err(|mut rejection| {
            let text = |name| root.get(name).and_then(Json::text).map(str::to_owned);
            rejection.id = text("id");
            rejection.kind = text("type");
            rejection.subject = text("subject").filter(|subject| subject.len() <= SUBJECT_BYTES_MAX);
            Box::new(rejection)
        })
    }

    fn decode_json(&self, root: &Json<'_>, domain: Option<usize>) -> Result<Event, Rejection> {
        let parts = envelope::read(root)?;
        let (entity_index, past_participle) = self.entity(parts.kind, domain)?;
        let entity = &self.model.entities[entity_index];
        let by_sequence = self.order_by(entity.domain) == OrderBy::Sequence;
        let (key, envelope, unknown_extensions) = envelope::require(parts, by_sequence)?;
        let mut event = Event {
            entity: entity_index,
            key,
            action: Action::Change,
            in_model: entity.knows_event(past_participle),
            envelope,
            patch: Vec::new(),
            attributes: Vec::new(),
            unknown_extensions,
        };
        data::read(root, &self.model, past_participle, &mut event)?;
        Ok(event)
    }

    fn entity<'a>(&self, kind: &'a str, domain: Option<usize>) -> Result<(usize, &'a str), Rejection> {
        let unknown = |message: String| Rejection::new(Code::UnknownEntity, "type", message);
        let (prefix, rest) = kind.split_once('.').unwrap_or((kind, ""));
        if rest.is_empty() {
            return Err(unknown(
                "the type has no dot with something after it: write `<entity>.<past participle>`".into(),
            ));
        }
        let index = self.model.entity_of_event(prefix).ok_or_else(|| {
            let near = crate::model::nearest(prefix, self.model.entities.iter().map(|entity| entity.event.as_str()));
            unknown(format!("the model has no entity whose events start with `{}`{near}", shorten(prefix)))
        })?;
        let entity = &self.model.entities[index];
        if domain.is_some_and(|domain| domain != entity.domain) {
            let own = &self.model.domain_of(index).name;
            return Err(unknown(format!(
                "events of {} belong to the domain `{own}`, not to this topic's",
                entity.name
            )));
        }
        Ok((index, rest))
    }
}

/// The longest subject, and the longest key that a link may name.
pub const SUBJECT_BYTES_MAX: usize = 128;

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(40).chain("…".chars()).collect() }
}

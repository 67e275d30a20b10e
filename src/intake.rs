//! Writing to the embedded log: read a body, judge each event, append what is good, say what became of each. What
//! `POST /events`, `staygraph append` and the demo share.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::event::{Buffer, Code, Decoder, Event, Rejection};
use crate::ids::{By, DomainId};
use crate::limits::EVENTS_MAX;
use crate::position::{Entry, Position};
use crate::sealing::Sealing;
use crate::source::log::{Appended, Drafted, Log, LogError, Stretch};

/// How a body holds its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    Batch,
    /// One a line.
    Lines,
    /// One of the others, by how it looks.
    Any,
}

/// What became of a body.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    pub accepted: usize,
    /// How many were refused, by reason.
    pub refused: BTreeMap<Code, usize>,
    /// The first that was refused.
    pub first: Option<Box<Rejection>>,
    /// The acknowledgement, as JSON. Of lines it lists the refused only.
    pub text: String,
}

impl Receipt {
    pub fn rejected(&self) -> usize {
        self.refused.values().sum()
    }
}

/// The acknowledgement in the making. What is told of an event is written as soon as it is judged: its text is all that is
/// kept, since a body can have many that are refused at length.
#[derive(Default)]
struct Results {
    text: Vec<u8>,
    /// Where the positions of those that are taken are still to be written, in the text's order.
    places: Vec<(usize, Drafted)>,
}

/// What the acknowledgement says of an event.
#[derive(Serialize)]
struct Told<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refused<'a>>,
}

#[derive(Serialize)]
struct Refused<'a> {
    code: &'a str,
    field: Option<&'a str>,
    message: &'a str,
}

/// What is said of all.
#[derive(Serialize)]
struct Head {
    accepted: usize,
    rejected: usize,
    position: Option<String>,
}

impl Results {
    fn tell(&mut self, told: &Told<'_>) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        // Names are texts, and memory takes all: it cannot fail.
        let _ = serde_json::to_writer(&mut self.text, told);
    }

    fn take(&mut self, told: &Told<'_>, drafted: Drafted) {
        self.tell(told);
        // Before the closing brace.
        self.places.push((self.text.len() - 1, drafted));
    }

    /// The whole text, once it is known where the events lie.
    fn finish(self, accepted: usize, rejected: usize, appended: &Appended) -> String {
        let Results { mut text, places } = self;
        // All entries of a stretch begin alike.
        let start = |stretch: &Stretch| {
            let text = serde_json::to_string(&entry(stretch, 0).to_string()).unwrap_or_default();
            text.trim_end_matches("0\"").to_owned()
        };
        let starts: Vec<String> = appended.stretches().iter().map(start).collect();
        if !places.is_empty() {
            let mut whole = Vec::with_capacity(text.len() + places.len() * 48);
            let mut from = 0;
            for (at, drafted) in places {
                let (stretch, offset) = appended.place(drafted);
                whole.extend_from_slice(&text[from..at]);
                let _ = write!(whole, ",\"position\":{}{}\"", starts[stretch], offset + 1);
                from = at;
            }
            whole.extend_from_slice(&text[from..]);
            text = whole;
        }
        let mut position = Position::default();
        for stretch in appended.stretches() {
            position.include(entry(stretch, stretch.first + u64::from(stretch.count)));
        }
        let position = (!position.is_empty()).then(|| position.to_string());
        let head = serde_json::to_string(&Head { accepted, rejected, position }).unwrap_or_default();
        let head = format!("{},\"results\":[", head.trim_end_matches('}'));
        text.splice(0..0, head.into_bytes());
        text.extend_from_slice(b"]}");
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Where the graph must be to hold what lies before an offset.
fn entry(stretch: &Stretch, offset: u64) -> Entry {
    let Stretch { topic, partition, .. } = stretch;
    Entry { topic: topic.name.clone(), log: Some(topic.id), partition: *partition, offset }
}

/// The acknowledgement of a body that was a single line too large, as if it had stood among others.
pub fn too_large_line(message: &str) -> Json {
    let error = json!({ "code": Code::TooLarge.name(), "field": null, "message": message });
    json!({ "accepted": 0, "rejected": 1, "position": null, "results": [{ "index": 0, "line": 1, "error": error }] })
}

/// Why a body as a whole was not taken.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It cannot be read at all.
    Unreadable(String),
    /// Its only event is too large.
    TooLarge(String),
    /// It has too many.
    TooMany(String),
    Log(LogError),
}

/// The way into the log.
#[derive(Clone)]
pub struct Intake {
    log: Arc<Log>,
    decoder: Decoder,
    sealing: Sealing,
    /// By domain: the topic that its events are written to; none where another source holds them.
    topics: By<DomainId, Option<usize>>,
}

impl Intake {
    pub fn new(log: Arc<Log>, decoder: Decoder, sealing: Sealing, topics: By<DomainId, Option<usize>>) -> Intake {
        Intake { log, decoder, sealing, topics }
    }

    /// Where it writes to.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Takes a body. Returns when what was accepted is durable; blocks.
    pub fn take(&self, body: &[u8], shape: Shape) -> Result<Receipt, Refusal> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let shape = if shape == Shape::Any { looks_like(body) } else { shape };
        let parts: Vec<Part<'_>> = match shape {
            Shape::Batch => {
                let items: Items<'_> = serde_json::from_slice(body)
                    .map_err(|error| Refusal::Unreadable(format!("the body is no JSON array of events: {error}")))?;
                items.0
            }
            Shape::Lines => {
                let lines = body.split(|byte| *byte == b'\n').enumerate();
                let trimmed = lines.map(|(index, line)| (Some(index + 1), line.trim_ascii()));
                // One more than may be, to know that they are too many.
                trimmed.filter(|(_, line)| !line.is_empty()).take(EVENTS_MAX + 1).collect()
            }
            Shape::One | Shape::Any => {
                let item: &RawValue = serde_json::from_slice(body)
                    .map_err(|error| Refusal::Unreadable(format!("the body is no JSON: {error}")))?;
                vec![(None, item.get().as_bytes())]
            }
        };
        if parts.len() > EVENTS_MAX {
            let message = format!("the body has more than {EVENTS_MAX} events: send them in several");
            return Err(Refusal::TooMany(message));
        }
        self.append(&parts, shape)
    }

    /// Refuses an event of a domain that the embedded log does not hold.
    fn elsewhere(&self, domain: DomainId, event: &Event<'_>) -> Box<Rejection> {
        let name = &self.decoder.model().domains[domain].name;
        Box::new(Rejection {
            code: Code::UnknownEntity,
            field: Some("type".into()),
            message: format!("events of the domain `{name}` come from another source: write to its topic there"),
            id: Some(event.envelope.id.to_owned()),
            kind: Some(event.envelope.kind.to_owned()),
            subject: Some(event.key.to_owned()),
        })
    }

    /// Judges and appends events that are apart already.
    fn append(&self, parts: &[Part<'_>], shape: Shape) -> Result<Receipt, Refusal> {
        let (mut receipt, mut results, mut buffer) = (Receipt::default(), Results::default(), Buffer::default());
        let mut draft = self.log.draft(parts.iter().map(|(_, bytes)| bytes.len()).sum());
        for (index, (line, bytes)) in parts.iter().enumerate() {
            let line = *line;
            let outcome = self.decoder.decode(bytes, &[], &mut buffer).and_then(|event| {
                let domain = self.decoder.model().entities[event.entity].domain;
                let topic = self.topics[domain].ok_or_else(|| self.elsewhere(domain, &event))?;
                let key = event.key.as_bytes();
                let has_personal = self.decoder.model().entities[event.entity].has_personal;
                let sealed = if has_personal { self.sealing.seal(key, bytes) } else { None };
                let drafted = match &sealed {
                    Some(sealed) => draft.push_sealed(topic, key, &sealed.body, sealed.sealed.as_deref()),
                    None => draft.push(topic, key, bytes),
                };
                Ok((drafted, event.envelope.id))
            });
            match outcome {
                Ok((drafted, id)) => {
                    receipt.accepted += 1;
                    // Of lines nobody is told of these one by one.
                    if shape != Shape::Lines {
                        results.take(&Told { index, line, id: Some(id), error: None }, drafted);
                    }
                }
                Err(rejection) => {
                    let Rejection { id, code, field, message, .. } = &*rejection;
                    let error = Some(Refused { code: code.name(), field: field.as_deref(), message });
                    results.tell(&Told { index, line, id: id.as_deref(), error });
                    *receipt.refused.entry(*code).or_default() += 1;
                    receipt.first.get_or_insert(rejection);
                }
            }
        }
        if let (1, Some(rejection)) = (parts.len(), &receipt.first)
            && rejection.code == Code::TooLarge
        {
            return Err(Refusal::TooLarge(rejection.message.clone()));
        }
        let appended = match draft.is_empty() {
            true => Appended::default(),
            false => self.log.append(draft).map_err(Refusal::Log)?,
        };
        receipt.text = results.finish(receipt.accepted, receipt.rejected(), &appended);
        Ok(receipt)
    }
}

/// An event's line, and its text.
type Part<'a> = (Option<usize>, &'a [u8]);

/// An array's items: one more than may be, to know that they are too many.
struct Items<'a>(Vec<Part<'a>>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = sequence.next_element::<&RawValue>()? {
            if self.0.len() <= EVENTS_MAX {
                self.0.push((None, item.get().as_bytes()));
            }
        }
        Ok(self)
    }
}

/// A body's shape by its looks: an array is a batch, several values are lines, anything else is one event.
fn looks_like(body: &[u8]) -> Shape {
    match body.trim_ascii_start().first() {
        Some(b'[') => Shape::Batch,
        _ if serde_json::from_slice::<&RawValue>(body).is_err() && body.trim_ascii().contains(&b'\n') => Shape::Lines,
        _ => Shape::One,
    }
}

//! Writing to the embedded log: read a body, judge each event, append what is good, say what became of each. What
//! `POST /events`, `staygraph append` and the demo share.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::event::{Buffer, Code, Decoder, Event, Rejection};
use crate::limits::EVENTS_MAX;
use crate::position::{Entry, Position};
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

/// One event's fate.
#[derive(Clone, Debug)]
pub struct Fate {
    /// Its place among the body's events, from 0.
    pub index: usize,
    /// Its line from 1, for lines.
    pub line: Option<usize>,
    pub outcome: Result<Taken, Box<Rejection>>,
}

/// An event that is in the log now.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: String,
    pub drafted: Drafted,
}

/// What became of a body.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub accepted: usize,
    pub rejected: usize,
    /// Those that the acknowledgement lists: of lines the refused only.
    pub fates: Vec<Fate>,
    appended: Appended,
}

impl Receipt {
    /// Where the graph must be to hold all that was accepted.
    pub fn position(&self) -> Position {
        let mut position = Position::default();
        for stretch in self.appended.stretches() {
            position.include(entry(stretch, stretch.first + u64::from(stretch.count)));
        }
        position
    }

    /// Why events were refused.
    pub fn refusals(&self) -> impl Iterator<Item = &Rejection> {
        self.fates.iter().filter_map(|fate| fate.outcome.as_ref().err()).map(|rejection| &**rejection)
    }
}

/// Where the graph must be to hold what lies before an offset.
fn entry(stretch: &Stretch, offset: u64) -> Entry {
    let Stretch { topic, partition, .. } = stretch;
    Entry { topic: topic.name.clone(), log: Some(topic.id), partition: *partition, offset }
}

/// The acknowledgement, written as it is: a tree of many refusals takes many times their text.
impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let position = self.position();
        let mut members = serializer.serialize_map(Some(4))?;
        members.serialize_entry("accepted", &self.accepted)?;
        members.serialize_entry("rejected", &self.rejected)?;
        members.serialize_entry("position", &(!position.is_empty()).then(|| position.to_string()))?;
        members.serialize_entry("results", &Results(self))?;
        members.end()
    }
}

struct Results<'a>(&'a Receipt);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Receipt { fates, appended, .. } = self.0;
        // All entries of a stretch begin alike.
        let start = |stretch: &Stretch| {
            let text = entry(stretch, 0).to_string();
            text.trim_end_matches('0').to_owned()
        };
        let starts: Vec<String> = appended.stretches().iter().map(start).collect();
        serializer.collect_seq(fates.iter().map(|fate| {
            let Fate { index, line, outcome } = fate;
            let (id, position, error) = match outcome {
                Ok(taken) => {
                    let (stretch, offset) = appended.place(taken.drafted);
                    (Some(taken.id.as_str()), Some(Place { start: &starts[stretch], next: offset + 1 }), None)
                }
                Err(rejection) => {
                    let Rejection { id, code, field, message, .. } = &**rejection;
                    (id.as_deref(), None, Some(Refused { code: code.name(), field: field.as_deref(), message }))
                }
            };
            Told { index: *index, line: *line, id, position, error }
        }))
    }
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
    position: Option<Place<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refused<'a>>,
}

#[derive(Serialize)]
struct Refused<'a> {
    code: &'a str,
    field: Option<&'a str>,
    message: &'a str,
}

/// An entry of a position, up to its offset and from there.
struct Place<'a> {
    start: &'a str,
    next: u64,
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{}", self.start, self.next))
    }
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
    /// By domain: the topic that its events are written to; none where another source holds them.
    topics: Vec<Option<usize>>,
}

impl Intake {
    pub fn new(log: Arc<Log>, decoder: Decoder, topics: Vec<Option<usize>>) -> Intake {
        Intake { log, decoder, topics }
    }

    /// Where it writes to.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Takes a body. Returns when what was accepted is durable; blocks.
    pub fn take(&self, body: &[u8], shape: Shape) -> Result<Receipt, Refusal> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let shape = if shape == Shape::Any { looks_like(body) } else { shape };
        let parts: Vec<(Option<usize>, &[u8])> = match shape {
            Shape::Batch => {
                let Items(items) = serde_json::from_slice(body)
                    .map_err(|error| Refusal::Unreadable(format!("the body is no JSON array of events: {error}")))?;
                items.into_iter().map(|item| (None, item.get().as_bytes())).collect()
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
    fn elsewhere(&self, domain: usize, event: &Event<'_>) -> Box<Rejection> {
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
    fn append(&self, parts: &[(Option<usize>, &[u8])], shape: Shape) -> Result<Receipt, Refusal> {
        let (mut fates, mut buffer) = (Vec::new(), Buffer::default());
        let mut draft = self.log.draft(parts.iter().map(|(_, bytes)| bytes.len()).sum());
        let mut rejected = 0;
        for (index, (line, bytes)) in parts.iter().enumerate() {
            let line = *line;
            let outcome = self.decoder.decode(bytes, &[], &mut buffer).and_then(|event| {
                let domain = self.decoder.model().entities[event.entity].domain;
                let topic = self.topics[domain].ok_or_else(|| self.elsewhere(domain, &event))?;
                Ok((draft.push(topic, event.key.as_bytes(), bytes), event.envelope.id))
            });
            match outcome {
                // Nobody is told of these one by one.
                Ok(_) if shape == Shape::Lines => {}
                Ok((drafted, id)) => {
                    fates.push(Fate { index, line, outcome: Ok(Taken { id: id.to_owned(), drafted }) })
                }
                Err(rejection) => {
                    rejected += 1;
                    fates.push(Fate { index, line, outcome: Err(rejection) });
                }
            }
        }
        if let ([Fate { outcome: Err(rejection), .. }], 1) = (&fates[..], parts.len())
            && rejection.code == Code::TooLarge
        {
            return Err(Refusal::TooLarge(rejection.message.clone()));
        }
        let appended = match draft.is_empty() {
            true => Appended::default(),
            false => self.log.append(draft).map_err(Refusal::Log)?,
        };
        Ok(Receipt { accepted: parts.len() - rejected, rejected, fates, appended })
    }
}

/// An array's items; of too many, one more than may be.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Items<'a>, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor).map(Items)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<&'de RawValue>, A::Error> {
        let mut taken = Vec::new();
        while taken.len() <= EVENTS_MAX
            && let Some(item) = items.next_element()?
        {
            taken.push(item);
        }
        // The rest is read, so that what is no array is told as that.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(taken)
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

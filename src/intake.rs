//! Writing to the embedded log: read a body, judge each event, append what is good, say what became of each. What
//! `POST /events`, `staygraph append` and the demo share.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::event::{Buffer, Code, Decoder, Event, Rejection};
use crate::limits::EVENTS_MAX;
use crate::position::{Entry, Position};
use crate::source::log::{Log, LogError, NewRecord};

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
    pub id: Option<String>,
    pub outcome: Result<Entry, Box<Rejection>>,
}

/// What became of a body.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub fates: Vec<Fate>,
    pub shape: Shape,
}

impl Receipt {
    pub fn accepted(&self) -> usize {
        self.fates.iter().filter(|fate| fate.outcome.is_ok()).count()
    }

    pub fn rejected(&self) -> usize {
        self.fates.len() - self.accepted()
    }

    /// Where the graph must be to hold all that was accepted.
    pub fn position(&self) -> Position {
        let mut position = Position::default();
        self.fates
            .iter()
            .filter_map(|fate| fate.outcome.as_ref().ok())
            .for_each(|entry| position.include(entry.clone()));
        position
    }

    /// The acknowledgement. Of lines it lists the refused only.
    pub fn to_json(&self) -> Json {
        let listed = self.fates.iter().filter(|fate| self.shape != Shape::Lines || fate.outcome.is_err());
        let results = listed.map(|fate| {
            let mut result = json!({ "index": fate.index });
            if let Some(line) = fate.line {
                result["line"] = json!(line);
            }
            if let Some(id) = &fate.id {
                result["id"] = json!(id);
            }
            match &fate.outcome {
                Ok(entry) => result["position"] = json!(entry.to_string()),
                Err(rejection) => {
                    result["error"] = json!({ "code": rejection.code.name(), "field": rejection.field, "message": rejection.message });
                }
            }
            result
        });
        let position = self.position();
        json!({
            "accepted": self.accepted(), "rejected": self.rejected(),
            "position": (!position.is_empty()).then(|| position.to_string()), "results": results.collect::<Vec<_>>(),
        })
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
                let items: Vec<&RawValue> = serde_json::from_slice(body)
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
        let mut fates = Vec::with_capacity(parts.len());
        let (mut records, mut buffer) = (Vec::new(), Buffer::default());
        for (index, (line, bytes)) in parts.iter().enumerate() {
            let (id, outcome) = match self.decoder.decode(bytes, &[], &mut buffer) {
                Ok(event) => {
                    let domain = self.decoder.model().entities[event.entity].domain;
                    let id = Some(event.envelope.id.to_string());
                    match self.topics[domain] {
                        Some(topic) => {
                            let (key, bytes) = (event.key.as_bytes().to_vec(), bytes.to_vec());
                            records.push(NewRecord { topic, key, bytes });
                            (id, None)
                        }
                        None => (id, Some(self.elsewhere(domain, &event))),
                    }
                }
                Err(rejection) => (rejection.id.clone(), Some(rejection)),
            };
            fates.push((index, *line, id, outcome));
        }
        if let [(_, _, _, Some(rejection))] = &fates[..]
            && rejection.code == Code::TooLarge
        {
            return Err(Refusal::TooLarge(rejection.message.clone()));
        }
        let places = if records.is_empty() { Vec::new() } else { self.log.append(records).map_err(Refusal::Log)? };
        let topics = self.log.topics();
        let mut places = places.into_iter();
        let fates = fates.into_iter().map(|(index, line, id, outcome)| {
            let outcome = match outcome {
                Some(rejection) => Err(rejection),
                None => {
                    let place = places.next().ok_or(Refusal::Log(LogError::Closed))?;
                    let topic = &topics[place.topic];
                    Ok(Entry {
                        topic: topic.name.clone(),
                        log: Some(topic.id),
                        partition: place.partition,
                        offset: place.offset + 1,
                    })
                }
            };
            Ok(Fate { index, line, id, outcome })
        });
        Ok(Receipt { fates: fates.collect::<Result<_, _>>()?, shape })
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

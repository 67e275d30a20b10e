//! Canonical events as NDJSON on standard output.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use jiff::civil::Date;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::{Failure, grouped, report};

/// The attributes of an entity, in the order they are named. An unknown one is left out: an event must not clear
/// what it does not know.
#[derive(Default)]
pub struct Data(Vec<(&'static str, Value)>);

impl Data {
    pub fn with<T: Into<Value>>(mut self, name: &'static str, value: Option<T>) -> Data {
        self.0.extend(value.map(|value| (name, value.into())));
        self
    }

    pub fn date(self, name: &'static str, value: Option<Date>) -> Data {
        self.with(name, value.map(|date| date.to_string()))
    }

    pub fn money(self, name: &'static str, minor: Option<i64>, currency: &str) -> Data {
        self.with(name, minor.map(|minor| json!({ "currency": currency, "minor": minor })))
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The envelope. What changes from event to event stands together, which compresses best.
#[derive(serde::Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    sequence: u32,
    id: String,
    subject: &'a str,
    time: String,
    data: Data,
}

/// Where the events of one source go.
pub struct Output {
    writer: BufWriter<io::Stdout>,
    source: String,
    counts: BTreeMap<&'static str, u64>,
}

impl Output {
    pub fn new(source: String) -> Output {
        Output { writer: BufWriter::with_capacity(1 << 16, io::stdout()), source, counts: BTreeMap::new() }
    }

    /// Writes one event that happened on a day whose hour is not known: midnight UTC stands for it.
    ///
    /// The id is the initial of what happened, the subject and the sequence, so that it is short, the same in
    /// every run, and unlike that of another entity with the same key.
    pub fn send(
        &mut self,
        kind: &'static str,
        subject: &str,
        sequence: u32,
        day: Date,
        data: Data,
    ) -> Result<(), Failure> {
        let initial = kind.split_once('.').and_then(|(_, happened)| happened.get(..1)).unwrap_or_default();
        let envelope = Envelope {
            specversion: "1.0",
            source: &self.source,
            kind,
            sequence,
            id: format!("{initial}{subject}-{sequence}"),
            subject,
            time: format!("{day}T00:00:00Z"),
            data,
        };
        serde_json::to_writer(&mut self.writer, &envelope).map_err(|error| Failure::Output(error.into()))?;
        self.writer.write_all(b"\n").map_err(Failure::Output)?;
        *self.counts.entry(kind).or_default() += 1;
        Ok(())
    }

    /// Writes what is still buffered and says how many events there were.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(Failure::Output)?;
        report(&format!("events of source {}", self.source));
        for (kind, count) in &self.counts {
            report(&format!("  {:>11} {kind}", grouped(*count)));
        }
        Ok(())
    }
}

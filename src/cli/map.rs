//! `staygraph map`: what a mapping makes of recorded messages, before anything runs on it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::{Failure, counted, one, say};
use crate::cdc::{Logged, Mapping, Message, Outcome};
use crate::config::{Config, LogOptions, ModelText, Options};
use crate::encoding::{Connect, EncodingError, json_of};
use crate::event::{Buffer, Code, Decoder, Rejection};
use crate::ids::DomainId;
use crate::model::value::Instant;
use crate::telemetry::{Told, start_logs, tell};

#[derive(Args)]
pub struct Map {
    /// Recorded messages: lines of `{"key", "value", "headers"?}`, or one message's value a file.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The configuration that has the mapping.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_CONFIG")]
    config: PathBuf,
    /// The model; the configuration's unless said.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_MODEL")]
    model: Option<PathBuf>,
    /// The topic whose mapping is tried.
    #[arg(long)]
    topic: String,
    /// An earlier output: says how this one differs from it, and ends with 1 where it does.
    #[arg(long, value_name = "OLD")]
    diff: Option<PathBuf>,
}

/// A recorded message, as its line has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Value<'a>,
    #[serde(default)]
    headers: serde_json::Map<String, Json>,
    offset: Option<u64>,
    /// Milliseconds since 1970.
    timestamp: Option<u64>,
    #[serde(rename = "partition")]
    _partition: Option<u32>,
    #[serde(rename = "topic")]
    _topic: Option<String>,
}

/// What must be said, and may be null.
#[derive(Deserialize)]
struct Value<'a>(#[serde(borrow)] Option<&'a RawValue>);

/// A message to try, and its place: the file, and in one of lines the line.
struct Case {
    place: String,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    logged: Logged,
}

impl Map {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        let options = Options { config: Some(self.config.clone()), model: self.model.clone(), ..Options::default() };
        let config = Config::read(&options, logs, &ModelText::File)?;
        start_logs(config.log_format, config.verbose);
        let topic = config.topics.iter().find(|topic| topic.name == self.topic);
        let Some((mapping, domains)) = topic.and_then(|topic| Some((topic.mapping.clone()?, topic.domains.clone())))
        else {
            let mapped = config.topics.iter().filter(|topic| topic.mapping.is_some());
            let near = crate::model::nearest(&self.topic, mapped.map(|topic| topic.name.as_str()));
            return Err(one(format!("{} has no [[mappings]] of topic `{}`{near}", self.config.display(), self.topic)));
        };
        let order_by = config.domains.iter().map(|domain| domain.rules.order_by).collect();
        let decoder = Decoder::new(config.model.into(), order_by, config.limits.event_bytes_max);
        let (connect, buffer, tally) = (Connect::new(), Buffer::default(), Tally::default());
        let mut trial = Trial { mapping: &mapping, connect, decoder, domains, buffer, tally };
        for file in &self.files {
            cases(file)?.iter().for_each(|case| trial.take(case));
        }
        let Tally { events, skipped, refused } = trial.tally;
        tell(Told::Note, &format!("{}, {skipped} skipped, {refused} refused", counted(events.len() as u64, "event")));
        let differs = match &self.diff {
            None => {
                events.iter().for_each(|event| say(event));
                false
            }
            Some(old) => {
                let text = read(old)?;
                let text = String::from_utf8_lossy(&text);
                let lines = difference(&text.lines().collect::<Vec<_>>(), &events);
                lines.iter().for_each(|line| say(line));
                !lines.is_empty()
            }
        };
        match (refused, differs) {
            (0, false) => Ok(()),
            (0, true) => Err(one("the events differ".into())),
            (refused, _) => Err(one(format!("{} refused, and named above", counted(refused as u64, "message")))),
        }
    }
}

#[derive(Default)]
struct Tally {
    events: Vec<String>,
    skipped: usize,
    refused: usize,
}

struct Trial<'a> {
    mapping: &'a Mapping,
    connect: Connect,
    decoder: Decoder,
    domains: Vec<DomainId>,
    buffer: Buffer,
    tally: Tally,
}

impl Trial<'_> {
    fn take(&mut self, case: &Case) {
        // As the service reads a record: values by the types that its schema part names.
        let mut typed = |part: &Option<Vec<u8>>| {
            let bytes = part.as_ref()?;
            let mut out = Vec::new();
            Some(self.connect.to_json(json_of(bytes), &mut out).map(|()| out))
        };
        let value = match typed(&case.value).transpose() {
            Ok(value) => value,
            Err(error) => {
                let (field, message) = match error {
                    EncodingError::Bad { field, message } => (field, message),
                    EncodingError::Away(why) => (None, why),
                };
                return self.refuse(case, &Rejection::at(Code::BadEncoding, field, message), None);
            }
        };
        // A key that cannot be read so stays as it is.
        let key = typed(&case.key).transpose().unwrap_or_else(|_| case.key.clone());
        let headers: Vec<(&str, Option<&[u8]>)> =
            case.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
        let message = Message { key: key.as_deref(), value: value.as_deref(), headers: &headers, logged: case.logged };
        let mut judge = |event: &[u8]| self.decoder.decode(event, &self.domains, &mut self.buffer).map(|_| ());
        let mut first = None;
        match self.mapping.read(&message).outcome {
            Ok(Outcome::Skipped(what)) => {
                tell(Told::Note, &format!("{}: skipped: {}", case.place, what.name()));
                self.tally.skipped += 1;
            }
            Ok(Outcome::Event(event)) => match judge(&event) {
                Ok(()) => self.tally.events.push(String::from_utf8_lossy(&event).into_owned()),
                Err(rejection) => first = Some((*rejection, None)),
            },
            Ok(Outcome::Truncated(truncation)) => {
                tell(
                    Told::Note,
                    &format!("{}: empties the table: what {} set before is deleted", case.place, truncation.source),
                );
                self.tally.skipped += 1;
            }
            Ok(Outcome::Made(all)) if all.is_empty() => {
                tell(Told::Note, &format!("{}: skipped: the program gives no event", case.place));
                self.tally.skipped += 1;
            }
            Ok(Outcome::Made(all)) => {
                for made in all {
                    match judge(&made.json) {
                        Ok(()) => self.tally.events.push(String::from_utf8_lossy(&made.json).into_owned()),
                        Err(rejection) => {
                            let rejection = self.mapping.blamed(&made, *rejection);
                            first.get_or_insert((rejection, None));
                        }
                    }
                }
            }
            Err(refusal) => first = Some((refusal.rejection, refusal.detail)),
        }
        if let Some((rejection, detail)) = first {
            self.refuse(case, &rejection, detail);
        }
    }

    fn refuse(&mut self, case: &Case, rejection: &Rejection, detail: Option<String>) {
        let Rejection { code, field, message, .. } = rejection;
        let field = field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        tell(Told::Note, &format!("{}: refused: {code}{field}: {message}{detail}", case.place));
        self.tally.refused += 1;
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| one(format!("{} cannot be read: {error}", path.display())))
}

/// The messages of a file.
fn cases(path: &Path) -> Result<Vec<Case>, Failure> {
    let bytes = read(path)?;
    let shown = path.display().to_string();
    if serde_json::from_slice::<&RawValue>(&bytes).is_ok() {
        return Ok(vec![case(shown, &bytes, 0)]);
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    Ok(lines.map(|(index, line)| case(format!("{shown}:{}", index + 1), line, index as u64)).collect())
}

/// A recorded message, or a bare value.
fn case(place: String, text: &[u8], offset: u64) -> Case {
    match serde_json::from_slice::<Recorded<'_>>(text) {
        Ok(recorded) => {
            let millis = recorded.timestamp.unwrap_or(0) as i64;
            let logged = Logged {
                offset: recorded.offset.unwrap_or(offset),
                at: Instant::from_micros(millis.saturating_mul(1000)),
            };
            let headers = recorded.headers.into_iter().map(|(name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (name, value.into_bytes())
            });
            Case {
                place,
                key: recorded.key.map(bytes),
                value: recorded.value.0.map(bytes),
                headers: headers.collect(),
                logged,
            }
        }
        Err(_) => {
            let logged = Logged { offset, at: Instant::EPOCH };
            Case { place, key: None, value: Some(text.to_vec()), headers: Vec::new(), logged }
        }
    }
}

/// What a record holds: JSON as it is written, or of a text what it says, since recorders write texts.
fn bytes(part: &RawValue) -> Vec<u8> {
    serde_json::from_str::<String>(part.get()).unwrap_or_else(|_| part.get().to_owned()).into_bytes()
}

/// Cells of the table that finds what two outputs have in common: more, and only their ends are compared.
const CELLS_MAX: usize = 16_000_000;

/// The lines that are gone, with `-`, and those that are new, with `+`, in their order.
fn difference(old: &[&str], new: &[String]) -> Vec<String> {
    let same = old.iter().zip(new).take_while(|(old, new)| **old == new.as_str()).count();
    let (old, new) = (&old[same..], &new[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| **old == new.as_str()).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let width = new.len() + 1;
    let mut common = vec![0u32; if old.len().saturating_mul(width) <= CELLS_MAX { (old.len() + 1) * width } else { 0 }];
    if !common.is_empty() {
        for (row, old) in old.iter().enumerate().rev() {
            for (column, new) in new.iter().enumerate().rev() {
                let at = row * width + column;
                common[at] = match *old == new.as_str() {
                    true => common[at + width + 1] + 1,
                    false => common[at + width].max(common[at + 1]),
                };
            }
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < old.len() || column < new.len() {
        let at = row * width + column;
        let both = row < old.len() && column < new.len();
        if both && old[row] == new[column].as_str() {
            (row, column) = (row + 1, column + 1);
        } else if row < old.len() && (!both || common.is_empty() || common[at + width] >= common[at + 1]) {
            lines.push(format!("-{}", old[row]));
            row += 1;
        } else {
            lines.push(format!("+{}", new[column]));
            column += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_the_fewest() {
        let of = |old: &str, new: &str| {
            let new: Vec<String> = new.split_whitespace().map(str::to_owned).collect();
            difference(&old.split_whitespace().collect::<Vec<_>>(), &new).join(" ")
        };
        for (old, new, expected) in [
            ("a b c", "a b c", ""),
            ("a b c", "a c", "-b"),
            ("a c", "a b c", "+b"),
            ("a b c d", "a x c e", "-b +x -d +e"),
            ("", "a", "+a"),
            ("a", "", "-a"),
        ] {
            assert_eq!(of(old, new), expected, "{old} / {new}");
        }
    }
}

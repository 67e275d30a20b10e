//! `staygraph append`: lines of events into a running service, or a log at rest.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::PathBuf;

use clap::Args;
use serde_json::Value as Json;

use super::progress::{Progress, Unit};
use super::service::{Client, Credential, hint, service_url};
use super::{Failure, counted, one, say};
use crate::app;
use crate::config::{Config, LogOptions, ModelText, Options};
use crate::intake::{Intake, Refusal, Shape, too_large_line};
use crate::limits::EVENTS_MAX;
use crate::position::Position;
use crate::telemetry::{Told, start_logs, tell};

/// Bytes of lines that are sent together.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Args)]
pub struct Append {
    /// The file of events, one a line; `-` for standard input.
    file: PathBuf,
    /// The running service; `http://127.0.0.1:8080` unless said. Wins over what names a log at rest.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO", value_parser = service_url)]
    to: Option<String>,
    #[command(flatten)]
    credential: Credential,
    /// The folder of a log at rest, to append to it without a service.
    #[arg(long, value_name = "DIR", env = "STAYGRAPH_DATA")]
    data: Option<PathBuf>,
    /// The configuration of the log at rest.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_CONFIG")]
    config: Option<PathBuf>,
    /// The model of the log at rest; `model.graphql` unless said.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_MODEL")]
    model: Option<PathBuf>,
}

/// Where the lines go.
enum Target {
    Service(Client, String),
    Log(Box<Intake>),
}

impl Append {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        let at_rest = self.data.is_some() || self.config.is_some() || self.model.is_some();
        let target = match self.to {
            None if at_rest => {
                let options =
                    Options { data_dir: self.data, config: self.config, model: self.model, ..Options::default() };
                let config = Config::read(&options, logs, &ModelText::File)?;
                start_logs(config.log_format, config.verbose);
                let folder = config.data_dir.join("log");
                let is_new = !folder.exists();
                let embedded = app::open(config).map_err(one)?.embedded;
                let none = "no domain is read from the embedded log: append to the source that they are read from";
                let intake = embedded.ok_or_else(|| one(none.into()))?.intake;
                if is_new {
                    tell(Told::Note, &format!("{} was not there: a new log is made", folder.display()));
                }
                Target::Log(Box::new(intake))
            }
            to => {
                start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
                let to = to.as_deref().unwrap_or("http://127.0.0.1:8080");
                Target::Service(self.credential.client()?, format!("{}/events", to.trim_end_matches('/')))
            }
        };
        let (mut lines, total): (Box<dyn BufRead>, Option<u64>) = if self.file.as_os_str() == "-" {
            (Box::new(BufReader::new(stdin())), None)
        } else {
            let failed = |error: std::io::Error| one(format!("{} cannot be read: {error}", self.file.display()));
            let file = File::open(&self.file).map_err(failed)?;
            let bytes = file.metadata().map_err(failed)?.len();
            (Box::new(BufReader::new(file)), Some(bytes))
        };
        let mut progress = Progress::new("appending", if total.is_some() { Unit::Bytes } else { Unit::Lines }, total);
        let mut tally = Tally::default();
        let start = beginning(&mut lines).map_err(|error| one(format!("the input cannot be read: {error}")))?;
        if let Some(why) = no_lines(&start) {
            let shown =
                if self.file.as_os_str() == "-" { "standard input".into() } else { self.file.display().to_string() };
            return Err(one(format!("{shown} {why}")));
        }
        let mut lines = BufReader::new(start.as_slice().chain(lines));
        let (mut chunk, mut line) = (Chunk::default(), Vec::new());
        loop {
            line.clear();
            let failed = |error: std::io::Error| one(format!("the input cannot be read: {error}"));
            let read = lines.read_until(b'\n', &mut line).map_err(failed)?;
            // A line that does not fit goes with the next chunk, so that one too large refuses nobody but itself.
            let is_full = chunk.bytes.len() + read > CHUNK_BYTES || chunk.lines >= EVENTS_MAX as u64;
            if (read == 0 || is_full) && !chunk.bytes.is_empty() {
                tally.add(&chunk, &send(&target, &chunk)?)?;
                progress.at(if total.is_some() { tally.bytes } else { tally.lines });
                chunk.clear();
            }
            if read == 0 {
                break;
            }
            chunk.push(&line);
        }
        progress.done();
        say(&format!("{} appended, {} refused", counted(tally.accepted, "event"), tally.rejected));
        if !tally.position.is_empty() {
            say(&format!("position {}", tally.position));
        }
        match tally.rejected {
            0 => Ok(()),
            rejected => Err(one(format!("{} refused, and named above", counted(rejected, "event")))),
        }
    }
}

/// Bytes that are looked at to tell lines of events from something else.
const LOOK_BYTES: u64 = 1 << 20;

/// The first two lines that are not blank, with what is before and between them; or as much as is looked at.
fn beginning(lines: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let (mut start, mut found) = (Vec::new(), 0);
    while found < 2 {
        let from = start.len();
        let left = LOOK_BYTES.saturating_sub(from as u64);
        if lines.by_ref().take(left).read_until(b'\n', &mut start)? == 0 {
            break;
        }
        found += usize::from(!start[from..].trim_ascii().is_empty());
    }
    Ok(start)
}

/// How compressed files begin, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 2] = [(b"\x1f\x8b", "gzip -dc"), (b"\x28\xb5\x2f\xfd", "zstd -dc")];

/// Why an input is no lines of events, by its beginning. One bad line among others is not a reason.
fn no_lines(start: &[u8]) -> Option<String> {
    if let Some((_, unpacks)) = COMPRESSED.iter().find(|(begins, _)| start.starts_with(begins)) {
        return Some(format!("is compressed: `{unpacks} FILE | staygraph append -` appends what is in it"));
    }
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let lines: Vec<&[u8]> =
        start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    let first = *lines.first()?;
    let is_json = |line: &[u8]| serde_json::from_slice::<&serde_json::value::RawValue>(line).is_ok();
    let takes = "and `append` takes one event a line";
    if first.starts_with(b"[") {
        return Some(format!("holds a JSON array, {takes}: `jq -c '.[]' FILE` makes lines of it"));
    }
    if is_json(first) || lines.len() < 2 || is_json(lines[1]) {
        return None;
    }
    Some(match first.starts_with(b"{") {
        true => format!("holds events over several lines, {takes}: `jq -c . FILE` makes lines of it"),
        false => format!("holds no JSON, {takes}: docs/events.md says what an event is"),
    })
}

/// Lines that are sent together.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
}

impl Chunk {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
    }
}

/// What became of the chunks so far.
#[derive(Default)]
struct Tally {
    accepted: u64,
    rejected: u64,
    lines: u64,
    bytes: u64,
    position: Position,
}

impl Tally {
    fn add(&mut self, chunk: &Chunk, receipt: &Json) -> Result<(), Failure> {
        self.accepted += receipt["accepted"].as_u64().unwrap_or(0);
        self.rejected += receipt["rejected"].as_u64().unwrap_or(0);
        if let Some(text) = receipt["position"].as_str() {
            self.position.merge(&Position::parse(text).map_err(one)?);
        }
        for result in receipt["results"].as_array().into_iter().flatten() {
            let (line, error) = (self.lines + result["line"].as_u64().unwrap_or(0), &result["error"]);
            let text = |name: &str| error[name].as_str().unwrap_or_default();
            let field = error["field"].as_str().map(|field| format!(" {field}")).unwrap_or_default();
            tell(Told::Note, &format!("line {line}: {}{field}: {}", text("code"), text("message")));
        }
        self.lines += chunk.lines;
        self.bytes += chunk.bytes.len() as u64;
        Ok(())
    }
}

fn send(target: &Target, chunk: &Chunk) -> Result<Json, Failure> {
    match target {
        Target::Log(intake) => match intake.take(&chunk.bytes, Shape::Lines) {
            Ok(receipt) => serde_json::from_str(&receipt.text).map_err(|error| one(error.to_string())),
            Err(Refusal::TooLarge(message)) if chunk.lines == 1 => Ok(too_large_line(&message)),
            Err(Refusal::Unreadable(message) | Refusal::TooLarge(message) | Refusal::TooMany(message)) => {
                Err(one(message))
            }
            Err(Refusal::Log(error)) => Err(one(error.to_string())),
        },
        Target::Service(client, url) => {
            // What is too large is told before it is sent.
            let request =
                client.post(url).header("content-type", "application/x-ndjson").header("expect", "100-continue");
            let sent = request.send(&chunk.bytes);
            let mut response = sent.map_err(|error| one(format!("{url} does not answer: {error}")))?;
            let status = response.status();
            let body = response.body_mut().read_json();
            let body: Json = body.map_err(|error| one(format!("{url} answered {status}, and no JSON: {error}")))?;
            let detail = body["detail"].as_str().unwrap_or(status.as_str());
            match body.get("results") {
                Some(_) => Ok(body),
                None if status.as_u16() == 413 && chunk.lines == 1 => Ok(too_large_line(detail)),
                None => Err(one(format!("{url} refused: {detail}{}", hint(status.as_u16())))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_lines_of_events_is_known_by_its_beginning() {
        for (start, said) in [
            ("", None),
            ("\n\n", None),
            ("{\"a\":1}\n{\"a\":2}\n", None),
            ("{oops\n{\"a\":2}\n", None),
            ("{\"a\":1}\noops\n", None),
            ("{oops", None),
            ("[{\"a\":1},{\"a\":2}]", Some("JSON array")),
            ("\u{feff}\n[\n  {\"a\":1}\n]\n", Some("JSON array")),
            ("{\n  \"a\": 1\n}\n", Some("over several lines")),
            ("id,name\n1,Ann\n", Some("no JSON")),
            ("<events>\n<event/>\n", Some("no JSON")),
        ] {
            let found = beginning(&mut start.as_bytes()).expect("a text");
            assert!(start.as_bytes().starts_with(&found));
            let told = no_lines(&found);
            assert_eq!(told.is_some(), said.is_some(), "{start:?}: {told:?}");
            assert!(said.is_none_or(|said| told.is_some_and(|told| told.contains(said))), "{start:?}");
        }
        for (start, unpacks) in [(&b"\x1f\x8b\x08\0"[..], "gzip -dc"), (&b"\x28\xb5\x2f\xfd\x04"[..], "zstd -dc")] {
            assert!(no_lines(start).is_some_and(|told| told.contains(unpacks)), "{start:?}");
        }
    }
}

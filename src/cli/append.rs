//! `staygraph append`: lines of events into a running service, or a log at rest.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::PathBuf;

use clap::Args;
use serde_json::Value as Json;

use super::progress::Progress;
use super::{Failure, one, say};
use crate::app;
use crate::config::{Config, LogOptions, ModelText, Options};
use crate::intake::{Intake, Refusal, Shape, too_large_line};
use crate::position::Position;
use crate::telemetry::start_logs;

/// Bytes of lines that are sent together.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Args)]
pub struct Append {
    /// The file of events, one a line; `-` for standard input.
    file: PathBuf,
    /// The running service; `http://127.0.0.1:8080` unless said. Wins over what names a log at rest.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO")]
    to: Option<String>,
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
    Service(String),
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
                let embedded = app::open(config).map_err(one)?.embedded;
                let none = "no domain is read from the embedded log: append to the source that they are read from";
                Target::Log(Box::new(embedded.ok_or_else(|| one(none.into()))?.intake))
            }
            to => {
                start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
                let to = to.as_deref().unwrap_or("http://127.0.0.1:8080");
                Target::Service(format!("{}/events", to.trim_end_matches('/')))
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
        let mut progress = Progress::new("appending", total);
        let mut tally = Tally::default();
        let (mut chunk, mut line) = (Chunk::default(), Vec::new());
        loop {
            line.clear();
            let failed = |error: std::io::Error| one(format!("the input cannot be read: {error}"));
            let read = lines.read_until(b'\n', &mut line).map_err(failed)?;
            // A line that does not fit goes with the next chunk, so that one too large refuses nobody but itself.
            if (read == 0 || chunk.bytes.len() + read > CHUNK_BYTES) && !chunk.bytes.is_empty() {
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
        say(&format!("{} events appended, {} refused", tally.accepted, tally.rejected));
        if !tally.position.is_empty() {
            say(&format!("position {}", tally.position));
        }
        match tally.rejected {
            0 => Ok(()),
            rejected => Err(one(format!("{rejected} events were refused; they are named above"))),
        }
    }
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
            eprintln!("line {line}: {} {}: {}", text("code"), text("field"), text("message"));
        }
        self.lines += chunk.lines;
        self.bytes += chunk.bytes.len() as u64;
        Ok(())
    }
}

fn send(target: &Target, chunk: &Chunk) -> Result<Json, Failure> {
    match target {
        Target::Log(intake) => match intake.take(&chunk.bytes, Shape::Lines) {
            Ok(receipt) => Ok(receipt.to_json()),
            Err(Refusal::TooLarge(message)) if chunk.lines == 1 => Ok(too_large_line(&message)),
            Err(Refusal::Unreadable(message) | Refusal::TooLarge(message)) => Err(one(message)),
            Err(Refusal::Log(error)) => Err(one(error.to_string())),
        },
        Target::Service(url) => {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            // What is too large is told before it is sent.
            let request =
                agent.post(url).header("content-type", "application/x-ndjson").header("expect", "100-continue");
            let sent = request.send(&chunk.bytes);
            let mut response = sent.map_err(|error| one(format!("{url} does not answer: {error}")))?;
            let status = response.status();
            let body = response.body_mut().read_json();
            let body: Json = body.map_err(|error| one(format!("{url} answered {status}, and no JSON: {error}")))?;
            let detail = body["detail"].as_str().unwrap_or(status.as_str());
            match body.get("results") {
                Some(_) => Ok(body),
                None if status.as_u16() == 413 && chunk.lines == 1 => Ok(too_large_line(detail)),
                None => Err(one(format!("{url} refused: {detail}"))),
            }
        }
    }
}

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
use crate::intake::{Intake, Refusal, Shape};
use crate::telemetry::start_logs;

/// Bytes of lines that are sent together.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Args)]
pub struct Append {
    /// The file of events, one a line; `-` for standard input.
    file: PathBuf,
    /// The running service.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO", default_value = "http://127.0.0.1:8080", conflicts_with_all = ["data", "config", "model"])]
    to: String,
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
    Log(Box<app::Store>),
}

impl Append {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        let target = if self.data.is_some() || self.config.is_some() {
            let options = Options { data_dir: self.data, config: self.config, model: self.model, ..Options::default() };
            let config = Config::read(&options, logs, &ModelText::File)?;
            start_logs(config.log_format, config.verbose);
            Target::Log(Box::new(app::open(config).map_err(one)?))
        } else {
            start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
            Target::Service(format!("{}/events", self.to.trim_end_matches('/')))
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
        let (mut accepted, mut rejected, mut first_line, mut bytes_read) = (0u64, 0u64, 0u64, 0u64);
        let mut position = crate::position::Position::default();
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            let mut count = 0;
            while chunk.len() < CHUNK_BYTES {
                let read = lines
                    .read_until(b'\n', &mut chunk)
                    .map_err(|error| one(format!("the input cannot be read: {error}")))?;
                if read == 0 {
                    break;
                }
                count += 1;
            }
            if chunk.is_empty() {
                break;
            }
            bytes_read += chunk.len() as u64;
            let receipt = send(&target, &chunk)?;
            accepted += receipt["accepted"].as_u64().unwrap_or(0);
            rejected += receipt["rejected"].as_u64().unwrap_or(0);
            if let Some(text) = receipt["position"].as_str() {
                position.merge(&crate::position::Position::parse(text).map_err(one)?);
            }
            for result in receipt["results"].as_array().into_iter().flatten() {
                let (line, error) = (first_line + result["line"].as_u64().unwrap_or(0), &result["error"]);
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                eprintln!("line {line}: {} {}: {}", text("code"), text("field"), text("message"));
            }
            first_line += count;
            progress.at(if total.is_some() { bytes_read } else { first_line });
        }
        progress.done();
        say(&format!("{accepted} events appended, {rejected} refused"));
        if !position.is_empty() {
            say(&format!("position {position}"));
        }
        if rejected > 0 { Err(one(format!("{rejected} events were refused; those named above"))) } else { Ok(()) }
    }
}

fn send(target: &Target, chunk: &[u8]) -> Result<Json, Failure> {
    match target {
        Target::Log(store) => to_log(&store.intake, chunk),
        Target::Service(url) => {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let sent = agent.post(url).header("content-type", "application/x-ndjson").send(chunk);
            let mut response = sent.map_err(|error| one(format!("{url} does not answer: {error}")))?;
            let status = response.status();
            let body: Json = response
                .body_mut()
                .read_json()
                .map_err(|error| one(format!("{url} answered {status}, and no JSON: {error}")))?;
            if body.get("results").is_none() {
                return Err(one(format!("{url} refused: {}", body["detail"].as_str().unwrap_or(status.as_str()))));
            }
            Ok(body)
        }
    }
}

fn to_log(intake: &Intake, chunk: &[u8]) -> Result<Json, Failure> {
    intake.take(chunk, Shape::Lines).map(|receipt| receipt.to_json()).map_err(|refusal| {
        one(match refusal {
            Refusal::Unreadable(message) | Refusal::TooLarge(message) => message,
            Refusal::Log(error) => error.to_string(),
        })
    })
}

//! `staygraph pause` and `staygraph resume`: have a running service read nothing more of a domain, and go on.

use clap::Args;
use serde_json::{Value as Json, json};

use super::service::{Credential, answer, service_url};
use super::{Failure, one, say};
use crate::config::LogOptions;
use crate::telemetry::start_logs;

#[derive(Args)]
pub struct Pauses {
    /// A domain, all of whose topics are meant, or a partition as positions write it: `topic/number`.
    #[arg(required = true, value_name = "DOMAIN")]
    what: Vec<String>,
    /// The running service.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO", default_value = "http://127.0.0.1:8080", value_parser = service_url)]
    to: String,
    #[command(flatten)]
    credential: Credential,
}

impl Pauses {
    pub fn pause(self, logs: &LogOptions) -> Result<(), Failure> {
        self.run("pause", logs)
    }

    pub fn resume(self, logs: &LogOptions) -> Result<(), Failure> {
        self.run("resume", logs)
    }

    fn run(self, verb: &str, logs: &LogOptions) -> Result<(), Failure> {
        start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
        let to = self.to.as_str();
        let (partitions, domains): (Vec<_>, Vec<_>) = self.what.iter().partition(|word| word.contains('/'));
        let body = json!({ "domains": domains, "partitions": partitions }).to_string();
        let asked = self.credential.client()?.post(format!("{to}/projection/{verb}"));
        let answered = answer(to, asked.content_type("application/json").send(body))?;
        let told: Option<Json> = serde_json::from_slice(&answered).ok();
        let paused = told.as_ref().and_then(|told| told["paused"].as_array());
        let paused = paused.ok_or_else(|| one(format!("{to} answers, and not as staygraph does")))?;
        let names: Vec<&str> = paused.iter().filter_map(Json::as_str).collect();
        say(&if names.is_empty() { "nothing is paused".to_owned() } else { format!("paused: {}", names.join(", ")) });
        Ok(())
    }
}

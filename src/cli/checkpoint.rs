//! `staygraph checkpoint`: has a running service take one.

use clap::Args;
use serde_json::Value as Json;

use super::service::{Credential, answer, service_url};
use super::{Failure, one, say};
use crate::config::LogOptions;
use crate::telemetry::start_logs;

#[derive(Args)]
pub struct Checkpoint {
    /// The running service.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO", default_value = "http://127.0.0.1:8080", value_parser = service_url)]
    to: String,
    #[command(flatten)]
    credential: Credential,
}

impl Checkpoint {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
        let to = self.to.as_str();
        let taken = answer(to, self.credential.client()?.post(format!("{to}/projection/checkpoints")).send_empty())?;
        let taken: Json =
            serde_json::from_slice(&taken).map_err(|_| one(format!("{to} answers, and not as staygraph does")))?;
        let text = |name: &str| taken[name].as_str().unwrap_or_default().to_owned();
        say(&format!("{}, {} bytes, at {}", text("id"), taken["bytes"], text("location")));
        say(&text("position"));
        Ok(())
    }
}

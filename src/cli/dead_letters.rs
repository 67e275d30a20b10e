//! `staygraph dead-letters`: what could not be applied, of a running service.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::service::{Client, Credential, answer, service_url};
use super::{Failure, counted, misused, one, say};
use crate::config::LogOptions;
use crate::event::Code;
use crate::model::nearest;
use crate::telemetry::start_logs;

/// Letters that one request asks for.
const PAGE: u64 = 100;

#[derive(Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    what: What,
    /// The running service.
    #[arg(long, value_name = "URL", env = "STAYGRAPH_TO", default_value = "http://127.0.0.1:8080", global = true, value_parser = service_url)]
    to: String,
    #[command(flatten)]
    credential: Credential,
}

#[derive(Subcommand)]
enum What {
    /// List them, oldest first: id, code, field, the event's type and subject, and message.
    List {
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Write one's bytes to standard output, as the log has them.
    Show { id: String },
    /// Read them once more, with what is known now.
    Retry {
        #[arg(value_name = "ID", required_unless_present_any = ["code", "domain"])]
        id: Option<String>,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Take them away. The log keeps them.
    Discard {
        #[arg(value_name = "ID", required_unless_present_any = ["code", "domain"])]
        id: Option<String>,
        #[command(flatten)]
        wanted: Wanted,
    },
}

#[derive(Args)]
struct Wanted {
    /// Those with this code, such as BAD_ENCODING.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Those of this domain.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
}

impl Wanted {
    /// Whether there are such a code and such a domain, as far as anybody knows.
    fn check(&self, client: &Client, to: &str) -> Result<(), Failure> {
        let codes = Code::ALL.map(Code::name);
        if let Some(code) = self.code.as_deref().filter(|code| !codes.contains(code)) {
            let near = nearest(code, codes.into_iter());
            return Err(misused(format!("--code: there is no code `{code}`{near} (there are {})", codes.join(", "))));
        }
        let Some(domain) = &self.domain else { return Ok(()) };
        let sent = client.post(format!("{to}/graphql")).send_json(json!({ "query": "{ freshness { domain } }" }));
        let reply: Json = serde_json::from_slice(&answer(to, sent)?).unwrap_or_default();
        let listed = reply["data"]["freshness"].as_array().into_iter().flatten();
        let known: Vec<&str> = listed.filter_map(|domain| domain["domain"].as_str()).collect();
        if known.is_empty() || known.contains(&domain.as_str()) {
            return Ok(());
        }
        let near = nearest(domain, known.iter().copied());
        Err(misused(format!("--domain: there is no domain `{domain}`{near} (there are {})", known.join(", "))))
    }
}

impl DeadLetters {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
        let (client, to) = (&self.credential.client()?, self.to.as_str());
        if let What::List { wanted } | What::Retry { wanted, .. } | What::Discard { wanted, .. } = &self.what {
            wanted.check(client, to)?;
        }
        match self.what {
            What::List { wanted } => list(client, to, &wanted),
            What::Show { id } => {
                let bytes = answer(to, client.get(format!("{to}/dead-letters/{id}")).call())?;
                // Whoever closed the pipe has heard enough.
                let _ = std::io::stdout().write_all(&bytes);
                Ok(())
            }
            What::Retry { id, wanted } => {
                let done = post(client, to, "retry", id, &wanted)?;
                let number = |name: &str| done[name].as_u64().unwrap_or(0);
                let (letters, refused) = (number("letters"), number("refused"));
                say(&format!(
                    "{} read once more: {} applied, {refused} refused again",
                    counted(letters, "letter"),
                    counted(number("applied"), "event")
                ));
                if refused > 0 { Err(one("`staygraph dead-letters list` says why".into())) } else { Ok(()) }
            }
            What::Discard { id, wanted } => {
                let done = post(client, to, "discard", id, &wanted)?;
                say(&format!("{} taken away", counted(done["letters"].as_u64().unwrap_or(0), "letter")));
                Ok(())
            }
        }
    }
}

fn post(client: &Client, to: &str, what: &str, id: Option<String>, wanted: &Wanted) -> Result<Json, Failure> {
    let body = json!({ "id": id, "code": wanted.code, "domain": wanted.domain });
    let bytes = answer(to, client.post(format!("{to}/dead-letters/{what}")).send_json(&body))?;
    serde_json::from_slice(&bytes).map_err(|error| one(format!("{to} answered no JSON: {error}")))
}

fn list(client: &Client, to: &str, wanted: &Wanted) -> Result<(), Failure> {
    let query = "query ($domain: String, $code: String, $first: Int, $after: String) {
        projection { deadLetters(domain: $domain, code: $code, first: $first, after: $after) {
            nodes { id code field message at type subject size } pageInfo { hasNextPage endCursor } } } }";
    let mut after = Json::Null;
    loop {
        let variables = json!({ "domain": wanted.domain, "code": wanted.code, "first": PAGE, "after": after });
        let sent = client.post(format!("{to}/graphql")).send_json(json!({ "query": query, "variables": variables }));
        let reply: Json = serde_json::from_slice(&answer(to, sent)?).unwrap_or_default();
        if let Some(message) = reply["errors"][0]["message"].as_str() {
            return Err(one(message.to_owned()));
        }
        let page = &reply["data"]["projection"]["deadLetters"];
        for letter in page["nodes"].as_array().into_iter().flatten() {
            let text = |name: &str| letter[name].as_str().unwrap_or("-");
            let (kind, subject) = (text("type"), text("subject"));
            say(&format!("{} {} {} {kind} {subject}: {}", text("id"), text("code"), text("field"), text("message")));
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return Ok(());
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

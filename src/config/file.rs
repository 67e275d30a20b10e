//! The configuration file as it is written: TOML, unknown keys refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::nearest;
use crate::telemetry::LogFormat;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub model: Option<PathBuf>,
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
    pub verbose: Option<u8>,
    pub wait_max: Option<String>,
    pub query_time_max: Option<String>,
    pub depth_max: Option<usize>,
    pub complexity_max: Option<u64>,
    pub tokens_max: Option<usize>,
    pub visited_max: Option<usize>,
    pub body_bytes_max: Option<usize>,
    pub event_bytes_max: Option<usize>,
    pub ids_remembered: Option<usize>,
    pub free_bytes_min: Option<u64>,
    pub cors_origins: Vec<String>,
    pub sources: BTreeMap<String, FileSource>,
    pub domains: BTreeMap<String, FileDomain>,
    pub mappings: Vec<FileMapping>,
    pub transactions: Vec<FileTransactions>,
    pub dead_letters: Option<FileDeadLetters>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    pub kind: FileKind,
    pub brokers: Option<String>,
    pub schema_registry: Option<String>,
    #[serde(default)]
    pub properties: BTreeMap<String, Property>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// The embedded log.
    Log,
    Kafka,
}

/// A property's value; librdkafka takes texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Property {
    Text(String),
    Number(i64),
    Switch(bool),
    /// A name without quotes: TOML takes its points for tables.
    Table(BTreeMap<String, Property>),
}

impl Property {
    /// The names and values below a name, in librdkafka's words.
    pub fn flat(&self, name: &str) -> Vec<(String, String)> {
        let one = |value: String| vec![(name.to_owned(), value)];
        match self {
            Property::Text(text) => one(text.clone()),
            Property::Number(number) => one(number.to_string()),
            Property::Switch(on) => one(on.to_string()),
            Property::Table(table) => {
                table.iter().flat_map(|(below, value)| value.flat(&format!("{name}.{below}"))).collect()
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileDomain {
    pub source: Option<String>,
    pub topics: Option<Vec<String>>,
    pub encoding: Option<FileEncoding>,
    pub order_by: Option<FileOrderBy>,
    pub gaps: Option<Gaps>,
    pub fresh_within: Option<String>,
    pub stale_after: Option<String>,
    pub quiet_after: Option<String>,
}

/// Where dead letters are written beside.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDeadLetters {
    pub source: String,
    pub topic: String,
}

/// A table's rows into canonical events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMapping {
    pub source: Option<String>,
    pub topic: String,
    /// A jq program's file, seen from this one.
    pub program: PathBuf,
    /// What the connector writes for a column that was not sent, where that is not Debezium's usual text.
    pub unavailable_value: Option<String>,
}

/// A topic that tells where a database's transactions begin and end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTransactions {
    pub topic: String,
    pub hold_max: Option<String>,
    /// By the name that it has for a table: the table's topic.
    #[serde(default)]
    pub tables: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileEncoding {
    Json,
    Avro,
    Protobuf,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileOrderBy {
    Sequence,
    Position,
    Time,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    Report,
    Ignore,
}

/// Reads a configuration file. The error says where and what.
pub fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}: {}", path.display(), explained(error.message()))
    })
}

/// Serde lists what it expected; a person wants the nearest of it.
fn explained(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            let near = nearest(unknown, known.iter().copied());
            let what = if message.starts_with("unknown field") { "key" } else { "value" };
            if near.is_empty() {
                format!("unknown {what} `{unknown}`: there are {}", known.join(", "))
            } else {
                format!("unknown {what} `{unknown}`{near}")
            }
        }
        _ => message.lines().next().unwrap_or_default().to_owned(),
    }
}

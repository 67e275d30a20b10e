//! Each room's options gathered: flags beat the environment, which beats the file. Read once, and unknown keys refused.

mod access;
mod auth;
mod checkpoints;
mod documents;
mod domains;
mod file;
mod mappings;
mod options;
mod transactions;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::AuthConfig;
use crate::cdc::Mapping;
use crate::encoding::{Encoding, Registry};
use crate::freshness::Thresholds;
use crate::ids::{By, DomainId, TopicId};
use crate::limits::{Limits, MEMORY_USUAL_PERCENT};
use crate::model::Model;
use crate::projection::{Boundaries, DomainRules};
use crate::rights::RowRule;
use crate::source::kafka::KafkaConfig;
use crate::telemetry::{LogFormat, machine_bytes};
use domains::Sourced;
use file::File;

pub use auth::TlsConfig;
pub use checkpoints::{CheckpointConfig, CheckpointPlace};
pub use documents::{Documents, KnownDocument};
pub use options::{DEPTH_MAX, LogOptions, Options};
pub use written::{Address, Retention, Written, written};

/// A domain, configured.
#[derive(Clone, Debug)]
pub struct DomainConfig {
    pub rules: DomainRules,
    pub thresholds: Thresholds,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The embedded log.
    Log,
    Kafka(KafkaConfig),
}

/// A source that some topic is read from.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    pub name: String,
    pub kind: SourceKind,
    /// Where the schemas of its topics are.
    pub registry: Option<Arc<Registry>>,
}

/// A topic that is read.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// An index of the sources.
    pub source: usize,
    pub name: String,
    /// The domains that it may carry.
    pub domains: Vec<DomainId>,
    pub encoding: Encoding,
    /// What makes events of a table's rows, where it carries those.
    pub mapping: Option<Arc<Mapping>>,
    /// Whether it carries the boundaries of a database's transactions instead.
    pub tells_boundaries: bool,
}

/// Everything, checked.
#[derive(Debug)]
pub struct Config {
    pub model: Model,
    pub domains: By<DomainId, DomainConfig>,
    pub sources: Vec<SourceConfig>,
    /// Where dead letters are written beside: a source and a topic of it.
    pub dead_letters: Option<(usize, String)>,
    /// In the order in which the domains name them. A domain's first is where its events are written.
    pub topics: By<TopicId, TopicConfig>,
    /// Databases whose transactions become visible at once.
    pub boundaries: Vec<Boundaries>,
    pub listen: String,
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    pub verbose: u8,
    pub limits: Limits,
    pub ids_remembered: usize,
    pub free_bytes_min: u64,
    /// How long the embedded log keeps what a checkpoint holds.
    pub log_retention: Retention,
    pub cors_origins: Vec<String>,
    /// Request headers that browsers may send beside the usual ones, in small letters.
    pub cors_headers: Vec<String>,
    /// The documents that are known from the start.
    pub documents: Documents,
    pub checkpoints: CheckpointConfig,
    /// Who may ask; none where only this machine may.
    pub auth: Option<AuthConfig>,
    /// Which rows may be seen; all where there is no rule.
    pub access: Vec<RowRule>,
    pub tls: Option<TlsConfig>,
    /// What is taken, and will surprise.
    pub warnings: Vec<String>,
}

/// Where the model's text comes from when no option names a file.
pub enum ModelText {
    /// `model.graphql` of the folder one stands in.
    File,
    /// The model that ships in the binary.
    Shipped,
}

impl Config {
    /// Reads and checks all. Every fault is a line of its own that says what, where and what to write.
    pub fn read(options: &Options, logs: &LogOptions, model_text: &ModelText) -> Result<Config, Vec<String>> {
        let mut faults = Vec::new();
        let File { options: in_file, logs: logs_in_file, sections, places, is_cut } = match &options.config {
            Some(path) => file::read(path, &mut faults)?,
            None => File::default(),
        };
        // A path in the file is seen from the file.
        let folder = options.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let beside = |path: PathBuf| folder.join(path);
        let in_file = Options { model: in_file.model.map(beside), data_dir: in_file.data_dir.map(beside), ..in_file };
        let given = options.clone().or(in_file);
        let logs = logs.clone().or(logs_in_file);
        let model = match read_model(given.model.as_deref(), model_text) {
            Ok(model) => model,
            Err(of_model) => return Err(faults.into_iter().chain(of_model).collect()),
        };
        let data_dir = given.data_dir.unwrap_or_else(|| "staygraph-data".into());
        if data_dir.exists() && !data_dir.is_dir() {
            let place = places.of(&["data_dir"]);
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            faults.push(format!("{place}{} is no folder: `data_dir` (`--data DIR`) names one", data_dir.display()));
        }
        let mut warnings = Vec::new();
        if is_cut {
            return Err(in_order(faults));
        }
        let Sourced { domains, sources, topics, boundaries, dead_letters } =
            domains::read(&model, &sections, &places, &mut faults, &mut warnings);
        if !faults.is_empty() {
            return Err(in_order(faults));
        }
        let documents = documents::read(&sections, &places, folder, &mut faults);
        let checkpoints = checkpoints::read(&sections, &places, &data_dir, &mut faults);
        let auth = auth::read(&sections, &places, folder, &mut faults, &mut warnings);
        let tls = auth::tls(&sections, folder);
        let access = access::read(&sections, &model, &places, &mut faults, &mut warnings);
        if !faults.is_empty() {
            return Err(in_order(faults));
        }
        let usual = Limits::on(std::thread::available_parallelism().map_or(2, usize::from));
        let count = |given: Option<written::Positive>, default: usize| given.map_or(default, written::Positive::usize);
        Ok(Config {
            documents,
            checkpoints,
            auth,
            access,
            tls,
            domains,
            sources,
            topics,
            boundaries,
            dead_letters,
            listen: given.listen.map_or_else(|| "127.0.0.1:8080".into(), |listen| listen.0),
            data_dir,
            log_format: logs.log_format.unwrap_or_default(),
            verbose: logs.verbose,
            limits: Limits {
                depth_max: given.depth_max.map_or(usual.depth_max, written::Number::usize),
                complexity_max: given.complexity_max.map_or(usual.complexity_max, |given| given.0),
                tokens_max: count(given.tokens_max, usual.tokens_max),
                aliases_max: count(given.aliases_max, usual.aliases_max),
                root_fields_max: count(given.root_fields_max, usual.root_fields_max),
                directives_max: count(given.directives_max, usual.directives_max),
                visited_max: count(given.visited_max, usual.visited_max),
                queries_max: count(given.queries_max, usual.queries_max),
                queue_max: count(given.queue_max, usual.queue_max),
                query_time_max_ms: given
                    .query_time_max
                    .map_or(usual.query_time_max_ms, |given| given.0.cast_unsigned()),
                waiters_max: count(given.waiters_max, usual.waiters_max),
                wait_max_ms: given.wait_max.map_or(usual.wait_max_ms, |given| given.0.cast_unsigned()),
                connections_max: count(given.connections_max, usual.connections_max),
                peer_connections_max: count(given.peer_connections_max, usual.peer_connections_max),
                idle_max_ms: given.idle_max.map_or(usual.idle_max_ms, |given| given.0.cast_unsigned()),
                body_time_max_ms: given.body_time_max.map_or(usual.body_time_max_ms, |given| given.0.cast_unsigned()),
                body_bytes_max: count(given.body_bytes_max, usual.body_bytes_max),
                event_bytes_max: count(given.event_bytes_max, usual.event_bytes_max),
                memory_max: given.memory_max.map_or_else(memory_usual, |given| given.0),
            },
            ids_remembered: count(given.ids_remembered, 1_000_000),
            free_bytes_min: given.free_bytes_min.map_or(64 << 20, |given| given.0),
            log_retention: sections.log.retention,
            cors_origins: given.cors_origins.unwrap_or_default().into_iter().map(|origin| origin.0).collect(),
            cors_headers: given.cors_headers.unwrap_or_default().into_iter().map(|header| header.0).collect(),
            warnings,
            model,
        })
    }
}

/// What the process may take unless that is said: as much as it likes where the system does not tell what there is.
fn memory_usual() -> u64 {
    machine_bytes().map_or(u64::MAX, |bytes| bytes / 100 * MEMORY_USUAL_PERCENT)
}

/// Faults as they stand in the file, those of nowhere last.
fn in_order(mut faults: Vec<String>) -> Vec<String> {
    let place = |fault: &String| {
        let mut parts = fault.splitn(4, ':').skip(1).map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(line)), Some(Ok(column))) => (line, column),
            _ => (usize::MAX, 0),
        }
    };
    faults.sort_by_key(place);
    faults
}

fn read_model(path: Option<&Path>, otherwise: &ModelText) -> Result<Model, Vec<String>> {
    let (text, name) = match (path, otherwise) {
        (None, ModelText::Shipped) => (crate::model::SHIPPED.to_owned(), "model.graphql".to_owned()),
        (path, _) => {
            let given = path.unwrap_or(Path::new("model.graphql"));
            let text = std::fs::read_to_string(given).map_err(|error| {
                let hint = if path.is_none() { ": name it with `--model FILE`" } else { "" };
                vec![format!("the model {} cannot be read: {error}{hint}", given.display())]
            })?;
            (text, given.display().to_string())
        }
    };
    Model::parse(&text, &name).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

//! Each room's options gathered: flags beat the environment, which beats the file. Read once, and unknown keys refused.

mod domains;
mod file;
mod mappings;
mod transactions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::api::Limits;
use crate::cdc::Mapping;
use crate::encoding::{Encoding, Registry};
use crate::freshness::{Thresholds, parse_duration_ms};
use crate::model::Model;
use crate::projection::{Boundaries, DomainRules};
use crate::source::kafka::KafkaConfig;
use crate::telemetry::LogFormat;
use domains::Sourced;
use file::File;

/// What a person may say on the command line or in the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_CONFIG")]
    pub config: Option<PathBuf>,
    /// The model file; `model.graphql` unless said.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_MODEL")]
    pub model: Option<PathBuf>,
    /// The folder that holds the embedded log; `staygraph-data` unless said.
    #[arg(long = "data", value_name = "DIR", env = "STAYGRAPH_DATA")]
    pub data_dir: Option<PathBuf>,
    /// The longest time that a freshness demand waits, e.g. `30s`.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_WAIT_MAX")]
    pub wait_max: Option<String>,
    /// The longest time that a query runs, e.g. `10s`.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_QUERY_TIME_MAX")]
    pub query_time_max: Option<String>,
    /// How deep a query may nest fields.
    #[arg(long, value_name = "N", env = "STAYGRAPH_DEPTH_MAX")]
    pub depth_max: Option<usize>,
    /// How many fields a query may give, lists multiplied through.
    #[arg(long, value_name = "N", env = "STAYGRAPH_COMPLEXITY_MAX")]
    pub complexity_max: Option<u64>,
    /// How many tokens a query may have.
    #[arg(long, value_name = "N", env = "STAYGRAPH_TOKENS_MAX")]
    pub tokens_max: Option<usize>,
    /// How many entities a search for paths visits.
    #[arg(long, value_name = "N", env = "STAYGRAPH_VISITED_MAX")]
    pub visited_max: Option<usize>,
    /// The most bytes of a body of `POST /events`.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_BODY_BYTES_MAX")]
    pub body_bytes_max: Option<usize>,
    /// The most bytes of an event.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_EVENT_BYTES_MAX")]
    pub event_bytes_max: Option<usize>,
    /// Ids of a partition that are kept to tell duplicates under `order_by = "position"`.
    #[arg(long, value_name = "N", env = "STAYGRAPH_IDS_REMEMBERED")]
    pub ids_remembered: Option<usize>,
    /// Appends are refused when fewer bytes than these would stay free on the log's disk.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_FREE_BYTES_MIN")]
    pub free_bytes_min: Option<u64>,
    /// An origin that browsers may call from; may be repeated. Those of this machine unless said.
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "STAYGRAPH_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Where to listen; port 0 takes any. `127.0.0.1:8080` unless said.
    #[arg(long, value_name = "ADDR", env = "STAYGRAPH_LISTEN")]
    pub listen: Option<String>,
}

/// How logs are written; every command takes it.
#[derive(Args, Clone, Debug, Default)]
pub struct LogOptions {
    /// How logs are written to standard error.
    #[arg(long, value_enum, env = "STAYGRAPH_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// More in the logs; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, env = "STAYGRAPH_VERBOSE", global = true)]
    pub verbose: u8,
}

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
    pub domains: Vec<usize>,
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
    /// By the model's domains.
    pub domains: Vec<DomainConfig>,
    pub sources: Vec<SourceConfig>,
    /// Where dead letters are written beside: a source and a topic of it.
    pub dead_letters: Option<(usize, String)>,
    /// In the order in which the domains name them. A domain's first is where its events are written.
    pub topics: Vec<TopicConfig>,
    /// Databases whose transactions become visible at once.
    pub boundaries: Vec<Boundaries>,
    pub listen: String,
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    pub verbose: u8,
    pub limits: Limits,
    pub wait_max_ms: u64,
    pub query_time_max_ms: u64,
    pub visited_max: usize,
    pub body_bytes_max: usize,
    pub event_bytes_max: usize,
    pub ids_remembered: usize,
    pub free_bytes_min: u64,
    pub cors_origins: Vec<String>,
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
        let (file, path) = match &options.config {
            Some(path) => (file::read(path).map_err(|fault| vec![fault])?, path.display().to_string()),
            None => (File::default(), "the configuration".to_owned()),
        };
        let mut faults = Vec::new();
        // A path in the file is seen from the file.
        let beside = |path: &PathBuf| {
            options.config.as_deref().and_then(Path::parent).map_or(path.clone(), |folder| folder.join(path))
        };
        let model_path = options.model.clone().or(file.model.as_ref().map(beside));
        let model = read_model(model_path.as_deref(), model_text)?;
        let mut duration = |given: &Option<String>, from_file: &Option<String>, name: &str, default: i64| {
            let text = given.as_ref().or(from_file.as_ref());
            text.map_or(default, |text| {
                parse_duration_ms(text).unwrap_or_else(|why| {
                    faults.push(format!("{path}: `{name}` {why}"));
                    default
                })
            })
        };
        let wait_max_ms = duration(&options.wait_max, &file.wait_max, "wait_max", 30_000) as u64;
        let query_time_max_ms =
            duration(&options.query_time_max, &file.query_time_max, "query_time_max", 10_000) as u64;
        let Sourced { domains, sources, topics, boundaries, dead_letters } =
            domains::read(&model, &file, &path, &mut faults);
        let event_bytes_max = options.event_bytes_max.or(file.event_bytes_max).unwrap_or(1 << 20);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Config {
            domains,
            sources,
            topics,
            boundaries,
            dead_letters,
            listen: options.listen.clone().or(file.listen).unwrap_or_else(|| "127.0.0.1:8080".into()),
            data_dir: options
                .data_dir
                .clone()
                .or(file.data_dir.as_ref().map(beside))
                .unwrap_or_else(|| "staygraph-data".into()),
            log_format: logs.log_format.or(file.log_format).unwrap_or_default(),
            verbose: if logs.verbose > 0 { logs.verbose } else { file.verbose.unwrap_or(0) },
            limits: Limits {
                depth_max: options.depth_max.or(file.depth_max).unwrap_or(20),
                complexity_max: options.complexity_max.or(file.complexity_max).unwrap_or(500_000),
                tokens_max: options.tokens_max.or(file.tokens_max).unwrap_or(20_000),
            },
            wait_max_ms,
            query_time_max_ms,
            visited_max: options.visited_max.or(file.visited_max).unwrap_or(100_000),
            body_bytes_max: options.body_bytes_max.or(file.body_bytes_max).unwrap_or(16 << 20),
            event_bytes_max,
            ids_remembered: options.ids_remembered.or(file.ids_remembered).unwrap_or(1_000_000),
            free_bytes_min: options.free_bytes_min.or(file.free_bytes_min).unwrap_or(64 << 20),
            cors_origins: if options.cors_origins.is_empty() {
                file.cors_origins
            } else {
                options.cors_origins.clone()
            },
            model,
        })
    }
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

//! The options, each said once: as a flag, as an environment variable and as a key of the file.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::written::{Address, Header, Millis, Number, Origin, Positive, written};
use crate::telemetry::LogFormat;

/// The deepest that a query may be allowed to nest: what executes it follows no deeper.
pub const DEPTH_MAX: u64 = 32;

/// What a person may say of a service.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The model file; `model.graphql` unless said.
    #[arg(long, value_name = "FILE", env = "STAYGRAPH_MODEL")]
    pub model: Option<PathBuf>,
    /// The folder that holds the embedded log; `staygraph-data` unless said.
    #[arg(long = "data", value_name = "DIR", env = "STAYGRAPH_DATA")]
    pub data_dir: Option<PathBuf>,
    /// The longest time that a freshness demand waits; `30s` unless said.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_WAIT_MAX", value_parser = written::<Millis<0>>)]
    pub wait_max: Option<Millis<0>>,
    /// The longest time that a query runs; `10s` unless said.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_QUERY_TIME_MAX", value_parser = written::<Millis<1>>)]
    pub query_time_max: Option<Millis<1>>,
    /// How deep a query may nest fields; 20 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_DEPTH_MAX", value_parser = written::<Number<1, DEPTH_MAX>>)]
    pub depth_max: Option<Number<1, DEPTH_MAX>>,
    /// How many fields a query may give, lists multiplied through; 500000 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_COMPLEXITY_MAX", value_parser = written::<Positive>)]
    pub complexity_max: Option<Positive>,
    /// How many tokens a query may have; 20000 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_TOKENS_MAX", value_parser = written::<Positive>)]
    pub tokens_max: Option<Positive>,
    /// How many entities a search for paths visits; 100000 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_VISITED_MAX", value_parser = written::<Positive>)]
    pub visited_max: Option<Positive>,
    /// How many aliases a query may have; 1000 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_ALIASES_MAX", value_parser = written::<Positive>)]
    pub aliases_max: Option<Positive>,
    /// How many fields a query may have at its root; 200 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_ROOT_FIELDS_MAX", value_parser = written::<Positive>)]
    pub root_fields_max: Option<Positive>,
    /// How many directives a query may have; 500 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_DIRECTIVES_MAX", value_parser = written::<Positive>)]
    pub directives_max: Option<Positive>,
    /// How many queries run at once; twice the cores, and 4 at least, unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_QUERIES_MAX", value_parser = written::<Positive>)]
    pub queries_max: Option<Positive>,
    /// How many queries wait for their turn; 256 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_QUEUE_MAX", value_parser = written::<Positive>)]
    pub queue_max: Option<Positive>,
    /// How many requests wait for a version at once; 1024 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_WAITERS_MAX", value_parser = written::<Positive>)]
    pub waiters_max: Option<Positive>,
    /// How many connections may be open; 4096 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_CONNECTIONS_MAX", value_parser = written::<Positive>)]
    pub connections_max: Option<Positive>,
    /// How many connections one address may have open; 1024 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_PEER_CONNECTIONS_MAX", value_parser = written::<Positive>)]
    pub peer_connections_max: Option<Positive>,
    /// How long a connection may take for a request's headers, waiting for them included; `60s` unless said.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_IDLE_MAX", value_parser = written::<Millis<1>>)]
    pub idle_max: Option<Millis<1>>,
    /// How long a request's body may take; `30s` unless said.
    #[arg(long, value_name = "DURATION", env = "STAYGRAPH_BODY_TIME_MAX", value_parser = written::<Millis<1>>)]
    pub body_time_max: Option<Millis<1>>,
    /// The most bytes of a body of `POST /events`; 16777216 unless said.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_BODY_BYTES_MAX", value_parser = written::<Positive>)]
    pub body_bytes_max: Option<Positive>,
    /// The most bytes of an event; 1048576 unless said.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_EVENT_BYTES_MAX", value_parser = written::<Positive>)]
    pub event_bytes_max: Option<Positive>,
    /// The most bytes that the process takes; 90 % of the control group's or machine's unless said.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_MEMORY_MAX", value_parser = written::<Number<1, { i64::MAX as u64 }>>)]
    pub memory_max: Option<Number<1, { i64::MAX as u64 }>>,
    /// Ids of a partition that are kept to tell duplicates under `order_by = "position"`; 1000000 unless said.
    #[arg(long, value_name = "N", env = "STAYGRAPH_IDS_REMEMBERED", value_parser = written::<Positive>)]
    pub ids_remembered: Option<Positive>,
    /// Appends are refused when fewer bytes than these would stay free on the log's disk; 67108864 unless said.
    #[arg(long, value_name = "BYTES", env = "STAYGRAPH_FREE_BYTES_MIN", value_parser = written::<Number<0, { i64::MAX as u64 }>>)]
    pub free_bytes_min: Option<Number<0, { i64::MAX as u64 }>>,
    /// An origin that browsers may call from; may be repeated. Those of this machine unless said.
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        env = "STAYGRAPH_CORS_ORIGINS",
        value_delimiter = ',',
        value_parser = written::<Origin>
    )]
    pub cors_origins: Option<Vec<Origin>>,
    /// A request header that browsers may send beside the usual ones; may be repeated.
    #[arg(
        long = "cors-header",
        value_name = "NAME",
        env = "STAYGRAPH_CORS_HEADERS",
        value_delimiter = ',',
        value_parser = written::<Header>
    )]
    pub cors_headers: Option<Vec<Header>>,
    /// Where to listen; port 0 takes any. `127.0.0.1:8080` unless said.
    #[arg(long, value_name = "ADDR", env = "STAYGRAPH_LISTEN", value_parser = written::<Address>)]
    pub listen: Option<Address>,
}

impl Options {
    /// These, and the others where these say nothing.
    pub fn or(self, others: Options) -> Options {
        macro_rules! each {
            ($($name:ident),*) => { Options { $($name: self.$name.or(others.$name)),* } };
        }
        each!(
            config,
            model,
            data_dir,
            wait_max,
            query_time_max,
            depth_max,
            complexity_max,
            tokens_max,
            visited_max,
            aliases_max,
            root_fields_max,
            directives_max,
            queries_max,
            queue_max,
            waiters_max,
            connections_max,
            peer_connections_max,
            idle_max,
            body_time_max,
            body_bytes_max,
            event_bytes_max,
            memory_max,
            ids_remembered,
            free_bytes_min,
            cors_origins,
            cors_headers,
            listen
        )
    }
}

/// How logs are written; every command takes it.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// How logs are written to standard error.
    #[arg(long, value_enum, env = "STAYGRAPH_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// More in the logs: what is done; twice for each step, of libraries too.
    #[arg(short, long, action = clap::ArgAction::Count, env = "STAYGRAPH_VERBOSE", global = true)]
    pub verbose: u8,
}

impl LogOptions {
    /// These, and the others where these say nothing.
    pub fn or(self, others: LogOptions) -> LogOptions {
        LogOptions {
            log_format: self.log_format.or(others.log_format),
            verbose: if self.verbose > 0 { self.verbose } else { others.verbose },
        }
    }
}

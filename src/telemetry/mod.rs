//! Logs and metric names. No log and no metric holds a value of an entity's.

mod logs;
mod memory;
mod metrics;

pub use logs::{LogFormat, Told, is_json, start_logs, tell};
pub use memory::{give_back, machine_bytes, resident_bytes};
pub use metrics::{IssuerKeys, Metrics, Store};

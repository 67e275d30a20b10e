//! How fresh an answer is, and what a client may demand of it: the words of docs/freshness.md, as pure functions of
//! positions, log ends and the time.
//!
//! Not here: who reads the log's ends, or who waits. Positions come in, words go out.

mod demand;
mod status;
mod window;

pub use demand::{Demand, Otherwise, parse_duration_ms};
pub use status::{Basis, Cause, DomainStatus, Inputs, PartitionStatus, Status, Thresholds, domain, partition};
pub use window::{Sample, Verdict, Window};

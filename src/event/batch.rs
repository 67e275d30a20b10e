//! Records of one partition on their way from a source to the projector.

use std::sync::Arc;

use super::{Event, Rejection};
use crate::model::value::Instant;

/// Consecutive records of one partition, decoded.
#[derive(Debug)]
pub struct Batch {
    /// An index of the projector's partitions.
    pub partition: usize,
    pub records: Vec<Record>,
    /// Where the partition stands once the batch is applied. Offsets need not be dense.
    pub next_offset: u64,
}

/// One record, decoded or refused.
#[derive(Debug)]
pub struct Record {
    pub offset: u64,
    pub appended_at: Instant,
    pub outcome: Result<Event, Refused>,
}

/// What could not be decoded, with its bytes.
#[derive(Debug)]
pub struct Refused {
    pub rejection: Box<Rejection>,
    pub bytes: Arc<[u8]>,
}

//! Records of one partition on their way from a source to the projector.

use std::sync::Arc;

use super::buffer::Stored;
use super::{Buffer, Decoder, Event, Rejection};
use crate::model::value::Instant;

/// Consecutive records of one partition, decoded. It is emptied and filled again rather than made anew.
#[derive(Debug)]
pub struct Batch {
    /// An index of the projector's partitions.
    pub partition: usize,
    /// Where the partition stands once the batch is applied: after its last record, unless it is set. Offsets need not
    /// be dense.
    pub next_offset: u64,
    buffer: Buffer,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    offset: u64,
    appended_at: Instant,
    outcome: Result<Stored, Refused>,
}

/// One record, decoded or refused.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub offset: u64,
    pub appended_at: Instant,
    pub outcome: Result<Event<'a>, &'a Refused>,
}

/// What could not be decoded, with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub rejection: Box<Rejection>,
    pub bytes: Arc<[u8]>,
}

impl Batch {
    pub fn new(partition: usize) -> Batch {
        Batch { partition, next_offset: 0, buffer: Buffer::default(), lines: Vec::new() }
    }

    /// Empties it for other records, and keeps its memory.
    pub fn clear(&mut self, partition: usize) {
        self.partition = partition;
        self.next_offset = 0;
        self.buffer.clear();
        self.lines.clear();
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Decodes an event into the batch; one that is refused is kept with its bytes. `domains` are the topic's, none where any
    /// will do.
    pub fn push(&mut self, decoder: &Decoder, domains: &[usize], offset: u64, appended_at: Instant, bytes: &[u8]) {
        let outcome = decoder.read(bytes, domains, &mut self.buffer);
        let outcome = outcome.map_err(|rejection| Refused { rejection, bytes: bytes.into() });
        self.lines.push(Line { offset, appended_at, outcome });
        self.next_offset = offset + 1;
    }

    #[inline]
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.lines.iter().map(|line| Record {
            offset: line.offset,
            appended_at: line.appended_at,
            outcome: line.outcome.as_ref().map(|stored| self.buffer.event(stored)),
        })
    }
}

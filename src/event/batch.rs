//! Records of one partition on their way from a source to the projector.

use std::ops::Range;
use std::sync::Arc;

use super::buffer::Stored;
use super::{Buffer, Code, Commit, Decoder, End, Envelope, Event, Part, Rejection, Truncation};
use crate::ids::{DomainId, PartitionId};
use crate::limits::NAMES_MAX;
use crate::model::value::Instant;

/// Consecutive records of one partition, decoded. It is emptied and filled again rather than made anew.
#[derive(Debug)]
pub struct Batch {
    pub partition: PartitionId,
    /// Where the partition stands once the batch is applied: after its last record, unless it is set. Offsets need not
    /// be dense.
    pub next_offset: u64,
    /// Tables that were emptied, with their records' offsets and times.
    pub truncations: Vec<(u64, Instant, Truncation)>,
    /// Records that are of a database's transaction, with their offsets and times.
    pub parts: Vec<(u64, Instant, Part)>,
    /// Transactions that ended, and when that was said.
    pub ends: Vec<(Instant, End)>,
    /// Of the records' values.
    pub bytes: usize,
    /// What it was counted as among the batches' memory: its keeper's.
    pub counted: usize,
    /// When the newest of its records was appended.
    pub newest_at: Instant,
    buffer: Buffer,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    offset: u64,
    appended_at: Instant,
    commit: Option<Commit>,
    outcome: Result<Stored, Refused>,
}

/// One event of a record, decoded or refused. Several may be of one record.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub offset: u64,
    pub appended_at: Instant,
    /// Its place in the order of the database that it comes from, where it comes from one.
    pub commit: Option<Commit>,
    pub outcome: Result<Event<'a>, &'a Refused>,
}

/// What could not be decoded, with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub rejection: Box<Rejection>,
    /// The record's value as the log has it.
    pub bytes: Arc<[u8]>,
    /// What else the log has of it, where it came from one.
    pub beside: Option<Arc<Beside>>,
}

/// A record's key and headers; and whether it has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    pub key: Option<Box<[u8]>>,
    pub headers: Vec<Header>,
    pub has_value: bool,
}

/// A header's name and value.
pub type Header = (Box<str>, Option<Box<[u8]>>);

impl Batch {
    pub fn new(partition: PartitionId) -> Batch {
        Batch {
            partition,
            next_offset: 0,
            truncations: Vec::new(),
            parts: Vec::new(),
            ends: Vec::new(),
            bytes: 0,
            counted: 0,
            newest_at: Instant::EPOCH,
            buffer: Buffer::default(),
            lines: Vec::new(),
        }
    }

    /// Empties it for other records, and keeps its memory.
    pub fn clear(&mut self, partition: PartitionId) {
        self.partition = partition;
        self.next_offset = 0;
        self.truncations.clear();
        self.parts.clear();
        self.ends.clear();
        (self.bytes, self.newest_at) = (0, Instant::EPOCH);
        self.buffer.clear();
        self.lines.clear();
    }

    /// Counts a record that was taken, whatever it gave.
    pub fn count(&mut self, offset: u64, at: Instant, bytes: usize) {
        // Even a record without a byte counts.
        self.bytes += 1 + bytes;
        self.newest_at = self.newest_at.max(at);
        self.next_offset = self.next_offset.max(offset + 1);
    }

    /// Gives memory back that it does not use: it is to be kept for a while.
    pub fn shrink(&mut self) {
        self.buffer.shrink();
        self.lines.shrink_to_fit();
    }

    /// Bytes of memory that it holds, used or not.
    pub fn size(&self) -> usize {
        self.buffer.size() + self.lines.capacity() * size_of::<Line>()
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Decodes an event into the batch; one that is refused is kept with its bytes. `domains` are the topic's, none where any
    /// will do.
    pub fn push(&mut self, decoder: &Decoder, domains: &[DomainId], offset: u64, appended_at: Instant, bytes: &[u8]) {
        let outcome = decoder.read(bytes, domains, &mut self.buffer);
        let outcome = outcome.map_err(|rejection| Refused { rejection, bytes: bytes.into(), beside: None });
        self.lines.push(Line { offset, appended_at, commit: None, outcome });
        self.next_offset = offset + 1;
    }

    /// Decodes one of the events that a record was made into, with its place in its database's order. Of one that is
    /// refused nothing is kept.
    pub fn push_made(
        &mut self,
        decoder: &Decoder,
        domains: &[DomainId],
        offset: u64,
        appended_at: Instant,
        commit: Option<Commit>,
        bytes: &[u8],
    ) -> Result<(), Box<Rejection>> {
        let stored = decoder.read(bytes, domains, &mut self.buffer)?;
        self.lines.push(Line { offset, appended_at, commit, outcome: Ok(stored) });
        self.next_offset = offset + 1;
        Ok(())
    }

    /// Takes a record that says that a table was emptied.
    pub fn truncate(&mut self, offset: u64, appended_at: Instant, truncation: Truncation) {
        self.truncations.push((offset, appended_at, truncation));
        self.next_offset = offset + 1;
    }

    /// Keeps a record that no event could be made of, with its bytes.
    pub fn refuse(&mut self, offset: u64, appended_at: Instant, rejection: Box<Rejection>, bytes: &[u8]) {
        let outcome = Err(Refused { rejection, bytes: bytes.into(), beside: None });
        self.lines.push(Line { offset, appended_at, commit: None, outcome });
        self.next_offset = offset + 1;
    }

    /// Gives what was refused from a place in the batch on the record that it was read from: its value, and what is beside.
    pub fn trace(&mut self, from: usize, value: Option<&[u8]>, beside: impl Fn() -> Beside) {
        for line in &mut self.lines[from..] {
            if let Err(refused) = &mut line.outcome {
                refused.bytes = value.unwrap_or_default().into();
                refused.beside = Some(Arc::new(beside()));
            }
        }
    }

    /// Refuses events from a place in the batch on of whose names one may not be.
    pub fn admit(&mut self, from: usize, mut admits: impl FnMut(&str) -> bool) {
        for line in &mut self.lines[from..] {
            let Ok(stored) = &line.outcome else { continue };
            let event = self.buffer.event(stored);
            let Envelope { source, kind, dataschema, id, .. } = event.envelope;
            let names = [("source", Some(source)), ("type", Some(kind)), ("dataschema", dataschema)];
            let Some((field, _)) = names.into_iter().find(|(_, name)| name.is_some_and(|name| !admits(name))) else {
                continue;
            };
            let message = format!(
                "more than {NAMES_MAX} different sources, types and schemas have come, and this event's `{field}` is another: \
                 does it hold what belongs in `id`?"
            );
            let rejection = Rejection {
                id: Some(id.to_owned()),
                kind: Some(kind.to_owned()),
                subject: Some(event.key.to_owned()),
                ..Rejection::at(Code::BadEnvelope, Some(field.into()), message)
            };
            line.outcome = Err(Refused { rejection: Box::new(rejection), bytes: Arc::default(), beside: None });
        }
    }

    /// Says of what was refused from a place in the batch on which event it was to be, where that is known beside it.
    pub fn name(&mut self, from: usize, of: impl Fn(&mut Rejection)) {
        let refused = self.lines[from..].iter_mut().filter_map(|line| line.outcome.as_mut().err());
        refused.for_each(|refused| of(&mut refused.rejection));
    }

    /// The items from an offset on and before another, as [`Batch::items_in`] numbers them.
    pub fn between(&self, from: u64, until: u64) -> Range<usize> {
        let before = |offset: u64| self.lines.partition_point(|line| line.offset < offset);
        before(from)..before(until)
    }

    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.items_in(0..self.lines.len())
    }

    #[inline]
    pub fn items_in(&self, range: Range<usize>) -> impl Iterator<Item = Item<'_>> {
        self.lines[range].iter().map(|line| Item {
            offset: line.offset,
            appended_at: line.appended_at,
            commit: line.commit,
            outcome: line.outcome.as_ref().map(|stored| self.buffer.event(stored)),
        })
    }
}

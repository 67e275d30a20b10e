//! What sources hand to: what they tell of logs, which all generations share; and records, decoded into batches of one
//! partition for one generation.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use super::Work;
use super::decode::Translator;
use super::partitions::Partitions;
use crate::event::Batch;
use crate::freshness::Basis;
use crate::ids::{By, PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;
use crate::serving::{Generation, Serving};
use crate::source::{Asked, Extent, Found, Placed, Raw, Registrar, Sink, Taken};
use crate::telemetry::Metrics;

/// Bytes of a partition that one batch takes: large enough that publishing costs little, small enough that it comes soon.
const BATCH_BYTES: usize = 1 << 18;
/// Records that one batch takes.
const BATCH_RECORDS: usize = 16_384;

/// The watchers' side.
pub struct Tellers {
    pub(super) partitions: Arc<Partitions>,
    pub(super) serving: Arc<Serving>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Registrar for Tellers {
    fn is_closed(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn find(&self, found: Found) -> Placed {
        let placed = self.partitions.find(found);
        self.serving.found(placed.partition, found.topic, found.number, placed.log);
        placed
    }

    fn listed(&self, asked: &Asked, topic: TopicId, unfound: Vec<u32>) {
        self.partitions.list(topic, !unfound.is_empty());
        let gone = self.partitions.gone(topic, &unfound);
        self.serving.listed(asked, topic, unfound);
        for partition in gone {
            self.serving.gone(partition);
            // Whatever an earlier run had of it, it holds nothing.
            let asked = Asked { applied: By::default(), ..*asked };
            self.serving.contact(&asked, &[Extent::committed(partition, 0, 0)]);
        }
    }

    fn asked(&self) -> Asked {
        self.serving.asked()
    }

    fn contact(&self, asked: &Asked, extents: &[Extent]) {
        self.serving.contact(asked, extents);
    }

    fn answered(&self) {
        self.serving.answered();
    }

    fn remark(&self, topic: TopicId, remark: Option<String>) {
        self.serving.remark(topic, remark);
    }

    fn applied(&self, partition: PartitionId) -> u64 {
        self.serving.applied(partition)
    }
}

/// A batch being filled.
struct Open {
    batch: Batch,
    topic: TopicId,
}

/// The side of one reader, which reads for one generation.
pub struct PartitionSink {
    work: SyncSender<Work>,
    spare: Arc<Mutex<Receiver<Batch>>>,
    translator: Translator,
    metrics: Arc<Metrics>,
    partitions: Arc<Partitions>,
    generation: Arc<Generation>,
    stop: Arc<AtomicBool>,
    open: By<PartitionId, Option<Open>>,
    /// Partitions whose next record could not be read.
    blocked: HashSet<PartitionId>,
}

impl PartitionSink {
    pub(super) fn new(
        work: SyncSender<Work>,
        spare: Arc<Mutex<Receiver<Batch>>>,
        translator: Translator,
        metrics: Arc<Metrics>,
        partitions: Arc<Partitions>,
        generation: Arc<Generation>,
        stop: Arc<AtomicBool>,
    ) -> PartitionSink {
        PartitionSink {
            work,
            spare,
            translator,
            metrics,
            partitions,
            generation,
            stop,
            open: By::default(),
            blocked: HashSet::new(),
        }
    }

    /// Opens a batch of the partition, where none is open.
    fn open(&mut self, partition: PartitionId) {
        if self.open.grow(partition, || None).is_none() {
            let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).try_recv();
            let mut batch = spare.unwrap_or_else(|_| Batch::new(partition));
            batch.clear(partition);
            self.open[partition] = Some(Open { batch, topic: self.partitions.topic(partition) });
        }
    }

    /// Why nothing more is taken: what only fills the graph stops before the system ends the process. What keeps it up to date goes on.
    fn lack(&self) -> Option<String> {
        if self.generation.ready_at().is_some() {
            return None;
        }
        let (bytes, most) = self.metrics.out_of_memory()?;
        Some(format!(
            "the process takes {bytes} bytes of the {most} that `memory_max` allows, and hydration stops: give it more memory, or fewer domains"
        ))
    }

    /// The partition's next record waits.
    fn block(&mut self, partition: PartitionId, raw: &Raw<'_>, why: String) -> Taken {
        self.generation.coming(partition, raw.offset, raw.at, raw.basis);
        if self.blocked.insert(partition) {
            tracing::error!(partition = partition.0, why, "the next record has to wait");
        }
        self.generation.block(partition, Some(why));
        Taken::Blocked
    }

    fn send(&self, work: Work) -> Taken {
        match self.work.send(work) {
            Ok(()) if !self.is_closed() => Taken::Yes,
            _ => Taken::Closed,
        }
    }
}

impl Sink for PartitionSink {
    fn is_closed(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn is_paused(&self, partition: PartitionId) -> bool {
        let pauses = self.generation.serving.pauses();
        if !pauses.any() {
            return false;
        }
        let (topic, number) = self.partitions.place(partition);
        pauses.of(topic, number).is_some()
    }

    fn take(&mut self, partition: PartitionId, raw: &Raw<'_>) -> Taken {
        if self.is_paused(partition) {
            // How old the graph is, this record tells.
            self.generation.coming(partition, raw.offset, raw.at, raw.basis);
            return Taken::Full;
        }
        self.open(partition);
        if self.open[partition].as_ref().is_some_and(|open| open.batch.bytes == 0)
            && let Some(why) = self.lack()
        {
            return self.block(partition, raw, why);
        }
        let Some(open) = &mut self.open[partition] else { return Taken::Closed };
        let (is_first, parts) = (open.batch.bytes == 0, open.batch.parts.len());
        if is_first && self.translator.waits(open.topic) && self.generation.is_full(partition) {
            self.generation.coming(partition, raw.offset, raw.at, raw.basis);
            return Taken::Full;
        }
        if let Err(why) = self.translator.push(open.topic, raw, &mut open.batch) {
            return self.block(partition, raw, why);
        }
        if !self.blocked.is_empty() && self.blocked.remove(&partition) {
            self.generation.block(partition, None);
        }
        open.batch.count(raw.offset, raw.at, raw.value.map_or(0, <[u8]>::len));
        let is_full = open.batch.bytes >= BATCH_BYTES || open.batch.len() >= BATCH_RECORDS;
        // From where another transaction begins on, it may have to wait.
        let begins = match &open.batch.parts[..] {
            [.., (_, _, before), (_, _, part)] if parts > 0 => before.transaction != part.transaction,
            parts => !parts.is_empty(),
        };
        if is_first || begins && open.batch.parts.len() > parts {
            self.generation.coming(partition, raw.offset, raw.at, raw.basis);
        }
        if is_full { self.flush(partition, raw.offset + 1) } else { Taken::Yes }
    }

    fn begin(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64) -> u64 {
        self.partitions.begin(self.generation.id(), partition, (log, origin), start)
    }

    fn reads(&mut self, partition: PartitionId, is_read: bool) {
        self.generation.read(partition, is_read);
    }

    fn holds(&mut self, partition: PartitionId, offset: u64, at: Instant, basis: Basis) {
        self.generation.coming(partition, offset, at, basis);
    }

    fn flush(&mut self, partition: PartitionId, next: u64) -> Taken {
        self.open(partition);
        let Some(mut open) = self.open[partition].take() else { return Taken::Yes };
        open.batch.next_offset = open.batch.next_offset.max(next);
        let size = open.batch.size();
        self.metrics.batches(size, std::mem::replace(&mut open.batch.counted, size));
        self.send(Work::Records(Box::new(open.batch)))
    }

    fn lose(&mut self, partition: PartitionId, next: u64, why: String) -> Taken {
        self.send(Work::Lost { partition, next, why })
    }

    fn restart(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64, why: String) -> Taken {
        self.generation.restarted(partition, log);
        self.partitions.restarted(self.generation.id(), partition, log, origin);
        self.send(Work::Restarted { partition, log, origin, start, why })
    }
}

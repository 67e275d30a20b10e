//! What sources hand to: partitions numbered as they are found, records decoded into batches of one partition.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use super::Work;
use super::decode::Translator;
use crate::event::Batch;
use crate::freshness::Basis;
use crate::ids::{By, PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::Partition;
use crate::serving::Serving;
use crate::source::{Asked, Extent, Found, Raw, Registrar, Sink, Taken};
use crate::telemetry::Metrics;

/// Bytes of a partition that one batch takes: large enough that publishing costs little, small enough that it comes soon.
const BATCH_BYTES: usize = 1 << 18;
/// Records that one batch takes.
const BATCH_RECORDS: usize = 16_384;

/// Gives partitions their ids, in the order in which the projector hears of them.
pub struct Numbers {
    /// None once the pipeline stops.
    work: Mutex<Option<SyncSender<Work>>>,
    /// A partition's topic.
    topics: Mutex<By<PartitionId, TopicId>>,
}

impl Numbers {
    pub fn new(work: SyncSender<Work>) -> Numbers {
        Numbers { work: Mutex::new(Some(work)), topics: Mutex::default() }
    }

    fn find(&self, found: Found) -> PartitionId {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let id = topics.push(found.topic);
        let partition = Partition { topic: found.topic, log: found.log, number: found.number, lost: None };
        // Under the lock, so that the projector hears of partitions in the order of their numbers.
        if let Some(work) = &*self.work.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = work.send(Work::Found { partition, start: found.start });
        }
        id
    }

    /// Lets the projector end.
    pub fn close(&self) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn topic(&self, partition: PartitionId) -> TopicId {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)[partition]
    }
}

/// The watchers' side.
pub struct Tellers {
    pub numbers: Arc<Numbers>,
    pub serving: Arc<Serving>,
    pub stop: Arc<AtomicBool>,
}

impl Registrar for Tellers {
    fn is_closed(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn find(&self, found: Found) -> PartitionId {
        let partition = self.numbers.find(found);
        self.serving.found(found.topic, found.number);
        partition
    }

    fn listed(&self, asked: &Asked, topic: TopicId, unfound: Vec<u32>) {
        self.serving.listed(asked, topic, unfound);
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
        self.serving.snapshot().applied.get(partition).copied().unwrap_or(0)
    }
}

/// A batch being filled.
struct Open {
    batch: Batch,
    topic: TopicId,
}

/// One reader's side.
pub struct PartitionSink {
    work: SyncSender<Work>,
    spare: Arc<Mutex<Receiver<Batch>>>,
    translator: Translator,
    metrics: Arc<Metrics>,
    numbers: Arc<Numbers>,
    serving: Arc<Serving>,
    stop: Arc<AtomicBool>,
    open: By<PartitionId, Option<Open>>,
    /// Partitions whose next record could not be read.
    blocked: HashSet<PartitionId>,
}

impl PartitionSink {
    pub fn new(
        work: SyncSender<Work>,
        spare: Arc<Mutex<Receiver<Batch>>>,
        translator: Translator,
        metrics: Arc<Metrics>,
        numbers: Arc<Numbers>,
        serving: Arc<Serving>,
        stop: Arc<AtomicBool>,
    ) -> PartitionSink {
        PartitionSink {
            work,
            spare,
            translator,
            metrics,
            numbers,
            serving,
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
            self.open[partition] = Some(Open { batch, topic: self.numbers.topic(partition) });
        }
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

    fn take(&mut self, partition: PartitionId, raw: &Raw<'_>) -> Taken {
        self.open(partition);
        let Some(open) = &mut self.open[partition] else { return Taken::Closed };
        let (is_first, parts) = (open.batch.bytes == 0, open.batch.parts.len());
        if is_first && self.translator.waits(open.topic) && self.serving.is_full(partition) {
            self.serving.coming(partition, raw.offset, raw.at, raw.basis);
            return Taken::Full;
        }
        if let Err(why) = self.translator.push(open.topic, raw, &mut open.batch) {
            self.serving.coming(partition, raw.offset, raw.at, raw.basis);
            self.serving.block(partition, Some(why));
            self.blocked.insert(partition);
            return Taken::Blocked;
        }
        if !self.blocked.is_empty() && self.blocked.remove(&partition) {
            self.serving.block(partition, None);
        }
        open.batch.count(raw.offset, raw.at, raw.value.map_or(0, <[u8]>::len));
        let is_full = open.batch.bytes >= BATCH_BYTES || open.batch.len() >= BATCH_RECORDS;
        // From where another transaction begins on, it may have to wait.
        let begins = match &open.batch.parts[..] {
            [.., (_, _, before), (_, _, part)] if parts > 0 => before.transaction != part.transaction,
            parts => !parts.is_empty(),
        };
        if is_first || begins && open.batch.parts.len() > parts {
            self.serving.coming(partition, raw.offset, raw.at, raw.basis);
        }
        if is_full { self.flush(partition, raw.offset + 1) } else { Taken::Yes }
    }

    fn reads(&mut self, partition: PartitionId, is_read: bool) {
        self.serving.read(partition, is_read);
    }

    fn holds(&mut self, partition: PartitionId, offset: u64, at: Instant, basis: Basis) {
        self.serving.coming(partition, offset, at, basis);
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

    fn restart(&mut self, partition: PartitionId, log: LogId, start: u64, why: String) -> Taken {
        self.serving.restarted(partition);
        self.send(Work::Restarted { partition, log, start, why })
    }
}

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
use crate::projection::{Partition, Projector};
use crate::serving::Serving;
use crate::source::{Asked, Extent, Found, Placed, Raw, Registrar, Sink, Taken};
use crate::telemetry::Metrics;

/// Bytes of a partition that one batch takes: large enough that publishing costs little, small enough that it comes soon.
const BATCH_BYTES: usize = 1 << 18;
/// Records that one batch takes.
const BATCH_RECORDS: usize = 16_384;

/// Gives partitions their ids, in the order in which the projector hears of them. Those that it knows from a checkpoint have
/// theirs.
pub struct Numbers {
    /// None once the pipeline stops.
    work: Mutex<Option<SyncSender<Work>>>,
    known: Mutex<By<PartitionId, Known>>,
}

/// A partition with an id.
struct Known {
    topic: TopicId,
    number: u32,
    log: LogId,
    origin: LogId,
    /// Where an earlier run came to.
    from: u64,
    /// Whether its source has found it,
    is_found: bool,
    /// or has told that it is not there.
    is_gone: bool,
}

impl Numbers {
    pub fn new(work: SyncSender<Work>, projector: &Projector) -> Numbers {
        let known = projector.partitions().entries().map(|(id, partition)| {
            let Partition { topic, log, origin, number, lost: _ } = *partition;
            Known { topic, number, log, origin, from: projector.position(id), is_found: false, is_gone: false }
        });
        Numbers { work: Mutex::new(Some(work)), known: Mutex::new(known.collect()) }
    }

    fn find(&self, found: Found) -> Placed {
        let Found { topic, number, log, start } = found;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let id = all.find(|known| (known.topic, known.number) == (topic, number));
        // Under the lock, so that the projector hears of partitions in the order of their numbers.
        let Some(id) = id else {
            let partition = Partition { topic, log, origin: log, number, lost: None };
            self.send(Work::Found { partition, start });
            let id = all.push(Known { topic, number, log, origin: log, from: start, is_found: true, is_gone: false });
            return Placed { partition: id, from: start, log };
        };
        let known = &mut all[id];
        known.is_found = true;
        if known.origin != log {
            (known.log, known.origin, known.from) = (log, log, start);
            let why = "its topic was made anew while the service did not run: what its old log held beyond the checkpoint was not applied";
            self.send(Work::Restarted { partition: id, log, origin: log, start, why: why.into() });
        } else if known.from < start {
            let why = format!(
                "the log begins at {start}, and the checkpoint ends at {}: what lay between was not applied",
                known.from
            );
            known.from = start;
            self.send(Work::Lost { partition: id, next: start, why });
        }
        Placed { partition: id, from: known.from, log: known.log }
    }

    /// A topic's partitions that an earlier run read and its source does not have: its topic was made anew with fewer. Each with
    /// whether that is new.
    fn gone(&self, topic: TopicId, unfound: &[u32]) -> Vec<(PartitionId, bool)> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = Vec::new();
        for (id, known) in all.entries_mut() {
            if known.topic != topic || known.is_found || unfound.contains(&known.number) {
                continue;
            }
            gone.push((id, !known.is_gone));
            if !std::mem::replace(&mut known.is_gone, true) {
                known.from = 0;
                let (log, origin) = (known.log, known.origin);
                let why = "its topic was made anew with fewer partitions while the service did not run".into();
                self.send(Work::Restarted { partition: id, log, origin, start: 0, why });
            }
        }
        gone
    }

    fn send(&self, work: Work) {
        if let Some(sender) = &*self.work.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = sender.send(work);
        }
    }

    /// Lets the projector end.
    pub fn close(&self) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn topic(&self, partition: PartitionId) -> TopicId {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)[partition].topic
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

    fn find(&self, found: Found) -> Placed {
        let placed = self.numbers.find(found);
        self.serving.found(placed.partition, found.topic, found.number);
        placed
    }

    fn listed(&self, asked: &Asked, topic: TopicId, unfound: Vec<u32>) {
        let gone = self.numbers.gone(topic, &unfound);
        self.serving.listed(asked, topic, unfound);
        for (partition, is_new) in gone {
            if is_new {
                self.serving.restarted(partition);
                // There is nothing of it that anybody could read.
                self.serving.read(partition, true);
            }
            self.serving.contact(asked, &[Extent::committed(partition, 0, 0)]);
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

    fn restart(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64, why: String) -> Taken {
        self.serving.restarted(partition);
        self.send(Work::Restarted { partition, log, origin, start, why })
    }
}

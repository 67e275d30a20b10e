//! The one loop: receive, apply, publish. One thread reads and decodes, one applies; a bounded channel lies between.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::event::{Batch, Decoder};
use crate::model::value::Instant;
use crate::projection::Projector;
use crate::serving::Serving;
use crate::source::log::Log;
use crate::telemetry::Metrics;

/// Bytes of a partition that one batch takes: large enough that publishing costs little, small enough that it comes soon.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for the projector. With the one being made and the one being applied, about 10 MB.
const BATCHES_MAX: usize = 8;
/// How often the log's ends are asked for when nothing else asks: well below the least sensible `fresh_within`.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// While more waits, a version is published this often: a flood is seen in steps.
const PUBLISH_MS_MAX: i64 = 250;
/// The windows' samples.
const SAMPLE_MS: i64 = 1000;

/// A partition of the log, as the projector numbers them.
#[derive(Clone, Debug)]
pub struct Feed {
    pub topic: usize,
    pub number: u32,
    pub domain: usize,
    /// Records appended after the start are applied this much later.
    pub late_ms: i64,
}

/// What the loop runs on.
pub struct Parts {
    pub log: Arc<Log>,
    pub feeds: Vec<Feed>,
    pub decoder: Decoder,
    pub projector: Projector,
    pub serving: Arc<Serving>,
    pub metrics: Arc<Metrics>,
    pub clock: fn() -> Instant,
}

/// The running threads. [`Pipeline::stop`] ends them.
pub struct Pipeline {
    stop: Arc<AtomicBool>,
    log: Arc<Log>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    pub fn start(parts: Parts) -> std::io::Result<Pipeline> {
        let Parts { log, feeds, decoder, projector, serving, metrics, clock } = parts;
        let stop = Arc::new(AtomicBool::new(false));
        let (batches, waiting) = sync_channel(BATCHES_MAX);
        // Applied batches go back to be filled again: their buffers are as large as batches are by then.
        let (applied, spare) = channel();
        let spawn =
            |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.into()).spawn(work);
        let watcher =
            Watcher { log: log.clone(), feeds: feeds.clone(), serving: serving.clone(), stop: stop.clone(), clock };
        // Before anything is applied, so that hydration has its end.
        watcher.contact();
        let reader = Reader {
            log: log.clone(),
            feeds: feeds.clone(),
            decoder,
            serving: serving.clone(),
            stop: stop.clone(),
            clock,
        };
        let threads = vec![
            spawn("watcher", Box::new(move || watcher.run()))?,
            spawn("reader", Box::new(move || reader.run(&batches, &spare)))?,
            spawn(
                "projector",
                Box::new(move || project(projector, (&waiting, &applied), &feeds, &serving, &metrics, clock)),
            )?,
        ];
        Ok(Pipeline { stop, log, threads })
    }

    /// Ends the threads and waits for them. What was not applied yet is in the log.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.log.wake();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Asks for the log's ends, with a heartbeat of its own.
struct Watcher {
    log: Arc<Log>,
    feeds: Vec<Feed>,
    serving: Arc<Serving>,
    stop: Arc<AtomicBool>,
    clock: fn() -> Instant,
}

impl Watcher {
    fn contact(&self) {
        let topics = self.log.topics();
        let ends: Vec<(u64, u64)> = self.feeds.iter().map(|feed| (0, topics[feed.topic].end(feed.number))).collect();
        self.serving.contact(&ends);
    }

    fn run(&self) {
        let mut seen = self.log.commits();
        let mut sampled_at = Instant::EPOCH;
        while !self.stop.load(Ordering::Acquire) {
            self.contact();
            let now = (self.clock)();
            if now.millis_since(sampled_at) >= SAMPLE_MS {
                self.serving.sample();
                sampled_at = now;
            }
            seen = self.log.wait(seen, HEARTBEAT);
        }
    }
}

/// Reads the log's partitions in turn and decodes them.
struct Reader {
    log: Arc<Log>,
    feeds: Vec<Feed>,
    decoder: Decoder,
    serving: Arc<Serving>,
    stop: Arc<AtomicBool>,
    clock: fn() -> Instant,
}

impl Reader {
    fn run(&self, batches: &SyncSender<Batch>, spare: &Receiver<Batch>) {
        let mut next = vec![0u64; self.feeds.len()];
        while !self.stop.load(Ordering::Acquire) {
            let seen = self.log.commits();
            let mut moved = false;
            let mut due_ms = HEARTBEAT.as_millis() as i64;
            for (index, feed) in self.feeds.iter().enumerate() {
                match self.read(index, feed, next[index], &mut due_ms, spare) {
                    Ok(Some(batch)) => {
                        next[index] = batch.next_offset;
                        moved = true;
                        if batches.send(batch).is_err() {
                            return;
                        }
                    }
                    Ok(None) => {}
                    // Said each time it is tried, a heartbeat apart; the partition's lag says the rest.
                    Err(error) => tracing::error!(partition = index, %error, "the log cannot be read"),
                }
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
            }
            if !moved {
                self.log.wait(seen, Duration::from_millis(due_ms.max(1) as u64));
            }
        }
    }

    fn read(
        &self,
        index: usize,
        feed: &Feed,
        from: u64,
        due_ms: &mut i64,
        spare: &Receiver<Batch>,
    ) -> Result<Option<Batch>, crate::source::log::LogError> {
        if self.log.topics()[feed.topic].end(feed.number) <= from {
            return Ok(None);
        }
        let mut batch = spare.try_recv().unwrap_or_else(|_| Batch::new(index));
        batch.clear(index);
        let (hydrated, limit) = (self.serving.target(index).unwrap_or(0), (self.clock)().minus_millis(feed.late_ms));
        self.log.read(feed.topic, feed.number, from, BATCH_BYTES, |record| {
            if feed.late_ms > 0 && record.offset >= hydrated && record.appended_at > limit {
                *due_ms = (*due_ms).min(record.appended_at.millis_since(limit));
                return ControlFlow::Break(());
            }
            batch.push(&self.decoder, Some(feed.domain), record.offset, record.appended_at, record.bytes);
            ControlFlow::Continue(())
        })?;
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }
}

/// Applies what waits and publishes it as one version, until the reader is gone.
fn project(
    mut projector: Projector,
    (waiting, applied): (&Receiver<Batch>, &Sender<Batch>),
    feeds: &[Feed],
    serving: &Serving,
    metrics: &Metrics,
    clock: fn() -> Instant,
) {
    let mut appended: Vec<(usize, Instant)> = Vec::new();
    let mut next = waiting.recv().ok();
    let mut published_at = Instant::EPOCH;
    while let Some(batch) = next.take() {
        let live = batch.records().filter(|record| record.appended_at >= serving.started_at);
        appended.extend(live.map(|record| (feeds[batch.partition].domain, record.appended_at)));
        projector.apply(&batch, clock());
        // Nobody takes it once the reader has ended.
        let _ = applied.send(batch);
        let left = PUBLISH_MS_MAX - clock().millis_since(published_at);
        if left > 0 {
            next = match is_hydrating(&projector, serving, feeds.len()) {
                // The next one comes: fewer versions of more events cost less, and nobody calls this fresh yet.
                true => waiting.recv_timeout(Duration::from_millis(left as u64)).ok(),
                false => waiting.try_recv().ok(),
            };
        }
        if next.is_none() {
            serving.publish(projector.publish());
            published_at = clock();
            for (domain, at) in appended.drain(..) {
                metrics.visible(domain, published_at.micros().saturating_sub(at.micros()).max(0) as f64 / 1e6);
            }
            metrics.versions(projector.pinned(), projector.backlog());
            next = waiting.recv().ok();
        }
    }
}

/// Whether records that were there at the start are still to come.
fn is_hydrating(projector: &Projector, serving: &Serving, partitions: usize) -> bool {
    let is_short =
        |partition: usize| serving.target(partition).is_some_and(|target| projector.position(partition) < target);
    serving.ready_at().is_none() && (0..partitions).any(is_short)
}

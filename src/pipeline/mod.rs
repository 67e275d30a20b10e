//! The one loop: receive, apply, publish. Each source has a thread that reads and decodes and one that watches its logs'
//! ends; one thread applies; a bounded channel lies between.

mod binary;
mod decode;
mod letters;
mod sink;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::event::{Batch, Code, Decoder};
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::{Gate, Partition, Projector, Snapshot, Step, Steps};
use crate::serving::Serving;
use crate::source::{Outlet, Source};
use crate::telemetry::Metrics;

pub use decode::{Carries, Format};
pub use letters::{Letters, NotNow, Retried, Retrier};

use sink::{Numbers, PartitionSink, Tellers};

/// Batches that wait for the projector. With one being made for each partition and the one being applied, a few MB.
const BATCHES_MAX: usize = 8;
/// While more waits, a version is published this often: a flood is seen in steps.
const PUBLISH_MS_MAX: i64 = 250;
/// How often what is held back is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// What the loop runs on.
pub struct Parts {
    pub sources: Vec<Arc<dyn Source>>,
    /// By topic: how its records are read.
    pub formats: Vec<Format>,
    pub decoder: Decoder,
    /// Where dead letters are written beside, if anywhere.
    pub outlet: Option<Box<dyn Outlet>>,
    pub projector: Projector,
    /// What holds transactions back until they are whole.
    pub gate: Gate,
    pub serving: Arc<Serving>,
    pub metrics: Arc<Metrics>,
    pub clock: fn() -> Instant,
}

/// What the readers send to the projector. Partitions come before what is of them.
enum Work {
    Found {
        partition: Partition,
        start: u64,
    },
    Records(Box<Batch>),
    /// Nothing came while something is held back.
    Look,
    Lost {
        partition: usize,
        next: u64,
        why: String,
    },
    /// Dead letters, read once more. `done` is told when a version has what came of them.
    Again {
        batch: Box<Batch>,
        letters: Vec<usize>,
        done: SyncSender<()>,
    },
    Discard {
        letters: Vec<usize>,
        done: SyncSender<()>,
    },
    Restarted {
        partition: usize,
        log: LogId,
        start: u64,
        why: String,
    },
}

/// The running threads. [`Pipeline::stop`] ends them.
pub struct Pipeline {
    stop: Arc<AtomicBool>,
    sources: Vec<Arc<dyn Source>>,
    pub retrier: Arc<Retrier>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    pub fn start(parts: Parts) -> std::io::Result<Pipeline> {
        let Parts { sources, formats, decoder, outlet, projector, gate, serving, metrics, clock } = parts;
        let stop = Arc::new(AtomicBool::new(false));
        let (work, waiting) = sync_channel(BATCHES_MAX);
        // Applied batches go back to be filled again: their buffers are as large as batches are by then.
        let (applied, spare) = channel();
        let spawn =
            |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.into()).spawn(work);
        let formats: Arc<[Format]> = formats.into();
        let numbers = Arc::new(Numbers::new(work.clone()));
        let spare = Arc::new(Mutex::new(spare));
        let mut threads = Vec::new();
        for source in &sources {
            let tellers = Tellers { numbers: numbers.clone(), serving: serving.clone(), stop: stop.clone() };
            let mut sink = PartitionSink::new(
                work.clone(),
                spare.clone(),
                (decoder.clone(), formats.clone(), metrics.clone()),
                numbers.clone(),
                serving.clone(),
                stop.clone(),
            );
            let (watched, read) = (source.clone(), source.clone());
            threads.push(spawn("watcher", Box::new(move || watched.watch(&tellers)))?);
            threads.push(spawn("reader", Box::new(move || read.read(&mut sink)))?);
        }
        let translator = decode::Translator::new(decoder, formats, metrics.clone());
        // The projector ends when the last reader has, and nobody can ask for letters any more.
        let retrier = Arc::new(Retrier::new(translator, numbers, serving.clone(), work));
        let project = move || {
            Loop {
                projector,
                gate,
                full: Vec::new(),
                has_changed: false,
                applied,
                serving,
                metrics,
                clock,
                waiting: Vec::new(),
                appended: Vec::new(),
                outlet,
                told: 0,
                kinds: HashMap::new(),
            }
            .run(&waiting)
        };
        threads.push(spawn("projector", Box::new(project))?);
        Ok(Pipeline { stop, sources, retrier, threads })
    }

    /// Ends the threads and waits for them. What was not applied yet is in the log.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.retrier.close();
        self.sources.iter().for_each(|source| source.wake());
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// The projector's side.
struct Loop {
    projector: Projector,
    gate: Gate,
    /// By partition: whether the readers were told that it holds as much as it may.
    full: Vec<bool>,
    /// Whether something happened since the newest version.
    has_changed: bool,
    applied: Sender<Batch>,
    serving: Arc<Serving>,
    metrics: Arc<Metrics>,
    clock: fn() -> Instant,
    outlet: Option<Box<dyn Outlet>>,
    /// Letters from this number on are not told yet.
    told: usize,
    /// How many there were of a topic and a code.
    kinds: HashMap<(Arc<str>, Code), u64>,
    /// Who waits for the next version.
    waiting: Vec<SyncSender<()>>,
    /// Domain and append of what the next version makes visible.
    appended: Vec<(usize, Instant)>,
}

impl Loop {
    /// Applies what waits and publishes it as one version, until the readers are gone.
    fn run(mut self, waiting: &Receiver<Work>) {
        let mut next = self.next(waiting);
        let mut published_at = Instant::EPOCH;
        while let Some(work) = next.take() {
            self.apply(work);
            let left = PUBLISH_MS_MAX - (self.clock)().millis_since(published_at);
            if left > 0 {
                next = match self.is_hydrating() {
                    // The next one comes: fewer versions of more events cost less, and nobody calls this fresh yet.
                    true => waiting.recv_timeout(Duration::from_millis(left as u64)).ok(),
                    false => waiting.try_recv().ok(),
                };
            }
            if next.is_none() {
                if std::mem::take(&mut self.has_changed) {
                    published_at = self.publish();
                }
                next = self.next(waiting);
            }
        }
    }

    /// Makes a version of what was applied. Gives when it was there.
    fn publish(&mut self) -> Instant {
        let snapshot = self.projector.publish();
        self.tell(&snapshot);
        self.serving.publish(snapshot);
        let published_at = (self.clock)();
        for done in self.waiting.drain(..) {
            let _ = done.try_send(());
        }
        for (domain, at) in self.appended.drain(..) {
            let seconds = published_at.micros().saturating_sub(at.micros()).max(0) as f64 / 1e6;
            self.metrics.visible(domain, seconds);
        }
        self.metrics.versions(self.projector.pinned(), self.projector.backlog());
        published_at
    }

    /// Waits for work; a look at what is held back is some. None once the readers are gone.
    fn next(&self, waiting: &Receiver<Work>) -> Option<Work> {
        if !self.gate.is_holding() {
            return waiting.recv().ok();
        }
        match waiting.recv_timeout(LOOK) {
            Ok(work) => Some(work),
            Err(RecvTimeoutError::Timeout) => Some(Work::Look),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Logs new dead letters, and writes them to where they are written beside.
    fn tell(&mut self, snapshot: &Snapshot) {
        for (_, letter) in snapshot.dead_letters.since(self.told) {
            let code = letter.rejection.code;
            let count = self.kinds.entry((letter.topic.clone(), code)).or_default();
            *count += 1;
            // Of a flood the first says what there is to do, and then each tenfold of them that it goes on.
            if count.ilog10() != (*count - 1).checked_ilog10().unwrap_or(u32::MAX) {
                let (topic, partition, offset) = (&*letter.topic, letter.partition, letter.offset);
                tracing::warn!(topic, partition, offset, %code, letters = *count, "a record became a dead letter");
            }
            if let Some(outlet) = &self.outlet {
                letters::put(&**outlet, letter);
            }
        }
        self.told = snapshot.dead_letters.count();
    }

    /// Tells that letters are no more.
    fn untell(&self, letters: &[usize]) {
        let Some(outlet) = &self.outlet else { return };
        let all = self.projector.dead_letters();
        letters.iter().filter_map(|letter| all.get(*letter)).for_each(|letter| outlet.put(&letter.id(), None, &[]));
    }

    fn apply(&mut self, work: Work) {
        self.has_changed |= !matches!(work, Work::Look);
        match work {
            Work::Found { partition, start } => {
                self.gate.add(partition.topic, (self.clock)());
                self.projector.add(partition, start);
            }
            Work::Records(batch) => self.pass(|gate, now, steps| gate.take(batch, now, steps)),
            Work::Look => self.pass(|gate, now, steps| gate.look(now, steps)),
            Work::Again { batch, letters, done } => {
                self.untell(&letters);
                self.projector.apply_again(&batch, &letters, (self.clock)());
                self.waiting.push(done);
            }
            Work::Discard { letters, done } => {
                self.untell(&letters);
                self.projector.discard(&letters);
                self.waiting.push(done);
            }
            Work::Lost { partition, next, why } => {
                self.pass(|gate, now, steps| gate.release(partition, now, steps));
                self.projector.lose(partition, next, &why);
            }
            Work::Restarted { partition, log, start, why } => {
                self.pass(|gate, now, steps| gate.release(partition, now, steps));
                self.projector.restart(partition, log, start, &why);
            }
        }
    }

    /// Applies what the gate lets through.
    fn pass(&mut self, open: impl FnOnce(&mut Gate, Instant, Steps<'_>)) {
        let Loop { projector, gate, full, has_changed, serving, metrics, appended, applied, .. } = self;
        let (now, topics) = ((self.clock)(), projector.topics().clone());
        let mut apply = |batch: &Batch, until: u64| {
            let model = projector.model().clone();
            let new = batch.records_in(batch.between(projector.position(batch.partition), until));
            let live = new.filter(|record| record.appended_at >= serving.started_at);
            let domain = |record: crate::event::Record<'_>| {
                let event = record.outcome.ok()?;
                Some((model.entities[event.entity].domain, record.appended_at))
            };
            appended.extend(live.filter_map(domain));
            *has_changed |= until > projector.position(batch.partition);
            projector.apply_before(batch, until, now);
        };
        open(gate, now, &mut |step| match step {
            Step::Part(batch, until) => apply(batch, until),
            Step::Rest(batch) => {
                apply(&batch, batch.next_offset);
                // Nobody takes it once the readers have ended.
                let _ = applied.send(*batch);
            }
            Step::Split(topic) => metrics.split(&topics[topic].name),
        });
        for partition in gate.partitions() {
            full.resize(full.len().max(partition + 1), false);
            let is_full = gate.is_full(partition);
            if std::mem::replace(&mut full[partition], is_full) != is_full {
                serving.fill(partition, is_full);
            }
        }
    }

    /// Whether records that were there at the start are still to come.
    fn is_hydrating(&self) -> bool {
        let is_short = |partition: usize| {
            self.serving.target(partition).is_some_and(|target| self.projector.position(partition) < target)
        };
        self.serving.ready_at().is_none() && (0..self.projector.partitions()).any(is_short)
    }
}

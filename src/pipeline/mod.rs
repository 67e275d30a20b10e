//! The one loop: receive, apply, publish. Each source has a thread that reads and decodes and one that watches its logs'
//! ends; one thread applies; a bounded channel lies between.

mod binary;
mod checkpointer;
mod decode;
mod erasing;
mod letters;
mod names;
mod poison;
mod sink;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::{Batch, Decoder};
use crate::freshness::Moment;
use crate::ids::{By, DomainId, EntityId, PartitionId, TopicId};
use crate::keys::Keys;
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::{Capture, Erased, Gate, Partition, Projector, Snapshot, Step, Steps, Waits};
use crate::serving::Serving;
use crate::source::{Outlet, Source};
use crate::telemetry::Metrics;
use crate::threads::{Lasts, Thread, Threads, join_all};

pub use checkpointer::{Checkpointing, Kept, NotTaken, Saving};
pub use decode::{Carries, Format};
pub use letters::{Letters, NotNow, Retried, Retrier};

use poison::Poison;
use sink::{Numbers, PartitionSink, Tellers};

/// Batches that wait for the projector. With one being made for each partition and the one being applied, a few MB.
const BATCHES_MAX: usize = 8;
/// A batch of no more bytes than these
const SPARE_BYTES: usize = 16 << 10;
/// that holds more memory than this is not filled again.
const SPARE_SIZE_MAX: usize = 256 << 10;
/// While more waits, a version is published this often: a flood is seen in steps.
const PUBLISH_MS_MAX: i64 = 250;
/// And as soon as it has so many records: making a version takes a few microseconds for each.
const PUBLISH_RECORDS_MAX: usize = 4096;
/// How often what is held back is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// What the loop runs on.
pub struct Parts {
    pub sources: Vec<Arc<dyn Source>>,
    /// How records are read.
    pub formats: By<TopicId, Format>,
    pub decoder: Decoder,
    /// Where dead letters are written beside, if anywhere.
    pub outlet: Option<Box<dyn Outlet>>,
    /// What is destroyed of whom an erasure reaches.
    pub keys: Arc<Keys>,
    pub projector: Projector,
    /// What holds transactions back until they are whole.
    pub gate: Gate,
    pub serving: Arc<Serving>,
    /// How checkpoints are taken, if they are.
    pub saving: Option<Saving>,
    pub metrics: Arc<Metrics>,
    pub clock: fn() -> Moment,
    /// The time since some moment, by a clock that only goes forward.
    pub tick: fn() -> Duration,
    /// Among which the pipeline's are.
    pub threads: Threads,
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
        partition: PartitionId,
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
    /// Everything as of now, for a checkpoint.
    Capture(SyncSender<Box<Capture>>),
    Restarted {
        partition: PartitionId,
        log: LogId,
        origin: LogId,
        start: u64,
        why: String,
    },
}

/// The running threads. [`Pipeline::stop`] ends them.
pub struct Pipeline {
    stop: Arc<AtomicBool>,
    sources: Vec<Arc<dyn Source>>,
    pub retrier: Arc<Retrier>,
    /// None where no place for checkpoints is configured.
    pub checkpointing: Option<Checkpointing>,
    /// The one that takes them.
    checkpointer: Option<Thread>,
    threads: Vec<Thread>,
}

impl Pipeline {
    pub fn start(parts: Parts) -> std::io::Result<Pipeline> {
        let Parts {
            sources,
            formats,
            decoder,
            outlet,
            keys,
            projector,
            gate,
            serving,
            saving,
            metrics,
            clock,
            tick,
            threads: supervised,
        } = parts;
        let stop = Arc::new(AtomicBool::new(false));
        let (work, waiting) = sync_channel(BATCHES_MAX);
        // Applied batches go back to be filled again: their buffers are as large as batches are by then.
        let (applied, spare) = channel();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| supervised.spawn(name, Lasts::UntilReleased, work);
        let formats = Arc::new(formats);
        let numbers = Arc::new(Numbers::new(work.clone(), &projector));
        let spare = Arc::new(Mutex::new(spare));
        let mut threads = Vec::new();
        for source in &sources {
            let tellers = Tellers { numbers: numbers.clone(), serving: serving.clone(), stop: stop.clone() };
            let mut sink = PartitionSink::new(
                work.clone(),
                spare.clone(),
                decode::Translator::new(decoder.clone(), formats.clone(), metrics.clone()),
                metrics.clone(),
                numbers.clone(),
                serving.clone(),
                stop.clone(),
            );
            let (watched, read) = (source.clone(), source.clone());
            threads.push(spawn("watcher", Box::new(move || watched.watch(&tellers)))?);
            threads.push(spawn("reader", Box::new(move || read.read(&mut sink)))?);
        }
        let (mut checkpointing, mut checkpointer) = (None, None);
        if let Some(saving) = saving {
            let (handle, thread) = checkpointer::Checkpointer::new(
                saving,
                work.clone(),
                serving.clone(),
                metrics.clone(),
                crate::clock::now,
                tick,
            );
            checkpointing = Some(handle);
            thread.tell_at_start();
            if thread.writes() {
                checkpointer = Some(spawn("checkpointer", Box::new(move || thread.run()))?);
            }
        }
        let translator = decode::Translator::new(decoder, formats, metrics.clone());
        // The projector ends when the last reader has, and nobody can ask for letters any more.
        let retrier = Arc::new(Retrier::new(translator, numbers, serving.clone(), work));
        let (erased, reached) = channel();
        let model = projector.model().clone();
        threads.push(spawn("eraser", Box::new(move || erasing::destroy(&keys, &model, &reached)))?);
        let project = move || {
            Loop {
                projector,
                gate,
                full: By::default(),
                held: By::default(),
                has_changed: false,
                unpublished: 0,
                applied,
                spare,
                is_settled: false,
                serving,
                metrics,
                clock,
                tick,
                waiting: Vec::new(),
                appended: Vec::new(),
                outlet,
                erased,
                is_fading: false,
                poison: Poison::default(),
                told: 0,
            }
            .run(&waiting)
        };
        threads.push(spawn("projector", Box::new(project))?);
        Ok(Pipeline { stop, sources, retrier, checkpointing, checkpointer, threads })
    }

    /// Ends the threads and waits for them, at most so long; before that, for the last checkpoint. Gives the names of those that still run: one that asks a
    /// registry or a broker that does not answer, say. What was not applied yet is in the log.
    pub fn stop(self, last_checkpoint_at_most: Duration, at_most: Duration) -> Vec<String> {
        self.threads.iter().for_each(Thread::release);
        self.checkpointer.iter().for_each(Thread::release);
        self.stop.store(true, Ordering::Release);
        self.sources.iter().for_each(|source| source.wake());
        // It needs the projector, and comes after what is under way to that.
        self.checkpointing.iter().for_each(Checkpointing::end);
        let mut running = join_all(self.checkpointer.as_slice(), last_checkpoint_at_most);
        self.retrier.close();
        running.extend(join_all(&self.threads, at_most));
        running
    }
}

/// The projector's side.
struct Loop {
    projector: Projector,
    gate: Gate,
    /// Whether the readers were told that a partition holds as much as it may.
    full: By<PartitionId, bool>,
    /// What was said of why a partition waits.
    held: By<PartitionId, Option<Waits>>,
    /// Whether something happened since the newest version.
    has_changed: bool,
    /// Records that the newest version does not have.
    unpublished: usize,
    applied: Sender<Batch>,
    spare: Arc<Mutex<Receiver<Batch>>>,
    /// Whether what only hydration needs was given back.
    is_settled: bool,
    serving: Arc<Serving>,
    metrics: Arc<Metrics>,
    clock: fn() -> Moment,
    tick: fn() -> Duration,
    outlet: Option<Box<dyn Outlet>>,
    /// To who destroys keys: entities, and subjects. It holds as many as erasures came while one is made durable.
    erased: Sender<Vec<(EntityId, String)>>,
    /// Whether an older version is read that still has what was erased.
    is_fading: bool,
    poison: Poison,
    /// Letters from this number on are not written yet.
    told: usize,
    /// Who waits for the next version.
    waiting: Vec<SyncSender<()>>,
    /// Domain and append of what the next version makes visible.
    appended: Vec<(DomainId, Instant)>,
}

impl Loop {
    /// Applies what waits and publishes it as one version, until the readers are gone.
    fn run(mut self, waiting: &Receiver<Work>) {
        // Whom a checkpoint has as erased, whose keys may still be there.
        self.erase();
        let mut next = self.next(waiting);
        let mut due_ms = 0;
        while let Some(work) = next.take() {
            self.apply(work);
            self.erase();
            let left_ms = due_ms - (self.clock)().tick_ms;
            if left_ms > 0 {
                next = match self.is_hydrating() {
                    // The next one comes: fewer versions of more events cost less, and nobody calls this fresh yet.
                    true => waiting.recv_timeout(Duration::from_millis(left_ms as u64)).ok(),
                    false if self.unpublished >= PUBLISH_RECORDS_MAX => None,
                    false => waiting.try_recv().ok(),
                };
            }
            if next.is_none() {
                if std::mem::take(&mut self.has_changed) {
                    self.publish();
                    due_ms = (self.clock)().tick_ms + PUBLISH_MS_MAX;
                }
                next = self.next(waiting);
            }
        }
    }

    /// Makes a version of what was applied.
    fn publish(&mut self) {
        self.unpublished = 0;
        let began = (self.tick)();
        let snapshot = self.projector.publish();
        self.tell(&snapshot);
        self.serving.publish(snapshot);
        self.is_fading = self.projector.drop_faded();
        self.metrics.published((self.tick)().saturating_sub(began));
        let published_at = (self.clock)().at;
        for done in self.waiting.drain(..) {
            let _ = done.try_send(());
        }
        for (domain, at) in self.appended.drain(..) {
            let seconds = published_at.micros().saturating_sub(at.micros()).max(0) as f64 / 1e6;
            self.metrics.visible(domain, seconds);
        }
        self.metrics.versions(self.projector.pinned(), self.projector.backlog());
        if !self.is_settled && self.serving.ready_at().is_some() {
            self.give_back();
            return self.publish();
        }
        tracing::trace!("a version is published");
    }

    /// Gives back what only hydration needed.
    fn give_back(&mut self) {
        self.is_settled = true;
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(batch) = spare.try_recv() {
            self.metrics.batches(0, batch.counted);
        }
        drop(spare);
        self.projector.shrink();
    }

    /// Waits for work; a look at what is held back is some. None once the readers are gone.
    fn next(&self, waiting: &Receiver<Work>) -> Option<Work> {
        let due_ms = self.poison.due_ms().map(|due| (due - (self.clock)().tick_ms).max(0));
        let due = due_ms.map(|ms| Duration::from_millis(ms.cast_unsigned()));
        let look = match self.gate.is_holding() || self.is_fading {
            true => LOOK.min(due.unwrap_or(LOOK)),
            false => match due {
                Some(due) => due,
                None => return waiting.recv().ok(),
            },
        };
        match waiting.recv_timeout(look) {
            Ok(work) => Some(work),
            Err(RecvTimeoutError::Timeout) => Some(Work::Look),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Says which letters are new, and writes them to where they are written beside.
    fn tell(&mut self, snapshot: &Snapshot) {
        let tick_ms = (self.clock)().tick_ms;
        self.poison.count(tick_ms);
        for (_, letter) in snapshot.dead_letters.since(self.told) {
            self.poison.letter(letter, tick_ms);
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

    /// Passes on whom erasures reached.
    fn erase(&mut self) {
        let Erased { subjects, letters } = self.projector.take_erased();
        if !subjects.is_empty() {
            // Nobody takes it once its thread has died, and then the process ends.
            let _ = self.erased.send(subjects);
        }
        // Those that are not told yet are told as they are now.
        let told: Vec<usize> = letters.into_iter().filter(|letter| *letter < self.told).collect();
        self.untell(&told);
    }

    fn apply(&mut self, work: Work) {
        self.has_changed |= !matches!(work, Work::Look | Work::Capture(_));
        match work {
            Work::Found { partition, start } => {
                self.gate.add(partition.topic, (self.clock)());
                self.projector.add(partition, start);
            }
            Work::Records(batch) => self.pass(|gate, now, steps| gate.take(batch, now, steps)),
            Work::Look => {
                self.poison.count((self.clock)().tick_ms);
                self.is_fading = self.is_fading && self.projector.drop_faded();
                self.pass(|gate, now, steps| gate.look(now, steps));
            }
            Work::Again { batch, letters, done } => {
                self.untell(&letters);
                self.projector.apply_again(&batch, &letters, (self.clock)().at);
                self.waiting.push(done);
            }
            Work::Discard { letters, done } => {
                self.untell(&letters);
                self.projector.discard(&letters);
                self.waiting.push(done);
            }
            Work::Capture(captured) => {
                // A version has all that was applied.
                if std::mem::take(&mut self.has_changed) {
                    self.publish();
                }
                let snapshot = self.serving.snapshot().as_ref().clone();
                let _ = captured.try_send(Box::new(self.projector.capture(snapshot, &self.gate)));
            }
            Work::Lost { partition, next, why } => {
                self.pass(|gate, now, steps| gate.release(partition, now, steps));
                self.projector.lose(partition, next, &why);
            }
            Work::Restarted { partition, log, origin, start, why } => {
                self.pass(|gate, now, steps| gate.release(partition, now, steps));
                self.projector.restart(partition, log, origin, start, &why);
            }
        }
    }

    /// Applies what the gate lets through.
    fn pass(&mut self, open: impl FnOnce(&mut Gate, Moment, Steps<'_>)) {
        let Loop {
            projector,
            gate,
            full,
            held,
            has_changed,
            unpublished,
            serving,
            metrics,
            appended,
            applied,
            is_settled,
            ..
        } = self;
        let (now, topics) = ((self.clock)(), projector.topics().clone());
        let mut apply = |batch: &Batch, until: u64| {
            let model = projector.model().clone();
            let new = batch.between(projector.position(batch.partition), until);
            *unpublished += new.len();
            let new = batch.items_in(new);
            let live = new.filter(|item| item.appended_at >= serving.started_at);
            let domain = |item: crate::event::Item<'_>| {
                let event = item.outcome.ok()?;
                Some((model.entities[event.entity].domain, item.appended_at))
            };
            appended.extend(live.filter_map(domain));
            *has_changed |= until > projector.position(batch.partition);
            projector.apply_before(batch, until, now.at);
        };
        open(gate, now, &mut |step| match step {
            Step::Part(batch, until) => apply(batch, until),
            Step::Rest(batch) => {
                apply(&batch, batch.next_offset);
                // What a flood made large is not kept for a trickle.
                if *is_settled && batch.bytes <= SPARE_BYTES && batch.counted > SPARE_SIZE_MAX {
                    metrics.batches(0, batch.counted);
                } else {
                    // Nobody takes it once the readers have ended.
                    let mut batch = *batch;
                    // It waits without what it had to say.
                    batch.clear(PartitionId::MIN);
                    let _ = applied.send(batch);
                }
            }
            Step::Split(topic) => metrics.split(&topics[topic].name),
        });
        for partition in gate.partitions() {
            let is_full = gate.is_full(partition);
            if std::mem::replace(full.grow(partition, || false), is_full) != is_full {
                serving.fill(partition, is_full);
            }
            let waits = gate.waits(partition);
            let said = held.grow(partition, || None);
            if *said != waits {
                serving.wait(partition, waits.as_ref().map(|waits| waits.reason(&topics)));
                *said = waits;
            }
        }
    }

    /// Whether records that were there at the start are still to come.
    fn is_hydrating(&self) -> bool {
        let is_short = |partition: PartitionId| {
            self.serving.target(partition).is_some_and(|target| self.projector.position(partition) < target)
        };
        self.serving.ready_at().is_none() && self.projector.partitions().ids().any(is_short)
    }
}

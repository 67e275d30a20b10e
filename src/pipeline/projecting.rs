//! The loop's inside: applies what waits, and publishes it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::poison::Poison;
use super::wired::Erasures;
use super::{Parts, Work, letters};
use crate::event::Batch;
use crate::freshness::Moment;
use crate::ids::{By, DomainId, PartitionId};
use crate::model::value::Instant;
use crate::projection::{Erased, Gate, Projector, Snapshot, Step, Steps, Waits};
use crate::serving::Generation;
use crate::source::Outlet;
use crate::telemetry::Metrics;

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

/// The projector's side. A thread runs it; whoever has no other thread steps it.
pub struct Projecting {
    waiting: Receiver<Work>,
    /// Taken of what waits, and to be applied next.
    ahead: Option<Work>,
    /// When a version is due, while more waits.
    due_ms: i64,
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
    generation: Arc<Generation>,
    metrics: Arc<Metrics>,
    clock: fn() -> Moment,
    tick: fn() -> Duration,
    outlet: Option<Box<dyn Outlet>>,
    /// To who destroys keys: entities, and subjects. It holds as many as erasures came while one is made durable.
    erased: Sender<Erasures>,
    /// Whether the next version is without something that those before it are not to keep.
    is_emptied: bool,
    /// Whether an older version is read that still has what was erased.
    is_fading: bool,
    poison: Poison,
    /// Letters from this number on are not written yet.
    told: usize,
    /// Who waits for the next version.
    told_then: Vec<SyncSender<()>>,
    /// Domain and append of what the next version makes visible.
    appended: Vec<(DomainId, Instant)>,
}

impl Projecting {
    /// `told` is what comes before all that waits. `applied` and `spare` are the two ends that batches go back through.
    pub(super) fn new(
        parts: Parts,
        told: Vec<Work>,
        waiting: Receiver<Work>,
        (applied, spare): (Sender<Batch>, Arc<Mutex<Receiver<Batch>>>),
        erased: Sender<Erasures>,
    ) -> Projecting {
        let Parts { projector, gate, generation, metrics, clock, tick, outlet, .. } = parts;
        let mut projecting = Projecting {
            waiting,
            ahead: None,
            due_ms: 0,
            projector,
            gate,
            full: By::default(),
            held: By::default(),
            has_changed: false,
            unpublished: 0,
            applied,
            spare,
            is_settled: false,
            generation,
            metrics,
            clock,
            tick,
            outlet,
            erased,
            is_emptied: false,
            is_fading: false,
            poison: Poison::default(),
            told: 0,
            told_then: Vec::new(),
            appended: Vec::new(),
        };
        // Whom a checkpoint has as erased, whose keys may still be there.
        projecting.erase();
        told.into_iter().for_each(|work| projecting.apply(work));
        if std::mem::take(&mut projecting.has_changed) {
            projecting.publish();
        }
        projecting
    }

    /// Applies what waits and publishes it as one version, until the readers are gone.
    pub fn run(mut self) {
        while let Some(work) = self.ahead.take().or_else(|| self.next()) {
            self.turn(work, Duration::MAX);
        }
    }

    /// The same for one piece of work, if there is some, without waiting for any; else looks at what is held back. Gives
    /// whether there was some.
    pub fn step(&mut self) -> bool {
        let work = self.ahead.take().or_else(|| self.waiting.try_recv().ok());
        let is_work = work.is_some();
        self.turn(work.unwrap_or(Work::Look), Duration::ZERO);
        is_work
    }

    /// Applies some work, and publishes, unless more comes that the version may wait for: that is next. It is waited for no
    /// longer than `patience`.
    fn turn(&mut self, work: Work, patience: Duration) {
        self.apply(work);
        self.erase();
        let left_ms = self.due_ms - (self.clock)().tick_ms;
        let within = match left_ms {
            ..=0 => None,
            // The next one comes: fewer versions of more events cost less, and nobody calls this fresh yet.
            _ if self.is_hydrating() => Some(Duration::from_millis(left_ms as u64)),
            _ if self.unpublished >= PUBLISH_RECORDS_MAX => None,
            _ => Some(Duration::ZERO),
        };
        self.ahead = within.and_then(|within| self.waiting.recv_timeout(within.min(patience)).ok());
        if self.ahead.is_none() && std::mem::take(&mut self.has_changed) {
            self.publish();
            self.due_ms = (self.clock)().tick_ms + PUBLISH_MS_MAX;
        }
    }

    /// Makes a version of what was applied.
    fn publish(&mut self) {
        self.unpublished = 0;
        let began = (self.tick)();
        let snapshot = self.projector.publish();
        self.tell(&snapshot);
        self.generation.publish(snapshot);
        // Versions that are held for whoever may come hold nobody who was erased, and no letter that was taken away.
        if std::mem::take(&mut self.is_emptied) {
            self.generation.let_go();
        }
        self.is_fading = self.projector.drop_faded();
        self.metrics.published((self.tick)().saturating_sub(began));
        let published_at = (self.clock)().at;
        for done in self.told_then.drain(..) {
            let _ = done.try_send(());
        }
        for (domain, at) in self.appended.drain(..) {
            let seconds = published_at.micros().saturating_sub(at.micros()).max(0) as f64 / 1e6;
            self.metrics.visible(domain, seconds);
        }
        self.metrics.versions(self.projector.pinned(), self.projector.backlog());
        if !self.is_settled && self.generation.ready_at().is_some() {
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
    fn next(&self) -> Option<Work> {
        let due_ms = self.poison.due_ms().map(|due| (due - (self.clock)().tick_ms).max(0));
        let due = due_ms.map(|ms| Duration::from_millis(ms.cast_unsigned()));
        let look = match self.gate.is_holding() || self.is_fading {
            true => LOOK.min(due.unwrap_or(LOOK)),
            false => match due {
                Some(due) => due,
                None => return self.waiting.recv().ok(),
            },
        };
        match self.waiting.recv_timeout(look) {
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
        self.is_emptied |= !subjects.is_empty() || !letters.is_empty();
        if !subjects.is_empty() {
            // Nobody takes it once its thread has died, and then the process ends.
            let _ = self.erased.send(subjects);
        }
        // Those that are not told yet are told as they are now.
        let told: Vec<usize> = letters.into_iter().filter(|letter| *letter < self.told).collect();
        self.untell(&told);
    }

    fn apply(&mut self, work: Work) {
        self.has_changed |= !matches!(work, Work::Look | Work::Capture(_) | Work::Listed { .. });
        match work {
            Work::Found { partition, start } => {
                self.gate.add(partition.topic, (self.clock)());
                self.projector.add(partition, start);
            }
            Work::Listed { topic, has_more } => self.gate.list(topic, has_more),
            Work::Records(batch) => self.pass(|gate, now, steps| gate.take(batch, now, steps)),
            Work::Look => {
                self.poison.count((self.clock)().tick_ms);
                self.is_fading = self.is_fading && self.projector.drop_faded();
                self.pass(|gate, now, steps| gate.look(now, steps));
            }
            Work::Again { batch, letters, done } => {
                self.untell(&letters);
                self.projector.apply_again(&batch, &letters, (self.clock)().at);
                self.told_then.push(done);
                self.is_emptied = true;
            }
            Work::Discard { letters, done } => {
                self.untell(&letters);
                self.projector.discard(&letters);
                self.told_then.push(done);
                self.is_emptied = true;
            }
            Work::Capture(captured) => {
                // A version has all that was applied.
                if std::mem::take(&mut self.has_changed) {
                    self.publish();
                }
                let snapshot = self.generation.snapshot().as_ref().clone();
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
        let Projecting {
            projector,
            gate,
            full,
            held,
            has_changed,
            unpublished,
            generation,
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
            let live = new.filter(|item| item.appended_at >= generation.began_at);
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
                generation.fill(partition, is_full);
            }
            let waits = gate.waits(partition);
            let said = held.grow(partition, || None);
            if *said != waits {
                generation.wait(partition, waits.as_ref().map(|waits| waits.reason(&topics)));
                *said = waits;
            }
        }
    }

    /// Whether records that were there at the start are still to come.
    fn is_hydrating(&self) -> bool {
        let is_short = |partition: PartitionId| {
            self.generation.target(partition).is_some_and(|target| self.projector.position(partition) < target)
        };
        self.generation.ready_at().is_none() && self.projector.partitions().ids().any(is_short)
    }
}

//! Takes checkpoints: now and then, when somebody asks, and at the end. The projector gives a version and goes on; what it
//! takes to write that down is this thread's.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Work;
use crate::checkpoint::{Head, Rules};
use crate::freshness::Moment;
use crate::position::Position;
use crate::projection::{Capture, Vault};
use crate::serving::{Checkpoint, Generation};
use crate::store::Checkpoints;
use crate::telemetry::Metrics;

/// Hears the positions of all checkpoints that there are.
pub type Kept = Box<dyn Fn(&[Position]) + Send>;

/// What taking checkpoints takes.
pub struct Saving {
    pub checkpoints: Checkpoints,
    pub rules: Rules,
    pub vault: Arc<dyn Vault + Send>,
    /// How often one is taken by itself.
    pub every: Duration,
    /// Whether any is taken: else they are only read.
    pub write: bool,
    pub kept: Option<Kept>,
    /// What the start was made from, and how often something had changed by then that no position tells of.
    pub from: Option<(Head, u64)>,
    /// Whether the start went without checkpoints that could not be read.
    pub is_unread: bool,
}

/// Why no checkpoint was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// None is ever taken here.
    ReadOnly,
    /// It did not work this time.
    Failed(String),
}

type Answer = Result<Checkpoint, NotTaken>;

/// What the thread is told.
enum Wish {
    /// One is wanted. None answers where nobody waits.
    Take(SyncSender<Answer>),
    /// The last one, if anything is new, and no more.
    End,
}

/// Asks for checkpoints.
#[derive(Clone)]
pub struct Checkpointing {
    /// None where checkpoints are only read, or the service stops.
    wishes: Arc<Mutex<Option<SyncSender<Wish>>>>,
}

impl Checkpointing {
    /// Takes one and returns when it is safe; the standing one where nothing is new. Blocks.
    pub fn take(&self) -> Answer {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(NotTaken::ReadOnly)?;
        let (answer, answered) = sync_channel(1);
        let stopping = || NotTaken::Failed("the service stops".into());
        wishes.send(Wish::Take(answer)).map_err(|_| stopping())?;
        drop(wishes);
        answered.recv().unwrap_or_else(|_| Err(stopping()))
    }

    pub(super) fn end(&self) {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner).take();
        wishes.into_iter().for_each(|wishes| drop(wishes.send(Wish::End)));
    }
}

/// Why none is taken any more.
const ENDED: &str = "the projection has ended";

/// Wishes that wait: each of a connection, and so bounded by those.
const WISHES_MAX: usize = 1024;

/// Takes checkpoints. A thread runs it; whoever has no other thread has it [`ask`](Self::ask), and then
/// [`keep`](Self::keep).
pub struct Checkpointer {
    saving: Saving,
    wishes: Receiver<Wish>,
    work: SyncSender<Work>,
    generation: Arc<Generation>,
    metrics: Arc<Metrics>,
    clock: fn() -> Moment,
    tick: fn() -> Duration,
    /// When the last was asked for.
    began: Duration,
    /// Of the newest: its position, and how often something had changed that no position tells of.
    last: Option<(String, u64)>,
}

impl Checkpointer {
    pub(super) fn new(
        saving: Saving,
        work: SyncSender<Work>,
        generation: Arc<Generation>,
        metrics: Arc<Metrics>,
        clock: fn() -> Moment,
        tick: fn() -> Duration,
    ) -> (Checkpointing, Checkpointer) {
        let (wish, wishes) = sync_channel(WISHES_MAX);
        let last = saving.from.as_ref().map(|(head, unplaced)| (head.position.clone(), *unplaced));
        let handle = Checkpointing { wishes: Arc::new(Mutex::new(saving.write.then_some(wish))) };
        (handle, Checkpointer { saving, wishes, work, generation, metrics, clock, tick, began: Duration::ZERO, last })
    }

    /// Runs until it is told that this was the last.
    pub(super) fn run(mut self) {
        let mut due = (self.tick)() + self.saving.every;
        loop {
            let wish = self.wishes.recv_timeout(due.saturating_sub((self.tick)()));
            let (answers, is_end) = match wish {
                Ok(Wish::Take(answer)) => {
                    // Who asks meanwhile means the same one.
                    let more: Vec<Wish> = self.wishes.try_iter().collect();
                    let is_end = more.iter().any(|wish| matches!(wish, Wish::End));
                    let others = more.into_iter().filter_map(|wish| match wish {
                        Wish::Take(answer) => Some(answer),
                        Wish::End => None,
                    });
                    (std::iter::once(answer).chain(others).collect(), is_end)
                }
                Err(RecvTimeoutError::Timeout) => (Vec::new(), false),
                Ok(Wish::End) | Err(RecvTimeoutError::Disconnected) => (Vec::new(), true),
            };
            let outcome = self.take(!answers.is_empty());
            answers.into_iter().for_each(|answer| drop(answer.try_send(outcome.clone())));
            if is_end {
                return;
            }
            due = (self.tick)() + self.saving.every;
        }
    }

    fn take(&mut self, is_wanted: bool) -> Answer {
        if let Some(answer) = self.stands(is_wanted) {
            return answer;
        }
        let captured = self.ask().and_then(|captured| captured.recv().map_err(|_| ENDED.to_owned()));
        let taken = captured.and_then(|capture| self.keep(&capture)).map_err(NotTaken::Failed);
        if let Err(NotTaken::Failed(why)) = &taken {
            self.metrics.checkpoint_failed();
            tracing::error!(why, "no checkpoint was taken: the ones before it stand");
        }
        taken
    }

    /// What is answered where none is to be taken, as nothing is new. `is_wanted`: somebody waits, and hears of the standing
    /// one.
    pub fn stands(&self, is_wanted: bool) -> Option<Answer> {
        let now = self.generation.snapshot();
        let is_new = self.last != Some((now.position().to_string(), now.unplaced));
        let standing = self.generation.serving.checkpoints().first().cloned();
        if !(is_new || is_wanted && standing.is_none()) {
            return Some(standing.ok_or(NotTaken::Failed("there is none, and nothing is new".into())));
        }
        // Before anything is known there is nothing to go on from.
        let is_empty = now.partitions.is_empty() && !is_wanted;
        is_empty.then(|| Err(NotTaken::Failed("nothing is known yet".into())))
    }

    /// Asks the projector for what is to be written.
    pub fn ask(&mut self) -> Result<Receiver<Box<Capture>>, String> {
        self.began = (self.tick)();
        let (answer, captured) = sync_channel(1);
        self.work.send(Work::Capture(answer)).map_err(|_| ENDED.to_owned())?;
        Ok(captured)
    }

    /// Writes what the projector gave.
    pub fn keep(&mut self, capture: &Capture) -> Result<Checkpoint, String> {
        let Saving { checkpoints, rules, vault, is_unread, .. } = &self.saving;
        // Those that could not be read may hold what the log had lost by then: none is to take their place.
        if let Some(lost) = capture.snapshot.partitions.iter().find_map(|partition| partition.lost.as_ref())
            && *is_unread
        {
            return Err(format!(
                "the start could not read the checkpoints that there are, and the log no longer has all ({lost}): start again now that they can be read, or take them away"
            ));
        }
        let head = checkpoints.save(capture, rules, (self.clock)().at, &**vault)?;
        self.last = Some((head.position.clone(), capture.snapshot.unplaced));
        let (bytes, seconds) = (head.bytes, ((self.tick)() - self.began).as_secs_f64());
        self.metrics.checkpoint_taken(bytes, seconds);
        tracing::info!(id = head.id, bytes, seconds, position = head.position, "a checkpoint is taken");
        self.tell();
        self.generation.serving.checkpoints().first().cloned().ok_or_else(|| "it is gone again".into())
    }

    /// Whether any is ever taken.
    pub(super) fn writes(&self) -> bool {
        self.saving.write
    }

    /// Tells which checkpoints there are. Where a start could not read them it is too early for that: the next one that is taken tells.
    pub(super) fn tell_at_start(&self) {
        if !self.saving.is_unread {
            self.tell();
        }
    }

    /// Tells which checkpoints there are.
    fn tell(&self) {
        let checkpoints = &self.saving.checkpoints;
        match checkpoints.heads() {
            Ok(heads) => {
                if let Some(kept) = &self.saving.kept {
                    // What cannot be read holds nothing.
                    let positions = heads.iter().map(|head| Position::parse(&head.position).unwrap_or_default());
                    kept(&positions.collect::<Vec<_>>());
                }
                let told = heads.into_iter().map(|head| Checkpoint {
                    location: checkpoints.location(&head.id),
                    id: head.id,
                    at: head.at,
                    position: head.position,
                    model: head.model,
                    bytes: head.bytes,
                });
                self.generation.serving.set_checkpoints(told.collect());
            }
            Err(error) => tracing::warn!(error, "which checkpoints there are is not known"),
        }
    }
}

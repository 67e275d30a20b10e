//! The one loop: receive, apply, publish. Each source has a thread that watches its logs' ends; each generation has one a source that
//! reads and decodes, and one that applies; a bounded channel lies between.

mod binary;
mod checkpointer;
mod decode;
mod erasing;
mod letters;
mod names;
mod partitions;
mod poison;
mod projecting;
mod sink;
mod wired;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use crate::event::Batch;
use crate::ids::{PartitionId, TopicId};
use crate::keys::Keys;
use crate::position::LogId;
use crate::projection::{Capture, Partition};
use crate::source::Source;
use crate::threads::{Lasts, Thread, Threads, join_all};

pub use checkpointer::{Checkpointer, Checkpointing, Kept, NotTaken, Saving};
pub use decode::{Carries, Format};
pub use letters::{Letters, NotNow, Retried, Retrier};
pub use projecting::Projecting;
pub use sink::{PartitionSink, Tellers};
pub use wired::{Line, Parts, Wired};

/// What the readers send to the projector. Partitions come before what is of them.
enum Work {
    Found {
        partition: Partition,
        start: u64,
    },
    /// Whether a topic has partitions that are not found yet.
    Listed {
        topic: TopicId,
        has_more: bool,
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
    wired: Wired,
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
    /// Runs one generation. `keys` are what is destroyed of whom an erasure reaches. `among` are the service's threads, and the
    /// pipeline's from now on.
    pub fn start(
        parts: Parts,
        sources: Vec<Arc<dyn Source>>,
        keys: Arc<Keys>,
        among: &Threads,
    ) -> std::io::Result<Pipeline> {
        let (wired, model) = (Wired::new(parts.generation.serving.clone()), parts.generation.model().clone());
        let Line { sinks, projecting, checkpointer, retrier, erased, stop } = wired.line(parts, sources.len());
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| among.spawn(name, Lasts::UntilReleased, work);
        let mut threads = Vec::new();
        for (source, mut sink) in sources.iter().zip(sinks) {
            let (watched, read, tellers) = (source.clone(), source.clone(), wired.tellers());
            threads.push(spawn("watcher", Box::new(move || watched.watch(&tellers)))?);
            threads.push(spawn("reader", Box::new(move || read.read(&mut sink)))?);
        }
        let (checkpointing, checkpointer) = checkpointer.unzip();
        let checkpointer = checkpointer.filter(Checkpointer::writes);
        let checkpointer = checkpointer.map(|taker| spawn("checkpointer", Box::new(move || taker.run())));
        let checkpointer = checkpointer.transpose()?;
        // It ends when the projector has; whatever ended that one is what is told.
        let erase = move || erasing::destroy(&keys, &model, &erased);
        threads.push(among.spawn("eraser", Lasts::UntilDone, erase)?);
        threads.push(spawn("projector", Box::new(move || projecting.run()))?);
        Ok(Pipeline { wired, stop, sources, retrier, checkpointing, checkpointer, threads })
    }

    /// Ends the threads and waits for them, at most so long; before that, for the last checkpoint. Gives the names of those that still run: one that asks a
    /// registry or a broker that does not answer, say. What was not applied yet is in the log.
    pub fn stop(self, last_checkpoint_at_most: Duration, at_most: Duration) -> Vec<String> {
        self.threads.iter().for_each(Thread::release);
        self.checkpointer.iter().for_each(Thread::release);
        self.stop.store(true, Ordering::Release);
        self.wired.stop();
        self.sources.iter().for_each(|source| source.wake());
        // It needs the projector, and comes after what is under way to that.
        self.checkpointing.iter().for_each(Checkpointing::end);
        let mut running = join_all(self.checkpointer.as_slice(), last_checkpoint_at_most);
        self.retrier.close();
        running.extend(join_all(&self.threads, at_most));
        running
    }
}

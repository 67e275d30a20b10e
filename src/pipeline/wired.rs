//! The pipeline's parts as they hang together, and nothing that runs them: threads do ([`super::Pipeline`]), or whoever steps
//! through them by hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::decode::{Format, Translator};
use super::partitions::Partitions;
use super::{Checkpointer, Checkpointing, PartitionSink, Projecting, Retrier, Saving, Tellers};
use crate::event::Decoder;
use crate::freshness::Moment;
use crate::ids::{By, EntityId, TopicId};
use crate::projection::{Gate, Projector};
use crate::serving::{Generation, Serving};
use crate::source::Outlet;
use crate::telemetry::Metrics;

/// Batches that wait for the projector. With one being made for each partition and the one being applied, a few MB.
const BATCHES_MAX: usize = 8;

/// What a generation's part of the pipeline is made of.
pub struct Parts {
    /// How records are read.
    pub formats: By<TopicId, Format>,
    pub decoder: Decoder,
    /// Where dead letters are written beside, if anywhere.
    pub outlet: Option<Box<dyn Outlet>>,
    pub projector: Projector,
    /// What holds transactions back until they are whole.
    pub gate: Gate,
    /// What it publishes to.
    pub generation: Arc<Generation>,
    /// How checkpoints are taken, if they are.
    pub saving: Option<Saving>,
    pub metrics: Arc<Metrics>,
    pub clock: fn() -> Moment,
    /// The time since some moment, by a clock that only goes forward.
    pub tick: fn() -> Duration,
}

/// Whom erasures reached: entities, and subjects.
pub type Erasures = Vec<(EntityId, String)>;

/// What all generations share, and each of them is wired to.
pub struct Wired {
    serving: Arc<Serving>,
    partitions: Arc<Partitions>,
    /// Told to all who watch logs.
    stop: Arc<AtomicBool>,
}

/// All that is to be run for one generation.
pub struct Line {
    /// What each source hands records to.
    pub sinks: Vec<PartitionSink>,
    pub projecting: Projecting,
    /// None where no place for checkpoints is configured.
    pub checkpointer: Option<(Checkpointing, Checkpointer)>,
    pub retrier: Arc<Retrier>,
    /// Whose keys are to be destroyed.
    pub erased: Receiver<Erasures>,
    /// Told to all who read and decode.
    pub stop: Arc<AtomicBool>,
}

impl Wired {
    pub fn new(serving: Arc<Serving>) -> Wired {
        Wired { serving, partitions: Arc::default(), stop: Arc::default() }
    }

    /// What a source tells of its logs to.
    pub fn tellers(&self) -> Tellers {
        let Wired { serving, partitions, stop } = self;
        Tellers { partitions: partitions.clone(), serving: serving.clone(), stop: stop.clone() }
    }

    /// Has nobody watch logs any more.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Wires a generation, which so many sources are read for. It ends once its readers have, and its retrier is closed.
    pub fn line(&self, mut parts: Parts, sources: usize) -> Line {
        let Parts { generation, metrics, .. } = &parts;
        let (generation, metrics) = (generation.clone(), metrics.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let (work, waiting) = sync_channel(BATCHES_MAX);
        // Applied batches go back to be filled again: their buffers are as large as batches are by then.
        let (applied, spare) = channel();
        let spare = Arc::new(Mutex::new(spare));
        let formats = Arc::new(std::mem::take(&mut parts.formats));
        let translator = || Translator::new(parts.decoder.clone(), formats.clone(), metrics.clone());
        let partitions = &self.partitions;
        let sink = |_| {
            PartitionSink::new(
                work.clone(),
                spare.clone(),
                translator(),
                metrics.clone(),
                partitions.clone(),
                generation.clone(),
                stop.clone(),
            )
        };
        let sinks = (0..sources).map(sink).collect();
        let (clock, tick) = (parts.clock, parts.tick);
        let checkpointer = parts.saving.take().map(|saving| {
            let (handle, taker) =
                Checkpointer::new(saving, work.clone(), generation.clone(), metrics.clone(), clock, tick);
            taker.tell_at_start();
            (handle, taker)
        });
        // The projector ends when the last reader has, and nobody can ask for letters any more.
        let retrier = Arc::new(Retrier::new(translator(), partitions.clone(), generation.clone(), work.clone()));
        let (reached, erased) = channel();
        let told = partitions.join(generation.id(), &parts.projector, work);
        let projecting = Projecting::new(parts, told, waiting, (applied, spare), reached);
        Line { sinks, projecting, checkpointer, retrier, erased, stop }
    }
}

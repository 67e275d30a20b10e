//! The pipeline's parts as they hang together, and nothing that runs them: threads do ([`super::Pipeline`]), or whoever steps
//! through them by hand.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::decode::{Format, Translator};
use super::sink::Numbers;
use super::{Checkpointer, Checkpointing, PartitionSink, Projecting, Retrier, Saving, Tellers};
use crate::event::Decoder;
use crate::freshness::Moment;
use crate::ids::{By, EntityId, TopicId};
use crate::projection::{Gate, Projector};
use crate::serving::Serving;
use crate::source::Outlet;
use crate::telemetry::Metrics;

/// Batches that wait for the projector. With one being made for each partition and the one being applied, a few MB.
const BATCHES_MAX: usize = 8;

/// What the pipeline is made of.
pub struct Parts {
    /// How records are read.
    pub formats: By<TopicId, Format>,
    pub decoder: Decoder,
    /// Where dead letters are written beside, if anywhere.
    pub outlet: Option<Box<dyn Outlet>>,
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
}

/// Whom erasures reached: entities, and subjects.
pub type Erasures = Vec<(EntityId, String)>;

/// All that is to be run.
pub struct Wired {
    /// A source's: what it tells of its logs to, and what it hands records to.
    pub sides: Vec<(Tellers, PartitionSink)>,
    pub projecting: Projecting,
    /// None where no place for checkpoints is configured.
    pub checkpointer: Option<(Checkpointing, Checkpointer)>,
    pub retrier: Arc<Retrier>,
    /// Whose keys are to be destroyed.
    pub erased: Receiver<Erasures>,
    /// Told to all who are to end.
    pub stop: Arc<AtomicBool>,
}

impl Wired {
    /// For so many sources.
    pub fn new(mut parts: Parts, sources: usize) -> Wired {
        let Parts { serving, metrics, .. } = &parts;
        let (serving, metrics) = (serving.clone(), metrics.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let (work, waiting) = sync_channel(BATCHES_MAX);
        // Applied batches go back to be filled again: their buffers are as large as batches are by then.
        let (applied, spare) = channel();
        let spare = Arc::new(Mutex::new(spare));
        let formats = Arc::new(std::mem::take(&mut parts.formats));
        let translator = || Translator::new(parts.decoder.clone(), formats.clone(), metrics.clone());
        let numbers = Arc::new(Numbers::new(work.clone(), &parts.projector));
        let side = |_| {
            let tellers = Tellers { numbers: numbers.clone(), serving: serving.clone(), stop: stop.clone() };
            let sink = PartitionSink::new(
                work.clone(),
                spare.clone(),
                translator(),
                metrics.clone(),
                numbers.clone(),
                serving.clone(),
                stop.clone(),
            );
            (tellers, sink)
        };
        let sides = (0..sources).map(side).collect();
        let (clock, tick) = (parts.clock, parts.tick);
        let checkpointer = parts.saving.take().map(|saving| {
            let (handle, taker) =
                Checkpointer::new(saving, work.clone(), serving.clone(), metrics.clone(), clock, tick);
            taker.tell_at_start();
            (handle, taker)
        });
        // The projector ends when the last reader has, and nobody can ask for letters any more.
        let retrier = Arc::new(Retrier::new(translator(), numbers.clone(), serving.clone(), work.clone()));
        let (reached, erased) = channel();
        let projecting = Projecting::new(parts, waiting, (applied, spare), reached);
        Wired { sides, projecting, checkpointer, retrier, erased, stop }
    }
}

//! What the projector publishes and the API reads: the newest version, the log's ends, and who waits for which.
//!
//! An answer's freshness comes from its version's own positions and the newest ends, so that an answer and its age cannot
//! disagree.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::freshness::{
    Basis, Demand, DomainStatus, Inputs, PartitionStatus, Sample, Thresholds, Window, domain, partition,
};
use crate::model::Model;
use crate::model::value::Instant;
use crate::position::Position;
use crate::projection::Snapshot;
use crate::source::Extent;

/// Has the logs' ends asked for at once.
pub type ContactNow = Box<dyn Fn() + Send + Sync>;

/// How far apart the windows' samples are, at least.
const SAMPLE_MS: i64 = 1000;

/// What a domain is served with.
#[derive(Clone, Debug)]
pub struct DomainServing {
    pub thresholds: Thresholds,
    /// Why its records are held back on purpose, where they are.
    pub held: Option<String>,
}

/// What the watcher last heard of a partition.
#[derive(Clone, Debug, Default)]
struct Watched {
    start: Option<u64>,
    end: Option<u64>,
    contact_at: Option<Instant>,
    end_moved_at: Option<Instant>,
    /// The end that was seen first.
    target: Option<u64>,
    /// The newest contact that found everything applied.
    caught_up_at: Option<Instant>,
    sampled_at: Option<Instant>,
    window: Window,
}

/// A record that is on its way to the graph.
#[derive(Clone, Copy, Debug)]
struct Coming {
    offset: u64,
    at: Instant,
    basis: Basis,
}

/// What the readers hold of a partition.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// The first record of each batch that is not applied yet, in order.
    coming: VecDeque<Coming>,
    /// Why its next record cannot be read now.
    blocked: Option<Arc<str>>,
    /// Whether as much of it waits as may.
    is_full: bool,
}

struct Waiter {
    demand: Demand,
    domains: Vec<usize>,
    wake: oneshot::Sender<Arc<Snapshot>>,
}

/// Every domain's and partition's status at one version and moment.
pub struct Freshness {
    pub domains: Vec<DomainStatus>,
    pub partitions: Vec<PartitionStatus>,
}

pub struct Serving {
    model: Arc<Model>,
    domains: Vec<DomainServing>,
    snapshot: ArcSwap<Snapshot>,
    /// By partition, as far as they were heard of.
    watched: RwLock<Vec<Watched>>,
    /// By partition. Readers fill it, the projector empties it, queries look.
    queues: DashMap<usize, Queue>,
    /// By topic: what a person has to know.
    remarks: DashMap<usize, Arc<str>>,
    /// Sources that have not told their partitions yet.
    unheard: AtomicUsize,
    waiters: Mutex<Vec<Waiter>>,
    contact_now: ContactNow,
    pub started_at: Instant,
    ready_at: OnceLock<Instant>,
    clock: fn() -> Instant,
}

impl Serving {
    /// Of `sources` sources, each is to tell its partitions before the service is ready.
    pub fn new(
        model: Arc<Model>,
        domains: Vec<DomainServing>,
        first: Snapshot,
        sources: usize,
        contact_now: ContactNow,
        clock: fn() -> Instant,
    ) -> Serving {
        Serving {
            model,
            domains,
            watched: RwLock::default(),
            snapshot: ArcSwap::from_pointee(first),
            queues: DashMap::new(),
            remarks: DashMap::new(),
            unheard: AtomicUsize::new(sources),
            waiters: Mutex::default(),
            contact_now,
            started_at: clock(),
            ready_at: OnceLock::new(),
            clock,
        }
    }

    /// The newest version.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// When all domains had reached the ends that were seen at the start.
    pub fn ready_at(&self) -> Option<Instant> {
        self.ready_at.get().copied()
    }

    /// Makes a version the newest, and wakes those whose demand it meets.
    pub fn publish(&self, snapshot: Snapshot) {
        for (partition, applied) in snapshot.applied.iter().enumerate() {
            if let Some(mut queue) = self.queues.get_mut(&partition) {
                while queue.coming.front().is_some_and(|coming| coming.offset < *applied) {
                    queue.coming.pop_front();
                }
            }
        }
        self.snapshot.store(Arc::new(snapshot));
        self.settle();
    }

    /// A partition is there. One that came later than the others has nothing to hydrate.
    pub fn found(&self, partition: usize) {
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        if watched.len() <= partition {
            watched.resize(partition + 1, Watched::default());
        }
        if self.ready_at().is_some() {
            watched[partition].target = Some(0);
        }
    }

    /// A record is on its way to the graph: the first of a batch, or one that is held.
    pub fn coming(&self, partition: usize, offset: u64, at: Instant, basis: Basis) {
        let mut queue = self.queues.entry(partition).or_default();
        if queue.coming.back().is_none_or(|last| last.offset < offset) {
            queue.coming.push_back(Coming { offset, at, basis });
        }
    }

    /// Why the next record of a partition cannot be read now; none once it can.
    pub fn block(&self, partition: usize, why: Option<String>) {
        self.queues.entry(partition).or_default().blocked = why.map(Into::into);
    }

    /// Says whether as much of a partition waits as may.
    pub fn fill(&self, partition: usize, is_full: bool) {
        self.queues.entry(partition).or_default().is_full = is_full;
    }

    pub fn is_full(&self, partition: usize) -> bool {
        self.queues.get(&partition).is_some_and(|queue| queue.is_full)
    }

    /// Another log of the same topic is read from now on.
    pub fn restarted(&self, partition: usize) {
        self.queues.remove(&partition);
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = watched.get_mut(partition) {
            *watched = Watched { target: watched.target.map(|_| 0), ..Watched::default() };
        }
    }

    /// What a person has to know of a topic; none once it is mended.
    pub fn remark(&self, topic: usize, remark: Option<String>) {
        match remark {
            Some(remark) => drop(self.remarks.insert(topic, remark.into())),
            None => drop(self.remarks.remove(&topic)),
        }
    }

    /// A source has told its partitions for the first time.
    pub fn answered(&self) {
        self.unheard.fetch_sub(1, Ordering::AcqRel);
        self.settle();
    }

    /// Whether every source has told its partitions.
    pub fn has_heard(&self) -> bool {
        self.unheard.load(Ordering::Acquire) == 0
    }

    /// A source has told where the logs of some partitions start and end.
    pub fn contact(&self, extents: &[Extent]) {
        let (now, snapshot) = (self.now(), self.snapshot());
        {
            let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
            for extent in extents {
                let Some(watched) = watched.get_mut(extent.partition) else { continue };
                let applied = snapshot.applied.get(extent.partition).copied().unwrap_or(0);
                if watched.end != Some(extent.end) {
                    watched.end_moved_at = Some(now);
                }
                watched.target.get_or_insert(extent.end);
                (watched.start, watched.end) = (Some(extent.start), Some(extent.end));
                watched.contact_at = Some(now);
                if applied >= extent.end {
                    watched.caught_up_at = Some(now);
                }
                if watched.sampled_at.is_none_or(|at| now.millis_since(at) >= SAMPLE_MS) {
                    watched.sampled_at = Some(now);
                    watched.window.push(Sample { at: now, applied, end: extent.end.max(applied) });
                }
            }
        }
        self.settle();
    }

    /// The end that was seen first, once it was: where hydration ends.
    pub fn target(&self, partition: usize) -> Option<u64> {
        self.watched.read().unwrap_or_else(PoisonError::into_inner).get(partition)?.target
    }

    fn settle(&self) {
        let snapshot = self.snapshot();
        if self.ready_at.get().is_none() && self.has_heard() {
            let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
            let reached = |(place, watched): (usize, &Watched)| {
                let applied = snapshot.applied.get(place).copied().unwrap_or(0);
                watched.target.is_some_and(|target| applied >= target)
            };
            if watched.iter().enumerate().all(reached) {
                let _ = self.ready_at.set(self.now());
            }
        }
        let mut waiters = self.waiters();
        if waiters.is_empty() {
            return;
        }
        let freshness = self.freshness(&snapshot, self.now());
        let (met, waiting) = std::mem::take(&mut *waiters).into_iter().partition::<Vec<_>, _>(|waiter| {
            waiter.wake.is_closed() || unmet(&snapshot, &freshness, &waiter.demand, &waiter.domains).is_empty()
        });
        *waiters = waiting;
        drop(waiters);
        met.into_iter().for_each(|waiter| drop(waiter.wake.send(snapshot.clone())));
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the version that meets the demand as soon as there is one: the very version, or the contact, that does.
    pub fn wait_for(&self, demand: &Demand, domains: &[usize]) -> oneshot::Receiver<Arc<Snapshot>> {
        let (wake, woken) = oneshot::channel();
        self.waiters().push(Waiter { demand: demand.clone(), domains: domains.to_vec(), wake });
        // Between the caller's look and the entry a version may have come: look again.
        self.settle();
        if demand.max_staleness_ms.is_some() {
            (self.contact_now)();
        }
        woken
    }

    /// Judges every partition and domain at a version.
    pub fn freshness(&self, snapshot: &Snapshot, now: Instant) -> Freshness {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        let unheard = Watched::default();
        let mut partitions = Vec::with_capacity(snapshot.partitions.len());
        for (index, (description, applied)) in snapshot.partitions.iter().zip(&snapshot.applied).enumerate() {
            let watched = watched.get(index).unwrap_or(&unheard);
            // The strictest of the domains that the partition carries judges it.
            let domains = snapshot.topics[description.topic].domains.iter().map(|domain| &self.domains[*domain]);
            let Some(serving) = domains.clone().min_by_key(|serving| serving.thresholds.fresh_within_ms) else {
                continue;
            };
            let held = domains.filter_map(|serving| serving.held.as_deref()).next();
            let queue = self.queues.get(&index);
            let first = queue.as_ref().and_then(|queue| queue.coming.iter().find(|coming| coming.offset >= *applied));
            let behind = watched.end.is_some_and(|end| end > *applied);
            let inputs = Inputs {
                applied: *applied,
                start: watched.start,
                end: watched.end,
                contact_at: watched.contact_at,
                end_moved_at: watched.end_moved_at,
                // What is not at hand was appended after the last contact that found everything applied.
                first_unapplied_at: first.map(|first| first.at).or(watched.caught_up_at).filter(|_| behind),
                basis: first.filter(|_| behind).map_or(Basis::Append, |first| first.basis),
                hydrated_at: watched.target,
                held,
                blocked: queue.as_ref().and_then(|queue| queue.blocked.as_deref()),
                lost: description.lost.as_deref(),
                window: &watched.window,
            };
            partitions.push(partition(&inputs, &serving.thresholds, now));
        }
        let domains = (0..self.model.domains.len()).map(|index| {
            let own =
                partitions.iter().enumerate().filter(|(place, _)| snapshot.topic(*place).domains.contains(&index));
            let topics = snapshot.topics.iter().enumerate().filter(|(_, topic)| topic.domains.contains(&index));
            let remark = topics.filter_map(|(topic, _)| self.remarks.get(&topic).map(|remark| remark.clone())).next();
            domain(&own.map(|(_, status)| status).collect::<Vec<_>>(), remark.as_deref(), now)
        });
        Freshness { domains: domains.collect(), partitions }
    }

    /// The position of a version in some domains.
    pub fn position(snapshot: &Snapshot, domains: &[usize]) -> Position {
        let mut position = Position::default();
        for (index, partition) in snapshot.partitions.iter().enumerate() {
            if snapshot.topics[partition.topic].domains.iter().any(|domain| domains.contains(domain)) {
                position.include(snapshot.entry(index));
            }
        }
        position
    }

    /// Refuses a demand that names a topic, or a log of it, that this service does not read.
    pub fn check_demand(snapshot: &Snapshot, demand: &Demand) -> Result<(), String> {
        for entry in demand.at_least.iter().flat_map(Position::entries) {
            let Some(topic) = snapshot.topics.iter().position(|known| known.name == entry.topic) else {
                return Err(format!(
                    "no topic `{}` is read here: its position means nothing to this service",
                    entry.topic
                ));
            };
            let own = snapshot.partitions.iter().find(|known| known.topic == topic).map(|known| known.log);
            if let (Some(log), Some(own)) = (entry.log, own)
                && log != own
            {
                return Err(format!(
                    "the position is of another log of topic `{}`: {log}, and this service reads {own}",
                    entry.topic
                ));
            }
        }
        Ok(())
    }
}

/// The partitions, as `topic/number`, that fall short of a demand on some domains.
pub fn unmet(snapshot: &Snapshot, freshness: &Freshness, demand: &Demand, domains: &[usize]) -> Vec<String> {
    let mut short = Vec::new();
    let touched = |place: usize| snapshot.topic(place).domains.iter().any(|domain| domains.contains(domain));
    for entry in demand.at_least.iter().flat_map(Position::entries) {
        let topic = snapshot.topics.iter().find(|known| known.name == entry.topic);
        if !topic.is_some_and(|topic| topic.domains.iter().any(|domain| domains.contains(domain))) {
            continue;
        }
        let mut places = 0..snapshot.partitions.len();
        let place = places.find(|place| {
            snapshot.topic(*place).name == entry.topic && snapshot.partitions[*place].number == entry.partition
        });
        if place.is_none_or(|place| snapshot.applied[place] < entry.offset) {
            short.push(format!("{}/{}", entry.topic, entry.partition));
        }
    }
    if let Some(most) = demand.max_staleness_ms {
        for (place, status) in freshness.partitions.iter().enumerate() {
            let name = snapshot.name(place);
            let too_old = status.staleness_ms.is_none_or(|staleness| staleness > most);
            if touched(place) && too_old && !short.contains(&name) {
                short.push(name);
            }
        }
    }
    short
}

//! What the projector publishes and the API reads: the newest version, the log's ends, and who waits for which.
//!
//! An answer's freshness comes from its version's own positions and the newest ends, so that an answer and its age cannot
//! disagree.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::freshness::{Demand, DomainStatus, Inputs, PartitionStatus, Sample, Thresholds, Window, domain, partition};
use crate::model::Model;
use crate::model::value::Instant;
use crate::position::Position;
use crate::projection::{Partition, Snapshot};

/// Tells when the record at an offset was appended: of a partition by its number, the offset.
pub type AppendTimes = Box<dyn Fn(usize, u64) -> Option<Instant> + Send + Sync>;

/// Has the log's ends asked for at once.
pub type ContactNow = Box<dyn Fn() + Send + Sync>;

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
    window: Window,
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
    watched: RwLock<Vec<Watched>>,
    waiters: Mutex<Vec<Waiter>>,
    append_times: AppendTimes,
    contact_now: ContactNow,
    /// By partition: the last answer of `append_times`, since many queries ask for the same.
    append_time_cache: DashMap<usize, (u64, Instant)>,
    pub started_at: Instant,
    ready_at: OnceLock<Instant>,
    clock: fn() -> Instant,
}

impl Serving {
    pub fn new(
        model: Arc<Model>,
        domains: Vec<DomainServing>,
        first: Snapshot,
        append_times: AppendTimes,
        contact_now: ContactNow,
        clock: fn() -> Instant,
    ) -> Serving {
        Serving {
            model,
            domains,
            watched: RwLock::new(vec![Watched::default(); first.partitions.len()]),
            snapshot: ArcSwap::from_pointee(first),
            waiters: Mutex::default(),
            append_times,
            contact_now,
            append_time_cache: DashMap::new(),
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
        self.snapshot.store(Arc::new(snapshot));
        self.settle();
    }

    /// The source has told where a partition starts and ends.
    pub fn contact(&self, ends: &[(u64, u64)]) {
        let now = self.now();
        {
            let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
            for (watched, (start, end)) in watched.iter_mut().zip(ends) {
                if watched.end != Some(*end) {
                    watched.end_moved_at = Some(now);
                }
                watched.target.get_or_insert(*end);
                (watched.start, watched.end, watched.contact_at) = (Some(*start), Some(*end), Some(now));
            }
        }
        self.settle();
    }

    /// Takes a sample of every partition for the windows; once a second.
    pub fn sample(&self) {
        let (snapshot, now) = (self.snapshot(), self.now());
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        for (watched, applied) in watched.iter_mut().zip(&snapshot.applied) {
            if let Some(end) = watched.end {
                watched.window.push(Sample { at: now, applied: *applied, end: end.max(*applied) });
            }
        }
    }

    /// The end that was seen first, once it was: where hydration ends.
    pub fn target(&self, partition: usize) -> Option<u64> {
        self.watched.read().unwrap_or_else(PoisonError::into_inner)[partition].target
    }

    fn settle(&self) {
        let snapshot = self.snapshot();
        if self.ready_at.get().is_none() {
            let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
            let reached =
                |(watched, applied): (&Watched, &u64)| watched.target.is_some_and(|target| *applied >= target);
            if watched.iter().zip(&snapshot.applied).all(reached) {
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
        let mut partitions = Vec::with_capacity(watched.len());
        for (index, (watched, description)) in watched.iter().zip(snapshot.partitions.iter()).enumerate() {
            let serving = &self.domains[description.domain];
            let applied = snapshot.applied[index];
            let behind = watched.end.is_some_and(|end| end > applied);
            let inputs = Inputs {
                applied,
                start: watched.start,
                end: watched.end,
                contact_at: watched.contact_at,
                end_moved_at: watched.end_moved_at,
                first_unapplied_at: if behind { self.appended_at(index, applied) } else { None },
                hydrated_at: watched.target,
                held: serving.held.as_deref(),
                window: &watched.window,
            };
            partitions.push(partition(&inputs, &serving.thresholds, now));
        }
        let domains = (0..self.model.domains.len()).map(|index| {
            let own =
                snapshot.partitions.iter().zip(&partitions).filter(|(description, _)| description.domain == index);
            domain(&own.map(|(_, status)| status).collect::<Vec<_>>(), now)
        });
        Freshness { domains: domains.collect(), partitions }
    }

    fn appended_at(&self, partition: usize, offset: u64) -> Option<Instant> {
        let known = self.append_time_cache.get(&partition).map(|known| *known);
        if let Some((_, at)) = known.filter(|(known, _)| *known == offset) {
            return Some(at);
        }
        let at = (self.append_times)(partition, offset)?;
        self.append_time_cache.insert(partition, (offset, at));
        Some(at)
    }

    /// The position of a version in some domains.
    pub fn position(snapshot: &Snapshot, domains: &[usize]) -> Position {
        let mut position = Position::default();
        for (index, partition) in snapshot.partitions.iter().enumerate() {
            if domains.contains(&partition.domain) {
                position.include(snapshot.entry(index));
            }
        }
        position
    }

    /// Refuses a demand that names a topic, or a log of it, that this service does not read.
    pub fn check_demand(snapshot: &Snapshot, demand: &Demand) -> Result<(), String> {
        for entry in demand.at_least.iter().flat_map(Position::entries) {
            let of_topic: Vec<&Partition> =
                snapshot.partitions.iter().filter(|known| known.topic == entry.topic).collect();
            let Some(known) = of_topic.first() else {
                return Err(format!(
                    "no topic `{}` is read here: its position means nothing to this service",
                    entry.topic
                ));
            };
            if let Some(log) = entry.log.filter(|log| *log != known.log) {
                let own = known.log;
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
    for entry in demand.at_least.iter().flat_map(Position::entries) {
        let domain = snapshot.partitions.iter().find(|known| known.topic == entry.topic).map(|known| known.domain);
        if !domain.is_some_and(|domain| domains.contains(&domain)) {
            continue;
        }
        let place =
            snapshot.partitions.iter().position(|known| known.topic == entry.topic && known.number == entry.partition);
        if place.is_none_or(|place| snapshot.applied[place] < entry.offset) {
            short.push(format!("{}/{}", entry.topic, entry.partition));
        }
    }
    if let Some(most) = demand.max_staleness_ms {
        for (known, status) in snapshot.partitions.iter().zip(&freshness.partitions) {
            let name = format!("{}/{}", known.topic, known.number);
            let too_old = status.staleness_ms.is_none_or(|staleness| staleness > most);
            if domains.contains(&known.domain) && too_old && !short.contains(&name) {
                short.push(name);
            }
        }
    }
    short
}

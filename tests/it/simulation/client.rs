//! Those who wait for a version, each a future that is polled when it was woken, and only then.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use staygraph::freshness::Demand;
use staygraph::ids::{DomainId, Id as _, PartitionId};
use staygraph::position::{Entry, LogId, Position};
use staygraph::projection::Snapshot;
use staygraph::serving::{Generation, Pinned, TooMany, Wanted};

use super::cluster::{Cluster, NAMES};
use super::dice::Dice;
use super::life::is_exact;

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Something that goes on when it was woken.
pub struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Woken>,
}

impl<T> Task<T> {
    pub fn new(future: impl Future<Output = T> + 'static) -> Task<T> {
        Task { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Acquire)
    }

    pub fn go_on(&mut self) -> Poll<T> {
        self.woken.0.store(false, Ordering::Release);
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// By topic and number: what sources know partitions' logs as.
pub type Logs = BTreeMap<(&'static str, u32), LogId>;

/// More than ever wait.
const WAITING_MAX: usize = 100;

pub struct Client {
    pub task: Task<Result<Pinned, TooMany>>,
    /// What it waits for, once more.
    wanted: Wanted,
    domains: Vec<DomainId>,
    at_least: Option<Position>,
    pub max_staleness_ms: Option<i64>,
}

impl Client {
    /// Wants some positions, or what is not too old, or both, of some domains.
    pub fn new(generation: &Arc<Generation>, cluster: &Cluster, dice: &mut Dice) -> Client {
        let mut position = Position::default();
        for log in cluster.logs.iter().filter(|log| log.topic.index() < 2) {
            if dice.percent(40) {
                let offset = dice.below(log.end as usize + 3) as u64;
                let topic = NAMES[log.topic.index()].into();
                position.include(Entry { topic, log: None, partition: log.number, offset });
            }
        }
        let max_staleness_ms = dice.percent(40).then(|| *dice.one(&[0, 20, 300, 6000, 100_000]));
        let at_least = Some(position).filter(|position| !position.is_empty());
        let domains = match dice.below(3) {
            2 => vec![DomainId(0), DomainId(1)],
            one => vec![DomainId::of(one)],
        };
        let demand = Demand { at_least: at_least.clone(), max_staleness_ms, ..Demand::default() };
        let wanted = || Wanted::new(&generation.snapshot(), &demand, &domains).expect("its topics are known");
        let (generation, mut own) = (generation.clone(), wanted());
        let task = Task::new(async move { generation.wait_for(&mut own, WAITING_MAX).await });
        Client { task, wanted: wanted(), domains, at_least, max_staleness_ms }
    }

    /// Whether a version has all positions that it wants.
    fn has_positions(&self, snapshot: &Snapshot, logs: &Logs) -> bool {
        let entries = self.at_least.iter().flat_map(Position::entries);
        let of_domains =
            entries.filter(|entry| self.domains.iter().any(|domain| NAMES[domain.index()] == &*entry.topic));
        of_domains.into_iter().all(|entry| {
            let known = snapshot
                .partitions
                .find(|known| snapshot.topics[known.topic].name == entry.topic && known.number == entry.partition);
            // What is applied of another log is not what is wanted.
            let is_of = |log: LogId| logs.get(&(&*entry.topic, entry.partition)).is_none_or(|known| *known == log);
            let applied = |partition: PartitionId| match is_of(snapshot.partitions[partition].log) {
                true => snapshot.applied[partition],
                false => 0,
            };
            known.is_some_and(|partition| applied(partition) >= entry.offset)
        })
    }

    /// It goes on, if it was woken. Gives whether it has its answer.
    pub fn go_on(&mut self, generation: &Arc<Generation>, cluster: &Cluster, logs: &Logs) -> bool {
        if !self.task.is_woken() {
            return false;
        }
        match self.task.go_on() {
            Poll::Pending => false,
            Poll::Ready(answer) => {
                let pinned = answer.unwrap_or_else(|_| panic!("few wait"));
                assert_eq!(pinned.snapshot.version, generation.snapshot().version, "it is the newest");
                assert!(
                    self.has_positions(&pinned.snapshot, logs),
                    "{:?} of {}",
                    self.at_least,
                    pinned.snapshot.position()
                );
                if let Some(most) = self.max_staleness_ms {
                    for domain in self.domains.iter().filter(|domain| is_exact(&pinned, domain.index())) {
                        let told = cluster.is_applied_in(&pinned.snapshot, domain.index(), most);
                        assert_eq!(told, Ok(()), "it wants {most} ms at most");
                    }
                }
                true
            }
        }
    }

    /// Nobody waits for what is there.
    pub fn check_waits(&self, generation: &Arc<Generation>, logs: &Logs, knows_age: bool) {
        let pinned = generation.pin();
        let is_new = self.max_staleness_ms.is_none() || knows_age && self.wanted.short(&pinned).is_empty();
        let is_there = is_new && self.has_positions(&pinned.snapshot, logs);
        let (wants, has) = (&self.at_least, pinned.snapshot.position());
        assert!(!is_there, "somebody waits for {wants:?} and {:?} ms, and there is {has}", self.max_staleness_ms);
    }
}

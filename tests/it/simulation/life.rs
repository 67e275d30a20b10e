//! A process, from its start to when it is killed: the pipeline as it is wired, and sources that tell and hand on what they like.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use staygraph::cdc::Mapping;
use staygraph::checkpoint::Rules;
use staygraph::encoding::Encoding;
use staygraph::freshness::{Basis, Cause, Status, Thresholds};
use staygraph::ids::{By, DomainId, EntityId, Id as _, PartitionId, TopicId};
use staygraph::pipeline::{
    Carries, Checkpointer, Format, Line, PartitionSink, Parts, Projecting, Saving, Tellers, Wired,
};
use staygraph::position::LogId;
use staygraph::projection::{Boundaries, Capture, Gate, Partition, Projector, Snapshot, Topic};
use staygraph::serving::{DomainServing, Generation, Pinned, Serving};
use staygraph::source::{Asked, Extent, Found, Raw, Registrar as _, Sink as _, Taken};
use staygraph::store::{Checkpoints, Restore};
use staygraph::telemetry::Metrics;

use super::belief::{Belief, Lane};
use super::client::{Client, Logs, Task};
use super::cluster::{BOUNDARIES, Cluster, Log, NAMES};
use super::dice::{Dice, moment, now_ms, pass, tick};
use super::shadow::Shadow;
use super::shelf::Shelf;
use crate::laws::{Hidden, digests};

/// Checkpoints that are kept.
const KEEP: usize = 2;
/// Less than what the channel to the projector holds: whoever sends more on one thread waits for himself.
const QUEUED_MAX: usize = 6;

/// What outlives a process.
pub struct Disk {
    pub shelf: Shelf,
    /// By checkpoint: what it should hold.
    pub saved: BTreeMap<String, Belief>,
    /// Whose keys are destroyed.
    pub destroyed: BTreeSet<(EntityId, String)>,
    pub hold_max_ms: i64,
}

/// A partition that a source reads.
#[derive(Clone)]
pub struct Feed {
    pub place: usize,
    pub partition: PartitionId,
    pub origin: LogId,
    pub log: LogId,
    /// Where its log goes on for who read the one before it.
    pub start: u64,
    pub next: u64,
    pub is_gone: bool,
    is_read: bool,
    /// Whether something was taken since the last flush.
    is_pending: bool,
    given_at: i64,
    /// Answers to what was asked by then are not taken.
    restarted_at: Option<i64>,
}

pub struct Life {
    pub generation: Arc<Generation>,
    wired: Wired,
    boundaries: Vec<Boundaries>,
    pub shadow: Option<Shadow>,
    projecting: Projecting,
    checkpointer: Checkpointer,
    sides: Vec<(Tellers, PartitionSink)>,
    erased: Receiver<Vec<(EntityId, String)>>,
    relay: Task<()>,
    pub clients: Vec<Client>,
    feeds: Vec<Feed>,
    /// By topic: what it was made as, once that is known.
    origins: Vec<Option<LogId>>,
    /// What sources have told and did not arrive yet.
    late: VecDeque<(usize, Asked, Vec<Extent>)>,
    /// The ends that were told first.
    targets: BTreeMap<PartitionId, u64>,
    pub belief: Belief,
    /// Partitions of an earlier process that are there no more.
    gone: BTreeSet<usize>,
    queued: usize,
    asked: Option<Receiver<Box<Capture>>>,
    captured: Option<Box<Capture>>,
    version: u64,
    positions: Vec<(LogId, u64)>,
    began_at: i64,
    /// Whether records came since those who wait were told something.
    has_come: bool,
    is_ready: bool,
    /// Transactions that may be seen in part: something of them did not come for as long as that is waited for.
    split: BTreeSet<u64>,
}

pub fn topics(cluster: &Cluster) -> By<TopicId, Topic> {
    let topic = |topic: usize| Topic {
        source: "cluster".into(),
        name: NAMES[topic].into(),
        domains: if topic == BOUNDARIES.index() { Arc::default() } else { [DomainId::of(topic)].into() },
    };
    (0..cluster.topics()).map(topic).collect()
}

pub fn formats(cluster: &Cluster) -> By<TopicId, Format> {
    let format = |(id, topic): (TopicId, &Topic)| Format {
        domains: topic.domains.clone(),
        encoding: Encoding::Json,
        registry: None,
        carries: match cluster.has_transactions {
            false => Carries::Events,
            true if id == BOUNDARIES => Carries::Boundaries,
            true => {
                let mapping = Mapping::compile(&topic.name, "rows.jq", ".after.event").expect("a program");
                Carries::Changes { mapping: Arc::new(mapping), in_transactions: true }
            }
        },
    };
    topics(cluster).entries().map(format).collect()
}

/// Whether a topic's ages are told by the log's clock and ours: a producer's may say anything.
pub fn is_exact(pinned: &Pinned, topic: usize) -> bool {
    let (snapshot, statuses) = (&pinned.snapshot, &pinned.freshness.partitions);
    let mut own = statuses.entries().filter(|(id, _)| snapshot.partitions[*id].topic.index() == topic);
    own.all(|(_, status)| status.as_of_basis == Basis::Append)
}

/// By transaction: whether a version has some of its rows, and whether it misses some.
type SeenRows = BTreeMap<u64, (bool, bool)>;

fn seen(cluster: &Cluster, snapshot: &Snapshot) -> SeenRows {
    let mut seen = SeenRows::new();
    for log in &cluster.logs {
        let is_it = |known: &Partition| (known.topic, known.number) == (log.topic, log.number);
        let applied = snapshot.partitions.find(is_it).map_or(0, |partition| snapshot.applied[partition]);
        for record in &log.records {
            let Some(transaction) = record.transaction else { continue };
            let seen = seen.entry(transaction).or_default();
            match record.offset < applied {
                true => seen.0 = true,
                false => seen.1 = true,
            }
        }
    }
    seen
}

fn halves(seen: &SeenRows) -> impl Iterator<Item = u64> {
    seen.iter().filter(|(_, (has, misses))| *has && *misses).map(|(transaction, _)| *transaction)
}

impl Life {
    /// Starts from what is on the disk.
    pub fn begin(cluster: &Cluster, disk: &Disk) -> Life {
        let world = &cluster.world;
        let anew = || Projector::new(world.model.clone(), world.rules.clone(), topics(cluster), 1_000_000);
        let tables = [0, 1].map(|topic| (format!("public.{}", NAMES[topic]).into(), TopicId::of(topic)));
        let boundaries = Boundaries { topic: BOUNDARIES, tables: tables.into(), hold_max_ms: disk.hold_max_ms };
        let boundaries = if cluster.has_transactions { vec![boundaries] } else { Vec::new() };
        let gate = || Gate::new(boundaries.clone(), moment());
        let checkpoints = Checkpoints::new(Box::new(disk.shelf.clone()), KEEP);
        let rules = Rules::new();
        let restore = Restore {
            model: &world.model,
            rules: &rules,
            anew: &anew,
            vault: &Hidden,
            now: moment(),
            reaches: &|_| Ok(()),
        };
        let started = checkpoints.start(&restore, &gate).expect("the shelf can be read");
        let (mut projector, gate, from, belief) = match started.from {
            Some((head, projector, gate)) => {
                let belief = disk.saved[&head.id].clone();
                let unplaced = projector.unplaced();
                (projector, gate, Some((head, unplaced)), belief)
            }
            None => (anew(), gate(), None, Belief::default()),
        };
        let first = projector.publish();
        belief.check(cluster, &first);
        // Those that a process before it did not wait for any longer.
        let split = halves(&seen(cluster, &first)).collect();
        let domains = [(); 2].map(|()| DomainServing { thresholds: Thresholds::default(), held: None });
        let (version, count) = (first.version, cluster.topics());
        let serving = Arc::new(Serving::new(count, count, Box::new(|| {}), moment));
        let generation = serving.begin(world.model.clone(), Vec::from(domains).into(), first);
        let is_unread = started.is_unread && from.is_none();
        let (every, vault) = (Duration::MAX, Arc::new(Hidden));
        let saving = Saving { checkpoints, rules, vault, every, write: true, kept: None, from, is_unread };
        let parts = Parts {
            formats: formats(cluster),
            decoder: world.decoder.clone(),
            outlet: None,
            projector,
            gate,
            generation: generation.clone(),
            saving: Some(saving),
            metrics: Arc::new(Metrics::new(world.model.clone()).expect("names that are new")),
            clock: moment,
            tick,
        };
        let wired = Wired::new(serving);
        let Line { sinks, projecting, checkpointer, retrier: _, erased, stop: _ } = wired.line(parts, count);
        let sides = sinks.into_iter().map(|sink| (wired.tellers(), sink)).collect();
        let (_, checkpointer) = checkpointer.expect("it has a place for them");
        Life {
            wired,
            boundaries,
            shadow: None,
            projecting,
            checkpointer,
            sides,
            erased,
            relay: Task::new(generation.clone().relay()),
            clients: Vec::new(),
            feeds: Vec::new(),
            origins: vec![None; count],
            late: VecDeque::new(),
            targets: BTreeMap::new(),
            belief,
            gone: BTreeSet::new(),
            queued: 0,
            asked: None,
            captured: None,
            version,
            positions: Vec::new(),
            began_at: now_ms(),
            has_come: false,
            is_ready: false,
            split,
            generation,
        }
    }

    /// Leaves room for one more piece of work.
    fn send(&mut self) {
        if self.queued >= QUEUED_MAX {
            while self.projecting.step() {}
            self.queued = 0;
        }
        self.queued += 1;
        // What is told of partitions is told to both.
        self.shadow.iter_mut().for_each(Shadow::send);
    }

    /// Another generation begins; or the one that had is no more.
    pub fn overshadow(&mut self, cluster: &Cluster) -> bool {
        match self.shadow.take() {
            Some(shadow) => shadow.discard(),
            None => {
                let gate = Gate::new(self.boundaries.clone(), moment());
                self.shadow = Some(Shadow::begin(&self.wired, &self.generation.serving, cluster, gate));
            }
        }
        self.shadow.is_some()
    }

    /// The other generation's reader hands some on.
    pub fn hand_on_there(&mut self, cluster: &Cluster, feed: usize, count: usize, flushes: bool) {
        if let (Some(shadow), Some(feed)) = (&mut self.shadow, self.feeds.get(feed)) {
            if feed.is_gone {
                shadow.reads_nothing_of(feed);
            }
            shadow.hand_on(cluster, feed, count, flushes);
        }
    }

    fn of_topic(&self, topic: usize) -> Vec<usize> {
        (0..self.feeds.len()).filter(|index| self.feeds[*index].place / 2 == topic).collect()
    }

    fn sink(&mut self, feed: usize) -> (&mut PartitionSink, PartitionId) {
        let feed = &self.feeds[feed];
        (&mut self.sides[feed.place / 2].1, feed.partition)
    }

    fn flush(&mut self, feed: usize) {
        if std::mem::take(&mut self.feeds[feed].is_pending) {
            self.reach(feed, self.feeds[feed].next);
        }
    }

    /// All before `next` was handed on.
    fn reach(&mut self, feed: usize, next: u64) {
        self.send();
        self.belief.lanes[self.feeds[feed].partition].reach(next);
        self.feeds[feed].given_at = now_ms();
        let (sink, partition) = self.sink(feed);
        assert_eq!(sink.flush(partition, next), Taken::Yes);
    }

    fn restart(&mut self, feed: usize, log: LogId, origin: LogId, start: u64) {
        self.flush(feed);
        self.send();
        let (sink, partition) = self.sink(feed);
        assert_eq!(sink.restart(partition, log, origin, start, "another log".into()), Taken::Yes);
        self.belief.lanes[partition].restart(log, origin, start);
        // It hydrates no more.
        self.targets.entry(partition).and_modify(|target| *target = 0);
        let feed = &mut self.feeds[feed];
        (feed.log, feed.origin, feed.next, feed.restarted_at) = (log, origin, start, Some(now_ms()));
        feed.start = start;
        let feed = feed.clone();
        if let Some(shadow) = &mut self.shadow {
            shadow.restart(&feed, log, origin, start);
        }
    }

    /// A source asks which partitions a topic has, and what became of those that it knows.
    pub fn list(&mut self, cluster: &mut Cluster, topic: usize, dice: &mut Dice) {
        let asked = self.sides[topic].0.asked();
        // It takes its time to answer.
        pass(dice.below(4) as i64);
        let origin = cluster.of_topic(topic)[0].origin;
        let is_other = self.origins[topic].is_some_and(|known| known != origin);
        for feed in self.of_topic(topic) {
            let Feed { place, partition, is_gone, log: known_as, next, .. } = self.feeds[feed];
            let log = &mut cluster.logs[place];
            if is_other {
                self.restart(feed, origin, origin, 0);
                self.feeds[feed].is_gone = !log.is_there;
                if !log.is_there {
                    self.sides[topic].1.reads(partition, true);
                }
            } else if is_gone && log.is_there {
                self.restart(feed, origin, origin, 0);
                self.feeds[feed].is_gone = false;
            } else if std::mem::take(&mut log.is_cut) && next > log.end {
                let (cut, end) = (known_as.cut(log.end), log.end);
                log.known_as = cut;
                self.restart(feed, cut, origin, end);
            }
        }
        let is_first = self.origins[topic].replace(origin).is_none();
        let of = cluster.of_topic(topic).iter().filter(|log| log.is_there).map(|log| log.number);
        let is_found = |number: &u32| self.feeds.iter().any(|feed| feed.place == topic * 2 + *number as usize);
        let mut new: Vec<u32> = of.filter(|number| !is_found(number)).collect();
        // Each that an earlier process knew, and that is there no more, is begun anew.
        for (_, lane) in self.belief.lanes.entries_mut().filter(|(_, lane)| lane.place / 2 == topic) {
            let is_found = self.feeds.iter().any(|feed| feed.place == lane.place);
            if !is_found && !cluster.logs[lane.place].is_there && self.gone.insert(lane.place) {
                let (log, origin) = (lane.last().log, lane.last().origin);
                lane.restart(log, origin, 0);
                self.queued += 1;
            }
        }
        self.send();
        self.send();
        self.sides[topic].0.listed(&asked, TopicId::of(topic), new.clone());
        for number in new.clone() {
            if dice.percent(85) {
                self.find(cluster, topic * 2 + number as usize);
                new.retain(|other| *other != number);
            }
        }
        self.send();
        self.sides[topic].0.listed(&asked, TopicId::of(topic), new);
        if is_first {
            self.sides[topic].0.answered();
        }
        let gone = self.of_topic(topic).into_iter().map(|feed| &self.feeds[feed]).filter(|feed| feed.is_gone);
        let gone: Vec<Extent> = gone.map(|feed| Extent::committed(feed.partition, 0, 0)).collect();
        self.sides[topic].0.contact(&asked, &gone);
    }

    fn find(&mut self, cluster: &mut Cluster, place: usize) {
        let log = &mut cluster.logs[place];
        let found = Found { topic: log.topic, number: log.number, log: log.origin, start: log.start };
        self.send();
        let placed = self.sides[place / 2].0.find(found);
        let (origin, start) = (log.origin, log.start);
        let partition = match self.belief.lanes.find(|lane| lane.place == place) {
            None => self.belief.lanes.push(Lane::new(place, origin, start)),
            Some(id) => {
                let lane = &mut self.belief.lanes[id];
                match lane.last().origin == origin {
                    true => lane.reach(start),
                    false => lane.restart(origin, origin, start),
                }
                id
            }
        };
        let last = self.belief.lanes[partition].last();
        let from = self.sides[place / 2].1.begin(partition, placed.log, origin, 0);
        assert_eq!((placed.partition, from, placed.log), (partition, last.end, last.log), "of {place}");
        log.known_as = placed.log;
        self.feeds.push(Feed {
            place,
            partition,
            origin,
            log: placed.log,
            start: 0,
            next: from,
            is_gone: false,
            is_read: false,
            is_pending: false,
            given_at: now_ms(),
            restarted_at: None,
        });
    }

    /// A source asks where a topic's logs end. Its answer may be late.
    pub fn contact(&mut self, cluster: &Cluster, topic: usize, is_late: bool) {
        let asked = self.sides[topic].0.asked();
        let mut extents = Vec::new();
        for feed in self.of_topic(topic).into_iter().map(|feed| &self.feeds[feed]) {
            let log = &cluster.logs[feed.place];
            if log.is_there && log.origin == feed.origin {
                extents.push(Extent::committed(feed.partition, log.start, log.end));
            }
        }
        self.late.push_back((topic, asked, extents));
        if !is_late {
            while self.hear() {}
        }
    }

    /// An answer arrives that was late.
    pub fn hear(&mut self) -> bool {
        let Some((topic, asked, extents)) = self.late.pop_front() else { return false };
        for extent in &extents {
            let feed = self.feeds.iter().find(|feed| feed.partition == extent.partition).expect("it was found");
            if feed.restarted_at.is_none_or(|at| at < asked.moment.tick_ms) {
                let target = self.targets.entry(extent.partition).or_insert(extent.end);
                // What a log lost is not waited for.
                *target = (*target).min(extent.end);
            }
        }
        self.sides[topic].0.contact(&asked, &extents);
        true
    }

    /// A source hands on so many records of a partition; then, perhaps, sends them on their way.
    pub fn hand_on(&mut self, cluster: &Cluster, feed: usize, count: usize, flushes: bool) {
        let Some(Feed { place, origin, next, is_gone, is_read, .. }) = self.feeds.get(feed) else { return };
        let (log, next) = (&cluster.logs[*place], *next);
        if *is_gone || log.origin != *origin || next > log.end {
            return;
        }
        if !is_read {
            self.feeds[feed].is_read = true;
            let (sink, partition) = self.sink(feed);
            sink.reads(partition, true);
        }
        if next < log.start {
            self.flush(feed);
            self.send();
            let (sink, partition) = self.sink(feed);
            assert_eq!(sink.lose(partition, log.start, "it is gone".into()), Taken::Yes);
            self.belief.lanes[partition].reach(log.start);
            self.feeds[feed].next = log.start;
        }
        let next = self.feeds[feed].next;
        let coming = log.records.iter().filter(|record| record.offset >= next);
        for record in coming.take(count) {
            if !self.take(cluster, feed, record.offset) {
                break;
            }
        }
        let is_over = log.records.iter().all(|record| record.offset < self.feeds[feed].next);
        if flushes && is_over && self.feeds[feed].next < log.end {
            (self.feeds[feed].next, self.feeds[feed].is_pending) = (log.end, true);
        }
        if flushes {
            self.flush(feed);
        }
    }

    fn take(&mut self, cluster: &Cluster, feed: usize, offset: u64) -> bool {
        let log = &cluster.logs[self.feeds[feed].place];
        let record = log.records.iter().find(|record| record.offset == offset).expect("it is there");
        let (at, basis) = record.stamp;
        self.has_come = true;
        let raw = Raw { offset, at, basis, key: None, value: Some(&record.value), headers: &[] };
        let (sink, partition) = self.sink(feed);
        match sink.take(partition, &raw) {
            Taken::Yes => {
                self.belief.lanes[partition].give(offset, record.given.clone());
                let feed = &mut self.feeds[feed];
                (feed.next, feed.is_pending) = (feed.next.max(offset + 1), true);
                true
            }
            Taken::Full if sink.is_paused(partition) => false,
            taken => panic!("{taken:?}"),
        }
    }

    /// A source hands some on once more.
    pub fn repeat(&mut self, cluster: &Cluster, feed: usize, count: usize) {
        let Some(Feed { place, origin, next, is_gone, .. }) = self.feeds.get(feed) else { return };
        let (log, next) = (&cluster.logs[*place], *next);
        if *is_gone || log.origin != *origin || next > log.end {
            return;
        }
        self.flush(feed);
        let before = log.records.iter().filter(|record| record.offset < next).count();
        let again = log.records[..before].iter().skip(before.saturating_sub(count));
        for record in again {
            let known = self.belief.lanes[self.feeds[feed].partition].last();
            // What was there before it began is nobody's.
            if record.offset >= known.start {
                self.take(cluster, feed, record.offset);
            }
        }
        self.flush(feed);
    }

    /// The logs as sources know them.
    fn logs(&self) -> Logs {
        self.feeds.iter().map(|feed| ((NAMES[feed.place / 2], (feed.place % 2) as u32), feed.log)).collect()
    }

    pub fn feeds(&self) -> usize {
        self.feeds.len()
    }

    /// The projector does one thing.
    pub fn project(&mut self) -> bool {
        let is_work = self.projecting.step();
        self.queued = if is_work { self.queued.saturating_sub(1) } else { 0 };
        is_work
    }

    /// Somebody wants something.
    pub fn ask(&mut self, cluster: &Cluster, dice: &mut Dice) {
        self.clients.push(Client::new(&self.generation, cluster, dice));
    }

    /// Those go on who were told something.
    pub fn wake(&mut self, cluster: &Cluster) {
        while self.relay.is_woken() {
            let _ = self.relay.go_on();
        }
        let (generation, logs) = (&self.generation, self.logs());
        // A record that comes may date a version, and wakes nobody: the next contact does.
        let has_come = std::mem::take(&mut self.has_come);
        self.clients.retain_mut(|client| {
            let is_woken = client.task.is_woken();
            let is_over = client.go_on(generation, cluster, &logs);
            if !is_over {
                client.check_waits(generation, &logs, is_woken || !has_come);
            }
            !is_over
        });
        assert_eq!(self.generation.waiting(), self.clients.len());
    }

    /// A checkpoint comes a step further. Gives whether the process died of it.
    pub fn checkpoint(&mut self, disk: &mut Disk, fuse: Option<usize>) -> bool {
        if let Some(capture) = self.captured.take() {
            let belief = self.belief.at(&capture.snapshot);
            disk.shelf.set_fuse(fuse);
            let kept = self.checkpointer.keep(&capture);
            disk.shelf.set_fuse(None);
            let ids = disk.shelf.ids();
            for id in ids.iter().filter(|id| !disk.saved.contains_key(*id)).collect::<Vec<_>>() {
                disk.saved.insert(id.clone(), belief.clone());
            }
            if let Ok(kept) = &kept {
                assert!(ids.len() <= KEEP && ids.last() == Some(&kept.id), "{ids:?}");
                assert_eq!(kept.position, capture.snapshot.position().to_string());
            }
            assert!(kept.is_ok() || fuse.is_some(), "{kept:?}");
            return kept.is_err();
        }
        if let Some(asked) = self.asked.take() {
            match asked.try_recv() {
                Ok(capture) => self.captured = Some(capture),
                Err(_) => self.asked = Some(asked),
            }
        } else if self.checkpointer.stands(false).is_none() {
            self.send();
            self.asked = Some(self.checkpointer.ask().expect("the projector is there"));
        }
        false
    }

    /// Whether a checkpoint is under way.
    pub fn is_saving(&self) -> bool {
        self.asked.is_some() || self.captured.is_some()
    }

    /// Holds all that is said against the truth.
    pub fn check(&mut self, cluster: &Cluster, disk: &mut Disk) {
        disk.destroyed.extend(self.erased.try_iter().flatten());
        let snapshot = self.generation.snapshot();
        assert!(snapshot.version >= self.version);
        if snapshot.version > self.version {
            self.check_held(&snapshot);
            self.version = snapshot.version;
            let positions: Vec<(LogId, u64)> =
                snapshot.partitions.entries().map(|(id, known)| (known.log, snapshot.applied[id])).collect();
            for (then, now) in self.positions.iter().zip(&positions) {
                assert!(then.0 != now.0 || then.1 <= now.1 || now.1 == 0, "{then:?} was applied, and now {now:?}");
            }
            if positions != self.positions {
                let belief = self.belief.at(&snapshot);
                belief.check(cluster, &snapshot);
                for id in belief.erased(cluster, &snapshot.graph) {
                    assert!(disk.destroyed.contains(&id), "nobody was told that {id:?} is erased");
                }
            }
            self.positions = positions;
        }
        self.check_transactions(cluster, disk);
        self.shadow.iter_mut().for_each(|shadow| shadow.check(cluster));
        let pinned = self.generation.pin();
        let partitions = pinned.freshness.partitions.entries();
        let is_exact = |topic: usize| is_exact(&pinned, topic);
        for (id, status) in partitions {
            let known = &snapshot.partitions[id];
            let log = &cluster.of_topic(known.topic.index())[known.number as usize];
            // Whoever pauses something sees it paused, unless something worse is said; nobody else does.
            let is_paused = self.generation.serving.pauses().of(known.topic, known.number).is_some();
            let is_worse = matches!(
                status.cause,
                Cause::DataLost | Cause::SourceUnreachable | Cause::RetentionRisk | Cause::Stalled
            );
            assert!(is_worse || is_paused == (status.cause == Cause::Paused), "{status:?}");
            if let Some(staleness_ms) = status.staleness_ms.filter(|_| is_exact(known.topic.index())) {
                assert_eq!(cluster.is_applied(&snapshot, log, staleness_ms), Ok(()), "{status:?}");
            }
        }
        for (id, status) in pinned.freshness.domains.entries().filter(|(id, _)| is_exact(id.index())) {
            if let Some(staleness_ms) = status.staleness_ms {
                assert_eq!(cluster.is_applied_in(&snapshot, id.index(), staleness_ms), Ok(()), "{status:?}");
            }
            let is_fresh = status.status == Status::Fresh;
            assert!(!is_fresh || status.staleness_ms.is_some_and(|staleness| staleness <= 5000), "{status:?}");
        }
        if self.generation.ready_at().is_some() && !std::mem::replace(&mut self.is_ready, true) {
            for (partition, target) in &self.targets {
                let applied = snapshot.applied.get(*partition).copied().unwrap_or(0);
                assert!(applied >= *target, "it is ready, and has applied {applied} where there was {target}");
            }
        }
    }

    /// What changed is told whole, and nobody is held who is erased by now.
    fn check_held(&self, snapshot: &Snapshot) {
        if let Ok(since) = self.generation.since(self.version, snapshot.version) {
            crate::versions::check(&since, &snapshot.graph);
        }
        let made = self.generation.digests(snapshot, || Ok::<(), ()>(())).expect("nobody ends it");
        assert_eq!(made.to_vec(), digests(&snapshot.graph), "version {}", snapshot.version);
        let (view, first) = (&snapshot.graph, snapshot.version + 1 - self.generation.held().0 as u64);
        for entity in view.model().entities.ids().filter(|entity| view.model().entities[*entity].has_personal) {
            let erased = view.slots(entity).map(|slot| entity.node(slot)).filter(|id| view.node(*id).erased());
            for id in erased {
                let held = (first..snapshot.version).filter_map(|version| self.generation.version(version));
                let is_open =
                    |old: &Snapshot| id.slot.index() < old.graph.slots(entity).len() && !old.graph.node(id).erased();
                assert!(held.into_iter().all(|old| !is_open(&old)), "somebody is held who was erased");
            }
        }
    }

    /// No transaction is seen in part, unless something of it did not come for long.
    fn check_transactions(&mut self, cluster: &Cluster, disk: &Disk) {
        if !cluster.has_transactions || cluster.has_lost {
            return;
        }
        let snapshot = self.generation.snapshot();
        let seen = seen(cluster, &snapshot);
        let is_idle = |place: usize| {
            let feed = self.feeds.iter().find(|feed| feed.place == place);
            now_ms() - feed.map_or(self.began_at, |feed| feed.given_at) >= disk.hold_max_ms
        };
        if (0..cluster.logs.len()).any(is_idle) {
            self.split.extend(seen.iter().filter(|(_, seen)| seen.1).map(|(transaction, _)| *transaction));
        }
        let halves: Vec<u64> = halves(&seen).filter(|transaction| !self.split.contains(transaction)).collect();
        assert!(halves.is_empty(), "{halves:?} are seen in part at {}", snapshot.position());
    }

    /// Whether all that the logs hold is applied.
    pub fn is_through(&self, cluster: &Cluster) -> bool {
        let snapshot = self.generation.snapshot();
        let is_read = |(place, log): (usize, &Log)| {
            let feed = self.feeds.iter().find(|feed| feed.place == place);
            let is_through = |feed: &Feed| {
                let known = snapshot.partitions.get(feed.partition);
                known.is_some_and(|known| known.log == log.known_as && snapshot.applied[feed.partition] >= log.end)
            };
            !log.is_there || log.topic.index() >= cluster.topics() || feed.is_some_and(is_through)
        };
        let is_there_too = self.shadow.as_ref().is_none_or(|shadow| shadow.is_through(&snapshot));
        is_there_too && cluster.logs.iter().enumerate().all(is_read)
    }

    /// Everything is as if nothing had ever happened.
    pub fn check_end(&self, cluster: &Cluster) {
        let snapshot = self.generation.snapshot();
        self.belief.check(cluster, &snapshot);
        self.belief.check_complete(cluster);
        assert!(self.generation.ready_at().is_some(), "{:?}", self.generation.why_unready());
        for (id, status) in self.generation.pin().freshness.domains.entries() {
            assert_eq!(status.status, Status::Fresh, "{id:?}: {}", status.reason());
        }
        assert_eq!(digests(&snapshot.graph), self.belief.undisturbed(cluster, &snapshot));
        self.shadow.iter().for_each(|shadow| shadow.check_end(cluster));
    }
}

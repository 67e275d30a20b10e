//! A transaction of a database becomes visible at once. The records of its tables wait, each in its partition, until all
//! are at hand that the transaction's end counts; then they are applied, and no version is published in between. What does
//! not come is not waited for longer than [`Boundaries::hold_max_ms`], by the log's clock and by ours: a compacted topic, a
//! record that cannot be read and an end that was never written hold nobody for good.
//!
//! Pure. It says how far each batch may be applied; what that does is [`super::Projector`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::seen::Recent;
use crate::event::{Batch, Part, Transaction};
use crate::freshness::Moment;
use crate::graph::{Reader, put, put_instant};
use crate::ids::{By, PartitionId, TopicId};
use crate::limits::{LANE_BYTES_MAX, LANES_BYTES_MAX, TRANSACTIONS_MAX};
use crate::model::value::Instant;

/// Transactions that are remembered as applied, so that repeated records do not wait.
const PASSED_MAX: usize = 100_000;

/// Where a database tells the boundaries of its transactions.
#[derive(Clone, Debug)]
pub struct Boundaries {
    /// The topic that tells their ends.
    pub topic: TopicId,
    /// By the names that ends have for tables: the tables' topics.
    pub tables: HashMap<Box<str>, TopicId>,
    /// How long what does not come is waited for.
    pub hold_max_ms: i64,
}

/// Milliseconds since an earlier tick: what intervals are measured with. Stamps of records in the future count as of now, or
/// one of them would end the waits of others.
fn ms_since(now: Moment, tick_ms: i64) -> i64 {
    now.tick_ms - tick_ms
}

/// What may be done, in this order.
#[derive(Debug)]
pub enum Step<'a> {
    /// A batch's records before an offset are applied.
    Part(&'a Batch, u64),
    /// All that is left of a batch.
    Rest(Box<Batch>),
    /// A transaction was given up: what there is of it is applied now, and the rest when it comes. Gives the topic that
    /// tells boundaries.
    Split(TopicId),
}

/// What a transaction that is not whole still misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Topics with records to come; none where it waits for another transaction before it.
    short: Vec<TopicId>,
    /// The topic that tells transactions' ends.
    ends: TopicId,
    hold_max_ms: i64,
}

impl Waits {
    /// As part of a sentence.
    pub fn reason(&self, topics: &By<TopicId, super::Topic>) -> String {
        let names = self.short.iter().map(|topic| format!("`{}`", topics[*topic].name)).collect::<Vec<_>>().join(", ");
        let misses = match &self.short[..] {
            [] => "those before it are not whole".into(),
            [topic] if *topic == self.ends => format!("its end has not come in {names}"),
            _ => format!("records of it have not come in {names}"),
        };
        format!("a transaction of the database waits to be whole ({misses}), {} ms at most", self.hold_max_ms)
    }
}

/// Takes what happens next.
pub type Steps<'a> = &'a mut dyn FnMut(Step<'_>);

/// Lets batches through, and holds back those with a transaction that is not whole.
#[derive(Debug, Default)]
pub struct Gate {
    groups: Vec<Group>,
    /// A partition's group and lane, where it has one.
    places: By<PartitionId, Option<(usize, usize)>>,
}

impl Gate {
    pub fn new(boundaries: Vec<Boundaries>, now: Moment) -> Gate {
        Gate {
            groups: boundaries.into_iter().map(|boundaries| Group::new(boundaries, now)).collect(),
            places: By::default(),
        }
    }

    /// Which transactions were let through, and the ends of those that were not: what was told of them is not told again.
    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, self.groups.len() as u64);
        for group in &self.groups {
            group.passed.order().save(out);
            let ends =
                group.open.iter().filter_map(|(transaction, open)| Some((transaction, open, open.counts.as_ref()?)));
            put(out, ends.clone().count() as u64);
            for (transaction, open, counts) in ends {
                out.extend_from_slice(&transaction.0.to_le_bytes());
                put_instant(out, open.newest_at);
                put(out, counts.len() as u64);
                for (topic, count) in counts {
                    put(out, u64::from(topic.0));
                    put(out, *count as u64);
                }
            }
        }
    }

    /// Takes up what [`Gate::save`] wrote of one with the same boundaries, and the partitions of these topics.
    pub fn restore(&mut self, reader: &mut Reader<'_>, topics: impl Iterator<Item = TopicId>, now: Moment) {
        for place in 0..reader.number() as usize {
            let passed = Recent::restore(reader, PASSED_MAX);
            let end = |reader: &mut Reader<'_>| {
                let transaction = Transaction(reader.bytes(8).try_into().map_or(0, u64::from_le_bytes));
                let newest_at = reader.instant();
                let topics = 0..reader.number();
                let counts = topics.map(|_| (TopicId(reader.number() as u32), reader.number() as usize)).collect();
                (transaction, Open { since: now.tick_ms, newest_at, counts: Some(counts), parts: BTreeMap::new() })
            };
            let open = (0..reader.number()).map(|_| end(reader)).collect();
            if let Some(group) = self.groups.get_mut(place) {
                (group.passed, group.open) = (passed, open);
            }
        }
        topics.for_each(|topic| self.add(topic, now));
    }

    /// Hears of another partition, in the order of their numbers.
    pub fn add(&mut self, topic: TopicId, now: Moment) {
        let group = self.groups.iter().position(|group| group.holds(topic));
        self.places.push(group.map(|group| (group, self.groups[group].add(topic, now))));
    }

    /// Hears whether a topic has partitions that it was not told of.
    pub fn list(&mut self, topic: TopicId, has_more: bool) {
        for group in self.groups.iter_mut().filter(|group| group.holds(topic)) {
            group.unlisted.retain(|known| *known != topic);
            group.unlisted.extend(has_more.then_some(topic));
        }
    }

    pub fn take(&mut self, batch: Box<Batch>, now: Moment, steps: Steps<'_>) {
        match self.places.get(batch.partition).copied().flatten() {
            None => steps(Step::Rest(batch)),
            Some((group, lane)) => {
                let group = &mut self.groups[group];
                group.take(lane, batch, now);
                group.let_through(now, steps);
            }
        }
    }

    /// Lets through what has waited long enough.
    pub fn look(&mut self, now: Moment, steps: Steps<'_>) {
        self.groups.iter_mut().filter(|group| group.is_holding()).for_each(|group| group.let_through(now, steps));
    }

    /// Lets through all that a partition holds: what comes next there is not its continuation.
    pub fn release(&mut self, partition: PartitionId, now: Moment, steps: Steps<'_>) {
        if let Some((group, lane)) = self.places.get(partition).copied().flatten() {
            self.groups[group].release(lane, now, steps);
        }
    }

    /// Whether something waits that time alone may let through.
    pub fn is_holding(&self) -> bool {
        self.groups.iter().any(Group::is_holding)
    }

    /// The partitions that it may hold back.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.places.entries().filter(|(_, place)| place.is_some()).map(|(partition, _)| partition)
    }

    /// What a partition waits for, where it does.
    pub fn waits(&self, partition: PartitionId) -> Option<Waits> {
        let (group, lane) = self.places.get(partition).copied().flatten()?;
        let group = &self.groups[group];
        let open = group.open.get(&group.lanes[lane].head?);
        let short = open.map(|open| group.short(open)).unwrap_or_default();
        Some(Waits { short, ends: group.boundaries.topic, hold_max_ms: group.boundaries.hold_max_ms })
    }

    /// Whether a partition holds as much as it may.
    pub fn is_full(&self, partition: PartitionId) -> bool {
        let place = self.places.get(partition).copied().flatten();
        place.is_some_and(|(group, lane)| self.groups[group].is_full(lane))
    }
}

/// The partitions of one database.
#[derive(Debug)]
struct Group {
    boundaries: Boundaries,
    lanes: Vec<Lane>,
    open: HashMap<Transaction, Open>,
    passed: Recent,
    /// The newest time that its logs have, and when that was taken: what time it is in the logs.
    newest: (Instant, i64),
    began_at: i64,
    /// Topics with partitions that are not found yet.
    unlisted: Vec<TopicId>,
    /// As a lane's `reached`, for partitions that are not found yet.
    unfound: Instant,
    /// When something was last let through.
    moved_at: i64,
    swept_at: i64,
}

/// A partition.
#[derive(Debug)]
struct Lane {
    topic: TopicId,
    /// Not wholly applied.
    queue: VecDeque<Box<Batch>>,
    bytes: usize,
    /// Of the first batch: the first part that was not let through.
    part: usize,
    /// What it waits for.
    head: Option<Transaction>,
    /// All of it up to this time of the log has come, or is not waited for.
    reached: Instant,
    taken_at: i64,
}

/// A transaction that was not let through.
#[derive(Debug)]
struct Open {
    /// When we first heard of it.
    since: i64,
    /// The newest time that the logs have of it.
    newest_at: Instant,
    /// Once its end has come: how many records each topic has of it.
    counts: Option<Vec<(TopicId, usize)>>,
    /// By lane: the places of those that have come.
    parts: BTreeMap<usize, BTreeSet<u64>>,
}

impl Group {
    fn new(boundaries: Boundaries, now: Moment) -> Group {
        Group {
            boundaries,
            lanes: Vec::new(),
            open: HashMap::new(),
            passed: Recent::new(PASSED_MAX),
            newest: (Instant::EPOCH, 0),
            began_at: now.tick_ms,
            unlisted: Vec::new(),
            unfound: Instant::EPOCH,
            moved_at: now.tick_ms,
            swept_at: now.tick_ms,
        }
    }

    fn holds(&self, topic: TopicId) -> bool {
        self.boundaries.topic == topic || self.boundaries.tables.values().any(|table| *table == topic)
    }

    fn add(&mut self, topic: TopicId, now: Moment) -> usize {
        self.lanes.push(Lane {
            topic,
            queue: VecDeque::new(),
            bytes: 0,
            part: 0,
            head: None,
            reached: Instant::EPOCH,
            taken_at: now.tick_ms,
        });
        self.lanes.len() - 1
    }

    fn is_holding(&self) -> bool {
        self.open.len() >= TRANSACTIONS_MAX || self.lanes.iter().any(|lane| lane.head.is_some())
    }

    fn is_full(&self, lane: usize) -> bool {
        let lane = &self.lanes[lane];
        match lane.topic == self.boundaries.topic {
            true => self.open.len() >= TRANSACTIONS_MAX,
            // A database's partitions share what there is for all, so that many of them cannot take more.
            false => lane.bytes >= LANE_BYTES_MAX.min(LANES_BYTES_MAX / self.lanes.len()),
        }
    }

    /// Queues a batch, and counts what it has of transactions.
    fn take(&mut self, index: usize, mut batch: Box<Batch>, now: Moment) {
        let lane = &mut self.lanes[index];
        let newest_at = batch.newest_at.min(now.at);
        lane.taken_at = now.tick_ms;
        lane.reached = lane.reached.max(newest_at);
        if newest_at > self.newest.0 {
            self.newest = (newest_at, now.tick_ms);
        }
        let unseen = |at: Instant| Open { since: now.tick_ms, newest_at: at, counts: None, parts: BTreeMap::new() };
        for (_, at, Part { transaction, order }) in &batch.parts {
            let at = now.at.min(*at);
            if !self.passed.knows(transaction.0) {
                let open = self.open.entry(*transaction).or_insert_with(|| unseen(at));
                open.newest_at = open.newest_at.max(at);
                open.parts.entry(index).or_default().insert(*order);
            }
        }
        for (at, end) in batch.ends.drain(..) {
            let at = now.at.min(at);
            let mut counts = BTreeMap::new();
            for (table, count) in &end.counts {
                if let Some(topic) = self.boundaries.tables.get(table) {
                    *counts.entry(*topic).or_default() += usize::try_from(*count).unwrap_or(usize::MAX);
                }
            }
            if !counts.is_empty() && !self.passed.knows(end.transaction.0) {
                let open = self.open.entry(end.transaction).or_insert_with(|| unseen(at));
                open.newest_at = open.newest_at.max(at);
                open.counts = Some(counts.into_iter().collect());
            }
        }
        let lane = &mut self.lanes[index];
        lane.bytes += batch.bytes;
        lane.queue.push_back(batch);
    }

    /// Lets through what may go.
    fn let_through(&mut self, now: Moment, steps: Steps<'_>) {
        self.give_up_idle(now);
        self.advance_all(now, steps);
        loop {
            let heads: BTreeSet<Transaction> = self.lanes.iter().filter_map(|lane| lane.head).collect();
            let whole = heads.iter().find(|head| self.is_whole(**head)).copied();
            let Some(next) = whole.or_else(|| heads.iter().find(|head| self.is_late(**head, now)).copied()) else {
                break;
            };
            if whole.is_none() {
                steps(Step::Split(self.boundaries.topic));
            }
            self.pass(next);
            self.advance_all(now, steps);
        }
        for lane in &mut self.lanes {
            if let Some(batch) = lane.queue.back_mut() {
                batch.shrink();
            }
        }
        if ms_since(now, self.swept_at) >= self.boundaries.hold_max_ms {
            self.sweep(now);
        }
    }

    /// What gives nothing for long enough has nothing older to give.
    fn give_up_idle(&mut self, now: Moment) {
        let hold_max_ms = self.boundaries.hold_max_ms;
        let (newest, taken_at) = self.newest;
        let log_now = newest.minus_millis(-ms_since(now, taken_at));
        for index in 0..self.lanes.len() {
            let is_idle = ms_since(now, self.lanes[index].taken_at) >= hold_max_ms;
            if is_idle && !self.is_full(index) {
                let lane = &mut self.lanes[index];
                lane.reached = lane.reached.max(log_now);
            }
        }
        if ms_since(now, self.began_at) >= hold_max_ms {
            self.unfound = log_now;
        }
    }

    fn pass(&mut self, transaction: Transaction) {
        self.open.remove(&transaction);
        self.passed.see(transaction.0);
    }

    fn advance_all(&mut self, now: Moment, steps: Steps<'_>) {
        for lane in &mut self.lanes {
            if lane.advance(|transaction| self.passed.knows(transaction.0), steps) {
                self.moved_at = now.tick_ms;
            }
        }
    }

    /// Whether all of a transaction is at hand, and next in each of its partitions.
    fn is_whole(&self, transaction: Transaction) -> bool {
        self.open.get(&transaction).is_some_and(|open| {
            open.counts.is_some()
                && self.short(open).is_empty()
                && open.parts.keys().all(|lane| self.lanes[*lane].head == Some(transaction))
        })
    }

    /// The topics that a transaction still misses records of.
    fn short(&self, open: &Open) -> Vec<TopicId> {
        let Some(counts) = &open.counts else { return vec![self.boundaries.topic] };
        let had = |topic: TopicId| -> usize {
            let own = open.parts.iter().filter(|(lane, _)| self.lanes[**lane].topic == topic);
            own.map(|(_, parts)| parts.len()).sum()
        };
        counts.iter().filter(|(topic, count)| had(*topic) < *count).map(|(topic, _)| *topic).collect()
    }

    /// Whether a transaction that is next somewhere is no longer waited for.
    fn is_late(&self, transaction: Transaction, now: Moment) -> bool {
        let Some(open) = self.open.get(&transaction) else { return true };
        let short = self.short(open);
        let is_past = |reached: Instant| reached.millis_since(open.newest_at) >= self.boundaries.hold_max_ms;
        let lanes = |topic: TopicId| self.lanes.iter().enumerate().filter(move |(_, lane)| lane.topic == topic);
        let is_over = |topic: &TopicId| {
            let is_found = lanes(*topic).next().is_some() && !self.unlisted.contains(topic);
            lanes(*topic).all(|(_, lane)| is_past(lane.reached)) && (is_found || is_past(self.unfound))
        };
        // What is full cannot take the rest.
        let is_too_large = |(index, lane): (usize, &Lane)| lane.head == Some(transaction) && self.is_full(index);
        // Each waits for what is before it elsewhere, or what it waits for cannot be taken: no order of commits does that.
        let waited_ms = ms_since(now, open.since.max(self.moved_at));
        !short.is_empty() && short.iter().all(is_over)
            || short.iter().flat_map(|topic| lanes(*topic)).any(is_too_large)
            || waited_ms >= 2 * self.boundaries.hold_max_ms
    }

    /// Forgets ends of which nothing is at hand and nothing will come.
    fn sweep(&mut self, now: Moment) {
        self.swept_at = now.tick_ms;
        let hopeless: Vec<Transaction> = self
            .open
            .iter()
            .filter(|(transaction, open)| open.parts.is_empty() && self.is_late(**transaction, now))
            .map(|(transaction, _)| *transaction)
            .collect();
        hopeless.iter().for_each(|transaction| drop(self.open.remove(transaction)));
    }

    fn release(&mut self, index: usize, now: Moment, steps: Steps<'_>) {
        while let Some(head) = self.lanes[index].head {
            steps(Step::Split(self.boundaries.topic));
            self.pass(head);
            self.advance_all(now, steps);
        }
    }
}

impl Lane {
    /// Lets records through up to the first whose transaction waits. Gives whether there were any.
    fn advance(&mut self, passes: impl Fn(Transaction) -> bool, steps: Steps<'_>) -> bool {
        let mut has_moved = false;
        self.head = None;
        while let Some(batch) = self.queue.front() {
            while batch.parts.get(self.part).is_some_and(|(_, _, part)| passes(part.transaction)) {
                self.part += 1;
                has_moved = true;
            }
            if let Some((offset, _, part)) = batch.parts.get(self.part) {
                self.head = Some(part.transaction);
                steps(Step::Part(batch, *offset));
                return has_moved;
            }
            self.part = 0;
            if let Some(batch) = self.queue.pop_front() {
                self.bytes -= batch.bytes;
                has_moved = true;
                steps(Step::Rest(batch));
            }
        }
        has_moved
    }
}

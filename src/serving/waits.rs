//! Demands on freshness, and who waits for them to be met. Each judges for itself, in its own task: publishing a version
//! costs the projector no more for those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use super::{Generation, Pinned};
use crate::freshness::{Demand, PartitionStatus};
use crate::ids::{DomainId, PartitionId, TopicId};
use crate::position::Position;
use crate::projection::{Snapshot, Topic};

/// Tells those who wait that there is a version, or a contact, that was not there before.
pub struct News {
    told: Notify,
    number: watch::Sender<u64>,
    waiting: AtomicUsize,
}

impl News {
    pub fn new() -> News {
        News { told: Notify::new(), number: watch::Sender::new(0), waiting: AtomicUsize::new(0) }
    }

    /// There is something new. Costs the same however many wait.
    pub fn tell(&self) {
        self.told.notify_one();
    }

    /// The same, at once, at the cost of waking all who wait.
    pub fn tell_now(&self) {
        self.number.send_modify(|number| *number += 1);
    }

    /// Passes news on to those who wait, until it is dropped.
    pub async fn relay(&self) {
        loop {
            self.told.notified().await;
            self.tell_now();
        }
    }
}

/// How far a look at a demand came.
#[derive(Default)]
struct Looked {
    /// Entries that are met.
    met: usize,
    /// A partition that was too old.
    old: Option<PartitionId>,
}

/// A demand on some domains.
pub struct Wanted {
    entries: Vec<Entry>,
    max_staleness_ms: Option<i64>,
    domains: Vec<DomainId>,
}

/// At least so much of a partition.
struct Entry {
    topic: TopicId,
    number: u32,
    offset: u64,
    /// Once it is found.
    partition: Option<PartitionId>,
}

impl Wanted {
    /// A demand that counts only these domains. The error says what this service cannot understand of it.
    pub fn new(snapshot: &Snapshot, demand: &Demand, domains: &[DomainId]) -> Result<Wanted, String> {
        let mut entries = Vec::new();
        for entry in demand.at_least.iter().flat_map(Position::entries) {
            let Some(topic) = snapshot.topics.find(|known| known.name == entry.topic) else {
                return Err(format!(
                    "no topic `{}` is read here: its position means nothing to this service",
                    entry.topic
                ));
            };
            let of_topic = || snapshot.partitions.iter().filter(|known| known.topic == topic);
            let own = of_topic().find(|known| known.number == entry.partition).or_else(|| of_topic().next());
            if let (Some(log), Some(own)) = (entry.log, own.map(|known| known.log))
                && log != own
            {
                return Err(format!(
                    "the position is of another log of topic `{}`: {log}, and this service reads {own}",
                    entry.topic
                ));
            }
            if snapshot.topics[topic].domains.iter().any(|domain| domains.contains(domain)) {
                entries.push(Entry { topic, number: entry.partition, offset: entry.offset, partition: None });
            }
        }
        Ok(Wanted { entries, max_staleness_ms: demand.max_staleness_ms, domains: domains.to_vec() })
    }

    /// Whether a version may fall short of it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.max_staleness_ms.is_none()
    }

    fn is_touched(&self, snapshot: &Snapshot, partition: PartitionId) -> bool {
        self.is_of(snapshot.topic(partition))
    }

    fn is_of(&self, topic: &Topic) -> bool {
        topic.domains.iter().any(|domain| self.domains.contains(domain))
    }

    /// The partitions, as `topic/number`, that fall short of it, and what is wanted of each.
    pub fn short(&self, pinned: &Pinned) -> Vec<Short> {
        let snapshot = &pinned.snapshot;
        let mut short = Vec::new();
        for entry in &self.entries {
            let partition = entry.partition.or_else(|| entry.find(snapshot));
            // Of the log that is there now: a version of the one before it has nothing of it.
            let applied = |partition: PartitionId| pinned.freshness.partitions[partition].applied;
            if partition.is_none_or(|partition| applied(partition) < entry.offset) {
                let name = format!("{}/{}", snapshot.topics[entry.topic].name, entry.number);
                short.push(Short { name, partition, at_least: Some(entry.offset) });
            }
        }
        if let Some(most) = self.max_staleness_ms {
            let is_old = |status: &PartitionStatus| status.staleness_ms.is_none_or(|staleness| staleness > most);
            for (partition, status) in pinned.freshness.partitions.entries() {
                let list = &pinned.freshness.lists[snapshot.partitions[partition].topic];
                if (is_old(status) || is_old(list)) && self.is_touched(snapshot, partition) {
                    let name = snapshot.name(partition);
                    if !short.iter().any(|other| other.name == name) {
                        short.push(Short { name, partition: Some(partition), at_least: None });
                    }
                }
            }
            for (topic, number) in &pinned.freshness.unknown {
                let topic = &snapshot.topics[*topic];
                let name = format!("{}/{number}", topic.name);
                if self.is_of(topic) && !short.iter().any(|other| other.name == name) {
                    short.push(Short { name, partition: None, at_least: None });
                }
            }
            // Of what nobody has told anything, nothing is known to be new: a topic's first partition stands for it.
            for (id, topic) in snapshot.topics.entries().filter(|(_, topic)| self.is_of(topic)) {
                let is_seen = |domain: &DomainId| {
                    let mut topics = snapshot.partitions.iter().map(|known| &snapshot.topics[known.topic]);
                    topics.any(|topic| topic.domains.contains(domain))
                };
                let is_unseen = topic.domains.iter().any(|domain| self.domains.contains(domain) && !is_seen(domain));
                let has_none = !snapshot.partitions.iter().any(|known| known.topic == id);
                let name = format!("{}/0", topic.name);
                if has_none
                    && (is_unseen || is_old(&pinned.freshness.lists[id]))
                    && !short.iter().any(|other| other.name == name)
                {
                    short.push(Short { name, partition: None, at_least: None });
                }
            }
        }
        short
    }

    /// Whether the newest version may meet it: one that was short before is looked at first, and mostly is short still.
    fn may_be_met(&mut self, generation: &Generation, last: &mut Looked) -> bool {
        let snapshot = generation.snapshot();
        while let Some(entry) = self.entries.get_mut(last.met) {
            entry.partition = entry.partition.or_else(|| entry.find(&snapshot));
            if entry.partition.is_none_or(|partition| snapshot.applied[partition] < entry.offset) {
                return false;
            }
            last.met += 1;
        }
        let Some(most) = self.max_staleness_ms else { return true };
        let now = generation.now();
        let is_old = |partition: PartitionId| {
            self.is_touched(&snapshot, partition)
                && generation.judge(&snapshot, partition, now).staleness_ms.is_none_or(|staleness| staleness > most)
        };
        if last.old.is_some_and(is_old) {
            return false;
        }
        last.old = snapshot.partitions.ids().find(|partition| is_old(*partition));
        last.old.is_none()
    }
}

impl Entry {
    fn find(&self, snapshot: &Snapshot) -> Option<PartitionId> {
        let is_it = |known: &crate::projection::Partition| known.topic == self.topic && known.number == self.number;
        snapshot.partitions.find(is_it)
    }
}

/// A partition that falls short of a demand.
#[derive(Clone, Debug)]
pub struct Short {
    /// `topic/number`.
    pub name: String,
    /// None where it was not seen yet.
    pub partition: Option<PartitionId>,
    pub at_least: Option<u64>,
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Generation {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.news.waiting.load(Ordering::Acquire)
    }

    /// Gives the version that meets the demand as soon as there is one: the very version, or the contact, that does. At
    /// most `most` may wait at once.
    pub async fn wait_for(self: &Arc<Generation>, wanted: &mut Wanted, most: usize) -> Result<Pinned, TooMany> {
        let _waiting = Waiting(&self.news.waiting);
        if self.news.waiting.fetch_add(1, Ordering::AcqRel) >= most {
            return Err(TooMany);
        }
        // Subscribed before the look, so that nothing falls between.
        let mut news = self.news.number.subscribe();
        if wanted.max_staleness_ms.is_some() {
            (self.serving.contact_now)();
        }
        let mut last = Looked::default();
        loop {
            if wanted.may_be_met(self, &mut last) {
                let pinned = self.pin();
                if wanted.short(&pinned).is_empty() {
                    return Ok(pinned);
                }
                // A log was made anew: what was met is not any more.
                last = Looked::default();
            }
            // The sender lives as long as this generation.
            let _ = news.changed().await;
        }
    }
}

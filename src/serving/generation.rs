//! One projection of the logs as requests see it: its versions, and how fresh each was when it was taken.
//!
//! A request pins one version, and how fresh that is, in one go: its `asOf` and status are the version's own. Only its age
//! is measured when it is answered.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;

use super::digests::Digests;
use super::logs::{Judged, Logs};
use super::versions::Versions;
use super::waits::News;
use super::{DomainServing, Serving, Since, TooOld};
use crate::freshness::{Basis, DomainStatus, Moment, PartitionStatus, domain};
use crate::ids::{By, DomainId, EntityId, GenerationId, PartitionId, TopicId};
use crate::model::Model;
use crate::model::value::Instant;
use crate::position::LogId;
use crate::projection::{Digest, Snapshot, Topic};

/// Milliseconds for which a version, once taken, is taken by others as it is.
const SHARED_MS: i64 = 1;

/// Every domain's and partition's status at one version and moment.
pub struct Freshness {
    pub domains: By<DomainId, DomainStatus>,
    pub partitions: By<PartitionId, PartitionStatus>,
    /// How old what is known of a topic's partitions is. None where that is nothing.
    pub lists: By<TopicId, PartitionStatus>,
    /// Topics and numbers of partitions that are there, and of which the version knows nothing.
    pub unknown: Vec<(TopicId, u32)>,
}

/// One version, and how fresh it was when it was taken.
pub struct Pinned {
    pub snapshot: Arc<Snapshot>,
    pub freshness: Freshness,
    pub at: Moment,
}

impl Pinned {
    /// The version's position in some domains, as text: nearly every answer has one, and so it is made without a tree of entries.
    pub fn position(&self, domains: &[DomainId]) -> String {
        use std::fmt::Write;
        let snapshot = &self.snapshot;
        let is_of =
            |partition: &PartitionId| snapshot.topic(*partition).domains.iter().any(|domain| domains.contains(domain));
        let place = |partition: PartitionId| (&snapshot.topic(partition).name, snapshot.partitions[partition].number);
        let mut partitions: Vec<PartitionId> = snapshot.partitions.ids().filter(is_of).collect();
        partitions.sort_by_key(|partition| place(*partition));
        let mut text = String::with_capacity(partitions.len() * 32);
        // Two sources may have topics of one name: the greater offset stays, as where positions are merged.
        for same in partitions.chunk_by(|a, b| place(*a) == place(*b)) {
            let ((name, number), log) = (place(same[0]), snapshot.partitions[same[0]].log);
            let offset = same.iter().map(|partition| snapshot.applied[*partition]).max().unwrap_or_default();
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{name}!{log}/{number}@{offset}");
        }
        text
    }
}

/// Why a generation is not ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unready {
    /// Configured topics that were not heard of, and what is known of them.
    unheard: Vec<(String, Option<Arc<str>>)>,
    /// Records that are known and not applied.
    behind: u64,
}

impl Unready {
    /// As a sentence.
    pub fn reason(&self) -> String {
        let mut reasons = Vec::new();
        if self.behind > 0 || self.unheard.is_empty() {
            reasons.push(format!("{} records of the log are not applied yet", self.behind));
        }
        let silent = self.unheard.iter().filter(|(_, remark)| remark.is_none());
        let silent: Vec<String> = silent.map(|(name, _)| format!("`{name}`")).collect();
        if !silent.is_empty() {
            reasons.push(format!("nothing was heard yet of {}", silent.join(", ")));
        }
        reasons.extend(self.unheard.iter().filter_map(|(_, remark)| remark.as_deref().map(str::to_owned)));
        format!("hydrating: {}", reasons.join("; "))
    }
}

/// A projection of the logs, with all who ask of it.
pub struct Generation {
    id: GenerationId,
    /// What it shares with the others.
    pub serving: Arc<Serving>,
    model: Arc<Model>,
    domains: By<DomainId, DomainServing>,
    versions: Versions,
    /// The newest version as somebody took it last.
    last: ArcSwapOption<Pinned>,
    /// What the version before the newest had applied, as the logs were told. The publisher's.
    retired: Mutex<By<PartitionId, u64>>,
    digests: Digests,
    pub(super) news: News,
    pub began_at: Instant,
    ready_at: OnceLock<Instant>,
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.serving.logs.discard(self.id);
    }
}

impl Generation {
    pub(super) fn new(
        id: GenerationId,
        serving: Arc<Serving>,
        model: Arc<Model>,
        domains: By<DomainId, DomainServing>,
        first: Snapshot,
    ) -> Generation {
        Generation {
            id,
            model,
            domains,
            versions: Versions::new(first),
            last: ArcSwapOption::empty(),
            retired: Mutex::default(),
            digests: Digests::default(),
            news: News::new(),
            began_at: serving.now().at,
            ready_at: OnceLock::new(),
            serving,
        }
    }

    pub fn id(&self) -> GenerationId {
        self.id
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The newest version.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.versions.newest()
    }

    /// A version by its number, where it is held.
    pub fn version(&self, number: u64) -> Option<Arc<Snapshot>> {
        self.versions.at(number)
    }

    /// What a version changed of an earlier one, where both are held.
    pub fn since(&self, before: u64, version: u64) -> Result<Since, TooOld> {
        self.versions.since(before, version)
    }

    /// Lets go of all versions but the newest: what they hold beside that is to vanish.
    pub fn let_go(&self) {
        self.versions.let_go();
    }

    /// How many versions are held, the newest among them, and the bytes, about, that the others take.
    pub fn held(&self) -> (usize, usize) {
        self.versions.size()
    }

    /// The digests of a version's entities, by what changed since somebody asked for those of an earlier one where that is
    /// held. `goes_on` is asked now and then; what it refuses by ends it.
    pub fn digests<E>(
        &self,
        snapshot: &Snapshot,
        goes_on: impl FnMut() -> Result<(), E>,
    ) -> Result<By<EntityId, Digest>, E> {
        self.digests.of(&self.versions, snapshot, goes_on)
    }

    pub fn now(&self) -> Moment {
        self.serving.now()
    }

    /// When all domains had reached the ends that were known first.
    pub fn ready_at(&self) -> Option<Instant> {
        self.ready_at.get().copied()
    }

    /// Makes a version the newest.
    pub fn publish(&self, snapshot: Snapshot) {
        let before = self.versions.publish(snapshot);
        self.last.store(None);
        // Not what the newest version has applied: who took the one before it may still be looking. See `pin`.
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, applied) in before.applied.entries() {
            let retired = retired.grow(partition, || 0);
            if applied != retired {
                *retired = *applied;
                self.serving.logs.retire(self.id, partition, before.partitions[partition].log, *applied);
            }
        }
        drop(retired);
        self.note_ready();
        self.news.tell();
    }

    /// A record is on its way to the graph: the first of a batch, or one that is held.
    pub fn coming(&self, partition: PartitionId, offset: u64, at: Instant, basis: Basis) {
        self.serving.logs.coming(self.id, partition, offset, at, basis);
    }

    /// Says whether somebody reads a partition.
    pub fn read(&self, partition: PartitionId, is_read: bool) {
        self.serving.logs.read(self.id, partition, is_read);
    }

    /// Why the next record of a partition cannot be read now; none once it can.
    pub fn block(&self, partition: PartitionId, why: Option<String>) {
        self.serving.logs.block(self.id, partition, why);
    }

    /// Why what was read of a partition is not applied yet; none once it is.
    pub fn wait(&self, partition: PartitionId, why: Option<String>) {
        self.serving.logs.wait(self.id, partition, why);
    }

    /// Says whether as much of a partition waits as may.
    pub fn fill(&self, partition: PartitionId, is_full: bool) {
        self.serving.logs.fill(self.id, partition, is_full);
    }

    pub fn is_full(&self, partition: PartitionId) -> bool {
        self.serving.logs.is_full(self.id, partition)
    }

    /// Another log of the same topic is read from now on.
    pub fn restarted(&self, partition: PartitionId, log: LogId) {
        self.serving.logs.restarted(self.id, partition, log, self.now());
    }

    /// The end that was known first, once one was: where hydration ends.
    pub fn target(&self, partition: PartitionId) -> Option<u64> {
        self.serving.logs.target(self.id, partition)
    }

    pub(super) fn note_ready(&self) {
        if self.ready_at.get().is_none() && self.unready().is_none() {
            let _ = self.ready_at.set(self.now().at);
        }
    }

    /// What is missing until every configured topic was heard of and has come to the end that was known first.
    fn unready(&self) -> Option<Unready> {
        let (snapshot, serving) = (self.snapshot(), &self.serving);
        let (heard, lists) = (serving.logs.heard(self.id), serving.lists());
        let is_unheard = |(topic, known): (TopicId, &Topic)| {
            (!heard.contains(&topic) || !lists[topic].unfound.is_empty())
                .then(|| (known.name.to_string(), serving.remark_of(topic)))
        };
        let unheard: Vec<_> = snapshot.topics.entries().filter_map(is_unheard).collect();
        let is_told = serving.unheard.load(Ordering::Acquire) == 0;
        let is_hydrated = serving.logs.is_hydrated(self.id, &snapshot);
        (!is_told || !unheard.is_empty() || !is_hydrated).then_some(Unready { unheard, behind: 0 })
    }

    /// Why it is not ready; none once it was.
    pub fn why_unready(&self) -> Option<Unready> {
        if self.ready_at().is_some() {
            return None;
        }
        let behind = self.pin().freshness.partitions.iter().filter_map(|partition| partition.lag_events).sum();
        self.unready().map(|unready| Unready { behind, ..unready })
    }

    /// Tells those who wait what the projector and the sources tell. Runs as long as requests are served.
    pub async fn relay(self: Arc<Generation>) {
        self.news.relay().await;
    }

    /// There is news for those who wait, at once.
    pub(super) fn tell_now(&self) {
        self.news.tell_now();
    }

    /// Takes the newest version, with how fresh it is. What is said of it holds for its own position: what came after it
    /// was judged by nobody.
    pub fn pin(&self) -> Pinned {
        loop {
            let (snapshot, now) = (self.snapshot(), self.now());
            let freshness = self.judge_all(&snapshot, now);
            // The logs' memory reaches back to the version before the newest, so what was said of this one was whole.
            if self.snapshot().version <= snapshot.version + 1 {
                return Pinned { snapshot, freshness, at: now };
            }
        }
    }

    /// The same as somebody took it last, where that was just now and of the newest version: many who ask at once share one.
    pub fn pin_shared(&self) -> Arc<Pinned> {
        let last = self.last.load_full();
        if let Some(last) = last
            && self.now().ms_since(last.at) < SHARED_MS
            && self.versions.is_newest(&last.snapshot)
        {
            return last;
        }
        let pinned = Arc::new(self.pin());
        self.last.store(Some(pinned.clone()));
        if !self.versions.is_newest(&pinned.snapshot) {
            // Published meanwhile: nobody is to keep what is no longer the newest.
            self.last.store(None);
        }
        pinned
    }

    /// A domain's status at a pinned version, as it is when that version is answered: older, and no fresher than it was.
    pub fn aged(&self, pinned: &Pinned, domain: DomainId, now: Moment) -> DomainStatus {
        pinned.freshness.domains[domain].aged(now.ms_since(pinned.at), &self.domains[domain].thresholds)
    }

    pub(super) fn judge(&self, snapshot: &Snapshot, partition: PartitionId, now: Moment) -> PartitionStatus {
        let (applied, known) = (snapshot.applied[partition], &snapshot.partitions[partition]);
        let judged = self.judged(snapshot.topic(partition), applied, known.lost.as_ref(), now);
        let paused = self.serving.pauses.of(known.topic, known.number);
        let judged = Judged { log: Some(known.log), paused: paused.as_ref(), ..judged };
        self.serving.logs.judge(self.id, partition, &judged)
    }

    fn judged<'a>(&'a self, topic: &Topic, applied: u64, lost: Option<&'a Arc<str>>, now: Moment) -> Judged<'a> {
        // The strictest of the domains that the partition carries judges it.
        let domains = topic.domains.iter().map(|domain| &self.domains[*domain]);
        let thresholds = domains.clone().map(|serving| serving.thresholds);
        let thresholds = thresholds.min_by_key(|thresholds| thresholds.fresh_within_ms).unwrap_or_default();
        let held = domains.filter_map(|serving| serving.held.as_ref()).next();
        Judged { applied, log: None, lost, held, paused: None, thresholds, now }
    }

    fn judge_all(&self, snapshot: &Snapshot, now: Moment) -> Freshness {
        let partitions: By<PartitionId, PartitionStatus> =
            snapshot.partitions.ids().map(|partition| self.judge(snapshot, partition, now)).collect();
        // What is there, and of what the version knows nothing, makes its domains unknown. What was found is told before it
        // ends to be unfound: so that is asked for first.
        let lists = self.serving.lists();
        let unfound = lists.entries().flat_map(|(topic, list)| list.unfound.iter().map(move |number| (topic, *number)));
        let mut unknown: Vec<(TopicId, u32)> = unfound.collect();
        unknown.extend(self.serving.logs.found_after(partitions.len()));
        let judged = |topic: TopicId| self.judged(&snapshot.topics[topic], 0, None, now);
        let unknown_statuses: Vec<_> =
            unknown.iter().map(|(topic, _)| (*topic, Logs::unknown(&judged(*topic)))).collect();
        let lists =
            lists.entries().map(|(topic, list)| Logs::list(list.at, &judged(topic))).collect::<By<TopicId, _>>();
        let remarks = self.serving.remarks.read().unwrap_or_else(PoisonError::into_inner);
        let domains = self.model.domains.ids().map(|id| {
            let own = partitions.entries().filter(|(partition, _)| snapshot.topic(*partition).domains.contains(&id));
            let topics = snapshot.topics.iter().zip(&*remarks).filter(|(topic, _)| topic.domains.contains(&id));
            let remark = topics.filter_map(|(_, remark)| remark.clone()).next();
            let of_domain = |topic: TopicId| snapshot.topics[topic].domains.contains(&id);
            let unknown = unknown_statuses.iter().filter(|(topic, _)| of_domain(*topic));
            let all = own.map(|(_, status)| status).chain(unknown.map(|(_, status)| status));
            let lists = lists.entries().filter(|(topic, _)| of_domain(*topic)).map(|(_, status)| status);
            domain(&all.collect::<Vec<_>>(), &lists.collect::<Vec<_>>(), remark)
        });
        let domains = domains.collect();
        Freshness { domains, partitions, lists, unknown }
    }
}

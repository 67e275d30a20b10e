//! Watches a cluster's topics and log ends, with clients and a heartbeat of its own: one a leader, so that one that does not
//! answer hides no other.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::describe::{Described, describe};
use super::{Context, Isolation, Kafka, Known, Renewed, moment, offset_in};
use crate::position::LogId;
use crate::source::{Asked, Extent, Found, HEARTBEAT, Placed, Registrar, Source};

/// How often the group's offsets are committed, for who watches groups.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How often those are committed too that did not change: a commit may be lost, and brokers forget what is old.
const COMMIT_ALL_EVERY: Duration = Duration::from_secs(60);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Contacts in a row that must say that a log ends before what was applied of it: one may come of a leader that is new.
const BACK_MIN: u32 = 2;

/// Asks the same cluster as two readers.
struct Clients {
    /// Sees what is committed.
    committed: BaseConsumer<Context>,
    /// Sees all.
    all: BaseConsumer<Context>,
}

impl Clients {
    fn new(kafka: &Kafka, registrar: &dyn Registrar) -> Option<Clients> {
        let client = |isolation| kafka.client(isolation, || registrar.is_closed());
        Some(Clients { committed: client(Isolation::Committed)?, all: client(Isolation::All)? })
    }
}

/// The clients that ask now.
fn newest(clients: &Mutex<Arc<Clients>>) -> Arc<Clients> {
    clients.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs until nobody listens.
pub fn run(kafka: &Kafka, registrar: &dyn Registrar) {
    let Some(clients) = Clients::new(kafka, registrar) else { return };
    let clients = Mutex::new(Arc::new(clients));
    std::thread::scope(|scope| {
        let mut watcher = Watcher {
            kafka,
            clients: &clients,
            registrar,
            cluster: None,
            ids: vec![None; kafka.topics.len()],
            remarks: vec![None; kafka.topics.len()],
            has_answered: false,
            trouble: None,
            committed: Vec::new(),
            leaders: BTreeSet::new(),
        };
        let (mut committed_at, mut all_committed_at, mut seen) = (moment(), moment(), 0);
        while !is_over(kafka, registrar) {
            let clients = newest(watcher.clients);
            // What librdkafka has to say to these clients is not heard otherwise.
            drop(clients.committed.poll(Duration::ZERO));
            drop(clients.all.poll(Duration::ZERO));
            // As often as for ends: a partition that nobody knows of may hold records.
            let outcome = watcher.topics();
            watcher.note(outcome);
            watcher.follow_leaders(scope);
            if committed_at.elapsed() >= COMMIT_EVERY {
                if all_committed_at.elapsed() >= COMMIT_ALL_EVERY {
                    watcher.committed.clear();
                    all_committed_at = moment();
                }
                watcher.commit();
                committed_at = moment();
            }
            kafka.pause(&mut seen, HEARTBEAT);
        }
        watcher.commit();
    });
    assert!(!kafka.shared().has_panicked, "a thread that asks for ends panicked");
}

/// Whether nobody listens any more, or somebody who asks is gone.
fn is_over(kafka: &Kafka, registrar: &dyn Registrar) -> bool {
    registrar.is_closed() || kafka.shared().has_panicked
}

struct Watcher<'a> {
    kafka: &'a Kafka,
    clients: &'a Mutex<Arc<Clients>>,
    registrar: &'a dyn Registrar,
    cluster: Option<String>,
    /// By topic of the source: the id that it was seen with.
    ids: Vec<Option<u128>>,
    /// By topic of the source: what is wrong with it.
    remarks: Vec<Option<String>>,
    has_answered: bool,
    /// What was said last of the cluster's not answering.
    trouble: Option<String>,
    /// By known partition: the offset that was committed; none where none was, so that 0 is too.
    committed: Vec<Option<u64>>,
    /// Brokers that are asked for ends, each by a thread of its own.
    leaders: BTreeSet<i32>,
}

impl<'a> Watcher<'a> {
    /// Says once that the cluster does not answer, and once that it does again.
    fn note(&mut self, outcome: Result<(), String>) {
        let source = self.kafka.name.as_ref();
        // Taken every time, so that it is of now.
        let failure = self.kafka.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match outcome {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!(source, "the source answers again");
                }
                if !std::mem::replace(&mut self.has_answered, true) {
                    self.registrar.answered();
                }
            }
            Err(why) => {
                let why = failure.unwrap_or(why);
                if self.trouble.as_ref() != Some(&why) {
                    let brokers = self.kafka.config.brokers.as_str();
                    match self.trouble {
                        None => tracing::warn!(source, brokers, why, "the source does not answer"),
                        Some(_) => tracing::info!(source, brokers, why, "the source does not answer still"),
                    }
                    // Who asks how fresh a domain is learns it too.
                    for topic in &self.kafka.topics {
                        self.registrar.remark(topic.topic, Some(format!("`{source}` does not answer: {why}")));
                    }
                }
                self.trouble = Some(why);
            }
        }
    }

    /// Has each broker that leads a partition asked for ends.
    fn follow_leaders<'scope>(&mut self, scope: &'scope Scope<'scope, '_>)
    where
        'a: 'scope,
    {
        let leaders: Vec<i32> = self.kafka.shared().known.iter().filter_map(|known| known.leader).collect();
        for leader in leaders {
            if self.leaders.insert(leader) {
                let mut asker = Asker {
                    kafka: self.kafka,
                    clients: self.clients,
                    registrar: self.registrar,
                    leader,
                    back: HashMap::new(),
                };
                let kafka = self.kafka;
                let run = move || {
                    // The others would go on, and the scope wait for them.
                    if catch_unwind(AssertUnwindSafe(|| asker.run())).is_err() {
                        kafka.shared().has_panicked = true;
                        kafka.wake();
                    }
                };
                if let Err(error) = Builder::new().name("ends".into()).spawn_scoped(scope, run) {
                    tracing::error!(source = kafka.name.as_ref(), leader, %error, "no thread to ask for ends: tried again");
                    self.leaders.remove(&leader);
                }
            }
        }
    }

    /// Looks for topics and partitions, and whether a topic is the one that it was.
    fn topics(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.kafka.topics.iter().map(|topic| topic.name.to_string()).collect();
        // Before the question, so that the answer is of a time after what was seen.
        let short = std::mem::take(&mut self.kafka.shared().short);
        let (clients, asked) = (newest(self.clients), self.registrar.asked());
        let client = clients.committed.client();
        let described = describe(client, &names, TIMEOUT).or_else(|_| {
            // The broker that such questions go to may be gone, and another is not known before somebody asks for brokers.
            client.fetch_metadata(names.first().map(String::as_str), TIMEOUT).map_err(|error| error.to_string())?;
            describe(client, &names, TIMEOUT)
        });
        let described = match described {
            Ok(described) => described,
            Err(why) => {
                // Nobody reads these partitions until it is known what became of them.
                self.kafka.shared().short.extend(short);
                return Err(why);
            }
        };
        // The id came with that answer. Asked for before there was any, it was waited for up to two seconds.
        if self.cluster.is_none() {
            self.cluster = clients.committed.client().fetch_cluster_id(TIMEOUT);
        }
        let Some(cluster) = self.cluster.clone() else {
            self.kafka.shared().short.extend(short);
            return Err("the cluster does not tell its id".into());
        };
        let mut trouble = Ok(());
        for (name, outcome) in described {
            let Some(topic) = self.kafka.topics.iter().position(|topic| *topic.name == name) else { continue };
            match outcome {
                Ok(Some(described)) => match self.topic(topic, &cluster, &described, &asked) {
                    Ok(unfound) => self.remark(topic, unfound),
                    Err(why) => trouble = Err(why),
                },
                Ok(None) => {
                    self.registrar.listed(&asked, self.kafka.topics[topic].topic, Vec::new());
                    let remark = format!("there is no topic `{name}` at the source `{}`", self.kafka.name);
                    self.remark(topic, Some(remark));
                }
                Err(why) => {
                    // What partitions it has is as old as it was.
                    let remark = format!("topic `{name}` cannot be read: {why}");
                    self.remark(topic, Some(remark));
                }
            }
        }
        let mut shared = self.kafka.shared();
        for (index, end, next) in short {
            // Of a topic made anew this was said already.
            if !shared.is_renewed(index) {
                let why = format!("the log ended at {end}, and had records up to {next}: it lost them");
                tracing::error!(partition = shared.known[index].number, end, next, "the log went back");
                // What the offsets from there on meant, they mean no more.
                (shared.known[index].log, shared.known[index].start) = (shared.known[index].log.cut(end), end);
                shared.renewed.push(Renewed { index, start: end, why, is_other: false });
            }
        }
        let gone = shared.known.iter().filter(|known| known.is_gone);
        let gone: Vec<Extent> = gone.map(|known| Extent::committed(known.partition, 0, 0)).collect();
        drop(shared);
        self.registrar.contact(&asked, &gone);
        trouble
    }

    /// Says what is wrong with a topic: to who asks, and where it is new to the service's log.
    fn remark(&mut self, topic: usize, remark: Option<String>) {
        self.registrar.remark(self.kafka.topics[topic].topic, remark.clone());
        if self.remarks[topic] != remark {
            match &remark {
                Some(remark) => tracing::warn!("{remark}"),
                None => tracing::info!(topic = self.kafka.topics[topic].name.as_ref(), "the topic is there"),
            }
            self.remarks[topic] = remark;
        }
    }

    /// Finds a topic's new partitions. Gives which of them it could not ask where to begin, and why they are unknown.
    fn topic(
        &mut self,
        topic: usize,
        cluster: &str,
        described: &Described,
        asked: &Asked,
    ) -> Result<Option<String>, String> {
        let name = self.kafka.topics[topic].name.clone();
        let log = log_id(cluster, &name, described.id);
        let numbers: Vec<i32> = described.partitions.iter().map(|(number, _)| *number).collect();
        if self.ids[topic].is_some_and(|id| id != described.id) {
            let why = format!("topic `{name}` was made anew: what its old log held beyond this was not applied");
            tracing::error!(source = self.kafka.name.as_ref(), topic = name.as_ref(), "the topic was made anew");
            let mut shared = self.kafka.shared();
            for index in 0..shared.known.len() {
                let known = &mut shared.known[index];
                if known.topic == topic {
                    (known.log, known.origin, known.start, known.leader) = (log, log, 0, None);
                    known.is_gone = !numbers.contains(&known.number);
                    shared.renewed.push(Renewed { index, start: 0, why: why.clone(), is_other: true });
                }
            }
            drop(shared);
            // librdkafka keeps the leader epochs that it saw by the topic's name, and takes what is below them for old news.
            if let Some(clients) = Clients::new(self.kafka, self.registrar) {
                *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(clients);
            }
        }
        self.ids[topic] = Some(described.id);
        let is_new =
            |known: &[Known], number: i32| !known.iter().any(|known| known.topic == topic && known.number == number);
        let mut new = Vec::new();
        {
            let mut shared = self.kafka.shared();
            for (number, leader) in &described.partitions {
                if is_new(&shared.known, *number) {
                    new.push(*number);
                }
                for index in 0..shared.known.len() {
                    let known = &mut shared.known[index];
                    if (known.topic, known.number) != (topic, *number) {
                        continue;
                    }
                    known.leader = *leader;
                    if std::mem::replace(&mut known.is_gone, false) {
                        let why = format!("topic `{name}` was made anew, and has grown again since");
                        shared.renewed.push(Renewed { index, start: 0, why, is_other: false });
                    }
                }
            }
        }
        // Before they are asked: one that does not answer is unknown, however well the others are.
        let unfound = |numbers: &[i32]| {
            let numbers = numbers.iter().map(|number| number.cast_unsigned()).collect();
            self.registrar.listed(asked, self.kafka.topics[topic].topic, numbers);
        };
        unfound(&new);
        if new.is_empty() {
            return Ok(None);
        }
        let mut list = TopicPartitionList::new();
        for number in &new {
            let _ = list.add_partition_offset(&name, *number, Offset::Beginning);
        }
        let starts =
            newest(self.clients).committed.offsets_for_times(list, TIMEOUT).map_err(|error| error.to_string())?;
        for element in starts.elements() {
            let (Ok(()), Offset::Offset(start)) = (element.error(), element.offset()) else { continue };
            let (number, start) = (element.partition(), start.max(0).cast_unsigned());
            let found = Found { topic: self.kafka.topics[topic].topic, number: number.cast_unsigned(), log, start };
            let Placed { partition, log: known_as, is_new } = self.registrar.find(found);
            if start > 0 && is_new {
                let topic = name.as_ref();
                tracing::warn!(topic, partition = number, start, "the log's first records are gone: reading from here");
            }
            let leader =
                described.partitions.iter().find(|(known, _)| *known == number).and_then(|(_, leader)| *leader);
            let (log, origin) = (known_as, log);
            let known = Known { partition, topic, number, log, origin, start: 0, leader, is_gone: false };
            self.kafka.shared().known.push(known);
            new.retain(|other| *other != number);
        }
        unfound(&new);
        let named: Vec<String> = new.iter().map(|number| format!("{name}/{number}")).collect();
        let are = if new.len() == 1 { "does" } else { "do" };
        Ok((!new.is_empty()).then(|| format!("{} {are} not tell where to begin: no leader answers", named.join(", "))))
    }

    /// Commits what is applied, for who watches consumer groups. Nothing here reads it.
    fn commit(&mut self) {
        let known = self.kafka.shared().known.clone();
        self.committed.resize(known.len(), None);
        let mut list = TopicPartitionList::new();
        for (known, committed) in known.iter().zip(&mut self.committed) {
            let applied = self.registrar.applied(known.partition);
            if *committed != Some(applied) {
                *committed = Some(applied);
                let offset = Offset::Offset(applied.cast_signed());
                let _ = list.add_partition_offset(&self.kafka.topics[known.topic].name, known.number, offset);
            }
        }
        if list.count() > 0
            && let Err(error) = newest(self.clients).committed.commit(&list, CommitMode::Async)
        {
            tracing::debug!(source = self.kafka.name.as_ref(), %error, "the group's offsets are not committed");
        }
    }
}

/// Asks one broker for the ends of the partitions that it leads.
struct Asker<'a> {
    kafka: &'a Kafka,
    clients: &'a Mutex<Arc<Clients>>,
    registrar: &'a dyn Registrar,
    leader: i32,
    /// By partition whose log ends before what was applied: how often that was seen, the least end, and what was applied.
    back: HashMap<usize, (u32, u64, u64)>,
}

impl Asker<'_> {
    fn run(&mut self) {
        let mut seen = 0;
        while !is_over(self.kafka, self.registrar) {
            let known: Vec<(usize, Known)> = {
                let shared = self.kafka.shared();
                let all = shared.known.iter().enumerate().filter(|(_, known)| known.leader == Some(self.leader));
                all.map(|(index, known)| (index, known.clone())).collect()
            };
            if !known.is_empty() {
                let asked = self.registrar.asked();
                match self.extents(&known) {
                    Ok(extents) => {
                        self.registrar.contact(&asked, &extents);
                        self.look_back(&asked, &known, &extents);
                        // One that has come since is asked of nobody by a client that has not heard of it: it would be unknown for minutes.
                        if extents.len() < known.len() {
                            self.learn(&known);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(source = self.kafka.name.as_ref(), %error, "no log ends");
                        self.learn(&known);
                    }
                }
            }
            self.kafka.pause(&mut seen, HEARTBEAT);
        }
    }

    /// Has the clients find out who leads the partitions now: they would ask the broker that they knew for a quarter of an hour.
    fn learn(&self, known: &[(usize, Known)]) {
        let clients = newest(self.clients);
        let topics: BTreeSet<usize> = known.iter().map(|(_, known)| known.topic).collect();
        for client in [&clients.committed, &clients.all] {
            for topic in &topics {
                // Without an answer it is as it was.
                let _ = client.fetch_metadata(Some(&self.kafka.topics[*topic].name), TIMEOUT);
            }
        }
    }

    fn extents(&self, known: &[(usize, Known)]) -> Result<Vec<Extent>, rdkafka::error::KafkaError> {
        let clients = newest(self.clients);
        let name = |known: &Known| self.kafka.topics[known.topic].name.clone();
        let list = |offset: Offset| {
            let mut list = TopicPartitionList::new();
            for (_, known) in known {
                let _ = list.add_partition_offset(&name(known), known.number, offset);
            }
            list
        };
        // All first: where what is committed then reaches as far, all of it is committed.
        let all = clients.all.offsets_for_times(list(Offset::End), TIMEOUT)?;
        let starts = clients.committed.offsets_for_times(list(Offset::Beginning), TIMEOUT)?;
        let ends = clients.committed.offsets_for_times(list(Offset::End), TIMEOUT)?;
        let extents = known.iter().filter_map(|(_, known)| {
            let offset = |list: &TopicPartitionList| offset_in(list, &name(known), known.number);
            let (start, end, all) = (offset(&starts)?, offset(&ends)?, offset(&all)?);
            Some(Extent { partition: known.partition, start, end, all })
        });
        Ok(extents.collect())
    }

    /// Finds logs that lost records which were applied. A reader finds out only while they have not grown again.
    fn look_back(&mut self, asked: &Asked, known: &[(usize, Known)], extents: &[Extent]) {
        for extent in extents {
            let applied = asked.applied.get(extent.partition).copied().unwrap_or(0);
            let Some((index, _)) = known.iter().find(|(_, known)| known.partition == extent.partition) else {
                continue;
            };
            if extent.all >= applied {
                self.back.remove(index);
                continue;
            }
            let (times, least, then) = self.back.entry(*index).or_insert((0, extent.all, applied));
            // What is applied is of before this was told once, as long as it does not change.
            if *then != applied {
                (*times, *least, *then) = (0, extent.all, applied);
            }
            (*times, *least) = (*times + 1, extent.all.min(*least));
            if *times == BACK_MIN {
                self.kafka.shared().short.push((*index, *least, applied));
                self.kafka.wake();
            }
        }
    }
}

/// Of the cluster's id and the topic's.
fn log_id(cluster: &str, topic: &str, id: u128) -> LogId {
    LogId::of(&format!("{cluster}/{topic}/{id:032x}"))
}

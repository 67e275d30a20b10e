//! Watches a cluster's topics and log ends, with a client and a heartbeat of its own.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant as Clock};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::describe::{Described, describe};
use super::{Context, Kafka, Known, Renewed, moment, offset_in};
use crate::position::LogId;
use crate::source::{Extent, Found, Registrar};

/// How often ends are asked for when nothing else asks: well below the least sensible `fresh_within`.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// How often topics, partitions and leaders are asked for.
const TOPICS_EVERY: Duration = Duration::from_secs(1);
/// How often the group's offsets are committed, for who watches groups.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How often those are committed too that did not change: a commit may be lost, and brokers forget what is old.
const COMMIT_ALL_EVERY: Duration = Duration::from_secs(60);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until nobody listens.
pub fn run(kafka: &Kafka, registrar: &dyn Registrar) {
    let Some(client) = kafka.client(|| registrar.is_closed()) else { return };
    let mut watcher = Watcher {
        kafka,
        client,
        registrar,
        cluster: None,
        ids: vec![None; kafka.topics.len()],
        remarks: vec![None; kafka.topics.len()],
        has_answered: false,
        trouble: None,
        committed: Vec::new(),
    };
    let (mut topics_at, mut committed_at, mut all_committed_at) = (None, moment(), moment());
    while !registrar.is_closed() {
        // What librdkafka has to say to this client is not heard otherwise.
        drop(watcher.client.poll(Duration::ZERO));
        let is_short = !kafka.shared().short.is_empty();
        if is_short || topics_at.is_none_or(|at: Clock| at.elapsed() >= TOPICS_EVERY) {
            let outcome = watcher.topics();
            watcher.note(outcome);
            topics_at = Some(moment());
        }
        watcher.extents();
        if committed_at.elapsed() >= COMMIT_EVERY {
            if all_committed_at.elapsed() >= COMMIT_ALL_EVERY {
                watcher.committed.clear();
                all_committed_at = moment();
            }
            watcher.commit();
            committed_at = moment();
        }
        kafka.pause(HEARTBEAT);
    }
    watcher.commit();
}

struct Watcher<'a> {
    kafka: &'a Kafka,
    client: BaseConsumer<Context>,
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
}

impl Watcher<'_> {
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
                if self.trouble.is_none() {
                    let (brokers, why) = (self.kafka.config.brokers.as_str(), failure.as_ref().unwrap_or(&why));
                    tracing::warn!(source, brokers, why, "the source does not answer");
                }
                self.trouble = Some(why);
            }
        }
    }

    /// Looks for topics and partitions, and whether a topic is the one that it was.
    fn topics(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.kafka.topics.iter().map(|topic| topic.name.to_string()).collect();
        // Before the question, so that the answer is of a time after what was seen.
        let short = std::mem::take(&mut self.kafka.shared().short);
        let described = describe(self.client.client(), &names, TIMEOUT)?;
        // The id came with that answer. Asked for before there was any, it was waited for up to two seconds.
        if self.cluster.is_none() {
            self.cluster = self.client.client().fetch_cluster_id(TIMEOUT);
        }
        let cluster = self.cluster.clone().ok_or("the cluster does not tell its id")?;
        let mut trouble = Ok(());
        for (name, outcome) in described {
            let Some(topic) = self.kafka.topics.iter().position(|topic| *topic.name == name) else { continue };
            match outcome {
                Ok(Some(described)) => {
                    if let Err(why) = self.topic(topic, &cluster, &described) {
                        trouble = Err(why);
                    } else {
                        self.remark(topic, None);
                    }
                }
                Ok(None) => {
                    let remark = format!("there is no topic `{name}` at the source `{}`", self.kafka.name);
                    self.remark(topic, Some(remark));
                }
                Err(why) => {
                    let remark = format!("topic `{name}` cannot be read: {why}");
                    self.remark(topic, Some(remark));
                }
            }
        }
        let mut shared = self.kafka.shared();
        for (index, end, next) in short {
            // Of a topic made anew this was said already.
            if !shared.renewed.iter().any(|renewed| renewed.index == index) {
                let why = format!("the log ends at {end}, and had records up to {next}: it lost them");
                tracing::error!(partition = shared.known[index].number, end, next, "the log went back");
                shared.renewed.push(Renewed { index, start: end, why });
            }
        }
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

    fn topic(&mut self, topic: usize, cluster: &str, described: &Described) -> Result<(), String> {
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
                    (known.log, known.start, known.leader) = (log, 0, None);
                    known.is_gone = !numbers.contains(&known.number);
                    shared.renewed.push(Renewed { index, start: 0, why: why.clone() });
                }
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
                for known in shared.known.iter_mut().filter(|known| known.topic == topic && known.number == *number) {
                    known.leader = *leader;
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut asked = TopicPartitionList::new();
        for number in &new {
            let _ = asked.add_partition_offset(&name, *number, Offset::Beginning);
        }
        let starts = self.client.offsets_for_times(asked, TIMEOUT).map_err(|error| error.to_string())?;
        for element in starts.elements() {
            let (Ok(()), Offset::Offset(start)) = (element.error(), element.offset()) else { continue };
            let (number, start) = (element.partition(), start.max(0).cast_unsigned());
            if start > 0 {
                let topic = name.as_ref();
                tracing::warn!(topic, partition = number, start, "the log's first records are gone: reading from here");
            }
            let found = Found { topic: self.kafka.topics[topic].topic, number: number.cast_unsigned(), log, start };
            let partition = self.registrar.find(found);
            let leader =
                described.partitions.iter().find(|(known, _)| *known == number).and_then(|(_, leader)| *leader);
            self.kafka.shared().known.push(Known { partition, topic, number, log, start, leader, is_gone: false });
        }
        Ok(())
    }

    /// Asks every leader for the extents of its partitions, all at once: one that does not answer hides no other.
    fn extents(&self) {
        let mut by_leader: BTreeMap<i32, Vec<Known>> = BTreeMap::new();
        let mut gone = Vec::new();
        for known in &self.kafka.shared().known {
            if known.is_gone && self.trouble.is_none() {
                gone.push(Extent { partition: known.partition, start: 0, end: 0 });
            }
            if let Some(leader) = known.leader {
                by_leader.entry(leader).or_default().push(known.clone());
            }
        }
        self.registrar.contact(&gone);
        let ask = |known: &[Known]| match self.ask(known) {
            Ok(extents) => self.registrar.contact(&extents),
            Err(error) => tracing::debug!(source = self.kafka.name.as_ref(), %error, "no log ends"),
        };
        match by_leader.len() {
            0 => {}
            1 => by_leader.values().for_each(|known| ask(known)),
            _ => std::thread::scope(|scope| {
                for known in by_leader.values() {
                    scope.spawn(move || ask(known));
                }
            }),
        }
    }

    fn ask(&self, known: &[Known]) -> Result<Vec<Extent>, rdkafka::error::KafkaError> {
        let list = |offset: Offset| {
            let mut list = TopicPartitionList::new();
            for known in known {
                let _ = list.add_partition_offset(&self.kafka.topics[known.topic].name, known.number, offset);
            }
            list
        };
        let starts = self.client.offsets_for_times(list(Offset::Beginning), TIMEOUT)?;
        let ends = self.client.offsets_for_times(list(Offset::End), TIMEOUT)?;
        let offset = |list: &TopicPartitionList, known: &Known| {
            offset_in(list, &self.kafka.topics[known.topic].name, known.number)
        };
        let extents = known.iter().filter_map(|known| {
            let (start, end) = (offset(&starts, known)?, offset(&ends, known)?);
            Some(Extent { partition: known.partition, start, end })
        });
        Ok(extents.collect())
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
            && let Err(error) = self.client.commit(&list, CommitMode::Async)
        {
            tracing::debug!(source = self.kafka.name.as_ref(), %error, "the group's offsets are not committed");
        }
    }
}

/// Eight hex digits of the cluster's id and the topic's (FNV-1a).
fn log_id(cluster: &str, topic: &str, id: u128) -> LogId {
    let text = format!("{cluster}/{topic}/{id:032x}");
    LogId(text.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
}

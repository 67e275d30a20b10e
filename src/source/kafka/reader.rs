//! Reads a cluster's partitions and hands their records on.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use rdkafka::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{Context, Isolation, Kafka, Known, Renewed, moment, offset_in};
use crate::freshness::Basis;
use crate::model::value::Instant;
use crate::source::{NAME_UNREADABLE, Raw, Sink, Source, Taken};

/// How long a record that was read may wait for others.
const LINGER: Duration = Duration::from_millis(20);
/// How long a look for records takes where there are none; also how soon an end is noticed.
const IDLE: Duration = Duration::from_millis(100);
/// The same before any partition is known: at the start everybody waits for the first.
const UNKNOWING: Duration = Duration::from_millis(10);
/// How often what is blocked is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon what is full is tried again.
const RETRY_FULL: Duration = Duration::from_millis(100);
/// How often the client's own account of its partitions is looked at while records come.
const LOOK: Duration = Duration::from_secs(1);
/// Records between two looks at the clock.
const CLOCK_EVERY: u32 = 256;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until nobody takes records.
pub fn run(kafka: &Kafka, sink: &mut dyn Sink) {
    let (mut feeds, mut seen) = (Vec::new(), 0);
    let number = {
        let mut shared = kafka.shared();
        let all = Some(shared.renewed.len());
        shared.taken.push(all);
        shared.taken.len() - 1
    };
    while !sink.is_closed() {
        let Some(client) = kafka.client(Isolation::Committed, || sink.is_closed()) else { break };
        let mut reader = FeedReader {
            kafka,
            client,
            sink,
            number,
            feeds: std::mem::take(&mut feeds),
            places: HashMap::new(),
            last: 0,
            pending: 0,
            is_outdated: false,
        };
        reader.place();
        let ended = reader.run();
        reader.flush();
        feeds = std::mem::take(&mut reader.feeds);
        // Positions are ours: a new client goes on where this one stood. Until it does, nobody reads.
        feeds.iter().filter(|feed| !feed.known.is_gone).for_each(|feed| sink.reads(feed.known.partition, false));
        if let Err(error) = ended {
            tracing::error!(source = kafka.name.as_ref(), %error, "the client failed: another takes over");
            kafka.pause(&mut seen, Duration::from_secs(1));
        }
    }
    kafka.shared().taken[number] = None;
}

/// A partition being read.
struct Feed {
    known: Known,
    /// The next offset to read.
    next: u64,
    /// What was taken since the last flush.
    pending: bool,
    /// Tried again from `next` on at this time.
    retry_at: Option<Clock>,
    /// Whether its log ends before `next`: the watcher is to find out why.
    is_short: bool,
}

impl Feed {
    /// Hands a message on. Gives how long it has to wait, if it has to.
    fn take(&mut self, sink: &mut dyn Sink, message: &BorrowedMessage<'_>) -> Option<Duration> {
        let offset = message.offset().cast_unsigned();
        // Fetched before a jump, or of one that waits.
        if offset < self.next || self.retry_at.is_some() {
            return None;
        }
        let (at, basis) = match message.timestamp() {
            Timestamp::CreateTime(ms) => (Instant::from_micros(ms.saturating_mul(1000)), Basis::Producer),
            Timestamp::LogAppendTime(ms) => (Instant::from_micros(ms.saturating_mul(1000)), Basis::Append),
            Timestamp::NotAvailable => (Instant::EPOCH, Basis::Producer),
        };
        let read = || -> Vec<(&str, Option<&[u8]>)> {
            let headers = message.headers().map(|headers| headers.iter().map(|header| (header.key, header.value)));
            headers.map(Iterator::collect).unwrap_or_default()
        };
        // rdkafka panics on a name that is no UTF-8, and one record must not end the reading of all others.
        let headers = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        let headers = headers.unwrap_or_else(|_| vec![(NAME_UNREADABLE, None)]);
        let (key, value) = (message.key(), message.payload());
        let raw = Raw { offset, at, basis, key, value, headers: &headers };
        match sink.take(self.known.partition, &raw) {
            Taken::Yes => {
                self.next = offset + 1;
                self.pending = true;
                None
            }
            Taken::Blocked => {
                tracing::warn!(topic = message.topic(), partition = self.known.number, "blocked");
                Some(RETRY)
            }
            Taken::Full => Some(RETRY_FULL),
            Taken::Closed => None,
        }
    }
}

struct FeedReader<'a> {
    kafka: &'a Kafka,
    client: BaseConsumer<Context>,
    sink: &'a mut dyn Sink,
    /// Among the readers.
    number: usize,
    /// By known partition.
    feeds: Vec<Feed>,
    /// By topic and partition: the feed.
    places: HashMap<Arc<str>, HashMap<i32, usize>>,
    /// The feed of the last message: the next one is often of the same.
    last: usize,
    /// Feeds with something taken since the last flush.
    pending: usize,
    /// Whether a topic was made anew: librdkafka keeps the leader epochs that it saw by the topic's name, and takes what is
    /// below them for old news, so another client has to take over.
    is_outdated: bool,
}

impl FeedReader<'_> {
    fn run(&mut self) -> Result<(), KafkaError> {
        let present = self.present();
        self.learn(&present);
        self.assign(&present)?;
        let (mut flushed_at, mut looked_at, mut since) = (moment(), moment(), 0);
        self.follow()?;
        while !self.sink.is_closed() && !self.is_outdated {
            let idle = if self.feeds.is_empty() { UNKNOWING } else { IDLE };
            let polled = self.client.poll(if self.pending > 0 { Duration::ZERO } else { idle });
            let is_dry = polled.is_none();
            match polled {
                Some(Ok(message)) => {
                    let place = (message.topic(), message.partition());
                    let is_of = |feed: &Feed| (&*self.kafka.topics[feed.known.topic].name, feed.known.number) == place;
                    if !self.feeds.get(self.last).is_some_and(is_of) {
                        let found = self.places.get(place.0).and_then(|numbers| numbers.get(&place.1));
                        // Fetched of what is not read any more.
                        let Some(found) = found else { continue };
                        self.last = *found;
                    }
                    let feed = &mut self.feeds[self.last];
                    let was_pending = feed.pending;
                    let wait = feed.take(self.sink, &message);
                    self.pending += usize::from(feed.pending && !was_pending);
                    drop(message);
                    if let Some(wait) = wait {
                        self.block(self.last, wait)?;
                    }
                }
                Some(Err(error)) => self.mend(error)?,
                None => {}
            }
            since += 1;
            if is_dry || since >= CLOCK_EVERY {
                since = 0;
                self.follow()?;
                let now = moment();
                if is_dry || now.duration_since(flushed_at) >= LINGER {
                    self.flush();
                    flushed_at = now;
                }
                self.retry(now)?;
                if now.duration_since(looked_at) >= if is_dry { IDLE } else { LOOK } {
                    self.look()?;
                    looked_at = now;
                }
            }
        }
        Ok(())
    }

    /// Takes up what the watcher found.
    fn follow(&mut self) -> Result<(), KafkaError> {
        let first = self.feeds.len();
        let (new, renewed) = {
            let mut shared = self.kafka.shared();
            let new: Vec<Known> = shared.known.iter().skip(first).cloned().collect();
            let all = Some(shared.renewed.len());
            let taken = std::mem::replace(&mut shared.taken[self.number], all).unwrap_or_default();
            // What is new is taken up as it is by now.
            let renewed = shared.renewed[taken..].iter().filter(|renewed| renewed.index < first);
            let renewed: Vec<(Renewed, Known)> =
                renewed.map(|renewed| (renewed.clone(), shared.known[renewed.index].clone())).collect();
            (new, renewed)
        };
        for known in new {
            let next = self.sink.begin(known.partition, known.log, known.origin, known.start);
            if known.is_gone {
                // There is nothing of it that anybody could read.
                self.sink.reads(known.partition, true);
            }
            self.feeds.push(Feed { next, known, pending: false, retry_at: None, is_short: false });
        }
        let added: Vec<usize> = self.present().into_iter().filter(|index| *index >= first).collect();
        if self.feeds.len() > first {
            self.place();
            self.learn(&added);
        }
        self.assign(&added)?;
        for (Renewed { index, start, why, is_other }, known) in renewed {
            self.flush();
            self.sink.restart(known.partition, known.log, known.origin, start, why);
            let (partition, is_gone) = (known.partition, known.is_gone);
            (self.feeds[index].known, self.feeds[index].is_short) = (known, false);
            match is_gone {
                true => {
                    self.leave(index, start)?;
                    // There is nothing of it that anybody could read.
                    self.sink.reads(partition, true);
                }
                false => self.go_to(index, start)?,
            }
            self.is_outdated |= is_other;
        }
        Ok(())
    }

    fn place(&mut self) {
        for (index, feed) in self.feeds.iter().enumerate() {
            let name = self.kafka.topics[feed.known.topic].name.clone();
            self.places.entry(name).or_default().insert(feed.known.number, index);
        }
    }

    /// The feeds that are to be read: those whose partitions are there, and of which it is known from where on.
    fn present(&self) -> Vec<usize> {
        let is_read = |index: &usize| !self.feeds[*index].known.is_gone && !self.feeds[*index].is_short;
        (0..self.feeds.len()).filter(is_read).collect()
    }

    fn list(&self, feeds: &[usize], offset: impl Fn(&Feed) -> Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for feed in feeds.iter().map(|index| &self.feeds[*index]) {
            let name = &self.kafka.topics[feed.known.topic].name;
            let _ = list.add_partition_offset(name, feed.known.number, offset(feed));
        }
        list
    }

    /// Asks for the leaders of what is to be assigned. librdkafka would ask too, but at its next tick: up to a second later.
    fn learn(&self, feeds: &[usize]) {
        let topics: BTreeSet<usize> = feeds.iter().map(|index| self.feeds[*index].known.topic).collect();
        for topic in topics {
            // Without an answer it is as it was.
            let _ = self.client.fetch_metadata(Some(&self.kafka.topics[topic].name), TIMEOUT);
        }
    }

    fn assign(&mut self, feeds: &[usize]) -> Result<(), KafkaError> {
        if feeds.is_empty() {
            return Ok(());
        }
        self.client.incremental_assign(&self.list(feeds, |feed| Offset::Offset(feed.next.cast_signed())))?;
        feeds.iter().for_each(|index| self.sink.reads(self.feeds[*index].known.partition, true));
        Ok(())
    }

    /// Reads a partition on from an offset, whatever was fetched of it, and whether it waited or not.
    fn go_to(&mut self, index: usize, next: u64) -> Result<(), KafkaError> {
        let did_wait = self.feeds[index].retry_at.is_some();
        self.leave(index, next)?;
        self.assign(&[index])?;
        // Being assigned anew does not end a pause of the client's.
        if did_wait { self.client.resume(&self.list(&[index], |_| Offset::Invalid)) } else { Ok(()) }
    }

    /// Reads a partition no further.
    fn leave(&mut self, index: usize, next: u64) -> Result<(), KafkaError> {
        (self.feeds[index].next, self.feeds[index].retry_at) = (next, None);
        self.sink.reads(self.feeds[index].known.partition, false);
        let list = self.list(&[index], |_| Offset::Invalid);
        let (topic, number) = (&self.kafka.topics[self.feeds[index].known.topic].name, self.feeds[index].known.number);
        // Of one that was left already, librdkafka would complain.
        match self.client.assignment()?.find_partition(topic, number) {
            Some(_) => self.client.incremental_unassign(&list),
            None => Ok(()),
        }
    }

    /// Sends what was taken on its way.
    fn flush(&mut self) {
        for feed in self.feeds.iter_mut().filter(|feed| feed.pending) {
            feed.pending = false;
            self.sink.flush(feed.known.partition, feed.next);
        }
        self.pending = 0;
    }

    /// Lets a partition wait that cannot be read now.
    fn block(&mut self, index: usize, wait: Duration) -> Result<(), KafkaError> {
        self.flush();
        self.feeds[index].retry_at = Some(moment() + wait);
        self.client.pause(&self.list(&[index], |_| Offset::Invalid))
    }

    /// Tries partitions again that wait. What somebody paused is fetched no more until they resume it.
    fn retry(&mut self, now: Clock) -> Result<(), KafkaError> {
        for index in 0..self.feeds.len() {
            let Feed { retry_at, next, ref known, .. } = self.feeds[index];
            match retry_at.is_some_and(|at| at <= now) {
                true if self.sink.is_paused(known.partition) => self.feeds[index].retry_at = Some(now + RETRY_FULL),
                true => self.go_to(index, next)?,
                false => {}
            }
        }
        Ok(())
    }

    /// Looks at what the client says of its partitions. Offsets are not dense: transactions' markers take some, and so does
    /// compaction. Where the client has come past such, so has the graph. A partition that it does not have is given to it
    /// again.
    fn look(&mut self) -> Result<(), KafkaError> {
        let positions = self.client.position()?;
        let is_missing = |index: &usize| {
            let known = &self.feeds[*index].known;
            positions.find_partition(&self.kafka.topics[known.topic].name, known.number).is_none()
        };
        let missing: Vec<usize> = self.present().into_iter().filter(is_missing).collect();
        for index in &missing {
            let known = &self.feeds[*index].known;
            let topic = self.kafka.topics[known.topic].name.as_ref();
            tracing::warn!(topic, partition = known.number, "nobody read the partition: it is read again");
        }
        self.assign(&missing)?;
        for feed in self.feeds.iter_mut().filter(|feed| feed.retry_at.is_none()) {
            let name = &self.kafka.topics[feed.known.topic].name;
            let element = positions.find_partition(name, feed.known.number);
            if let Some(Offset::Offset(offset)) = element.map(|element| element.offset())
                && offset.max(0).cast_unsigned() > feed.next
            {
                feed.next = offset.cast_unsigned();
                self.sink.flush(feed.known.partition, feed.next);
            }
        }
        Ok(())
    }

    /// Goes on after an error of the client's, where that can be.
    fn mend(&mut self, error: KafkaError) -> Result<(), KafkaError> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => Err(error),
            KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange) => self.find_lost(),
            // The watcher says what becomes of brokers and topics.
            KafkaError::MessageConsumption(
                Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::SSL
                | Code::Authentication
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicId,
            ) => Ok(()),
            other => {
                tracing::warn!(source = self.kafka.name.as_ref(), error = %other, "reading");
                Ok(())
            }
        }
    }

    /// An offset that is to be read is not there: says what is lost, and goes on behind it.
    fn find_lost(&mut self) -> Result<(), KafkaError> {
        self.flush();
        let all = self.present();
        let starts = self.client.offsets_for_times(self.list(&all, |_| Offset::Beginning), TIMEOUT);
        let ends = self.client.offsets_for_times(self.list(&all, |_| Offset::End), TIMEOUT);
        // Without an answer, the error comes again.
        let (Ok(starts), Ok(ends)) = (starts, ends) else { return self.reassign_all() };
        for index in all {
            let feed = &self.feeds[index];
            let name = self.kafka.topics[feed.known.topic].name.clone();
            let offset = |list: &TopicPartitionList| offset_in(list, &name, feed.known.number);
            let (Some(start), Some(end)) = (offset(&starts), offset(&ends)) else { continue };
            let (next, partition, number) = (feed.next, feed.known.partition, feed.known.number);
            if next < start {
                let lost = start - next;
                let why =
                    format!("the log starts at {start}: {lost} offsets from {next} on were gone before they were read");
                tracing::error!(topic = name.as_ref(), partition = number, from = next, to = start, "records are lost");
                self.sink.lose(partition, start, why);
                self.go_to(index, start)?;
            } else if next > end {
                // Another topic of the same name, or fewer records than there were: the watcher knows which.
                self.kafka.shared().short.push((index, end, next));
                self.leave(index, next)?;
                self.feeds[index].is_short = true;
                self.kafka.wake();
            } else {
                self.go_to(index, next)?;
            }
        }
        Ok(())
    }

    /// librdkafka does not read on after such an error by itself.
    fn reassign_all(&mut self) -> Result<(), KafkaError> {
        for index in self.present() {
            let next = self.feeds[index].next;
            self.go_to(index, next)?;
        }
        Ok(())
    }
}

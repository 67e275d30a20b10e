//! Kafka as a source, by librdkafka: partitions assigned by hand, positions of our own as the truth, only what is
//! committed. One client reads; another watches topics and log ends, so that neither hides the other's trouble.

mod describe;
mod faults;
mod outlet;
mod reader;
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, Statistics};

use super::{Registrar, Sink, Source};
use crate::ids::{PartitionId, TopicId};
use crate::position::LogId;
pub use faults::Fault;
pub use outlet::KafkaOutlet;

/// This moment, for the loops' own deadlines: nothing that anybody sees is made of it.
#[expect(clippy::disallowed_methods, reason = "two threads' own pace, which no test needs to set")]
fn moment() -> std::time::Instant {
    std::time::Instant::now()
}

/// A cluster, configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    pub brokers: String,
    /// Any of librdkafka's.
    pub properties: BTreeMap<String, String>,
}

/// What is set where the configuration says nothing.
const DEFAULTS: [(&str, &str); 11] = [
    ("client.id", "staygraph"),
    ("group.id", "staygraph"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
    // Enough to keep a reader busy, and what back-pressure may hold in memory.
    ("queued.max.messages.kbytes", "16384"),
    // What one answer may add to that, compressed, of however many partitions.
    ("fetch.max.bytes", "2097152"),
    // A full queue is looked at again soon: it is small, and empties fast.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "2000"),
    ("log.connection.close", "false"),
    ("socket.keepalive.enable", "true"),
];

/// What the source depends on.
const FIXED: [(&str, &str); 4] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is gone is a loss, to be said; never a silent jump.
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "false"),
];

impl KafkaConfig {
    /// All that librdkafka is told.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in DEFAULTS {
            config.set(name, value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in FIXED {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }
}

/// Why a broker could not be spoken to, newest: of all of a source's clients.
type Failure = Arc<Mutex<Option<String>>>;

/// Passes on what librdkafka says.
pub struct Context {
    source: Arc<str>,
    failure: Failure,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let source = self.source.as_ref();
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!(source, facility, message, "librdkafka"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::debug!(source, facility, message, "librdkafka"),
            // It tries again by itself, and says each failure: the watcher says once that the source does not answer, and why.
            _ if facility == "FAIL" => {
                // `[thrd:HOST/bootstrap]: HOST/bootstrap: ` is who says it.
                let why = message.split_once("]: ").map_or(message, |(_, rest)| rest);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
                tracing::debug!(source, facility, message, "librdkafka");
            }
            _ => tracing::warn!(source, facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(source = self.source.as_ref(), %error, reason, "librdkafka");
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Context {}

/// A partition's offset in an answer, where it has one.
fn offset_in(list: &TopicPartitionList, topic: &str, number: i32) -> Option<u64> {
    let element = list.find_partition(topic, number)?;
    match (element.error(), element.offset()) {
        (Ok(()), Offset::Offset(offset)) => Some(offset.max(0).cast_unsigned()),
        _ => None,
    }
}

/// A partition that was found.
#[derive(Clone, Debug)]
struct Known {
    partition: PartitionId,
    /// An index of the source's topics.
    topic: usize,
    number: i32,
    log: LogId,
    /// What its topic was made as.
    origin: LogId,
    /// Where its log goes on for who read the one before it.
    start: u64,
    leader: Option<i32>,
    /// Its topic was made anew with fewer partitions: nothing of it is there, or comes.
    is_gone: bool,
}

/// A partition's log is not what it was.
#[derive(Clone)]
struct Renewed {
    /// An index of the known.
    index: usize,
    start: u64,
    why: String,
    /// Whether it is another topic's. Then it needs another client too.
    is_other: bool,
}

/// What the watcher and the readers tell each other.
#[derive(Default)]
struct Shared {
    known: Vec<Known>,
    /// Partitions to be read from elsewhere, as their topic was made anew or their log went back. Few ever are: all are kept.
    renewed: Vec<Renewed>,
    /// How many of those each reader has taken up; none of one that has ended.
    taken: Vec<Option<usize>>,
    /// Partitions whose log ends before what was read of it: an index of the known, that end, and what was to be read.
    short: Vec<(usize, u64, u64)>,
    /// How often somebody wanted to know the ends now.
    wanted: u64,
    /// Whether a thread that asks for ends has panicked.
    has_panicked: bool,
}

impl Shared {
    /// Whether some reader is to hear of a partition that it has another log.
    fn is_renewed(&self, index: usize) -> bool {
        let taken = self.taken.iter().flatten().min().copied().unwrap_or(self.renewed.len());
        self.renewed[taken..].iter().any(|renewed| renewed.index == index)
    }
}

/// What a client sees of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    Committed,
    All,
}

/// A topic to read.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub topic: TopicId,
    pub name: Arc<str>,
}

/// A cluster, read.
pub struct Kafka {
    name: Arc<str>,
    config: KafkaConfig,
    topics: Vec<Subscription>,
    shared: Mutex<Shared>,
    changed: Condvar,
    failure: Failure,
}

impl Kafka {
    pub fn new(name: &str, config: KafkaConfig, topics: Vec<Subscription>) -> Kafka {
        let (shared, changed, failure) = (Mutex::default(), Condvar::new(), Failure::default());
        Kafka { name: name.into(), config, topics, shared, changed, failure }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a client, again and again where that fails: a name that cannot be resolved today may be there tomorrow.
    fn client(&self, isolation: Isolation, is_closed: impl Fn() -> bool) -> Option<BaseConsumer<Context>> {
        let mut seen = 0;
        while !is_closed() {
            let context = Context { source: self.name.clone(), failure: self.failure.clone() };
            let mut config = self.config.client_config();
            if isolation == Isolation::All {
                config.set("isolation.level", "read_uncommitted");
            }
            match config.create_with_context(context) {
                Ok(client) => return Some(client),
                Err(error) => tracing::error!(source = self.name.as_ref(), %error, "no client for the cluster"),
            }
            self.pause(&mut seen, Duration::from_secs(1));
        }
        None
    }

    /// Returns after a time, or as soon as somebody wants to know the ends who was not `seen` to.
    fn pause(&self, seen: &mut u64, at_most: Duration) {
        let waited = self.changed.wait_timeout_while(self.shared(), at_most, |shared| shared.wanted == *seen);
        *seen = waited.unwrap_or_else(PoisonError::into_inner).0.wanted;
    }
}

impl Source for Kafka {
    fn read(&self, sink: &mut dyn Sink) {
        reader::run(self, sink);
    }

    fn watch(&self, registrar: &dyn Registrar) {
        watcher::run(self, registrar);
    }

    fn wake(&self) {
        self.shared().wanted += 1;
        self.changed.notify_all();
    }
}

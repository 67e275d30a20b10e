//! Writes dead letters to a topic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{Context, Failure, KafkaConfig};
use crate::source::Outlet;
use crate::threads::{Lasts, Thread, Threads};

/// What librdkafka lets through unless configured: more than a source's record can be. What the topic takes is the broker's matter.
const MESSAGE_BYTES_MAX: &str = "200000000";
/// How long one look for what was delivered takes; also how soon the end is noticed.
const LOOK: Duration = Duration::from_millis(100);
/// How long letters have to be written at the end.
const LAST: Duration = Duration::from_secs(5);

/// A letter on its way: its key and headers, and how many bytes of value it has.
pub(super) struct Sent {
    key: String,
    headers: OwnedHeaders,
    /// None of one that was sent without.
    value_bytes: Option<usize>,
}

/// Hears what became of letters.
pub(super) struct Delivered {
    client: Context,
    /// Those that are too large, to be sent without their values.
    too_large: Mutex<Vec<Sent>>,
}

impl ClientContext for Delivered {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.error(error, reason);
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, sent: Box<Sent>) {
        if let Err((error, _)) = delivered {
            self.failed(error, *sent);
        }
    }
}

impl Delivered {
    pub(super) fn new(client: Context) -> Delivered {
        Delivered { client, too_large: Mutex::default() }
    }

    fn failed(&self, error: &KafkaError, sent: Sent) {
        const TOO_LARGE: [Code; 3] = [Code::MessageSizeTooLarge, Code::InvalidMessageSize, Code::MessageBatchTooLarge];
        let is_too_large = error.rdkafka_error_code().is_some_and(|code| TOO_LARGE.contains(&code));
        if is_too_large && sent.value_bytes.is_some() {
            self.too_large.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        } else {
            tracing::warn!(source = self.client.source.as_ref(), %error, "a dead letter is not written to its topic");
        }
    }
}

/// A topic of a cluster, written to by a thread of its own.
pub struct KafkaOutlet {
    writer: Arc<Writer>,
    thread: Thread,
}

struct Writer {
    producer: BaseProducer<Delivered>,
    topic: String,
    is_over: AtomicBool,
}

/// What a producer is told.
pub(super) fn client_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("client.id", "staygraph").set("enable.idempotence", "true").set("allow.auto.create.topics", "false");
    client.set("message.max.bytes", MESSAGE_BYTES_MAX);
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.brokers);
    client
}

impl KafkaOutlet {
    /// The error says why there is no client. Its thread is among those that somebody looks after.
    pub fn new(source: &str, config: &KafkaConfig, topic: &str, threads: &Threads) -> Result<KafkaOutlet, String> {
        let client = client_config(config);
        let context = Context { source: source.into(), failure: Failure::default() };
        let context = Delivered::new(context);
        let producer = client.create_with_context(context).map_err(|error: KafkaError| error.to_string())?;
        let writer = Arc::new(Writer { producer, topic: topic.to_owned(), is_over: AtomicBool::new(false) });
        let run = writer.clone();
        let thread = threads.spawn("outlet", Lasts::UntilReleased, move || run.run());
        Ok(KafkaOutlet { writer, thread: thread.map_err(|error| error.to_string())? })
    }
}

impl Writer {
    fn run(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            self.producer.poll(LOOK);
            self.send_again();
        }
    }

    fn send(&self, value: Option<&[u8]>, sent: Sent) {
        let (key, headers) = (sent.key.clone(), sent.headers.clone());
        let mut record = BaseRecord::with_opaque_to(&self.topic, Box::new(sent)).key(key.as_str()).headers(headers);
        record.payload = value;
        if let Err((error, record)) = self.producer.send(record) {
            self.producer.context().failed(&error, *record.delivery_opaque);
        }
    }

    /// Sends letters that are too large without their values, but for an empty one: none would be a tombstone.
    fn send_again(&self) {
        let too_large = &self.producer.context().too_large;
        for Sent { key, headers, value_bytes } in
            std::mem::take(&mut *too_large.lock().unwrap_or_else(PoisonError::into_inner))
        {
            let bytes = value_bytes.unwrap_or_default().to_string();
            let headers = headers.insert(Header { key: "staygraph.truncated", value: Some(&bytes) });
            self.send(Some(&[]), Sent { key, headers, value_bytes: None });
        }
    }
}

impl Outlet for KafkaOutlet {
    fn put(&self, key: &str, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) {
        let with = |headers: OwnedHeaders, (name, value): &(&str, Option<&[u8]>)| {
            headers.insert(Header { key: name, value: *value })
        };
        let headers = headers.iter().fold(OwnedHeaders::new(), with);
        self.writer.send(value, Sent { key: key.to_owned(), headers, value_bytes: value.map(<[u8]>::len) });
    }
}

impl Drop for KafkaOutlet {
    fn drop(&mut self) {
        self.thread.release();
        self.writer.is_over.store(true, Ordering::Release);
        self.thread.join(LAST);
        for _ in 0..2 {
            let _ = self.writer.producer.flush(LAST);
            self.writer.send_again();
        }
        let _ = self.writer.producer.flush(LAST);
    }
}

//! Writes dead letters to a topic.

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::{Context, Failure, KafkaConfig};
use crate::source::Outlet;

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivered {
            tracing::warn!(source = self.source.as_ref(), %error, "a dead letter is not written to its topic");
        }
    }
}

/// A topic of a cluster, written to.
pub struct KafkaOutlet {
    producer: ThreadedProducer<Context>,
    source: Arc<str>,
    topic: String,
}

/// What a producer is told.
pub(super) fn client_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("client.id", "staygraph").set("enable.idempotence", "true").set("allow.auto.create.topics", "false");
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.brokers);
    client
}

impl KafkaOutlet {
    /// The error says why there is no client.
    pub fn new(source: &str, config: &KafkaConfig, topic: &str) -> Result<KafkaOutlet, String> {
        let client = client_config(config);
        let source: Arc<str> = source.into();
        let producer = client.create_with_context(Context { source: source.clone(), failure: Failure::default() });
        Ok(KafkaOutlet { producer: producer.map_err(|error| error.to_string())?, source, topic: topic.to_owned() })
    }
}

impl Outlet for KafkaOutlet {
    fn put(&self, key: &str, value: Option<&[u8]>, headers: &[(&str, String)]) {
        let with = |headers: OwnedHeaders, (name, value): &(&str, String)| {
            headers.insert(Header { key: name, value: Some(value) })
        };
        let headers = headers.iter().fold(OwnedHeaders::new(), with);
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).key(key).headers(headers);
        record.payload = value;
        if let Err((error, _)) = self.producer.send(record) {
            tracing::warn!(source = self.source.as_ref(), %error, "a dead letter is not written to its topic");
        }
    }
}

impl Drop for KafkaOutlet {
    fn drop(&mut self) {
        let _ = self.producer.flush(std::time::Duration::from_secs(5));
    }
}

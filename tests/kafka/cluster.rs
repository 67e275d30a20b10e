//! A cluster of its own for a test, what one writes to it, and a service that reads it.
#![expect(clippy::disallowed_methods, reason = "how long a test waits is the clock's to say")]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::{Service, folder, root};
use crate::witness::{Ledger, Watched};

/// How long anything may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A record: key, value, headers.
pub type Written = (String, Option<Vec<u8>>, Vec<(String, String)>);

/// What Kafka's own tool says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub current: u64,
    pub end: u64,
    pub lag: u64,
}

/// Nodes that end with it.
pub struct Cluster {
    pub folder: TempDir,
    pub brokers: String,
    /// What its writers were acknowledged.
    ledger: Arc<Ledger>,
}

impl Cluster {
    pub fn start(nodes: usize) -> Cluster {
        Cluster::start_with(nodes, &[])
    }

    /// With what scripts/kafka takes from the environment.
    pub fn start_with(nodes: usize, settings: &[(&str, &str)]) -> Cluster {
        let folder = folder();
        let mut command = Command::new(root("scripts/kafka"));
        command.arg("start").arg(folder.path()).arg(nodes.to_string()).envs(settings.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "Kafka does not start: {said}");
        let brokers = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Cluster { folder, brokers, ledger: Arc::default() }
    }

    /// Another cluster, which the same service reads.
    pub fn start_beside(&self) -> Cluster {
        let mut other = Cluster::start(1);
        other.ledger = self.ledger.clone();
        other
    }

    /// A service that reads it, with a witness: `more` follows the source's brokers, as its other settings and domains.
    pub fn serve(&self, data: &Path, more: &str) -> Watched {
        self.serve_at(data, &self.brokers, more)
    }

    /// By an address of another kind.
    pub fn serve_at(&self, data: &Path, brokers: &str, more: &str) -> Watched {
        let config = format!("[sources.main]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\n{more}");
        Watched::serve(data, &config, &self.ledger)
    }

    /// What a topic's log held is gone from now on, though it was acknowledged: the test has the cluster lose it.
    pub fn loses(&self, topic: &str) {
        self.ledger.forget(topic);
    }

    /// Does something to a node: `kill`, `node`, `freeze`, `thaw`.
    pub fn node(&self, verb: &str, node: usize) {
        let mut command = Command::new(root("scripts/kafka"));
        let status = command.arg(verb).arg(self.folder.path()).arg(node.to_string()).status().unwrap();
        assert!(status.success(), "{verb} {node}");
    }

    /// Runs one of Kafka's own tools and gives what it prints.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(root("scripts/kafka"));
        let output = command.arg("run").arg(self.folder.path()).arg(class).args(arguments).output().unwrap();
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `kafka-consumer-groups.sh --describe` says of staygraph's group, by topic and partition.
    pub fn group(&self) -> BTreeMap<(String, u64), Told> {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let said = self.tool(class, &["--describe", "--group", "staygraph"]);
        let rows = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.first() == Some(&"staygraph"))
            .map(|row| {
                // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …; what the tool does not know is a dash.
                let number = |place: usize| row[place].parse::<u64>().unwrap_or_else(|_| panic!("{said}"));
                ((row[1].to_owned(), number(2)), Told { current: number(3), end: number(4), lag: number(5) })
            })
            .collect()
    }

    /// The port of a listener that SECURE adds, as `host:port`.
    pub fn secure(&self, listener: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("secure")).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == listener).unwrap().1.to_owned()
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    pub fn create(&self, topics: &[(&str, i32)]) {
        self.create_with(topics, &[]);
    }

    pub fn create_with(&self, topics: &[(&str, i32)], settings: &[(&str, &str)]) {
        let replicas = self.brokers.split(',').count().min(3) as i32;
        let new = |(name, partitions): &(&'static str, i32)| {
            let topic = NewTopic::new(name, *partitions, TopicReplication::Fixed(replicas));
            settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
        };
        // The names live as long as the request.
        let topics: Vec<(&'static str, i32)> =
            topics.iter().map(|(name, count)| (&*Box::leak(name.to_string().into_boxed_str()), *count)).collect();
        topics.iter().for_each(|(name, _)| self.ledger.forget(name));
        let made = block(self.admin().create_topics(&topics.iter().map(new).collect::<Vec<_>>(), &options()));
        made.unwrap().into_iter().for_each(|made| drop(made.unwrap()));
    }

    /// With whatever a test wants of it.
    pub fn create_new(&self, topic: NewTopic<'_>) {
        let made = block(self.admin().create_topics(&[topic], &options()));
        made.unwrap().into_iter().for_each(|made| drop(made.unwrap()));
    }

    pub fn delete(&self, topic: &str) {
        self.ledger.forget(topic);
        let gone = block(self.admin().delete_topics(&[topic], &options()));
        gone.unwrap().into_iter().for_each(|gone| drop(gone.unwrap()));
    }

    pub fn grow(&self, topic: &str, partitions: usize) {
        let grown = block(self.admin().create_partitions(&[NewPartitions::new(topic, partitions)], &options()));
        grown.unwrap().into_iter().for_each(|grown| drop(grown.unwrap()));
    }

    /// Deletes a partition's records before an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        block(self.admin().delete_records(&list, &options())).unwrap();
    }

    /// Where a reader of all that some topics hold must be, as a position.
    pub fn position(&self, topics: &[&str]) -> String {
        let client = self.admin();
        let client = client.inner();
        let mut entries = Vec::new();
        for topic in topics {
            let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
            for partition in metadata.topics()[0].partitions() {
                let (_, end) = client.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
                entries.push(format!("{topic}/{}@{end}", partition.id()));
            }
        }
        entries.join(",")
    }

    /// The first records of a topic with one partition: keys, values, headers.
    pub fn read(&self, topic: &str, count: usize) -> Vec<Written> {
        let mut config = self.config();
        config.set("group.id", "tests").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let (mut read, started) = (Vec::new(), Instant::now());
        while read.len() < count {
            assert!(started.elapsed() < PATIENCE, "{topic} has {} records", read.len());
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = message.headers().map(|headers| {
                headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
            });
            let key = text(message.key().unwrap_or_default());
            read.push((key, message.payload().map(<[u8]>::to_vec), headers.unwrap_or_default()));
        }
        read
    }

    pub fn writer(&self) -> Writer {
        self.writer_with(&[])
    }

    pub fn writer_with(&self, properties: &[(&str, &str)]) -> Writer {
        let mut config = self.config();
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Writer::new(config, &self.ledger)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(root("scripts/kafka")).arg("stop").arg(self.folder.path()).status();
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Tells the ledger of what is acknowledged: of a transaction when it is committed.
pub struct Acknowledged {
    ledger: Arc<Ledger>,
    /// What the open transaction wrote, where there are transactions: topics, partitions, ends.
    open: Option<Mutex<Vec<(String, i32, u64)>>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        let Ok(message) = delivered else { return };
        let (topic, partition, end) = (message.topic(), message.partition(), message.offset().cast_unsigned() + 1);
        match &self.open {
            Some(open) => open.lock().unwrap().push((topic.to_owned(), partition, end)),
            None => self.ledger.note(topic, partition, end),
        }
    }
}

/// Writes to a cluster, acknowledged by all replicas unless told otherwise.
pub struct Writer {
    producer: ThreadedProducer<Acknowledged>,
}

impl Writer {
    fn new(mut config: ClientConfig, ledger: &Arc<Ledger>) -> Writer {
        for (name, value) in [("acks", "all"), ("linger.ms", "5"), ("queue.buffering.max.messages", "1000000")] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        let is_transactional = config.get("transactional.id").is_some();
        let context = Acknowledged { ledger: ledger.clone(), open: is_transactional.then(Mutex::default) };
        let producer: ThreadedProducer<Acknowledged> = config.create_with_context(context).unwrap();
        if is_transactional {
            producer.init_transactions(PATIENCE).unwrap();
        }
        Writer { producer }
    }

    pub fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub fn commit(&self) {
        self.producer.commit_transaction(PATIENCE).unwrap();
        for (topic, partition, end) in self.of_transaction() {
            self.producer.context().ledger.note(&topic, partition, end);
        }
    }

    pub fn abort(&self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
        self.of_transaction();
    }

    fn of_transaction(&self) -> Vec<(String, i32, u64)> {
        std::mem::take(&mut *self.producer.context().open.as_ref().unwrap().lock().unwrap())
    }

    /// Puts an event on its way, keyed by its subject as producers do.
    pub fn send(&self, topic: &str, event: &Json) {
        self.send_raw(topic, None, event["subject"].as_str().unwrap(), Some(event.to_string().as_bytes()), &[]);
    }

    pub fn send_raw(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &str,
        value: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.send_bytes(topic, partition, key, value, &headers);
    }

    /// With headers that need be no texts.
    pub fn send_bytes(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &str,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let with = |headers: OwnedHeaders, (name, value): &(&str, &[u8])| {
            headers.insert(Header { key: name, value: Some(*value) })
        };
        let mut record = BaseRecord::<str, [u8]>::to(topic).key(key);
        (record.payload, record.partition) = (value, partition);
        if !headers.is_empty() {
            record = record.headers(headers.iter().fold(OwnedHeaders::new(), with));
        }
        self.producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }

    /// Returns when all that was sent is acknowledged.
    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// Asks until it is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) => assert!(started.elapsed() < PATIENCE, "{what}: {seen}"),
        }
        std::thread::park_timeout(Duration::from_millis(30));
    }
}

/// A domain's `DomainFreshness`.
pub fn freshness(service: &Service, domain: &str) -> Json {
    let fields = "domain status cause reason asOf asOfBasis stalenessMs lagEvents
        partitions { topic partition start applied end lagEvents asOf status cause reason }";
    let data = service.read(&format!("{{ freshness {{ {fields} }} }}"), "");
    let domains = data["freshness"].as_array().unwrap();
    domains.iter().find(|known| known["domain"] == domain).unwrap().clone()
}

/// Waits until a domain says so.
pub fn until_is(service: &Service, domain: &str, status: &str, cause: &str) -> Json {
    until(&format!("{domain} is {status} {cause}"), || {
        let now = freshness(service, domain);
        if now["status"] == status && now["cause"] == cause { Ok(now) } else { Err(now.to_string()) }
    })
}

/// Waits until all that some domains' logs held when they last told is applied.
pub fn until_caught_up(service: &Service, domains: &[&str]) {
    for domain in domains {
        until(&format!("{domain} is caught up"), || {
            let now = freshness(service, domain);
            let is = now["lagEvents"] == 0 && now["status"] == "FRESH";
            if is { Ok(()) } else { Err(now.to_string()) }
        });
    }
}

/// Every listed entity of the shipped model with what it says, by kind and key: two graphs are the same where these are.
pub fn dump(service: &Service) -> BTreeMap<String, Json> {
    let kinds = [
        ("people", "key name email country completeness lastEvent { id } reservations { totalCount }"),
        (
            "properties",
            "key name completeness lastEvent { id } host { key } reservations { totalCount } prices { totalCount }",
        ),
        ("prices", "key validFrom validTo amount { minor currency } completeness lastEvent { id } property { key }"),
        (
            "reservations",
            "key status checkIn checkOut total { minor currency } completeness lastEvent { id } property { key } guest { key }",
        ),
    ];
    let mut all = BTreeMap::new();
    for (root, fields) in kinds {
        let mut after = Json::Null;
        loop {
            let query = format!(
                "{{ {root}(first: 500, after: {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
            );
            let data = service.read(&query, "");
            for node in data[root]["nodes"].as_array().unwrap() {
                all.insert(format!("{root}/{}", node["key"].as_str().unwrap()), node.clone());
            }
            if data[root]["pageInfo"]["hasNextPage"] != true {
                break;
            }
            after = data[root]["pageInfo"]["endCursor"].clone();
        }
    }
    all
}

/// The first events of the demo's data, with their topics.
pub fn demo_events(count: usize) -> Vec<(&'static str, Json)> {
    let file = std::fs::File::open(root("assets/demo/base.ndjson.zst")).unwrap();
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let events: Vec<&str> = text.lines().collect();
    // Spread over the file, so that all kinds are among them.
    let step = (events.len() / count).max(1);
    let topic = |event: &Json| match event["type"].as_str().unwrap().split('.').next().unwrap() {
        "person" => "people",
        "property" => "properties",
        "price" => "prices",
        _ => "reservations",
    };
    let chosen = events.iter().step_by(step).map(|line| serde_json::from_str::<Json>(line).unwrap());
    chosen.map(|event| (topic(&event), event)).collect()
}

/// A person, registered or changed.
pub fn person(key: &str, version: u64, name: &str) -> Json {
    let kind = if version == 1 { "person.registered" } else { "person.profile-changed" };
    crate::support::event(kind, key, version, json!({ "name": name }))
}

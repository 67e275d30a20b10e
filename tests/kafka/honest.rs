//! A witness who knows what was acknowledged when: no answer may claim to be as of a moment before which something was
//! acknowledged that lies beyond its own position, whatever breaks meanwhile.
#![expect(clippy::disallowed_methods, reason = "a witness has a clock of its own")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientContext;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use serde_json::{Value as Json, json};

use crate::cluster::{Cluster, PATIENCE, freshness, person, serve, until, until_caught_up, until_is};
use crate::support::{Service, folder};

fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

/// RFC 3339 of this century into microseconds.
fn micros(text: &str) -> i64 {
    let instant = staygraph::model::value::Instant::parse(text).unwrap();
    instant.micros()
}

/// A record that the cluster has acknowledged.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    partition: i32,
    offset: u64,
    at_micros: i64,
}

/// Notes acknowledgements as they come.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Acknowledged>>>);

impl ClientContext for Notes {}

impl ProducerContext for Notes {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = delivered {
            let (partition, offset) = (message.partition(), message.offset().cast_unsigned());
            self.0.lock().unwrap().push(Acknowledged { partition, offset, at_micros: now_micros() });
        }
    }
}

/// Writes people, and remembers what was acknowledged.
struct Scribe {
    producer: ThreadedProducer<Notes>,
    notes: Notes,
    versions: u64,
}

impl Scribe {
    fn new(cluster: &Cluster, properties: &[(&str, &str)]) -> Scribe {
        let (mut config, notes) = (ClientConfig::new(), Notes::default());
        config.set("bootstrap.servers", &cluster.brokers).set("linger.ms", "1").set("acks", "all");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Scribe { producer: config.create_with_context(notes.clone()).unwrap(), notes, versions: 0 }
    }

    fn write(&mut self, partition: i32) {
        self.versions += 1;
        let key = format!("p{partition}");
        let event = person(&key, self.versions, &format!("name {}", self.versions)).to_string();
        let record = BaseRecord::<str, str>::to("people").partition(partition).key(&key).payload(&event);
        self.producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }

    fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// What an answer claimed.
struct Claim {
    as_of_micros: Option<i64>,
    /// By partition: what it had applied.
    position: BTreeMap<i32, u64>,
    text: String,
}

/// Asks all the while.
struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Claim>>,
}

impl Witness {
    fn of(service: &Service) -> Witness {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), format!("{}/graphql", service.url));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
            let body = json!({ "query": "{ people(first: 1) { totalCount } }" }).to_string();
            let mut claims = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                let answer = agent.post(&url).header("content-type", "application/json").send(&body);
                let text = answer.unwrap().body_mut().read_to_string().unwrap();
                claims.push(claim(&text));
                std::thread::park_timeout(Duration::from_millis(3));
            }
            claims
        });
        Witness { stop, thread }
    }

    /// Compares every answer with what was acknowledged before it says that it is. Gives how many claimed something.
    fn judge(self, notes: &[&Notes]) -> usize {
        self.stop.store(true, Ordering::Release);
        let claims = self.thread.join().unwrap();
        let mut known: Vec<Acknowledged> = Vec::new();
        notes.iter().for_each(|notes| known.extend(notes.0.lock().unwrap().iter()));
        assert!(!known.is_empty());
        let mut count = 0;
        for claim in &claims {
            let Some(as_of) = claim.as_of_micros else { continue };
            count += 1;
            let missed = known.iter().find(|record| {
                let applied = claim.position.get(&record.partition).copied().unwrap_or(0);
                record.at_micros < as_of && record.offset >= applied
            });
            if let Some(missed) = missed {
                panic!("{missed:?} was acknowledged {} ms before: {}", (as_of - missed.at_micros) / 1000, claim.text);
            }
        }
        assert!(count > 10, "{count} of {} answers claimed anything", claims.len());
        count
    }
}

fn claim(text: &str) -> Claim {
    let answer: Json = serde_json::from_str(text).unwrap();
    let told = &answer["extensions"]["freshness"];
    let entries = told["position"].as_str().unwrap_or_default().split(',').filter(|entry| !entry.is_empty());
    let position = entries.map(|entry| {
        let (place, offset) = entry.rsplit_once('@').unwrap();
        (place.rsplit_once('/').unwrap().1.parse().unwrap(), offset.parse().unwrap())
    });
    let position = position.collect();
    Claim { as_of_micros: told["asOf"].as_str().map(micros), position, text: text.to_owned() }
}

fn pause(ms: u64) {
    std::thread::park_timeout(Duration::from_millis(ms));
}

#[test]
fn what_waits_behind_an_open_transaction_is_not_called_seen() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 2)]);
    let mut scribe = Scribe::new(&cluster, &[]);
    (0..20).for_each(|number| scribe.write(number % 2));
    scribe.flush();
    let service = serve(data.path(), &cluster.brokers, "[domains.people]\nfresh_within = \"1s\"\n");
    until_caught_up(&service, &["people"]);
    let witness = Witness::of(&service);

    let mut open = Scribe::new(&cluster, &[("transactional.id", "tests")]);
    open.versions = 1000;
    open.producer.init_transactions(PATIENCE).unwrap();
    open.producer.begin_transaction().unwrap();
    open.write(0);
    open.flush();
    // Acknowledged, and unseen as long as the transaction before it is open.
    for _ in 0..50 {
        scribe.write(0);
        scribe.write(1);
        pause(10);
    }
    scribe.flush();
    until_is(&service, "people", "LATENT", "BLOCKED");
    // As many as the source was last asked about: on a busy machine the last ones came after that.
    let now = until("all records are told", || {
        let now = freshness(&service, "people");
        let reason = now["reason"].as_str().unwrap_or_default();
        let is_told = reason.contains("transaction is open at offset 10: 51 records");
        let is_read = now["partitions"].as_array().is_some_and(|all| all.iter().any(|one| one["applied"] == 60));
        if is_told && is_read { Ok(now) } else { Err(now.to_string()) }
    });
    // The other partition goes on meanwhile.
    let partitions = now["partitions"].as_array().unwrap();
    let other = partitions.iter().find(|partition| partition["partition"] == 1).unwrap();
    assert_eq!((&other["status"], &other["applied"]), (&json!("FRESH"), &json!(60)), "{now}");
    open.producer.commit_transaction(PATIENCE).unwrap();
    until_caught_up(&service, &["people"]);
    witness.judge(&[&scribe.notes, &open.notes]);
}

#[test]
fn short_transactions_in_a_row_make_nothing_stale() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let mut scribe = Scribe::new(&cluster, &[("transactional.id", "tests")]);
    scribe.producer.init_transactions(PATIENCE).unwrap();
    let service = serve(data.path(), &cluster.brokers, "[domains.people]\nfresh_within = \"2s\"\n");
    until_caught_up(&service, &["people"]);
    let witness = Witness::of(&service);
    for _ in 0..40 {
        scribe.producer.begin_transaction().unwrap();
        (0..5).for_each(|_| scribe.write(0));
        scribe.flush();
        pause(100);
        scribe.producer.commit_transaction(PATIENCE).unwrap();
        let now = freshness(&service, "people");
        assert_eq!(now["status"], "FRESH", "{now}");
    }
    // In a transaction what is acknowledged is not to be seen before it ends: the position is judged by the next begin.
    scribe.notes.0.lock().unwrap().truncate(1);
    witness.judge(&[&scribe.notes]);
}

#[test]
fn a_frozen_leader_is_its_own_partitions_trouble() {
    let (cluster, data) = (Cluster::start(3), folder());
    // A partition a node, on that node alone.
    let assigned: [&[i32]; 3] = [&[1], &[2], &[3]];
    cluster
        .create_new(NewTopic::new("people", 3, TopicReplication::Variable(&assigned)).set("min.insync.replicas", "1"));
    let mut scribe = Scribe::new(&cluster, &[("message.timeout.ms", "120000")]);
    (0..30).for_each(|number| scribe.write(number % 3));
    scribe.flush();
    let service = serve(data.path(), &cluster.brokers, "[domains.people]\nfresh_within = \"3s\"\n");
    until_caught_up(&service, &["people"]);
    let witness = Witness::of(&service);
    cluster.node("freeze", 2);
    until_is(&service, "people", "LATENT", "SOURCE_UNREACHABLE");
    for _ in 0..60 {
        scribe.write(0);
        scribe.write(2);
        pause(100);
        let now = freshness(&service, "people");
        for partition in now["partitions"].as_array().unwrap() {
            let expected = if partition["partition"] == 1 { "LATENT" } else { "FRESH" };
            assert_eq!(partition["status"], expected, "{now}");
        }
    }
    cluster.node("thaw", 2);
    scribe.write(1);
    scribe.flush();
    until_caught_up(&service, &["people"]);
    witness.judge(&[&scribe.notes]);
}

#[test]
fn a_topic_made_anew_after_its_leaders_changed() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let mut scribe = Scribe::new(&cluster, &[]);
    (0..10).for_each(|_| scribe.write(0));
    scribe.flush();
    // Each start raises the epoch of the partition's leader.
    for _ in 0..2 {
        cluster.node("kill", 1);
        cluster.node("node", 1);
    }
    let service = serve(data.path(), &cluster.brokers, "");
    until_caught_up(&service, &["people"]);
    cluster.delete("people");
    until("the topic is gone", || {
        let reason = freshness(&service, "people")["reason"].as_str().unwrap().to_owned();
        if reason.contains("there is no topic `people`") { Ok(()) } else { Err(reason) }
    });
    cluster.create(&[("people", 1)]);
    let mut anew = Scribe::new(&cluster, &[]);
    anew.versions = 100;
    let witness = Witness::of(&service);
    for _ in 0..100 {
        anew.write(0);
        pause(10);
    }
    anew.flush();
    until("the new log is read", || {
        let now = freshness(&service, "people");
        let is = now["partitions"][0]["applied"] == 100 && now["lagEvents"] == 0;
        if is { Ok(()) } else { Err(now.to_string()) }
    });
    pause(500);
    witness.judge(&[&anew.notes]);
    assert_eq!(service.read("{ person(key: \"p0\") { name } }", "")["person"]["name"], "name 200");
}

#[test]
fn a_log_that_lost_records_hands_out_no_position_twice() {
    let (cluster, data) = (Cluster::start(3), folder());
    let assigned: [&[i32]; 1] = [&[1, 2]];
    cluster.create_new(
        NewTopic::new("people", 1, TopicReplication::Variable(&assigned))
            .set("min.insync.replicas", "1")
            .set("unclean.leader.election.enable", "true"),
    );
    let mut scribe = Scribe::new(&cluster, &[("acks", "1")]);
    (0..10).for_each(|_| scribe.write(0));
    scribe.flush();
    let service = serve(data.path(), &cluster.brokers, "");
    until_caught_up(&service, &["people"]);
    // What the other replica does not have.
    cluster.node("kill", 2);
    (0..30).for_each(|_| scribe.write(0));
    scribe.flush();
    until("all is applied", || {
        let now = freshness(&service, "people");
        if now["partitions"][0]["applied"] == 40 { Ok(()) } else { Err(now.to_string()) }
    });
    let answer = service.ask("{ person(key: \"p0\") { name } }", &[]).json();
    let old = answer["extensions"]["freshness"]["position"].as_str().unwrap().to_owned();
    assert_eq!(answer["data"]["person"]["name"], "name 40");
    cluster.node("kill", 1);
    cluster.node("node", 2);
    let lost = until("the loss is said", || {
        let now = freshness(&service, "people");
        if now["cause"] == "DATA_LOST" { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(lost["reason"].as_str().unwrap().contains("the log ended at 10, and had records up to 40"), "{lost}");
    // It grows beyond where it had been: those offsets are others' now.
    let mut anew = Scribe::new(&cluster, &[("acks", "1")]);
    anew.versions = 100;
    let witness = Witness::of(&service);
    for _ in 0..50 {
        anew.write(0);
        pause(20);
    }
    anew.flush();
    until("the rest is read", || {
        let now = freshness(&service, "people");
        if now["partitions"][0]["applied"] == 60 { Ok(()) } else { Err(now.to_string()) }
    });
    pause(500);
    witness.judge(&[&anew.notes]);
    let reply = service.ask("{ person(key: \"p0\") { name } }", &[("freshness-at-least", &old)]);
    assert_eq!(reply.json()["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{}", reply.text);
    assert_eq!(service.read("{ person(key: \"p0\") { name } }", "")["person"]["name"], "name 150");
}

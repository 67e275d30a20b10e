//! What a client may believe of an answer while something breaks: scenarios made for it. The witness of every test
//! (witness.rs) judges them; here it must have had something to judge.

use std::time::Duration;

use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::json;

use crate::cluster::{Cluster, Writer, freshness, person, until, until_caught_up, until_is};
use crate::support::folder;
use crate::witness::Watched;

/// Writes people, one a partition, in one version after another.
struct Scribe {
    writer: Writer,
    versions: u64,
}

impl Scribe {
    fn new(cluster: &Cluster, properties: &[(&str, &str)]) -> Scribe {
        let properties = [&[("linger.ms", "1")], properties].concat();
        Scribe { writer: cluster.writer_with(&properties), versions: 0 }
    }

    fn write(&mut self, partition: i32) {
        self.versions += 1;
        let key = format!("p{partition}");
        let event = person(&key, self.versions, &format!("name {}", self.versions)).to_string();
        self.writer.send_raw("people", Some(partition), &key, Some(event.as_bytes()), &[]);
    }

    fn flush(&self) {
        self.writer.flush();
    }
}

/// Enough of what was claimed could be compared with what was acknowledged.
fn judge(service: Watched) {
    let (compared, answers) = service.judged();
    assert!(compared > 10 && answers > 10, "{compared} claims of {answers} answers");
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
    let service = cluster.serve(data.path(), "[domains.people]\nfresh_within = \"1s\"\n");
    until_caught_up(&service, &["people"]);

    let mut open = Scribe::new(&cluster, &[("transactional.id", "tests")]);
    open.versions = 1000;
    open.writer.begin();
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
    open.writer.commit();
    until_caught_up(&service, &["people"]);
    judge(service);
}

#[test]
fn short_transactions_in_a_row_make_nothing_stale() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let mut scribe = Scribe::new(&cluster, &[("transactional.id", "tests")]);
    let service = cluster.serve(data.path(), "[domains.people]\nfresh_within = \"2s\"\n");
    until_caught_up(&service, &["people"]);
    for _ in 0..40 {
        scribe.writer.begin();
        (0..5).for_each(|_| scribe.write(0));
        scribe.flush();
        pause(100);
        scribe.writer.commit();
        let now = freshness(&service, "people");
        assert_eq!(now["status"], "FRESH", "{now}");
    }
    judge(service);
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
    let service = cluster.serve(data.path(), "[domains.people]\nfresh_within = \"3s\"\n");
    until_caught_up(&service, &["people"]);
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
    judge(service);
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
    let service = cluster.serve(data.path(), "");
    until_caught_up(&service, &["people"]);
    cluster.delete("people");
    until("the topic is gone", || {
        let reason = freshness(&service, "people")["reason"].as_str().unwrap().to_owned();
        if reason.contains("there is no topic `people`") { Ok(()) } else { Err(reason) }
    });
    cluster.create(&[("people", 1)]);
    let mut anew = Scribe::new(&cluster, &[]);
    anew.versions = 100;
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
    assert_eq!(service.read("{ person(key: \"p0\") { name } }", "")["person"]["name"], "name 200");
    judge(service);
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
    let mut scribe = Scribe::new(&cluster, &[]);
    (0..10).for_each(|_| scribe.write(0));
    scribe.flush();
    let service = cluster.serve(data.path(), "");
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
    cluster.loses("people");
    cluster.node("node", 2);
    let lost = until("the loss is said", || {
        let now = freshness(&service, "people");
        if now["cause"] == "DATA_LOST" { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(lost["reason"].as_str().unwrap().contains("the log ended at 10, and had records up to 40"), "{lost}");
    // It grows beyond where it had been: those offsets are others' now.
    let mut anew = Scribe::new(&cluster, &[]);
    anew.versions = 100;
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
    let reply = service.ask("{ person(key: \"p0\") { name } }", &[("freshness-at-least", &old)]);
    assert_eq!(reply.json()["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{}", reply.text);
    assert_eq!(service.read("{ person(key: \"p0\") { name } }", "")["person"]["name"], "name 150");
    judge(service);
}

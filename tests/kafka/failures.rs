//! What goes wrong with Kafka: the graph comes out the same, or says what was lost.

use std::process::Command;

use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::json;

use crate::cluster::{Cluster, demo_events, dump, freshness, person, until, until_caught_up, until_is};
use crate::support::{BINARY, Service, folder, preloaded, root};

#[test]
fn brokers_and_the_service_die_in_the_middle() {
    let (cluster, here, there) = (Cluster::start(3), folder(), folder());
    cluster.create(&[("people", 3), ("properties", 3), ("prices", 3), ("reservations", 3)]);
    let domains = ["people", "properties", "prices", "reservations"];
    let events = demo_events(9000);
    let embedded = Service::start(here.path());
    let all: Vec<_> = events.iter().map(|(_, event)| event.clone()).collect();
    embedded.read("{ __typename }", &embedded.write(&all));

    let mut service = cluster.serve(there.path(), "");
    // A producer without idempotence that tries again: some records come twice.
    let writer = cluster.writer_with(&[("enable.idempotence", "false")]);
    for (number, (topic, event)) in events.iter().enumerate() {
        writer.send(topic, event);
        if number % 10 == 0 {
            writer.send(topic, event);
        }
        match number {
            2000 => cluster.node("kill", 1),
            4000 => {
                service.kill();
                service = cluster.serve(there.path(), "");
            }
            6000 => cluster.node("node", 1),
            7000 => cluster.node("freeze", 2),
            8000 => cluster.node("thaw", 2),
            _ => {}
        }
    }
    writer.flush();
    let query = "{ people { totalCount } properties { totalCount } prices { totalCount } reservations { totalCount } }";
    service.read(query, &cluster.position(&domains));
    assert_eq!(dump(&service), dump(&embedded));
}

#[test]
fn a_broker_that_is_gone_and_comes_back() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let writer = cluster.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    let service = cluster.serve(data.path(), "[domains.people]\nfresh_within = \"2s\"\n");
    until_caught_up(&service, &["people"]);
    for (gone, back) in [("freeze", "thaw"), ("kill", "node")] {
        let before = freshness(&service, "people");
        cluster.node(gone, 1);
        let now = until_is(&service, "people", "LATENT", "SOURCE_UNREACHABLE");
        // Staleness grows by the clock, and the answers go on.
        assert!(now["stalenessMs"].as_i64().unwrap() > 2000, "{now}");
        assert!(now["asOf"].as_str().unwrap() >= before["asOf"].as_str().unwrap());
        assert_eq!(service.read("{ person(key: \"ann\") { name } }", "")["person"]["name"], "Ann");
        cluster.node(back, 1);
        until_caught_up(&service, &["people"]);
    }
    writer.send("people", &person("ann", 2, "Anna"));
    writer.flush();
    let data = service.read("{ person(key: \"ann\") { name } }", &cluster.position(&["people"]));
    assert_eq!(data["person"]["name"], "Anna");
}

#[test]
fn a_service_that_starts_before_its_brokers() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    cluster.node("kill", 1);
    let service = cluster.serve(data.path(), "");
    let now = until_is(&service, "people", "UNKNOWN", "SOURCE_UNREACHABLE");
    assert_eq!((&now["asOf"], &now["lagEvents"]), (&json!(null), &json!(null)));
    assert_eq!(service.get("/health/ready", &[]).status, 503);
    cluster.node("node", 1);
    until_caught_up(&service, &["people"]);
}

/// A partition that is there, and that nobody answers for, is no partition that one may do without.
#[test]
fn a_partition_without_a_leader_makes_its_domain_unknown() {
    let (cluster, data) = (Cluster::start(3), folder());
    // A partition a node, on that node alone.
    let assigned: [&[i32]; 3] = [&[1], &[2], &[3]];
    cluster
        .create_new(NewTopic::new("people", 3, TopicReplication::Variable(&assigned)).set("min.insync.replicas", "1"));
    let writer = cluster.writer();
    let write = |partition: i32, key: &str| {
        writer.send_raw("people", Some(partition), key, Some(person(key, 1, key).to_string().as_bytes()), &[]);
    };
    [(0, "ann"), (1, "bea"), (2, "cid")].iter().for_each(|(partition, key)| write(*partition, key));
    writer.flush();
    cluster.node("kill", 2);
    let service = cluster.serve(data.path(), "");
    let now = until("the others are read, and it is named", || {
        let now = freshness(&service, "people");
        let is_read = service.read("{ people { totalCount } }", "")["people"]["totalCount"] == 2;
        let is_named = now["reason"].as_str().is_some_and(|reason| reason.contains("people/1 does not tell"));
        if is_read && is_named { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!((&now["status"], &now["cause"]), (&json!("UNKNOWN"), &json!("SOURCE_UNREACHABLE")), "{now}");
    assert_eq!((&now["asOf"], &now["lagEvents"]), (&json!(null), &json!(null)), "{now}");
    let ready = service.get("/health/ready", &[]);
    assert!(ready.status == 503 && ready.text.contains("people/1 does not tell"), "{}", ready.text);
    let demand = [("freshness-max-staleness", "1m"), ("freshness-otherwise", "fail")];
    let refused = service.ask("{ people { totalCount } }", &demand);
    assert_eq!(refused.status, 412, "{}", refused.text);
    assert!(refused.text.contains("people/1"), "{}", refused.text);
    cluster.node("node", 2);
    until_caught_up(&service, &["people"]);
    assert_eq!(service.read("{ people { totalCount } }", "")["people"]["totalCount"], 3);
    assert_eq!(service.ask("{ people { totalCount } }", &demand).status, 200);
}

/// One of the threads that a source has beside its watcher and its reader.
#[test]
fn a_thread_that_asks_for_ends_and_panics_ends_the_service() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let (config, when) = (data.path().join("staygraph.toml"), data.path().join("now"));
    std::fs::write(&config, format!("[sources.main]\nkind = \"kafka\"\nbrokers = \"{}\"\n", cluster.brokers)).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--config").arg(&config).arg("--data").arg(data.path().join("data"));
    command.arg("--model").arg(root("model.graphql")).args(["--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", preloaded(data.path(), "clockless")).env("FAIL_THREAD", "ends").env("FAIL_WHEN", &when);
    let service = Service::run(command);
    until_caught_up(&service, &["people"]);
    std::fs::write(&when, "").unwrap();
    assert_eq!(service.ended(), Some(1));
}

#[test]
fn records_that_are_gone_before_they_are_read() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let service = cluster.serve(data.path(), "");
    let writer = cluster.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    until_caught_up(&service, &["people"]);
    // While nobody reads, records come and go.
    service.signal("STOP");
    for version in 2..=200 {
        writer.send("people", &person("ann", version, &format!("Ann {version}")));
        // The answer that the stopped client waits for holds these alone.
        if version == 2 {
            writer.flush();
        }
    }
    writer.flush();
    cluster.delete_records("people", 0, 150);
    service.signal("CONT");
    let now = until("the loss is said, and the rest is read", || {
        let now = freshness(&service, "people");
        // The reader may have come to the gap before anybody has asked anew where the log starts and ends.
        let is = now["cause"] == "DATA_LOST" && now["lagEvents"] == 0 && now["partitions"][0]["start"] == 150;
        if is { Ok(now) } else { Err(now.to_string()) }
    });
    // What the client had fetched before is not lost; what is lost is named.
    let (partition, reason) = (&now["partitions"][0], now["reason"].as_str().unwrap());
    assert_eq!(partition["start"], 150, "{now}");
    assert!(reason.starts_with("the log starts at 150: "), "{reason}");
    let data = service.read("{ person(key: \"ann\") { name completeness missingVersions } }", "");
    assert_eq!((&data["person"]["name"], &data["person"]["completeness"]), (&json!("Ann 200"), &json!("INCOMPLETE")));
}

#[test]
fn a_topic_made_anew() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 3)]);
    let writer = cluster.writer();
    (1..=50).for_each(|version| writer.send("people", &person("ann", version, &format!("Ann {version}"))));
    writer.flush();
    let service = cluster.serve(data.path(), "");
    until_caught_up(&service, &["people"]);
    let position = |service: &Service| {
        let answer = service.ask("{ person(key: \"ann\") { name } }", &[]).json();
        answer["extensions"]["freshness"]["position"].as_str().unwrap().to_owned()
    };
    let old = position(&service);
    cluster.delete("people");
    until("the topic is gone", || {
        let reason = freshness(&service, "people")["reason"].as_str().unwrap().to_owned();
        if reason.contains("there is no topic `people`") { Ok(()) } else { Err(reason) }
    });
    cluster.create(&[("people", 1)]);
    writer.send("people", &person("bea", 1, "Bea"));
    writer.flush();
    let now = until("the new log is read", || {
        let now = freshness(&service, "people");
        let is = now["cause"] == "DATA_LOST" && now["lagEvents"] == 0 && now["partitions"][0]["applied"] == 1;
        if is { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(now["reason"].as_str().unwrap().contains("was made anew"), "{now}");
    assert_eq!(service.read("{ person(key: \"bea\") { name } }", "")["person"]["name"], "Bea");
    // Two partitions are not there any more: nobody waits for them, and they make nothing stale.
    let of_partitions = |now: &serde_json::Value| now["partitions"].as_array().unwrap().len();
    assert_eq!((of_partitions(&now), now["partitions"][2]["lagEvents"].as_i64()), (3, Some(0)), "{now}");
    let (query, wait) =
        ("{ person(key: \"bea\") { name } }", [("freshness-max-staleness", "5s"), ("freshness-wait", "20s")]);
    let answer = service.ask(query, &wait);
    assert_eq!(answer.json()["data"]["person"]["name"], "Bea", "{}", answer.text);
    // A position in the old log is refused, not misread.
    let new = position(&service);
    assert_ne!(old.split('/').next(), new.split('/').next());
    let reply = service.ask("{ person(key: \"ann\") { name } }", &[("freshness-at-least", &old)]);
    assert_eq!(reply.json()["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{}", reply.text);
}

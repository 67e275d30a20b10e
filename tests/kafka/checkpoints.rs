//! Starts from a checkpoint where the log is Kafka's: read on from the very positions, and what became of the topics meanwhile is said.

use serde_json::json;

use crate::cluster::{Cluster, demo_events, dump, freshness, person, until, until_caught_up, until_is};
use crate::support::{Service, folder};

const DOMAINS: [&str; 4] = ["people", "properties", "prices", "reservations"];
const ALL: &str =
    "{ people { totalCount } properties { totalCount } prices { totalCount } reservations { totalCount } }";

fn checkpoint(service: &Service) {
    let reply = service.post("/projection/checkpoints", "application/json", b"");
    assert_eq!(reply.status, 201, "{}", reply.text);
}

fn digest(service: &Service) -> String {
    service.read("{ projection { eventsApplied digest { value } } }", "")["projection"].to_string()
}

#[test]
fn it_reads_on_from_where_the_checkpoint_is() {
    let (cluster, here, there) = (Cluster::start(1), folder(), folder());
    cluster.create(&DOMAINS.map(|topic| (topic, 3)));
    let events = demo_events(6000);
    let writer = cluster.writer();
    let service = cluster.serve(here.path(), "");
    for (topic, event) in &events[..4000] {
        writer.send(topic, event);
    }
    writer.flush();
    service.read(ALL, &cluster.position(&DOMAINS));
    checkpoint(&service);
    for (topic, event) in &events[4000..] {
        writer.send(topic, event);
    }
    writer.flush();
    service.read(ALL, &cluster.position(&DOMAINS));
    let whole = digest(&service);
    service.kill();
    let service = cluster.serve(here.path(), "");
    service.says("started from a checkpoint");
    until_caught_up(&service, &DOMAINS);
    assert_eq!(digest(&service), whole);
    // One that has read everything by itself.
    let other = cluster.serve(there.path(), "");
    other.says("all records are read again");
    until_caught_up(&other, &DOMAINS);
    assert_eq!((digest(&other), dump(&other)), (whole, dump(&service)));
}

#[test]
fn it_answers_from_a_checkpoint_while_its_brokers_are_away() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 2)]);
    let writer = cluster.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    let service = cluster.serve(data.path(), "");
    service.read("{ people { totalCount } }", &cluster.position(&["people"]));
    checkpoint(&service);
    service.kill();
    cluster.node("kill", 1);
    let service = cluster.serve(data.path(), "");
    let now = until_is(&service, "people", "UNKNOWN", "SOURCE_UNREACHABLE");
    assert_eq!((&now["asOf"], &now["lagEvents"]), (&json!(null), &json!(null)), "{now}");
    assert_eq!(service.read("{ person(key: \"ann\") { name } }", "")["person"]["name"], "Ann");
    cluster.node("node", 1);
    until_caught_up(&service, &["people"]);
    writer.send("people", &person("bea", 1, "Bea"));
    writer.flush();
    let read = service.read("{ people { totalCount } }", &cluster.position(&["people"]));
    assert_eq!(read["people"]["totalCount"], 2);
}

#[test]
fn what_became_of_a_topic_while_it_did_not_run_is_said() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1), ("properties", 2)]);
    let writer = cluster.writer();
    (0..10).for_each(|number| writer.send("people", &person(&format!("p{number}"), 1, "Ann")));
    writer.flush();
    let service = cluster.serve(data.path(), "");
    service.read("{ people { totalCount } }", &cluster.position(&["people"]));
    checkpoint(&service);
    service.kill();
    // Records come and go beyond what the checkpoint holds; the other topic is made anew, with fewer partitions.
    (10..20).for_each(|number| writer.send("people", &person(&format!("p{number}"), 1, "Bea")));
    writer.flush();
    cluster.delete_records("people", 0, 15);
    cluster.delete("properties");
    cluster.create(&[("properties", 1)]);
    let service = cluster.serve(data.path(), "");
    service.says("started from a checkpoint");
    let lost = until("the loss is said", || {
        let now = freshness(&service, "people");
        if now["cause"] == "DATA_LOST" && now["lagEvents"] == 0 { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(lost["reason"].as_str().unwrap().contains("the log begins at 15, and the checkpoint ends at 10"), "{lost}");
    // Ten of before, five that are left of those after.
    assert_eq!(service.read("{ people { totalCount } }", "")["people"]["totalCount"], 15);
    let anew = until("the other log is said", || {
        let now = freshness(&service, "properties");
        if now["cause"] == "DATA_LOST" { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(anew["reason"].as_str().unwrap().contains("made anew"), "{anew}");
    writer.send("people", &person("last", 1, "Cid"));
    writer.flush();
    let read = service.read("{ person(key: \"last\") { name } }", &cluster.position(&["people"]));
    assert_eq!(read["person"]["name"], "Cid");
}

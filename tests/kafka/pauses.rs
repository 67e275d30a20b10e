//! Pausing what is read from Kafka: nothing is fetched, nothing is lost, nothing comes twice.

use serde_json::json;

use crate::cluster::{Cluster, freshness, person, until, until_caught_up};
use crate::support::folder;

#[test]
fn a_paused_partition_is_read_on_from_where_it_stood() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 2)]);
    // A producer of its own each time: one that was there before knows of no partition that came later.
    let write = |version: u64| {
        let writer = cluster.writer();
        for number in 0..50 {
            writer.send("people", &person(&format!("p-{number}"), version, &format!("Name {version}")));
        }
        writer.flush();
    };
    write(1);
    let service = cluster.serve(data.path(), "");
    until_caught_up(&service, &["people"]);
    let ask = |verb: &str, what: &serde_json::Value| {
        let reply = service.post(&format!("/projection/{verb}"), "application/json", what.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text);
    };
    // One partition, twice: with what has come meanwhile, and with nothing.
    let one = json!({ "partitions": ["people/1"] });
    ask("pause", &one);
    write(2);
    let paused = until("the other partition is read", || {
        let now = freshness(&service, "people");
        let of = |number: usize| &now["partitions"][number];
        let is_so = of(0)["lagEvents"] == 0 && of(1)["lagEvents"].as_u64() > Some(0) && of(1)["cause"] == "PAUSED";
        if is_so { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!(paused["cause"], "PAUSED", "{paused}");
    ask("resume", &one);
    until_caught_up(&service, &["people"]);
    ask("pause", &one);
    ask("resume", &one);
    // The whole domain, and its topic grows: a partition that comes while it is paused is paused.
    let all = json!({ "domains": ["people"] });
    ask("pause", &all);
    cluster.grow("people", 3);
    write(3);
    let late = until("all partitions are found, and none is read", || {
        let now = freshness(&service, "people");
        let all = now["partitions"].as_array().unwrap();
        let is_so =
            all.len() == 3 && all.iter().all(|one| one["cause"] == "PAUSED" && one["lagEvents"].as_u64() > Some(0));
        if is_so { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!(late["lagEvents"], 50, "{late}");
    assert_eq!(service.read("{ person(key: \"p-0\") { name } }", "")["person"]["name"], "Name 2");
    let written = cluster.position(&["people"]);
    // A broker that comes back while it is paused changes nothing.
    cluster.node("kill", 1);
    cluster.node("node", 1);
    ask("resume", &all);
    until_caught_up(&service, &["people"]);
    let names = service.read("{ people(first: 100) { nodes { name completeness } } }", &written);
    let names = names["people"]["nodes"].as_array().unwrap();
    let is_whole = |person: &serde_json::Value| person["name"] == "Name 3" && person["completeness"] == "COMPLETE";
    assert!(names.len() == 50 && names.iter().all(is_whole), "{names:?}");
    assert!(service.get("/metrics", &[]).text.contains("staygraph_events_duplicate_total{domain=\"people\"} 0"));
}

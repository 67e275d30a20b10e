//! Avro out of Kafka, its schema in a real registry, which may be away.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::cluster::{Cluster, freshness, until, until_is};
use crate::support::{event, folder, root};

const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"specversion","type":"string"},{"name":"id","type":"string"},{"name":"source","type":"string"},
    {"name":"type","type":"string"},{"name":"subject","type":"string"},{"name":"time","type":"string"},
    {"name":"sequence","type":"long"},
    {"name":"data","type":{"type":"record","name":"Data","fields":[{"name":"name","type":["null","string"]}]}}]}"#;

/// A registry that ends with it. None, said, where there is no Java for it.
struct Registry<'a> {
    folder: &'a Path,
    url: String,
}

impl Registry<'_> {
    fn start(folder: &Path, port: u16) -> Option<Registry<'_>> {
        let mut command = Command::new(root("scripts/registry"));
        let output = command.arg("start").arg(folder).arg(port.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Some(Registry { folder, url: String::from_utf8(output.stdout).unwrap().trim().to_owned() }),
            Some(3) => {
                println!("skipped: {}", said.trim());
                None
            }
            code => panic!("the registry ended with {code:?}: {said}"),
        }
    }

    fn register(&self) -> u32 {
        let url = format!("{}/subjects/people-value/versions", self.url);
        let mut answer = ureq::post(url).send_json(json!({ "schema": SCHEMA })).unwrap();
        answer.body_mut().read_json::<serde_json::Value>().unwrap()["id"].as_u64().unwrap() as u32
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        let _ = Command::new(root("scripts/registry")).arg("stop").arg(self.folder).status();
    }
}

/// A person's registration in Confluent's wire format.
fn avro(schema: u32, key: &str, name: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(schema.to_be_bytes());
    for text in ["1.0", key, "/tests", "person.registered", key, "2024-05-01T10:00:00Z"] {
        bytes.push(2 * text.len() as u8);
        bytes.extend(text.as_bytes());
    }
    bytes.extend([2, 2, 2 * name.len() as u8]);
    bytes.extend(name.as_bytes());
    bytes
}

#[test]
fn a_registry_that_is_away_blocks_its_partitions_alone() {
    let (home, data) = (folder(), folder());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(registry) = Registry::start(home.path(), port) else { return };
    let (id, url) = (registry.register(), registry.url.clone());
    drop(registry);

    let cluster = Cluster::start(1);
    cluster.create(&[("people", 1), ("properties", 1)]);
    let writer = cluster.writer();
    writer.send_raw("people", Some(0), "ann", Some(&avro(id, "ann", "Ann")), &[]);
    writer.send_raw("people", Some(0), "bea", Some(&avro(id, "bea", "Bea")), &[]);
    writer.send("properties", &event("property.listed", "home", 1, json!({ "name": "Home", "hostId": "ann" })));
    writer.flush();
    let more = format!("schema_registry = \"{url}\"\n[domains.people]\nencoding = \"avro\"\n");
    let service = cluster.serve(data.path(), &more);
    let now = until("people are blocked", || {
        let now = freshness(&service, "people");
        if now["cause"] == "BLOCKED" { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!((&now["status"], &now["lagEvents"]), (&json!("HYDRATING"), &json!(2)), "{now}");
    // The others go on, and nothing is a dead letter for it.
    until_is(&service, "properties", "FRESH", "CAUGHT_UP");
    let data = service.read("{ property(key: \"home\") { name } projection { deadLetters { totalCount } } }", "");
    let expected = json!({ "property": { "name": "Home" }, "projection": { "deadLetters": { "totalCount": 0 } } });
    assert_eq!(data, expected);

    // It kept nothing in its own memory: the schema gets the same number again. What was asked for before it had it is a
    // dead letter, and is read once more.
    let registry = Registry::start(home.path(), port).unwrap();
    assert_eq!(registry.register(), id);
    service.read("{ people { totalCount } }", &cluster.position(&["people"]));
    let retried = service.post("/dead-letters/retry", "application/json", b"{\"domain\":\"people\"}");
    assert_eq!((retried.status, &retried.json()["refused"]), (200, &json!(0)), "{}", retried.text);
    let data = service.read("{ people { nodes { key name } } }", &cluster.position(&["people"]));
    assert_eq!(data["people"]["nodes"], json!([{ "key": "ann", "name": "Ann" }, { "key": "bea", "name": "Bea" }]));
    until_is(&service, "people", "FRESH", "CAUGHT_UP");
}

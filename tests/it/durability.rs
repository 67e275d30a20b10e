//! What is synced when: a recording layer under the process's file and socket calls sees the sync before the answer.

use std::process::Command;

use serde_json::json;

use crate::support::{BINARY, Service, event, folder, preloaded, root};

#[test]
fn the_log_is_synced_before_an_event_is_acknowledged() {
    let data = folder();
    let record = data.path().join("record");
    let mut command = Command::new(BINARY);
    command
        .arg("serve")
        .arg("--model")
        .arg(root("model.graphql"))
        .arg("--data")
        .arg(data.path().join("data"))
        .args(["--listen", "127.0.0.1:0"]);
    command
        .env("LD_PRELOAD", preloaded(data.path(), "recorder"))
        .env("RECORD_TO", &record)
        .env("RECORD_FOLDER", data.path().join("data"));
    let service = Service::run(command);
    let rounds = 20;
    for round in 0..rounds {
        service.write(&[event("reservation.booked", &format!("durable-{round}"), 1, json!({}))]);
    }
    let record = std::fs::read_to_string(&record).unwrap();
    // `w`: the journal was written; `s`: it was synced; `a`: a socket was written with an acknowledgement.
    let (mut unsynced, mut acknowledged, mut synced_since) = (false, 0, false);
    for call in record.lines() {
        match call {
            "w" => (unsynced, synced_since) = (true, false),
            "s" => (unsynced, synced_since) = (false, true),
            "a" => {
                assert!(!unsynced && synced_since, "an acknowledgement left before the sync:\n{record}");
                acknowledged += 1;
            }
            other => panic!("an unknown call: {other}"),
        }
    }
    assert_eq!(acknowledged, rounds, "{record}");
}

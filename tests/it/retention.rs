//! The embedded log drops what its retention says and a checkpoint holds, and a start goes on behind it, or says what it lost.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use staygraph::clock;
use staygraph::source::log::partition_of;

use crate::support::{Service, event, folder, root};

fn start(data: &Path) -> Service {
    let config = data.join("staygraph.toml");
    let text = "[log]\nretention = \"1ms\"\n[checkpoints]\nkeep = 1\n";
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data, &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    until(&service, "/health/ready", |_| true);
    service
}

/// Waits until a page says what it is to say.
fn until(service: &Service, page: &str, says: impl Fn(&str) -> bool) {
    let began = clock::tick();
    loop {
        let reply = service.get(page, &[]);
        if reply.status == 200 && says(&reply.text) {
            return;
        }
        assert!(clock::tick().saturating_sub(began) < Duration::from_secs(20), "{page}: {}", reply.text);
    }
}

#[test]
fn what_a_checkpoint_holds_is_dropped() {
    let data = folder();
    let service = start(data.path());
    let mut at = String::new();
    for version in 1..=4 {
        let country = json!({ "country": format!("N{version}") });
        at = service.write(&[event("person.profile-changed", "ann", version, country)]);
    }
    let query = "{ person(key: \"ann\") { country lastEvent { sequence } completeness } }";
    let expected = service.read(query, &at);
    assert_eq!(expected["person"]["country"], json!("N4"));
    let partition = partition_of(b"ann", 4);
    let begins_at = |start: u64| {
        move |metrics: &str| {
            let is_it = |line: &&str| {
                line.starts_with("staygraph_offset_start{")
                    && line.contains("topic=\"people\"")
                    && line.contains(&format!("partition=\"{partition}\""))
            };
            metrics.lines().find(is_it).is_some_and(|line| line.ends_with(&format!(" {start}")))
        }
    };
    until(&service, "/metrics", begins_at(0));
    let taken = service.post("/projection/checkpoints", "application/json", b"");
    assert_eq!(taken.status, 201, "{}", taken.text);
    // The newest block stays.
    until(&service, "/metrics", begins_at(3));
    service.kill();

    let service = start(data.path());
    assert_eq!(service.read(query, &at), expected);
    let reply = service.ask(query, &[]);
    assert!(!reply.text.contains("DATA_LOST"), "{}", reply.text);
    let next = service.write(&[event("person.profile-changed", "ann", 5, json!({ "country": "N5" }))]);
    assert!(next.ends_with("@5"), "no offset begins again: {next}");
    service.kill();

    // Without its checkpoints it has what the log has, and says so.
    std::fs::remove_dir_all(data.path().join("checkpoints")).unwrap();
    let service = start(data.path());
    let reply = service.ask(query, &[]);
    assert!(reply.text.contains("DATA_LOST") && reply.text.contains("N5"), "{}", reply.text);
}

//! Pausing: what is paused is not read, says so, and goes on where it stood.

use serde_json::{Value as Json, json};

use crate::support::{Service, event, folder, root, run};

const FRESHNESS: &str = "{ freshness { domain status cause reason lagEvents stalenessMs
    partitions { partition cause lagEvents stalenessMs } } }";

/// What is said of a domain.
fn said(service: &Service, domain: &str) -> Json {
    let all = service.read(FRESHNESS, "");
    let found = all["freshness"].as_array().unwrap().iter().find(|said| said["domain"] == domain);
    found.unwrap_or_else(|| panic!("{all}")).clone()
}

fn post(service: &Service, verb: &str, body: &Json) -> (u16, Json) {
    let reply = service.post(&format!("/projection/{verb}"), "application/json", body.to_string().as_bytes());
    (reply.status, reply.json())
}

fn person(key: &str, sequence: u64) -> Json {
    let kind = if sequence == 1 { "person.registered" } else { "person.updated" };
    event(kind, key, sequence, json!({ "name": format!("{key} {sequence}") }))
}

fn stay(key: &str) -> Json {
    event("reservation.booked", key, 1, json!({ "guestId": "ann" }))
}

#[test]
fn a_paused_domain_says_so_and_goes_on_where_it_stood() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ __typename }", &service.write(&[person("ann", 1)]));
    assert_eq!(post(&service, "pause", &json!({ "domains": ["people"] })), (200, json!({ "paused": ["people"] })));
    // Nothing is missing, so nothing is old; and it is paused.
    let people = said(&service, "people");
    assert_eq!(
        (&people["status"], &people["cause"], &people["lagEvents"]),
        (&json!("FRESH"), &json!("PAUSED"), &json!(0))
    );
    let unread = service.write(&[person("ann", 2), person("bob", 1)]);
    // What comes after it in another domain is read.
    let read = service.write(&[stay("r")]);
    let answer = service.read("{ reservation(key: \"r\") { key } person(key: \"ann\") { name } }", &read);
    assert_eq!(answer, json!({ "reservation": { "key": "r" }, "person": { "name": "ann 1" } }));
    let first = said(&service, "people");
    assert_eq!((&first["cause"], &first["lagEvents"]), (&json!("PAUSED"), &json!(2)), "{first}");
    let reason = first["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("2 records behind: paused since 20") && reason.ends_with("until somebody resumes it"),
        "{reason}"
    );
    assert_eq!(said(&service, "reservations")["cause"], "CAUGHT_UP");
    // It grows older by the clock: as much as goes by until a demand that it cannot meet is unmet.
    let wait = [("freshness-at-least", unread.as_str()), ("freshness-wait", "500ms")];
    let unmet = service.ask("{ people { totalCount } }", &wait).json();
    assert_eq!(unmet["data"]["people"]["totalCount"], 1, "{unmet}");
    assert!(unmet["extensions"]["freshness"]["unmet"].as_array().is_some_and(|unmet| !unmet.is_empty()), "{unmet}");
    let later = said(&service, "people");
    let age = |said: &Json| said["stalenessMs"].as_i64().unwrap();
    assert!(age(&later) >= age(&first) + 500, "{first} {later}");
    assert!(
        service.get("/metrics", &[]).text.contains("staygraph_freshness_cause{cause=\"PAUSED\",domain=\"people\"} 1")
    );
    assert_eq!(post(&service, "resume", &json!({ "domains": ["people"] })), (200, json!({ "paused": [] })));
    let answer = service.read("{ person(key: \"ann\") { name completeness } people { totalCount } }", &unread);
    assert_eq!(
        answer,
        json!({ "person": { "name": "ann 2", "completeness": "COMPLETE" }, "people": { "totalCount": 2 } })
    );
    assert_ne!(said(&service, "people")["cause"], "PAUSED");
}

#[test]
fn one_partition_is_paused_and_the_others_go_on() {
    let data = folder();
    let service = Service::start(data.path());
    let keys: Vec<String> = (0..40).map(|number| format!("p-{number}")).collect();
    let written = service.write(&keys.iter().map(|key| person(key, 1)).collect::<Vec<_>>());
    service.read("{ __typename }", &written);
    assert_eq!(post(&service, "pause", &json!({ "partitions": ["people/1"] })).1, json!({ "paused": ["people/1"] }));
    let written = service.write(&keys.iter().map(|key| person(key, 2)).collect::<Vec<_>>());
    // Of the others all is read: the position without the paused partition's entry.
    let others: Vec<&str> = written.split(',').filter(|entry| !entry.contains("/1@")).collect();
    service.read("{ people { totalCount } }", &others.join(","));
    let people = said(&service, "people");
    for partition in people["partitions"].as_array().unwrap() {
        let is_paused = partition["partition"] == 1;
        assert_eq!(partition["cause"] == "PAUSED", is_paused, "{people}");
        assert_eq!(partition["lagEvents"].as_u64().unwrap() > 0, is_paused, "{people}");
    }
    assert_eq!(people["cause"], "PAUSED");
    post(&service, "resume", &json!({ "partitions": ["people/1"] }));
    let names = service.read("{ people(first: 100) { nodes { name } } }", &written);
    let all = names["people"]["nodes"].as_array().unwrap();
    assert!(all.len() == 40 && all.iter().all(|person| person["name"].as_str().unwrap().ends_with(" 2")), "{names}");
}

#[test]
fn a_pause_ends_with_the_process() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ __typename }", &service.write(&[person("ann", 1)]));
    post(&service, "pause", &json!({ "domains": ["people"] }));
    let written = service.write(&[person("ann", 2)]);
    service.kill();
    let service = Service::start(data.path());
    assert_eq!(service.read("{ person(key: \"ann\") { name } }", &written)["person"]["name"], "ann 2");
    assert_ne!(said(&service, "people")["cause"], "PAUSED");
}

#[test]
fn what_cannot_be_paused_is_said() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ __typename }", &service.write(&[person("ann", 1)]));
    for (verb, body, status, detail) in [
        ("pause", "{}", 400, "say what"),
        ("pause", "{\"domains\":[]}", 400, "say what"),
        ("pause", "{\"domains\":[\"peopel\"]}", 400, "there is no domain `peopel`: did you mean `people`?"),
        ("pause", "{\"partitions\":[\"people/99\"]}", 400, "there is no partition `people/99`"),
        ("pause", "{\"partitions\":[\"people\"]}", 400, "there is no partition `people`"),
        ("resume", "{\"domain\":\"people\"}", 400, "unknown field `domain`"),
        ("pause", "{\"domains\":[\"people\"]}", 200, ""),
        ("pause", "{\"domains\":[\"people\"]}", 200, ""),
        ("resume", "{\"partitions\":[\"people/0\"]}", 409, "`people/0` is one of a topic that is paused as a whole"),
        ("resume", "{\"domains\":[\"people\"]}", 200, ""),
        ("resume", "{\"domains\":[\"people\"]}", 200, ""),
    ] {
        let reply = service.post(&format!("/projection/{verb}"), "application/json", body.as_bytes());
        assert_eq!(reply.status, status, "{verb} {body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap_or_default().contains(detail), "{verb} {body}: {}", reply.text);
    }
    // A page of a browser's could send that unasked.
    assert_eq!(service.post("/projection/pause", "text/plain", b"{\"domains\":[\"people\"]}").status, 415);
}

#[test]
fn commands_pause_and_resume() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ __typename }", &service.write(&[person("ann", 1)]));
    let to = ["--to", service.url.as_str()];
    for (arguments, code, out, err) in [
        (&["pause", "people", "prices/0"][..], 0, "paused: people, prices/0\n", ""),
        (&["resume", "people"], 0, "paused: prices/0\n", ""),
        (&["resume", "prices/0"], 0, "nothing is paused\n", ""),
        (&["pause", "peopel"], 1, "", "there is no domain `peopel`: did you mean `people`?"),
    ] {
        let (ended, said, wrong) = run(&[arguments, &to[..]].concat());
        assert_eq!((ended, said.as_str()), (code, out), "{arguments:?}: {wrong}");
        assert!(wrong.contains(err), "{arguments:?}: {wrong}");
    }
    assert_eq!(run(&["pause"]).0, 2);
}

/// Too little memory for a graph: it is not read, the process lives, and says what to do.
#[test]
fn without_memory_hydration_stops_and_small_queries_are_answered() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ __typename }", &service.write(&[person("ann", 1)]));
    service.kill();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--memory-max", "1000"]);
    service.says("the next record has to wait");
    let people = said(&service, "people");
    assert_eq!((&people["status"], &people["cause"]), (&json!("HYDRATING"), &json!("BLOCKED")), "{people}");
    assert!(people["reason"].as_str().unwrap().contains("`memory_max` allows"), "{people}");
    let ready = service.get("/health/ready", &[]);
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert_eq!(service.get("/health/live", &[]).status, 200);
    let large =
        service.ask("{ people(first: 1000) { nodes { key name reservations(first: 100) { nodes { key } } } } }", &[]);
    assert_eq!((large.status, large.header("retry-after").is_some()), (503, true), "{}", large.text);
    assert_eq!(large.json()["errors"][0]["extensions"]["code"], "OVERLOADED");
    let small = service.ask("{ person(key: \"ann\") { name } }", &[]);
    assert_eq!((small.status, &small.json()["data"]["person"]), (200, &Json::Null), "{}", small.text);
    // With more of it the same folder is served.
    service.kill();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--memory-max", "4000000000"]);
    service.says("ready");
    assert_eq!(service.read("{ person(key: \"ann\") { name } }", "")["person"]["name"], "ann 1");
}

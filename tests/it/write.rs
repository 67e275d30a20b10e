//! `POST /events` and `staygraph append`.

use std::io::Write;

use serde_json::{Value as Json, json};

use crate::support::{Service, event, folder, root, run};

const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

fn person(key: &str) -> Json {
    event("person.registered", key, 1, json!({ "name": "Ada" }))
}

#[test]
fn every_shape_is_taken_and_acknowledged() {
    let data = folder();
    let service = Service::start(data.path());
    let one = service.post("/events", "application/cloudevents+json", person("a").to_string().as_bytes());
    assert_eq!(one.status, 200, "{}", one.text);
    let receipt = one.json();
    assert_eq!(
        (&receipt["accepted"], &receipt["rejected"], &receipt["results"][0]["index"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(receipt["position"], receipt["results"][0]["position"]);
    let bad = event("reservation.booked", "r", 1, json!({ "checkIn": "2024-02-30" }));
    let batch = service.post("/events", BATCH, json!([person("b"), bad, person("c")]).to_string().as_bytes()).json();
    assert_eq!((&batch["accepted"], &batch["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(batch["results"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&batch["results"][1]["error"]["code"], &batch["results"][1]["error"]["field"]),
        (&json!("BAD_FIELD"), &json!("data.checkIn"))
    );
    let text = format!("\u{feff}{}\r\n\n{{oops\n{}\n", person("d"), person("e"));
    let lines = service.post("/events", LINES, text.as_bytes());
    let receipt = lines.json();
    assert_eq!((lines.status, &receipt["accepted"], &receipt["rejected"]), (200, &json!(2), &json!(1)));
    assert_eq!((&receipt["results"][0]["line"], &receipt["results"][0]["index"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&receipt["results"][0]["error"]["code"], receipt["results"].as_array().unwrap().len()),
        (&json!("BAD_JSON"), 1)
    );
    for body in [person("f").to_string(), json!([person("g")]).to_string(), format!("{}\n{}", person("h"), person("i"))]
    {
        let reply = service.post("/events", "application/json; charset=utf-8", body.as_bytes());
        assert_eq!((reply.status, &reply.json()["rejected"]), (200, &json!(0)), "{}", reply.text);
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(json!([person("j")]).to_string().as_bytes()).unwrap();
    let headers = [("content-type", BATCH), ("content-encoding", "gzip")];
    assert_eq!(
        service.request("POST", "/events", &headers, Some(&packed.finish().unwrap())).json()["accepted"],
        json!(1)
    );
    let position = service.write(&[person("last")]);
    let people = service.read("{ people { totalCount } }", &position);
    assert_eq!(people["people"]["totalCount"], json!(11));
}

/// Clients read it by its members, people by their order: neither changes with how it is written.
#[test]
fn a_receipt_is_the_same_to_the_letter() {
    let data = folder();
    let service = Service::start(data.path());
    let bad = event("reservation.booked", "r", 1, json!({ "checkIn": "2024-02-30" }));
    let (good, again) = (person("a"), person("a"));
    let body = json!([good, bad, 7, again]).to_string();
    let batch = service.post("/events", BATCH, body.as_bytes());
    let receipt = batch.json();
    let (position, id) = (receipt["position"].as_str().unwrap(), |of: &Json| of["id"].as_str().unwrap().to_owned());
    let (start, end) = position.rsplit_once('@').unwrap();
    let offset: u64 = end.parse().unwrap();
    let (first, refused, last) = (id(&good), id(&bad), id(&again));
    let message = |place: usize| receipt["results"][place]["error"]["message"].as_str().unwrap();
    let right = format!(
        r#"{{"accepted":2,"rejected":2,"position":"{position}","results":[{{"index":0,"id":"{first}","position":"{start}@{}"}},{{"index":1,"id":"{refused}","error":{{"code":"BAD_FIELD","field":"data.checkIn","message":{}}}}},{{"index":2,"error":{{"code":"BAD_ENVELOPE","field":null,"message":{}}}}},{{"index":3,"id":"{last}","position":"{position}"}}]}}"#,
        offset - 1,
        json!(message(1)),
        json!(message(2)),
    );
    assert_eq!(batch.text, right);
    let lines = service.post("/events", LINES, format!("{good}\n7\n").as_bytes());
    let right = format!(
        r#"{{"accepted":1,"rejected":1,"position":"{start}@{}","results":[{{"index":1,"line":2,"error":{{"code":"BAD_ENVELOPE","field":null,"message":{}}}}}]}}"#,
        offset + 1,
        json!(message(2)),
    );
    assert_eq!(lines.text, right);
    let none = service.post("/events", LINES, b"7");
    let right = format!(
        r#"{{"accepted":0,"rejected":1,"position":null,"results":[{{"index":0,"line":1,"error":{{"code":"BAD_ENVELOPE","field":null,"message":{}}}}}]}}"#,
        json!(message(2)),
    );
    assert_eq!((none.status, none.text), (422, right));
}

#[test]
fn what_cannot_be_taken_says_why() {
    let data = folder();
    let service = Service::start_with(
        data.path(),
        &root("model.graphql"),
        &["--event-bytes-max", "2000", "--body-bytes-max", "20000"],
    );
    let long = event("person.registered", "x", 1, json!({ "name": "x".repeat(3000) })).to_string();
    let cases: [(&str, String, u16); 12] = [
        (BATCH, "[]".into(), 200),
        (LINES, "".into(), 200),
        (BATCH, "{}".into(), 400),
        (BATCH, "[{".into(), 400),
        ("application/json", "".into(), 400),
        ("application/json", "{nope".into(), 400),
        ("text/plain", "[]".into(), 415),
        ("application/cloudevents+json", long.clone(), 413),
        (BATCH, format!("[{long},{}]", person("y")), 200),
        (BATCH, format!("[\"{}\"]", "x".repeat(30000)), 413),
        (BATCH, "[1]".into(), 422),
        ("application/cloudevents+json", "{\"a\":1,\"a\":2}".into(), 422),
    ];
    for (kind, body, status) in cases {
        let reply = service.post("/events", kind, body.as_bytes());
        assert_eq!(reply.status, status, "{kind} {:.60}: {}", body, reply.text);
        let expected = if status == 200 || status == 422 { "application/json" } else { "application/problem+json" };
        assert_eq!(reply.header("content-type"), Some(expected), "{}", reply.text);
    }
    assert_eq!(service.get("/events", &[]).status, 405);
    assert_eq!(
        service.request("POST", "/events", &[("content-type", BATCH), ("host", "evil.example")], Some(b"[]")).status,
        401
    );
}

#[test]
fn sending_again_is_safe() {
    let data = folder();
    let service = Service::start(data.path());
    let event = person("a");
    service.write(&[event.clone(), event.clone()]);
    let position = service.write(&[event]);
    let answer = service
        .read("{ person(key: \"a\") { completeness } projection { eventsApplied duplicates conflicts } }", &position);
    assert_eq!(answer["projection"], json!({ "eventsApplied": 1, "duplicates": 2, "conflicts": 0 }));
}

#[test]
fn append_takes_lines_into_a_service_or_a_log_at_rest() {
    let data = folder();
    let file = data.path().join("events.ndjson");
    let bad = event("person.registered", "bad", 1, json!({ "since": "yesterday" }));
    std::fs::write(&file, format!("{}\n\n{bad}\n{}\n", person("a"), person("b"))).unwrap();
    let (file, log) = (file.to_str().unwrap(), data.path().join("log-at-rest"));
    let model = root("model.graphql");
    let at_rest = ["append", file, "--data", log.to_str().unwrap(), "--model", model.to_str().unwrap()];
    let (code, out, err) = run(&at_rest);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("2 events appended, 1 refused"), "{out}");
    assert!(err.contains("line 3: BAD_FIELD data.since:"), "{err}");
    assert!(err.contains("was not there: a new log is made"), "{err}");
    let broken = data.path().join("broken.ndjson");
    std::fs::write(&broken, format!("{}\n{{oops\n", person("a"))).unwrap();
    let (code, _, err) =
        run(&["append", broken.to_str().unwrap(), "--data", log.to_str().unwrap(), "--model", model.to_str().unwrap()]);
    assert_eq!((code, err.contains("line 2: BAD_JSON: ")), (1, true), "{err}");
    assert!(!err.contains("was not there"), "{err}");
    let service = Service::start(&log);
    // A service may be named without its scheme.
    let (code, out, err) = run(&["append", file, "--to", service.url.trim_start_matches("http://")]);
    assert_eq!((code, out.contains("2 events appended, 1 refused")), (1, true), "{out}{err}");
    let position = out.lines().find_map(|line| line.strip_prefix("position ")).unwrap();
    let answer = service.read("{ people { totalCount } projection { duplicates } }", position);
    assert_eq!(answer, json!({ "people": { "totalCount": 2 }, "projection": { "duplicates": 2 } }));
    let (code, _, err) = run(&at_rest);
    assert_eq!(code, 1);
    assert!(err.contains("in use by another process"), "{err}");
    // A line that is too large refuses nobody but itself.
    let huge = format!(
        "{}\n{}\n{}\n",
        person("c"),
        person("d").to_string().replace("Ada", &"x".repeat(17 << 20)),
        person("e")
    );
    let path = data.path().join("huge.ndjson");
    std::fs::write(&path, huge).unwrap();
    let (code, out, err) = run(&["append", path.to_str().unwrap(), "--to", &service.url]);
    assert_eq!((code, out.contains("2 events appended, 1 refused")), (1, true), "{out}{err}");
    assert!(err.contains("line 2: TOO_LARGE"), "{err}");
}

#[test]
fn a_full_disk_refuses_writes_and_reads_go_on() {
    let data = folder();
    let service = Service::start(data.path());
    service.write(&[person("a")]);
    service.kill();
    let service =
        Service::start_with(data.path(), &root("model.graphql"), &["--free-bytes-min", "1152921504606846976"]);
    let reply = service.post("/events", BATCH, json!([person("b")]).to_string().as_bytes());
    assert_eq!(reply.status, 507, "{}", reply.text);
    assert!(reply.json()["detail"].as_str().unwrap().contains("the disk is full"), "{}", reply.text);
    let answer = service.ask("{ person(key: \"a\") { key } }", &[("freshness-at-least", "people/0@0")]).json();
    assert!(answer.get("errors").is_none(), "{answer}");
}

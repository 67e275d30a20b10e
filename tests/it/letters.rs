//! Dead letters: looked at, read once more when their cause is mended, taken away.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;
use staygraph::clock;
use staygraph::source::log::{Log, partition_of};

use crate::support::{Service, append, event, folder, root, run};

const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"specversion","type":"string"},{"name":"id","type":"string"},{"name":"source","type":"string"},
    {"name":"type","type":"string"},{"name":"subject","type":"string"},{"name":"time","type":"string"},
    {"name":"sequence","type":"long"},
    {"name":"data","type":{"type":"record","name":"Data","fields":[{"name":"name","type":["null","string"]}]}}]}"#;

/// A registry that knows the schemas it is given, by their ids; gives its URL.
pub fn registry(known: Arc<Mutex<Vec<u32>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let path = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let id = path
                .split('/')
                .next_back()
                .and_then(|_| path.split("/ids/").nth(1)?.split([' ', '?']).next()?.parse().ok());
            let (status, body) = match id {
                Some(id) if known.lock().unwrap().contains(&id) => ("200 OK", json!({ "schema": SCHEMA })),
                _ => ("404 Not Found", json!({ "error_code": 40403, "message": "Schema not found" })),
            };
            let body = body.to_string();
            let head = "Content-Type: application/vnd.schemaregistry.v1+json\r\nConnection: close";
            write!(stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    url
}

/// A person's event in Confluent's wire format.
pub fn avro(schema: u32, key: &str, version: u8, kind: &str, name: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(schema.to_be_bytes());
    let id = format!("{key}-{version}");
    for text in ["1.0", &id, "/tests", kind, key, "2024-05-01T10:00:00Z"] {
        bytes.push(2 * text.len() as u8);
        bytes.extend(text.as_bytes());
    }
    bytes.push(2 * version);
    bytes.extend([2, 2 * name.len() as u8]);
    bytes.extend(name.as_bytes());
    bytes
}

#[test]
fn a_letter_lands_in_its_place_once_its_cause_is_mended() {
    let data = folder();
    let known = Arc::new(Mutex::new(vec![1]));
    let url = registry(known.clone());
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        // The first version is of a schema that the registry does not know; the second sets the same field.
        let bodies = [
            avro(2, "ann", 1, "person.registered", "Ann"),
            avro(1, "ann", 2, "person.profile-changed", "Anna"),
            avro(2, "bea", 1, "person.registered", "Bea"),
            b"\0\0\0\0\x01\x02".to_vec(),
        ];
        append(&log, topic, bodies);
    }
    let config = data.path().join("staygraph.toml");
    let text =
        format!("[sources.main]\nkind = \"log\"\nschema_registry = \"{url}\"\n[domains.people]\nencoding = \"avro\"\n");
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    let at = format!("people/{}@4", partition_of(b"one", 4));
    let query = "{ people { nodes { key name completeness missingVersions } } projection { deadLetters { totalCount nodes { id code } } } }";
    let now = service.read(query, &at);
    let ann = json!({ "key": "ann", "name": "Anna", "completeness": "INCOMPLETE", "missingVersions": ["1"] });
    assert_eq!(
        (&now["people"]["nodes"][0]["name"], &now["people"]["nodes"][0]["completeness"]),
        (&ann["name"], &ann["completeness"])
    );
    assert_eq!(now["projection"]["deadLetters"]["totalCount"], json!(3));
    assert_eq!(now["projection"]["deadLetters"]["nodes"][0]["code"], json!("BAD_ENCODING"));
    let id = now["projection"]["deadLetters"]["nodes"][0]["id"].as_str().unwrap().to_owned();
    let to = ["--to", &service.url];
    let (code, out, err) = run(&[&["dead-letters", "list"], &to[..]].concat());
    assert_eq!((code, out.lines().count()), (0, 3), "{out}{err}");
    assert!(out.starts_with(&format!("{id} BAD_ENCODING - - -: ")), "{out}");
    // What is asked for must be there.
    for (asked, said) in [
        (["--domain", "peeple"], "--domain: there is no domain `peeple`: did you mean `people`?"),
        (["--code", "BAD_ENCODINGS"], "--code: there is no code `BAD_ENCODINGS`: did you mean `BAD_ENCODING`?"),
    ] {
        let (code, out, err) = run(&[&["dead-letters", "list"], &asked[..], &to[..]].concat());
        assert_eq!((code, out.as_str(), err.contains(said)), (2, "", true), "{err}");
    }
    let shown = service.get(&format!("/dead-letters/{id}"), &[]);
    assert_eq!((shown.status, shown.text.contains("person.registered")), (200, true));

    // Nothing is mended yet: the letter stays one.
    let (code, out, err) = run(&[&["dead-letters", "retry", &id], &to[..]].concat());
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("1 letter read once more: 0 events applied, 1 refused again"), "{out}");
    known.lock().unwrap().push(2);
    let (code, out, err) = run(&[&["dead-letters", "retry", "--code", "BAD_ENCODING"], &to[..]].concat());
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("3 letters read once more: 2 events applied, 1 refused again"), "{out}");
    let now = service.read(query, "");
    // The older version fills its gap, and does not undo the newer one.
    assert_eq!(now["people"]["nodes"][0]["name"], json!("Anna"));
    assert_eq!(now["people"]["nodes"][0]["completeness"], json!("COMPLETE"));
    assert_eq!(now["people"]["nodes"][1]["name"], json!("Bea"));
    assert_eq!(now["projection"]["deadLetters"]["totalCount"], json!(1));

    let (code, out, err) = run(&[&["dead-letters", "discard", "--domain", "people"], &to[..]].concat());
    assert_eq!((code, out.trim()), (0, "1 letter taken away"), "{err}");
    assert_eq!(service.read(query, "")["projection"]["deadLetters"]["totalCount"], json!(0));
}

#[test]
fn what_is_asked_of_letters_is_judged() {
    let data = folder();
    let service = Service::start(data.path());
    service.write(&[event("person.registered", "ann", 1, json!({ "name": "Ann" }))]);
    let post = |body: &str| service.post("/dead-letters/retry", "application/json", body.as_bytes());
    for (body, said) in [
        ("{}", "say which"),
        ("7", "no object"),
        ("{\"code\":\"BAD_JASON\"}", "there is no code `BAD_JASON`"),
        ("{\"domain\":\"peeple\"}", "there is no domain `peeple`"),
        ("{\"what\":1}", "unknown field `what`"),
    ] {
        let reply = post(body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().contains(said), "{body}: {}", reply.text);
    }
    assert_eq!(post("{\"code\":\"BAD_JSON\"}").json(), json!({ "letters": 0, "applied": 0, "refused": 0 }));
    assert_eq!(service.post("/dead-letters/discard", "text/plain", b"{\"code\":\"BAD_JSON\"}").status, 415);
    assert_eq!(service.get("/dead-letters/DeadLetter:people/0@7", &[]).status, 404);
}

#[test]
fn an_event_that_was_refused_marks_its_entity() {
    let data = folder();
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        let good = |key: &str| event("person.registered", key, 1, json!({ "name": key }));
        let bad = |key: &str, version: u64| event("person.profile-changed", key, version, json!({ "since": "soon" }));
        let bodies = [good("ann"), bad("ann", 2), bad("bea", 1), good("cid"), bad("ann", 3)];
        append(&log, topic, bodies.map(|body| body.to_string()));
    }
    let service = Service::start(data.path());
    let at = format!("people/{}@5", partition_of(b"one", 4));
    let query = "{
        people { nodes { key completeness rejected { id code field subject } } }
        named: person(key: \"bea\") { completeness rejected { id } }
        incomplete: people(filter: { completeness: { eq: INCOMPLETE } }) { nodes { key } }
        catalog { entities { name incomplete references deadLetters { name count } } }
    }";
    let now = service.read(query, &at);
    let nodes = now["people"]["nodes"].as_array().unwrap();
    let words: Vec<_> = nodes.iter().map(|node| (node["key"].as_str().unwrap(), &node["completeness"])).collect();
    // Who is known by refused events alone is named, and not listed.
    assert_eq!(words, [("ann", &json!("INCOMPLETE")), ("cid", &json!("COMPLETE"))]);
    let rejected = nodes[0]["rejected"].as_array().unwrap();
    assert_eq!(
        (rejected.len(), &rejected[0]["code"], &rejected[0]["subject"]),
        (2, &json!("BAD_FIELD"), &json!("ann"))
    );
    assert_eq!(nodes[1]["rejected"], json!([]));
    assert_eq!(
        (&now["named"]["completeness"], now["named"]["rejected"].as_array().unwrap().len()),
        (&json!("REFERENCE"), 1)
    );
    assert_eq!(now["incomplete"]["nodes"], json!([{ "key": "ann" }]));
    let person = |now: &serde_json::Value| {
        let entities = now["catalog"]["entities"].as_array().unwrap();
        entities.iter().find(|entity| entity["name"] == "Person").unwrap().clone()
    };
    let counted = json!([{ "name": "BAD_FIELD", "count": 3 }]);
    assert_eq!((&person(&now)["incomplete"], &person(&now)["deadLetters"]), (&json!(1), &counted));

    // Read in vain, a letter is the same letter: nothing is counted twice.
    let post =
        |what: &str, body: &str| service.post(&format!("/dead-letters/{what}"), "application/json", body.as_bytes());
    assert_eq!(post("retry", "{\"code\":\"BAD_FIELD\"}").json(), json!({ "letters": 3, "applied": 0, "refused": 3 }));
    let again = service.read(query, "");
    assert_eq!(
        (&person(&again)["deadLetters"], &again["people"]["nodes"][0]["completeness"]),
        (&counted, &json!("INCOMPLETE"))
    );
    let dead = service.get("/metrics", &[]).text;
    let dead =
        dead.lines().find(|line| line.contains("events_dead_total{code=\"BAD_FIELD\",domain=\"people\"}")).unwrap();
    assert!(dead.ends_with(" 3"), "{dead}");

    // Nobody wants them: what they marked is whole as far as anybody knows, and what they named is gone.
    assert_eq!(post("discard", "{\"code\":\"BAD_FIELD\"}").status, 200);
    let after = service.read(query, "");
    assert_eq!((&after["people"]["nodes"][0]["completeness"], &after["named"]), (&json!("COMPLETE"), &json!(null)));
    assert_eq!((&person(&after)["incomplete"], &person(&after)["references"]), (&json!(0), &json!(0)));
}

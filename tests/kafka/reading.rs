//! What comes out of Kafka: everything, in its place, with how fresh it is.

use serde_json::json;

use crate::cluster::{Cluster, Told, demo_events, dump, freshness, person, until, until_caught_up, until_is};
use crate::support::{Service, folder};

const TOPICS: [(&str, i32); 4] = [("people", 4), ("properties", 3), ("prices", 4), ("reservations", 4)];
const DOMAINS: [&str; 4] = ["people", "properties", "prices", "reservations"];

#[test]
fn the_same_events_give_the_same_graph_as_from_the_embedded_log() {
    let (cluster, here, there) = (Cluster::start(1), folder(), folder());
    cluster.create(&TOPICS);
    let events = demo_events(6000);
    let writer = cluster.writer();
    events.iter().for_each(|(topic, event)| writer.send(topic, event));
    writer.flush();
    let embedded = Service::start(here.path());
    let all: Vec<_> = events.iter().map(|(_, event)| event.clone()).collect();
    let position = embedded.write(&all);
    embedded.read("{ __typename }", &position);

    let service = cluster.serve(there.path(), "");
    until_caught_up(&service, &DOMAINS);
    assert_eq!(service.get("/health/ready", &[]).status, 200);
    let (graph, expected) = (dump(&service), dump(&embedded));
    assert!(expected.len() > 3000, "{}", expected.len());
    assert_eq!(graph, expected);
    // The sources are elsewhere: nothing is written here.
    assert_eq!(service.post("/events", "application/json", b"{}").status, 404);

    // One's own write, by what the producer's acknowledgement says.
    writer.send_raw("people", Some(2), "new", Some(person("new", 1, "Nora").to_string().as_bytes()), &[]);
    writer.flush();
    let query = "{ person(key: \"new\") { name lastEvent { topic partition } } }";
    let data = service.read(query, &cluster.position(&["people"]));
    let expected = json!({ "name": "Nora", "lastEvent": { "topic": "people", "partition": 2 } });
    assert_eq!(data["person"], expected);
    let answer = service.ask("{ person(key: \"new\") { name } }", &[]).json();
    let position = answer["extensions"]["freshness"]["position"].as_str().unwrap().to_owned();
    assert!(position.starts_with("people!"), "{position}");
    // A second service on the same cluster knows the same logs by the same names.
    let other = folder();
    let replica = cluster.serve(other.path(), "");
    assert_eq!(replica.read("{ person(key: \"new\") { name } }", &position)["person"]["name"], "Nora");
}

#[test]
fn what_a_topic_may_hold_beside_plain_events() {
    let (cluster, data) = (Cluster::start(1), folder());
    // Everything of two domains in one topic, and a topic that is not there yet.
    cluster.create_with(&[("mixed", 2), ("letters", 1)], &[("cleanup.policy", "compact")]);
    let service = cluster.serve(
        data.path(),
        "[dead_letters]\nsource = \"main\"\ntopic = \"letters\"\n\
         [domains.people]\ntopics = [\"mixed\"]\n[domains.properties]\ntopics = [\"mixed\", \"late-one\"]\n",
    );
    let now = until_is(&service, "people", "FRESH", "CAUGHT_UP");
    assert_eq!(now["partitions"].as_array().unwrap().len(), 2);
    let reason = until("the missing topic is named", || {
        let reason = freshness(&service, "properties")["reason"].as_str().unwrap().to_owned();
        if reason.contains("late-one") { Ok(reason) } else { Err(reason) }
    });
    assert!(reason.contains("there is no topic `late-one` at the source `main`"), "{reason}");
    let prices = freshness(&service, "prices");
    assert_eq!((&prices["status"], &prices["lagEvents"]), (&json!("UNKNOWN"), &json!(null)), "{prices}");

    let writer = cluster.writer();
    writer.send("mixed", &person("ann", 1, "Ann"));
    let listed = crate::support::event("property.listed", "home", 1, json!({ "name": "Home", "hostId": "ann" }));
    writer.send("mixed", &listed);
    // A tombstone is compaction's. It is no event, and takes an offset.
    writer.send_raw("mixed", Some(0), "nobody", None, &[]);
    // CloudEvents in binary mode: attributes in headers, data as the value.
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_id", "b-1"),
        ("ce_source", "/tests"),
        ("ce_type", "person.registered"),
        ("ce_subject", "bea"),
        ("ce_time", "2024-05-01T10:00:00Z"),
        ("ce_sequence", "1"),
        ("content-type", "application/json"),
    ];
    writer.send_raw("mixed", Some(1), "bea", Some(br#"{"name":"Bea"}"#), &attributes);
    // What would close the object and go on is refused.
    writer.send_raw("mixed", Some(1), "bea", Some(br#"{},"traceparent":"x""#), &attributes);
    // Poison blocks nobody.
    writer.send_raw("mixed", Some(1), "bad", Some(b"\xff not json"), &[]);
    let structured = [("content-type", "application/cloudevents+json; charset=UTF-8")];
    writer.send_raw("mixed", Some(1), "cid", Some(person("cid", 1, "Cid").to_string().as_bytes()), &structured);
    writer.flush();
    let all = cluster.position(&["mixed"]);
    let data = service.read("{ people { nodes { key name } } property(key: \"home\") { host { name } } }", &all);
    let names =
        json!([{ "key": "ann", "name": "Ann" }, { "key": "bea", "name": "Bea" }, { "key": "cid", "name": "Cid" }]);
    assert_eq!((&data["people"]["nodes"], &data["property"]["host"]["name"]), (&names, &json!("Ann")));
    let letters = service.read("{ projection { deadLetters { nodes { id topic partition code } } } }", "");
    assert_eq!(letters["projection"]["deadLetters"]["nodes"].as_array().unwrap().len(), 2, "{letters}");

    // They are in a topic of their own too, by their ids, with the reason; taken away, they are gone from there.
    let discarded = service.post("/dead-letters/discard", "application/json", b"{\"code\":\"BAD_JSON\"}");
    assert_eq!((discarded.status, &discarded.json()["letters"]), (200, &json!(2)), "{}", discarded.text);
    let written = cluster.read("letters", 4);
    let id = letters["projection"]["deadLetters"]["nodes"][0]["id"].as_str().unwrap();
    assert_eq!((written[0].0.as_str(), written[0].1.is_some(), written[3].1.is_some()), (id, true, false));
    assert_eq!(written[1].1.as_deref(), Some(&b"\xff not json"[..]));
    assert!(written[1].2.contains(&("staygraph.code".into(), "BAD_JSON".into())), "{written:?}");

    // A topic and partitions that come later are found.
    cluster.create(&[("late-one", 1)]);
    cluster.grow("mixed", 3);
    // A producer of its own: the first one does not know them yet.
    let writer = cluster.writer();
    let moved = crate::support::event("property.listed", "other", 1, json!({ "name": "Other" }));
    writer.send("late-one", &moved);
    writer.send_raw("mixed", Some(2), "dan", Some(person("dan", 1, "Dan").to_string().as_bytes()), &[]);
    writer.flush();
    let all = cluster.position(&["mixed", "late-one"]);
    let data = service.read("{ property(key: \"other\") { name } person(key: \"dan\") { name } }", &all);
    assert_eq!((&data["property"]["name"], &data["person"]["name"]), (&json!("Other"), &json!("Dan")));
    assert_eq!(freshness(&service, "people")["partitions"].as_array().unwrap().len(), 3);
}

/// Letters of any size reach their topic, with what they were to be; and a header that is no UTF-8 makes one.
#[test]
fn letters_have_their_headers_and_any_size() {
    let (cluster, data) = (Cluster::start(1), folder());
    let large = [("cleanup.policy", "compact"), ("max.message.bytes", "8000000")];
    cluster.create_with(&[("people", 1)], &large);
    // One that takes what a broker takes unless told otherwise: a megabyte.
    cluster.create_with(&[("letters", 1)], &[("cleanup.policy", "compact")]);
    let more = "[dead_letters]\nsource = \"main\"\ntopic = \"letters\"\n[domains.people]\n";
    let service = cluster.serve(data.path(), more);
    let writer = cluster.writer_with(&[("message.max.bytes", "8000000")]);
    let attributes = |subject: &'static [u8]| -> Vec<(&str, &[u8])> {
        vec![
            ("ce_specversion", b"1.0"),
            ("ce_id", b"b-1"),
            ("ce_source", b"/tests"),
            ("ce_type", b"person.registered"),
            ("ce_subject", subject),
            ("ce_time", b"2024-05-01T10:00:00Z"),
            ("ce_sequence", b"1"),
            ("content-type", b"application/json"),
        ]
    };
    // Zoë in Latin-1 is nobody, and not a person of another name.
    writer.send_bytes("people", Some(0), "zoe", Some(br#"{"name":"Zoe"}"#), &attributes(b"Zo\xeb"));
    let mut alike = attributes(b"bea");
    alike.push(("ce_datacontenttype", b"application/json"));
    writer.send_bytes("people", Some(0), "bea", Some(br#"{"name":"Bea"}"#), &alike);
    writer.send_bytes("people", Some(0), "cid", Some(b"no json"), &attributes(b"cid"));
    let value = vec![b'x'; 900_000];
    writer.send_bytes("people", Some(0), "dan", Some(&value), &attributes(b"dan"));
    let larger: Vec<u8> = (0..6_000_000u32).map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    writer.send_bytes("people", Some(0), "eve", Some(&larger), &attributes(b"eve"));
    writer.flush();
    let all = cluster.position(&["people"]);
    let data = service.read("{ people { nodes { key } } projection { deadLetters { totalCount } } }", &all);
    let expected =
        json!({ "people": { "nodes": [{ "key": "bea" }] }, "projection": { "deadLetters": { "totalCount": 4 } } });
    assert_eq!(data, expected);
    let written = cluster.read("letters", 4);
    let has = |place: usize, name: &str, value: &str| written[place].2.contains(&(name.to_owned(), value.to_owned()));
    assert!(has(0, "staygraph.code", "BAD_ENVELOPE") && has(0, "staygraph.field", "subject"), "{:?}", written[0].2);
    for (place, subject) in [(1, "cid"), (2, "dan"), (3, "eve")] {
        let is_named = has(place, "staygraph.type", "person.registered") && has(place, "staygraph.subject", subject);
        assert!(
            is_named && has(place, "ce_id", "b-1") && has(place, "staygraph.key", subject),
            "{:?}",
            written[place].2
        );
    }
    let lengths = written.iter().map(|letter| letter.1.as_ref().map(Vec::len));
    assert_eq!(lengths.collect::<Vec<_>>(), [Some(14), Some(7), Some(900_000), Some(0)]);
    assert!(has(3, "staygraph.truncated", "6000000") && !has(2, "staygraph.truncated", "900000"));
}

#[test]
fn transactions() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 1)]);
    let service = cluster.serve(data.path(), "");
    let writer = cluster.writer_with(&[("transactional.id", "t-1")]);
    writer.begin();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.commit();
    writer.begin();
    writer.send("people", &person("bob", 1, "Bob"));
    writer.flush();
    writer.abort();
    // One record, its marker, an aborted record, its marker: a reader at the end of that is caught up.
    let now = until("all four offsets are passed", || {
        let now = freshness(&service, "people");
        let partition = &now["partitions"][0];
        let is = partition["applied"] == 4 && partition["end"] == 4 && now["lagEvents"] == 0;
        if is { Ok(now) } else { Err(now.to_string()) }
    });
    assert_eq!((&now["status"], &now["cause"]), (&json!("FRESH"), &json!("CAUGHT_UP")));
    let data = service.read("{ people { nodes { key } } }", "");
    assert_eq!(data["people"]["nodes"], json!([{ "key": "ann" }]));
    // An open transaction is not the log's end yet.
    writer.begin();
    writer.send("people", &person("cid", 1, "Cid"));
    writer.flush();
    until_caught_up(&service, &["people"]);
    assert_eq!(service.read("{ person(key: \"cid\") { key } }", "")["person"], json!(null));
    // Kafka's own tool, which reads what is not committed too, counts it.
    until("the tool counts it", || {
        let told = cluster.group().remove(&("people".into(), 0));
        if told == Some(Told { current: 4, end: 5, lag: 1 }) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    writer.commit();
    let data = service.read("{ person(key: \"cid\") { name } }", &cluster.position(&["people"]));
    assert_eq!(data["person"]["name"], "Cid");
}

#[test]
fn secured_listeners() {
    let (cluster, data) = (Cluster::start_with(1, &[("SECURE", "1")]), folder());
    cluster.create(&TOPICS);
    let writer = cluster.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    let at = |name: &str| cluster.folder.path().join(name).to_str().unwrap().to_owned();
    let credentials = "\"sasl.username\" = \"reader\"\n\"sasl.password\" = \"reader-secret\"\n";
    let settings = [
        (
            "SASL_SSL",
            format!(
                "\"security.protocol\" = \"SASL_SSL\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"ssl.ca.location\" = \"{}\"\n{credentials}",
                at("ca.pem")
            ),
        ),
        (
            "SASL_PLAINTEXT",
            format!("\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"PLAIN\"\n{credentials}"),
        ),
        (
            "SSL",
            format!(
                "\"security.protocol\" = \"SSL\"\n\"ssl.ca.location\" = \"{}\"\n\"ssl.keystore.location\" = \"{}\"\n\"ssl.keystore.password\" = \"staygraph\"\n",
                at("ca.pem"),
                at("client.p12")
            ),
        ),
    ];
    for (listener, properties) in settings {
        let service = cluster.serve_at(
            data.path(),
            &cluster.secure(listener),
            &format!("[sources.main.properties]\n{properties}"),
        );
        until_caught_up(&service, &DOMAINS);
        assert_eq!(service.read("{ person(key: \"ann\") { name } }", "")["person"]["name"], "Ann", "{listener}");
    }
    // A wrong password is no crash and no silence.
    let wrong = format!(
        "[sources.main.properties]\n{}",
        "\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"PLAIN\"\n\"sasl.username\" = \"reader\"\n\"sasl.password\" = \"wrong\"\n"
    );
    let service = cluster.serve_at(data.path(), &cluster.secure("SASL_PLAINTEXT"), &wrong);
    let now = until_is(&service, "people", "UNKNOWN", "SOURCE_UNREACHABLE");
    assert_eq!(now["lagEvents"], json!(null), "{now}");
    assert_eq!(service.get("/health/ready", &[]).status, 503);
}

#[test]
fn several_clusters_at_once() {
    let (first, data) = (Cluster::start(1), folder());
    let second = first.start_beside();
    first.create(&[("people", 2)]);
    second.create(&[("properties", 2)]);
    let more = format!(
        "[sources.other]\nkind = \"kafka\"\nbrokers = \"{}\"\n[sources.own]\nkind = \"log\"\n\
         [domains.people]\nsource = \"main\"\n[domains.properties]\nsource = \"other\"\n\
         [domains.prices]\nsource = \"own\"\n[domains.reservations]\nsource = \"own\"\n",
        second.brokers
    );
    let service = first.serve(data.path(), &more);
    let writer = first.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    let writer = second.writer();
    let listed = crate::support::event("property.listed", "home", 1, json!({ "name": "Home", "hostId": "ann" }));
    writer.send("properties", &listed);
    writer.flush();
    // What the embedded log holds is written here; what it does not hold is refused.
    let price = crate::support::event("price.set", "p-1", 1, json!({ "propertyId": "home" }));
    let own = service.write(&[price]);
    let refused =
        service.post("/events", "application/cloudevents+json", person("bea", 1, "Bea").to_string().as_bytes());
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("come from another source"), "{}", refused.text);
    let all = format!("{},{},{own}", first.position(&["people"]), second.position(&["properties"]));
    let data = service.read("{ price(key: \"p-1\") { property { name host { name } } } people { totalCount } }", &all);
    let expected = json!({ "price": { "property": { "name": "Home", "host": { "name": "Ann" } } }, "people": { "totalCount": 1 } });
    assert_eq!(data, expected);
    // One cluster that is gone makes its domains old, and no other.
    second.node("kill", 1);
    until_is(&service, "properties", "LATENT", "SOURCE_UNREACHABLE");
    assert_eq!(freshness(&service, "people")["status"], "FRESH");
}

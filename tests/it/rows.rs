//! Faults that people met with rows of databases: each case is what `staygraph map` is given, and what it must make of it.

use serde_json::{Value as Json, json};

use crate::support::{Service, folder, run};

/// What a mapping makes of recorded messages: the events on standard output, and what standard error says.
fn map(program: &str, messages: &[Json]) -> (Vec<Json>, String) {
    map_with("", program, messages)
}

fn map_with(option: &str, program: &str, messages: &[Json]) -> (Vec<Json>, String) {
    let data = folder();
    let write = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    write("rows.graphql", "type Row @entity(domain: \"rows\", event: \"row\") { x: Int }");
    write("rows.jq", program);
    let config = write(
        "staygraph.toml",
        &format!(
            "model = \"rows.graphql\"\n[sources.main]\nkind = \"kafka\"\nbrokers = \"127.0.0.1:9092\"\n\
             [domains.rows]\ntopics = [\"db.public.t\"]\norder_by = \"position\"\n\
             [[mappings]]\ntopic = \"db.public.t\"\nprogram = \"rows.jq\"\n{option}"
        ),
    );
    let lines: Vec<String> = messages.iter().map(Json::to_string).collect();
    let recorded = write("recorded.ndjson", &format!("{}\n\n", lines.join("\n")));
    let (_, out, err) = run(&["map", "--config", &config, "--topic", "db.public.t", &recorded]);
    (out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), err)
}

const SHOW: &str = "{ type: \"row.seen\", subject: \"s\", data: { op, key, before, after, source, headers } }";

/// The `data` that a program which shows its input makes of one message.
fn shown(message: Json) -> Json {
    let (events, err) = map(SHOW, std::slice::from_ref(&message));
    assert_eq!(events.len(), 1, "{message}: {err}");
    events[0]["data"].clone()
}

fn source(connector: &str, more: Json) -> Json {
    let mut source =
        json!({ "connector": connector, "name": "db", "ts_ms": 1_700_000_000_000_u64, "snapshot": "false" });
    source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source
}

fn change(op: &str, after: Json, source: &Json, offset: u64) -> Json {
    json!({ "key": { "id": 1 }, "value": { "op": op, "before": null, "after": after, "source": source }, "offset": offset })
}

#[test]
fn changes_of_one_place_have_ids_of_their_own() {
    let sources = [
        source("mongodb", json!({ "ord": 7, "lsid": "s", "txnNumber": 3 })),
        source("oracle", json!({ "scn": "500", "commit_scn": "510", "rs_id": null, "ssn": 0 })),
        source("sqlserver", json!({ "commit_lsn": "00000027:00000ac0:0007" })),
    ];
    for source in sources {
        let messages = [
            change("c", json!({ "id": 1, "s": "new" }), &source, 10),
            change("u", json!({ "id": 1, "s": "paid" }), &source, 11),
            change("d", json!(null), &source, 12),
            // Repeated by a worker that was killed.
            change("c", json!({ "id": 1, "s": "new" }), &source, 13),
            change("u", json!({ "id": 1, "s": "paid" }), &source, 14),
        ];
        let (events, err) = map(SHOW, &messages);
        let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 5, "{err}");
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
        assert_eq!((ids[0], ids[1]), (ids[3], ids[4]));
    }
    // Where the connector counts a transaction's changes, two that say the same are two.
    let in_transaction = |order: u64, offset: u64| {
        let mut message = change("u", json!({ "id": 1, "s": "paid" }), &source("mongodb", json!({ "ord": 7 })), offset);
        message["value"]["transaction"] = json!({ "id": "t", "total_order": order });
        message
    };
    let (events, _) = map(SHOW, &[in_transaction(1, 10), in_transaction(3, 11), in_transaction(1, 12)]);
    assert!(events[0]["id"] != events[1]["id"] && events[0]["id"] == events[2]["id"]);
}

#[test]
fn a_column_that_was_not_sent_is_left_out_whatever_its_type() {
    let with = |placeholder: &str, items: Json| {
        let bytes: Vec<u8> = placeholder.bytes().collect();
        let schema = json!({ "type": "struct", "fields": [{ "field": "after", "type": "struct", "optional": true, "fields": [
            { "field": "id", "type": "int32" }, { "field": "closed", "type": "array", "optional": true, "items": items }] }] });
        let payload = json!({ "op": "u", "before": null, "after": { "id": 1, "closed": bytes },
            "source": source("postgresql", json!({ "lsn": 1 })) });
        json!({ "key": { "id": 1 }, "value": { "schema": schema, "payload": payload } })
    };
    let kinds = [
        ("int32", "io.debezium.time.Date"),
        ("int32", "io.debezium.time.Time"),
        ("int64", "io.debezium.time.MicroTime"),
        ("int64", "io.debezium.time.NanoTime"),
        ("int64", "io.debezium.time.Timestamp"),
        ("int64", "io.debezium.time.MicroTimestamp"),
        ("int64", "io.debezium.time.NanoTimestamp"),
        ("int64", "org.apache.kafka.connect.data.Timestamp"),
        ("int32", "none"),
    ];
    for (kind, name) in kinds {
        let items = json!({ "type": kind, "optional": true, "name": name, "version": 1 });
        for (option, placeholder) in
            [("", "__debezium_unavailable_value"), ("unavailable_value = \"<left as it was>\"\n", "<left as it was>")]
        {
            let (events, err) = map_with(option, SHOW, &[with(placeholder, items.clone())]);
            assert_eq!(events[0]["data"]["after"], json!({ "id": 1 }), "{name}: {err}");
        }
        let (events, _) = map(SHOW, &[with("another array of this length", items)]);
        assert_eq!(events[0]["data"]["after"]["closed"].as_array().unwrap().len(), 28, "{name}");
    }
}

#[test]
fn marks_that_only_the_transform_writes_make_a_row() {
    let cases = [
        json!({ "id": 1, "aggregate_type": "Booking", "aggregate_id": "B-1", "type": "BookingCreated", "payload": "{}", "timestamp": 5 }),
        json!({ "id": 1, "op": "u", "before": "{\"x\":0}", "after": "{\"x\":1}", "who": "me" }),
        json!({ "id": 1, "specversion": "2.1", "name": "gadget" }),
        json!({ "id": 1, "specversion": "1.0", "type": "a.b", "source": "/s", "iodebeziumop": "x" }),
        json!({ "id": "x", "status": "BEGIN", "event_count": 3 }),
        json!({ "id": 1, "ddl": "x", "databaseName": "y" }),
        json!({ "id": 1, "type": "execute-snapshot", "data": "z" }),
        json!({ "ts_ms": 5 }),
        json!({ "_id": "64a", "name": "x", "__v": 3, "__t": "Villa", "__typename": "X" }),
        json!({ "schema": null, "payload": "p", "id": 1 }),
    ];
    for row in cases {
        for (marks, in_headers) in [
            (json!({ "__op": "u", "__lsn": 5 }), json!({})),
            (json!({ "__deleted": "false", "__source_ts_ms": 5 }), json!({})),
            (json!({ "__ts_ms": 5 }), json!({})),
            (json!({}), json!({ "__op": "u", "__source.lsn": "5" })),
        ] {
            let mut value = row.clone();
            value.as_object_mut().unwrap().extend(marks.as_object().unwrap().clone());
            let data = shown(json!({ "key": { "id": 1 }, "value": value, "headers": in_headers }));
            assert_eq!((&data["op"], &data["after"]), (&json!("u"), &row), "{marks}");
        }
        let deleted = shown(json!({ "value": { "id": 1, "op": "c", "after": "x", "__deleted": "true" } }));
        assert_eq!((&deleted["op"], &deleted["after"]), (&json!("d"), &Json::Null));
    }
    // What is none of the transform's stays where it is, without its marks too.
    assert_eq!(shown(json!({ "value": { "_id": "a", "__v": 3 } }))["after"], json!({ "_id": "a", "__v": 3 }));
    // True messages of other kinds are what they were.
    for (value, expected) in [
        (
            json!({ "id": "n", "aggregate_type": "Initial Snapshot", "type": "STARTED", "additional_data": {}, "timestamp": 1 }),
            "notification",
        ),
        (json!({ "status": "BEGIN", "id": "1", "event_count": null, "ts_ms": 1 }), "transaction"),
        (json!({ "ts_ms": 1 }), "heartbeat"),
        (json!({ "id": "a", "type": "execute-snapshot", "data": "{}" }), "signal"),
    ] {
        let (events, err) = map(SHOW, &[json!({ "value": value })]);
        assert!(events.is_empty() && err.contains(&format!("skipped: {expected}")), "{err}");
    }
    let envelope =
        json!({ "op": "c", "before": null, "after": { "__op": "own", "id": 1 }, "source": source("mysql", json!({})) });
    assert_eq!(shown(json!({ "value": envelope }))["after"], json!({ "__op": "own", "id": 1 }));
}

#[test]
fn numbers_and_keys_keep_their_characters() {
    let program = "{ type: \"row.seen\", subject: \"s\", data: { id: .after.id, all: .after, minor: (.after.amount | minor(\"SGD\")) } }";
    let text = r#"{"op":"c","after":{"id":12345678901234567890123,"share":1234567890123456.78,"amount":90071992547409.93},"source":{"lsn":1}}"#;
    let mapping = staygraph::cdc::Mapping::compile("t", "digits.jq", program).unwrap();
    let logged = staygraph::cdc::Logged { offset: 1, at: staygraph::model::value::Instant::EPOCH };
    let message = staygraph::cdc::Message { key: None, value: Some(text.as_bytes()), headers: &[], logged };
    let Ok(staygraph::cdc::Outcome::Made(made)) = mapping.read(&message).outcome else { panic!("an event is made") };
    let event = String::from_utf8_lossy(&made[0].json).into_owned();
    for part in ["12345678901234567890123", "1234567890123456.78", "90071992547409.93", "9007199254740993"] {
        assert!(event.contains(part), "{part}: {event}");
    }

    let program = "{ type: \"row.seen\", subject: \"k-\\(.key)\", data: {} }";
    for (key, expected) in [
        (json!("1.10"), "k-1.10"),
        (json!("5E10"), "k-5E10"),
        (json!("007"), "k-007"),
        (json!("true"), "k-true"),
        (json!("[1]"), "k-[1]"),
        (json!("\"quoted\""), "k-quoted"),
        (json!("12345678901234567890123"), "k-12345678901234567890123"),
        (json!({ "id": 1 }), "k-{\"id\":1}"),
        (json!({ "schema": null, "payload": { "id": 1 } }), "k-{\"id\":1}"),
        (json!(null), "k-null"),
    ] {
        let message = json!({ "key": key, "value": { "op": "c", "after": { "id": 1 }, "source": { "lsn": 1 } } });
        let (events, err) = map(program, &[message]);
        assert_eq!(events[0]["subject"], expected, "{err}");
    }
}

#[test]
fn an_outbox_has_its_headers_and_events_without_payload() {
    let headers = json!({ "id": "e-1", "eventType": "person.erased" });
    for value in [json!(null), json!("null")] {
        let data = shown(json!({ "key": "p-1", "value": value, "headers": headers }));
        assert_eq!((&data["op"], &data["key"], &data["after"]), (&json!("c"), &json!("p-1"), &Json::Null));
        assert_eq!(data["headers"], headers);
    }
    // A payload as its column has it: a text in JSON.
    let text = json!("{\"x\":1}").to_string();
    let data = shown(json!({ "key": "p-1", "value": text, "headers": headers }));
    assert_eq!((&data["after"], &data["headers"]), (&json!({ "x": 1 }), &headers));
    // Tombstones stay what they are.
    for headers in [json!({}), json!({ "__debezium.context.task": "0" }), json!({ "__op": "d" })] {
        for value in [json!(null), json!("null")] {
            let (events, err) = map(SHOW, &[json!({ "key": { "id": 1 }, "value": value, "headers": headers })]);
            assert!(events.is_empty() && err.contains("skipped"), "{err}");
        }
    }
    let program = "{ id: .headers.id, type: .headers.eventType, subject: .key, data: .after }";
    let (events, err) =
        map(program, &[json!({ "key": "p-1", "value": null, "headers": { "id": "e-1", "eventType": "row.erased" } })]);
    assert!(events.len() == 1 && events[0]["id"] == "e-1" && events[0]["type"] == "row.erased", "{err}");
}

#[test]
fn a_program_that_does_not_end_refuses_its_row() {
    let program = "if .after.id == 1 then last(repeat(.)) else { type: \"row.seen\", subject: \"s\" } end";
    let row = |id: u64| change("c", json!({ "id": id }), &source("postgresql", json!({ "lsn": id })), id);
    let (events, err) = map(program, &[row(1), row(2)]);
    assert!(events.len() == 1 && err.contains("does it end?"), "{err}");
}

#[test]
fn an_attribute_comes_out_with_its_digits() {
    let data = folder();
    let service = Service::start(data.path());
    let event = r#"{"specversion":"1.0","id":"d-1","source":"/tests","type":"property.listed","subject":"digits","sequence":1,
        "time":"2024-05-01T10:00:00Z","data":{"name":"D","big":12345678901234567890123,
        "deep":[{"x":-0.1000000000000000055511151231257827,"y":"\"é\"","z":[1.5,null]}]}}"#;
    let told = service.post("/events", "application/cloudevents+json", event.as_bytes()).json();
    let position = told["position"].as_str().unwrap().to_owned();
    let demand = [("freshness-at-least", position.as_str()), ("freshness-wait", "10s")];
    let answer = service.ask("{ property(key: \"digits\") { attributes name } }", &demand);
    let expected = r#"{"property":{"attributes":{"big":12345678901234567890123,"deep":[{"x":-0.1000000000000000055511151231257827,"y":"\"é\"","z":[1.5,null]}]},"name":"D"}}"#;
    assert!(answer.text.contains(expected), "{}", answer.text);
}

//! Transactions of a database that become visible at once, and what happens where they cannot.

use serde_json::{Value as Json, json};

use crate::cluster::{Cluster, Writer, freshness, until};
use crate::support::{Service, folder};

const PROGRAM: &str = r#"{ type: "person.registered", subject: .key.id, data: { name: .after.nm } }"#;

/// A row's change in the form of Debezium for PostgreSQL, whose ids of transactions go on behind a colon.
fn row(transaction: u64, order: u64, name: &str) -> Json {
    let lsn = transaction * 1000 + order;
    json!({ "op": "c", "before": null, "after": { "nm": name },
        "source": { "connector": "postgresql", "name": "db", "schema": "s", "table": "t", "lsn": lsn, "ts_ms": 1000 },
        "transaction": { "id": format!("{transaction}:{lsn}"), "total_order": order, "data_collection_order": 1 } })
}

fn end(transaction: u64, counts: &[(&str, u64)]) -> Json {
    let collections: Vec<Json> =
        counts.iter().map(|(table, count)| json!({ "data_collection": table, "event_count": count })).collect();
    json!({ "status": "END", "id": format!("{transaction}:{}", transaction * 1000 + 999), "event_count": 2,
        "data_collections": collections, "ts_ms": 1000 })
}

fn send(writer: &Writer, topic: &str, partition: i32, id: &str, value: &Json) {
    let key = json!({ "id": id }).to_string();
    writer.send_raw(topic, Some(partition), &key, Some(value.to_string().as_bytes()), &[]);
    writer.flush();
}

/// The names of two people, as one version has them.
fn names(service: &Service) -> [Json; 2] {
    let data = service.read("{ a: person(key: \"a\") { name } b: person(key: \"b\") { name } }", "");
    [data["a"]["name"].clone(), data["b"]["name"].clone()]
}

fn applied(service: &Service) -> u64 {
    let partitions = freshness(service, "people")["partitions"].as_array().unwrap().clone();
    partitions.iter().map(|partition| partition["applied"].as_u64().unwrap()).sum()
}

fn splits(service: &Service) -> Option<u64> {
    let metrics = service.get("/metrics", &[]).text;
    let line = metrics.lines().find(|line| line.starts_with("staygraph_transactions_split_total"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_transaction_is_seen_whole_or_not() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("db.s.one", 2), ("moved", 1), ("db.transaction", 2)]);
    std::fs::write(data.path().join("guest.jq"), PROGRAM).unwrap();
    let config = |hold_max: &str| {
        format!(
            "[domains.people]\ntopics = [\"db.s.one\", \"moved\"]\norder_by = \"position\"\n\
             [[mappings]]\ntopic = \"db.s.one\"\nprogram = \"guest.jq\"\n\
             [[mappings]]\ntopic = \"moved\"\nprogram = \"guest.jq\"\n\
             [[transactions]]\ntopic = \"db.transaction\"\nhold_max = \"{hold_max}\"\ntables = {{ \"s.two\" = \"moved\" }}\n"
        )
    };
    let service = cluster.serve(data.path(), &config("10m"));
    let writer = cluster.writer();
    send(&writer, "db.s.one", 0, "a", &row(1, 1, "first"));
    send(&writer, "moved", 0, "b", &row(1, 2, "first"));
    send(&writer, "db.transaction", 1, "1", &end(1, &[("s.one", 1), ("s.two", 1), ("s.unread", 5)]));
    let both = |name: &str| [json!(name), json!(name)];
    until("the first is whole", || {
        let names = names(&service);
        if names == both("first") { Ok(()) } else { Err(format!("{names:?}")) }
    });

    // Its end is there before its rows, and a row of the next is there before the last of its own.
    send(&writer, "db.transaction", 0, "2", &end(2, &[("s.one", 1), ("s.two", 1)]));
    send(&writer, "db.s.one", 0, "a", &row(2, 1, "second"));
    send(&writer, "db.s.one", 0, "a", &row(3, 1, "third"));
    send(&writer, "db.s.one", 1, "c", &json!({ "op": "r", "after": { "nm": "read" }, "source": { "ts_ms": 1000 } }));
    let query = "{ person(key: \"c\") { name } }";
    until("what is of none passes", || {
        let data = service.read(query, "");
        if data["person"]["name"] == "read" { Ok(()) } else { Err(data.to_string()) }
    });
    // Nothing of it is seen, and nobody calls the rest applied, or fresh.
    let before = applied(&service);
    until("the ends tell what is held", || {
        let now = freshness(&service, "people");
        if now["lagEvents"] == 2 { Ok(()) } else { Err(now.to_string()) }
    });
    assert_eq!((names(&service), before), (both("first"), 5));
    send(&writer, "moved", 0, "b", &row(2, 2, "second"));
    until("the second is whole", || {
        let names = names(&service);
        assert!(names == both("first") || names == both("second"), "{names:?}");
        if names == both("second") { Ok(()) } else { Err(format!("{names:?}")) }
    });
    // The third's other row never comes: it is held, across a start too.
    send(&writer, "db.transaction", 0, "3", &end(3, &[("s.one", 1), ("s.two", 1)]));
    assert_eq!((splits(&service), names(&service)), (Some(0), both("second")));
    drop(service);
    let service = cluster.serve(data.path(), &config("1s"));
    until("it is given up", || match splits(&service) {
        Some(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    until("what there is of it is seen", || {
        let names = names(&service);
        if names == [json!("third"), json!("second")] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    let other = json!({ "status": "ROLLBACK", "id": "9:1" });
    send(&writer, "db.transaction", 0, "9", &other);
    until("what is no boundary is a dead letter", || {
        let data = service.read("{ projection { deadLetters { nodes { code field topic message } } } }", "");
        let letters = &data["projection"]["deadLetters"]["nodes"];
        let expected = json!([{ "code": "BAD_ENVELOPE", "field": "status", "topic": "db.transaction",
            "message": "a transaction's boundary: it is neither BEGIN nor END" }]);
        if *letters == expected { Ok(()) } else { Err(data.to_string()) }
    });
}

//! What is said of bad input: each message a golden.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use staygraph::model::Model;

use crate::support::{Service, event, folder, root, run};

#[test]
fn the_served_schema_is_the_committed_one() {
    let (code, schema, _) = run(&["schema", "--model", root("model.graphql").to_str().unwrap()]);
    let committed = std::fs::read_to_string(root("schema.graphql")).unwrap();
    if schema != committed && std::env::var_os("CI").is_none() {
        std::fs::write(root("schema.graphql"), &schema).unwrap();
    }
    assert!(code == 0 && schema == committed, "schema.graphql was stale; it is written anew: look at it and commit it");
}

#[test]
fn models() {
    let mut told = String::new();
    let mut cases: Vec<_> =
        std::fs::read_dir(root("tests/golden/models")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for path in cases {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let faults = Model::parse(&std::fs::read_to_string(&path).unwrap(), &name).expect_err(&name);
        faults.iter().for_each(|fault| told += &format!("{fault}\n"));
        told += "\n";
    }
    crate::golden::check("models.txt", &told);
}

/// The model's names are checked by a list, and the schema is what is served: each of its types must be on it.
#[test]
fn no_name_of_the_schema_is_free() {
    let model = Arc::new(
        Model::parse("type Zz @entity(domain: \"zz\", event: \"zz\", plural: \"zzs\") { v: Int }", "zz.graphql")
            .unwrap(),
    );
    let sdl = staygraph::api::make(&model).unwrap().sdl;
    let word = |line: &str| line.split([' ', '{', '(', ':', '@']).next().unwrap_or_default().to_owned();
    let kinds = ["type ", "enum ", "input ", "interface ", "scalar ", "union "];
    let named = |line: &str| kinds.iter().find_map(|kind| line.strip_prefix(kind)).map(word);
    let types: Vec<String> = sdl.lines().filter_map(named).filter(|name| !name.starts_with("Zz")).collect();
    assert!(types.len() > 50 && types.contains(&"Query".to_owned()), "{types:?}");
    for name in types {
        for text in [
            format!("type {name} @entity(domain: \"d\", event: \"e\", plural: \"p\") {{ v: Int }}"),
            format!("type E @entity(domain: \"d\", event: \"e\") {{ v: {name} }} enum {name} {{ A }}"),
        ] {
            assert!(Model::parse(&text, "m.graphql").is_err(), "{text}");
        }
    }
    let members = |of: &str| -> Vec<String> {
        let body = sdl.split(&format!("\n{of} ")).nth(1).unwrap().split("\n}").next().unwrap().to_owned();
        let is_field = |line: &&str| {
            line.starts_with("  ") && line[2..].starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        };
        body.lines().skip(1).filter(is_field).map(|line| word(&line[2..])).collect()
    };
    let roots = members("type Query");
    assert!(roots.len() > 5);
    for name in roots.iter().filter(|name| !name.starts_with("zz")) {
        let text = format!("type E @entity(domain: \"d\", event: \"e\", plural: \"{name}\") {{ v: Int }}");
        assert!(Model::parse(&text, "m.graphql").is_err(), "{text}");
    }
    for name in members("interface Entity") {
        let text = format!("type E @entity(domain: \"d\", event: \"e\") {{ {name}: Int }}");
        assert!(Model::parse(&text, "m.graphql").is_err(), "{text}");
    }
}

#[test]
fn events() {
    let data = folder();
    let service = Service::start(data.path());
    let good = || event("reservation.booked", "r", 1, json!({ "checkIn": "2024-06-01" }));
    let with = |name: &str, value: serde_json::Value| {
        let mut event = good();
        event[name] = value;
        event
    };
    let data_of = |data: serde_json::Value| with("data", data);
    let mut cases: Vec<(&str, String)> = vec![
        ("broken JSON", "{\"specversion\"".into()),
        ("a name twice", "{\"id\":1,\"id\":2}".into()),
        ("no object", "[1]".into()),
    ];
    let events = [
        ("a wrong version of CloudEvents", with("specversion", json!("0.9"))),
        ("no time", with("time", json!(null))),
        ("a wrong time", with("time", json!("2024-05-01 10:00:00Z"))),
        ("a leap second", with("time", json!("2016-12-31T23:59:60Z"))),
        ("no subject", with("subject", json!(null))),
        ("a long subject", with("subject", json!("x".repeat(129)))),
        ("a version of 0", with("sequence", json!(0))),
        ("a version that is no integer", with("sequence", json!("01"))),
        ("no version", with("sequence", json!(null))),
        ("a capital in an extension", with("Loud", json!("x"))),
        ("a type without a dot", with("type", json!("reservation"))),
        ("an unknown entity", with("type", json!("reservatoin.booked"))),
        ("data that are no object", data_of(json!("text"))),
        ("binary data", {
            let mut event = with("data_base64", json!("AAAA"));
            event.as_object_mut().unwrap().remove("data");
            event
        }),
        ("a date that does not exist", data_of(json!({ "checkIn": "2024-02-30" }))),
        ("check-out before check-in", data_of(json!({ "checkIn": "2024-06-05", "checkOut": "2024-06-01" }))),
        ("a number in quotes", data_of(json!({ "guests": "2" }))),
        ("a float for an integer", data_of(json!({ "guests": 2.5 }))),
        ("a number beyond 32 bits", data_of(json!({ "guests": 3_000_000_000_i64 }))),
        ("money with a third member", data_of(json!({ "total": { "minor": 1, "currency": "SGD", "tax": 0 } }))),
        ("money in a wrong currency", data_of(json!({ "total": { "minor": 1, "currency": "sgd" } }))),
        ("an unknown status", data_of(json!({ "status": "BOOKD" }))),
        ("a derived field", data_of(json!({ "nights": 3 }))),
        ("an empty key", data_of(json!({ "guestId": "" }))),
        ("a personal value", event("person.registered", "p", 1, json!({ "name": 12345 }))),
        ("a point off the globe", event("property.listed", "p", 1, json!({ "location": { "lat": 91, "lon": 0 } }))),
        ("a merge into nothing", event("person.merged", "p", 1, json!({}))),
        ("a merge into itself", event("person.merged", "p", 1, json!({ "into": "p" }))),
    ];
    cases.extend(events.iter().map(|(name, event)| (*name, event.to_string())));
    let mut told = String::new();
    for (name, body) in &cases {
        let reply = service.post("/events", "application/x-ndjson", body.as_bytes());
        let error = reply.json()["results"][0]["error"].clone();
        assert_eq!(reply.status, 422, "{name}: {}", reply.text);
        told += &format!(
            "{name}\n    {} {}: {}\n",
            error["code"].as_str().unwrap(),
            error["field"],
            error["message"].as_str().unwrap()
        );
    }
    crate::golden::check("events.txt", &told);
}

#[test]
fn commands() {
    let data = folder();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().to_string();
    let shipped = root("model.graphql");
    let (model, folder_text) = (shipped.to_str().unwrap(), data.path().to_str().unwrap());
    let write = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typo = write("typo.toml", "listen = \"127.0.0.1:0\"\ndata_dri = \"x\"\n");
    let kafka = write("kafka.toml", "[sources.main]\nkind = \"lag\"\n");
    let broker = "[sources.main]\nkind = \"kafka\"\nbrokers = ";
    let scheme = write("scheme.toml", &format!("{broker}\"b1:9092,kafka://b2:9092\"\n"));
    let properties = format!("{broker}\"b1:9092\"\n[sources.main.properties]\n");
    let unquoted = write(
        "unquoted.toml",
        &format!(
            "{properties}security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"me\"\nsasl.password = \"mine\"\n"
        ),
    );
    let property = write("property.toml", &format!("{properties}security.protocoll = \"SSL\"\n"));
    let domain = write("domain.toml", "[domains.reservation]\nfresh_within = \"5s\"\n");
    let duration = write("duration.toml", "[domains.reservations]\nfresh_within = \"5\"\n");
    let unreadable = write("unreadable.toml", "listen = \n");
    let mapping = |name: &str, mapping: &str| {
        let text = format!("[domains.people]\ntopics = [\"db.public.guest\"]\n{mapping}");
        write(name, &text)
    };
    let mapped = |topic: &str, program: &str| format!("[[mappings]]\ntopic = \"{topic}\"\nprogram = \"{program}\"\n");
    write("right.jq", "{ type: \"person.registered\", subject: .key.id }");
    write("wrong.jq", "def name:\n  .after.nm | lowercase;\n{ type: $type }");
    write("syntax.jq", "if .op == \"d\" then\n  empty\n");
    let unread = mapping("unread.toml", &mapped("db.public.gest", "right.jq"));
    let twice = mapping("twice.toml", &mapped("db.public.guest", "right.jq").repeat(2));
    let elsewhere =
        mapping("elsewhere.toml", &format!("{}source = \"other\"\n", mapped("db.public.guest", "right.jq")));
    let absent = mapping("absent.toml", &mapped("db.public.guest", "absent.jq"));
    let wrong = mapping("wrong.toml", &mapped("db.public.guest", "wrong.jq"));
    let syntax = mapping("syntax.toml", &mapped("db.public.guest", "syntax.jq"));
    let right = mapping("right.toml", &mapped("db.public.guest", "right.jq"));
    let boundaries = |topic: &str, more: &str| format!("[[transactions]]\ntopic = \"{topic}\"\n{more}\n");
    let told = [
        mapped("db.public.guest", "right.jq"),
        boundaries("db.transaction", ""),
        boundaries("db.public.guest", ""),
        boundaries("other.transaction", ""),
        boundaries("odd.transaction", "hold_max = \"10\""),
        boundaries("wrong.transaction", "tables = { \"public.guest\" = \"db.public.gest\" }"),
        boundaries("db.second", ""),
    ];
    let told_wrong = mapping("transactions.toml", &told.concat());
    let told_right = mapping("transactions-right.toml", &told[..2].concat());
    let broken_model =
        write("broken.graphql", "type Person @entity(domain: \"people\", event: \"person\") {\n  name: Strng\n}\n");
    let three = write(
        "three.toml",
        "wait_max = \"30\"\nlisten = \"x\"\ndepth_max = 0\ncors_origins = [\"https://a.example\", \"*\"]\n\n\
         [domains.people]\norder_by = \"sequenze\"\ngaps = \"reprot\"\nfresh_within = \"5 years\"\n\n\
         [domains.prizes]\ntopics = [\"prizes\"]\n\n[domains.prices]\ntopics = [\"prices\", \"prices\", \"..\"]\nstale_after = \"1s\"\n",
    );
    let fresher = write("fresher.toml", "[domains.people]\nfresh_within = \"1ms\"\n");
    let kindless =
        write("kindless.toml", "[sources.main]\nbrokers = \"b:1\"\n[domains.people]\nencoding = \"avrow\"\n");
    let promise = write(
        "promise.toml",
        &format!(
            "{properties}isolation.level = \"read_uncommitted\"\n\"enable.auto.commit\" = true\nfetch.min.byts = 1\n"
        ),
    );
    let kerberos = write("kerberos.toml", &format!("{properties}security.protocol = \"SASL_SSL\"\n"));
    let keystore = write(
        "keystore.toml",
        &format!("{properties}security.protocol = \"SSL\"\nssl.keystore.location = \"{folder_text}/absent.p12\"\n"),
    );
    let filed = write("filed.toml", &format!("data_dir = \"{typo}\"\n"));
    let quotes = write(
        "quotes.graphql",
        "\"a \\\"\\\"\\\" b\"\ntype Boat @entity(domain: \"__x\", event: \"boat\") { v: Int }\n",
    );
    let pretty = write("pretty.json", "{\n  \"id\": 1\n}\n");
    let array = write("array.json", "[{ \"id\": 1 }]\n");
    let table = write("table.csv", "id,name\n1,Ann\n");
    let cases: &[(&str, &[&str], i32)] = &[
        ("a config with faults of all kinds", &["check", "--model", model, "--config", &three], 1),
        ("a config that will surprise", &["check", "--model", model, "--config", &fresher], 0),
        ("a source without a kind", &["check", "--model", model, "--config", &kindless], 1),
        ("properties that break the promise", &["check", "--model", model, "--config", &promise], 1),
        ("a mechanism that is not built in", &["check", "--model", model, "--config", &kerberos], 1),
        ("a keystore that is not there", &["check", "--model", model, "--config", &keystore], 1),
        ("a data folder that is a file", &["check", "--model", model, "--config", &filed], 1),
        ("a model whose schema could not be", &["check", "--model", &quotes], 1),
        ("an address that is none", &["serve", "--model", model, "--listen", "8080"], 2),
        ("a duration without a unit", &["serve", "--model", model, "--wait-max", "10"], 2),
        ("a query time of nothing", &["serve", "--model", model, "--query-time-max", "0s"], 2),
        ("a depth that cannot be", &["check", "--model", model, "--depth-max", "33"], 2),
        ("an origin that no browser sends", &["check", "--model", model, "--cors-origin", "https://a.example/"], 2),
        ("a service that is none", &["append", "--to", "8080", &pretty], 2),
        ("a code that is none", &["dead-letters", "list", "--code", "BAD_JASON"], 2),
        ("events over several lines", &["append", "--to", "localhost:1", &pretty], 1),
        ("an array of events", &["append", "--to", "localhost:1", &array], 1),
        ("a table of events", &["append", "--to", "localhost:1", &table], 1),
        ("a right model", &["check", "--model", model], 0),
        ("a port in use", &["serve", "--model", model, "--data", folder_text, "--listen", &port], 1),
        ("an unknown option", &["serve", "--lisen", "x"], 2),
        ("an unknown command", &["serv"], 2),
        ("a model with a typo", &["check", "--model", &broken_model], 1),
        ("a model that is not there", &["check", "--model", "nowhere.graphql"], 1),
        ("a config with a typo", &["check", "--model", model, "--config", &typo], 1),
        ("a config with an unknown source", &["check", "--model", model, "--config", &kafka], 1),
        ("a broker with a scheme", &["check", "--model", model, "--config", &scheme], 1),
        ("properties without quotes", &["check", "--model", model, "--config", &unquoted], 0),
        ("an unknown property", &["check", "--model", model, "--config", &property], 1),
        ("a config with an unknown domain", &["check", "--model", model, "--config", &domain], 1),
        ("a config with a wrong duration", &["check", "--model", model, "--config", &duration], 1),
        ("a config that is no TOML", &["check", "--model", model, "--config", &unreadable], 1),
        ("a right mapping", &["check", "--model", model, "--config", &right], 0),
        ("a mapping of a topic that nobody reads", &["check", "--model", model, "--config", &unread], 1),
        ("a second mapping of a topic", &["check", "--model", model, "--config", &twice], 1),
        ("a mapping of another source", &["check", "--model", model, "--config", &elsewhere], 1),
        ("a mapping without its program", &["check", "--model", model, "--config", &absent], 1),
        ("a program that names what is not there", &["check", "--model", model, "--config", &wrong], 1),
        ("a program that does not end", &["check", "--model", model, "--config", &syntax], 1),
        ("right boundaries", &["check", "--model", model, "--config", &told_right], 0),
        ("wrong boundaries", &["check", "--model", model, "--config", &told_wrong], 1),
        (
            "a mapping tried that is not there",
            &["map", "--model", model, "--config", &right, "--topic", "db.public.gest", "nowhere.ndjson"],
            1,
        ),
        (
            "a mapping tried on nothing",
            &["map", "--model", model, "--config", &right, "--topic", "db.public.guest", "nowhere.ndjson"],
            1,
        ),
        (
            "a demo of an unknown domain",
            &["demo", "--late", "price", "--data", folder_text, "--listen", "127.0.0.1:0"],
            2,
        ),
        ("a demo in a folder of something else", &["demo", "--data", folder_text, "--listen", "127.0.0.1:0"], 1),
    ];
    let mut told = String::new();
    for (name, arguments, expected) in cases {
        let (code, out, err) = run(arguments);
        assert_eq!(code, *expected, "{name}: {out}{err}");
        let clean = err.replace(folder_text, "FOLDER").replace(&port, "ADDRESS").replace(model, "model.graphql");
        told += &format!("{name}\n{}", clean.lines().map(|line| format!("    {line}\n")).collect::<String>());
    }
    crate::golden::check("commands.txt", &told);
    assert!(Path::new(model).exists());
}

//! Change data capture: what each of the recorded messages becomes, and that the order of the database counts, not the log's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value as Json, json};
use staygraph::cdc::{Logged, Mapping, Message, Outcome, outbox};
use staygraph::event::{Batch, Buffer, Decoder, OrderBy};
use staygraph::ids::{By, DomainId, Id, PartitionId, TopicId};
use staygraph::model::Model;
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Topic};

use crate::oracle::Dump;
use crate::support::{folder, root, run};
use crate::{golden, laws};

/// Shows what a program is given.
const SHOW: &str = r#"{
  type: "row.\(.op)",
  subject: (.key // "no key" | tostring),
  data: ({ before, after, table: "\(.source.name) \(.source.schema // .source.db) \(.source.table)" } | del(.[] | nulls))
}"#;

fn message<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, offset: u64) -> Message<'a> {
    Message { key, value, headers: &[], logged: Logged { offset, at: Instant::EPOCH } }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => files(&entry, found),
            false if entry.extension().is_some_and(|extension| extension == "json") => found.push(entry),
            false => {}
        }
    }
}

/// A message as people read it: what was made of it, or why nothing was.
fn told(mapping: &Mapping, message: &Message<'_>) -> String {
    match mapping.read(message).outcome {
        Ok(Outcome::Made(all)) => {
            let event = |made: &staygraph::cdc::Made| {
                let commit = made.commit;
                let stamp = format!("{} {:x?} {}", commit.is_change, commit.place, commit.ordinal);
                format!("{}\n    stamp {stamp}", String::from_utf8_lossy(&made.json))
            };
            all.iter().map(event).collect::<Vec<_>>().join("\n    ")
        }
        Ok(Outcome::Event(event)) => {
            let text = String::from_utf8_lossy(&event).chars().take(100).collect::<String>();
            let decoder = Decoder::new(shipped(), By::default(), 1 << 20);
            let verdict = decoder.decode(&event, &[], &mut Buffer::default()).map(|_| ());
            let verdict = verdict.map_or_else(|why| format!("{} {}", why.code, why.message), |()| "taken".into());
            format!("an event: {text}\n    {verdict}")
        }
        Ok(Outcome::Truncated(truncation)) => {
            let commit = truncation.commit;
            let stamp = format!("{} {:x?} {}", commit.is_change, commit.place, commit.ordinal);
            format!("empties the table of {}: {}\n    stamp {stamp}", truncation.source, truncation.id)
        }
        Ok(Outcome::Skipped(what)) => format!("skipped: {}", what.name()),
        Err(refusal) => {
            let why = refusal.rejection;
            format!("refused: {} {}: {}", why.code, why.field.as_deref().unwrap_or("-"), why.message)
        }
    }
}

fn shipped() -> Arc<Model> {
    Arc::new(Model::parse(staygraph::model::SHIPPED, "model.graphql").unwrap())
}

#[test]
fn every_recorded_message_is_what_it_is() {
    let mapping = Mapping::compile("server.inventory.customers", "show.jq", SHOW).unwrap();
    let folder = root("tests/data/cdc");
    let mut paths = Vec::new();
    ["cloudevents", "debezium", "outbox"].iter().for_each(|kind| files(&folder.join(kind), &mut paths));
    paths.sort();
    assert_eq!(paths.len(), 80);
    let mut text = String::new();
    for path in paths {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let bytes = std::fs::read(&path).unwrap();
        let key = br#"{"schema":null,"payload":{"id":1004}}"#.as_slice();
        let told = match name.as_str() {
            // Keys: each beside the same change.
            _ if name.contains("-key") => {
                let delete = std::fs::read(folder.join("debezium/mysql/customers-delete.json")).unwrap();
                told(&mapping, &message(Some(&bytes), Some(&delete), 7))
            }
            // A record, with its key.
            _ if name.ends_with("tombstone-record.json") => told(&mapping, &message(Some(key), None, 7)),
            _ => told(&mapping, &message(Some(key), Some(&bytes), 7)),
        };
        writeln!(text, "{name}\n    {told}").unwrap();
    }
    golden::check("cdc.txt", &text);
}

/// Records as they came from Kafka. Of Debezium 3.7 with PostgreSQL: a first and an incremental snapshot, a change of key,
/// values that were not sent, TRUNCATE, and what else stands in its topics; then its CloudEvents, flattened rows, its outbox.
/// Of 3.5 with MariaDB: a snapshot, transactions, a change of key, TRUNCATE, odd types, a column that was added.
#[test]
fn what_debezium_wrote_is_what_it_is() {
    for (recorded, golden) in
        [("debezium-3.7.ndjson", "cdc-3.7.txt"), ("debezium-mariadb-3.5.ndjson", "cdc-mariadb-3.5.txt")]
    {
        let recorded = std::fs::read_to_string(root("tests/data").join(recorded)).unwrap();
        let mut text = String::new();
        for line in recorded.lines() {
            let record: Json = serde_json::from_str(line).unwrap();
            let topic = record["topic"].as_str().unwrap();
            let mapping = Mapping::compile(topic, "show.jq", SHOW).unwrap();
            let part = |name: &str| Some(record[name].to_string()).filter(|text| text != "null");
            let (key, value) = (part("key"), part("value"));
            let bytes = |part: &Option<String>| part.as_ref().map(|text| text.clone().into_bytes());
            let told = told(&mapping, &message(bytes(&key).as_deref(), bytes(&value).as_deref(), 7));
            writeln!(text, "{topic} {}\n    {told}", key.unwrap_or_default().chars().take(40).collect::<String>())
                .unwrap();
        }
        golden::check(golden, &text);
    }
}

/// Forms that 3.7 writes and that are not among the recorded messages.
#[test]
fn other_forms_are_known() {
    let mapping = Mapping::compile("legacy.public.guest", "show.jq", SHOW).unwrap();
    let source = r#""source":{"connector":"postgresql","name":"legacy","snapshot":"false","schema":"public","table":"guest","lsn":16,"ts_ms":1000}"#;
    let with = |rest: &str| format!("{{{rest},{source}}}");
    let cases = [
        (with(r#""op":"u","before":null,"after":{"id":1,"note":"__debezium_unavailable_value"}"#), r#""after":{"id":1}"#),
        (with(r#""op":"d","before":{"id":1004,"name":"","status":"A"},"after":null"#), r#""before":{"id":1004}"#),
        (with(r#""op":"r","before":null,"after":{"id":1}"#), "stamp false"),
        (with(r#""op":"t""#), "empties the table of /cdc/legacy/public.guest"),
        (with(r#""op":"x","after":{}"#), "refused: BAD_ENVELOPE op"),
        (with(r#""op":"c","after":null"#), "refused: BAD_ENVELOPE after"),
        (r#"{"schema":null,"payload":{"ts_ms":1}}"#.to_owned(), "skipped: heartbeat"),
        ("null".to_owned(), "skipped: null"),
        ("[1]".to_owned(), "refused: BAD_ENVELOPE -"),
        ("{}".to_owned(), "refused: BAD_ENVELOPE -"),
        ("{\"a\":1,\"a\":2}".to_owned(), "refused: BAD_JSON -: a name stands twice"),
        (r#"{"id":1,"__deleted":"true","__lsn":16}"#.to_owned(), r#"row.d"#),
        (r#"{"id":1,"__op":"c","__source_lsn":16}"#.to_owned(), "stamp true [10, 10, 0]"),
        (r#"{"id":1}"#.to_owned(), r#""table":"legacy public guest""#),
        (
            r#"{"specversion":"1.0","id":"a","source":"/s","type":"person.registered","subject":"p","time":"2024-05-01T10:00:00Z","sequence":1}"#
                .to_owned(),
            "taken",
        ),
    ];
    for (value, expected) in cases {
        let told = told(&mapping, &message(Some(br#"{"id":1004}"#), Some(value.as_bytes()), 7));
        assert!(told.contains(expected), "{value}\n{told}");
    }
}

#[test]
fn a_domain_by_sequence_needs_one() {
    let decoder = Decoder::new(shipped(), vec![OrderBy::Sequence; 4].into(), 1 << 16);
    let judged = |more: &str| {
        let program = format!("{{ type: \"person.registered\", subject: \"p\"{more} }}");
        let mapping = Mapping::compile("t", "person.jq", &program).unwrap();
        let row = br#"{"op":"c","after":{"id":1},"source":{"lsn":8,"ts_ms":1}}"#;
        let Ok(Outcome::Made(all)) = mapping.read(&message(None, Some(row), 0)).outcome else {
            panic!("an event is made")
        };
        let verdict = decoder.decode(&all[0].json, &[], &mut Buffer::default()).map(|_| ());
        verdict.map_err(|rejection| mapping.blamed(&all[0], *rejection).message)
    };
    assert_eq!(judged(", sequence: 1"), Ok(()));
    let without = judged("").unwrap_err();
    assert!(without.starts_with("person.jq: the domain has `order_by = \"sequence\"`"), "{without}");
    let wrong = judged(", sequence: 0").unwrap_err();
    assert!(wrong.starts_with("person.jq: ") && !wrong.contains("order_by"), "{wrong}");
}

/// What a program gives that is no event, each with what it is told.
#[test]
fn programs_are_told_what_is_wrong() {
    for (program, expected) in [
        ("1", "it gives something else than an object"),
        ("{ subject: \"p\" }", "it gives an event without `type`"),
        ("{ type: \"person.registered\" }", "it gives an event without `subject`"),
        ("{ type: \"person.registered\", subject: .after.id }", "whose `subject` is no text"),
        ("{ type: \"a.b\", sbject: \"p\" }", "did you mean `subject`?"),
        ("{ type: \"a.b\", subject: \"p\", data: { n: (1 / 0) } }", "a number that is infinite, or none"),
        (".after.id.x", "it fails on this row"),
    ] {
        let mapping = Mapping::compile("t", "person.jq", program).unwrap();
        let told = told(&mapping, &message(None, Some(br#"{"op":"c","after":{"id":1},"source":{}}"#), 0));
        assert!(told.starts_with("refused: BAD_FIELD -: person.jq: ") && told.contains(expected), "{program}: {told}");
    }
}

#[test]
fn an_outbox_wraps_events_in_texts_and_schemas() {
    let event = r#"{"specversion":"1.0","id":"a"}"#;
    let wrapped = [
        (json!(event).to_string(), Some(event)),
        (json!({ "schema": { "type": "string" }, "payload": event }).to_string(), Some(event)),
        (format!(r#"{{"schema":{{"type":"struct"}},"payload":{event}}}"#), Some(event)),
        (event.to_owned(), None),
        ("null".to_owned(), None),
        ("\"".to_owned(), None),
    ];
    for (value, expected) in wrapped {
        let unwrapped = outbox(value.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(unwrapped.as_deref(), expected, "{value}");
    }
}

/// What `staygraph map` says of what the legacy example recorded.
#[test]
fn the_legacy_examples_mappings_are_tried() {
    let config = root("examples/legacy/staygraph.toml");
    let example = root("examples/legacy").display().to_string();
    let map = |table: &str, more: &[&str]| {
        let recorded = root("examples/legacy/recorded").join(format!("{table}.ndjson"));
        let topic = format!("legacy.public.{table}");
        let arguments = ["map", "--config", config.to_str().unwrap(), "--topic", &topic, recorded.to_str().unwrap()];
        run(&[&arguments[..], more].concat())
    };
    let mut told = String::new();
    for (table, expected) in [("gst_mst", 0), ("prop_mst", 0), ("rate_cal", 0), ("bkng_hdr", 1)] {
        let (code, out, err) = map(table, &[]);
        assert_eq!(code, expected, "{table}: {err}");
        write!(told, "{table}\n{}{out}", err.replace(&example, "legacy")).unwrap();
    }
    golden::check("map.txt", &told);

    let data = folder();
    let (_, out, _) = map("gst_mst", &[]);
    let old = data.path().join("old");
    std::fs::write(&old, &out).unwrap();
    let (code, out, _) = map("gst_mst", &["--diff", old.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (0, ""));
    std::fs::write(&old, "gone\n").unwrap();
    let (code, out, err) = map("gst_mst", &["--diff", old.to_str().unwrap()]);
    assert!(code == 1 && out.starts_with("-gone\n+{") && err.contains("differ"), "{out}{err}");
}

/// What a program sees of a message with its schema part is the same when it is tried as when it runs.
#[test]
fn values_are_tried_by_their_types() {
    let data = folder();
    let path = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let topic = "[domains.people]\ntopics = [\"t\"]\norder_by = \"position\"\n";
    let config = path("staygraph.toml", &format!("{topic}[[mappings]]\ntopic = \"t\"\nprogram = \"p.jq\"\n"));
    path("p.jq", "{ type: \"person.registered\", subject: \"g\\(.key.id)\", data: { row: .after } }");
    let message = path(
        "one.json",
        r#"{"key":{"schema":{"type":"struct","fields":[{"field":"id","type":"bytes","name":"org.apache.kafka.connect.data.Decimal",
            "parameters":{"scale":"0"}}]},"payload":{"id":"AP//////////"}},"value":{"schema":{"type":"struct","fields":[
            {"field":"op","type":"string"},{"field":"after","type":"struct","fields":[
            {"field":"amt","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}},
            {"field":"day","type":"int32","name":"io.debezium.time.Date"},
            {"field":"at","type":"string","name":"io.debezium.time.IsoTimestamp"}]}]},
            "payload":{"op":"c","after":{"amt":"MDk=","day":19844,"at":"2024-05-01T12:34:56Z"}}}}"#,
    );
    let model = root("model.graphql");
    let (model, arguments) = (model.to_str().unwrap(), ["map", "--config", &config, "--topic", "t", &message]);
    let (code, out, err) = run(&[&arguments[..], &["--model", model]].concat());
    let row = r#""subject":"g18446744073709551615","time":"1970-01-01T00:00:00Z","data":{"row":{"amt":"123.45","day":"2024-05-01","at":"2024-05-01T12:34:56"}}"#;
    assert!(code == 0 && out.contains(row), "{out}{err}");
}

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest") { name: String  note: String  level: Int }
"#;

/// Sets what was sent, deletes what was deleted.
const PROGRAM: &str = r#"
def put($field; $column): if has($column) then { ($field): .[$column] } else {} end;
if .op == "d" then { type: "guest.deleted", subject: "g\(.key.id)" }
else { type: "guest.seen", subject: "g\(.after.id)", data: (.after | put("name"; "nm") + put("note"; "nt") + put("level"; "lv")) } end
"#;

const PARTITIONS: usize = 3;
const TOPIC: &str = "legacy.public.guest";

/// A statement on the little table.
#[derive(Clone, Debug)]
enum Statement {
    Insert(u8, u8),
    /// Changes all but the large column, which is not sent then.
    Update(u8, u8),
    UpdateAll(u8, u8),
    Delete(u8),
    /// Gives a row another key.
    Move(u8, u8),
    /// Reads the table again, as an incremental snapshot does.
    Read,
    Truncate,
}

fn statement() -> impl Strategy<Value = Statement> {
    let key = 0..5u8;
    prop_oneof![
        3 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Statement::Insert(key, value)),
        3 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Statement::Update(key, value)),
        2 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Statement::UpdateAll(key, value)),
        2 => key.clone().prop_map(Statement::Delete),
        2 => (key.clone(), key).prop_map(|(from, to)| Statement::Move(from, to)),
        1 => Just(Statement::Read),
        1 => Just(Statement::Truncate),
    ]
}

type Table = BTreeMap<u8, (String, String, u8)>;

/// A record: its partition, key and value.
type Record = (usize, String, Option<String>);

/// A database with its connector: the table as it is in the end, and the records in the order of the commits.
fn replicate(statements: &[Statement]) -> (Table, Vec<Record>) {
    let (mut table, mut records, mut lsn): (Table, Vec<Record>, u64) = (Table::new(), Vec::new(), 100);
    let row =
        |key: u8, (name, note, level): &(String, String, u8)| json!({ "id": key, "nm": name, "nt": note, "lv": level });
    for statement in statements {
        lsn += 8;
        // Several statements are committed in one millisecond.
        let at = 1_700_000_000_000_u64 + lsn / 32;
        let mut send = |op: &str, key: u8, before: Json, after: Json, lsn: Option<u64>| {
            let snapshot = if lsn.is_some() { "false" } else { "incremental" };
            let source = json!({ "connector": "postgresql", "name": "legacy", "schema": "public", "table": "guest", "lsn": lsn,
                "snapshot": snapshot, "ts_ms": at });
            let value = json!({ "op": op, "before": before, "after": after, "source": source });
            // No partition has all of a key: the log's order is nobody's.
            let partition = records.len() % PARTITIONS;
            records.push((partition, json!({ "id": key }).to_string(), Some(value.to_string())));
            if op == "d" {
                records.push((partition, json!({ "id": key }).to_string(), None));
            }
        };
        let filled = |key: u8| json!({ "id": key, "nm": "", "nt": null, "lv": 0 });
        match statement {
            Statement::Insert(key, value) if !table.contains_key(key) => {
                table.insert(*key, (format!("n{value}"), format!("t{value}"), *value));
                send("c", *key, Json::Null, row(*key, &table[key]), Some(lsn));
            }
            Statement::Update(key, value) if table.contains_key(key) => {
                let kept = table[key].1.clone();
                table.insert(*key, (format!("n{value}"), kept, *value));
                let mut after = row(*key, &table[key]);
                after["nt"] = "__debezium_unavailable_value".into();
                send("u", *key, Json::Null, after, Some(lsn));
            }
            Statement::UpdateAll(key, value) if table.contains_key(key) => {
                table.insert(*key, (format!("n{value}"), format!("t{value}"), *value));
                send("u", *key, Json::Null, row(*key, &table[key]), Some(lsn));
            }
            Statement::Delete(key) if table.remove(key).is_some() => {
                send("d", *key, filled(*key), Json::Null, Some(lsn));
            }
            Statement::Move(from, to) if table.contains_key(from) && !table.contains_key(to) => {
                let moved = table.remove(from).unwrap();
                send("d", *from, filled(*from), Json::Null, Some(lsn));
                send("c", *to, Json::Null, row(*to, &moved), Some(lsn));
                table.insert(*to, moved);
            }
            Statement::Truncate => {
                table.clear();
                send("t", 0, Json::Null, Json::Null, Some(lsn));
            }
            Statement::Read => {
                table.iter().for_each(|(key, columns)| send("r", *key, Json::Null, row(*key, columns), None));
            }
            _ => {}
        }
    }
    (table, records)
}

/// The records as partitions hold them: a worker that is killed goes back a while and sends all again.
fn logs(records: &[Record], killed_at: &[(u8, u8)]) -> Vec<Vec<Record>> {
    let mut sent: Vec<Record> = Vec::new();
    let mut kills: Vec<(usize, usize)> =
        killed_at.iter().map(|(at, back)| (usize::from(*at) % (records.len() + 1), usize::from(*back))).collect();
    kills.sort_unstable();
    let mut from = 0;
    for (at, back) in kills {
        sent.extend_from_slice(&records[from.min(at)..at]);
        from = at.saturating_sub(back % 12);
    }
    sent.extend_from_slice(&records[from..]);
    (0..PARTITIONS).map(|number| sent.iter().filter(|record| record.0 == number).cloned().collect()).collect()
}

/// Reads the logs in some order, and gives the graph.
fn project(logs: &[Vec<Record>], order: &[u8], order_by: OrderBy) -> Dump {
    let model = Arc::new(Model::parse(MODEL, "cdc.graphql").unwrap());
    let decoder = Decoder::new(model.clone(), vec![order_by].into(), 1 << 16);
    let rules = vec![DomainRules { order_by, report_gaps: false }];
    let topics = vec![Topic { source: "log".into(), name: TOPIC.into(), domains: [DomainId(0)].into() }];
    // Stamps alone tell what comes again: ids are forgotten at once.
    let mut projector = Projector::new(model, rules.into(), topics.into(), 1);
    for number in 0..PARTITIONS {
        projector.add(
            Partition { topic: TopicId(0), log: LogId(0), origin: LogId(0), number: number as u32, lost: None },
            0,
        );
    }
    let mapping = Mapping::compile(TOPIC, "guest.jq", PROGRAM).unwrap();
    let mut read = [0; PARTITIONS];
    for choice in order.iter().copied().chain(std::iter::repeat(0)) {
        let open: Vec<usize> = (0..PARTITIONS).filter(|number| read[*number] < logs[*number].len()).collect();
        let Some(partition) = open.get(usize::from(choice) % open.len().max(1)).copied() else { break };
        let (_, key, value) = &logs[partition][read[partition]];
        let offset = read[partition] as u64;
        let mut batch = Batch::new(PartitionId::of(partition));
        batch.next_offset = offset + 1;
        let message = message(Some(key.as_bytes()), value.as_ref().map(String::as_bytes), offset);
        match mapping.read(&message).outcome.unwrap_or_else(|refusal| panic!("{refusal:?}")) {
            Outcome::Made(all) => all.iter().for_each(|made| {
                let pushed =
                    batch.push_made(&decoder, &[DomainId(0)], offset, Instant::EPOCH, Some(made.commit), &made.json);
                pushed.unwrap();
            }),
            Outcome::Truncated(truncation) => batch.truncate(offset, Instant::EPOCH, truncation),
            Outcome::Skipped(_) => {}
            Outcome::Event(_) => panic!("no event was sent"),
        }
        projector.apply(&batch, Instant::EPOCH);
        read[partition] += 1;
    }
    let snapshot = projector.publish();
    assert_eq!(snapshot.graph.validate(), Ok(()));
    assert_eq!(snapshot.dead_letters.count(), 0);
    laws::dump(&snapshot.graph, &BTreeSet::new())
}

/// What the graph lists, as the table has it.
fn listed(dump: &Dump) -> BTreeMap<String, BTreeMap<String, String>> {
    let nodes = dump.nodes.iter().filter(|(_, node)| node.listed);
    nodes.map(|((_, key), node)| (key.clone(), node.fields.clone())).collect()
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_graph_is_the_table_however_its_records_come(
        statements in vec(statement(), 1..40),
        kills in vec((any::<u8>(), any::<u8>()), 0..4),
        orders in [vec(any::<u8>(), 0..80), vec(any::<u8>(), 0..80)],
        by_time in any::<bool>(),
    ) {
        let (table, records) = replicate(&statements);
        let once = logs(&records, &[]);
        let again = logs(&records, &kills);
        let order_by = if by_time { OrderBy::Time } else { OrderBy::Position };
        let graph = project(&again, &orders[0], order_by);
        prop_assert_eq!(listed(&graph), listed(&project(&again, &orders[1], order_by)));
        prop_assert_eq!(&graph, &project(&once, &orders[1], order_by));
        let expected: BTreeMap<String, BTreeMap<String, String>> = table
            .iter()
            .map(|(key, (name, note, level))| {
                let fields = [
                    ("name", format!("String({name:?})")),
                    ("note", format!("String({note:?})")),
                    ("level", format!("Int({level})")),
                ];
                (format!("g{key}"), fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            })
            .collect();
        prop_assert_eq!(listed(&graph), expected);
    }

    #[test]
    fn nothing_panics_whatever_comes(value in vec(any::<u8>(), 0..200), key in vec(any::<u8>(), 0..40)) {
        let mapping = Mapping::compile(TOPIC, "guest.jq", PROGRAM).unwrap();
        let _ = mapping.read(&message(Some(&key), Some(&value), 0));
        let _ = outbox(&value);
    }

    /// Recorded messages, damaged.
    #[test]
    fn nothing_panics_on_damaged_messages(choice in any::<u16>(), cuts in vec((any::<u16>(), any::<u8>()), 0..6)) {
        let folder = root("tests/data/cdc");
        let mut paths = Vec::new();
        files(&folder, &mut paths);
        paths.sort();
        let mut bytes = std::fs::read(&paths[usize::from(choice) % paths.len()]).unwrap();
        for (at, byte) in cuts {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let mapping = Mapping::compile(TOPIC, "guest.jq", PROGRAM).unwrap();
        let _ = mapping.read(&message(Some(&bytes), Some(&bytes), 0));
        let _ = outbox(&bytes);
    }
}

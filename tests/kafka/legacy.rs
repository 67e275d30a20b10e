//! The legacy database of examples/legacy, for real: PostgreSQL, Debezium in Kafka Connect, Kafka. Rows in by SQL, the graph
//! out by GraphQL, row for row. What a row should be is asked of the database, in SQL. mariadb.rs has another database.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, until};
use crate::support::{Service, folder, root};
use crate::witness::{Ledger, Observer, Watched};

/// A database of the example's tables.
pub struct Database {
    /// What scripts/legacy calls it.
    pub name: &'static str,
    /// What topics call its schema.
    pub schema: &'static str,
    /// By kind, in SQL: keys `k` of what the graph should list of each table, and what GraphQL says of them as JSON, `node`.
    pub expected: [&'static str; 4],
}

/// What is asked of each kind.
const FIELDS: [(&str, &str); 4] = [
    ("people", "key name email phone country since"),
    ("properties", "key name kind status host { key } neighbourhood location { lat lon } bedrooms sleeps amenities"),
    ("prices", "key property { key } amount { minor currency } unit validFrom validTo minNights status"),
    (
        "reservations",
        "key guest { key } property { key } price { key } checkIn checkOut guests status total { minor currency } channel
         bookedAt cancelledAt",
    ),
];

const POSTGRESQL: Database = Database {
    name: "postgres",
    schema: "public",
    expected: [
        "SELECT 'g-' || gst_no AS k, json_build_object('name', gst_nm, 'email', eml_adr, 'phone', tel_no,
            'country', trim(ctry_cd), 'since', crt_dt::date) AS node FROM gst_mst",
        "SELECT prop_cd AS k, json_build_object('name', prop_nm,
            'kind', CASE typ_cd WHEN 'EH' THEN 'ENTIRE_HOME' WHEN 'PR' THEN 'PRIVATE_ROOM' WHEN 'SR' THEN 'SHARED_ROOM'
                WHEN 'HR' THEN 'HOTEL_ROOM' ELSE 'HOTEL' END,
            'status', CASE sts_fl WHEN 'A' THEN 'LISTED' ELSE 'DELISTED' END,
            'host', CASE WHEN own_gst_no IS NOT NULL THEN json_build_object('key', 'g-' || own_gst_no) END,
            'neighbourhood', area_nm, 'location', json_build_object('lat', lat_deg::float8, 'lon', lon_deg::float8),
            'bedrooms', bdrm_ct, 'sleeps', max_pax, 'amenities', string_to_array(fac_tx, ';')) AS node FROM prop_mst",
        "SELECT rate_no::text AS k, json_build_object('property', json_build_object('key', prop_cd),
            'amount', json_build_object('minor', (amt_nbr * CASE ccy_cd WHEN 'JPY' THEN 1 ELSE 100 END)::bigint, 'currency', ccy_cd),
            'unit', 'NIGHT', 'validFrom', fr_dt, 'validTo', to_dt + 1, 'minNights', min_nt,
            'status', CASE del_fl WHEN 'Y' THEN 'WITHDRAWN' ELSE 'SET' END) AS node FROM rate_cal",
        "SELECT bkng_no AS k, json_build_object('guest', json_build_object('key', 'g-' || gst_no),
            'property', json_build_object('key', prop_cd),
            'price', CASE WHEN rate_no IS NOT NULL THEN json_build_object('key', rate_no::text) END,
            'checkIn', arr_dt, 'checkOut', dep_dt, 'guests', pax_ct,
            'status', CASE sts_cd WHEN '10' THEN 'BOOKED' WHEN '20' THEN 'CONFIRMED' WHEN '30' THEN 'CHECKED_IN'
                WHEN '40' THEN 'COMPLETED' WHEN '90' THEN 'CANCELLED' ELSE 'NO_SHOW' END,
            'total', json_build_object('minor', (tot_amt * CASE ccy_cd WHEN 'JPY' THEN 1 ELSE 100 END)::bigint, 'currency', ccy_cd),
            'channel', chnl_cd,
            'bookedAt', to_char(crt_dt AT TIME ZONE 'Asia/Singapore' AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
            'cancelledAt', to_char(cxl_dt AT TIME ZONE 'Asia/Singapore' AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))
            AS node FROM bkng_hdr",
    ],
};

/// The database, its connector and Kafka; they end with it.
pub struct Legacy {
    database: &'static Database,
    observer: Option<Observer>,
    ledger: Arc<Ledger>,
    folder: TempDir,
    pub brokers: String,
    connect: String,
}

impl Legacy {
    pub fn start(database: &'static Database) -> Legacy {
        let folder = folder();
        let mut command = Command::new(root("scripts/legacy"));
        let output = command.env("DATABASE", database.name).arg("start").arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "it does not start: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let part = |name: &str| {
            let mut lines = said.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(known, _)| *known == name).unwrap().1.to_owned()
        };
        let (brokers, connect, ledger) = (part("brokers"), part("connect"), Arc::default());
        Legacy { database, observer: Some(Observer::start(&brokers, &ledger)), ledger, brokers, connect, folder }
    }

    pub fn sql(&self, text: &str) -> String {
        let mut command = Command::new(root("scripts/legacy"));
        command.arg("sql").arg(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn does(&self, verb: &str, part: &str) {
        let status = Command::new(root("scripts/legacy")).arg(verb).arg(self.folder.path()).arg(part).status().unwrap();
        assert!(status.success(), "{verb} {part}");
    }

    /// Every row of the tables, as the graph should have it.
    fn rows(&self) -> BTreeMap<String, Json> {
        let mut all = BTreeMap::new();
        for ((kind, _), select) in FIELDS.iter().zip(self.database.expected) {
            let text = self.sql(&format!("SELECT concat(k, ' ', node) FROM ({select}) AS listed;"));
            all.extend(text.lines().map(|line| {
                let (key, node) = line.split_once(' ').unwrap();
                (format!("{kind}/{key}"), serde_json::from_str(node).unwrap_or_else(|error| panic!("{error}: {line}")))
            }));
        }
        all
    }

    /// Starts the connector's task again where it has given up, as whoever runs it would.
    fn mend(&self) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let status = agent.get(format!("{}/connectors/legacy/status", self.connect)).call();
        let failed = status.ok().and_then(|mut reply| reply.body_mut().read_to_string().ok());
        if failed.is_some_and(|text| text.contains("FAILED")) {
            let url = format!("{}/connectors/legacy/restart?includeTasks=true&onlyFailed=true", self.connect);
            let _ = agent.post(url).send_empty();
        }
    }

    /// Waits until the graph is the tables.
    pub fn until_same(&self, service: &Service, when: &str) {
        let expected = self.rows();
        until(when, || {
            self.mend();
            let graph = listed(service);
            let differs = expected.keys().chain(graph.keys()).find(|key| expected.get(*key) != graph.get(*key));
            match differs {
                None => Ok(()),
                Some(key) => Err(format!("{key}: {:?} and not {:?}", graph.get(key), expected.get(key))),
            }
        });
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        // Before the brokers that it asks are gone.
        drop(self.observer.take());
        let _ = Command::new(root("scripts/legacy")).arg("stop").arg(self.folder.path()).status();
    }
}

/// Every listed entity with what it says, without its key.
fn listed(service: &Service) -> BTreeMap<String, Json> {
    let mut all = BTreeMap::new();
    for (kind, fields) in FIELDS {
        let mut after = Json::Null;
        loop {
            let query = format!(
                "{{ {kind}(first: 500, after: {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
            );
            let data = service.read(&query, "");
            for node in data[kind]["nodes"].as_array().unwrap() {
                let mut node = node.as_object().unwrap().clone();
                let key = node.remove("key").unwrap();
                all.insert(format!("{kind}/{}", key.as_str().unwrap()), Json::Object(node));
            }
            if data[kind]["pageInfo"]["hasNextPage"] != true {
                break;
            }
            after = data[kind]["pageInfo"]["endCursor"].clone();
        }
    }
    all
}

/// A service with the example's configuration, and its witness.
pub fn serve(data: &std::path::Path, legacy: &Legacy) -> Watched {
    let text = std::fs::read_to_string(root("examples/legacy/staygraph.toml")).unwrap();
    let programs = root("examples/legacy/mappings");
    let text = text
        .replace("127.0.0.1:9092", &legacy.brokers)
        .replace("legacy.public.", &format!("legacy.{}.", legacy.database.schema))
        .replace("model = \"../../model.graphql\"", "")
        .replace("mappings/", &format!("{}/", programs.display()));
    Watched::serve(data, &text, &legacy.ledger)
}

/// Changes a guest and two bookings again and again, in one transaction each time, and looks all the while.
pub fn until_never_half(legacy: &Legacy, service: &Service) {
    const LAST: u64 = 600;
    let round = |number: u64| {
        format!(
            "BEGIN; UPDATE bkng_hdr SET pax_ct = {number} WHERE bkng_no = 'B-00000001';
             UPDATE gst_mst SET gst_nm = 'ROUND {number}' WHERE gst_no = 1002;
             UPDATE bkng_hdr SET pax_ct = {number} WHERE bkng_no = 'B-00000002'; COMMIT;"
        )
    };
    let all: String = (1..=LAST).map(round).collect();
    let query = "{ one: reservation(key: \"B-00000001\") { guests } two: reservation(key: \"B-00000002\") { guests }
        guest: person(key: \"g-1002\") { name } }";
    std::thread::scope(|scope| {
        scope.spawn(|| legacy.sql(&all));
        until("all transactions are seen", || {
            let data = service.read(query, "");
            let number: Option<u64> =
                data["guest"]["name"].as_str().unwrap().strip_prefix("ROUND ").map(|text| text.parse().unwrap());
            let Some(number) = number else { return Err(data.to_string()) };
            let expected = json!({ "guests": number });
            assert!(
                data["one"] == expected && data["two"] == expected,
                "in half: {data} {}",
                service.get("/metrics", &[]).text
            );
            if number == LAST { Ok(()) } else { Err(data.to_string()) }
        });
    });
    let metrics = service.get("/metrics", &[]).text;
    let split: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("staygraph_transactions_split_total{")).collect();
    assert!(!split.is_empty() && split.iter().all(|line| line.ends_with(" 0")), "{split:?}");
}

#[test]
fn the_graph_is_the_tables_whatever_dies() {
    let (legacy, data) = (Legacy::start(&POSTGRESQL), folder());
    let rows = std::fs::read_to_string(root("examples/legacy/rows.sql")).unwrap();
    legacy.sql(&rows);
    let service = serve(data.path(), &legacy);
    legacy.until_same(&service, "the first rows are there");
    // A link to what never existed is a reference, and in no list.
    let query = "{ reservation(key: \"B-00000004\") { guest { key completeness } property { key completeness } } }";
    let expected = json!({ "guest": { "key": "g-9999", "completeness": "REFERENCE" },
        "property": { "key": "XX9999", "completeness": "REFERENCE" } });
    assert_eq!(service.read(query, "")["reservation"], expected);

    // A large value that an update leaves as it is, is not sent.
    legacy.sql(
        "UPDATE prop_mst SET fac_tx = (SELECT string_agg('F-' || md5(i::text), ';' ORDER BY i) FROM generate_series(1, 200) i)
         WHERE prop_cd = 'SG0003';
         UPDATE prop_mst SET prop_nm = 'Bunk in Little India, renamed' WHERE prop_cd = 'SG0003';",
    );
    legacy.until_same(&service, "a large value stays");

    // A transaction over two tables, whose topics have three partitions each, is never seen in half.
    until_never_half(&legacy, &service);

    // A key change is a move; a deletion deletes; what comes back comes back whole.
    legacy.sql(
        "UPDATE gst_mst SET gst_no = 1044 WHERE gst_no = 1004;
         DELETE FROM rate_cal WHERE rate_no = 50002;
         DELETE FROM gst_mst WHERE gst_no = 1003;
         INSERT INTO gst_mst VALUES (1003, 'AISHA RAHMAN II', NULL, NULL, 'MY', 'A', '2024-02-29 01:00:00');",
    );
    legacy.until_same(&service, "rows moved, went and came back");

    // The worker dies in a flood of changes, and repeats some of them.
    let flood = |from: u32| {
        format!(
            "INSERT INTO bkng_hdr SELECT 'F-' || i, 1001 + i % 5, 'SG000' || (1 + i % 4), 50001, date '2024-05-01' + i % 300,
               date '2024-05-03' + i % 300, 1 + i % 4, '10', i * 1.25, 'SGD', 'WEB', timestamp '2024-01-01' + i * interval '1 minute', NULL
             FROM generate_series({from}, {from} + 2999) i;
             UPDATE bkng_hdr SET sts_cd = '20', tot_amt = tot_amt + 1 WHERE bkng_no LIKE 'F-%' AND crt_dt::text LIKE '%5:00';
             DELETE FROM bkng_hdr WHERE bkng_no LIKE 'F-%' AND crt_dt::text LIKE '%7:00';"
        )
    };
    legacy.sql(&flood(1));
    until("the flood comes in", || {
        let count = service.read("{ reservations { totalCount } }", "")["reservations"]["totalCount"].as_u64().unwrap();
        if count > 50 { Ok(()) } else { Err(count.to_string()) }
    });
    legacy.does("kill", "connect");
    legacy.sql(&flood(3001));
    legacy.does("begin", "connect");
    legacy.until_same(&service, "the worker died and came back");

    // The database dies too.
    legacy.sql(&flood(6001));
    legacy.does("kill", "postgres");
    legacy.does("begin", "postgres");
    legacy.sql("UPDATE gst_mst SET eml_adr = 'after@example.org' WHERE gst_no = 1001;");
    legacy.until_same(&service, "the database died and came back");

    // A column is added while all runs; its default makes no events, and nobody has to know it.
    legacy.sql(
        "ALTER TABLE bkng_hdr ADD COLUMN src_cd char(1) DEFAULT 'L';
         UPDATE bkng_hdr SET pax_ct = 9, src_cd = 'N' WHERE bkng_no = 'B-00000001';",
    );
    legacy.until_same(&service, "a column was added");

    // Another service, which reads all from the start, comes to the same.
    let other = folder();
    let replica = serve(other.path(), &legacy);
    legacy.until_same(&replica, "another service reads all");
    let metrics = service.get("/metrics", &[]).text;
    let skipped = metrics.lines().find(|line| line.contains("records_skipped_total") && line.contains("tombstone"));
    assert!(skipped.is_some_and(|line| line.contains("legacy.public.")), "{metrics}");
    let is_dead = |line: &&str| line.starts_with("staygraph_events_dead_total") && !line.ends_with(" 0");
    assert_eq!(metrics.lines().find(is_dead), None);
}

/// What is wrong is a dead letter that names no value; the rest of its record is applied, and nobody waits.
#[test]
fn what_cannot_be_mapped_is_a_dead_letter() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("people", 2)]);
    let program = r#"
        if .after.lv == "Unknown" then error("an unknown level") elif .after.lv == "Odd" then error("odd: \(.after.nm)") else
        { type: "person.registered", subject: "g\(.key.id)", data: { name: .after.nm } },
        (select(.after.lv) | { type: "person.profile-changed", subject: "g\(.key.id)", data: { since: .after.lv } }) end"#;
    std::fs::write(data.path().join("guest.jq"), program).unwrap();
    let service = cluster.serve(
        data.path(),
        "[domains.people]\norder_by = \"position\"\n[[mappings]]\ntopic = \"people\"\nprogram = \"guest.jq\"\n",
    );
    let writer = cluster.writer();
    let row = |lsn: u64, op: &str, level: Json| {
        let source =
            json!({ "connector": "postgresql", "name": "db", "schema": "s", "table": "t", "lsn": lsn, "ts_ms": 1000 });
        json!({ "op": op, "before": null, "after": { "nm": "Ann", "lv": level }, "source": source }).to_string()
    };
    let send = |value: Option<&str>| writer.send_raw("people", Some(0), "{\"id\":1}", value.map(str::as_bytes), &[]);
    let cases = [
        (Some(row(8, "c", "Secret".into())), Some(("BAD_FIELD", json!("data.since"), "guest.jq: "))),
        (Some(row(9, "c", "Unknown".into())), Some(("BAD_FIELD", json!(null), "guest.jq: an unknown level"))),
        (Some(row(10, "c", "Odd".into())), Some(("BAD_FIELD", json!(null), "guest.jq: it fails on this row"))),
        (Some(row(3, "t", Json::Null)), None),
        (Some("{\"op\"".to_owned()), Some(("BAD_JSON", json!(null), "it ends too early"))),
        (Some("[]".to_owned()), Some(("BAD_ENVELOPE", json!(null), "it is neither"))),
        (Some("{\"ts_ms\":1}".to_owned()), None),
        (None, None),
        (Some(row(12, "u", Json::Null)), None),
    ];
    cases.iter().for_each(|(value, _)| send(value.as_deref()));
    writer.flush();
    let query = "{ projection { deadLetters { nodes { code field message offset size } } } person(key: \"g1\") { name lastEvent { offset } } }";
    let data = service.read(query, &cluster.position(&["people"]));
    assert_eq!(data["person"], json!({ "name": "Ann", "lastEvent": { "offset": 8 } }));
    let letters = data["projection"]["deadLetters"]["nodes"].as_array().unwrap();
    let expected = cases.iter().filter_map(|(value, letter)| Some((value.as_ref()?, letter.as_ref()?)));
    let mut told: Vec<&Json> = letters.iter().collect();
    assert_eq!(told.len(), 5, "{letters:?}");
    for (value, (code, field, message)) in expected {
        let place = told.iter().position(|letter| {
            letter["code"] == *code
                && letter["field"] == *field
                && letter["message"].as_str().unwrap().contains(message)
        });
        let letter = told.remove(place.unwrap_or_else(|| panic!("{code} {message}: {told:?}")));
        assert!(
            !letter["message"].as_str().unwrap().contains("Ann")
                && !letter["message"].as_str().unwrap().contains("Secret")
        );
        // The record itself is kept, to be looked at.
        assert!(letter["size"] == value.len(), "{value}: {letter}");
    }
    // What was refused has its repetition too: nothing changes.
    let again = row(8, "c", Json::Null);
    send(Some(&again));
    writer.flush();
    let data = service.read("{ person(key: \"g1\") { name lastEvent { offset } } }", &cluster.position(&["people"]));
    assert_eq!(data["person"], json!({ "name": "Ann", "lastEvent": { "offset": 8 } }));
    // The table is emptied, as another partition tells; a row from before that which comes late stays gone.
    writer.send_raw("people", Some(1), "", Some(row(20, "t", Json::Null).as_bytes()), &[]);
    let late = row(15, "u", Json::Null);
    send(Some(&late));
    writer.flush();
    let query = "{ person(key: \"g1\") { name completeness lastEvent { type } } people { totalCount } }";
    let data = service.read(query, &cluster.position(&["people"]));
    let gone = json!({ "name": null, "completeness": "DELETED", "lastEvent": { "type": "person.deleted" } });
    assert_eq!(data, json!({ "person": gone, "people": { "totalCount": 0 } }));
    let back = row(30, "c", Json::Null);
    send(Some(&back));
    writer.flush();
    let data = service.read(query, &cluster.position(&["people"]));
    // What was refused of it waits still.
    assert_eq!(data["person"]["completeness"], json!("INCOMPLETE"));
}

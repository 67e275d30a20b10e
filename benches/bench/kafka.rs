//! A real broker on this machine: staygraph beside a loop that reads the same records with the same library and only counts
//! them; and how long an event takes to be visible at shares of what staygraph takes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value as Json;
use staygraph::source::kafka::KafkaConfig;

use super::support::{rate, say};
use super::way::{Service, hydrated, visible, write_events};

const TOPICS: [(&str, i32); 3] = [("people", 4), ("properties", 4), ("reservations", 4)];
/// How long each load lasts.
const LOAD: Duration = Duration::from_secs(8);
/// Between a load's guests and homes: a prime, so that it comes to all of them, and to none twice in a row.
const STRIDE: u64 = 7919;

fn script(arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new("scripts/kafka").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("scripts/kafka: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A broker that ends with it.
struct Broker<'a>(&'a Path);

impl Drop for Broker<'_> {
    fn drop(&mut self) {
        script(&["stop".as_ref(), self.0.as_ref()]);
    }
}

fn topic(line: &str) -> &'static str {
    match line {
        _ if line.contains("/services/people") => "people",
        _ if line.contains("/services/properties") => "properties",
        _ => "reservations",
    }
}

fn subject(line: &str) -> &str {
    line.split("\"subject\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

struct Writer(ThreadedProducer<DefaultProducerContext>);

impl Writer {
    fn new(brokers: &str) -> Writer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("linger.ms", "5").set("compression.type", "lz4");
        config.set("queue.buffering.max.messages", "2000000");
        Writer(config.create().unwrap_or_else(|error| panic!("no producer: {error}")))
    }

    fn send(&self, line: &str) {
        self.send_as(line, line.as_bytes());
    }

    fn send_as(&self, line: &str, payload: &[u8]) {
        let mut record = BaseRecord::to(topic(line)).key(subject(line)).payload(payload);
        while let Err((_, back)) = self.0.send(record) {
            // The queue is full: what is in it goes first.
            std::thread::yield_now();
            record = back;
        }
    }

    fn flush(&self) {
        self.0.flush(Duration::from_secs(120)).unwrap_or_else(|error| panic!("not written: {error}"));
    }
}

/// Reads everything and counts it.
fn bare(brokers: &str, records: u64) -> Duration {
    // What staygraph tells the library: by the library's own settings the loop takes a third of this.
    let config = KafkaConfig { brokers: brokers.to_owned(), properties: BTreeMap::new() };
    let consumer: BaseConsumer = config.client_config().create().unwrap_or_else(|error| panic!("no consumer: {error}"));
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in TOPICS {
        for partition in 0..partitions {
            let _ = list.add_partition_offset(topic, partition, Offset::Beginning);
        }
    }
    let started = Instant::now();
    consumer.assign(&list).unwrap_or_else(|error| panic!("not assigned: {error}"));
    let (mut seen, mut bytes) = (0, 0);
    while seen < records {
        if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
            seen += 1;
            bytes += message.payload_len();
        }
    }
    std::hint::black_box(bytes);
    started.elapsed()
}

/// Writes new stays at a steady rate, of all guests in all homes, and gives what came of their visibility.
fn load(writer: &Writer, service: &Service, entities: u64, each_second: u64, round: u64) -> String {
    let counts = |metrics: &str| -> Vec<(String, f64)> {
        let of = |line: &&str| line.starts_with("staygraph_event_visible_seconds_bucket{domain=\"reservations\"");
        let line = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        metrics.lines().filter(of).filter_map(line).collect()
    };
    let before = counts(&service.metrics());
    let (started, mut sent) = (Instant::now(), 0u64);
    while started.elapsed() < LOAD {
        let due = (started.elapsed().as_secs_f64() * each_second as f64) as u64;
        while sent < due {
            let stay = format!("load-{round}-{sent}");
            writer.send(&format!(
                r#"{{"specversion":"1.0","id":"{stay}","source":"/services/reservations","subject":"{stay}","sequence":1,"time":"2024-03-05T10:11:12Z","type":"reservation.booked","data":{{"guestId":"person-{}","propertyId":"home-{}","checkIn":"2024-05-01","checkOut":"2024-05-04"}}}}"#,
                sent * STRIDE % (entities / 10),
                sent * STRIDE % (entities / 20),
            ));
            sent += 1;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    writer.flush();
    let all = |metrics: &str| counts(metrics).last().map_or(0.0, |(_, count)| *count);
    let first = before.last().map_or(0.0, |(_, count)| *count);
    let deadline = Instant::now();
    let mut metrics = service.metrics();
    while all(&metrics) - first < sent as f64 && deadline.elapsed() < Duration::from_secs(60) {
        std::thread::park_timeout(Duration::from_millis(20));
        metrics = service.metrics();
    }
    let after = counts(&metrics);
    let own: String = after
        .iter()
        .map(|(name, count)| {
            let known = before.iter().find(|(known, _)| known == name).map_or(0.0, |(_, count)| *count);
            format!("{name} {}\n", count - known)
        })
        .collect();
    let shares = [0.5, 0.99, 0.999].map(|share| visible(&own, share));
    format!(
        "p50 ≤ {} s, p99 ≤ {} s, p99.9 ≤ {} s at {:.0} k/s",
        shares[0],
        shares[1],
        shares[2],
        sent as f64 / LOAD.as_secs_f64() / 1000.0
    )
}

/// Writes Avro in Confluent's wire format: each shape of event is a schema of its own.
#[derive(Default)]
struct Avro {
    /// By id, from 1.
    schemas: Vec<String>,
}

impl Avro {
    fn write(&mut self, line: &str) -> Vec<u8> {
        let event: Json = serde_json::from_str(line).unwrap_or_default();
        let mut names = 0;
        let schema = schema_of(&event, &mut names).to_string();
        let known = self.schemas.iter().position(|known| *known == schema);
        let id = known.unwrap_or_else(|| {
            self.schemas.push(schema);
            self.schemas.len() - 1
        });
        let mut out = vec![0];
        out.extend((id as u32 + 1).to_be_bytes());
        encode(&event, &mut out);
        out
    }

    /// Tells the schemas over HTTP, as a registry does. Gives its address.
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no registry: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no registry: {error}"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Ok(reading) = stream.try_clone() else { continue };
                let mut lines = BufReader::new(reading).lines().map_while(Result::ok);
                let path = lines.next().unwrap_or_default();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let id =
                    path.split("/ids/").nth(1).and_then(|rest| rest.split([' ', '?']).next()?.parse::<usize>().ok());
                let schema = id.and_then(|id| self.schemas.get(id.checked_sub(1)?));
                let body = serde_json::json!({ "schema": schema }).to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        format!("http://{address}")
    }
}

fn schema_of(value: &Json, names: &mut u32) -> Json {
    match value {
        Json::Object(members) => {
            *names += 1;
            let name = format!("R{names}");
            let field =
                |(name, value): (&String, &Json)| serde_json::json!({ "name": name, "type": schema_of(value, names) });
            let fields: Vec<Json> = members.iter().map(field).collect();
            serde_json::json!({ "type": "record", "name": name, "fields": fields })
        }
        Json::Number(number) if number.is_f64() => "double".into(),
        Json::Number(_) => "long".into(),
        _ => "string".into(),
    }
}

fn encode(value: &Json, out: &mut Vec<u8>) {
    let long = |out: &mut Vec<u8>, value: i64| {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    };
    match value {
        Json::Object(members) => members.values().for_each(|value| encode(value, out)),
        Json::Number(number) if number.is_f64() => out.extend(number.as_f64().unwrap_or(0.0).to_le_bytes()),
        Json::Number(number) => long(out, number.as_i64().unwrap_or(0)),
        other => {
            let text = other.as_str().unwrap_or_default();
            long(out, text.len() as i64);
            out.extend(text.as_bytes());
        }
    }
}

pub fn run(entities: u64) {
    measure(entities, false);
    measure(entities, true);
}

fn measure(entities: u64, is_avro: bool) {
    let encoding = if is_avro { "Avro" } else { "JSON" };
    println!("\n== Kafka: {} events over {entities} entities of the shipped model, {encoding}", 2 * entities);
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let (lines, nodes) = (folder.path().join("events.ndjson"), folder.path().join("kafka"));
    write_events(&lines, entities).unwrap_or_else(|error| panic!("the events cannot be written: {error}"));
    let brokers = script(&["start".as_ref(), nodes.as_ref()]);
    let _broker = Broker(&nodes);
    for (topic, partitions) in TOPICS {
        let class = "org.apache.kafka.tools.TopicCommand";
        let partitions = partitions.to_string();
        // By the broker's clock, so that what waits in the producer does not count.
        let append_time = "message.timestamp.type=LogAppendTime";
        let arguments = ["--create", "--topic", topic, "--partitions", &partitions, "--config", append_time];
        let mut all: Vec<&std::ffi::OsStr> = vec!["run".as_ref(), nodes.as_ref(), class.as_ref()];
        all.extend(arguments.map(std::ffi::OsStr::new));
        script(&all);
    }
    let writer = Writer::new(&brokers);
    let file = std::fs::File::open(&lines).unwrap_or_else(|error| panic!("no events: {error}"));
    let mut avro = Avro::default();
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        if is_avro { writer.send_as(&line, &avro.write(&line)) } else { writer.send(&line) }
    }
    writer.flush();
    let records = 2 * entities;
    let alone = bare(&brokers, records);
    say("a loop that only counts", &rate(records as usize, alone));
    let config = folder.path().join("staygraph.toml");
    let mut text = format!("[sources.main]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\n");
    if is_avro {
        text += &format!("schema_registry = \"{}\"\n", avro.serve());
        TOPICS.iter().for_each(|(topic, _)| text += &format!("[domains.{topic}]\nencoding = \"avro\"\n"));
    }
    std::fs::write(&config, text).unwrap_or_else(|error| panic!("no configuration: {error}"));
    let service = Service::start(&folder.path().join("data"), &["--config", config.to_str().unwrap_or_default()]);
    let took = hydrated(&service);
    let share = alone.as_secs_f64() / took.as_secs_f64() * 100.0;
    say("staygraph: log to visible", &format!("{}, {share:.0} % of it", rate(records as usize, took)));
    let again = bare(&brokers, records);
    say("the loop again", &rate(records as usize, again));
    if is_avro {
        return;
    }
    let most = records as f64 / took.as_secs_f64();
    for (round, (name, share)) in [("a tenth", 0.1), ("half", 0.5), ("nine tenths", 0.9)].into_iter().enumerate() {
        let said = load(&writer, &service, entities, (most * share) as u64, round as u64);
        say(&format!("append to visible at {name} of that"), &said);
    }
}

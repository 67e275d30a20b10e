//! The whole way: bytes in the embedded log until a version holds them, by the program itself, beside Python's `json.loads`
//! over the same lines; and how long an event takes to be visible while others flood in.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::support::{Numbers, say};

pub const BINARY: &str = env!("CARGO_BIN_EXE_staygraph");
const READY_SECONDS_MAX: u64 = 300;

/// Two events each for so many entities of the shipped model: mostly stays, of guests in homes that are there too.
pub fn write_events(path: &Path, entities: u64) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut numbers = Numbers(7);
    let (people, homes) = (entities / 10, entities / 20);
    let stays = entities - people - homes;
    let head = |kind: &str, id: u64, subject: &str, sequence: u8| {
        format!(
            r#"{{"specversion":"1.0","id":"{id:016x}","source":"/services/{kind}","subject":"{subject}","sequence":{sequence},"time":"2024-03-05T10:11:12Z","#
        )
    };
    for number in 0..people {
        let head = head("people", numbers.next(), &format!("person-{number}"), 1);
        writeln!(
            out,
            r#"{head}"type":"person.registered","data":{{"name":"Anna Maria Fernandez {number}","country":"SG","since":"2019-04-{:02}","provenance":"SYNTHETIC"}}}}"#,
            1 + number % 28
        )?;
    }
    for number in 0..homes {
        let head = head("properties", numbers.next(), &format!("home-{number}"), 1);
        writeln!(
            out,
            r#"{head}"type":"property.listed","data":{{"name":"Charming loft by the river {number}","kind":"ENTIRE_HOME","city":"Singapore","neighbourhood":"District {}","country":"SG","sleeps":4,"hostId":"person-{}","location":{{"lat":1.3{:03},"lon":103.8{:03}}}}}}}"#,
            number % 40,
            numbers.below(people),
            numbers.below(1000),
            numbers.below(1000)
        )?;
    }
    for number in 0..stays {
        let head = head("reservations", numbers.next(), &format!("stay-{number}"), 1);
        let day = 1 + numbers.below(20);
        writeln!(
            out,
            r#"{head}"type":"reservation.booked","data":{{"guestId":"person-{}","propertyId":"home-{}","checkIn":"2024-0{}-{day:02}","checkOut":"2024-0{}-{:02}","guests":2,"total":{{"minor":{},"currency":"SGD"}},"channel":"direct"}}}}"#,
            numbers.below(people),
            numbers.below(homes),
            1 + number % 9,
            1 + number % 9,
            day + 1 + numbers.below(7),
            numbers.below(200_000)
        )?;
    }
    for number in 0..entities {
        let (kind, subject, event, data) = if number < people {
            ("people", format!("person-{number}"), "person.profile-changed", r#"{"email":"someone@example.org"}"#)
        } else if number < people + homes {
            ("properties", format!("home-{}", number - people), "property.details-changed", r#"{"bedrooms":2}"#)
        } else {
            ("reservations", format!("stay-{}", number - people - homes), "reservation.confirmed", "{}")
        };
        let head = head(kind, numbers.next(), &subject, 2);
        writeln!(out, r#"{head}"type":"{event}","data":{data}}}"#)?;
    }
    out.flush()
}

/// Events a second by `json.loads`; none where there is no Python.
fn python(path: &Path) -> Option<f64> {
    let program = "import json,sys,time\nlines=open(sys.argv[1],'rb').read().splitlines()\nt=time.time()\nfor line in lines: json.loads(line)\nprint(len(lines)/(time.time()-t))";
    let output = Command::new("python3").args(["-c", program]).arg(path).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

pub struct Service {
    child: Child,
    url: String,
}

impl Service {
    pub fn start(data: &Path, more: &[&str]) -> Service {
        Service::run(data, &[&["serve", "--model", "model.graphql"], more].concat())
    }

    /// Runs one of the program's commands that serve.
    pub fn run(data: &Path, arguments: &[&str]) -> Service {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{BINARY}: {error}"));
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            panic!("the service has no output")
        };
        let (found, url) = std::sync::mpsc::channel();
        for output in [Box::new(stdout) as Box<dyn std::io::Read + Send>, Box::new(stderr)] {
            let found = found.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some(start) = line.find("http://127.0.0.1:") {
                        let rest = &line[start..];
                        let end =
                            rest[17..].find(|letter: char| !letter.is_ascii_digit()).map_or(rest.len(), |end| end + 17);
                        let _ = found.send(rest[..end].to_owned());
                    }
                }
            });
        }
        let url = url
            .recv_timeout(Duration::from_secs(30))
            .unwrap_or_else(|_| panic!("the service does not say where it is"));
        Service { child, url }
    }

    pub fn ask(&self, query: &str) -> Json {
        let body = serde_json::json!({ "query": query });
        let answer = ureq::post(format!("{}/graphql", self.url)).send_json(&body);
        answer.ok().and_then(|mut answer| answer.body_mut().read_json().ok()).unwrap_or_default()
    }

    /// Posts events and gives the receipt.
    pub fn post(&self, media_type: &str, body: &str) -> String {
        let answer = ureq::post(format!("{}/events", self.url)).content_type(media_type).send(body);
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        text.unwrap_or_else(|error| panic!("the events were refused: {error}"))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn metrics(&self) -> String {
        let metrics = ureq::get(format!("{}/metrics", self.url)).call().ok();
        metrics.and_then(|mut answer| answer.body_mut().read_to_string().ok()).unwrap_or_default()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the program says that it is ready. Gives how long that took from its own start.
pub fn hydrated(service: &Service) -> Duration {
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(READY_SECONDS_MAX) {
        let answer = service.ask("{ projection { startedAt readyAt eventsApplied } }");
        let at = |name: &str| {
            answer["data"]["projection"][name]
                .as_str()
                .and_then(|text| staygraph::model::value::Instant::parse(text).ok())
        };
        if let (Some(started), Some(ready)) = (at("startedAt"), at("readyAt")) {
            return Duration::from_micros((ready.micros() - started.micros()) as u64);
        }
        // Its own clock says when it was; who asks all the time takes a core from it.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    panic!("the service is not ready after {READY_SECONDS_MAX} s");
}

/// Appends lines to a log at rest.
pub fn append(lines: &Path, data: &Path) {
    let status = Command::new(BINARY)
        .arg("append")
        .arg(lines)
        .args(["--model", "model.graphql", "--data"])
        .arg(data)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the events cannot be appended");
}

/// Posts batches for some seconds and gives how many events a second were taken.
pub fn flood(service: &Service, seconds: u64) -> f64 {
    let (mut numbers, started, mut events) = (Numbers(3), Instant::now(), 0u64);
    while started.elapsed() < Duration::from_secs(seconds) {
        let mut body = String::new();
        for _ in 0..500 {
            let stay = format!("flood-{:x}", numbers.next());
            body += &format!(
                r#"{{"specversion":"1.0","id":"{stay}","source":"/services/reservations","subject":"{stay}","sequence":1,"time":"2024-03-05T10:11:12Z","type":"reservation.booked","data":{{"guestId":"person-{}","propertyId":"home-{}","checkIn":"2024-05-01","checkOut":"2024-05-04"}}}}"#,
                numbers.below(1000),
                numbers.below(1000),
            );
            body.push('\n');
            events += 1;
        }
        service.post("application/x-ndjson", &body);
    }
    events as f64 / started.elapsed().as_secs_f64()
}

/// The least bound of the histogram below which a share of the events became visible, in seconds.
pub fn visible(metrics: &str, share: f64) -> String {
    let of = |line: &str| line.starts_with("staygraph_event_visible_seconds_bucket{domain=\"reservations\"");
    let buckets: Vec<(String, f64)> = metrics
        .lines()
        .filter(|line| of(line))
        .filter_map(|line| {
            let bound = line.split("le=\"").nth(1)?.split('"').next()?.to_owned();
            Some((bound, line.rsplit(' ').next()?.parse().ok()?))
        })
        .collect();
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.into_iter().find(|(_, count)| *count >= all * share).map_or_else(|| "?".into(), |(bound, _)| bound)
}

pub fn run(entities: u64) {
    println!("\n== the whole way: {} events over {entities} entities of the shipped model", 2 * entities);
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let (lines, data) = (folder.path().join("events.ndjson"), folder.path().join("data"));
    write_events(&lines, entities).unwrap_or_else(|error| panic!("the events cannot be written: {error}"));
    let bytes = std::fs::metadata(&lines).map_or(0, |metadata| metadata.len());
    say("bytes an event", &format!("{}", bytes / (2 * entities)));
    let started = Instant::now();
    append(&lines, &data);
    say(
        "judged and appended to a log at rest",
        &format!("{:.0} k/s", 2.0 * entities as f64 / started.elapsed().as_secs_f64() / 1000.0),
    );
    let loads = python(&lines);
    say(
        "Python's json.loads, the same lines",
        &loads.map_or("no Python here".into(), |rate| format!("{:.0} k/s", rate / 1000.0)),
    );
    let service = Service::start(&data, &[]);
    let took = hydrated(&service);
    let rate = 2.0 * entities as f64 / took.as_secs_f64();
    let times = loads.map_or(String::new(), |loads| format!(", {:.1} times json.loads", rate / loads));
    say("log to visible", &format!("{took:.2?}: {:.0} k/s{times}", rate / 1000.0));
    say("resident memory of the process", &format!("{} bytes an entity", service.resident() / entities));
    let taken = flood(&service, 5);
    let metrics = service.metrics();
    let shares = [0.5, 0.99, 0.999].map(|share| visible(&metrics, share));
    say(
        "append to visible while 500 at once flood in",
        &format!("p50 ≤ {} s, p99 ≤ {} s, p99.9 ≤ {} s at {:.0} k/s", shares[0], shares[1], shares[2], taken / 1000.0),
    );
}

//! The longest publication while others do their worst: requests that wait for what never comes, sorts without an index, and
//! records that cannot be read, beside events without a pause, over the demo's data.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::support::say;
use super::way::{Service, hydrated, visible};

const WAITERS: usize = 100;
const SORTS: usize = 40;
const EVENTS_A_BODY: usize = 500;
/// Stays that the events are of.
const STAYS: u64 = 20_000;
/// Between two bodies of stays; poison comes without a pause.
const PAUSE: Duration = Duration::from_millis(20);
const LINES: &str = "application/x-ndjson";
/// A topic of whose records none can be read: they are JSON, and it is Avro that is expected.
const POISONED: &str = "[sources.main]\nkind = \"log\"\nschema_registry = \"http://127.0.0.1:1\"\n\
                        [domains.prices]\nencoding = \"avro\"\n";

/// How many publications took no longer than each bound, in seconds, and how many there were.
fn publications(metrics: &str) -> Vec<(String, f64)> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("staygraph_publish_seconds_bucket{le=\""));
    let bucket = |line: &str| Some((line.split('"').next()?.to_owned(), line.rsplit(' ').next()?.parse().ok()?));
    lines.filter_map(bucket).collect()
}

/// The least bound that a share of what came between two looks keeps.
fn bound(before: &[(String, f64)], after: &[(String, f64)], share: f64) -> String {
    let counts: Vec<f64> = after.iter().zip(before).map(|((_, after), (_, before))| after - before).collect();
    let all = counts.last().copied().unwrap_or(0.0);
    let place = counts.iter().position(|count| *count >= all * share);
    place.map_or_else(|| "?".into(), |place| after[place].0.clone())
}

/// Events one after another.
struct Stream {
    kind: &'static str,
    source: &'static str,
    data: &'static str,
    count: u64,
}

impl Stream {
    /// Changes of stays that are there, over and over, so that there are no more of them at the end.
    fn stays() -> Stream {
        let data = r#"{"guestId":"crowd","checkIn":"2024-05-01","checkOut":"2024-05-04"}"#;
        Stream { kind: "reservation.booked", source: "reservations", data, count: 0 }
    }

    /// Prices, which nobody can read.
    fn poison() -> Stream {
        let data = r#"{"amount":{"minor":100,"currency":"SGD"}}"#;
        Stream { kind: "price.set", source: "prices", data, count: 0 }
    }

    fn body(&mut self) -> String {
        let Stream { kind, source, data, count } = self;
        let mut body = String::new();
        for _ in 0..EVENTS_A_BODY {
            let (subject, version) = (*count % STAYS, 1 + *count / STAYS);
            body += &format!(
                r#"{{"specversion":"1.0","id":"{count}","source":"/services/{source}","subject":"crowd-{subject}","sequence":{version},"time":"2024-03-05T10:11:12Z","type":"{kind}","data":{data}}}"#,
            );
            body.push('\n');
            *count += 1;
        }
        body
    }
}

/// Asks as one does who takes no refusal: whatever the answer, the same again. Gives whether it was an answer.
fn ask(agent: &ureq::Agent, url: &str, query: &str, headers: &[(&str, &str)]) -> bool {
    let mut request = agent.post(format!("{url}/graphql"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let sent = request.send_json(serde_json::json!({ "query": query }));
    sent.is_ok_and(|mut answer| answer.body_mut().read_to_vec().is_ok() && answer.status() == 200)
}

/// Begins a log with the demo's data.
fn begin(data: &Path) {
    let service = Service::run(data, &["demo", "--no-trickle"]);
    hydrated(&service);
}

pub fn run(seconds: u64) {
    println!("\n== a crowd: {WAITERS} waiters, {SORTS} sorts, poison and events for {seconds} s, over the demo's data");
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let (data, config) = (folder.path().join("data"), folder.path().join("staygraph.toml"));
    begin(&data);
    std::fs::write(&config, POISONED).unwrap_or_else(|error| panic!("no configuration: {error}"));
    let service = Service::start(&data, &["--config", &config.to_string_lossy()]);
    hydrated(&service);
    let mut stays = Stream::stays();
    let alone = quiet(&service, &mut stays, seconds / 3);
    let (is_over, sorted, posted, poisoned) = (AtomicBool::new(false), count(), count(), count());
    let before = publications(&service.metrics());
    std::thread::scope(|scope| {
        let goes_on = || !is_over.load(Ordering::Relaxed);
        let agent = || -> ureq::Agent {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_secs(40)))
                .build()
                .into()
        };
        let url = service.url();
        for _ in 0..WAITERS {
            scope.spawn(move || {
                let agent = agent();
                let never = [
                    ("freshness-at-least", "reservations/0@9000000000"),
                    ("freshness-wait", "1s"),
                    ("freshness-otherwise", "fail"),
                ];
                while goes_on() {
                    ask(&agent, url, "{ reservations(first: 1) { totalCount } }", &never);
                }
            });
        }
        for _ in 0..SORTS {
            let sorted = &sorted;
            scope.spawn(move || {
                let agent = agent();
                let sort =
                    "{ reservations(first: 50, orderBy: [{ nights: DESC }, { guests: ASC }]) { nodes { key } } }";
                while goes_on() {
                    sorted.fetch_add(u64::from(ask(&agent, url, sort, &[])), Ordering::Relaxed);
                }
            });
        }
        let streams = [(stays, &posted, PAUSE), (Stream::poison(), &poisoned, Duration::ZERO)];
        for (mut stream, told, pause) in streams {
            let service = &service;
            scope.spawn(move || {
                while goes_on() {
                    service.post(LINES, &stream.body());
                    told.fetch_add(EVENTS_A_BODY as u64, Ordering::Relaxed);
                    std::thread::park_timeout(pause);
                }
            });
        }
        std::thread::park_timeout(Duration::from_secs(seconds));
        is_over.store(true, Ordering::Relaxed);
    });
    let metrics = service.metrics();
    let after = publications(&metrics);
    let all = after.last().map_or(0.0, |(_, count)| *count) - before.last().map_or(0.0, |(_, count)| *count);
    say("longest publication, events alone", &format!("≤ {alone} s"));
    say("longest publication in the crowd", &format!("≤ {} s of {all:.0}", bound(&before, &after, 1.0)));
    say("p50, p99 of them", &format!("≤ {} s, ≤ {} s", bound(&before, &after, 0.5), bound(&before, &after, 0.99)));
    let rate = |told: AtomicU64| told.into_inner() / seconds;
    let (sorted, posted, poisoned) = (rate(sorted), rate(posted), rate(poisoned));
    say("each second", &format!("{sorted} sorts, {posted} events, {poisoned} that cannot be read"));
    say("requests by outcome", &outcomes(&metrics));
    say("append to visible, p99", &format!("≤ {} s", visible(&metrics, 0.99)));
}

/// How the GraphQL requests ended, all waiters' and sorts' together.
fn outcomes(metrics: &str) -> String {
    let counts = metrics.lines().filter_map(|line| line.strip_prefix("staygraph_query_seconds_count{outcome=\""));
    counts.map(|line| line.replace("\"}", "")).collect::<Vec<_>>().join(", ")
}

fn count() -> AtomicU64 {
    AtomicU64::new(0)
}

/// The longest publication while nothing but events comes.
fn quiet(service: &Service, stays: &mut Stream, seconds: u64) -> String {
    let (before, started) = (publications(&service.metrics()), Instant::now());
    while started.elapsed() < Duration::from_secs(seconds) {
        service.post(LINES, &stays.body());
        std::thread::park_timeout(PAUSE);
    }
    bound(&before, &publications(&service.metrics()), 1.0)
}

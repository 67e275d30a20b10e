//! The longest publication while others do their worst: requests that wait for what never comes, sorts without an index, and
//! records that cannot be read, beside events without a pause, over the demo's data.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::support::{Numbers, say};
use super::way::{Service, hydrated, visible};

const WAITERS: usize = 100;
const SORTS: usize = 40;
const EVENTS_A_BODY: usize = 500;
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

/// Events of a kind: stays that are booked, or prices, which nobody can read.
fn body(numbers: &mut Numbers, kind: &str) -> String {
    let mut body = String::new();
    for _ in 0..EVENTS_A_BODY {
        let id = format!("crowd-{:x}", numbers.next());
        let (source, data) = match kind {
            "price.set" => ("prices", r#"{"amount":{"minor":100,"currency":"SGD"}}"#.to_owned()),
            _ => {
                let guest = numbers.below(30_000);
                (
                    "reservations",
                    format!(r#"{{"guestId":"crowd-{guest}","checkIn":"2024-05-01","checkOut":"2024-05-04"}}"#),
                )
            }
        };
        body += &format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/services/{source}","subject":"{id}","sequence":1,"time":"2024-03-05T10:11:12Z","type":"{kind}","data":{data}}}"#,
        );
        body.push('\n');
    }
    body
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
    let alone = quiet(&service, seconds / 3);
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
                let never = [("freshness-at-least", "people/0@9000000000000000"), ("freshness-wait", "1s")];
                while goes_on() {
                    ask(&agent, url, "{ people(first: 1) { totalCount } }", &never);
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
        for (kind, told, seed) in [("reservation.booked", &posted, 3), ("price.set", &poisoned, 5)] {
            let service = &service;
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                while goes_on() {
                    service.post(LINES, &body(&mut numbers, kind));
                    told.fetch_add(EVENTS_A_BODY as u64, Ordering::Relaxed);
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
    say("append to visible, p99", &format!("≤ {} s", visible(&metrics, 0.99)));
}

fn count() -> AtomicU64 {
    AtomicU64::new(0)
}

/// The longest publication while nothing but events comes.
fn quiet(service: &Service, seconds: u64) -> String {
    let (before, started, mut numbers) = (publications(&service.metrics()), Instant::now(), Numbers(9));
    while started.elapsed() < Duration::from_secs(seconds) {
        service.post(LINES, &body(&mut numbers, "reservation.booked"));
    }
    bound(&before, &publications(&service.metrics()), 1.0)
}

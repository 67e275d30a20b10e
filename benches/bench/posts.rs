//! `POST /events`, from body to visible: the service's processor time an event, by its threads. The client is another process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::support::say;
use super::way::{Service, write_events};

const EVENTS_A_BODY: usize = 1000;
const RUNS: usize = 5;
/// What the kernel counts processor time in (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of processor time, user and system, of a process or thread; its name.
pub fn spent(stat: &Path) -> Option<(String, f64)> {
    let text = std::fs::read_to_string(stat).ok()?;
    // The name stands in parentheses, and may hold anything.
    let (head, rest) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let ticks = |field: usize| rest.split_whitespace().nth(field)?.parse::<f64>().ok();
    Some((name, (ticks(11)? + ticks(12)?) / TICKS_A_SECOND))
}

/// The same by the name of the threads that live.
fn threads(process: u32) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for (name, seconds) in tasks.filter_map(|task| spent(&task.path().join("stat"))) {
        *all.entry(name).or_insert(0.0) += seconds;
    }
    all
}

struct Run {
    micros: f64,
    rate: f64,
    threads: BTreeMap<String, f64>,
}

/// Posts all bodies to a new service, one after another over one connection, and waits until a version holds them.
fn once(bodies: &[String], media_type: &str, events: u64) -> Run {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let service = Service::start(folder.path(), &[]);
    let process = service.id();
    let whole = Path::new("/proc").join(process.to_string()).join("stat");
    let cpu = || spent(&whole).map_or(f64::NAN, |(_, seconds)| seconds);
    let (before, started) = (cpu(), Instant::now());
    for body in bodies {
        let answer = service.post(media_type, body);
        assert!(answer.contains(&format!("\"accepted\":{EVENTS_A_BODY},")), "not all were taken: {answer:.300}");
    }
    while !service.metrics().lines().filter_map(applied).sum::<f64>().ge(&(events as f64)) {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let (took, spent) = (started.elapsed().as_secs_f64(), cpu() - before);
    let threads = threads(process).into_iter().map(|(name, seconds)| (name, seconds * 1e6 / events as f64)).collect();
    Run { micros: spent * 1e6 / events as f64, rate: events as f64 / took, threads }
}

fn applied(line: &str) -> Option<f64> {
    line.strip_prefix("staygraph_events_applied_total")?.rsplit(' ').next()?.parse().ok()
}

pub fn run(events: u64) {
    println!("\n== POST /events: {events} events, {EVENTS_A_BODY} a body, to the real binary and its log");
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let path = folder.path().join("events.ndjson");
    write_events(&path, events / 2).unwrap_or_else(|error| panic!("the events cannot be written: {error}"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let bodies = |form: &dyn Fn(&[&str]) -> String| lines.chunks_exact(EVENTS_A_BODY).map(form).collect::<Vec<_>>();
    let shapes = [
        ("application/x-ndjson", bodies(&|lines| lines.join("\n"))),
        ("application/cloudevents-batch+json", bodies(&|lines| format!("[{}]", lines.join(",")))),
    ];
    for (media_type, bodies) in &shapes {
        let mut runs: Vec<Run> = (0..RUNS).map(|_| once(bodies, media_type, events)).collect();
        runs.sort_by(|one, other| one.micros.total_cmp(&other.micros));
        let (least, most) = (runs[0].micros, runs[RUNS - 1].micros);
        let middle = &runs[RUNS / 2];
        let figures = format!("{:.1} µs of processor time an event ({least:.1} to {most:.1})", middle.micros);
        say(media_type, &format!("{figures}, {:.0} k events/s", middle.rate / 1000.0));
        let parts = middle.threads.iter().filter(|(_, micros)| **micros >= 0.05);
        let parts: Vec<String> = parts.map(|(name, micros)| format!("{name} {micros:.1}")).collect();
        say("  of it by thread", &parts.join(", "));
    }
}

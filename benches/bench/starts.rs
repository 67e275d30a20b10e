//! Time to ready, from the log and from a checkpoint, of the same data; what a checkpoint costs, alone and beside ingest. By the
//! program itself. `cargo bench -- starts 5000000`; the demo's data come first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::support::say;
use super::way::{Service, append, flood, write_events};

const READY_SECONDS_MAX: u64 = 600;
/// How long ingest is measured.
const FLOOD_SECONDS: u64 = 5;

/// From the start of the process until it says that it is ready.
fn ready(start: impl FnOnce() -> Service) -> (Service, Duration) {
    let began = Instant::now();
    let service = start();
    while began.elapsed() < Duration::from_secs(READY_SECONDS_MAX) {
        if service.ask("{ projection { readyAt } }")["data"]["projection"]["readyAt"].is_string() {
            return (service, began.elapsed());
        }
        // Who asks all the time takes a core from it.
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the service is not ready after {READY_SECONDS_MAX} s");
}

fn gauge(service: &Service, name: &str) -> f64 {
    let metrics = service.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(f64::NAN)
}

fn checkpoint(service: &Service) {
    let answer = ureq::post(format!("{}/projection/checkpoints", service.url())).send_empty();
    answer.unwrap_or_else(|error| panic!("no checkpoint: {error}"));
}

fn digest(service: &Service) -> Json {
    service.ask("{ projection { digest { value } } }")["data"].clone()
}

fn measure(entities: u64, start: impl Fn(&[&str]) -> Service) {
    let (service, from_log) = ready(|| start(&[]));
    say("ready, from the log", &format!("{from_log:.2?}"));
    checkpoint(&service);
    let (seconds, bytes) =
        (gauge(&service, "staygraph_checkpoint_seconds "), gauge(&service, "staygraph_checkpoint_bytes "));
    say(
        "a checkpoint",
        &format!(
            "{seconds:.2} s, {:.2} µs an entity; {:.0} bytes an entity on disk",
            seconds * 1e6 / entities as f64,
            bytes / entities as f64
        ),
    );
    let before = digest(&service);
    drop(service);
    let (service, from_checkpoint) = ready(|| start(&[]));
    let times = from_log.as_secs_f64() / from_checkpoint.as_secs_f64();
    say("ready, from the checkpoint", &format!("{from_checkpoint:.2?}: {times:.1} times faster"));
    // Of five million it takes about as long as a query may.
    let after = digest(&service);
    assert!(before.is_null() || after.is_null() || after == before, "the same graph: {before} {after}");
    let alone = flood(&service, FLOOD_SECONDS);
    let stop = AtomicBool::new(false);
    let (beside, taken) = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let mut taken = 0;
            while !stop.load(Ordering::Relaxed) {
                checkpoint(&service);
                taken += 1;
            }
            taken
        });
        let beside = flood(&service, FLOOD_SECONDS);
        stop.store(true, Ordering::Relaxed);
        (beside, taking.join().unwrap_or_default())
    });
    say(
        "ingest while checkpoints are taken all the time",
        &format!(
            "{:.0} k/s, {:.0} % of {:.0} k/s alone; {taken} of them",
            beside / 1e3,
            beside / alone * 100.0,
            alone / 1e3
        ),
    );
}

pub fn run(entities: u64) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    println!("\n== starts: the demo, 279,339 entities of 398,729 events");
    let demo = folder.path().join("demo");
    // The first run brings the data into the log.
    drop(ready(|| Service::run(&demo, &["demo", "--no-trickle"])));
    let _ = std::fs::remove_dir_all(demo.join("checkpoints"));
    measure(279_339, |more| Service::run(&demo, &[&["demo", "--no-trickle"], more].concat()));

    println!("\n== starts: {} events over {entities} entities of the shipped model", 2 * entities);
    let (lines, data) = (folder.path().join("events.ndjson"), folder.path().join("data"));
    write_events(&lines, entities).unwrap_or_else(|error| panic!("the events cannot be written: {error}"));
    append(&lines, &data);
    let _ = std::fs::remove_file(&lines);
    measure(entities, |more| Service::start(&data, more));
}

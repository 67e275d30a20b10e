//! Starts that are cut off, signals in the first seconds, threads that die, and folders that are somebody else's: nothing is
//! lost, nothing is removed that was not made here, and every stop has an end.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::clock;
use staygraph::source::log::Log;

use crate::support::{BINARY, Service, append, event, folder, root, run};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// How long nothing changes once a start is over.
const QUIET: Duration = Duration::from_secs(2);

fn since(tick: Duration) -> Duration {
    clock::tick().saturating_sub(tick)
}

fn command(what: &str, data: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg(what).arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    if what == "serve" {
        command.arg("--model").arg(root("model.graphql"));
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Every file below a folder with its bytes; folders and links with what they are.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            all.extend(tree(&path));
            all.insert(path, b"folder".to_vec());
        } else if kind.is_symlink() {
            all.insert(path, b"link".to_vec());
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// What one sees of a folder that somebody is filling: names and lengths.
fn looks(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        all.push((path.clone(), entry.metadata().map_or(0, |found| found.len())));
        if path.is_dir() {
            all.extend(looks(&path));
        }
    }
    all.sort();
    all
}

/// Waits until a folder has changed so often, until it has changed and then nothing more for a while, or until the process has
/// ended. Changes that follow one another quickly may be seen as one.
fn changes(child: &mut Child, folder: &Path, count: usize) {
    let (mut seen, mut left, mut last) = (looks(folder), count, clock::tick());
    while left > 0 && child.try_wait().unwrap().is_none() && (left == count || since(last) < QUIET) {
        assert!(since(last) < LONG, "nothing changes in {}", folder.display());
        let now = looks(folder);
        if now != seen {
            (seen, left, last) = (now, left - 1, clock::tick());
        }
        std::thread::yield_now();
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The process's end: its exit code, and what it said to standard error.
fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn appended(data: &Path) -> u64 {
    let state = std::fs::read(data.join("demo.json")).unwrap_or_default();
    serde_json::from_slice::<Json>(&state).unwrap_or_default()["base_appended"].as_u64().unwrap_or(0)
}

#[test]
fn a_start_that_is_cut_off_anywhere_starts_again() {
    for count in 1..=14 {
        let data = folder();
        let data = data.path().join("demo");
        let mut cut = command("demo", &data).spawn().unwrap();
        changes(&mut cut, &data, count);
        signal(&cut, "KILL");
        end(cut);
        let before = appended(&data);
        let mut again = command("demo", &data).spawn().unwrap();
        let started = clock::tick();
        while appended(&data) == before && again.try_wait().unwrap().is_none() {
            assert!(since(started) < LONG, "it appends nothing, cut off after {count} changes");
            std::thread::yield_now();
        }
        signal(&again, "KILL");
        let (code, said) = end(again);
        assert_eq!(code, None, "cut off after {count} changes: {said}");
    }
    for count in 1..=14 {
        let data = folder();
        let mut cut = command("serve", data.path()).spawn().unwrap();
        changes(&mut cut, data.path(), count);
        signal(&cut, "KILL");
        end(cut);
        let service = Service::start(data.path());
        service.write(&[event("person.registered", "ann", 1, json!({}))]);
    }
}

#[test]
fn what_a_cut_leaves_is_made_again_and_what_holds_records_is_not() {
    // Each is the folder of a service: what lies in it, and whether it starts.
    type Lies<'a> = &'a [(&'a str, &'a [u8])];
    let zeros = [0; 100];
    let cases: &[(&str, Lies<'_>, Option<&str>)] = &[
        ("an empty secret", &[("secret", b"")], None),
        ("half a secret", &[("secret", b"0123456789")], None),
        ("a secret not renamed", &[("secret.new", b"01234")], None),
        ("an empty log", &[("log/", b"")], None),
        ("a lock alone", &[("log/lock", b"")], None),
        ("a journal without a version", &[("log/lock", b""), ("log/0.jnl", &zeros), ("log/keyspaces/", b"")], None),
        ("an empty version", &[("log/lock", b""), ("log/0.jnl", &zeros), ("log/version", b"")], None),
        ("half a log beside", &[("log.half-made/lock", b""), ("log.half-made/0.jnl", b"anything")], None),
        ("a whole log beside", &[("log.half-made/version", b"FJL\x03"), ("log.half-made/keyspaces/0/x", b"x")], None),
        ("records without a version", &[("log/0.jnl", b"records")], Some("holds records")),
        ("tables without a version", &[("log/keyspaces/1/tables", b"x")], Some("holds records")),
        ("somebody's file", &[("log/thesis.tex", b"x")], Some("holds `thesis.tex`")),
        ("somebody's file beside", &[("log.half-made/thesis.tex", b"x")], Some("holds `thesis.tex`")),
    ];
    for (name, lies, refusal) in cases {
        let data = folder();
        for (path, bytes) in *lies {
            let path = data.path().join(path);
            std::fs::create_dir_all(if path.to_string_lossy().ends_with('/') { &path } else { path.parent().unwrap() })
                .unwrap();
            if !path.to_string_lossy().ends_with('/') {
                std::fs::write(&path, bytes).unwrap();
            }
        }
        match refusal {
            None => {
                let service = Service::start(data.path());
                service.write(&[event("person.registered", "ann", 1, json!({}))]);
            }
            Some(why) => {
                let before = tree(data.path());
                let (code, said) = end(command("serve", data.path()).spawn().unwrap());
                assert_eq!((code, said.contains(why)), (Some(1), true), "{name}: {said}");
                assert!(tree(data.path()) == before, "{name}: something of it is gone");
            }
        }
    }
}

/// A demo's folder with something in its log, as a demo that was stopped leaves it.
fn stopped_demo(data: &Path) {
    let mut demo = command("demo", data).spawn().unwrap();
    let started = clock::tick();
    while appended(data) == 0 && demo.try_wait().unwrap().is_none() {
        assert!(since(started) < LONG, "it appends nothing");
        std::thread::yield_now();
    }
    signal(&demo, "INT");
    let (code, said) = end(demo);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping"), "{said}");
}

#[test]
fn fresh_touches_nothing_that_is_not_the_demos() {
    let place = folder();
    let mine = place.path().join("mine");
    stopped_demo(&mine);
    let write = |folder: &Path, name: &str, text: &str| {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
    };
    let served = place.path().join("served");
    let service = Service::start(&served);
    service.write(&[event("person.registered", "ann", 1, json!({}))]);
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    let unrelated = place.path().join("unrelated");
    write(&unrelated, "thesis.tex", "years of work");
    let theirs = place.path().join("theirs");
    write(&theirs, "demo.json", "{\"slides\": 12}");
    write(&theirs, "thesis.tex", "years of work");
    let linked_state = place.path().join("linked-state");
    write(&linked_state, "thesis.tex", "years of work");
    std::os::unix::fs::symlink(mine.join("demo.json"), linked_state.join("demo.json")).unwrap();
    let linked_log = place.path().join("linked-log");
    std::fs::create_dir(&linked_log).unwrap();
    std::fs::copy(mine.join("demo.json"), linked_log.join("demo.json")).unwrap();
    std::os::unix::fs::symlink(served.join("log"), linked_log.join("log")).unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let before = tree(place.path());
    for (folder, why) in [
        (&served, "something else"),
        (&unrelated, "something else"),
        (&theirs, "demo.json is another's"),
        (&linked_state, "demo.json is no file"),
        (&linked_log, "is a link"),
        (&file, "is no folder"),
    ] {
        let (code, said) = end(command("demo", folder).arg("--fresh").spawn().unwrap());
        assert_eq!((code, said.contains(why)), (Some(1), true), "{}: {said}", folder.display());
        assert!(tree(place.path()) == before, "{}: something changed", folder.display());
    }

    // Its own folder, by another name, with files of somebody's: the log is empty again, and all else as it was.
    write(&mine, "notes.txt", "mine");
    write(&mine.join("photos"), "a.jpg", "mine too");
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&mine, &link).unwrap();
    let before = std::fs::read(mine.join("demo.json")).unwrap();
    let mut fresh = command("demo", &link).arg("--fresh").spawn().unwrap();
    let started = clock::tick();
    // Appended anew from the start: the state goes back, and on again.
    let mut was_back = false;
    while !(was_back && appended(&mine) > 0) && fresh.try_wait().unwrap().is_none() {
        was_back |= appended(&mine) == 0;
        assert!(since(started) < LONG, "it never started over");
        std::thread::yield_now();
    }
    signal(&fresh, "TERM");
    let (code, said) = end(fresh);
    assert_eq!(code, Some(0), "{said}");
    assert!(link.symlink_metadata().unwrap().is_symlink() && !before.is_empty());
    assert_eq!(std::fs::read(mine.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(std::fs::read(mine.join("photos/a.jpg")).unwrap(), b"mine too");
    // The log holds what was appended since, and not what was before: no event is there twice.
    let log = Log::open(&mine.join("log"), 0, clock::now).unwrap();
    let records: u64 = log.holds().unwrap().iter().map(|(_, records)| records).sum();
    assert_eq!(records, appended(&mine));
}

#[test]
fn fresh_is_refused_while_the_log_is_in_use() {
    let data = folder();
    let data = data.path().join("demo");
    stopped_demo(&data);
    // `serve` reads a demo's log as any other.
    let service = Service::start(&data);
    let position = service.write(&[event("person.registered", "ann", 1, json!({ "name": "Ann" }))]);
    let before = std::fs::read(data.join("demo.json")).unwrap();
    let (code, said) = end(command("demo", &data).arg("--fresh").spawn().unwrap());
    assert_eq!((code, said.contains("in use by another process")), (Some(1), true), "{said}");
    assert_eq!(std::fs::read(data.join("demo.json")).unwrap(), before);
    let more = service.write(&[event("person.registered", "bea", 1, json!({}))]);
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    let service = Service::start(&data);
    service.write(&[event("person.registered", "eve", 1, json!({}))]);
    for at in [position, more] {
        assert_eq!(service.read("{ person(key: \"ann\") { name } }", &at)["person"]["name"], json!("Ann"));
    }
}

#[test]
fn a_signal_in_the_first_seconds_stops_it_as_later() {
    for (name, count) in [("INT", 1), ("TERM", 2), ("INT", 4), ("TERM", 8)] {
        let data = folder();
        let data = data.path().join("demo");
        let mut demo = command("demo", &data).spawn().unwrap();
        changes(&mut demo, &data, count);
        signal(&demo, name);
        let (code, said) = end(demo);
        assert_eq!((code, said.contains("stopping")), (Some(0), true), "{name} after {count} changes: {said}");
    }
}

/// A registry that takes a question and never answers holds up a reader, and not the stop.
#[test]
fn a_stop_has_a_deadline() {
    let data = folder();
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        append(&log, topic, [b"\0\0\0\0\x01x"]);
    }
    let config = data.path().join("staygraph.toml");
    let url = format!("http://{}", registry.local_addr().unwrap());
    let text =
        format!("[sources.main]\nkind = \"log\"\nschema_registry = \"{url}\"\n[domains.people]\nencoding = \"avro\"\n");
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    // From here on somebody waits for an answer.
    let _asked = registry.accept().unwrap();
    let started = clock::tick();
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert!(since(started) < Duration::from_secs(20), "{:?}", since(started));
}

#[test]
fn commands_that_find_a_log_in_use_say_so() {
    let data = folder();
    let _service = Service::start(data.path());
    let (code, _, said) = run(&[
        "serve",
        "--data",
        data.path().to_str().unwrap(),
        "--model",
        root("model.graphql").to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!((code, said.contains("in use by another process")), (1, true), "{said}");
}

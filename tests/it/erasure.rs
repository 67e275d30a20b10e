//! Erasure reaches the disk and the memory: what told of somebody stands nowhere any more, and does not come back.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::clock;
use staygraph::keys::Keys;
use staygraph::source::log::Log;

use crate::support::{Service, append, event, folder, root, run};

/// What every text that tells of the person begins with: it stands nowhere else.
const TELLING: &[u8] = b"Quillfeather";
/// What the docs state.
const SOON: Duration = Duration::from_secs(60);

fn telling(what: &str) -> String {
    format!("{}-{what}", String::from_utf8_lossy(TELLING))
}

fn holds(bytes: &[u8]) -> Option<String> {
    let first = |byte: &u8| *byte == TELLING[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(first) {
        let rest = &bytes[from + at..];
        if rest.starts_with(TELLING) {
            return Some(String::from_utf8_lossy(&rest[..rest.len().min(60)]).into_owned());
        }
        from += at + 1;
    }
    None
}

/// The files below a folder that hold something telling.
fn on_disk(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(on_disk(&path));
        } else if let Some(text) = fs::read(&path).ok().and_then(|bytes| holds(&bytes)) {
            // A file of the store's may be gone by now.
            found.push(format!("{}: {text}", path.display()));
        }
    }
    found
}

/// Where a process's memory holds something telling: all that it may write to.
fn in_memory(process: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = Vec::new();
    let mut bytes = vec![0; 1 << 20];
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut at = start;
        while at < end {
            let length = (end - at).min(bytes.len() as u64) as usize;
            // What is not backed cannot be read.
            let Ok(read) = memory.read_at(&mut bytes[..length], at) else { break };
            if read == 0 {
                break;
            }
            found.extend(holds(&bytes[..read]).map(|text| format!("{at:x}: {text}")));
            // A text may lie across two parts.
            at += if at + read as u64 >= end { read } else { read - TELLING.len().min(read - 1) } as u64;
        }
    }
    found
}

/// Waits until nothing telling is left, and gives how long that took.
fn until_gone(service: &Service, data: &Path, when: &str) {
    let began = clock::tick();
    loop {
        let (disk, memory) = (on_disk(data), in_memory(service.pid()));
        if disk.is_empty() && memory.is_empty() {
            eprintln!("{when}: gone after {:?}", clock::tick().saturating_sub(began));
            return;
        }
        assert!(clock::tick().saturating_sub(began) < SOON, "{when}: {disk:?} {memory:?}");
        service.get("/health/live", &[]);
    }
}

/// Starts a service and waits until it has read its log.
fn start(data: &Path, model: &Path) -> Service {
    let (service, began) = (Service::start_with(data, model, &[]), clock::tick());
    while service.get("/health/ready", &[]).status != 200 {
        assert!(clock::tick().saturating_sub(began) < SOON);
    }
    service
}

fn person(service: &Service, key: &str, at: &str) -> Json {
    let query = format!("{{ person(key: \"{key}\") {{ completeness name email phone country attributes }} }}");
    service.read(&query, at)["person"].clone()
}

#[test]
fn what_told_of_somebody_is_nowhere_any_more() {
    let data = folder();
    {
        // As a version wrote it that sealed nothing; the second is a dead letter.
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        let first =
            json!({ "name": telling("name"), "email": telling("email"), "country": "NO", telling("x"): telling("y") });
        let bodies = [
            event("person.registered", "quill", 1, first),
            event("person.profile-changed", "quill", 2, json!({ "name": 7, "email": telling("letter") })),
            event("person.registered", "bob", 1, json!({ "name": "Bob" })),
        ];
        append(&log, topic, bodies.map(|body| body.to_string()));
    }
    assert!(!on_disk(data.path()).is_empty(), "the test sees what is there");
    let service = start(data.path(), &root("model.graphql"));
    assert_eq!(on_disk(data.path()), Vec::<String>::new(), "what lay open is sealed at the start");
    let at = service.write(&[
        event("person.profile-changed", "quill", 3, json!({ "phone": telling("phone"), "nick": telling("nick") })),
        event("person.profile-changed", "quill", 4, json!({ "country": "SE", "name": telling("newer") })),
    ]);
    let before = person(&service, "quill", &at);
    assert_eq!(
        (&before["name"], &before["phone"], &before["attributes"]["nick"]),
        (&json!(telling("newer")), &json!(telling("phone")), &json!(telling("nick")))
    );
    let letters = "{ projection { deadLetters { totalCount nodes { id code subject } } } }";
    let letter = service.read(letters, "")["projection"]["deadLetters"]["nodes"][0].clone();
    assert_eq!((&letter["code"], &letter["subject"]), (&json!("BAD_FIELD"), &json!("quill")));
    let place = format!("/dead-letters/{}", letter["id"].as_str().unwrap());
    assert!(service.get(&place, &[]).text.contains(&telling("letter")));
    assert!(!in_memory(service.pid()).is_empty(), "the test sees what is there");
    let taken = service.post("/projection/checkpoints", "application/json", b"");
    assert_eq!(taken.status, 201, "{}", taken.text);
    assert_eq!(on_disk(data.path()), Vec::<String>::new(), "what is appended is sealed, and what a checkpoint holds");

    let at = service.write(&[event("person.erased", "quill", 5, json!({}))]);
    let gone = json!({ "completeness": "ERASED", "name": null, "email": null, "phone": null, "country": "SE", "attributes": null });
    assert_eq!(person(&service, "quill", &at), gone);
    until_gone(&service, data.path(), "erased");
    let letter = service.read(letters, "")["projection"]["deadLetters"]["nodes"][0].clone();
    assert_eq!((&letter["code"], &letter["subject"]), (&json!("BAD_FIELD"), &json!(null)));
    let shown = service.get(&place, &[]);
    assert_eq!((shown.status, shown.text.contains("quill")), (200, false), "{}", shown.text);

    // A late one, a repeated one, one by hand.
    let at = service.write(&[event(
        "person.profile-changed",
        "quill",
        6,
        json!({ "name": telling("late"), "country": "DK" }),
    )]);
    let gone = json!({ "completeness": "ERASED", "name": null, "email": null, "phone": null, "country": "DK", "attributes": null });
    assert_eq!(person(&service, "quill", &at), gone);
    until_gone(&service, data.path(), "late");
    let taken = service.post("/projection/checkpoints", "application/json", b"");
    assert_eq!(taken.status, 201, "{}", taken.text);
    service.kill();
    let line = data.path().join("line.json");
    fs::write(
        &line,
        event("person.profile-changed", "quill", 7, json!({ "z": telling("z"), "country": "FI" })).to_string(),
    )
    .unwrap();
    let (code, out, err) = run(&[
        "append",
        "--data",
        data.path().to_str().unwrap(),
        "--model",
        root("model.graphql").to_str().unwrap(),
        line.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{out}{err}");
    fs::remove_file(&line).unwrap();
    assert_eq!(on_disk(data.path()), Vec::<String>::new(), "no key, no value");

    // The whole log again.
    let service = start(data.path(), &root("model.graphql"));
    let gone = json!({ "completeness": "ERASED", "name": null, "email": null, "phone": null, "country": "FI", "attributes": null });
    let now = service.read("{ person(key: \"bob\") { name } projection { deadLetters { totalCount } } }", "");
    assert_eq!(now["person"]["name"], json!("Bob"));
    assert_eq!(person(&service, "quill", ""), gone);
    until_gone(&service, data.path(), "read again");
}

/// Whether a person's key is destroyed, by the file.
fn is_destroyed(data: &Path, key: &str) -> bool {
    Keys::open(&data.join("keys"), None).unwrap().key("person", key).is_none()
}

#[test]
fn a_kill_in_the_middle_brings_nothing_back() {
    let data = folder();
    for round in 0..4 {
        let service = start(data.path(), &root("model.graphql"));
        let key = format!("p{round}");
        service.write(&[event("person.registered", &key, 1, json!({ "name": telling(&key), "country": "NO" }))]);
        service.write(&[event("person.erased", &key, 2, json!({}))]);
        // The key may be destroyed by now, or half so, or not.
        service.kill();
    }
    fs::write(data.path().join("keys.new"), b"half a write").unwrap();
    let service = start(data.path(), &root("model.graphql"));
    let all = service.read("{ people { nodes { name completeness } } }", "")["people"]["nodes"].clone();
    assert_eq!(all, json!(vec![json!({ "name": null, "completeness": "ERASED" }); 4]));
    until_gone(&service, data.path(), "killed");
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert!((0..4).all(|round| is_destroyed(data.path(), &format!("p{round}"))));
    assert!(!data.path().join("keys.new").exists());
}

#[test]
fn all_that_a_merge_ever_joined_are_reached_and_a_key_file_of_before_changes_nothing() {
    let data = folder();
    let service = start(data.path(), &root("model.graphql"));
    let first = fs::read(data.path().join("keys")).unwrap();
    let at = service.write(&[
        event("person.registered", "ann", 1, json!({ "name": telling("ann") })),
        event("person.registered", "anna", 1, json!({ "name": telling("anna") })),
        event("person.registered", "bob", 1, json!({ "name": "Bob" })),
        event("person.merged", "ann", 2, json!({ "into": "anna", "why": telling("why") })),
        event("person.erased", "ann", 3, json!({})),
    ]);
    service.read("{ people { totalCount } }", &at);
    until_gone(&service, data.path(), "merged");
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    let destroyed = |data: &Path| ["ann", "anna", "bob"].map(|key| is_destroyed(data, key));
    assert_eq!(destroyed(data.path()), [true, true, false]);

    // With a checkpoint too, which has the erasure behind it.
    assert!(data.path().join("checkpoints").is_dir());
    fs::write(data.path().join("keys"), first).unwrap();
    assert_eq!(destroyed(data.path()), [false; 3]);
    let service = start(data.path(), &root("model.graphql"));
    let all = service.read("{ people { nodes { name } } }", "")["people"]["nodes"].clone();
    assert_eq!(all, json!([{ "name": null }, { "name": "Bob" }]));
    until_gone(&service, data.path(), "put back");
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert_eq!(destroyed(data.path()), [true, true, false]);
}

#[test]
fn without_its_keys_a_log_is_refused() {
    let data = folder();
    let service = start(data.path(), &root("model.graphql"));
    service.write(&[event("person.registered", "ann", 1, json!({ "name": "Ann" }))]);
    service.kill();
    let keys = data.path().join("keys");
    let whole = fs::read(&keys).unwrap();
    let model = root("model.graphql");
    let serve = [
        "serve",
        "--data",
        data.path().to_str().unwrap(),
        "--model",
        model.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ];
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    let other = folder();
    drop(Keys::open(&other.path().join("keys"), None).unwrap());
    let others = fs::read(other.path().join("keys")).unwrap();
    for (bytes, said) in [
        (None, "is missing: put it back from its copy"),
        (Some(damaged), "is damaged"),
        (Some(others), "of another log"),
    ] {
        match bytes {
            None => fs::remove_file(&keys).unwrap(),
            Some(bytes) => fs::write(&keys, bytes).unwrap(),
        }
        let (code, _, err) = run(&serve);
        assert!(code == 1 && err.contains(said), "{code} {said}: {err}");
    }
    fs::write(&keys, whole).unwrap();
    let service = start(data.path(), &root("model.graphql"));
    assert_eq!(service.read("{ person(key: \"ann\") { name } }", "")["person"]["name"], json!("Ann"));
}

#[test]
fn what_becomes_personal_later_is_sealed_at_the_next_start() {
    let data = folder();
    let model = data.path().join("model.graphql");
    let write = |personal: &str| {
        let text = format!("type Person @entity(domain: \"people\", event: \"person\") {{ name: String{personal} }}");
        fs::write(&model, text).unwrap();
    };
    write("");
    let service = start(data.path(), &model);
    service.write(&[event(
        "person.registered",
        "quill",
        1,
        json!({ "name": telling("name"), "more": telling("more") }),
    )]);
    service.kill();
    assert!(!on_disk(data.path()).is_empty(), "nothing of it is personal");
    write(" @personal");
    let service = start(data.path(), &model);
    assert_eq!(on_disk(data.path()), Vec::<String>::new());
    assert_eq!(service.read("{ person(key: \"quill\") { name } }", "")["person"]["name"], json!(telling("name")));
    // And back: what is sealed stays so, and is read.
    service.kill();
    write("");
    let service = start(data.path(), &model);
    assert_eq!(service.read("{ person(key: \"quill\") { name } }", "")["person"]["name"], json!(telling("name")));
    assert_eq!(on_disk(data.path()), Vec::<String>::new());
}

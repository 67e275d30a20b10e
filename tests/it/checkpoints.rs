//! Starts from checkpoints: what a start goes on from, what it refuses and why, and that the graph is always the one that the log
//! gives. By the real binary.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::{Service, event, folder, run};

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest", events: ["joined", "changed"]) {
  name: String @personal @search
  level: Int @index
  friend: Guest @link(reverse: "friendOf")
  double: Int @derive(rule: "level * 2")
}
type Stay @entity(domain: "stays", event: "stay", events: ["booked"]) {
  guest: Guest @link(reverse: "stays")
  status: StayStatus @index
  nights: Int
}
enum StayStatus { BOOKED @on(events: ["booked"]) GONE @on(events: ["left"]) }
"#;

/// A folder with a model and a configuration.
pub struct World {
    folder: TempDir,
}

impl World {
    pub fn new() -> World {
        let world = World { folder: folder() };
        world.model(MODEL);
        world.configure("");
        world
    }

    fn model(&self, text: &str) {
        std::fs::write(self.folder.path().join("model.graphql"), text).unwrap();
    }

    fn configure(&self, more: &str) {
        let text = format!("model = \"model.graphql\"\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\n{more}\n");
        std::fs::write(self.folder.path().join("staygraph.toml"), text).unwrap();
    }

    pub fn start(&self) -> Service {
        let mut command = std::process::Command::new(crate::support::BINARY);
        command.arg("serve").arg("--config").arg(self.folder.path().join("staygraph.toml"));
        let service = Service::run(command);
        service.says(" ready ");
        service
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn checkpoints(&self) -> PathBuf {
        self.folder.path().join("data/checkpoints")
    }

    /// The data files of its checkpoints, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.checkpoints()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "data")).collect();
        files.sort();
        files
    }

    /// What the log alone gives: a copy of the folder without checkpoints.
    fn replayed(&self) -> String {
        let copy = folder();
        copy_all(self.folder.path(), copy.path());
        let _ = std::fs::remove_dir_all(copy.path().join("data/checkpoints"));
        let world = World { folder: copy };
        let service = world.start();
        service.says("all records are read again");
        digest(&service)
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_all(&from, &to)
        } else {
            let _ = std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Appends events, and returns when they are applied.
pub fn write(service: &Service, events: &[Json]) {
    let position = service.write(events);
    service.read("{ guests { totalCount } stays { totalCount } }", &position);
}

/// The digest of all, and how many events were applied.
fn digest(service: &Service) -> String {
    service.read("{ projection { eventsApplied digest { value entities { count } } } }", "")["projection"].to_string()
}

fn checkpoint(service: &Service) -> Json {
    let reply = service.post("/projection/checkpoints", "application/json", b"");
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

fn guest(key: &str, sequence: u64, data: Json) -> Json {
    event("guest.changed", key, sequence, data)
}

/// Every kind of thing that a graph can hold: merges, deletions, erasures, gaps, drift, references, disagreements, dead letters.
pub fn some_events() -> Vec<Json> {
    let mut events: Vec<Json> = (0..40u64)
        .map(|number| {
            let friend = format!("g{}", (number + 7) % 50);
            guest(
                &format!("g{number}"),
                1,
                json!({ "name": format!("Name {number}"), "level": number % 5, "friendId": friend }),
            )
        })
        .collect();
    events.extend((0..60u64).map(|number| {
        event(
            "stay.booked",
            &format!("s{number}"),
            1,
            json!({ "guestId": format!("g{}", number % 45), "nights": number }),
        )
    }));
    events.push(guest("g1", 4, json!({ "level": 9, "shoeSize": 43 })));
    events.push(event("guest.deleted", "g2", 2, json!({})));
    events.push(event("guest.erased", "g3", 2, json!({})));
    events.push(event("guest.merged", "g4", 2, json!({ "into": "g5" })));
    events.push(event("stay.left", "s1", 2, json!({})));
    events
}

#[test]
fn a_start_goes_on_where_a_checkpoint_was_taken() {
    let world = World::new();
    let service = world.start();
    service.says("all records are read again");
    write(&service, &some_events());
    let taken = checkpoint(&service);
    assert_eq!(taken["location"].as_str().map(PathBuf::from), world.files().pop(), "{taken}");
    let told = service.read("{ projection { checkpoints { id at position model bytes location } } }", "");
    assert_eq!(told["projection"]["checkpoints"], json!([taken]));
    // Nothing is new: the standing one answers, and none is written at the end.
    assert_eq!(checkpoint(&service), taken);
    let before = digest(&service);
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert_eq!(world.files().len(), 1);

    let service = world.start();
    let said = service.says("started from a checkpoint");
    assert!(said.contains(taken["id"].as_str().unwrap()) && said.contains("behind=0"), "{said}");
    assert_eq!(digest(&service), before);
    // What comes after it is applied onto it; a kill loses nothing.
    write(&service, &[guest("g1", 2, json!({ "level": 3 })), guest("g4", 3, json!({ "name": "Late" }))]);
    let after = digest(&service);
    assert_ne!(after, before);
    service.kill();
    let service = world.start();
    assert!(service.says("started from a checkpoint").contains("behind=2"));
    assert_eq!(digest(&service), after);
    drop(service);
    assert_eq!(world.replayed(), after);
}

#[test]
fn a_stop_takes_one_and_so_many_are_kept() {
    let world = World::new();
    world.configure("[checkpoints]\nkeep = 2");
    for round in 1..=4u64 {
        let service = world.start();
        write(&service, &[guest("g1", round, json!({ "level": round }))]);
        service.signal("TERM");
        assert_eq!(service.ended(), Some(0));
        assert_eq!(world.files().len(), (round as usize).min(2), "round {round}");
    }
}

/// Whether a start goes on from a checkpoint by a changed model or configuration, and if not, what it says. The graph is the log's in
/// any case.
fn check_change(model: &str, configuration: &str, refused: Option<&str>) {
    let world = World::new();
    let service = world.start();
    write(&service, &some_events());
    checkpoint(&service);
    service.kill();
    world.model(model);
    world.configure(configuration);
    let service = world.start();
    match refused {
        None => drop(service.says("started from a checkpoint")),
        Some(why) => {
            let said = service.says("a checkpoint is refused");
            assert!(said.contains(why), "{said}");
            service.says("all records are read again");
        }
    }
    let started = digest(&service);
    // Applying goes on as well.
    write(
        &service,
        &[
            guest("g7", 2, json!({ "level": 4, "shoeSize": 40 })),
            event("stay.booked", "s99", 1, json!({ "nights": 3 })),
        ],
    );
    let after = digest(&service);
    drop(service);
    assert_eq!(world.replayed(), after, "{model}");
    assert_ne!(started, after);
}

#[test]
fn what_a_changed_model_means_for_a_checkpoint() {
    let with = |from: &str, to: &str| {
        assert!(MODEL.contains(from), "{from}");
        MODEL.replace(from, to)
    };
    check_change(&with("  level: Int @index", "  \"How loyal.\"\n  level: Int @index"), "", None);
    check_change(&with("  nights: Int", "  nights: Int @index"), "", None);
    check_change(&with("  level: Int @index", "  level: Int"), "", None);
    check_change(
        &with("  name: String @personal @search", "  nickname: String @search\n  name: String @personal @search"),
        "",
        None,
    );
    check_change(&with("  nights: Int\n", "  nights: Int\n  place: Guest @link(reverse: \"hosted\")\n"), "", None);
    check_change(&with("rule: \"level * 2\"", "rule: \"level * 3\""), "", None);
    check_change(&with("GONE @on(events: [\"left\"])", "GONE @on(events: [\"left\"]) LOST"), "", None);
    // Its values arrived as an attribute: whether they fit, only the events say.
    let gained = with("  level: Int @index", "  level: Int @index\n  shoeSize: Int");
    check_change(&gained, "", Some("`Guest` has a field now that arrived as an attribute before"));
    check_change(
        &with("  level: Int @index", "  level: Long @index"),
        "",
        Some("the field `Guest.level` changed: Int then, Long now"),
    );
    check_change(&with("  nights: Int\n", ""), "", Some("the field `Stay.nights` changed: it is not there now"));
    check_change(
        &with("BOOKED @on(events: [\"booked\"]) ", "LOST BOOKED @on(events: [\"booked\"]) "),
        "",
        Some("the enum `StayStatus` changed"),
    );
    check_change(
        &with("  name: String @personal", "  name: String"),
        "",
        Some("the field `Guest.name` changed: its directives"),
    );
    check_change(
        &with("events: [\"left\"]", "events: [\"left\", \"moved\"]"),
        "",
        Some("what `Stay` does by its events' types changed"),
    );
    check_change(
        &with(
            "type Stay @entity(domain: \"stays\", event: \"stay\"",
            "type Stay @check(rule: \"nights < 1000\") @entity(domain: \"stays\", event: \"stay\"",
        ),
        "",
        Some("what `Stay` checks changed"),
    );
    check_change(
        MODEL,
        "[domains.guests]\norder_by = \"time\"",
        Some(
            "the domain `guests` changed: order_by = sequence, gaps = report then, order_by = time, gaps = report now",
        ),
    );
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_one_before_it_is_taken() {
    let world = World::new();
    let service = world.start();
    let mut taken = Vec::new();
    for events in some_events().chunks(60) {
        write(&service, events);
        taken.push(checkpoint(&service)["id"].as_str().unwrap().to_owned());
    }
    let whole = digest(&service);
    service.kill();
    let [older, newer] =
        [&world.files()[0], &world.files()[1]].map(|path| (path.clone(), std::fs::read(path).unwrap()));
    let start = |from: Option<&str>, why: &str| {
        let service = world.start();
        let said = service.says("a checkpoint is refused");
        assert!(said.contains(&taken[1]) && said.contains(why), "{said}");
        match from {
            Some(id) => assert!(service.says("started from a checkpoint").contains(id)),
            None => drop(service.says("all records are read again")),
        }
        assert_eq!(digest(&service), whole, "{why}");
        service.kill();
    };
    for at in [3, newer.1.len() / 3, newer.1.len() - 1] {
        let mut flipped = newer.1.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&newer.0, &flipped).unwrap();
        start(Some(&taken[0]), "damaged");
    }
    for length in [0, 10, newer.1.len() / 2, newer.1.len() - 1] {
        std::fs::write(&newer.0, &newer.1[..length]).unwrap();
        start(Some(&taken[0]), "it ends");
    }
    // The data of another.
    std::fs::write(&newer.0, &older.1).unwrap();
    start(Some(&taken[0]), "its data are not those that its head speaks of");
    std::fs::remove_file(&newer.0).unwrap();
    start(Some(&taken[0]), "its data are missing");
    std::fs::write(newer.0.with_extension("json"), "{ \"format\": 99 }").unwrap();
    start(Some(&taken[0]), "format 99");
    std::fs::write(newer.0.with_extension("json"), "no JSON").unwrap();
    std::fs::write(&older.0, b"").unwrap();
    start(None, "not readable");
}

#[test]
fn a_checkpoint_of_another_log_or_beyond_its_end_is_refused() {
    let world = World::new();
    let service = world.start();
    write(&service, &some_events()[..50]);
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    let backup = folder();
    copy_all(&world.folder.path().join("data/log"), backup.path());
    let service = world.start();
    write(&service, &some_events()[50..90]);
    checkpoint(&service);
    service.kill();
    // The log as it was before: what came since is lost, and not served.
    std::fs::remove_dir_all(world.folder.path().join("data/log")).unwrap();
    copy_all(backup.path(), &world.folder.path().join("data/log"));
    let service = world.start();
    assert!(service.says("a checkpoint is refused").contains("was an older log put back?"));
    service.says("started from a checkpoint");
    let started = digest(&service);
    service.kill();
    assert_eq!(world.replayed(), started);
    // Another log altogether.
    std::fs::remove_dir_all(world.folder.path().join("data/log")).unwrap();
    let service = world.start();
    assert!(service.says("a checkpoint is refused").contains("it is of another log of topic"));
    service.says("all records are read again");
    assert_eq!(service.read("{ guests { totalCount } }", "")["guests"]["totalCount"], json!(0));
}

#[test]
fn checkpoints_that_are_only_read_or_not_kept() {
    let world = World::new();
    let service = world.start();
    write(&service, &some_events());
    checkpoint(&service);
    let whole = digest(&service);
    service.kill();
    for (configuration, from, why) in [
        ("[checkpoints]\nwrite = false", "started from a checkpoint", "only read here"),
        ("[checkpoints]\nurl = \"none\"", "staygraph starts", "no checkpoints are kept here"),
    ] {
        world.configure(configuration);
        let service = world.start();
        service.says(from);
        let reply = service.post("/projection/checkpoints", "application/json", b"");
        assert_eq!(reply.status, 409, "{}", reply.text);
        assert!(reply.text.contains(why), "{}", reply.text);
        assert_eq!(digest(&service), whole, "{configuration}");
        service.signal("TERM");
        assert_eq!(service.ended(), Some(0));
        assert_eq!(world.files().len(), 1, "{configuration}");
    }
    for (configuration, why) in [
        ("[checkpoints]\nurl = \"ftp://elsewhere\"", "`ftp://elsewhere` is no place for checkpoints"),
        ("[checkpoints]\nurl = \"ftp://elsewhere\"", "`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`"),
        ("[checkpoints]\nurl = \"s3://\"", "names no bucket and prefix"),
        ("[checkpoints]\nurl = \"gs:bucket\"", "names no bucket and prefix"),
        ("[checkpoints]\nurl = \"az://container/a//b\"", "names no bucket and prefix"),
        ("[checkpoints]\nurl = \"s3://bucket/a?token=b\"", "names no bucket and prefix"),
        ("[checkpoints]\nurl = \"s3://somebody:secret@bucket\"", "credentials come from the environment alone"),
        ("[checkpoints]\nurl = \"file:\"", "names no folder"),
        ("[checkpoints]\nevery = \"often\"", "`every` is"),
        ("[checkpoints]\nkeep = 0", "`keep` is"),
        ("[checkpoints]\nfolder = \"x\"", "unknown key `folder`"),
    ] {
        world.configure(configuration);
        let (code, _, said) = run(&["check", "--config", world.folder.path().join("staygraph.toml").to_str().unwrap()]);
        assert_eq!(code, 1, "{configuration}: {said}");
        assert!(said.contains(why), "{configuration}: {said}");
    }
}

#[test]
fn the_command_says_where_it_is() {
    let world = World::new();
    let service = world.start();
    write(&service, &some_events());
    let (code, said, _) = run(&["checkpoint", "--to", &service.url]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&world.files()[0].display().to_string()), "{said}");
    assert!(said.contains("guests!"), "{said}");
}

#[test]
fn two_graphs_that_say_the_same_and_two_that_do_not() {
    let world = World::new();
    let service = world.start();
    write(&service, &some_events());
    checkpoint(&service);
    let verify = |arguments: &[&str]| {
        let (code, said, failed) = run(&[&["verify"], arguments].concat());
        (code, format!("{said}{failed}"))
    };
    let (code, said) = verify(&[&service.url]);
    assert!(code == 0 && said.contains("the same: 100 nodes at guests!"), "{said}");
    // Another service over a copy of the log, with the same events, is the same; a checkpoint by its file too.
    let copy = folder();
    service.signal("STOP");
    copy_all(world.folder.path(), copy.path());
    service.signal("CONT");
    let copy = World { folder: copy };
    let other = copy.start();
    assert_eq!(verify(&[&service.url, &other.url]).0, 0);
    let file = world.files().pop().unwrap();
    assert_eq!(verify(&[&other.url, file.to_str().unwrap()]).0, 0);
    // One goes on: they cannot be compared, and that is no yes.
    write(&other, &[guest("g9", 2, json!({ "level": 8 }))]);
    let (code, said) = verify(&[&service.url, &other.url]);
    assert!(code == 1 && said.contains("they cannot be compared: they are not at one position"), "{said}");
    // Another event at the same place: who differs is named.
    write(&service, &[guest("g9", 2, json!({ "level": 7 }))]);
    let (code, said) = verify(&[&service.url, &other.url]);
    assert!(code == 1 && said.contains("Guest:g9 differs") && said.contains("Guest: 1 differ"), "{said}");
    // Pages are of one version, as long as that is held, whatever comes meanwhile.
    let version = service.read("{ projection { version } }", "")["projection"]["version"].as_u64().unwrap();
    let page = |query: &str| service.get(&format!("/projection/digest/Guest?from=0{query}"), &[]);
    let before = page(&format!("&version={version}"));
    assert_eq!((before.status, &before.text), (200, &page("").text));
    write(&service, &[guest("g9", 3, json!({ "level": 6 }))]);
    assert_eq!(page(&format!("&version={version}")).text, before.text);
    assert_ne!(page("").text, before.text);
    let gone = page(&format!("&version={}", version + 1_000_000));
    assert!(gone.status == 410 && gone.text.contains("is not held any more"), "{}", gone.text);
    // Without its keys a checkpoint says less than it holds.
    std::fs::rename(world.folder.path().join("data/keys"), world.folder.path().join("elsewhere")).unwrap();
    let (code, said) = verify(&[&service.url, file.to_str().unwrap()]);
    assert!(code == 1 && said.contains("--keys FILE"), "{said}");
    let (code, said) = verify(&["127.0.0.1:1"]);
    assert!(code == 1 && said.contains("does not answer"), "{said}");
}

/// Kills that one run has; `STAYGRAPH_KILLS=100` has a hundred.
const KILLS: u64 = 12;

#[test]
fn killed_at_any_moment_it_comes_back_as_the_log_has_it() {
    let world = World::new();
    world.configure("[checkpoints]\nevery = \"1s\"\nkeep = 2");
    let kills = std::env::var("STAYGRAPH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut written = 0u64;
    for kill in 0..kills {
        let service = world.start();
        assert!(!service.says_now("damaged"), "a checkpoint is whole or not there");
        let stop = std::sync::atomic::AtomicBool::new(false);
        // Whatever ends the requests: what was answered counts.
        let post = |path: &str, body: String| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let sent = agent
                .post(format!("{}{path}", service.url))
                .header("content-type", "application/cloudevents-batch+json")
                .send(body);
            sent.is_ok()
        };
        std::thread::scope(|scope| {
            let (post, stop) = (&post, &stop);
            let from = written;
            let writer = scope.spawn(move || {
                let mut number = from;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let key = format!("k{}", number % 97);
                    let mut events = vec![guest(
                        &key,
                        1 + number / 97,
                        json!({ "name": format!("Telling {number}"), "level": number % 7 }),
                    )];
                    events.push(event("stay.booked", &format!("t{number}"), 1, json!({ "guestId": key })));
                    match number % 41 {
                        7 => events.push(event("guest.erased", &format!("k{}", number % 89), 1000 + number, json!({}))),
                        9 => events.push(event(
                            "guest.merged",
                            &key,
                            2000 + number,
                            json!({ "into": format!("k{}", number % 83) }),
                        )),
                        11 => events.push(event("stay.deleted", &format!("t{}", number - 3), 9, json!({}))),
                        _ => {}
                    }
                    if !post("/events", Json::from(events).to_string()) {
                        break;
                    }
                    number += 1;
                }
                number
            });
            let taker = scope.spawn(move || while post("/projection/checkpoints", String::new()) {});
            // Another moment each time, in whatever it is just doing.
            let (_never, moment) = std::sync::mpsc::channel::<()>();
            let _ = moment.recv_timeout(std::time::Duration::from_millis(kill * 37 % 211));
            service.signal("KILL");
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            written = writer.join().unwrap() + 1;
            taker.join().unwrap();
        });
    }
    let service = world.start();
    let said = digest(&service);
    service.kill();
    assert_eq!(world.replayed(), said);
    assert!(written > kills, "only {written} events were taken");
}

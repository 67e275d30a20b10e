//! Checkpoints in an object store: a real S3 server, and the real binary, with the server gone, answers lost and uploads cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use staygraph::store::{Objects, Store};
use tempfile::TempDir;

use crate::stores;
use crate::support::{BINARY, Reply, Service, event, folder, root, run};

/// What `scripts/s3` answers where a tool is missing.
const MISSING: i32 = 3;
const SECRET: &str = "not-a-secret";
const BUCKET: &str = "stays";

/// A running server; dropping it stops it.
struct S3 {
    folder: TempDir,
    url: String,
}

fn script(arguments: &[&str]) -> Output {
    Command::new(root("scripts/s3")).args(arguments).output().expect("scripts/s3 is a program")
}

impl S3 {
    /// With an empty bucket. Nothing, and the reason printed, where there is no server to be had.
    fn start() -> Option<S3> {
        let folder = folder();
        let output = script(&["start", folder.path().to_str().unwrap()]);
        if output.status.code() == Some(MISSING) {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let s3 = S3 { folder, url: String::from_utf8(output.stdout).unwrap().trim().to_owned() };
        std::fs::create_dir(s3.bucket()).unwrap();
        Some(s3)
    }

    fn stop(&self) {
        assert!(script(&["stop", self.folder.path().to_str().unwrap()]).status.success());
    }

    /// Starts it again where it was, with what it had.
    fn restart(&self) {
        let (_, port) = self.url.rsplit_once(':').unwrap();
        let output = script(&["start", self.folder.path().to_str().unwrap(), port]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join("buckets").join(BUCKET)
    }

    /// The names of the objects under a prefix, as they lie on the server's disk.
    fn objects(&self, prefix: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.bucket().join(prefix)).into_iter().flatten().flatten();
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The parts of uploads that nobody has ended.
    fn parts(&self) -> usize {
        fn files(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
        }
        files(&self.bucket().join(".sgwtmp/multipart"))
    }

    /// Waits until there are so many.
    #[expect(clippy::disallowed_methods, reason = "how long a test waits is the clock's to say")]
    fn has_parts(&self, at_least: usize) {
        let began = Instant::now();
        while self.parts() < at_least {
            assert!(began.elapsed() < Duration::from_secs(60), "no part went up");
            std::thread::yield_now();
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = script(&["stop", &self.folder.path().to_string_lossy()]);
    }
}

/// How a server is reached.
fn variables<'a>(endpoint: &'a str, secret: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "staygraph"),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]
}

/// A service's folder.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> World {
        World { folder: folder() }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("data/keys")
    }

    fn start(&self, endpoint: &str, more: &str) -> Service {
        self.start_with(endpoint, SECRET, more)
    }

    fn start_with(&self, endpoint: &str, secret: &str, more: &str) -> Service {
        let at = self.folder.path().join("staygraph.toml");
        let model = root("model.graphql");
        let text = format!(
            "model = {model:?}\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\n[checkpoints]\nurl = \"s3://{BUCKET}/one\"\n{more}\n"
        );
        std::fs::write(&at, text).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(at).envs(variables(endpoint, secret));
        let service = Service::run(command);
        service.says(" ready ");
        service
    }

    /// Another service's folder, with the same log and keys.
    fn copy(&self) -> World {
        let copy = World::new();
        let copied = Command::new("cp").arg("-r").arg(self.folder.path().join("data")).arg(copy.folder.path()).status();
        assert!(copied.unwrap().success());
        copy
    }
}

fn write(service: &Service, events: &[Json]) {
    let position = service.write(events);
    service.read("{ people { totalCount } }", &position);
}

fn people(from: u64, count: u64) -> Vec<Json> {
    let one = |number: u64| {
        let data = json!({ "name": format!("Person {number}"), "country": "NL", "note": format!("n{number}") });
        event("person.registered", &format!("p{number}"), 1, data)
    };
    (from..from + count).map(one).collect()
}

/// So much that its checkpoint goes up in parts: texts that do not compress.
fn write_much(service: &Service) {
    let mut state = 88_172_645_463_325_252u64;
    let mut noise = || {
        let digits = (0..64).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{state:016x}")
        });
        digits.collect::<String>()
    };
    for batch in 0..30u64 {
        let one = |number: u64| {
            event("person.registered", &format!("m{batch}-{number}"), 1, json!({ "country": "NL", "motto": noise() }))
        };
        let events: Vec<Json> = (0..1000).map(one).collect();
        service.write(&events);
    }
    let position = service.write(&people(900_000, 1));
    service.read("{ people { totalCount } }", &position);
}

fn digest(service: &Service) -> String {
    service.read("{ projection { eventsApplied digest { value entities { count } } } }", "")["projection"].to_string()
}

fn take(service: &Service) -> Reply {
    service.post("/projection/checkpoints", "application/json", b"")
}

fn taken(service: &Service) -> Json {
    let reply = take(service);
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

#[test]
fn a_real_server_keeps_what_every_store_keeps() {
    let Some(s3) = S3::start() else { return };
    let open = |url: &str, secret: &str| {
        let variables = variables(&s3.url, secret).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Objects::open_by(url, variables.into_iter()).unwrap()
    };
    for url in ["s3://stays/a/prefix", "s3://stays"] {
        stores::check(&open(url, SECRET));
    }
    assert_eq!(s3.parts(), 0, "an upload that was dropped leaves no parts");
    for (url, secret, why) in [
        ("s3://stays/one", "another", "check the credentials in the variables `AWS_…`"),
        ("s3://nowhere/one", SECRET, "is there such a bucket?"),
    ] {
        let said = open(url, secret).names().unwrap_err();
        assert!(said.starts_with(&format!("{url} cannot be listed: ")) && said.contains(why), "{said}");
        assert!(!said.contains("another") && !said.contains("ignature="), "{said}");
    }
}

#[test]
fn a_start_goes_on_from_an_object() {
    let Some(s3) = S3::start() else { return };
    let world = World::new();
    let service = world.start(&s3.url, "keep = 2");
    service.says("there is no checkpoint");
    write(&service, &people(0, 100));
    let first = taken(&service);
    let id = first["id"].as_str().unwrap();
    assert_eq!(first["location"], json!(format!("s3://{BUCKET}/one/{id}.data")));
    assert_eq!(s3.objects("one"), [format!("{id}.data"), format!("{id}.json")]);
    write(&service, &people(100, 100));
    let whole = digest(&service);
    service.kill();
    let service = world.start(&s3.url, "keep = 2");
    let said = service.says("started from a checkpoint");
    assert!(said.contains(id) && said.contains("behind=100"), "{said}");
    assert_eq!(digest(&service), whole);
    let told = service.read("{ projection { checkpoints { id at position model bytes location } } }", "");
    assert_eq!(told["projection"]["checkpoints"], json!([first]));
    // So many are kept.
    for round in 2..=4 {
        write(&service, &people(round * 100, 1));
        taken(&service);
    }
    assert_eq!(s3.objects("one").len(), 4);
    assert!(!s3.objects("one").contains(&format!("{id}.json")));

    // Another service of the same log reads them, and writes none.
    service.signal("STOP");
    let replica = world.copy();
    service.signal("CONT");
    let there = s3.objects("one");
    let other = replica.start(&s3.url, "write = false");
    other.says("started from a checkpoint");
    assert_eq!(digest(&other), digest(&service));
    write(&other, &people(1000, 1));
    let reply = take(&other);
    assert!(reply.status == 409 && reply.text.contains("only read here"), "{}", reply.text);
    other.signal("TERM");
    assert_eq!(other.ended(), Some(0));
    assert_eq!(s3.objects("one"), there);

    // Whether they say the same, by what the service names and by a name that is given.
    let keys = world.keys();
    let newest =
        service.read("{ projection { checkpoints { location } } }", "")["projection"]["checkpoints"][0]["location"]
            .as_str()
            .unwrap()
            .to_owned();
    let verify = |arguments: &[&str]| {
        let output =
            Command::new(BINARY).arg("verify").args(arguments).envs(variables(&s3.url, SECRET)).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let keys = keys.to_str().unwrap();
    for arguments in [&[&service.url, "--keys", keys][..], &[&service.url, &newest, "--keys", keys]] {
        let (code, said) = verify(arguments);
        assert!(code == Some(0) && said.contains("the same: "), "{said}");
    }
    for (arguments, why) in [
        (&[&service.url[..], &newest][..], "--keys FILE"),
        (&[&service.url, "s3://stays/one/none.data", "--keys", keys], "its head is missing"),
        (&[&service.url, "s3://stays/one", "--keys", keys], "is no checkpoint's object"),
    ] {
        let (code, said) = verify(arguments);
        assert!(code == Some(1) && said.contains(why), "{said}");
    }
}

#[test]
fn a_server_that_is_gone_costs_time_and_nothing_else() {
    let Some(s3) = S3::start() else { return };
    let world = World::new();
    s3.stop();
    let service = world.start(&s3.url, "");
    let said = service.says("which checkpoints there are is not known");
    assert!(said.contains("s3://stays/one cannot be listed: ") && !said.contains(SECRET), "{said}");
    assert!(service.says("all records are read again").contains("the checkpoints cannot be read"));
    write(&service, &people(0, 10));
    let reply = take(&service);
    assert!(reply.status == 503 && reply.text.contains("check that the store answers"), "{}", reply.text);
    s3.restart();
    let id = taken(&service)["id"].as_str().unwrap().to_owned();
    // It goes while the service runs, and comes back.
    s3.stop();
    write(&service, &people(10, 10));
    assert_eq!(take(&service).status, 503);
    s3.restart();
    let newer = taken(&service)["id"].as_str().unwrap().to_owned();
    assert_eq!(s3.objects("one").len(), 4);
    let whole = digest(&service);
    service.kill();
    let service = world.start(&s3.url, "");
    assert!(service.says("started from a checkpoint").contains(&newer));
    assert_eq!(digest(&service), whole);
    service.kill();

    // A secret that is not the server's.
    let service = world.start_with(&s3.url, "wrong-one", "");
    let said = service.says("which checkpoints there are is not known");
    assert!(said.contains("check the credentials") && !said.contains("wrong-one"), "{said}");
    assert_eq!(digest(&service), whole);
    assert!(s3.objects("one").contains(&format!("{id}.json")));
}

#[test]
fn what_only_a_checkpoint_holds_is_not_given_up_for_a_start_without_it() {
    let Some(s3) = S3::start() else { return };
    let world = World::new();
    let more = "keep = 1\n[log]\nretention = \"1ms\"";
    let service = world.start(&s3.url, more);
    for version in 1..=3 {
        let changed = json!({ "country": format!("N{version}") });
        write(&service, &[event("person.profile-changed", "ann", version, changed)]);
    }
    let whole = digest(&service);
    let id = taken(&service)["id"].as_str().unwrap().to_owned();
    service.kill();
    s3.stop();
    let service = world.start(&s3.url, more);
    let reply = service.ask("{ people { totalCount } }", &[]);
    assert!(reply.text.contains("DATA_LOST"), "{}", reply.text);
    s3.restart();
    write(&service, &[event("person.profile-changed", "ann", 4, json!({ "country": "N4" }))]);
    let reply = take(&service);
    assert!(reply.status == 503 && reply.text.contains("start again now that they can be read"), "{}", reply.text);
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert_eq!(s3.objects("one"), [format!("{id}.data"), format!("{id}.json")]);
    let service = world.start(&s3.url, more);
    let said = service.says("started from a checkpoint");
    assert!(said.contains(&id) && said.contains("behind=1"), "{said}");
    let reply = service.ask("{ people { totalCount } }", &[]);
    assert!(!reply.text.contains("DATA_LOST"), "{}", reply.text);
    assert_ne!(digest(&service), whole);
    assert_ne!(taken(&service)["id"], json!(id));
}

#[test]
fn an_upload_that_is_cut_is_never_seen() {
    let Some(s3) = S3::start() else { return };
    let world = World::new();
    let service = world.start(&s3.url, "");
    write_much(&service);
    let whole = digest(&service);
    let (code, said, _) = run(&["checkpoint", "--to", &service.url]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((s3.parts(), s3.objects("one").len()), (0, 2));
    let there = s3.objects("one");
    assert!(
        std::fs::metadata(s3.bucket().join("one").join(&there[0])).unwrap().len() > 16 << 20,
        "it goes up in parts"
    );

    // The service dies in the middle.
    write(&service, &people(0, 1));
    std::thread::scope(|scope| {
        let url = service.url.clone();
        scope.spawn(move || drop(ureq::post(format!("{url}/projection/checkpoints")).send_empty()));
        s3.has_parts(1);
        service.signal("KILL");
    });
    drop(service);
    assert_eq!(s3.objects("one"), there);
    let service = world.start(&s3.url, "");
    let said = service.says("started from a checkpoint");
    assert!(said.contains(there[0].strip_suffix(".data").unwrap()) && said.contains("behind=1"), "{said}");
    assert_ne!(digest(&service), whole);

    // The server dies in the middle, and comes back.
    std::thread::scope(|scope| {
        let before = s3.parts();
        let taking = scope.spawn(|| take(&service));
        s3.has_parts(before + 1);
        s3.stop();
        let reply = taking.join().unwrap();
        assert!(reply.status == 503 && reply.text.contains("cannot be written"), "{}", reply.text);
    });
    assert_eq!(s3.objects("one"), there);
    s3.restart();
    let id = taken(&service)["id"].as_str().unwrap().to_owned();
    assert_eq!(s3.objects("one").len(), 4);
    let whole = digest(&service);
    service.kill();
    let service = world.start(&s3.url, "");
    assert!(service.says("started from a checkpoint").contains(&id));
    assert_eq!(digest(&service), whole);
}

/// Passes connections on to a server; once it is armed, the next answer to a request by a method, whose path holds a text, is lost.
struct Losing {
    url: String,
    is_armed: Arc<AtomicBool>,
}

impl Losing {
    fn before(server: &str, method: &'static [u8], named: &'static [u8]) -> Losing {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let is_armed = Arc::new(AtomicBool::new(false));
        let armed = is_armed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (armed, to_lose) = (armed.clone(), Arc::new(AtomicBool::new(false)));
                let lost = to_lose.clone();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    pass(from, to, |bytes| {
                        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
                        let is_it = line.starts_with(method) && line.windows(named.len()).any(|window| window == named);
                        if is_it && armed.swap(false, Ordering::SeqCst) {
                            lost.store(true, Ordering::SeqCst);
                        }
                        true
                    })
                });
                std::thread::spawn(move || pass(server, client, |_| !to_lose.load(Ordering::SeqCst)));
            }
        });
        Losing { url, is_armed }
    }
}

/// Hands bytes on for as long as somebody lets it.
fn pass(mut from: TcpStream, mut to: TcpStream, mut lets: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !lets(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn check_lost(method: &'static [u8], named: &'static [u8]) {
    let Some(s3) = S3::start() else { return };
    let losing = Losing::before(&s3.url, method, named);
    let world = World::new();
    let service = world.start(&losing.url, "");
    write_much(&service);
    losing.is_armed.store(true, Ordering::SeqCst);
    let id = taken(&service)["id"].as_str().unwrap().to_owned();
    assert!(!losing.is_armed.load(Ordering::SeqCst), "no answer was lost");
    assert_eq!(s3.objects("one"), [format!("{id}.data"), format!("{id}.json")]);
    let whole = digest(&service);
    service.kill();
    let service = world.start(&losing.url, "");
    assert!(service.says("started from a checkpoint").contains(&id));
    assert_eq!(digest(&service), whole);
}

#[test]
fn an_answer_that_is_lost_makes_no_checkpoint_fail() {
    check_lost(b"PUT ", b".json");
    check_lost(b"POST ", b"uploadId=");
}

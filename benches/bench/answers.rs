//! Whole answers over HTTP: processor time a request and latency, of the real binary, beside ready-made bytes, serde structs in
//! plain axum, and mercurius with JIT on the same data. Each server has one core, the client the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::posts::spent;
use super::support::{percentile, say};
use super::way::{BINARY, write_events};

const CONNECTIONS: usize = 8;
const WARM: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_millis(2500);

/// A question: its name, what is asked, and the aim in µs of processor time.
pub struct Question {
    pub name: &'static str,
    pub query: String,
    aim: f64,
    /// Whether the hand-written server answers it too.
    of_peers: bool,
    /// Whether structs were written for it.
    of_structs: bool,
}

pub fn questions() -> Vec<Question> {
    let stay = "key checkIn checkOut nights guests status channel provenance";
    let home = "key name kind city neighbourhood bedrooms sleeps status";
    let ask = |name: &'static str, query: String, aim, of_peers| {
        let of_structs = name.starts_with("Q1") || name.starts_with("Q2") || name.starts_with("1,000");
        Question { name, query, aim, of_peers, of_structs }
    };
    vec![
        ask("__typename", "{ __typename }".into(), 15.0, true),
        ask(
            "Q1 one by key, 10 fields",
            "{ reservation(key: \"hb-50001\") { key checkIn checkOut nights guests status total { minor } channel bookedAt provenance } }".into(),
            27.0,
            true,
        ),
        ask(
            "Q2 host, 10 properties, 10 stays each",
            format!("{{ person(key: \"HOST\") {{ key properties(first: 10) {{ nodes {{ {home} reservations(first: 10) {{ nodes {{ {stay} }} }} }} }} }} }}"),
            77.0,
            true,
        ),
        ask(
            "Q3 a guest's 20 stays, property, host, prices",
            format!("{{ person(key: \"GUEST\") {{ key reservations(first: 20) {{ nodes {{ {stay} property {{ {home} host {{ key name country }} prices(first: 5) {{ nodes {{ key unit validFrom amount {{ minor }} }} }} }} }} }} }} }}"),
            43.0,
            true,
        ),
        ask(
            "Q4 stays of two weeks, sorted, 50, total",
            format!("{{ reservations(filter: {{ checkIn: {{ gte: \"2016-03-01\", lt: \"2016-03-15\" }}, property: {{ kind: {{ eq: HOTEL }} }} }}, orderBy: [{{ checkIn: ASC }}], first: 50) {{ totalCount nodes {{ {stay} }} }} }}"),
            65.0,
            true,
        ),
        ask(
            "Q5 cancelled stays of a hotel, third page",
            format!("{{ property(key: \"hotel-H2\") {{ reservations(filter: {{ status: {{ eq: CANCELLED }} }}, first: 50, after: \"CURSOR\") {{ totalCount nodes {{ {stay} }} }} }} }}"),
            41.0,
            true,
        ),
        ask("Q7 a shortest path of two people", "{ paths(from: \"Person:FROM\", to: \"Person:TO\", maxHops: 6, first: 1) { length } }".into(), 43.0, true),
        ask("1,000 nodes of 8 fields", format!("{{ reservations(first: 1000) {{ nodes {{ {stay} }} }} }}"), f64::NAN, true),
    ]
}

/// A server in a process of its own, on the first core.
pub struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).args(arguments);
        let mut child = command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("taskset (of util-linux) and {arguments:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap_or_else(|| panic!("no output"))).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| {
            let rest = line.split_once("http://")?.1;
            Some(rest.split(|letter: char| letter.is_whitespace() || letter == '/').next()?.to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("{arguments:?} does not say where it is"));
        Server { child, address }
    }

    fn cpu(&self) -> f64 {
        let stat = Path::new("/proc").join(self.child.id().to_string()).join("stat");
        spent(&stat).map_or(f64::NAN, |(_, seconds)| seconds)
    }

    pub fn ask(&self, query: &str) -> Json {
        let mut connection = Connection::open(&self.address);
        let body = connection.ask(&request(&self.address, query));
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    }
}

fn request(address: &str, query: &str) -> Vec<u8> {
    let body = json!({ "query": query }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let _ = stream.set_nodelay(true);
        Connection { stream, buffer: Vec::new() }
    }

    /// Sends a request and gives the answer's body.
    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.stream.write_all(request).unwrap_or_else(|error| panic!("a request was not sent: {error}"));
        self.buffer.clear();
        let mut chunk = [0; 64 << 10];
        loop {
            let read = self.stream.read(&mut chunk).unwrap_or_else(|error| panic!("no answer: {error}"));
            assert!(read > 0, "the server closed: {}", String::from_utf8_lossy(&self.buffer));
            self.buffer.extend_from_slice(&chunk[..read]);
            let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let length: usize = length.unwrap_or_else(|| panic!("an answer has a length: {head}"));
            if self.buffer.len() >= end + 4 + length {
                return self.buffer[end + 4..].to_vec();
            }
        }
    }
}

pub struct Measured {
    /// µs of the server's processor time a request.
    pub cpu: f64,
    pub p50: f64,
    p99: f64,
}

/// Asks one question over and over.
pub fn measure(server: &Server, query: &str) -> Measured {
    measure_each(server, query, false)
}

/// The same; a cold document is another each time, by a comment.
fn measure_each(server: &Server, query: &str, is_cold: bool) -> Measured {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let warm = Arc::new(request(&server.address, query));
    let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (warm, stop, counts) = (warm.clone(), stop.clone(), counts.clone());
            let (address, query) = (server.address.clone(), query.to_owned());
            let mut connection = Connection::open(&server.address);
            std::thread::spawn(move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let cold = is_cold.then(|| {
                        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                        request(&address, &format!("# {number}\n{query}"))
                    });
                    let started = Instant::now();
                    connection.ask(cold.as_deref().unwrap_or(&warm));
                    if counts.load(Ordering::Relaxed) {
                        times.push(started.elapsed().as_nanos() as u64);
                    }
                }
                times
            })
        })
        .collect();
    std::thread::park_timeout(WARM);
    let before = server.cpu();
    counts.store(true, Ordering::Relaxed);
    std::thread::park_timeout(MEASURED);
    let spent = server.cpu() - before;
    stop.store(true, Ordering::Relaxed);
    let mut times: Vec<u64> = clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect();
    let cpu = spent * 1e6 / times.len() as f64;
    Measured { cpu, p50: percentile(&mut times, 0.5) / 1000.0, p99: percentile(&mut times, 0.99) / 1000.0 }
}

/// The demo's events as lines.
fn events(folder: &Path) -> PathBuf {
    let path = folder.join("events.ndjson");
    let mut file = std::fs::File::create(&path).unwrap_or_else(|error| panic!("{error}"));
    for name in ["base", "trickle"] {
        let packed = format!("{}/assets/demo/{name}.ndjson.zst", env!("CARGO_MANIFEST_DIR"));
        let packed = std::fs::File::open(&packed).unwrap_or_else(|error| panic!("{packed}: {error}"));
        let mut text = ruzstd::decoding::StreamingDecoder::new(packed).unwrap_or_else(|error| panic!("{error}"));
        std::io::copy(&mut text, &mut file).unwrap_or_else(|error| panic!("{error}"));
    }
    path
}

/// Fills in who is asked for: a host of ten homes, a guest of twenty stays, two guests of one host's homes, a third page.
pub fn filled(server: &Server, query: &str) -> String {
    static KNOWN: std::sync::OnceLock<[String; 5]> = std::sync::OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let text = |value: &Json| value.as_str().unwrap_or_else(|| panic!("the demo has it: {value}")).to_owned();
        let hosts = server.ask("{ people(first: 1000, filter: { properties: { some: { reservations: { some: {} } } } }) { nodes { key properties { totalCount nodes { reservations(first: 1) { nodes { guest { key } } } } } } } }");
        let nodes = hosts["data"]["people"]["nodes"].as_array().cloned().unwrap_or_default();
        let host = nodes.iter().find(|node| node["properties"]["totalCount"].as_u64() >= Some(10));
        let host = host.unwrap_or_else(|| panic!("no host of ten homes: {hosts}"));
        let guests: Vec<&Json> = host["properties"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|home| &home["reservations"]["nodes"][0]["guest"]["key"])
            .filter(|key| key.is_string())
            .collect();
        let mut after = Json::Null;
        let guest = loop {
            let page = server.ask(&format!("{{ people(first: 1000, after: {after}, filter: {{ reservations: {{ some: {{}} }} }}) {{ pageInfo {{ endCursor }} nodes {{ key reservations {{ totalCount }} }} }} }}"));
            let nodes = page["data"]["people"]["nodes"].as_array().cloned().unwrap_or_default();
            assert!(!nodes.is_empty(), "no guest of twenty stays: {page}");
            if let Some(guest) = nodes.iter().find(|node| node["reservations"]["totalCount"].as_u64() >= Some(20)) {
                break text(&guest["key"]);
            }
            after = page["data"]["people"]["pageInfo"]["endCursor"].clone();
        };
        let list = "reservations(filter: { status: { eq: CANCELLED } }, first: 100) { pageInfo { endCursor } }";
        let page = server.ask(&format!("{{ property(key: \"hotel-H2\") {{ {list} }} }}"));
        let (first, last) = (guests[0], guests[guests.len() - 1]);
        [text(&host["key"]), guest, text(first), text(last), text(&page["data"]["property"]["reservations"]["pageInfo"]["endCursor"])]
    });
    let names = ["HOST", "GUEST", "FROM", "TO", "CURSOR"];
    names.iter().zip(known).fold(query.to_owned(), |query, (name, value)| {
        let quoted = |before: &str| format!("{before}{name}\"");
        query.replace(&quoted("\""), &format!("\"{value}\"")).replace(&quoted(":"), &format!(":{value}\""))
    })
}

pub fn run() {
    println!(
        "\n== Answers over HTTP: {CONNECTIONS} connections, one core a server; µs of its processor time a request, and latency"
    );
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let data = folder.path().join("data").display().to_string();
    let ours = Server::start(&[BINARY, "demo", "--no-trickle", "--listen", "127.0.0.1:0", "--data", &data]);
    while ours.ask("{ projection { readyAt } }")["data"]["projection"]["readyAt"].is_null() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let mercurius = peers.join("node_modules/mercurius").is_dir().then(|| {
        let events = events(folder.path()).display().to_string();
        let script = peers.join("mercurius.mjs").display().to_string();
        Server::start(&["node", &script, &events])
    });
    if mercurius.is_none() {
        println!("mercurius is not installed: cp benches/peers/* target/peers/ && npm ci --prefix target/peers");
    }
    for question in questions() {
        let query = filled(&ours, &question.query);
        let answer = ours.ask(&query);
        assert!(answer.get("errors").is_none(), "{query}: {answer:.500}");
        let bytes = answer.to_string().len();
        let own = measure(&ours, &query);
        let mut figures = format!("{:>7.1} µs (p50 {:.0}, p99 {:.0}; aim {})", own.cpu, own.p50, own.p99, question.aim);
        if let Some(peer) = mercurius.as_ref().filter(|_| question.of_peers) {
            let theirs = query
                .replace("HOTEL }", "\"HOTEL\" }")
                .replace("CANCELLED", "\"CANCELLED\"")
                .replace(": ASC", ": \"ASC\"");
            // Its cursor is a place.
            let theirs = match theirs.split_once("after: \"") {
                Some((head, rest)) => {
                    format!("{head}after: \"100\"{}", rest.split_once('"').map_or("", |(_, rest)| rest))
                }
                None => theirs,
            };
            let answered = peer.ask(&theirs);
            let is_equal = answered["data"] == answer["data"];
            let peer = measure(peer, &theirs);
            let equal = if is_equal { "" } else { ", ANOTHER ANSWER" };
            figures += &format!(
                "; mercurius {:.1} µs (p50 {:.0}, p99 {:.0}), {:.2} of it{equal}",
                peer.cpu,
                peer.p50,
                peer.p99,
                own.cpu / peer.cpu
            );
            if !is_equal && std::env::var_os("STAYGRAPH_BENCH_SHOW").is_some() {
                println!("{:.1500}\n{:.1500}", answer["data"].to_string(), answered.to_string());
            }
        }
        say(&format!("{} ({bytes} B)", question.name), &figures);
        let recorded = folder.path().join("answer.json").display().to_string();
        std::fs::write(&recorded, answer.to_string()).unwrap_or_else(|error| panic!("{error}"));
        let bench = std::env::current_exe().unwrap_or_else(|error| panic!("{error}")).display().to_string();
        let ways: &[&str] = if question.of_structs { &["bytes", "structs", "static"] } else { &["bytes"] };
        for way in ways {
            let other = Server::start(&[&bench, "serve", way, &recorded]);
            let first = other.ask(&query);
            assert!(first.get("errors").is_none(), "{way}: {first:.500}");
            let is_equal = first["data"] == answer["data"];
            let other = measure(&other, &query);
            let name = match *way {
                "bytes" => "  ready-made bytes, plain axum",
                "structs" => "  serde structs, plain axum",
                _ => "  async-graphql, static types",
            };
            let equal = if is_equal { "" } else { ", ANOTHER ANSWER" };
            let ratio = own.cpu / other.cpu;
            say(
                name,
                &format!(
                    "{:>7.1} µs (p50 {:.0}, p99 {:.0}); ours is {ratio:.2} times that{equal}",
                    other.cpu, other.p50, other.p99
                ),
            );
        }
    }
    for question in questions().iter().take(3) {
        let query = filled(&ours, &question.query);
        let cold = measure_each(&ours, &query, true);
        say(
            &format!("{}, a new document each time", question.name),
            &format!("{:>7.1} µs (p50 {:.0}, p99 {:.0})", cold.cpu, cold.p50, cold.p99),
        );
    }
    beside_ingest(&ours, folder.path());
}

/// Latency while events are posted without a pause, 1,000 a body: client, poster and server share the two cores.
fn beside_ingest(ours: &Server, folder: &Path) {
    let path = folder.join("more.ndjson");
    write_events(&path, 500_000).unwrap_or_else(|error| panic!("{error}"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let bodies: Vec<String> = lines.chunks(1000).map(|lines| lines.join("\n")).collect();
    let (address, stop, posted) =
        (ours.address.clone(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let poster = {
        let (stop, posted) = (stop.clone(), posted.clone());
        std::thread::spawn(move || {
            let mut connection = Connection::open(&address);
            for body in bodies {
                if stop.load(Ordering::Relaxed) {
                    return false;
                }
                let head = format!(
                    "POST /events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                connection.ask(&(head + &body).into_bytes());
                posted.fetch_add(1000, Ordering::Relaxed);
            }
            true
        })
    };
    let started = Instant::now();
    for question in questions().iter().filter(|question| question.name.starts_with('Q')) {
        let query = filled(ours, &question.query);
        let own = measure(ours, &query);
        say(&format!("{}, beside ingest", question.name), &format!("p50 {:.0} µs, p99 {:.0} µs", own.p50, own.p99));
    }
    let rate = posted.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64() / 1000.0;
    stop.store(true, Ordering::Relaxed);
    let ran_out = poster.join().unwrap_or_default();
    say("  events posted meanwhile", &format!("{rate:.0} k/s{}", if ran_out { ", until they ran out" } else { "" }));
}

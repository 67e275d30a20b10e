//! What one client can do to all others: each attack is refused with the code that the pages name, and meanwhile the service
//! lives, answers small queries and grows no larger.

mod crowds;
mod documents;
mod wire;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::{Reply, Service, event, folder, root};

/// Entities of each of two kinds: enough that work by the number of them shows.
const PEOPLE: usize = 3_000;
/// What may be kept of an attack that is over, in KiB.
const GROWTH_KIB_MAX: u64 = 32 << 10;

const UNREAD: &str = "GRAPHQL_PARSE_FAILED";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
const DEEP: &str = "QUERY_TOO_DEEP";
const COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INPUT: &str = "BAD_USER_INPUT";

struct Target {
    service: Service,
    _data: tempfile::TempDir,
    before_kib: u64,
}

impl Target {
    /// A service of the shipped model with people and their stays.
    fn start(options: &[&str]) -> Target {
        let data = folder();
        let service = Service::start_with(data.path(), &root("model.graphql"), options);
        let mut position = String::new();
        let numbers: Vec<usize> = (0..PEOPLE).collect();
        for some in numbers.chunks(1000) {
            let of_each = some.iter().flat_map(|n| {
                let name = json!({ "name": format!("Ann {n} aa ab ac"), "phone": format!("{n}") });
                let stay = json!({ "guestId": format!("p{n}"), "guests": n % 9, "channel": format!("c{n}") });
                [
                    event("person.registered", &format!("p{n}"), 1, name),
                    event("reservation.booked", &format!("r{n}"), 1, stay),
                ]
            });
            position = service.write(&of_each.collect::<Vec<Json>>());
        }
        service.read("{ people { totalCount } }", &position);
        service.read("{ reservations { totalCount } }", &position);
        let before_kib = used_kib(&service);
        Target { service, _data: data, before_kib }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.service.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(40))).unwrap();
        stream
    }

    /// It lives, and answers a small query.
    fn is_well(&self, during: &str) {
        assert_eq!(self.service.get("/health/live", &[]).status, 200, "{during}");
        let answer = self.service.ask("{ person(key: \"p7\") { key } }", &[]);
        assert_eq!(answer.json()["data"], json!({ "person": { "key": "p7" } }), "{during}: {}", answer.text);
    }

    /// It lives, and what it does not answer it says so at once.
    fn lives_and_answers_or_says_why(&self, during: &str) {
        assert_eq!(self.service.get("/health/live", &[]).status, 200, "{during}");
        let answer = self.service.ask("{ person(key: \"p7\") { key } }", &[]);
        assert!(answer.status == 200 || codes(&answer) == ["OVERLOADED"], "{during}: {}", answer.text);
    }

    /// It is well, and about as large as it was.
    fn is_unhurt(&self, after: &str) {
        self.is_well(after);
        let grown = used_kib(&self.service).saturating_sub(self.before_kib);
        assert!(grown < GROWTH_KIB_MAX, "{after}: the process grew by {grown} KiB");
    }

    /// The status of an answer to a body of so many bytes, of which none has come yet.
    fn announced(&self, path: &str, kind: &str, bytes: usize) -> String {
        let mut peer = self.connect();
        write!(
            peer,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\n\r\n"
        )
        .unwrap();
        let mut start = [0; 12];
        peer.read_exact(&mut start).unwrap();
        String::from_utf8_lossy(&start[9..]).into_owned()
    }

    fn post(&self, body: &Json) -> Reply {
        let kinds = [("content-type", "application/json"), ("accept", "application/graphql-response+json")];
        self.service.request("POST", "/graphql", &kinds, Some(body.to_string().as_bytes()))
    }
}

/// What the process takes of the memory, in KiB, without what its allocator has free and gives back in ten seconds.
fn used_kib(service: &Service) -> u64 {
    let metrics = service.get("/metrics", &[]).text;
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("staygraph_memory_bytes{part="));
    let bytes = lines.filter(|line| !line.starts_with("\"free\"")).map(|line| line.rsplit(' ').next().unwrap());
    bytes.map(|bytes| bytes.parse::<f64>().unwrap() as u64 >> 10).sum()
}

/// The time that a process has had of all cores, in ticks of a hundredth of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = stat.rsplit(')').next().unwrap();
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

fn codes(reply: &Reply) -> Vec<String> {
    let errors = reply.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A selection within itself.
fn nested(around: &[&str], times: usize, leaf: &str) -> String {
    let names: Vec<&str> = around.iter().copied().cycle().take(times * around.len()).collect();
    format!("{}{{{leaf}}}{}", names.join("{"), "}".repeat(names.len() - 1))
}

/// `count` of something, one after another.
fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut all, n| {
        let _ = write!(all, "{} ", one(n));
        all
    })
}

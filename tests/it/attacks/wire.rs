//! Peers that send slowly, too much, what is no HTTP, or read nothing; and pages of other sites.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use staygraph::clock;

use super::{Target, codes, many};
use crate::support::event;

/// What comes until the other side closes, or the time is over.
fn all_of(peer: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match peer.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it was not closed: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn slow_peers_are_left() {
    let target = Target::start(&["--idle-max", "1s", "--body-time-max", "1s", "--peer-connections-max", "200"]);
    let starts: [(&str, &str); 6] = [
        ("nothing at all", ""),
        ("half a line", "GET /graphql HT"),
        ("half a head", "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-a: "),
        (
            "half a body",
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{",
        ),
        (
            "half a chunk",
            "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        ),
        ("a body that is not read", "POST /health/live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900\r\n\r\n{"),
    ];
    let mut peers: Vec<(&str, TcpStream)> = Vec::new();
    for n in 0..120 {
        let (name, text) = starts[n % starts.len()];
        let mut peer = target.connect();
        peer.write_all(text.as_bytes()).unwrap();
        peers.push((name, peer));
    }
    target.is_well("slow peers");
    for (name, mut peer) in peers {
        let said = all_of(&mut peer);
        if name.contains("half a body") || name.contains("half a chunk") {
            assert!(said.starts_with("HTTP/1.1 408 "), "{name}: {said:.200}");
        }
    }
    target.is_unhurt("slow peers");
}

/// Whoever sends a large body slowly holds up nobody else's.
#[test]
fn slow_large_bodies_hold_up_nobody() {
    let target = Target::start(&[]);
    let head = "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 9000000\r\n\r\n";
    let mut peers: Vec<TcpStream> = (0..100).map(|_| target.connect()).collect();
    for peer in &mut peers {
        peer.write_all(head.as_bytes()).unwrap();
        peer.write_all(&vec![b'\n'; 200 << 10]).unwrap();
    }
    let of_each =
        (0..1000).map(|n| event("person.registered", &format!("s{n}"), 1, json!({ "name": "x".repeat(100) })));
    let position = target.service.write(&of_each.collect::<Vec<_>>());
    target.service.read("{ people { totalCount } }", &position);
    for peer in &peers {
        peer.set_nonblocking(true).unwrap();
        let answered = (&mut &*peer).read(&mut [0; 1]);
        assert!(answered.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it was not slow enough");
    }
    drop(peers);
    target.is_unhurt("slow large bodies");
}

#[test]
fn one_peer_has_so_many_connections() {
    let target = Target::start(&["--peer-connections-max", "200"]);
    // As many as one peer may have: the next is closed at once, and a place that is free is there for another.
    let idle: Vec<TcpStream> = (0..200).map(|_| target.connect()).collect();
    let (mut closed, started) = (0, clock::tick());
    while closed == 0 {
        let mut more = target.connect();
        // A service whose listener has not come to the others yet takes it: those it turns away answer nothing.
        more.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        closed += usize::from(matches!(more.read(&mut [0; 1]), Ok(0)));
        assert!(clock::tick().saturating_sub(started).as_secs() < 5, "one peer has more connections than it may");
    }
    drop(idle);
    let started = clock::tick();
    let probe = || {
        let mut peer = target.connect();
        let asked = peer.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        asked.is_ok() && all_of(&mut peer).starts_with("HTTP/1.1 200 ")
    };
    while !probe() {
        assert!(clock::tick().saturating_sub(started).as_secs() < 10, "the places are not free again");
    }
    target.is_unhurt("many connections");
}

#[test]
fn heads_and_lines_have_their_bounds() {
    let target = Target::start(&[]);
    let head = |more: &str| format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
    let large = head(&format!("x-a: {}\r\n", "a".repeat(1 << 20)));
    let numerous = head(&many(5_000, |n| format!("x-{n}: a\r\n")).replace("\r\n ", "\r\n"));
    let long = format!("GET /graphql?query={} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(1 << 20));
    for (name, text, statuses) in [
        ("large", large.as_str(), &["431"][..]),
        ("numerous", &numerous, &["431"]),
        ("long", &long, &["414", "431"]),
        ("no HTTP", "\u{16}\u{3}\u{1}hello\r\n\r\n", &["400"]),
        (
            "two lengths",
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
            &["400"],
        ),
        (
            "a chunk's size that is none",
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            &["400"],
        ),
    ] {
        let mut peer = target.connect();
        // The other side may close before it has all.
        let _ = peer.write_all(text.as_bytes());
        let mut start = [0; 16];
        match peer.read(&mut start) {
            Ok(length) => {
                let said = String::from_utf8_lossy(&start[..length]).into_owned();
                let status = said.split(' ').nth(1).unwrap_or_default();
                assert!(statuses.contains(&status), "{name}: {said}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}"),
        }
    }
    // A thousand requests before the first answer is read: each has its own.
    let mut peer = target.connect();
    let one = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut writer = peer.try_clone().unwrap();
    let sent = std::thread::spawn(move || {
        writer.write_all(one.repeat(999).as_bytes()).unwrap();
        writer.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    });
    assert_eq!(all_of(&mut peer).matches("HTTP/1.1 200 ").count(), 1000);
    sent.join().unwrap();
    target.is_unhurt("heads");
}

/// Answers that nobody reads fill no memory: a peer is read no further than its answers are taken.
#[test]
fn answers_that_nobody_reads() {
    let target = Target::start(&[]);
    let query = "{people(first:1000){nodes{id key name phone reservations(first:9){nodes{id key channel}}}}}";
    let body = json!({ "query": query }).to_string();
    let one = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut peers: Vec<TcpStream> = (0..20).map(|_| target.connect()).collect();
    let all = one.repeat(2_000);
    for peer in &mut peers {
        peer.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(length) = peer.write(&all.as_bytes()[sent..]) {
            sent += length;
            if sent == all.len() {
                break;
            }
        }
    }
    (0..20).for_each(|_| target.is_well("answers that nobody reads"));
    target.is_unhurt("answers that nobody reads");
    drop(peers);
}

#[test]
fn other_sites_get_nothing() {
    let target = Target::start(&[]);
    let service = &target.service;
    let query = br#"{"query":"{people(first:1){nodes{name}}}"}"#;
    let event = event("person.registered", "evil", 1, json!({})).to_string();
    // What a form, or a script without asking first, can send.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain; application/json",
    ] {
        for (path, body) in [
            ("/graphql", &query[..]),
            ("/events", event.as_bytes()),
            ("/dead-letters/retry", br#"{"domain":"people"}"#),
            ("/dead-letters/discard", br#"{"domain":"people"}"#),
        ] {
            let headers = [("content-type", kind), ("origin", "https://evil.example")];
            let reply = service.request("POST", path, &headers[usize::from(kind.is_empty())..], Some(body));
            // The page's origin is none of this machine: who asks is not let in, whatever they send.
            assert_eq!(reply.status, 401, "{path} `{kind}`: {}", reply.text);
            assert_eq!(reply.header("access-control-allow-origin"), None);
            let local = [("content-type", kind), ("origin", "http://localhost:3000")];
            let reply = service.request("POST", path, &local[usize::from(kind.is_empty())..], Some(body));
            assert_eq!(reply.status, 415, "{path} `{kind}`: {}", reply.text);
        }
    }
    for origin in
        ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "file://"]
    {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        for path in ["/graphql", "/events", "/dead-letters/discard"] {
            let reply = service.request("OPTIONS", path, &asked, None);
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin} {path}");
        }
        let reply = service.request(
            "POST",
            "/graphql",
            &[("origin", origin), ("content-type", "application/json")],
            Some(query),
        );
        assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
    }
    // A name that was bound anew to this machine: no event, no personal data.
    for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "[::1].evil.example"] {
        let kinds = [("host", host), ("content-type", "application/json")];
        let reply = service.request("POST", "/events", &kinds, Some(event.as_bytes()));
        assert_eq!(reply.status, 401, "{host}");
        let reply = service.request("POST", "/graphql", &kinds, Some(query));
        assert_eq!(codes(&reply), ["UNAUTHENTICATED"], "{host} {}", reply.text);
        let reply = service.request("POST", "/dead-letters/discard", &kinds, Some(br#"{"domain":"people"}"#));
        assert_eq!(reply.status, 401, "{host}");
    }
    let reply = service.get("/graphql?query=mutation%7Ba%7D", &[("accept", "application/graphql-response+json")]);
    assert!(reply.status >= 400, "{}", reply.text);
    assert_eq!(service.read("{person(key:\"evil\"){key}}", ""), json!({ "person": null }));
    target.is_unhurt("other sites");
}

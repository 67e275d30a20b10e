//! Many at once: queries, waiters, events.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use serde_json::{Value as Json, json};
use staygraph::clock;

use super::{COMPLEX, Target, codes, cpu_ticks, many};
use crate::support::{Reply, event};

/// Many at once, that all take long: some are turned away, in good time and with a word, and small ones get their turn.
#[test]
fn a_crowd_is_turned_away_and_the_small_pass() {
    let target = Target::start(&["--queries-max", "4", "--queue-max", "8", "--query-time-max", "5s"]);
    let slow = slow_query();
    let sorts = "query($f:ReservationFilter){reservations(first:1000,orderBy:[{guests:ASC},{nights:DESC}],filter:$f){nodes{guest{key}}}}";
    let letters = "{search(text:\"a\",first:1000){__typename}}";
    let bodies = [slow, json!({ "query": sorts }), json!({ "query": letters })];
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..60)
            .map(|n| {
                scope.spawn({
                    let (target, body) = (&target, &bodies[n % bodies.len()]);
                    move || target.post(body)
                })
            })
            .collect();
        (0..5).for_each(|_| target.lives_and_answers_or_says_why("a crowd"));
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let mut turned_away = 0;
    for reply in replies {
        match reply.status {
            503 => {
                assert_eq!(codes(&reply), ["OVERLOADED"]);
                assert!(reply.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok()));
                turned_away += 1;
            }
            _ => {
                let known = |code: &String| ["QUERY_TIMEOUT", COMPLEX].contains(&code.as_str());
                assert!(codes(&reply).iter().all(known), "{} {:.300}", reply.status, reply.text);
            }
        }
    }
    assert!(turned_away > 0, "nobody was turned away");
    target.is_unhurt("a crowd");
}

/// A thousand clients, each with a large sort: each is answered or told to come again, small ones are answered meanwhile, and what is
/// written is visible as ever.
#[test]
fn of_a_thousand_clients_none_is_left_without_an_answer() {
    let target = Target::start(&[]);
    let query =
        json!({ "query": "{reservations(first:500,orderBy:[{guests:ASC},{nights:DESC}]){nodes{key guest{key}}}}" });
    let (replies, small) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..1000).map(|_| scope.spawn(|| target.post(&query))).collect();
        let mut small = [0, 0];
        for n in 0..20 {
            let position = target.service.write(&[event("person.registered", &format!("c{n}"), 1, json!({}))]);
            // The projector's pace is its own, whoever waits in line: the log's end comes to be applied.
            let own = target.service.ask(
                &format!("{{person(key:\"c{n}\"){{key}}}}"),
                &[("freshness-at-least", &position), ("freshness-wait", "20s"), ("freshness-otherwise", "fail")],
            );
            match own.status {
                200 => assert_eq!(own.json()["data"]["person"]["key"], json!(format!("c{n}"))),
                _ => assert_eq!(codes(&own), ["OVERLOADED"], "{}", own.text),
            }
            small[usize::from(own.status != 200)] += 1;
        }
        (clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<Reply>>(), small)
    });
    for reply in &replies {
        match reply.status {
            200 => assert_eq!(reply.json()["data"]["reservations"]["nodes"].as_array().unwrap().len(), 500),
            503 => assert!(codes(reply) == ["OVERLOADED"] && reply.header("retry-after").is_some(), "{}", reply.text),
            status => panic!("{status} {:.300}", reply.text),
        }
    }
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(answered > 0 && small[0] > small[1], "{answered} of the crowd, and of the small {small:?}");
    target.is_unhurt("a thousand clients");
}

/// A query that takes longer than a test does: each node is asked a thousand things, again and again over links.
fn slow_query() -> Json {
    let parts: Vec<Json> = (0..200).map(|n| json!({ "channel": { "contains": format!("no-{n}") } })).collect();
    let filter = json!({ "guest": { "reservations": { "every": { "guest": { "reservations": { "some": { "or": parts } } } } } } });
    let query = many(12, |n| format!("a{n}:reservations(filter:$f){{totalCount}}"));
    json!({ "query": format!("query($f:ReservationFilter){{{query}}}"), "variables": { "f": filter } })
}

/// Whoever goes away takes the work with him.
#[test]
fn work_ends_when_nobody_waits_for_it() {
    let target = Target::start(&["--query-time-max", "10m", "--queries-max", "4"]);
    let pid = target.service.pid();
    let body = slow_query().to_string();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = target.connect();
        write!(peer, "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        peers.push(peer);
    }
    // It works: the process has half a second of the cores and no answer is there.
    let (started, before) = (clock::tick(), cpu_ticks(pid));
    while cpu_ticks(pid) < before + 50 {
        assert!(clock::tick().saturating_sub(started).as_secs() < 30, "the query is not slow enough for this test");
        target.is_well("slow queries");
    }
    for peer in &peers {
        peer.set_nonblocking(true).unwrap();
        let answered = (&mut &*peer).read(&mut [0; 1]);
        assert!(answered.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it was answered already");
    }
    peers.iter().for_each(|peer| peer.shutdown(Shutdown::Both).unwrap());
    drop(peers);
    // Every turn is free again: as many large ones as there are turns for get theirs within the time that one waits in line.
    let large = json!({ "query": "{people(first:1000){nodes{reservations(first:9){nodes{key}}}}}" });
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| target.post(&large))).collect();
        for asked in asked {
            let reply = asked.join().unwrap();
            assert!(reply.status == 200 && codes(&reply).is_empty(), "{} {:.300}", reply.status, reply.text);
        }
    });
    target.is_unhurt("clients that went away");
}

#[test]
fn more_wait_than_may() {
    let target = Target::start(&["--waiters-max", "20"]);
    let far = [("freshness-at-least", "people/0@999999999"), ("freshness-wait", "3s"), ("freshness-otherwise", "fail")];
    let stale = [("freshness-max-staleness", "0ms"), ("freshness-wait", "3s"), ("freshness-otherwise", "fail")];
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..150)
            .map(|n| {
                let demand = if n % 3 == 0 { &stale } else { &far };
                let target = &target;
                scope.spawn(move || target.service.ask("{people{totalCount}}", demand))
            })
            .collect();
        // Writing and reading it at once goes on.
        for n in 0..20 {
            let position = target.service.write(&[event("person.registered", &format!("w{n}"), 1, json!({}))]);
            let own = target.service.ask(
                &format!("{{person(key:\"w{n}\"){{key}}}}"),
                &[("freshness-at-least", &position), ("freshness-wait", "20s"), ("freshness-otherwise", "fail")],
            );
            assert!(own.status == 200 || codes(&own) == ["OVERLOADED"], "{} {}", own.status, own.text);
            target.is_well("waiters");
        }
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let turned_away = replies.iter().filter(|reply| reply.status == 503).count();
    assert!(replies.iter().filter(|reply| reply.status == 503).all(|reply| reply.header("retry-after").is_some()));
    assert!(replies.iter().all(|reply| [503, 412, 200].contains(&reply.status)));
    assert!(turned_away > 0 && turned_away < 150, "{turned_away} were turned away");
    target.is_unhurt("waiters");
}

/// One gzip member of so many MiB of a byte.
fn packed(mebibytes: usize, byte: u8) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..mebibytes).for_each(|_| packer.write_all(&vec![byte; 1 << 20]).unwrap());
    packer.finish().unwrap()
}

#[test]
fn floods_of_events_are_refused() {
    let target = Target::start(&[]);
    let lines = "application/x-ndjson";
    let zipped = |body: &[u8]| {
        target.service.request("POST", "/events", &[("content-type", lines), ("content-encoding", "gzip")], Some(body))
    };
    let poison = "1\n".repeat(8 << 20);
    let reply = target.service.post("/events", lines, &poison.as_bytes()[..16 << 20]);
    assert_eq!(reply.status, 413, "{:.300}", reply.text);
    let array = format!("[{}1]", "1,".repeat(8_000_000));
    let reply = target.service.post("/events", "application/cloudevents-batch+json", array.as_bytes());
    assert_eq!(reply.status, 413, "{:.300}", reply.text);
    assert_eq!(target.announced("/events", lines, (16 << 20) + 1), "413");
    assert_eq!(zipped(&packed(200, b'1')).status, 413);
    let twice: Vec<u8> = packed(9, b'\n').repeat(2);
    assert_eq!(zipped(&twice).status, 413, "members add up");
    assert_eq!(zipped(b"no gzip").status, 400);
    // Lines that are none are no events.
    let reply = target.service.post("/events", lines, &vec![b'\n'; 16 << 20]);
    assert!([200, 400, 413].contains(&reply.status), "{:.300}", reply.text);
    let deep = format!(
        "{{\"specversion\":\"1.0\",\"id\":\"d\",\"source\":\"/s\",\"type\":\"person.registered\",\"subject\":\"d\",\"data\":{}",
        "[".repeat(500_000)
    );
    let reply = target.service.post("/events", "application/cloudevents+json", deep.as_bytes());
    assert!([400, 422].contains(&reply.status), "{} {:.300}", reply.status, reply.text);
    // Names that are long are refused one by one, and those that are short are remembered no further than they may be.
    for (name, value) in [("id", "i"), ("source", "/s"), ("type", "person.registered"), ("dataschema", "urn:x")] {
        let mut one = event("person.registered", "long", 1, json!({}));
        one[name] = json!(format!("{value}{}", "x".repeat(300)));
        let reply = target.service.post("/events", "application/cloudevents+json", one.to_string().as_bytes());
        assert_eq!(reply.status, 422, "{name}: {:.300}", reply.text);
        assert!(reply.text.contains("BAD_ENVELOPE"), "{name}: {:.300}", reply.text);
    }
    // Many bodies of poison at once.
    let poison = "1\n".repeat(90_000);
    std::thread::scope(|scope| {
        let sent: Vec<_> =
            (0..16).map(|_| scope.spawn(|| target.service.post("/events", lines, poison.as_bytes()).status)).collect();
        target.is_well("a flood of poison");
        sent.into_iter().for_each(|sent| assert_eq!(sent.join().unwrap(), 422));
    });
    target.is_unhurt("floods");
}

/// A producer that writes what belongs in `id` into `source`: its names are kept as far as they may be, and then told.
#[test]
fn names_without_end_are_refused() {
    let target = Target::start(&[]);
    let mut position = String::new();
    for body in 0..7 {
        let of_each = (0..10_000).map(|n| {
            let mut one = event("person.registered", &format!("n{n}"), body + 1, json!({}));
            one["source"] = json!(format!("/requests/{body}-{n}"));
            one
        });
        position = target.service.write(&of_each.collect::<Vec<Json>>());
    }
    let asked = "{ people { totalCount } projection { deadLetters(code:\"BAD_ENVELOPE\", first: 1) { totalCount nodes { subject } } } }";
    let letters = target.service.read(asked, &position)["projection"]["deadLetters"].clone();
    let dead = letters["totalCount"].as_u64().unwrap();
    assert!((70_000 - 65_536..5_000).contains(&dead), "{dead} were refused");
    // Who is among them depends on the order in which partitions are read.
    let someone = &letters["nodes"][0]["subject"];
    let asked = format!("{{ person(key: {someone}) {{ completeness rejected {{ code field }} }} }}");
    let answer = target.service.read(&asked, &position);
    assert_eq!(answer["person"]["completeness"], "INCOMPLETE");
    // Of which of the bodies depends on the order in which partitions are read.
    let rejected = answer["person"]["rejected"].as_array().unwrap();
    let is_told = |one: &Json| *one == json!({ "code": "BAD_ENVELOPE", "field": "source" });
    assert!(!rejected.is_empty() && rejected.iter().all(is_told), "{answer}");
    target.is_well("names");
}

//! A network that is cut, and one that is slow, between the service and its broker.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, dump, freshness, person, until, until_caught_up, until_is};
use crate::support::{Service, folder};

const OPEN: u8 = 0;
const CUT: u8 = 1;
const SLOW: u8 = 2;
/// What a slow network lets through at a time, and how often.
const SLOW_BYTES: usize = 2048;
const SLOW_PAUSE: Duration = Duration::from_millis(25);

/// Stands between clients and a broker.
struct Relay {
    mode: Arc<AtomicU8>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(listener: TcpListener, broker: String) -> Relay {
        let relay = Relay { mode: Arc::default(), streams: Arc::default() };
        let (mode, streams) = (relay.mode.clone(), relay.streams.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if mode.load(Ordering::Acquire) == CUT {
                    continue;
                }
                let Ok(broker) = TcpStream::connect(&broker) else { continue };
                for (from, to) in [(&client, &broker), (&broker, &client)] {
                    let (from, to, mode) = (from.try_clone().unwrap(), to.try_clone().unwrap(), mode.clone());
                    streams.lock().unwrap().push(from.try_clone().unwrap());
                    std::thread::spawn(move || pass(from, to, &mode));
                }
            }
        });
        relay
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::Release);
        if mode == CUT {
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let is_slow = mode.load(Ordering::Acquire) == SLOW;
        let room = if is_slow { SLOW_BYTES } else { bytes.len() };
        match from.read(&mut bytes[..room]) {
            Ok(count) if count > 0 && to.write_all(&bytes[..count]).is_ok() => {}
            _ => break,
        }
        if is_slow {
            std::thread::park_timeout(SLOW_PAUSE);
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_network_that_is_cut_and_one_that_is_slow() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (cluster, here, there) = (Cluster::start_with(1, &[("PROXY", &port)]), folder(), folder());
    let broker = std::fs::read_to_string(cluster.folder.path().join("proxied")).unwrap();
    let relay = Relay::start(listener, broker.trim().to_owned());
    cluster.create(&[("people", 2)]);
    let writer = cluster.writer();
    let mut events = Vec::new();
    let mut write = |from: u64, to: u64| {
        for version in from..to {
            for key in ["ann", "bea", "cid"] {
                let event = person(key, version, &format!("{key} {version} {}", "x".repeat(200)));
                writer.send("people", &event);
                events.push(event);
            }
        }
        writer.flush();
    };
    write(1, 100);
    let brokers = format!("127.0.0.1:{port}");
    let service = cluster.serve_at(there.path(), &brokers, "[domains.people]\nfresh_within = \"2s\"\n");
    until_caught_up(&service, &["people"]);

    relay.set(CUT);
    write(100, 1500);
    let now = until_is(&service, "people", "LATENT", "SOURCE_UNREACHABLE");
    assert!(now["stalenessMs"].as_i64().unwrap() > 2000, "{now}");

    // About 80 KiB a second each way: it comes closer, and never calls itself there before it is.
    relay.set(SLOW);
    let end = cluster.position(&["people"]);
    let caught_up = until("everything has come through", || {
        let now = freshness(&service, "people");
        let partitions = now["partitions"].as_array().unwrap();
        let applied = |number: u64| {
            partitions.iter().find(|partition| partition["partition"] == number).map(|found| found["applied"].clone())
        };
        let all = end.split(',').all(|entry| {
            let (place, offset) = entry.rsplit_once('@').unwrap();
            let number = place.rsplit_once('/').unwrap().1.parse().unwrap();
            applied(number).is_some_and(|applied| applied.as_u64() >= offset.parse().ok())
        });
        if all {
            return Ok(now);
        }
        // The source tells its end before the records are here: fresh only within the two seconds.
        assert!(now["status"] != "FRESH" || now["stalenessMs"].as_i64().unwrap() <= 2000, "{now}");
        Err(now.to_string())
    });
    assert_eq!(caught_up["lagEvents"], json!(0), "{caught_up}");
    relay.set(OPEN);
    let embedded = Service::start(here.path());
    embedded.read("{ people { totalCount } }", &embedded.write(&events));
    assert_eq!(dump(&service), dump(&embedded));
}

//! Lag as Kafka's own tool sees it: the same numbers, at rest and under load.
//!
//! Two who ask at different times see different numbers while records flow. But log ends and what is applied only grow, so
//! the tool's answer lies between two of staygraph's, one from before it and one from after.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

use serde_json::json;

use crate::cluster::{Cluster, Told, freshness, until};
use crate::support::{Service, event, folder};

/// Partitions of the topic that flows.
const FLOWING: u64 = 4;
/// Partitions of the topic whose registry is away. The last one holds nothing.
const BLOCKED: u64 = 3;
const ROUNDS: usize = 2;

/// Every partition of a domain's only topic: what staygraph says in the tool's words.
fn own(service: &Service, domain: &str) -> BTreeMap<u64, Told> {
    let now = freshness(service, domain);
    let partitions: BTreeMap<u64, Told> = now["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|partition| !partition["end"].is_null())
        .map(|partition| {
            let number = |name: &str| partition[name].as_u64().unwrap_or_else(|| panic!("{name}: {partition}"));
            (number("partition"), Told { current: number("applied"), end: number("end"), lag: number("lagEvents") })
        })
        .collect();
    let lag: u64 = partitions.values().map(|own| own.lag).sum();
    // Of a version and a moment: the sums are right, whatever flows.
    assert!(partitions.values().all(|own| own.lag == own.end - own.current), "{now}");
    assert!(now["lagEvents"].is_null() || now["lagEvents"] == lag, "{now}");
    partitions
}

/// What the tool says of a topic's partitions.
fn told(cluster: &Cluster, topic: &str) -> BTreeMap<u64, Told> {
    let all = cluster.group().into_iter().filter(|((of, _), _)| of == topic);
    all.map(|((_, partition), told)| (partition, told)).collect()
}

/// Writes to the flowing topic, to each partition in turn, until it is told to stop.
fn flow<'scope>(scope: &'scope Scope<'scope, '_>, cluster: &'scope Cluster, stop: &'scope AtomicBool) {
    scope.spawn(|| {
        let writer = cluster.writer();
        for number in 0_u64.. {
            let partition = (number % FLOWING) as i32;
            let key = format!("p-{}", number % 1000);
            let listed = event("property.listed", &key, number / 1000 + 1, json!({ "name": format!("N {number}") }));
            writer.send_raw("properties", Some(partition), &key, Some(listed.to_string().as_bytes()), &[]);
            // The acknowledgements set the pace: some thousand records a second.
            if number % 400 == 0 {
                writer.flush();
                if stop.load(Ordering::Acquire) {
                    break;
                }
            }
        }
    });
}

/// Stops the flow however the test ends, so that its thread is not waited for.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn lag_is_what_kafkas_own_tool_says() {
    let (cluster, data) = (Cluster::start(1), folder());
    cluster.create(&[("properties", FLOWING as i32), ("people", BLOCKED as i32)]);
    // People come in Avro, and their registry is away: what is blocked lags by all that is behind it.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!("schema_registry = \"http://{nobody}\"\n[domains.people]\nencoding = \"avro\"\n");
    let service = cluster.serve(data.path(), &more);

    let writer = cluster.writer();
    // Of the blocked partitions, the first has two records that are bad without a registry, and are passed.
    let mut blocked = BTreeMap::from([(0, Told { current: 2, end: 2, lag: 0 })]);
    blocked.extend((1..BLOCKED).map(|partition| (partition, Told { current: 0, end: 0, lag: 0 })));
    (0..2).for_each(|_| writer.send_raw("people", Some(0), "bad", Some(b"no avro"), &[]));
    let block = |blocked: &mut BTreeMap<u64, Told>, count: u64| {
        for partition in 0..BLOCKED - 1 {
            let more = count * (partition + 1);
            (0..more)
                .for_each(|_| writer.send_raw("people", Some(partition as i32), "ann", Some(&[0, 0, 0, 0, 1, 2]), &[]));
            let told = blocked.get_mut(&partition).unwrap();
            (told.end, told.lag) = (told.end + more, told.lag + more);
        }
        writer.flush();
    };

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopping = Stop(&stop);
        flow(scope, &cluster, &stop);
        for round in 1..=ROUNDS {
            // Nobody moves these but this test: both say the same to the record, and it grows.
            block(&mut blocked, 100 * round as u64);
            until("staygraph says how far the blocked are behind", || {
                let own = own(&service, "people");
                if own == blocked { Ok(()) } else { Err(format!("{own:?}, not {blocked:?}")) }
            });
            until("the tool says the same of the blocked", || {
                let told = told(&cluster, "people");
                if told == blocked { Ok(()) } else { Err(format!("{told:?}, not {blocked:?}")) }
            });

            let before = own(&service, "properties");
            assert_eq!(before.len() as u64, FLOWING);
            // What was applied then is committed within seconds.
            let told = until("the tool sees what was applied", || {
                let told = told(&cluster, "properties");
                let is = before
                    .iter()
                    .all(|(partition, own)| told.get(partition).is_some_and(|told| told.current >= own.current));
                if is { Ok(told) } else { Err(format!("{told:?} after {before:?}")) }
            });
            // Ends are asked for four times a second: soon staygraph has seen the tool's.
            let after = until("staygraph sees the ends that the tool saw", || {
                let after = own(&service, "properties");
                let is = told.iter().all(|(partition, told)| after[partition].end >= told.end);
                if is { Ok(after) } else { Err(format!("{after:?} after {told:?}")) }
            });
            for (partition, told) in &told {
                let (before, after) = (before[partition], after[partition]);
                let all = format!("{partition}: {before:?} {told:?} {after:?}");
                assert_eq!(told.lag, told.end - told.current, "{all}");
                assert!(before.end <= told.end && told.end <= after.end, "{all}");
                assert!(before.current <= told.current && told.current <= after.current, "{all}");
                // It did flow meanwhile.
                assert!(before.end < after.end && before.current < after.current, "{all}");
            }
        }
        drop(stopping);
    });

    // At rest the numbers are the same, partition by partition.
    until("all that flowed is applied and committed", || {
        let (own, told) = (own(&service, "properties"), told(&cluster, "properties"));
        let is = own == told && own.len() as u64 == FLOWING && own.values().all(|own| own.lag == 0 && own.current > 0);
        if is { Ok(()) } else { Err(format!("{own:?}, not {told:?}")) }
    });
    assert_eq!(told(&cluster, "people"), blocked);
}

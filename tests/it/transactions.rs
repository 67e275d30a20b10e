//! The gate that holds transactions back until they are whole: what it lets through, in which steps, and for how long not.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value as Json;
use staygraph::cdc::{self, Logged, Mapping, Message};
use staygraph::event::{Batch, End, Part, Transaction};
use staygraph::freshness::Moment;
use staygraph::ids::{Id, PartitionId, TopicId};
use staygraph::model::value::Instant;
use staygraph::projection::{Boundaries, Gate, Step};

const HOLD_MS: i64 = 1000;
/// Two tables with two partitions each, and the topic that tells boundaries, with two.
const TOPICS: [usize; 6] = [0, 0, 1, 1, 2, 2];
const BOUNDARIES: TopicId = TopicId(2);

fn at(ms: i64) -> Instant {
    Instant::from_micros(ms * 1000)
}

/// A moment of ours, long after all that the logs tell of.
fn moment(now: Instant) -> Moment {
    Moment { at: at(1 << 42), tick_ms: now.micros() / 1000 }
}

/// A record of a partition, appended at some millisecond.
#[derive(Clone, Debug)]
enum Record {
    Alone,
    Row(u64, u64),
    End(u64, Vec<(&'static str, u64)>),
}

/// What each partition holds, in order.
#[derive(Clone, Debug, Default)]
struct Logs {
    partitions: [Vec<(i64, Record)>; 6],
}

/// A transaction: the partitions of its rows, in order, and that of its end.
#[derive(Clone, Debug)]
struct Made {
    rows: Vec<usize>,
    end: usize,
    /// Records before it that are of none.
    alone: Vec<usize>,
}

fn made() -> impl Strategy<Value = Made> {
    let rows = proptest::collection::vec(0..4usize, 1..5);
    (rows, 4..6usize, proptest::collection::vec(0..4usize, 0..2)).prop_map(|(rows, end, alone)| Made {
        rows,
        end,
        alone,
    })
}

impl Logs {
    /// Writes transactions one after the other, as a connector does; each takes a millisecond.
    fn of(all: &[Made]) -> Logs {
        let mut logs = Logs::default();
        for (number, made) in all.iter().enumerate() {
            let (id, ms) = (number as u64, number as i64);
            made.alone.iter().for_each(|partition| logs.partitions[*partition].push((ms, Record::Alone)));
            let mut counts: HashMap<&str, u64> = HashMap::new();
            for (order, partition) in made.rows.iter().enumerate() {
                logs.partitions[*partition].push((ms, Record::Row(id, order as u64)));
                *counts.entry(["a", "b"][TOPICS[*partition]]).or_default() += 1;
            }
            // A table that nobody reads counts for nothing.
            counts.insert("elsewhere", 7);
            logs.partitions[made.end].push((ms, Record::End(id, counts.into_iter().collect())));
        }
        logs
    }

    fn end(&self, partition: usize) -> u64 {
        self.partitions[partition].len() as u64
    }
}

/// Some records of a partition.
fn batch(logs: &Logs, partition: usize, from: usize, count: usize) -> Box<Batch> {
    let mut batch = Box::new(Batch::new(PartitionId::of(partition)));
    for (index, (ms, record)) in logs.partitions[partition].iter().enumerate().skip(from).take(count) {
        let offset = index as u64;
        match record {
            Record::Alone => {}
            Record::Row(id, order) => {
                batch.parts.push((offset, at(*ms), Part { transaction: Transaction(*id), order: *order }));
            }
            Record::End(id, counts) => {
                let counts = counts.iter().map(|(table, count)| ((*table).into(), *count)).collect();
                batch.ends.push((at(*ms), End { transaction: Transaction(*id), counts }));
            }
        }
        batch.count(offset, at(*ms), 100);
    }
    batch
}

/// A gate, what it has let through of each partition, and what it has split.
struct World {
    gate: Gate,
    applied: [u64; 6],
    split: usize,
}

impl World {
    fn new() -> World {
        let tables = [("a".into(), TopicId(0)), ("b".into(), TopicId(1))].into();
        let mut gate = Gate::new(vec![Boundaries { topic: BOUNDARIES, tables, hold_max_ms: HOLD_MS }], moment(at(0)));
        TOPICS.iter().for_each(|topic| gate.add(TopicId::of(*topic), moment(at(0))));
        World { gate, applied: [0; 6], split: 0 }
    }

    /// Hands on some records of a partition.
    fn take(&mut self, logs: &Logs, partition: usize, from: usize, count: usize, now: Instant) {
        let batch = batch(logs, partition, from, count);
        self.does(|gate, steps| gate.take(batch, moment(now), steps));
    }

    fn look(&mut self, now: Instant) {
        self.does(|gate, steps| gate.look(moment(now), steps));
    }

    fn does(&mut self, what: impl FnOnce(&mut Gate, &mut dyn FnMut(Step<'_>))) {
        let World { gate, applied, split } = self;
        what(gate, &mut |step| match step {
            Step::Part(batch, until) => {
                let applied = &mut applied[batch.partition.index()];
                *applied = (*applied).max(until);
            }
            Step::Rest(batch) => applied[batch.partition.index()] = batch.next_offset,
            Step::Split(topic) => {
                assert_eq!(topic, BOUNDARIES);
                *split += 1;
            }
        });
    }

    /// The transactions that are let through in part.
    fn halves(&self, logs: &Logs) -> Vec<u64> {
        let mut seen: HashMap<u64, (bool, bool)> = HashMap::new();
        for (partition, records) in logs.partitions.iter().enumerate() {
            for (offset, (_, record)) in records.iter().enumerate() {
                if let Record::Row(id, _) = record {
                    let seen = seen.entry(*id).or_default();
                    match (offset as u64) < self.applied[partition] {
                        true => seen.0 = true,
                        false => seen.1 = true,
                    }
                }
            }
        }
        let mut halves: Vec<u64> = seen.into_iter().filter(|(_, seen)| seen.0 && seen.1).map(|(id, _)| id).collect();
        halves.sort_unstable();
        halves
    }

    /// Hands all on, as many records of a partition at a time as `turns` says, then what is left; `check` looks after each.
    fn run(&mut self, logs: &Logs, turns: &[(usize, usize)], now: Instant, check: impl Fn(&World)) {
        let mut next = [0; 6];
        let rest = (0..6).map(|partition| (partition, usize::MAX));
        for (partition, count) in turns.iter().copied().chain(rest) {
            let count = count.min(logs.partitions[partition].len() - next[partition]);
            if count > 0 {
                self.take(logs, partition, next[partition], count, now);
                next[partition] += count;
                check(self);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn transactions_come_whole_however_their_records_arrive(
        all in proptest::collection::vec(made(), 1..40),
        turns in proptest::collection::vec((0..6usize, 1..8usize), 0..80),
    ) {
        let logs = Logs::of(&all);
        let mut world = World::new();
        world.run(&logs, &turns, at(0), |world| assert_eq!(world.halves(&logs), [0; 0]));
        for partition in 0..6 {
            prop_assert_eq!(world.applied[partition], logs.end(partition));
        }
        prop_assert_eq!((world.split, world.gate.is_holding()), (0, false));
    }

    #[test]
    fn what_does_not_come_splits_its_own_transaction_alone(
        all in proptest::collection::vec(made(), 1..40),
        lost in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..5),
        turns in proptest::collection::vec((0..6usize, 1..8usize), 0..80),
    ) {
        let mut logs = Logs::of(&all);
        let mut broken: Vec<u64> = Vec::new();
        for (number, row, is_end) in lost {
            let number = number.index(all.len());
            let row = row.index(all[number].rows.len()) as u64;
            let is_lost = |record: &Record| match record {
                Record::Alone => false,
                Record::Row(id, order) => !is_end && (*id, *order) == (number as u64, row),
                Record::End(id, _) => is_end && *id == number as u64,
            };
            // The place stays: offsets are not dense.
            let records = logs.partitions.iter_mut().flatten().filter(|(_, record)| is_lost(record));
            records.for_each(|(_, record)| *record = Record::Alone);
            broken.push(number as u64);
        }
        let mut world = World::new();
        world.run(&logs, &turns, at(0), |world| {
            let halves = world.halves(&logs);
            assert!(halves.iter().all(|half| broken.contains(half)), "{halves:?} of {broken:?}");
        });
        // Nothing is held for longer than twice what is asked, whatever is missing.
        for ms in (0..=2 * HOLD_MS).step_by(100) {
            world.look(at(ms));
            let halves = world.halves(&logs);
            prop_assert!(halves.iter().all(|half| broken.contains(half)), "{:?} of {:?}", halves, broken);
        }
        for partition in 0..6 {
            prop_assert_eq!(world.applied[partition], logs.end(partition), "{}", partition);
        }
        prop_assert!(world.split <= broken.len() && !world.gate.is_holding());
    }

    #[test]
    fn what_a_worker_repeats_waits_for_nothing(
        all in proptest::collection::vec(made(), 1..30),
        from in any::<prop::sample::Index>(),
        turns in proptest::collection::vec((0..6usize, 1..8usize), 0..80),
    ) {
        let mut logs = Logs::of(&all);
        // Some of the last transaction that it repeats were kept: the worker did not know.
        let again = from.index(all.len()) as u64;
        for records in &mut logs.partitions {
            let repeated: Vec<_> = records
                .iter()
                .filter(|(_, record)| matches!(record, Record::Row(id, _) | Record::End(id, _) if *id >= again))
                .cloned()
                .collect();
            records.extend(repeated.into_iter().skip(1));
        }
        let mut world = World::new();
        world.run(&logs, &turns, at(0), |_| ());
        for partition in 0..6 {
            prop_assert_eq!(world.applied[partition], logs.end(partition));
        }
        prop_assert_eq!(world.split, 0);
    }
}

fn logs(partitions: &[(usize, &[(i64, Record)])]) -> Logs {
    let mut logs = Logs::default();
    partitions.iter().for_each(|(partition, records)| logs.partitions[*partition] = records.to_vec());
    logs
}

/// While a partition is read that is far behind, what it will bring is waited for, however long that takes.
#[test]
fn a_partition_that_gives_is_waited_for() {
    let mut behind: Vec<(i64, Record)> = (0..100).map(|ms| (ms, Record::Alone)).collect();
    behind.push((500, Record::Row(1, 1)));
    let logs = logs(&[
        (0, &[(500, Record::Row(1, 0))]),
        (2, &behind),
        (4, &[(500, Record::End(1, vec![("a", 1), ("b", 1)]))]),
    ]);
    let mut world = World::new();
    world.take(&logs, 0, 0, 1, at(0));
    world.take(&logs, 4, 0, 1, at(0));
    for index in 0..100 {
        let now = at(index as i64 * (HOLD_MS - 1));
        world.look(now);
        assert_eq!((world.applied[0], world.split), (0, 0), "{index}");
        world.take(&logs, 2, index, 1, now);
    }
    world.take(&logs, 2, 100, 1, at(100 * HOLD_MS));
    assert_eq!((world.applied[0], world.applied[2], world.split), (1, 101, 0));
}

/// Where a partition gives what is newer, what is missing will not come.
#[test]
fn what_is_newer_tells_that_nothing_will_come() {
    let logs = logs(&[
        (0, &[(0, Record::Row(1, 0))]),
        (2, &[(10, Record::Alone), (HOLD_MS + 1, Record::Alone)]),
        (3, &[(HOLD_MS + 1, Record::Alone)]),
        (4, &[(0, Record::End(1, vec![("a", 1), ("b", 1)]))]),
    ]);
    let mut world = World::new();
    world.take(&logs, 0, 0, 1, at(0));
    world.take(&logs, 4, 0, 1, at(0));
    world.take(&logs, 3, 0, 1, at(0));
    world.take(&logs, 2, 0, 1, at(0));
    assert_eq!((world.applied[0], world.split), (0, 0));
    world.take(&logs, 2, 1, 1, at(0));
    assert_eq!((world.applied[0], world.split), (1, 1));
}

/// What a partition has that is there and not found yet is waited for, however far the others of its topic are.
#[test]
fn a_partition_that_is_not_found_is_waited_for() {
    let logs = logs(&[
        (0, &[(0, Record::Row(1, 0))]),
        (2, &[(HOLD_MS + 1, Record::Alone)]),
        (4, &[(0, Record::End(1, vec![("a", 1), ("b", 1)]))]),
    ]);
    for (tells, looks_at, applied, split) in [
        (&[][..], 0, 1, 1),
        (&[true], 0, 0, 0),
        (&[true], HOLD_MS - 1, 0, 0),
        (&[true], HOLD_MS, 1, 1),
        (&[true, false], 0, 1, 1),
    ] {
        let tables = [("a".into(), TopicId(0)), ("b".into(), TopicId(1))].into();
        let mut gate = Gate::new(vec![Boundaries { topic: BOUNDARIES, tables, hold_max_ms: HOLD_MS }], moment(at(0)));
        // Of the second table one partition is found; the places in between are the others', and give nothing.
        [0, 0, 1, 2, 2].into_iter().for_each(|topic| gate.add(TopicId::of(topic), moment(at(0))));
        tells.iter().for_each(|has_more| gate.list(TopicId(1), *has_more));
        let mut world = World { gate, applied: [0; 6], split: 0 };
        for (partition, of) in [(0, 0), (3, 4), (2, 2)] {
            let mut batch = batch(&logs, of, 0, 1);
            batch.partition = PartitionId::of(partition);
            world.does(|gate, steps| gate.take(batch, moment(at(0)), steps));
        }
        world.look(at(looks_at));
        assert_eq!((world.applied[0], world.split), (applied, split), "{tells:?} {looks_at}");
    }
}

/// A transaction that does not fit is not waited for; nor is one whose boundaries nobody tells.
#[test]
fn what_cannot_be_whole_is_let_through() {
    let rows: Vec<(i64, Record)> = (0..400_000).map(|order| (0, Record::Row(1, order))).collect();
    let logs = logs(&[(0, &rows), (4, &[(0, Record::End(1, vec![("a", 400_000)]))])]);
    let mut world = World::new();
    world.take(&logs, 4, 0, 1, at(0));
    let mut next = 0;
    while world.split == 0 {
        assert!(!world.gate.is_full(PartitionId(0)) && next < 400_000);
        world.take(&logs, 0, next, 10_000, at(0));
        next += 10_000;
    }
    assert!(next * 100 >= 16_000_000, "{next}");
    assert_eq!(world.applied[0], next as u64);

    let mut gate = Gate::new(
        vec![Boundaries { topic: BOUNDARIES, tables: [("a".into(), TopicId(0))].into(), hold_max_ms: HOLD_MS }],
        moment(at(0)),
    );
    gate.add(TopicId(0), moment(at(0)));
    let mut world = World { gate, applied: [0; 6], split: 0 };
    world.take(&logs, 0, 0, 3, at(0));
    assert_eq!((world.applied[0], world.split), (0, 0));
    world.look(at(HOLD_MS));
    assert_eq!((world.applied[0], world.split), (3, 1));
}

/// What comes next is not the continuation of what is held: it goes first.
#[test]
fn a_partition_can_be_released() {
    let logs = logs(&[(0, &[(0, Record::Row(1, 0)), (0, Record::Row(2, 0))]), (1, &[(0, Record::Row(3, 0))])]);
    let mut world = World::new();
    world.take(&logs, 0, 0, 2, at(0));
    world.take(&logs, 1, 0, 1, at(0));
    assert_eq!(world.applied, [0; 6]);
    world.does(|gate, steps| gate.release(PartitionId(0), moment(at(0)), steps));
    assert_eq!((world.applied[0], world.applied[1], world.split), (2, 0, 2));
}

/// What Debezium wrote of transactions that were rolled back in part or in whole, moved keys, emptied tables, touched what is
/// not read: partition after partition, nothing of one is ever let through before all of it is there.
#[test]
fn real_boundaries_are_understood() {
    for (database, schema) in [("postgresql", "public"), ("mariadb", "legacy")] {
        let path = format!("{}/tests/data/cdc/transactions/{database}.ndjson", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let records: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let tables = ["gst_mst", "bkng_hdr"].map(|table| format!("{schema}.{table}"));
        let topics =
            [format!("legacy.{}", tables[0]), format!("legacy.{}", tables[1]), "legacy.transaction".to_owned()];
        let mapping = Mapping::compile("t", "none.jq", "empty").unwrap();
        let named =
            tables.iter().enumerate().map(|(topic, table)| (table.as_str().into(), TopicId::of(topic))).collect();
        let mut gate =
            Gate::new(vec![Boundaries { topic: BOUNDARIES, tables: named, hold_max_ms: HOLD_MS }], moment(at(0)));
        let partitions: Vec<(usize, u64)> =
            (0..3).flat_map(|topic| (0..3).map(move |number| (topic, number))).collect();
        partitions.iter().for_each(|(topic, _)| gate.add(TopicId::of(*topic), moment(at(0))));
        let (mut applied, mut parts) = (vec![0; 9], HashMap::<Transaction, Vec<(usize, u64)>>::new());
        for (partition, (topic, number)) in partitions.iter().enumerate() {
            let own =
                records.iter().filter(|record| record["topic"] == topics[*topic] && record["partition"] == *number);
            for record in own {
                let bytes = |part: &Json| (!part.is_null()).then(|| part.to_string().into_bytes());
                let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
                let offset = record["offset"].as_u64().unwrap();
                let time = at(record["timestamp"].as_i64().unwrap());
                let mut batch = Box::new(Batch::new(PartitionId::of(partition)));
                if *topic == 2 {
                    let end = cdc::end(value.as_deref().unwrap()).unwrap();
                    batch.ends.extend(end.map(|end| (time, end)));
                } else {
                    let logged = Logged { offset, at: time };
                    let message = Message { key: key.as_deref(), value: value.as_deref(), headers: &[], logged };
                    if let Some(part) = mapping.read(&message).part {
                        parts.entry(part.transaction).or_default().push((partition, offset));
                        batch.parts.push((offset, time, part));
                    }
                }
                batch.count(offset, time, 1);
                gate.take(batch, moment(at(0)), &mut |step| match step {
                    Step::Part(batch, until) => applied[batch.partition.index()] = until,
                    Step::Rest(batch) => applied[batch.partition.index()] = batch.next_offset,
                    Step::Split(_) => panic!("{database}: a transaction is not whole: {record}"),
                });
                for (transaction, places) in &parts {
                    let passed = places.iter().filter(|(partition, offset)| *offset < applied[*partition]).count();
                    assert!(
                        passed == 0 || passed == places.len(),
                        "{database}: {transaction:?} {places:?} {applied:?}"
                    );
                }
            }
        }
        assert!(parts.values().any(|places| places.len() > 2) && !gate.is_holding(), "{database}");
    }
}

/// A record whose stamp is in the future ends nobody's wait, on its own partition or on others; and a wall clock that is set
/// back does not make a wait longer.
#[test]
fn a_stamp_in_the_future_ends_no_wait() {
    let (future, now) = (1 << 43, 1 << 41);
    let logs = logs(&[
        (0, &[(now, Record::Row(1, 0)), (future, Record::Alone)]),
        (1, &[(future, Record::Alone)]),
        (2, &[(now, Record::Row(1, 1))]),
        (3, &[(now, Record::Alone)]),
        (4, &[(now, Record::End(1, vec![("a", 1), ("b", 2)])), (future, Record::Alone)]),
    ]);
    let mut world = World::new();
    let wall = |ms: i64, tick_ms: i64| Moment { at: at(ms), tick_ms };
    for (partition, count) in [(0, 2), (1, 1), (2, 1), (3, 1), (4, 2)] {
        let batch = batch(&logs, partition, 0, count);
        world.does(|gate, steps| gate.take(batch, wall(now, 0), steps));
    }
    // Partition 3 may still have the second row of `b`.
    assert_eq!((world.applied[0], world.applied[2], world.split), (0, 0, 0));
    world.does(|gate, steps| gate.look(wall(now - 3_600_000, HOLD_MS - 1), steps));
    assert_eq!((world.applied[0], world.split), (0, 0));
    world.does(|gate, steps| gate.look(wall(now - 3_600_000, 2 * HOLD_MS), steps));
    assert_eq!((world.applied[0], world.split), (2, 1));
}

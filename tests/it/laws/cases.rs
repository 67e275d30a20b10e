//! What the laws leave out, by hand: counters, dead letters, the lowest hundred, what an event's type sets.

use serde_json::{Value as Json, json};
use staygraph::event::{Code, OrderBy};
use staygraph::graph::Node;
use staygraph::ids::{DomainId, EntityId, PartitionId};
use staygraph::model::value::Instant;
use staygraph::projection::{Counters, Erased, Snapshot};

use super::world::{Log, Modes, World};

const GUEST: EntityId = EntityId(0);

/// An event of guest `k0`: its id, what happened, its version and second, its data.
fn event(id: &str, verb: &str, sequence: u64, second: u64, data: Json) -> Vec<u8> {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/s", "type": format!("guest.{verb}"), "subject": "k0",
        "time": format!("2024-01-01T00:00:{second:02}Z"), "sequence": sequence, "data": data,
    });
    event.to_string().into_bytes()
}

fn log(events: impl IntoIterator<Item = Vec<u8>>) -> Log {
    (0..).zip(events).collect()
}

fn project(mut world: World, report_gaps: bool, events: impl IntoIterator<Item = Vec<u8>>) -> Snapshot {
    world.rules[DomainId(0)].report_gaps = report_gaps;
    let records = log(events);
    let mut projector = world.projector();
    projector.apply(&world.batch(PartitionId(0), &records, records.len() as u64), Instant::EPOCH);
    let snapshot = projector.publish();
    assert_eq!(snapshot.graph.validate(), Ok(()));
    snapshot
}

fn by(order_by: OrderBy) -> World {
    let modes: Modes = [order_by; 2];
    World::new(modes)
}

fn guest(snapshot: &Snapshot) -> Node<'_> {
    snapshot.graph.node(snapshot.graph.find(GUEST, "k0").expect("the guest is known"))
}

fn field(snapshot: &Snapshot, name: &str) -> String {
    let index = snapshot.graph.model().entities[GUEST].field_named(name).expect("a field of the model");
    format!("{:?}", guest(snapshot).value(index))
}

#[test]
fn missing_versions_are_the_lowest_hundred() {
    let check = |report_gaps, events: &[(&str, u64)], expected: Vec<u64>| {
        let events: Vec<Vec<u8>> =
            events.iter().map(|(verb, version)| event(&format!("e{version}"), verb, *version, 0, json!({}))).collect();
        let reversed: Vec<Vec<u8>> = events.iter().rev().cloned().collect();
        for events in [events, reversed] {
            let snapshot = project(by(OrderBy::Sequence), report_gaps, events);
            assert_eq!(guest(&snapshot).missing().collect::<Vec<_>>(), expected);
        }
    };
    check(true, &[("joined", 1), ("seen", 2)], vec![]);
    check(true, &[("joined", 3), ("seen", 5)], vec![1, 2, 4]);
    check(true, &[("seen", 251)], (1..=100).collect());
    check(true, &[("seen", 50), ("seen", 251)], (1..=49).chain(51..=101).collect());
    check(true, &[("deleted", 40), ("seen", 43)], vec![41, 42]);
    check(true, &[("seen", 2), ("deleted", 40)], vec![]);
    check(true, &[("deleted", 40), ("seen", i64::MAX as u64)], (41..=140).collect());
    check(false, &[("seen", 251)], vec![]);
}

#[test]
fn duplicates_and_conflicts_are_counted() {
    let counters = |snapshot: &Snapshot| snapshot.counters[DomainId(0)];
    let expected = |applied, duplicates, conflicts| Counters { applied, duplicates, conflicts, dead: 0 };
    let twice = || ["a", "b", "a", "b", "a"].map(|id| event(id, "seen", if id == "a" { 1 } else { 2 }, 0, json!({})));
    for order_by in [OrderBy::Sequence, OrderBy::Position, OrderBy::Time] {
        assert_eq!(counters(&project(by(order_by), true, twice())), expected(2, 3, 0), "{order_by:?}");
    }
    // Two events under one version: the second is a conflict, and each of them again a duplicate.
    let clash = || {
        ["a", "b", "b", "a"].map(|id| {
            let data = if id == "a" { json!({ "level": 1, "limit": 5 }) } else { json!({ "level": 2 }) };
            event(id, "changed", 1, 0, data)
        })
    };
    let snapshot = project(by(OrderBy::Sequence), true, clash());
    assert_eq!(counters(&snapshot), expected(2, 2, 1));
    // The greater (source, id) wins the field that both set, and no other.
    assert_eq!((field(&snapshot, "level"), field(&snapshot, "limit")), ("Int(2)".into(), "Int(5)".into()));
    assert_eq!(counters(&project(by(OrderBy::Time), true, clash())), expected(2, 2, 0));
}

#[test]
fn under_position_the_first_position_counts() {
    let first = event("a", "changed", 1, 9, json!({ "level": 1 }));
    let second = event("b", "changed", 1, 0, json!({ "level": 2 }));
    let snapshot = project(by(OrderBy::Position), true, [first.clone(), second, first]);
    assert_eq!(field(&snapshot, "level"), "Int(2)");
    assert_eq!(guest(&snapshot).last_event().map(|event| event.offset), Some(1));
}

#[test]
fn dead_letters_block_nothing() {
    let refused = [
        (b"{".to_vec(), Code::BadJson),
        (b"[]".to_vec(), Code::BadEnvelope),
        (event("x", "", 1, 0, json!({})), Code::UnknownEntity),
        (event("y", "changed", 0, 0, json!({})), Code::BadField),
        (event("z", "changed", 2, 0, json!({ "level": 4, "limit": 1 })), Code::CheckFailed),
        (vec![b' '; 1 << 17], Code::TooLarge),
    ];
    let good = [event("a", "changed", 1, 0, json!({ "level": 1 })), event("b", "changed", 2, 0, json!({ "level": 2 }))];
    let middle = refused.iter().map(|(bytes, _)| bytes.clone());
    let snapshot =
        project(by(OrderBy::Sequence), true, [good[0].clone()].into_iter().chain(middle).chain([good[1].clone()]));

    assert_eq!(field(&snapshot, "level"), "Int(2)");
    assert_eq!(snapshot.applied[PartitionId(0)], 8);
    assert_eq!(snapshot.counters[DomainId(0)], Counters { applied: 2, duplicates: 0, conflicts: 0, dead: 6 });
    let letters: Vec<_> = snapshot.dead_letters.iter().map(|(_, letter)| letter).collect();
    assert_eq!(letters.len(), 6);
    for ((offset, letter), (bytes, code)) in (1..).zip(letters).zip(&refused) {
        assert_eq!((letter.offset, letter.rejection.code, &*letter.bytes), (offset, *code, &**bytes));
        assert_eq!(snapshot.catalogue[GUEST].dead_letters.get(code), Some(&1));
    }
}

#[test]
fn what_the_type_sets_is_set_by_data_where_data_names_it() {
    let check = |data: Json, status: &str, seen_at: &str| {
        let snapshot = project(by(OrderBy::Time), true, [event("a", "joined", 1, 7, data)]);
        assert_eq!(field(&snapshot, "status"), status);
        let at = field(&snapshot, "seenAt");
        let expected = match seen_at {
            "" => "Null".to_owned(),
            text => format!("DateTime({:?})", Instant::parse(text).expect("an instant")),
        };
        assert_eq!(at, expected);
    };
    check(json!({}), "Enum(0)", "2024-01-01T00:00:07Z");
    check(json!({ "status": "BACK" }), "Enum(2)", "2024-01-01T00:00:07Z");
    check(json!({ "status": null, "seenAt": null }), "Null", "");
    check(json!({ "seenAt": "2020-01-01T00:00:00Z" }), "Enum(0)", "2020-01-01T00:00:00Z");
}

/// A personal value that is derived from fields that are not must not come back either.
#[test]
fn derived_personal_values_are_erased() {
    let known = event("a", "changed", 1, 0, json!({ "level": 1, "limit": 2 }));
    let late = event("c", "changed", 3, 0, json!({ "limit": 4 }));
    let snapshot = project(by(OrderBy::Sequence), true, [known.clone()]);
    assert_eq!(field(&snapshot, "secret"), "Int(2001)");
    let snapshot = project(by(OrderBy::Sequence), true, [known, event("b", "erased", 2, 0, json!({})), late]);
    assert_eq!((field(&snapshot, "secret"), field(&snapshot, "spare")), ("Null".into(), "Int(3)".into()));
}

/// Dead letters of the erased keep their place and the reason, and who keeps more of them is told.
#[test]
fn letters_of_the_erased_say_nothing() {
    let world = by(OrderBy::Sequence);
    let bad = |id: &str, version| event(id, "changed", version, 0, json!({ "code": "no number" }));
    let records = log([bad("a", 1), event("b", "erased", 2, 0, json!({})), bad("c", 3)]);
    let mut projector = world.projector();
    projector.apply(&world.batch(PartitionId(0), &records[..1], 1), Instant::EPOCH);
    let says = |projector: &staygraph::projection::Projector| {
        let letters = projector.dead_letters().iter();
        let says = letters.map(|(_, letter)| {
            assert_eq!((letter.rejection.code, letter.rejection.id.is_some()), (Code::BadField, true));
            (letter.is_erased, !letter.bytes.is_empty() || letter.rejection.subject.is_some())
        });
        says.collect::<Vec<_>>()
    };
    assert_eq!((says(&projector), projector.take_erased()), (vec![(false, true)], Erased::default()));
    projector.apply(&world.batch(PartitionId(0), &records, 3), Instant::EPOCH);
    assert_eq!(says(&projector), [(true, false), (true, false)]);
    let reached = Erased { subjects: vec![(GUEST, "k0".into())], letters: vec![0] };
    assert_eq!((projector.take_erased(), projector.take_erased()), (reached, Erased::default()));
    let bytes = projector.dead_letters().bytes();
    projector.discard(&[0, 1]);
    assert!(bytes > 0 && projector.dead_letters().bytes() == 0, "what they take is counted as they are");
}

/// The older record of the erased goes as soon as nobody reads it, not when its page is looked at again.
#[test]
fn the_older_record_of_the_erased_goes_when_nobody_reads_it() {
    let world = by(OrderBy::Sequence);
    let known = event("a", "changed", 1, 0, json!({ "name": "Ann" }));
    let records = log([known, event("b", "erased", 2, 0, json!({}))]);
    let mut projector = world.projector();
    projector.apply(&world.batch(PartitionId(0), &records[..1], 1), Instant::EPOCH);
    let before = projector.publish();
    projector.apply(&world.batch(PartitionId(0), &records, 2), Instant::EPOCH);
    let after = projector.publish();
    assert!(projector.drop_faded(), "somebody reads it");
    assert_eq!((field(&before, "name"), projector.older()), ("String(\"Ann\")".into(), 1));
    drop(before);
    assert!(!projector.drop_faded());
    assert_eq!((field(&after, "name"), projector.older()), ("Null".into(), 0));
}

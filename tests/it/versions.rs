//! Versions that are held: what one changed of another is told, whole, and from where that is no longer so it is refused.

use std::sync::Arc;

use staygraph::freshness::{Moment, Thresholds};
use staygraph::graph::View;
use staygraph::ids::{EntityId, Slot};
use staygraph::limits::{VERSIONS_BYTES_MAX, VERSIONS_MAX, WRITTEN_MAX};
use staygraph::model::value::Instant;
use staygraph::projection::Snapshot;
use staygraph::serving::{DomainServing, Generation, Serving, Since};

use crate::concurrency::{Feed, GUEST, STAY};
use crate::laws::digests;

fn still() -> Moment {
    Moment { at: Instant::EPOCH, tick_ms: 1 }
}

fn begin(first: Snapshot) -> Arc<Generation> {
    let model = first.graph.model().clone();
    let domain = DomainServing { thresholds: Thresholds::default(), held: None };
    let domains = vec![domain; model.domains.len()];
    Arc::new(Serving::new(first.topics.len(), 0, Box::new(|| ()), still)).begin(model, domains.into(), first)
}

/// A slot's record; none where the version does not have the slot.
fn record(view: &View, entity: EntityId, slot: Slot) -> Option<Vec<u8>> {
    (slot.index() < view.slots(entity).len()).then(|| view.node(entity.node(slot)).bytes().to_vec())
}

/// All that differs between two versions is told, each slot once and in order.
pub fn check(since: &Since, after: &View) {
    let before = &since.before().graph;
    for entity in after.model().entities.ids() {
        let written = since.written(entity);
        assert!(written.is_sorted_by(|a, b| a < b), "{written:?}");
        assert!(written.last().is_none_or(|last| last.index() < after.slots(entity).len()), "{written:?}");
        let differ = after.slots(entity).filter(|slot| record(before, entity, *slot) != record(after, entity, *slot));
        let untold: Vec<Slot> = differ.filter(|slot| written.binary_search(slot).is_err()).collect();
        assert!(untold.is_empty(), "{untold:?} of {entity:?} changed, and nobody is told");
    }
}

fn digested(generation: &Generation, snapshot: &Snapshot) {
    let made = generation.digests(snapshot, || Ok::<(), ()>(())).unwrap();
    assert_eq!(made.to_vec(), digests(&snapshot.graph), "version {}", snapshot.version);
}

/// A few changes of some pairs.
fn change(feed: &mut Feed, count: u64, pairs: u64) {
    for _ in 0..count {
        let (pair, number) = (feed.random(pairs) as usize, feed.random(40));
        match feed.random(8) {
            0 => feed.event(GUEST, pair, "deleted", format_args!("")),
            1 => feed.event(GUEST, pair, "changed", format_args!(r#""number":{number},"name":"guest of {number}""#)),
            // A guest that no event names is there as long as some stay names it.
            2 => feed.event(STAY, pair, "changed", format_args!(r#""guestId":"x{number}""#)),
            _ => {
                let guest = feed.random(pairs);
                feed.event(STAY, pair, "changed", format_args!(r#""number":{number},"guestId":"g{guest}""#));
            }
        }
    }
}

#[test]
fn what_changed_since_a_version_that_is_held_is_told_whole() {
    let mut feed = Feed::new();
    let generation = begin(feed.publish());
    for round in 0..600u64 {
        let count = feed.random(12);
        change(&mut feed, count, 60);
        generation.publish(feed.publish());
        let newest = generation.snapshot();
        let ago = feed.random(newest.version.min(2 * VERSIONS_MAX as u64));
        match generation.since(newest.version - ago, newest.version) {
            Ok(since) => {
                assert!((ago as usize) < VERSIONS_MAX, "{ago} versions ago");
                check(&since, &newest.graph);
                if ago == 0 {
                    assert!([GUEST, STAY].iter().all(|entity| since.written(*entity).is_empty()));
                }
                let older = generation.version(newest.version - ago).expect("it is held");
                assert_eq!(older.version, newest.version - ago);
                // Between two of them too, and never backwards.
                let between = older.version + feed.random(ago + 1);
                let between = generation.version(between).expect("it is held");
                check(&generation.since(older.version, between.version).expect("both are held"), &between.graph);
                assert!(ago == 0 || generation.since(newest.version, older.version).is_err());
            }
            Err(_) => assert!(ago as usize >= VERSIONS_MAX, "{ago} versions ago, of {:?}", generation.held()),
        }
        if feed.random(5) == 0 || round > 590 {
            digested(&generation, &newest);
        }
    }
    assert_eq!(generation.held().0, VERSIONS_MAX);
    assert!(generation.since(generation.snapshot().version + 1, generation.snapshot().version + 1).is_err());
    // What was let go of is told of no more; digests are right all the same.
    let before = generation.snapshot().version - 1;
    generation.let_go();
    assert_eq!(generation.held(), (1, 0));
    assert!(generation.version(before).is_none() && generation.since(before, before + 1).is_err());
    change(&mut feed, 5, 60);
    generation.publish(feed.publish());
    assert_eq!(generation.held().0, 2);
    digested(&generation, &generation.snapshot());
    // Nothing but the versions that are held keeps anything.
    let (count, _) = generation.held();
    assert_eq!(feed.projector.pinned(), count);
}

#[test]
fn a_flood_leaves_few_versions_and_no_more_bytes_than_may_be() {
    let mut feed = Feed::new();
    let generation = begin(feed.publish());
    let mut fewest = VERSIONS_MAX;
    for _ in 0..60 {
        change(&mut feed, 2000, 4000);
        generation.publish(feed.publish());
        let (held, bytes) = generation.held();
        assert!(bytes <= VERSIONS_BYTES_MAX, "{bytes} bytes in {held} versions");
        fewest = fewest.min(held);
        check(
            &generation
                .since(generation.snapshot().version + 1 - held as u64, generation.snapshot().version)
                .ok()
                .unwrap(),
            &generation.snapshot().graph,
        );
    }
    assert!(generation.held().0 < 60, "{:?}", generation.held());
    // One that changed more than is told is the first of what is held.
    let before = generation.snapshot().version;
    for number in 0..=WRITTEN_MAX {
        feed.event(GUEST, number, "changed", format_args!(""));
    }
    generation.publish(feed.publish());
    assert_eq!((generation.held(), generation.since(before, before + 1).is_err()), ((1, 0), true));
    digested(&generation, &generation.snapshot());
    change(&mut feed, 10, 4000);
    generation.publish(feed.publish());
    let newest: Arc<Snapshot> = generation.snapshot();
    check(&generation.since(before + 1, before + 2).ok().unwrap(), &newest.graph);
    digested(&generation, &newest);
}

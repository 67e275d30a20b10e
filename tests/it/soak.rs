//! Memory stays flat, however many updates a fixed set of entities has, and comes back from what is gone.
//!
//! 300,000 updates; STAYGRAPH_SOAK_UPDATES=10000000 makes them ten million. From a million on the process's resident
//! memory is judged too, which is why such a run is best this one test alone:
//! `STAYGRAPH_SOAK_UPDATES=10000000 cargo test --release --test it soak::updates -- --nocapture`.

use staygraph::graph::{Memory, OWNER_MIN, View};
use staygraph::projection::Snapshot;

use crate::concurrency::{Feed, GUEST, OWNER, STAY, digest};

const GUESTS: u64 = 400;
const STAYS: u64 = 1600;
/// Updates a version.
const BATCH: u64 = 500;
/// Updates of each entity to warm up with: it keeps what tells its last sixteen events from new ones, and is smaller
/// before it has had them.
const WARM: u64 = 40;
/// Updates in which stays come together at one guest, and as many in which they leave.
const TIDE: u64 = 6000;

fn updates() -> u64 {
    std::env::var("STAYGRAPH_SOAK_UPDATES").ok().and_then(|text| text.parse().ok()).unwrap_or(300_000)
}

/// One update of one entity. Values change, and their sizes hardly do: what grows is not theirs.
fn update(feed: &mut Feed, flood: bool) {
    let number = feed.random(1000);
    if feed.random(5) == 0 {
        let guest = feed.random(GUESTS) as usize;
        let word = feed.random(50);
        feed.event(GUEST, guest, "changed", format_args!(r#""number":{number},"name":"guest called {word:02}""#));
        return;
    }
    let stay = feed.random(STAYS) as usize;
    match feed.random(40) {
        0 | 1 => feed.event(STAY, stay, "deleted", format_args!("")),
        // Without its links: who was deleted comes back with none.
        2 => feed.event(STAY, stay, "changed", format_args!(r#""number":{number}"#)),
        _ => {
            let target = if flood { 0 } else { feed.random(GUESTS) };
            let (one, other) = (feed.random(100), feed.random(100));
            let data = format_args!(r#""number":{number},"guestId":"g{target}","note":"note {one:02} and {other:02}""#);
            feed.event(STAY, stay, "changed", data);
        }
    }
}

/// So many updates, published by the batch. The version before is let go when the next one is there.
fn run(feed: &mut Feed, updates: u64, flood: bool, mut after: impl FnMut(&Feed, &Snapshot)) -> Snapshot {
    let mut newest = feed.publish();
    for done in 1..=updates {
        update(feed, flood);
        if done % BATCH == 0 || done == updates {
            newest = feed.publish();
            after(feed, &newest);
        }
    }
    newest
}

fn memory(view: &View) -> Memory {
    let [guests, stays] = [GUEST, STAY].map(|entity| view.memory(entity));
    Memory {
        slots: guests.slots + stays.slots,
        records: guests.records + stays.records,
        pages: guests.pages + stays.pages,
        keys: guests.keys + stays.keys,
        links: guests.links + stays.links,
        indexes: guests.indexes + stays.indexes,
        owned: guests.owned + stays.owned,
    }
}

/// The process's memory in the machine's pages, where the system tells.
fn resident() -> Option<usize> {
    std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

/// Memory with all stays at one guest, with none there, and the process's.
struct Measured {
    flood: Memory,
    ebb: Memory,
    resident: Option<usize>,
}

/// Lets the stays come and leave again, and measures both.
fn round(feed: &mut Feed) -> Measured {
    let hub = |snapshot: &Snapshot| {
        let slot = snapshot.graph.find(GUEST, "g0").expect("the first guest is there").slot;
        let owns = snapshot.graph.owned(STAY, OWNER, slot, None).is_some();
        (snapshot.graph.degree(STAY, OWNER, slot), owns)
    };
    let snapshot = run(feed, TIDE, true, |_, _| ());
    let (degree, owns) = hub(&snapshot);
    assert!(degree > OWNER_MIN && owns, "at the flood {degree} stays are at one guest");
    let flood = memory(&snapshot.graph);
    drop(snapshot);
    let snapshot = run(feed, TIDE, false, |_, _| ());
    let (degree, owns) = hub(&snapshot);
    assert!(degree < OWNER_MIN / 2 && !owns, "at the ebb {degree} stays are at one guest");
    assert_eq!(snapshot.graph.validate(), Ok(()));
    Measured { flood, ebb: memory(&snapshot.graph), resident: resident() }
}

/// Within `percent` of each other, or, where there is little of it, within a page of memory.
fn assert_flat(what: &str, before: usize, after: usize, percent: usize) {
    let (low, high) = (before.min(after), before.max(after));
    assert!(high - low <= (before * percent / 100).max(4096), "{what}: {before} after the warm-up, {after} at the end");
}

fn assert_memory_flat(when: &str, before: &Memory, after: &Memory) {
    println!("{when}, after the warm-up: {before:?}\n{when}, at the end: {after:?}");
    for (what, of) in [
        ("slots", (|memory| memory.slots) as fn(&Memory) -> usize),
        ("records", |memory| memory.records),
        ("pages", |memory| memory.pages),
        ("keys", |memory| memory.keys),
        ("links", |memory| memory.links),
        ("indexes", |memory| memory.indexes),
        ("owned", |memory| memory.owned),
    ] {
        assert_flat(&format!("{what} {when}"), of(before), of(after), 10);
    }
}

#[test]
fn updates_keep_memory_flat() {
    let warm = (updates() / 10).max(WARM * (GUESTS + STAYS)).div_ceil(2 * TIDE);
    let (rounds, mut feed) = (updates().div_ceil(2 * TIDE).max(warm + 1), Feed::new());
    let mut before = None;
    (0..warm).for_each(|_| before = Some(round(&mut feed)));
    let before = before.expect("there is a round of warming up");
    let mut after = None;
    (warm..rounds).for_each(|_| after = Some(round(&mut feed)));
    let after = after.expect("there is a round after the warm-up");

    println!("{} updates of {} entities", rounds * 2 * TIDE, GUESTS + STAYS);
    println!("resident pages: {:?} after the warm-up, {:?} at the end", before.resident, after.resident);
    assert_memory_flat("at the flood", &before.flood, &after.flood);
    assert_memory_flat("at the ebb", &before.ebb, &after.ebb);
    assert!(after.flood.owned > 0 && after.ebb.owned == 0, "who is no owner of many has no index");
    if updates() >= 1_000_000
        && let (Some(before), Some(after)) = (before.resident, after.resident)
    {
        assert_flat("resident", before, after, 25);
    }
    drop(feed.publish());
    let _last = feed.publish();
    assert_eq!((feed.projector.backlog(), feed.projector.older(), feed.projector.pinned()), (0, 0, 1));
}

/// What waits to be collected is at most every page once for each version that is held, and what the last version wrote,
/// however long versions are held and whichever goes first; and a version that is held costs a record a slot.
#[test]
fn held_versions_cost_a_bounded_backlog() {
    let mut feed = Feed::new();
    let analyst = run(&mut feed, TIDE, true, |_, _| ());
    let first = digest(&analyst.graph);
    let mut others: Vec<(Snapshot, u64)> = Vec::new();
    let (mut choice, mut most, mut most_older) = (0, 0, 0);
    for flood in [false, true, false, true] {
        let last = run(&mut feed, (updates() / 20).min(50_000), flood, |feed, snapshot| {
            let pages = [GUEST, STAY].map(|entity| snapshot.graph.slots(entity).len().div_ceil(64));
            // An update may have what it links to, or linked to, written too.
            let most_now = pages.iter().sum::<usize>() * (feed.projector.pinned() + 1) + 3 * BATCH as usize;
            let backlog = feed.projector.backlog();
            assert!(backlog <= most_now, "{backlog} wait, of {most_now} that may");
            most = most.max(backlog);
            // Of each slot one record for each version that is held, and one for the version before this.
            let (older, slots) = (feed.projector.older(), (GUESTS + STAYS) as usize);
            assert!(older <= slots * feed.projector.pinned(), "{older} records are kept of {slots} slots");
            most_older = most_older.max(older);
            others.push((snapshot.clone(), digest(&snapshot.graph)));
            if others.len() > 9 {
                choice = (choice + 7) % others.len();
                let (snapshot, digest_then) = others.swap_remove(choice);
                assert_eq!(digest(&snapshot.graph), digest_then, "version {} is not what it was", snapshot.version);
            }
            let pinned = feed.projector.pinned();
            assert!(pinned <= others.len() + 3, "{pinned} versions are held, by {} that hold", others.len());
        });
        assert_eq!(last.graph.validate(), Ok(()));
    }
    println!("backlog: {most} at most, {most_older} older records at most, with ten versions held");
    others.clear();
    drop(feed.publish());
    let newest = feed.publish();
    let (backlog, older) = (feed.projector.backlog(), feed.projector.older());
    println!("backlog: {backlog}, {older} older records, with the analyst's version alone");
    assert!(older <= (GUESTS + STAYS) as usize, "one record a slot for the analyst");
    assert_eq!(feed.projector.pinned(), 2, "the analyst's, and the newest");
    assert_eq!(digest(&analyst.graph), first, "the analyst's version is not what it was");
    assert_eq!(analyst.graph.validate(), Ok(()));
    assert_ne!(digest(&newest.graph), first);
    drop((analyst, newest));
    drop(feed.publish());
    let _last = feed.publish();
    assert_eq!((feed.projector.backlog(), feed.projector.pinned()), (0, 1), "nobody holds an old version");
    assert_eq!(feed.projector.older(), 0);
}

#[test]
fn the_deleted_give_their_memory_back() {
    const MANY: usize = 5000;
    let mut feed = Feed::new();
    let text = "a long text about a stay ".repeat(80);
    for stay in 0..MANY {
        feed.event(STAY, stay, "changed", format_args!(r#""number":1,"guestId":"g0","note":"{text}""#));
    }
    let full = feed.publish();
    let before = full.graph.memory(STAY);
    (0..MANY).for_each(|stay| feed.event(STAY, stay, "deleted", format_args!("")));
    drop(feed.publish());
    // The full version is held: its own records are there, and wait for it.
    let newest = feed.publish();
    assert_eq!(full.graph.memory(STAY).records, before.records);
    // And one page with the guest, whom nobody names any more.
    assert_eq!(feed.projector.backlog(), MANY.div_ceil(64) + 1);
    drop((full, newest));
    drop(feed.publish());
    let empty = feed.publish();
    let after = empty.graph.memory(STAY);
    println!("full: {before:?}\nempty: {after:?}");
    assert_eq!((feed.projector.backlog(), feed.projector.pinned()), (0, 1), "nobody holds the full version");
    assert!(after.records < before.records / 3, "{} bytes of records, of {}", after.records, before.records);
    assert_eq!((after.links, after.indexes, after.owned), (0, 0, 0), "nothing is listed, and so nothing is in a list");
    assert_eq!(empty.graph.counts(STAY).deleted, MANY as i64);
    assert_eq!(empty.graph.validate(), Ok(()));
}

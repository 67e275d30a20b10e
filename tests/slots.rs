//! The protocol of the graph's slots, in every order in which threads can take their steps: loom runs the very source of
//! `src/graph/slots.rs` with locks of its own, once for each order within a bound on preemptions.
//!
//! The models are small: two or three entities of one slot each, one writer, one or two readers, two or three versions.
//! What is wrong with such a protocol shows in so few steps; what it takes at scale is `tests/it/concurrency.rs`'s to say.
//! The last models break the protocol on purpose, to show that these would notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;
use loom::thread;

use ids::{By, EntityId, Slot};
use record::Record;
use slots::{Garbage, Pin, Pins, Slots};

mod sync {
    pub use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    /// The standard `Arc`: loom's cannot be what a method is called on, and only keeps the table of pins in memory here.
    /// The one that counts, whose last clone unpins a version, is loom's: [`super::Published`].
    pub use std::sync::{Arc, OnceLock, PoisonError};
}

mod record {
    pub type Record = std::sync::Arc<[u8]>;
}

#[path = "../src/ids.rs"]
#[expect(dead_code, reason = "the engine counts more than the models do")]
mod ids;

#[path = "../src/graph/slots.rs"]
#[expect(dead_code, reason = "the graph needs more of it than the models do")]
mod slots;

/// The one entity of some models, and its slot.
const SOLE: EntityId = EntityId(0);
const ONE: Slot = Slot(0);

/// What readers take, as `View` is: the version, and with its last clone its pin goes.
type Published = loom::sync::Mutex<loom::sync::Arc<Pin>>;

/// When each entity's one slot is made, and when its record is replaced.
const HISTORY: [(u64, &[u64]); 3] = [(1, &[2, 3, 4]), (1, &[3, 4]), (3, &[])];

/// The record of an entity as of a version; none before its slot was made.
fn expected(entity: EntityId, sequence: u64) -> Option<Record> {
    let (made, replaced) = HISTORY[entity.index()];
    let last = replaced.iter().copied().filter(|at| *at <= sequence).max().unwrap_or(made);
    (made <= sequence).then(|| [entity.0 as u8, last as u8].into())
}

struct World {
    slots: By<EntityId, Slots>,
    pins: Arc<Pins>,
    published: Published,
}

/// The writer, as `Graph` is one.
struct Writer {
    world: Arc<World>,
    garbage: Garbage,
}

/// What a writer may get wrong.
#[derive(Clone, Copy, PartialEq)]
enum Writing {
    Right,
    /// Records go in under the sequence that readers have already.
    TooEarly,
    /// Old records go as if nobody but the newest version's readers were there.
    Greedy,
}

impl Writer {
    fn new() -> Writer {
        let pins: Arc<Pins> = Arc::default();
        let slots: By<EntityId, Slots> = HISTORY.iter().map(|_| Slots::default()).collect();
        for ((entity, slots), (made, _)) in slots.entries().zip(HISTORY).filter(|(_, (made, _))| *made == 1) {
            slots.write(0, made, std::iter::once((ONE, [entity.0 as u8, 1].into())));
        }
        let published = Published::new(loom::sync::Arc::new(pins.pin(1)));
        Writer { world: Arc::new(World { slots, pins, published }), garbage: Garbage::default() }
    }

    /// Writes what the history has for a version, and publishes it.
    fn publish(&mut self, sequence: u64, writing: Writing) {
        let (world, mut fresh) = (self.world.clone(), Vec::new());
        let under = if writing == Writing::TooEarly { sequence - 1 } else { sequence };
        for ((entity, slots), (made, replaced)) in world.slots.entries().zip(&HISTORY) {
            let record = || expected(entity, sequence).expect("the slot is made by now");
            if (*made == sequence || replaced.contains(&sequence))
                && slots.write(0, under, std::iter::once((ONE, record())))
            {
                fresh.push(entity);
            }
        }
        let pin = world.pins.pin(sequence);
        let pins = if writing == Writing::Greedy { vec![sequence] } else { world.pins.all() };
        self.garbage.collect(&world.slots, &pins, fresh.len());
        fresh.into_iter().for_each(|entity| self.garbage.add(entity, 0));
        let pin = loom::sync::Arc::new(pin);
        let before = std::mem::replace(&mut *world.published.lock().expect("no reader panics with it"), pin);
        drop(before);
    }

    /// With every reader gone, two more versions leave nothing old.
    fn finish(mut self, from: u64) {
        for sequence in from..from + 2 {
            assert!(HISTORY.iter().all(|(made, replaced)| *made != sequence && !replaced.contains(&sequence)));
            self.publish(sequence, Writing::Right);
        }
        assert_eq!(self.world.pins.all(), [from + 1]);
        assert_eq!(self.garbage.backlog(), 0);
        assert!(self.world.slots.iter().all(|slots| slots.older(1) == 0), "an old record that nobody needs is kept");
    }
}

impl World {
    fn newest(&self) -> loom::sync::Arc<Pin> {
        self.published.lock().expect("no writer panics with it").clone()
    }

    /// Every slot holds what the version says, whichever way it is looked at.
    fn check(&self, sequence: u64) {
        let mut page = Vec::new();
        for (entity, slots) in self.slots.entries() {
            let record = expected(entity, sequence);
            assert_eq!(slots.at(ONE, sequence), record, "{entity:?} at {sequence}");
            slots.page_at(0, sequence, &mut page);
            let whole: Vec<(Slot, Record)> = record.into_iter().map(|record| (ONE, record)).collect();
            assert_eq!(page, whole, "the page of {entity:?} at {sequence}");
        }
    }

    /// Takes the newest version and looks at it.
    fn read(&self) {
        let view = self.newest();
        self.check(view.sequence());
    }

    /// Keeps one version while it looks at the next, and lets the older go first.
    fn read_two(&self) {
        let older = self.newest();
        self.check(older.sequence());
        let newer = self.newest();
        self.check(newer.sequence());
        self.check(older.sequence());
        drop(older);
        self.check(newer.sequence());
    }

    /// Wrong: the version may be collected as soon as its view is let go.
    fn read_unpinned(&self) {
        let sequence = self.newest().sequence();
        self.check(sequence);
    }

    /// Wrong: a pin that comes after the view was let go may come after the collection too.
    fn read_pinned_late(&self) {
        let sequence = self.newest().sequence();
        let _pin = self.pins.pin(sequence);
        self.check(sequence);
    }
}

/// Runs versions 2 to `last` against readers, in every order; prints how many those were.
fn explore(name: &str, preemptions: usize, last: u64, writing: Writing, readers: &'static [fn(&World)]) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut writer = Writer::new();
        let world = writer.world.clone();
        let reading = readers.iter().map(|read| {
            let world = world.clone();
            thread::spawn(move || read(&world))
        });
        let reading: Vec<_> = reading.collect();
        (2..=last).for_each(|sequence| writer.publish(sequence, writing));
        reading.into_iter().for_each(|reader| reader.join().expect("a reader found what it should"));
        writer.finish(last + 10);
    });
    println!("{name}: {} orders", orders.load(Ordering::Relaxed));
}

#[test]
fn a_reader_sees_its_version_and_no_other() {
    explore("one reader, three versions", 5, 4, Writing::Right, &[World::read]);
}

#[test]
fn two_readers_see_their_versions() {
    explore("two readers, three versions", 3, 4, Writing::Right, &[World::read, World::read]);
}

#[test]
fn an_older_version_stays_while_it_is_held() {
    explore("one reader of two, three versions", 3, 4, Writing::Right, &[World::read_two]);
    explore("one reader of two, one of one", 2, 4, Writing::Right, &[World::read_two, World::read]);
}

/// However many versions come, a slot keeps one record for each that is held. One thread, and so one order.
#[test]
fn a_held_version_costs_one_record_a_slot() {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.check(|| {
        let (all, pins) = (By::from_iter([Slots::default()]), Arc::<Pins>::default());
        let slots = &all[SOLE];
        let mut garbage = Garbage::default();
        let record = |slot: Slot, sequence: u64| -> Record { [slot.0 as u8, sequence as u8].into() };
        let write = |sequence| slots.write(0, sequence, (0..2).map(Slot).map(|slot| (slot, record(slot, sequence))));
        assert!(!write(1), "there is nothing older than the first version");
        let mut held = vec![pins.pin(1)];
        let mut newest = None;
        for sequence in 2..=60 {
            assert!(write(sequence));
            // The version before is let go only now, as a reader of the newest lets go of it.
            let before = newest.replace(pins.pin(sequence));
            garbage.collect(&all, &pins.all(), 1);
            garbage.add(SOLE, 0);
            // Kept for whoever holds them, and for the version before.
            assert!(slots.older(2) <= 2 * (held.len() + 1), "{} records at {sequence}", slots.older(2));
            // The one page waits for the next collection, and once for each of those pins.
            assert!(garbage.backlog() <= held.len() + 2, "{} at {sequence}", garbage.backlog());
            match sequence {
                10 | 20 | 30 => held.extend(before),
                // Neither the oldest nor the newest goes first.
                40 => drop(held.remove(1)),
                50 => drop(held.remove(0)),
                _ => drop(before),
            }
            for pin in &held {
                (0..2).map(Slot).for_each(|slot| {
                    assert_eq!(slots.at(slot, pin.sequence()), Some(record(slot, pin.sequence())));
                });
            }
        }
        held.clear();
        garbage.collect(&all, &pins.all(), 0);
        assert_eq!((slots.older(2), garbage.backlog()), (0, 0));
    });
}

/// Two hold versions of one page, which is not written any more, and let go one after the other.
fn let_go(analyst_first: bool) {
    Builder::new().check(move || {
        let (all, pins) = (By::from_iter([Slots::default()]), Arc::<Pins>::default());
        let slots = &all[SOLE];
        let mut garbage = Garbage::default();
        let record = |sequence: u64| -> Record { [sequence as u8].into() };
        slots.write(0, 1, std::iter::once((ONE, record(1))));
        let analyst = pins.pin(1);
        let mut newest: Option<Pin> = None;
        let mut publish = |sequence: u64, writes: bool| {
            if writes {
                assert!(slots.write(0, sequence, std::iter::once((ONE, record(sequence)))));
            }
            let before = newest.replace(pins.pin(sequence));
            garbage.collect(&all, &pins.all(), 1);
            if writes {
                garbage.add(SOLE, 0);
            }
            before
        };
        publish(2, true);
        let reader = publish(3, true).expect("version 2 came before");
        publish(4, false);
        assert_eq!(slots.older(1), 2, "one for the analyst, one for the reader");
        let (first, second) = if analyst_first { (analyst, reader) } else { (reader, analyst) };
        drop(first);
        publish(5, false);
        assert_eq!(slots.at(ONE, second.sequence()), Some(record(second.sequence())));
        assert_eq!(slots.older(1), 1, "one for who is left");
        drop(second);
        publish(6, false);
        assert_eq!(slots.older(1), 0);
        assert_eq!(garbage.backlog(), 0);
    });
}

#[test]
fn a_record_goes_with_the_last_who_needs_it() {
    let_go(true);
    let_go(false);
}

#[test]
#[should_panic = "EntityId"]
fn a_reader_without_a_pin_is_caught() {
    explore("no pin", 2, 4, Writing::Right, &[World::read_unpinned]);
}

#[test]
#[should_panic = "EntityId"]
fn a_pin_that_comes_late_is_caught() {
    explore("late pin", 2, 4, Writing::Right, &[World::read_pinned_late]);
}

#[test]
#[should_panic = "EntityId"]
fn a_write_into_a_published_version_is_caught() {
    explore("too early", 2, 3, Writing::TooEarly, &[World::read]);
}

#[test]
#[should_panic = "EntityId"]
fn a_collection_that_overlooks_a_version_is_caught() {
    explore("greedy", 2, 4, Writing::Greedy, &[World::read]);
}

//! Multi-version slots: the newest record of each, and the older ones that a pinned version still needs.
//!
//! Slots lie in pages of 64, each behind a lock that is held for one look or one write, never across a query. The writer
//! puts records in under the sequence number that it publishes next; a reader at sequence `s` takes the newest record not
//! above `s`. An older record goes as soon as no pinned sequence lies in its span, whatever lies before and after it: a
//! reader that holds an old version costs one record a slot, not one for each write since.

use std::collections::{BTreeMap, VecDeque};

use super::record::Record;
use super::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::ids::{By, EntityId, Id, Slot};

/// Slots a page.
pub const PAGE: usize = 64;
/// Pages of the first segment; each next one has twice as many.
const FIRST: usize = 16;
/// Enough for 2^32 slots.
const SEGMENTS: usize = 23;
/// Pages that one collection looks at beside those that the last batch wrote to: what a large release leaves is spread.
const COLLECT_MIN: usize = 4096;

/// Room for older records that a page keeps once it had them.
const OLDER_KEPT: usize = 4;

#[derive(Default)]
struct Page {
    newest: Vec<(u64, Record)>,
    older: Vec<Older>,
    /// The pins whose release has this page looked at again.
    parked: Vec<u64>,
}

struct Older {
    slot: u8,
    /// Readers from `from` until before `until` need it.
    from: u64,
    until: u64,
    record: Record,
}

/// One entity's slots. Pages never move, so readers find them without a lock.
pub struct Slots {
    segments: [OnceLock<Box<[RwLock<Page>]>>; SEGMENTS],
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { segments: std::array::from_fn(|_| OnceLock::new()) }
    }
}

/// The page of a slot.
pub fn page_of(slot: Slot) -> usize {
    slot.index() / PAGE
}

/// The segment of a page, and its place there.
fn place(page: usize) -> (usize, usize) {
    let segment = (page / FIRST + 1).ilog2() as usize;
    (segment, page - FIRST * ((1 << segment) - 1))
}

impl Slots {
    fn lock(&self, page: usize) -> Option<&RwLock<Page>> {
        let (segment, index) = place(page);
        self.segments.get(segment)?.get()?.get(index)
    }

    fn read(&self, page: usize) -> Option<RwLockReadGuard<'_, Page>> {
        Some(self.lock(page)?.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_to_write(&self, page: usize) -> Option<RwLockWriteGuard<'_, Page>> {
        Some(self.lock(page)?.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest record: for keys, which are the same in all versions.
    pub fn newest<T>(&self, slot: Slot, look: impl FnOnce(&Record) -> T) -> Option<T> {
        let page = self.read(page_of(slot))?;
        page.newest.get(slot.index() % PAGE).map(|(_, record)| look(record))
    }

    /// The record as of a sequence; none where the slot is younger.
    pub fn at(&self, slot: Slot, sequence: u64) -> Option<Record> {
        self.read(page_of(slot))?.at(slot.index() % PAGE, sequence).cloned()
    }

    /// Gives a page's records as of a sequence, with their slots. The lock is held for copying the references alone.
    pub fn page_at(&self, page: usize, sequence: u64, out: &mut Vec<(Slot, Record)>) {
        out.clear();
        let Some(held) = self.read(page) else { return };
        let slots = (0..held.newest.len()).filter_map(|slot| held.at(slot, sequence).map(|record| (slot, record)));
        out.extend(slots.map(|(slot, record)| (Slot::of(page * PAGE + slot), record.clone())));
    }

    /// Makes records the newest of a page's slots, those of new slots in their order; only the writer does. Gives whether
    /// older ones were kept, which a collection has to look at later.
    pub fn write(&self, page: usize, sequence: u64, records: impl Iterator<Item = (Slot, Record)>) -> bool {
        let (segment, _) = place(page);
        if let Some(segment_cell) = self.segments.get(segment) {
            segment_cell.get_or_init(|| (0..FIRST << segment).map(|_| RwLock::default()).collect());
        }
        let Some(mut page) = self.lock_to_write(page) else { return false };
        let Page { newest, older, .. } = &mut *page;
        for (slot, record) in records {
            let index = slot.index() % PAGE;
            match newest.get_mut(index) {
                Some(newest) => {
                    let (from, record) = std::mem::replace(newest, (sequence, record));
                    older.push(Older { slot: index as u8, from, until: sequence, record });
                }
                None => newest.push((sequence, record)),
            }
        }
        !older.is_empty()
    }

    /// Drops a page's records that no pin needs. What stays waits for a pin that needs it: `park` is told of those that the
    /// page waits for from now on.
    fn collect(&self, page: usize, pins: &[u64], mut park: impl FnMut(u64)) {
        let Some(mut held) = self.lock_to_write(page) else { return };
        let Page { older, parked, .. } = &mut *held;
        parked.retain(|pin| pins.binary_search(pin).is_ok());
        older.retain(|older| {
            // The last that needs it: where versions go in the order in which they came, each page is looked at once more and not
            // once for each of them.
            let before = &pins[..pins.partition_point(|pin| *pin < older.until)];
            let pin = before.last().filter(|pin| **pin >= older.from);
            if let Some(pin) = pin.filter(|pin| !parked.contains(pin)) {
                parked.push(*pin);
                park(*pin);
            }
            pin.is_some()
        });
        if older.is_empty() {
            // A page that is written often keeps a little room.
            older.shrink_to(OLDER_KEPT);
            *parked = Vec::new();
        }
    }

    /// Drops a slot's older records that no pin needs. Gives whether some are left.
    pub fn drop_older(&self, slot: Slot, pins: &[u64]) -> bool {
        let Some(mut held) = self.lock_to_write(page_of(slot)) else { return false };
        let mut is_left = false;
        held.older.retain(|older| {
            if usize::from(older.slot) != slot.index() % PAGE {
                return true;
            }
            let is_needed =
                pins.get(pins.partition_point(|pin| *pin < older.from)).is_some_and(|pin| *pin < older.until);
            is_left |= is_needed;
            is_needed
        });
        is_left
    }

    /// How many older records are kept.
    pub fn older(&self, slots: usize) -> usize {
        (0..slots.div_ceil(PAGE)).filter_map(|page| self.read(page)).map(|page| page.older.len()).sum()
    }
}

impl Page {
    fn at(&self, slot: usize, sequence: u64) -> Option<&Record> {
        let (from, newest) = self.newest.get(slot)?;
        if *from <= sequence {
            return Some(newest);
        }
        let fits = |older: &&Older| usize::from(older.slot) == slot && older.from <= sequence && sequence < older.until;
        self.older.iter().find(fits).map(|older| &older.record)
    }
}

/// The sequences that somebody reads at.
#[derive(Default)]
pub struct Pins(Mutex<Vec<u64>>);

/// Keeps a sequence readable for as long as it lives.
pub struct Pin {
    sequence: u64,
    pins: Arc<Pins>,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins a sequence; only the writer does, at the moment that it publishes it, so that no collection runs in between.
    pub fn pin(self: &Arc<Pins>, sequence: u64) -> Pin {
        let mut pins = self.lock();
        let place = pins.partition_point(|pin| *pin <= sequence);
        pins.insert(place, sequence);
        Pin { sequence, pins: self.clone() }
    }

    /// The pinned sequences, ascending.
    pub fn all(&self) -> Vec<u64> {
        self.lock().clone()
    }
}

impl Pin {
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Ok(place) = pins.binary_search(&self.sequence) {
            pins.remove(place);
        }
    }
}

/// Pages with older records, and when to look at them again.
#[derive(Default)]
pub struct Garbage {
    /// Entities and pages.
    waiting: VecDeque<(EntityId, u32)>,
    /// By pin: pages with a record that waits for it.
    parked: BTreeMap<u64, Vec<(EntityId, u32)>>,
}

impl Garbage {
    pub fn add(&mut self, entity: EntityId, page: usize) {
        let page = (entity, page as u32);
        if self.waiting.back() != Some(&page) {
            self.waiting.push_back(page);
        }
    }

    /// Looks at as many pages as the budget has, and drops what no pin needs.
    pub fn collect(&mut self, slots: &By<EntityId, Slots>, pins: &[u64], written: usize) {
        let released: Vec<u64> = self.parked.keys().filter(|pin| pins.binary_search(pin).is_err()).copied().collect();
        for pin in released {
            self.waiting.extend(self.parked.remove(&pin).unwrap_or_default());
        }
        for _ in 0..COLLECT_MIN + 2 * written {
            let Some((entity, page)) = self.waiting.pop_front() else { break };
            let park = |pin: u64| self.parked.entry(pin).or_default().push((entity, page));
            slots[entity].collect(page as usize, pins, park);
        }
    }

    /// Pages that a collection has still to look at, each once for every pin that it waits for.
    pub fn backlog(&self) -> usize {
        self.waiting.len() + self.parked.values().map(Vec::len).sum::<usize>()
    }
}

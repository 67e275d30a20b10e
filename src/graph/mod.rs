//! The property graph: records in slots, links both ways, indexes, aliases and counts, in versions that never change.
//!
//! One writer owns a [`Graph`]. It puts new records beside those that readers see, and [`Graph::publish`] makes them, and
//! the ordered sets over them, the next [`View`]: one immutable version across all domains. Readers and writer share
//! pages of slots, each behind a lock held for one look (docs/adr/0006); the sets are persistent trees.
//!
//! The graph knows fields and links by number and nothing of events' order: which value stands is `projection`'s to say.

mod bytes;
mod column;
mod counts;
mod digraph;
mod draft;
mod index;
mod kept;
mod keys;
mod layout;
mod lineage;
mod names;
mod near;
mod paths;
mod record;
mod renumbered;
mod saved;
mod sets;
mod slots;
mod sync;
mod tree;
mod validate;
mod view;
mod words;
mod written;

use std::sync::Arc;

pub use bytes::{Reader, put, put_instant, put_long};
pub use counts::Counts;
pub use digraph::{Digraph, Edge};
pub use draft::Draft;
pub use index::{ALL, Code, Index, code_of, key_code, prefix_range, text_code, wide};
pub use kept::Kept;
pub use lineage::{EventRef, Lineage};
pub use near::cover;
pub use paths::{Bounds, Halt, Hop, Path, Walker, paths};
pub use record::{Completeness, Merge, Node, State};
pub use renumbered::Renumbering;
pub use saved::{Unpacked, Unpacker};
pub use sets::OWNER_MIN;
pub use view::{Memory, Owned, View};
pub use words::{fold_case, words, words_of};
pub use written::Written;

use crate::ids::{By, EntityId, Id, NodeId, Slot};
use crate::model::Model;
use crate::model::value::Instant;
use column::Column;
use draft::Drafted;
use layout::Layout;
use record::{Packed, Record};
use sets::{Sets, Waiting};
use slots::{Garbage, Pins, Slots, page_of};

/// Keys that are not worth to hold the tables for.
const FEW: usize = 16;
/// Bytes that a processor fetches together.
const CACHE_LINE: usize = 64;

/// Bytes that a record takes.
fn weight(record: &[u8]) -> i64 {
    (record.len() + 2 * size_of::<usize>()) as i64
}

/// What all versions share.
struct Shared {
    model: Arc<Model>,
    layouts: By<EntityId, Layout>,
    names: names::Names,
    slots: By<EntityId, Slots>,
    keys: By<EntityId, keys::Keys>,
    pins: Arc<Pins>,
}

/// The writer's graph.
pub struct Graph {
    shared: Arc<Shared>,
    naming: names::Naming,
    /// By entity and slot: the newest record, for the writer's own looks, which then need no lock.
    newest: By<EntityId, Column<Record>>,
    /// By entity and slot: how many links and merges name it.
    named: By<EntityId, Column<u32>>,
    sets: By<EntityId, Sets>,
    waiting: By<EntityId, Waiting>,
    counts: By<EntityId, Counts>,
    /// What is written now becomes readable as this.
    sequence: u64,
    garbage: Garbage,
    /// The slots whose records the next version shows.
    written: By<EntityId, Vec<Slot>>,
    spare: Draft,
    bytes: Vec<u8>,
    /// Slots whose older records are to go as soon as nobody reads them.
    fading: Vec<NodeId>,
}

impl Graph {
    pub fn new(model: Arc<Model>) -> Graph {
        let layouts = Layout::all(&model);
        let entities = model.entities.ids();
        let sets: By<_, Sets> =
            model.entities.iter().zip(&layouts).map(|(entity, layout)| Sets::new(entity, layout)).collect();
        Graph {
            naming: names::Naming::default(),
            newest: entities.clone().map(|_| Column::default()).collect(),
            named: entities.clone().map(|_| Column::default()).collect(),
            waiting: sets.iter().map(Waiting::new).collect(),
            sets,
            counts: model.entities.iter().map(Counts::new).collect(),
            sequence: 1,
            garbage: Garbage::default(),
            written: entities.clone().map(|_| Vec::new()).collect(),
            spare: Draft::default(),
            bytes: Vec::new(),
            fading: Vec::new(),
            shared: Arc::new(Shared {
                layouts,
                names: names::Names::default(),
                slots: entities.clone().map(|_| Slots::default()).collect(),
                keys: entities.map(|_| keys::Keys::default()).collect(),
                pins: Arc::default(),
                model,
            }),
        }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// The slot of a key; an unseen one gets an empty record, which does not exist until something names it.
    pub fn slot(&mut self, entity: EntityId, key: &str) -> Slot {
        self.find(entity, key).unwrap_or_else(|| self.add(entity, key))
    }

    /// The slot of a key that was seen.
    pub fn find(&self, entity: EntityId, key: &str) -> Option<Slot> {
        self.shared.keys[entity].find(key, |slot| self.has_key(entity.node(slot), key))
    }

    fn has_key(&self, id: NodeId, key: &str) -> bool {
        let layout = &self.shared.layouts[id.entity];
        let record = self.newest[id.entity].get(id.slot);
        record.is_some_and(|record| Packed { layout, bytes: record }.key_bytes() == key.as_bytes())
    }

    /// The slots of many keys of an entity, none where one is not known yet: what events need, looked up beforehand. Their
    /// records are read, so that they are cached when the events come to them.
    pub fn find_all(&self, entity: EntityId, keys: &[&str]) -> Vec<Option<Slot>> {
        if keys.len() < FEW {
            return keys.iter().map(|key| self.find(entity, key)).collect();
        }
        let newest = &self.newest[entity];
        let mut found = self.shared.keys[entity].guess(keys.iter().copied());
        let lines = |slot: &Slot| newest[*slot].iter().step_by(CACHE_LINE).fold(0, |sum, byte| sum ^ byte);
        std::hint::black_box(found.iter().flatten().map(lines).fold(0, |sum, line| sum ^ line));
        for (key, found) in keys.iter().zip(&mut found) {
            // Another key with the same hash.
            if found.is_some_and(|slot| !self.has_key(entity.node(slot), key)) {
                *found = self.find(entity, key);
            }
        }
        found
    }

    fn add(&mut self, entity: EntityId, key: &str) -> Slot {
        let slot = Slot::of(self.newest[entity].len());
        let record = record::reference(key);
        self.counts[entity].bytes += weight(&record);
        self.newest[entity].push(record);
        self.written[entity].push(slot);
        self.shared.keys[entity].insert(key, slot);
        self.named[entity].push(0);
        slot
    }

    /// All slots of an entity.
    pub fn slots(&self, entity: EntityId) -> impl Iterator<Item = Slot> + use<> {
        (0..self.newest[entity].len()).map(Slot::of)
    }

    /// Gives a draft's buffers back, where nothing came of it.
    pub fn abandon(&mut self, draft: Draft) {
        self.spare = draft;
    }

    /// What the rules keep of a draft's entity.
    pub fn stamps<'a>(&'a self, draft: &'a Draft) -> &'a [u8] {
        draft.stamps(&self.shared.layouts[draft.id.entity])
    }

    fn newest(&self, id: NodeId) -> Record {
        self.newest[id.entity][id.slot].clone()
    }

    /// A node as the writer sees it: what is published next.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        Node::new(&self.shared.layouts[id.entity], &self.shared.names, self.newest(id))
    }

    /// A number for a text that many entities share, and the text of a number.
    pub fn name(&mut self, text: &str) -> u32 {
        self.naming.number(&self.shared.names, text)
    }

    pub fn text(&self, name: u32) -> &Arc<str> {
        self.naming.text(name)
    }

    /// Begins a new record of a node. It counts once it is committed.
    pub fn edit(&mut self, id: NodeId) -> Draft {
        let mut draft = std::mem::take(&mut self.spare);
        draft.begin(id, self.newest(id), &self.shared.layouts[id.entity]);
        draft
    }

    pub fn set_lineage(&mut self, draft: &mut Draft, lineage: &Lineage<'_>) {
        lineage.pack(draft.set_lineage(), |text| self.naming.number(&self.shared.names, text));
    }

    /// Sets and, where there is no JSON text, removes attributes.
    pub fn change_attributes<'a>(&self, draft: &mut Draft, changes: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
        draft.change_attributes(&self.shared.layouts[draft.id.entity], changes);
    }

    /// Puts a draft in its slot: derived fields, checks, counts, links and indexes follow.
    pub fn commit(&mut self, mut draft: Draft) {
        let shared = self.shared.clone();
        let id @ NodeId { entity, slot } = draft.id;
        let (description, layout) = (&shared.model.entities[entity], &shared.layouts[entity]);
        if draft.flags.state() != State::Reference {
            draft.derive(description, layout);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        Drafted { draft: &draft, layout }.encode(description, &mut bytes);
        let record: Record = bytes.as_slice().into();
        self.bytes = bytes;
        if let Some(base) = draft.base.take() {
            let (old, new) = (Packed { layout, bytes: &base }, Packed { layout, bytes: &record });
            self.counts[entity].replace(old, new);
            self.waiting[entity].note(description, slot, old, new, draft.changed());
            // In its slot before what it names hears of it: it may name itself.
            self.put(id, record.clone());
            for link in &layout.links {
                self.rename(description.fields[*link].kind.link(), old.link(*link), new.link(*link));
            }
            let into = |record: Packed<'_>| record.merge().map(|merge| merge.into);
            self.rename(Some(entity), into(old), into(new));
        }
        self.spare = draft;
    }

    fn put(&mut self, NodeId { entity, slot }: NodeId, record: Record) {
        let place = &mut self.newest[entity][slot];
        self.counts[entity].bytes += weight(&record) - weight(place);
        *place = record;
        self.written[entity].push(slot);
    }

    /// Bytes of what the writer keeps for itself: records' addresses, how often each is named, what waits for a version, names.
    pub fn size(&self) -> usize {
        self.newest.iter().map(Column::size).sum::<usize>()
            + self.named.iter().map(Column::size).sum::<usize>()
            + self.written.iter().map(|all| all.capacity() * size_of::<Slot>()).sum::<usize>()
            + self.waiting.iter().map(Waiting::size).sum::<usize>()
            + self.shared.names.size()
    }

    /// Gives back what the writer keeps to be quick and will not need soon.
    pub fn shrink(&mut self) {
        self.written.iter_mut().for_each(Vec::shrink_to_fit);
        self.waiting.iter_mut().for_each(Waiting::shrink);
    }

    /// Something names another target than before.
    fn rename(&mut self, entity: Option<EntityId>, from: Option<Slot>, to: Option<Slot>) {
        let Some(entity) = entity.filter(|_| from != to) else { return };
        for (target, gain) in [(from, false), (to, true)] {
            let Some(target) = target else { continue };
            let count = &mut self.named[entity][target];
            *count = if gain { *count + 1 } else { count.saturating_sub(1) };
            if *count == u32::from(gain) {
                self.set_named(entity.node(target), gain);
            }
        }
    }

    /// A reference is there as long as something names it.
    fn set_named(&mut self, id: NodeId, named: bool) {
        let (entity, base) = (id.entity, self.newest(id));
        let layout = &self.shared.layouts[entity];
        if !(Packed { layout, bytes: &base }).is_reference() {
            return;
        }
        let mut bytes = base.to_vec();
        let mut flags = record::Flags(bytes[0]);
        flags.set_named(named);
        bytes[0] = flags.0;
        let record: Record = bytes.into();
        self.counts[entity].count(Packed { layout, bytes: &base }, -1);
        self.counts[entity].count(Packed { layout, bytes: &record }, 1);
        self.put(id, record);
    }

    /// Says whether events of a node were refused and wait. They name it, so that it can be looked at.
    pub fn set_rejected(&mut self, id: NodeId, rejected: bool) {
        let mut draft = self.edit(id);
        if draft.flags.rejected() == rejected {
            return self.abandon(draft);
        }
        draft.flags.set_rejected(rejected);
        self.commit(draft);
        self.rename(Some(id.entity), (!rejected).then_some(id.slot), rejected.then_some(id.slot));
    }

    /// Sets, replaces or undoes the merge of a node, and voids the one merge of a cycle that does not count. `may_close` is
    /// whether the target may lead to the node already: where it cannot, no chain is walked.
    pub fn set_merge(&mut self, id: NodeId, merge: Option<(Slot, (Instant, &str, &str))>, may_close: bool) {
        for member in self.cycle(id) {
            self.set_void(member, false);
        }
        let mut draft = self.edit(id);
        draft.set_merge(merge.map(|(into, order)| Merge { into, order, void: false }));
        self.commit(draft);
        if !may_close {
            return;
        }
        let order = |member: &NodeId| {
            let node = self.node(*member);
            node.merge().map(|merge| (merge.order.0, merge.order.1.to_owned(), merge.order.2.to_owned()))
        };
        if let Some(void) = self.cycle(id).into_iter().min_by_key(order) {
            self.set_void(void, true);
        }
    }

    fn set_void(&mut self, id: NodeId, void: bool) {
        let base = self.newest(id);
        let shared = self.shared.clone();
        let layout = &shared.layouts[id.entity];
        if let Some(merge) = (Packed { layout, bytes: &base }).merge().filter(|merge| merge.void != void) {
            let mut draft = self.edit(id);
            draft.set_merge(Some(Merge { void, ..merge }));
            self.commit(draft);
        }
    }

    /// The members of the cycle of merges that a node is in; none where it is in none.
    fn cycle(&self, NodeId { entity, slot: start }: NodeId) -> Vec<NodeId> {
        let layout = &self.shared.layouts[entity];
        let mut members = Vec::new();
        // The way may lead into a cycle that the start is not in: each time that it has doubled, where it is is remembered
        // (Brent, 1980).
        let (mut slot, mut mark) = (start, start);
        loop {
            members.push(entity.node(slot));
            let record = Packed { layout, bytes: &self.newest[entity][slot] };
            match record.merge().map(|merge| merge.into) {
                Some(into) if into == start => return members,
                None => return Vec::new(),
                Some(into) if into == mark => return Vec::new(),
                Some(into) => slot = into,
            }
            if members.len().is_power_of_two() {
                mark = slot;
            }
        }
    }

    /// Makes all that was written the next version, and drops old records that no version needs any more.
    pub fn publish(&mut self) -> View {
        let noted = self.waiting.iter().map(Waiting::len).sum();
        let shared = &self.shared;
        for (entity, waiting) in self.waiting.entries_mut() {
            let (description, layout) = (&shared.model.entities[entity], &shared.layouts[entity]);
            let degree = |link: usize, target: Slot| {
                let target_entity = description.fields[layout.links[link]].kind.link();
                target_entity.and_then(|entity| self.named[entity].get(target)).map_or(0, |count| *count as usize)
            };
            let record = |slot: Slot, look: &mut dyn FnMut(Packed<'_>)| {
                look(Packed { layout, bytes: &self.newest[entity][slot] });
            };
            waiting.publish(&mut self.sets[entity], description, degree, record);
        }
        // Pages with records that this version makes old.
        let mut fresh = Vec::new();
        for (entity, written) in self.written.entries_mut() {
            written.sort_unstable();
            written.dedup();
            for slots in written.chunk_by(|a, b| page_of(*a) == page_of(*b)) {
                let page = page_of(slots[0]);
                let records = slots.iter().map(|slot| (*slot, self.newest[entity][*slot].clone()));
                if shared.slots[entity].write(page, self.sequence, records) {
                    fresh.push((entity, page));
                }
            }
        }
        let written = Written::take(&mut self.written, noted);
        let pin = shared.pins.pin(self.sequence);
        self.garbage.collect(&shared.slots, &shared.pins.all(), fresh.len());
        // Needed by the version before this one, and so not looked at before the next.
        fresh.into_iter().for_each(|(entity, page)| self.garbage.add(entity, page));
        self.sequence += 1;
        View::new(
            self.shared.clone(),
            self.sets.clone(),
            self.counts.clone(),
            self.newest.iter().map(Column::len).collect(),
            written,
            pin,
        )
    }

    /// Has what a slot held until now go as soon as nobody reads it, and what buffers hold of it now.
    pub fn fade(&mut self, id: NodeId) {
        self.fading.push(id);
        (self.spare, self.bytes) = (Draft::default(), Vec::new());
    }

    /// Drops what is to go and nobody reads any more. Gives whether some of it is still read.
    pub fn drop_faded(&mut self) -> bool {
        let (shared, pins) = (&self.shared, self.shared.pins.all());
        self.fading.retain(|id| shared.slots[id.entity].drop_older(id.slot, &pins));
        !self.fading.is_empty()
    }

    /// Pages with records that are kept for a version, or wait to be dropped.
    pub fn backlog(&self) -> usize {
        self.garbage.backlog()
    }

    /// Records that are kept beside the newest. Looks at every page.
    pub fn older(&self) -> usize {
        self.shared.slots.iter().zip(&self.newest).map(|(slots, newest)| slots.older(newest.len())).sum()
    }

    /// The versions that somebody reads, the newest among them.
    pub fn pinned(&self) -> usize {
        self.shared.pins.all().len()
    }
}

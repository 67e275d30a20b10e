//! One immutable version of the graph, across all domains.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use super::counts::Counts;
use super::index::{Code, Index};
use super::record::{Node, Record};
use super::sets::Sets;
use super::slots::{PAGE, Pin};
use super::tree::Tree;
use super::written::Written;
use super::{Packed, Shared};
use crate::ids::{By, EntityId, FieldId, Id, NodeId, Slot};
use crate::model::Model;
use crate::model::cell::Cell;

/// Bytes that a page takes for an older record beside that.
const OLDER_BYTES: usize = 64;
/// Bytes of a leaf with its branches' part, about: changing an ordered set copies one a change, unless they are neighbours.
const LEAF_BYTES: usize = 2048;
/// Merges that a look-up follows without remembering where they led.
const SHORT: usize = 8;

/// A version. As long as one of its clones lives, what it needs is kept.
#[derive(Clone)]
pub struct View(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    sets: By<EntityId, Sets>,
    counts: By<EntityId, Counts>,
    lengths: By<EntityId, usize>,
    written: Written,
    pin: Pin,
    /// The ends of long chains of merges that somebody walked.
    afar: Mutex<HashMap<NodeId, NodeId>>,
}

/// Bytes of one entity's parts in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub slots: usize,
    /// Records, with the header of a shared allocation each.
    pub records: usize,
    /// Pages' entries for records.
    pub pages: usize,
    /// Tables from key to slot.
    pub keys: usize,
    /// Reverse links.
    pub links: usize,
    /// Indexes over fields, keys and words.
    pub indexes: usize,
    /// Indexes of owners of many.
    pub owned: usize,
}

impl View {
    pub(super) fn new(
        shared: Arc<Shared>,
        sets: By<EntityId, Sets>,
        counts: By<EntityId, Counts>,
        lengths: By<EntityId, usize>,
        written: Written,
        pin: Pin,
    ) -> View {
        View(Arc::new(Inner { shared, sets, counts, lengths, written, pin, afar: Mutex::default() }))
    }

    /// What differs from the version before it.
    pub fn written(&self) -> &Written {
        &self.0.written
    }

    /// Bytes, about, that the version before it takes as long as it is held beside this one: the records and the leaves of the
    /// ordered sets that this one replaced.
    pub fn replaced(&self) -> usize {
        let records = self.0.counts.entries().map(|(entity, counts)| {
            let mean = counts.bytes.max(0).cast_unsigned() as usize / self.0.lengths[entity].max(1);
            self.0.written.count(entity) * (mean + OLDER_BYTES)
        });
        records.sum::<usize>() + self.0.written.noted() * LEAF_BYTES
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.0.shared.model
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The text of a number that records have for one.
    pub fn text(&self, name: u32) -> Arc<str> {
        self.0.shared.names.text(name)
    }

    /// Counts the writer's publications; later versions have greater ones.
    pub fn sequence(&self) -> u64 {
        self.0.pin.sequence()
    }

    pub fn counts(&self, entity: EntityId) -> &Counts {
        &self.0.counts[entity]
    }

    /// All slots of an entity, those of references among them.
    pub fn slots(&self, entity: EntityId) -> impl ExactSizeIterator<Item = Slot> + use<> {
        (0..self.0.lengths[entity]).map(Slot::of)
    }

    fn record(&self, id: NodeId) -> Option<Record> {
        self.0.shared.slots[id.entity].at(id.slot, self.sequence())
    }

    fn wrap(&self, entity: EntityId, record: Record) -> Node<'_> {
        Node::new(&self.0.shared.layouts[entity], &self.0.shared.names, record)
    }

    /// A node that this view holds: one found by key, by a link or in a list.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        self.wrap(id.entity, self.record(id).expect("a view's slots come from that view"))
    }

    /// The first 32 bytes of a node's key, which is the same in all versions: the record is looked at where it lies. They order
    /// as keys do, but for those that begin alike.
    pub fn key_start(&self, NodeId { entity, slot }: NodeId) -> [u8; 32] {
        let start = |record: &Record| {
            let (mut start, key) = ([0; 32], self.packed(entity, record).key_bytes());
            let length = key.len().min(32);
            start[..length].copy_from_slice(&key[..length]);
            start
        };
        self.0.shared.slots[entity].newest(slot, start).unwrap_or_default()
    }

    /// Looks a key up. Who was merged answers with the survivor; `None` where nothing knows the key.
    pub fn find(&self, entity: EntityId, key: &str) -> Option<NodeId> {
        Some(self.survivor(self.find_self(entity, key)?))
    }

    /// Looks a key up, whoever answers for it.
    pub fn find_self(&self, entity: EntityId, key: &str) -> Option<NodeId> {
        let id = entity.node(self.slot_of(entity, key)?);
        let record = self.record(id)?;
        self.packed(entity, &record).exists().then_some(id)
    }

    /// The slot of a key, whether or not anything is there.
    pub(super) fn slot_of(&self, entity: EntityId, key: &str) -> Option<Slot> {
        let (slots, keys) = (self.0.shared.slots.get(entity)?, self.0.shared.keys.get(entity)?);
        let has_key = |record: &Record| self.packed(entity, record).key_bytes() == key.as_bytes();
        keys.find(key, |slot| slots.newest(slot, has_key) == Some(true))
    }

    fn packed<'a>(&'a self, entity: EntityId, record: &'a Record) -> Packed<'a> {
        Packed { layout: &self.0.shared.layouts[entity], bytes: record }
    }

    /// Follows merges to the end.
    pub fn survivor(&self, start: NodeId) -> NodeId {
        // Almost nobody merges: the set of merges tells that without a record.
        if self.sets(start.entity).aliases.is_empty() {
            return start;
        }
        let mut id = start;
        for _ in 0..SHORT {
            match self.into(id) {
                Some(into) => id = into,
                None => return id,
            }
        }
        self.survivor_afar(id)
    }

    /// The end of a long chain of merges, which is walked once a version.
    fn survivor_afar(&self, start: NodeId) -> NodeId {
        let mut known = self.0.afar.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut id, mut walked) = (start, Vec::new());
        let end = loop {
            if let Some(end) = known.get(&id) {
                break *end;
            }
            match self.into(id) {
                Some(into) => {
                    walked.push(id);
                    id = into;
                }
                None => break id,
            }
        };
        known.extend(walked.into_iter().map(|passed| (passed, end)));
        end
    }

    /// What a node was merged into, where that counts.
    fn into(&self, id: NodeId) -> Option<NodeId> {
        let record = self.record(id)?;
        let merge = self.packed(id.entity, &record).merge().filter(|merge| !merge.void)?;
        Some(id.entity.node(merge.into))
    }

    /// The node that a link field names, or its survivor.
    pub fn follow(&self, node: &Node<'_>, field: FieldId, target_entity: EntityId) -> Option<NodeId> {
        match node.value(field) {
            Cell::Link(slot) => Some(self.survivor(target_entity.node(slot))),
            _ => None,
        }
    }

    /// Shows every node of an entity that exists and is no alias, whatever its state, in the order of slots.
    pub fn each<B>(&self, entity: EntityId, mut show: impl FnMut(Slot, &Node<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
        let mut records = Vec::with_capacity(PAGE);
        for page in 0..self.pages(entity) {
            self.0.shared.slots[entity].page_at(page, self.sequence(), &mut records);
            for (slot, record) in records.drain(..) {
                let node = self.wrap(entity, record);
                if node.exists() && !node.is_alias() {
                    show(slot, &node)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The slots, of those that lists hold in a page of them, where a field's value passes a test. For fields without an
    /// index: the cells lie at one offset of the packed records.
    pub fn scan(&self, entity: EntityId, page: usize, field: FieldId, passes: impl Fn(Cell<'_>) -> bool) -> Vec<Slot> {
        // Taken out first: whatever a test costs, the writer does not wait for it.
        let mut records = Vec::with_capacity(PAGE);
        self.0.shared.slots[entity].page_at(page, self.sequence(), &mut records);
        records.retain(|(_, record)| {
            let packed = self.packed(entity, record);
            packed.is_listed() && passes(packed.cell(field))
        });
        records.into_iter().map(|(slot, _)| slot).collect()
    }

    /// Pages of an entity's slots.
    pub fn pages(&self, entity: EntityId) -> usize {
        self.0.lengths[entity].div_ceil(PAGE)
    }

    pub(super) fn sets(&self, entity: EntityId) -> &Sets {
        &self.0.sets[entity]
    }

    /// The slots of a node and of all that answer with it.
    pub fn merged(&self, NodeId { entity, slot }: NodeId) -> Vec<Slot> {
        let aliases = &self.sets(entity).aliases;
        let mut members = vec![slot];
        let mut next = 0;
        while let Some(member) = members.get(next).copied().filter(|_| !aliases.is_empty()) {
            members.extend(aliases.range([member.0, 0]..=[member.0, u32::MAX]).map(|[_, alias]| Slot(alias)));
            next += 1;
        }
        members
    }

    fn link(&self, entity: EntityId, field: FieldId) -> usize {
        self.0.shared.layouts[entity].link_of[field].unwrap_or_default()
    }

    /// Who links to a slot by a link field of an entity: the listed ones, by slot. Its aliases are not looked at.
    pub fn sources(&self, entity: EntityId, field: FieldId, target: Slot) -> impl Iterator<Item = Slot> + '_ {
        let tree = &self.sets(entity).links[self.link(entity, field)];
        tree.range([target.0, 0]..=[target.0, u32::MAX]).map(|[_, source]| Slot(source))
    }

    /// How many those are.
    pub fn degree(&self, entity: EntityId, field: FieldId, target: Slot) -> usize {
        self.sets(entity).neighbours(self.link(entity, field), target)
    }

    /// The index of a field; none where it has no `@index`.
    pub fn index(&self, entity: EntityId, field: FieldId) -> Option<&Index> {
        let place = self.0.shared.layouts[entity].index_of[field]?;
        Some(&self.sets(entity).fields[place])
    }

    /// The index of keys.
    pub fn keys(&self, entity: EntityId) -> &Index {
        &self.sets(entity).keys
    }

    /// The index of a `@search` field's words.
    pub fn words(&self, entity: EntityId, field: FieldId) -> Option<&Index> {
        let place = self.0.shared.layouts[entity].searchable.iter().position(|known| *known == field)?;
        Some(&self.sets(entity).words[place])
    }

    /// The index that an owner of many has of its own over who links to it: by a field, or by key where there is none. A
    /// range of codes of it, both ends included.
    pub fn owned(
        &self,
        entity: EntityId,
        link_field: FieldId,
        owner: Slot,
        field: Option<FieldId>,
    ) -> Option<Owned<'_>> {
        let link = self.link(entity, link_field);
        let (sets, layout) = (self.sets(entity), &self.0.shared.layouts[entity]);
        if !sets.owners[link].contains(&[owner.0]) {
            return None;
        }
        let place = match field {
            Some(field) => layout.index_of[field]?,
            None => layout.indexed.len(),
        };
        Some(Owned { tree: &sets.owned[link][place], owner })
    }

    /// Bytes of an entity's parts. Looks at no record.
    pub fn memory(&self, entity: EntityId) -> Memory {
        let slots = self.0.lengths[entity];
        let sets = self.sets(entity);
        let indexes = sets.fields.iter().chain(&sets.words).chain([&sets.keys]);
        Memory {
            slots,
            records: self.0.counts[entity].bytes.max(0).cast_unsigned() as usize,
            pages: slots.div_ceil(PAGE) * PAGE * size_of::<(u64, Record)>(),
            keys: self.0.shared.keys[entity].size(),
            links: sets.links.iter().map(Tree::size).sum::<usize>() + sets.aliases.size(),
            indexes: indexes.map(Index::size).sum(),
            owned: sets.owned.iter().flatten().map(Tree::size).sum(),
        }
    }

    /// Bytes of an entity's records that are lineage, and that are what the rules keep. Looks at every record.
    pub fn beside(&self, entity: EntityId) -> (usize, usize) {
        let (mut lineage, mut stamps) = (0, 0);
        for record in self.slots(entity).filter_map(|slot| self.record(entity.node(slot))) {
            let packed = self.packed(entity, &record);
            if !packed.is_reference() {
                let sections = packed.sections();
                lineage += sections.lineage.len();
                stamps += sections.stamps.len();
            }
        }
        (lineage, stamps)
    }
}

/// An owner's own index.
#[derive(Clone, Copy)]
pub struct Owned<'v> {
    tree: &'v Tree<[u32; 5]>,
    owner: Slot,
}

impl<'v> Owned<'v> {
    fn bounds(self, (low, high): (Code, Code)) -> ([u32; 5], [u32; 5]) {
        let entry = |code: Code, slot: Slot| [self.owner.0, code[0], code[1], code[2], slot.0];
        (entry(low, Slot::MIN), entry(high, Slot::MAX))
    }

    /// How many entries have a code in the range, both ends included.
    pub fn count(self, range: (Code, Code)) -> usize {
        let (low, high) = self.bounds(range);
        (self.tree.rank(&high) + usize::from(self.tree.contains(&high))).saturating_sub(self.tree.rank(&low))
    }

    /// The entries of a range, by code, then slot.
    pub fn range(self, range: (Code, Code)) -> impl DoubleEndedIterator<Item = (Code, Slot)> + 'v {
        let (low, high) = self.bounds(range);
        self.tree.range(low..=high).map(|[_, a, b, c, slot]| ([a, b, c], Slot(slot)))
    }
}

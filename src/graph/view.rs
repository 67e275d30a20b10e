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
use super::{Packed, Shared};
use crate::model::Model;
use crate::model::cell::Cell;

/// Merges that a look-up follows without remembering where they led.
const SHORT: usize = 8;

/// A version. As long as one of its clones lives, what it needs is kept.
#[derive(Clone)]
pub struct View(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    sets: Vec<Sets>,
    counts: Vec<Counts>,
    lengths: Vec<u32>,
    pin: Pin,
    /// By entity and slot: the ends of long chains of merges that somebody walked.
    afar: Mutex<HashMap<(usize, u32), u32>>,
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
    pub(super) fn new(shared: Arc<Shared>, sets: Vec<Sets>, counts: Vec<Counts>, lengths: Vec<u32>, pin: Pin) -> View {
        View(Arc::new(Inner { shared, sets, counts, lengths, pin, afar: Mutex::default() }))
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

    pub fn counts(&self, entity: usize) -> &Counts {
        &self.0.counts[entity]
    }

    /// Slots of an entity, those of references among them.
    pub fn slots(&self, entity: usize) -> u32 {
        self.0.lengths[entity]
    }

    fn record(&self, entity: usize, slot: u32) -> Option<Record> {
        self.0.shared.slots[entity].at(slot, self.sequence())
    }

    fn wrap(&self, entity: usize, record: Record) -> Node<'_> {
        Node::new(&self.0.shared.layouts[entity], &self.0.shared.names, record)
    }

    /// The node at a slot that this view holds: one found by key, by a link or in a list.
    pub fn node(&self, entity: usize, slot: u32) -> Node<'_> {
        self.wrap(entity, self.record(entity, slot).expect("a view's slots come from that view"))
    }

    /// The first 32 bytes of a slot's key, which is the same in all versions: the record is looked at where it lies. They order
    /// as keys do, but for those that begin alike.
    pub fn key_start(&self, entity: usize, slot: u32) -> [u8; 32] {
        let start = |record: &Record| {
            let (mut start, key) = ([0; 32], self.packed(entity, record).key_bytes());
            let length = key.len().min(32);
            start[..length].copy_from_slice(&key[..length]);
            start
        };
        self.0.shared.slots[entity].newest(slot, start).unwrap_or_default()
    }

    /// Looks a key up. Who was merged answers with the survivor; `None` where nothing knows the key.
    pub fn find(&self, entity: usize, key: &str) -> Option<u32> {
        let slot = self.find_self(entity, key)?;
        Some(self.survivor(entity, slot))
    }

    /// Looks a key up, whoever answers for it.
    pub fn find_self(&self, entity: usize, key: &str) -> Option<u32> {
        let slot = self.slot_of(entity, key)?;
        let record = self.record(entity, slot)?;
        self.packed(entity, &record).exists().then_some(slot)
    }

    /// The slot of a key, whether or not anything is there.
    pub(super) fn slot_of(&self, entity: usize, key: &str) -> Option<u32> {
        let (slots, keys) = (self.0.shared.slots.get(entity)?, self.0.shared.keys.get(entity)?);
        let has_key = |record: &Record| self.packed(entity, record).key_bytes() == key.as_bytes();
        keys.find(key, |slot| slots.newest(slot, has_key) == Some(true))
    }

    fn packed<'a>(&'a self, entity: usize, record: &'a Record) -> Packed<'a> {
        Packed { layout: &self.0.shared.layouts[entity], bytes: record }
    }

    /// Follows merges to the end.
    pub fn survivor(&self, entity: usize, start: u32) -> u32 {
        // Almost nobody merges: the set of merges tells that without a record.
        if self.sets(entity).aliases.is_empty() {
            return start;
        }
        let mut slot = start;
        for _ in 0..SHORT {
            match self.into(entity, slot) {
                Some(into) => slot = into,
                None => return slot,
            }
        }
        self.survivor_afar(entity, slot)
    }

    /// The end of a long chain of merges, which is walked once a version.
    fn survivor_afar(&self, entity: usize, start: u32) -> u32 {
        let mut known = self.0.afar.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut slot, mut walked) = (start, Vec::new());
        let end = loop {
            if let Some(end) = known.get(&(entity, slot)) {
                break *end;
            }
            match self.into(entity, slot) {
                Some(into) => {
                    walked.push((entity, slot));
                    slot = into;
                }
                None => break slot,
            }
        };
        known.extend(walked.into_iter().map(|passed| (passed, end)));
        end
    }

    /// What a slot was merged into, where that counts.
    fn into(&self, entity: usize, slot: u32) -> Option<u32> {
        let record = self.record(entity, slot)?;
        self.packed(entity, &record).merge().filter(|merge| !merge.void).map(|merge| merge.into)
    }

    /// The slot that a link field names, or its survivor's.
    pub fn follow(&self, node: &Node<'_>, field: usize, target_entity: usize) -> Option<u32> {
        match node.value(field) {
            Cell::Link(slot) => Some(self.survivor(target_entity, slot)),
            _ => None,
        }
    }

    /// Shows every node of an entity that exists and is no alias, whatever its state, in the order of slots.
    pub fn each<B>(&self, entity: usize, mut show: impl FnMut(u32, &Node<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
        let mut records = Vec::with_capacity(PAGE);
        for page in 0..(self.0.lengths[entity] as usize).div_ceil(PAGE) {
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
    pub fn scan(&self, entity: usize, page: u32, field: usize, passes: impl Fn(Cell<'_>) -> bool) -> Vec<u32> {
        // Taken out first: whatever a test costs, the writer does not wait for it.
        let mut records = Vec::with_capacity(PAGE);
        self.0.shared.slots[entity].page_at(page as usize, self.sequence(), &mut records);
        records.retain(|(_, record)| {
            let packed = self.packed(entity, record);
            packed.is_listed() && passes(packed.cell(field))
        });
        records.into_iter().map(|(slot, _)| slot).collect()
    }

    /// Pages of an entity's slots.
    pub fn pages(&self, entity: usize) -> u32 {
        self.0.lengths[entity].div_ceil(PAGE as u32)
    }

    pub(super) fn sets(&self, entity: usize) -> &Sets {
        &self.0.sets[entity]
    }

    /// A slot and all that answer with it.
    pub fn merged(&self, entity: usize, slot: u32) -> Vec<u32> {
        let aliases = &self.sets(entity).aliases;
        let mut members = vec![slot];
        let mut next = 0;
        while let Some(member) = members.get(next).copied().filter(|_| !aliases.is_empty()) {
            members.extend(aliases.range([member, 0]..=[member, u32::MAX]).map(|[_, alias]| alias));
            next += 1;
        }
        members
    }

    fn link(&self, entity: usize, field: usize) -> usize {
        self.0.shared.layouts[entity].link_of[field].unwrap_or_default()
    }

    /// Who links to a slot by a link field of an entity: the listed ones, by slot. Its aliases are not looked at.
    pub fn sources(&self, entity: usize, field: usize, target: u32) -> impl Iterator<Item = u32> + '_ {
        let tree = &self.sets(entity).links[self.link(entity, field)];
        tree.range([target, 0]..=[target, u32::MAX]).map(|[_, source]| source)
    }

    /// How many those are.
    pub fn degree(&self, entity: usize, field: usize, target: u32) -> usize {
        self.sets(entity).neighbours(self.link(entity, field), target)
    }

    /// The index of a field; none where it has no `@index`.
    pub fn index(&self, entity: usize, field: usize) -> Option<&Index> {
        let place = self.0.shared.layouts[entity].index_of[field]?;
        Some(&self.sets(entity).fields[place])
    }

    /// The index of keys.
    pub fn keys(&self, entity: usize) -> &Index {
        &self.sets(entity).keys
    }

    /// The index of a `@search` field's words.
    pub fn words(&self, entity: usize, field: usize) -> Option<&Index> {
        let place = self.0.shared.layouts[entity].searchable.iter().position(|known| *known == field)?;
        Some(&self.sets(entity).words[place])
    }

    /// The index that an owner of many has of its own over who links to it: by a field, or by key where there is none. A
    /// range of codes of it, both ends included.
    pub fn owned(&self, entity: usize, link_field: usize, owner: u32, field: Option<usize>) -> Option<Owned<'_>> {
        let link = self.link(entity, link_field);
        let (sets, layout) = (self.sets(entity), &self.0.shared.layouts[entity]);
        if !sets.owners[link].contains(&owner) {
            return None;
        }
        let place = match field {
            Some(field) => layout.index_of[field]?,
            None => layout.indexed.len(),
        };
        Some(Owned { tree: &sets.owned[link][place], owner })
    }

    /// Bytes of an entity's parts. Looks at no record.
    pub fn memory(&self, entity: usize) -> Memory {
        let slots = self.0.lengths[entity] as usize;
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
    pub fn beside(&self, entity: usize) -> (usize, usize) {
        let (mut lineage, mut stamps) = (0, 0);
        for record in (0..self.0.lengths[entity]).filter_map(|slot| self.record(entity, slot)) {
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
    owner: u32,
}

impl<'v> Owned<'v> {
    fn bounds(self, (low, high): (Code, Code)) -> ([u32; 5], [u32; 5]) {
        let entry = |code: Code, slot: u32| [self.owner, code[0], code[1], code[2], slot];
        (entry(low, 0), entry(high, u32::MAX))
    }

    /// How many entries have a code in the range, both ends included.
    pub fn count(self, range: (Code, Code)) -> usize {
        let (low, high) = self.bounds(range);
        (self.tree.rank(&high) + usize::from(self.tree.contains(&high))).saturating_sub(self.tree.rank(&low))
    }

    /// The entries of a range, by code, then slot.
    pub fn range(self, range: (Code, Code)) -> impl DoubleEndedIterator<Item = (Code, u32)> + 'v {
        let (low, high) = self.bounds(range);
        self.tree.range(low..=high).map(|[_, a, b, c, slot]| ([a, b, c], slot))
    }
}

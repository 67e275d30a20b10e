//! What one entity's lists, links and indexes hold: ordered sets, changed together when a version is published.
//!
//! They hold what lists hold: entities that are present and no aliases. So a count is a difference of two ranks, and a
//! reverse link needs no look at the records behind it.

use hashbrown::HashSet;

use super::index::{Code, Index, Pending, code_of, key_code, text_code};
use super::layout::Layout;
use super::record::Packed;
use super::tree::Tree;
use super::words::words_of;
use crate::ids::{FieldId, Slot};
use crate::model::Entity;

/// An owner with more neighbours over one link has indexes of its own over them.
pub const OWNER_MIN: usize = 1024;

/// The sets at one version. Cloning shares them.
#[derive(Clone)]
pub struct Sets {
    /// By link: (target, source).
    pub links: Vec<Tree<[u32; 2]>>,
    /// By indexed field.
    pub fields: Vec<Index>,
    pub keys: Index,
    /// By searchable field.
    pub words: Vec<Index>,
    /// (survivor, alias), of merges that count.
    pub aliases: Tree<[u32; 2]>,
    /// By link: owners of many.
    pub owners: Vec<Tree<[u32; 1]>>,
    /// By link: (owner, code, source) for each indexed field, and at the end for keys.
    pub owned: Vec<Vec<Tree<[u32; 5]>>>,
}

/// Changes of one index of the owners of a link.
type OwnedChanges = Vec<([u32; 5], bool)>;

/// Changes that wait for the next version.
#[derive(Default)]
pub struct Waiting {
    links: Vec<Vec<([u32; 2], bool)>>,
    fields: Vec<Pending>,
    keys: Option<Pending>,
    words: Vec<Pending>,
    aliases: Vec<([u32; 2], bool)>,
    owned: Vec<Vec<OwnedChanges>>,
    /// By link: the owners, as the writer looks them up.
    owners: Vec<HashSet<Slot>>,
}

fn owned(owner: Slot, code: Code, source: Slot) -> [u32; 5] {
    [owner.0, code[0], code[1], code[2], source.0]
}

impl Sets {
    pub fn new(entity: &Entity, layout: &Layout) -> Sets {
        let links = layout.links.len();
        Sets {
            links: vec![Tree::default(); links],
            fields: layout.indexed.iter().map(|field| Index::of(&entity.fields[*field].kind)).collect(),
            keys: Index::text(),
            words: layout.searchable.iter().map(|_| Index::text()).collect(),
            aliases: Tree::default(),
            owners: vec![Tree::default(); links],
            owned: vec![vec![Tree::default(); layout.indexed.len() + 1]; links],
        }
    }

    /// How many link to a target.
    pub fn neighbours(&self, link: usize, target: Slot) -> usize {
        let tree = &self.links[link];
        match target.0.checked_add(1) {
            Some(next) => tree.rank(&[next, 0]) - tree.rank(&[target.0, 0]),
            None => tree.len() - tree.rank(&[target.0, 0]),
        }
    }
}

impl Waiting {
    pub fn new(sets: &Sets) -> Waiting {
        Waiting {
            links: sets.links.iter().map(|_| Vec::new()).collect(),
            fields: sets.fields.iter().map(Index::pending).collect(),
            keys: Some(sets.keys.pending()),
            words: sets.words.iter().map(Index::pending).collect(),
            aliases: Vec::new(),
            owned: sets.owned.iter().map(|trees| trees.iter().map(|_| Vec::new()).collect()).collect(),
            owners: sets.links.iter().map(|_| HashSet::new()).collect(),
        }
    }

    /// How many changes of ordered sets wait.
    pub fn len(&self) -> usize {
        let pairs = self.links.iter().chain([&self.aliases]).map(Vec::len);
        let owned = self.owned.iter().flatten().map(Vec::len);
        let indexes = self.fields.iter().chain(&self.words).chain(&self.keys).map(Pending::len);
        pairs.chain(owned).chain(indexes).sum()
    }

    /// Bytes that it holds, used or not.
    pub fn size(&self) -> usize {
        let pairs = self.links.iter().chain([&self.aliases]).map(|all| all.capacity() * size_of::<([u32; 2], bool)>());
        let owned = self.owned.iter().flatten().map(|all| all.capacity() * size_of::<([u32; 5], bool)>());
        let indexes = self.fields.iter().chain(&self.words).chain(&self.keys).map(Pending::size);
        let owners = self.owners.iter().map(HashSet::allocation_size);
        pairs.chain(owned).chain(indexes).chain(owners).sum()
    }

    /// Gives back what it does not use.
    pub fn shrink(&mut self) {
        self.links.iter_mut().for_each(Vec::shrink_to_fit);
        self.aliases.shrink_to_fit();
        self.owned.iter_mut().flatten().for_each(Vec::shrink_to_fit);
        self.fields.iter_mut().chain(&mut self.words).chain(&mut self.keys).for_each(Pending::shrink);
    }

    /// Notes what a slot's new record changes. `changed` is what was set, where both records are listed; otherwise all.
    pub fn note(
        &mut self,
        entity: &Entity,
        slot: Slot,
        old: Packed<'_>,
        new: Packed<'_>,
        changed: impl Iterator<Item = FieldId>,
    ) {
        let merge = |record: Packed<'_>| record.merge().filter(|merge| !merge.void).map(|merge| merge.into);
        let (from, into) = (merge(old), merge(new));
        if from != into {
            self.aliases.extend(from.map(|from| ([from.0, slot.0], false)));
            self.aliases.extend(into.map(|into| ([into.0, slot.0], true)));
        }
        let (was, is) = (old.is_listed(), new.is_listed());
        let layout = new.layout;
        if was && is {
            for field in changed {
                self.field(entity, slot, field, Some(old), Some(new));
            }
        } else if was || is {
            let (old, new) = (was.then_some(old), is.then_some(new));
            layout.places.ids().for_each(|field| self.field(entity, slot, field, old, new));
            let key = key_code(old.or(new).map_or("", Packed::key));
            if let Some(keys) = &mut self.keys {
                keys.push(key, slot, is);
            }
        }
    }

    /// Notes some fields of a listed record as if nothing of them was known.
    pub fn note_fields(&mut self, entity: &Entity, slot: Slot, record: Packed<'_>, fields: &[FieldId]) {
        fields.iter().for_each(|field| self.field(entity, slot, *field, None, Some(record)));
    }

    /// By link: the owners of many.
    pub fn owners_mut(&mut self) -> &mut [HashSet<Slot>] {
        &mut self.owners
    }

    /// Notes one field's change, `None` where no list holds the entity.
    fn field(&mut self, entity: &Entity, slot: Slot, field: FieldId, old: Option<Packed<'_>>, new: Option<Packed<'_>>) {
        let Some(layout) = new.or(old).map(|record| record.layout) else { return };
        let kind = &entity.fields[field].kind;
        if let Some(link) = layout.link_of[field] {
            let (from, to) = (old.and_then(|old| old.link(field)), new.and_then(|new| new.link(field)));
            if from == to {
                return;
            }
            for (target, record, holds) in [(from, old, false), (to, new, true)] {
                let (Some(target), Some(record)) = (target, record) else { continue };
                self.links[link].push(([target.0, slot.0], holds));
                if self.owners[link].contains(&target) {
                    self.own(entity, link, target, slot, record, holds);
                }
            }
            return;
        }
        if let Some(place) = layout.index_of[field] {
            let of = |record: Option<Packed<'_>>| record.and_then(|record| code_of(kind, record.cell(field)));
            let (from, to) = (of(old), of(new));
            if from == to {
                return;
            }
            for (code, record, holds) in [(from, old, false), (to, new, true)] {
                let (Some(code), Some(record)) = (code, record) else { continue };
                self.fields[place].push(code, slot, holds);
                for (link, owners) in self.owners.iter().enumerate() {
                    if !owners.is_empty()
                        && let Some(target) = record.link(layout.links[link])
                        && owners.contains(&target)
                    {
                        self.owned[link][place].push((owned(target, code, slot), holds));
                    }
                }
            }
        }
        if let Some(place) = layout.searchable.iter().position(|known| *known == field) {
            let of = |record: Option<Packed<'_>>| -> Vec<Code> {
                let words = record.map(|record| words_of(record.cell(field)));
                words.iter().flatten().map(|word| text_code(word)).collect()
            };
            let (from, to) = (of(old), of(new));
            from.iter().filter(|code| !to.contains(code)).for_each(|code| self.words[place].push(*code, slot, false));
            to.iter().filter(|code| !from.contains(code)).for_each(|code| self.words[place].push(*code, slot, true));
        }
    }

    /// Puts a neighbour into its owner's own indexes, or takes it out.
    fn own(&mut self, entity: &Entity, link: usize, owner: Slot, slot: Slot, record: Packed<'_>, holds: bool) {
        let layout = record.layout;
        for (place, field) in layout.indexed.iter().enumerate() {
            if let Some(code) = code_of(&entity.fields[*field].kind, record.cell(*field)) {
                self.owned[link][place].push((owned(owner, code, slot), holds));
            }
        }
        self.owned[link][layout.indexed.len()].push((owned(owner, key_code(record.key()), slot), holds));
    }

    /// Brings the sets up to what was noted. `record` gives the newest record of a slot, `degree` about how many name a
    /// link's target: never fewer than do.
    pub fn publish(
        &mut self,
        sets: &mut Sets,
        entity: &Entity,
        degree: impl Fn(usize, Slot) -> usize,
        record: impl Fn(Slot, &mut dyn FnMut(Packed<'_>)),
    ) {
        for link in 0..self.links.len() {
            let mut touched: Vec<(Slot, bool)> = Vec::new();
            for ([target, _], holds) in &self.links[link] {
                let target = Slot(*target);
                let owns = self.owners[link].contains(&target);
                if owns || *holds && degree(link, target) > OWNER_MIN {
                    touched.push((target, owns));
                }
            }
            sets.links[link].apply(&mut self.links[link]);
            touched.sort_unstable();
            touched.dedup();
            for (target, owns) in touched {
                let neighbours = sets.neighbours(link, target);
                // Between half and whole it stays what it is, so that it does not change at every event.
                let becomes = if owns { neighbours > OWNER_MIN / 2 } else { neighbours > OWNER_MIN };
                if owns && !becomes {
                    self.owners[link].remove(&target);
                    sets.owners[link].remove(&[target.0]);
                    for (tree, waiting) in sets.owned[link].iter().zip(&mut self.owned[link]) {
                        waiting.retain(|(entry, _)| entry[0] != target.0);
                        waiting.extend(
                            tree.range([target.0, 0, 0, 0, 0]..=[target.0, u32::MAX, u32::MAX, u32::MAX, u32::MAX])
                                .map(|entry| (entry, false)),
                        );
                    }
                } else if !owns && becomes {
                    self.owners[link].insert(target);
                    sets.owners[link].insert([target.0]);
                    let pairs = sets.links[link].range([target.0, 0]..=[target.0, u32::MAX]);
                    let sources: Vec<Slot> = pairs.map(|[_, source]| Slot(source)).collect();
                    for source in sources {
                        record(source, &mut |packed| self.own(entity, link, target, source, packed, true));
                    }
                }
            }
            for (tree, waiting) in sets.owned[link].iter_mut().zip(&mut self.owned[link]) {
                tree.apply(waiting);
            }
        }
        sets.fields.iter_mut().zip(&mut self.fields).for_each(|(index, waiting)| index.apply(waiting));
        sets.words.iter_mut().zip(&mut self.words).for_each(|(index, waiting)| index.apply(waiting));
        self.keys.iter_mut().for_each(|waiting| sets.keys.apply(waiting));
        sets.aliases.apply(&mut self.aliases);
    }
}

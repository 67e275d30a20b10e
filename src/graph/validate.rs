//! Every index, link, alias and count against the records: what a test calls after each batch.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{Code, code_of, key_code, text_code};
use super::record::Packed;
use super::sets::OWNER_MIN;
use super::words::words_of;
use super::{Counts, View};
use crate::ids::{EntityId, NodeId, Slot};

/// What the records say that the sets hold.
#[derive(Default)]
struct Expected {
    links: Vec<BTreeSet<[u32; 2]>>,
    fields: Vec<BTreeSet<(Code, Slot)>>,
    keys: BTreeSet<(Code, Slot)>,
    words: Vec<BTreeSet<(Code, Slot)>>,
    aliases: BTreeSet<[u32; 2]>,
}

impl View {
    /// What contradicts what, or nothing. Walks the whole graph.
    pub fn validate(&self) -> Result<(), String> {
        let model = self.model().clone();
        let mut named: BTreeSet<NodeId> = BTreeSet::new();
        for entity in model.entities.ids() {
            self.validate_sets(entity, &mut named)?;
        }
        for (entity, description) in model.entities.entries() {
            for id in self.slots(entity).map(|slot| entity.node(slot)) {
                let node = self.node(id);
                let packed = node.packed();
                let is_named = packed.flags().rejected() || named.contains(&id);
                if packed.is_reference() && packed.flags().named() != is_named {
                    return Err(format!("{} {}: whether it is named is wrong", description.name, node.key()));
                }
            }
        }
        Ok(())
    }

    fn validate_sets(&self, entity: EntityId, named: &mut BTreeSet<NodeId>) -> Result<(), String> {
        let model = self.model().clone();
        let description = &model.entities[entity];
        let sets = self.sets(entity);
        let mut counts = Counts::new(description);
        let mut expected = Expected {
            links: vec![BTreeSet::new(); sets.links.len()],
            fields: vec![BTreeSet::new(); sets.fields.len()],
            words: vec![BTreeSet::new(); sets.words.len()],
            ..Expected::default()
        };
        for id in self.slots(entity).map(|slot| entity.node(slot)) {
            let node = self.node(id);
            let packed = node.packed();
            if self.slot_of(entity, node.key()) != Some(id.slot) {
                return Err(format!("{} {}: its key does not lead to it", description.name, node.key()));
            }
            counts.count(packed, 1);
            counts.bytes += super::weight(node.bytes());
            for link in &packed.layout.links {
                let target = description.fields[*link].kind.link().zip(packed.link(*link));
                named.extend(target.map(|(entity, slot)| entity.node(slot)));
            }
            if let Some(merge) = packed.merge() {
                named.insert(entity.node(merge.into));
                if !merge.void {
                    expected.aliases.insert([merge.into.0, id.slot.0]);
                }
            }
            if packed.is_listed() {
                self.expect(id, packed, &mut expected);
            }
        }
        if counts != *self.counts(entity) {
            return Err(format!("{}: counted {counts:?}, kept {:?}", description.name, self.counts(entity)));
        }
        let wrong = |what: &str| Err(format!("{}: {what} does not hold what the records say", description.name));
        let same = |index: &super::Index, expected: &BTreeSet<(Code, Slot)>| index.iter().eq(expected.iter().copied());
        for (tree, expected) in sets.links.iter().zip(&expected.links) {
            tree.validate()?;
            if !tree.iter().eq(expected.iter().copied()) {
                return wrong("a reverse link");
            }
        }
        if !sets.aliases.iter().eq(expected.aliases.iter().copied()) {
            return wrong("the set of aliases");
        }
        if !sets.fields.iter().zip(&expected.fields).all(|(index, expected)| same(index, expected)) {
            return wrong("an index");
        }
        if !sets.words.iter().zip(&expected.words).all(|(index, expected)| same(index, expected)) {
            return wrong("an index of words");
        }
        if !same(&sets.keys, &expected.keys) {
            return wrong("the index of keys");
        }
        self.validate_owners(entity)
    }

    fn expect(&self, NodeId { entity, slot }: NodeId, packed: Packed<'_>, expected: &mut Expected) {
        let (layout, fields) = (packed.layout, &self.model().entities[entity].fields);
        for (link, field) in layout.links.iter().enumerate() {
            expected.links[link].extend(packed.link(*field).map(|target| [target.0, slot.0]));
        }
        for (place, field) in layout.indexed.iter().enumerate() {
            expected.fields[place].extend(code_of(&fields[*field].kind, packed.cell(*field)).map(|code| (code, slot)));
        }
        for (place, field) in layout.searchable.iter().enumerate() {
            let words = words_of(packed.cell(*field));
            expected.words[place].extend(words.iter().map(|word| (text_code(word), slot)));
        }
        expected.keys.insert((key_code(packed.key()), slot));
    }

    fn validate_owners(&self, entity: EntityId) -> Result<(), String> {
        let description = &self.model().entities[entity];
        let sets = self.sets(entity);
        for (link, owners) in sets.owners.iter().enumerate() {
            let mut degrees: BTreeMap<u32, usize> = BTreeMap::new();
            sets.links[link].iter().for_each(|[target, _]| *degrees.entry(target).or_default() += 1);
            for (target, degree) in &degrees {
                if *degree > OWNER_MIN && !owners.contains(&[*target]) {
                    return Err(format!("{}: an owner of {degree} has no indexes of its own", description.name));
                }
            }
            let mut expected: Vec<BTreeSet<[u32; 5]>> = vec![BTreeSet::new(); sets.owned[link].len()];
            for [target, source] in sets.links[link].iter().filter(|[target, _]| owners.contains(&[*target])) {
                let node = self.node(entity.node(Slot(source)));
                let packed = node.packed();
                let entry = |code: Code| [target, code[0], code[1], code[2], source];
                for (place, field) in packed.layout.indexed.iter().enumerate() {
                    let code = code_of(&description.fields[*field].kind, packed.cell(*field));
                    expected[place].extend(code.map(entry));
                }
                if let Some(keys) = expected.last_mut() {
                    keys.insert(entry(key_code(packed.key())));
                }
            }
            for (tree, expected) in sets.owned[link].iter().zip(&expected) {
                if !tree.iter().eq(expected.iter().copied()) {
                    return Err(format!("{}: an owner's index does not hold what the records say", description.name));
                }
            }
        }
        Ok(())
    }
}

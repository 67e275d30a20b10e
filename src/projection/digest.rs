//! One number for all that a graph says: two graphs of the same events have the same, however they came.
//!
//! Each record gives a hash of its key, state, fields, links (by key), attributes and stamps; an entity's are added up, so that
//! no order counts. Offsets, times of applying and counters are not in it; nor is what is personal of the erased, nor
//! references, which have no events. Under `position` a stamp counts by its source and id, so that two logs of the same
//! events agree.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::ledger::Ledger;
use super::stamp::Stamp;
use crate::graph::{Node, State, View, put, put_long};
use crate::ids::{EntityId, FieldId, Slot};
use crate::model::Entity;
use crate::model::cell::Cell;

/// An entity kind's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Nodes with events of their own.
    pub count: u64,
    /// The sum of their hashes, modulo 2^128.
    pub sum: u128,
}

impl Digest {
    /// As clients have it: 32 hex digits.
    pub fn text(self) -> String {
        format!("{:032x}", self.sum)
    }

    /// That of all kinds: of their names, counts and sums.
    pub fn of_all<'a>(all: impl Iterator<Item = (&'a str, Digest)>) -> String {
        let sorted: BTreeMap<&str, Digest> = all.collect();
        let mut bytes = Vec::new();
        for (name, digest) in sorted {
            put_long(&mut bytes, name.as_bytes());
            put(&mut bytes, digest.count);
            bytes.extend_from_slice(&digest.sum.to_be_bytes());
        }
        format!("{:032x}", xxh3_128(&bytes))
    }
}

/// Makes digests of a version's records, one at a time.
pub struct Digester<'v> {
    view: &'v View,
    entity: EntityId,
    /// The fields by name, so that their order in the model does not count.
    fields: Vec<FieldId>,
    ledger: Ledger,
    bytes: Vec<u8>,
}

impl<'v> Digester<'v> {
    pub fn new(view: &'v View, entity: EntityId) -> Digester<'v> {
        let description = &view.model().entities[entity];
        let mut fields: Vec<FieldId> = description.fields.ids().collect();
        fields.sort_by_key(|field| &description.fields[*field].name);
        Digester { view, entity, fields, ledger: Ledger::default(), bytes: Vec::new() }
    }

    fn description(&self) -> &'v Entity {
        &self.view.model().entities[self.entity]
    }

    /// A record's; none of a reference.
    pub fn of(&mut self, node: &Node<'_>) -> Option<u128> {
        if node.state() == State::Reference {
            return None;
        }
        let (view, description) = (self.view, self.description());
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        put_long(&mut bytes, node.key().as_bytes());
        bytes.push(u8::from(node.state() == State::Deleted) | u8::from(node.erased()) << 1);
        self.ledger.read(node.stamps(), description.fields.len());
        for field in &self.fields {
            let of_field = &description.fields[*field];
            let set_by = self.ledger.set_field(*field);
            let cell = node.value(*field);
            if node.erased() && of_field.personal || set_by.is_none() && cell.is_null() {
                continue;
            }
            put_long(&mut bytes, of_field.name.as_bytes());
            match (cell, of_field.kind.link(), &of_field.kind) {
                (Cell::Link(slot), Some(target), _) => {
                    put_long(&mut bytes, view.node(target.node(slot)).key().as_bytes())
                }
                (Cell::Enum(value), _, crate::model::Kind::Enum(index)) => {
                    let name = view.model().enums[*index].values.get(usize::from(value)).map(|value| &value.name);
                    put_long(&mut bytes, name.map_or(&[][..], |name| name.as_bytes()));
                }
                (cell, ..) => cell.pack(&mut bytes),
            }
            self.put_setter(&mut bytes, set_by);
        }
        bytes.push(0xff);
        // In no order of arrival: attributes by name.
        let attributes: BTreeMap<&str, &str> = node.attributes().collect();
        let mut set: Vec<_> = self.ledger.set_attributes().collect();
        set.sort_unstable_by_key(|(name, _)| *name);
        for (name, set_by) in set {
            put_long(&mut bytes, name.as_bytes());
            put_long(&mut bytes, attributes.get(name).map_or(&[][..], |json| json.as_bytes()));
            self.put_setter(&mut bytes, set_by);
        }
        bytes.push(0xff);
        if let Some(merge) = node.merge() {
            put_long(&mut bytes, view.node(self.entity.node(merge.into)).key().as_bytes());
            bytes.push(u8::from(merge.void));
        }
        for set_by in self.ledger.set_beside() {
            self.put_setter(&mut bytes, set_by);
        }
        node.missing().for_each(|version| put(&mut bytes, version));
        let hash = xxh3_128(&bytes);
        self.bytes = bytes;
        Some(hash)
    }

    fn put_setter(&self, bytes: &mut Vec<u8>, set_by: Option<(Stamp, u32, &str)>) {
        let Some((stamp, source, id)) = set_by else { return bytes.push(0) };
        match stamp {
            Stamp::Sequence(version) => {
                bytes.push(1);
                put(bytes, version);
            }
            Stamp::Time(at) => {
                bytes.push(2);
                crate::graph::put_instant(bytes, at);
            }
            Stamp::Position { .. } | Stamp::Commit(_) => bytes.push(3),
        }
        bytes.extend_from_slice(&xxh3_64(self.view.text(source).as_bytes()).to_le_bytes());
        put_long(bytes, id.as_bytes());
    }
}

/// Slots between two looks whether to go on.
pub const STEP: u64 = 1024;

/// An entity kind's digest at a version. `goes_on` is asked now and then; what it refuses by ends it.
pub fn digest<E>(view: &View, entity: EntityId, goes_on: impl FnMut() -> Result<(), E>) -> Result<Digest, E> {
    sum(view, entity, view.slots(entity), goes_on)
}

/// The same, made from that of an earlier version, of which all slots are known that were written since.
pub fn digest_since<E>(
    (before, known): (&View, Digest),
    view: &View,
    entity: EntityId,
    written: &[Slot],
    mut goes_on: impl FnMut() -> Result<(), E>,
) -> Result<Digest, E> {
    let length = before.slots(entity).len();
    let old = written.iter().copied().filter(|slot| slot.index() < length);
    let old = sum(before, entity, old, &mut goes_on)?;
    let new = sum(view, entity, written.iter().copied(), goes_on)?;
    Ok(Digest {
        count: known.count - old.count + new.count,
        sum: known.sum.wrapping_sub(old.sum).wrapping_add(new.sum),
    })
}

/// That of some slots.
fn sum<E>(
    view: &View,
    entity: EntityId,
    slots: impl Iterator<Item = Slot>,
    mut goes_on: impl FnMut() -> Result<(), E>,
) -> Result<Digest, E> {
    let mut digester = Digester::new(view, entity);
    let mut all = Digest::default();
    for (place, slot) in slots.enumerate() {
        if (place as u64).is_multiple_of(STEP) {
            goes_on()?;
        }
        if let Some(hash) = digester.of(&view.node(entity.node(slot))) {
            all.count += 1;
            all.sum = all.sum.wrapping_add(hash);
        }
    }
    Ok(all)
}

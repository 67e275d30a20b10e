//! What the rules keep of an entity beside its values: which event set what, and which versions were seen. It lies packed
//! in the entity's record; this is its working form, whose buffers are used again for the next event.

use std::cmp::Ordering;
use std::ops::Range;

use super::seen::{Novelty, Runs};
use super::stamp::{Order, Stamp, read_stamp, write_stamp};
use crate::graph::{Reader, put, put_long};
use crate::ids::{By, FieldId};

/// Fingerprints of events whose setters are gone, that an entity keeps: of its newest.
const PRINTS_MAX: usize = 16;

/// An event that set something, packed in the ledger's text: its stamp, source and id.
#[derive(Debug)]
struct Setter {
    stamp: Stamp,
    source: u32,
    /// Where its id begins, and where all of it lies.
    id: usize,
    packed: Range<usize>,
}

/// An entity's setters. A field names its setter by a number from 1; 0 is none.
///
/// Packed, the numbers come first, at fixed places and of one width; then the setters, each as it was written once; then what
/// most entities have little of.
#[derive(Debug, Default)]
pub struct Ledger {
    setters: Vec<Setter>,
    text: Vec<u8>,
    fields: By<FieldId, u32>,
    /// An attribute that was cleared stays here, so that nothing older sets it again.
    attributes: Vec<(Box<str>, u32)>,
    beside: Beside,
    /// The event that entered last, where no other has its stamp or a greater one.
    top: u32,
    pub runs: Runs,
    /// Stamps, and the fingerprints of their events, newest last.
    prints: Vec<(Stamp, u64)>,
}

/// What is set beside fields and attributes.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    merge: u32,
    deletion: u32,
    /// The greatest event that does not delete.
    change: u32,
    last: u32,
}

impl Beside {
    fn all(self) -> [u32; 4] {
        [self.merge, self.deletion, self.change, self.last]
    }
}

impl From<[u32; 4]> for Beside {
    fn from([merge, deletion, change, last]: [u32; 4]) -> Beside {
        Beside { merge, deletion, change, last }
    }
}

/// The texts of sources, by their numbers: ids and stamps alone do not order two events of two sources.
pub trait Sources {
    fn text(&self, source: u32) -> &str;
}

/// The first byte of a packed ledger. Those of format 1 begin with how many setters there are, which is never none.
const FIXED: u8 = 0;
/// Bytes of a setter's number.
const NARROW: u8 = 1;
const WIDE: u8 = 4;

impl Ledger {
    /// Reads what a record holds; nothing of an entity without events.
    pub fn read(&mut self, bytes: &[u8], fields: usize) {
        self.setters.clear();
        self.text.clear();
        self.fields.clear();
        self.attributes.clear();
        self.prints.clear();
        self.runs.clear();
        (self.beside, self.top) = (Beside::default(), 0);
        if bytes.is_empty() {
            self.fields.extend(std::iter::repeat_n(0, fields));
            return;
        }
        let mut reader = Reader(bytes);
        if bytes[0] != FIXED {
            return self.read_format_1(reader, fields);
        }
        reader.bytes(1);
        match reader.bytes(1) {
            [NARROW] => {
                self.fields.extend(reader.bytes(fields).iter().map(|number| u32::from(*number)));
                let beside = reader.bytes(4).try_into().unwrap_or([0u8; 4]);
                self.beside = beside.map(u32::from).into();
            }
            _ => {
                let number = |reader: &mut Reader<'_>| reader.bytes(4).try_into().map_or(0, u32::from_le_bytes);
                self.fields.extend((0..fields).map(|_| number(&mut reader)));
                self.beside = [(); 4].map(|()| number(&mut reader)).into();
            }
        }
        self.read_setters(&mut reader);
        self.read_rest(reader);
    }

    fn read_setters(&mut self, reader: &mut Reader<'_>) {
        let count = reader.number();
        let packed = reader.0;
        for _ in 0..count {
            let start = packed.len() - reader.0.len();
            let (stamp, source) = (read_stamp(reader), reader.number() as u32);
            let id = reader.long();
            let end = packed.len() - reader.0.len();
            self.setters.push(Setter { stamp, source, id: end - id.len(), packed: start..end });
        }
        self.text.extend_from_slice(&packed[..packed.len() - reader.0.len()]);
    }

    fn read_rest(&mut self, mut reader: Reader<'_>) {
        for _ in 0..reader.number() {
            let name = reader.text().into();
            self.attributes.push((name, reader.number() as u32));
        }
        self.runs.read(&mut reader);
        for _ in 0..reader.number() {
            let stamp = read_stamp(&mut reader);
            let print = reader.bytes(8).try_into().map_or(0, u64::from_le_bytes);
            self.prints.push((stamp, print));
        }
    }

    /// What checkpoints of format 1 hold: setters first, and numbers of any width.
    fn read_format_1(&mut self, mut reader: Reader<'_>, fields: usize) {
        self.read_setters(&mut reader);
        self.fields.extend((0..fields).map(|_| reader.number() as u32));
        self.beside = [(); 4].map(|()| reader.number() as u32).into();
        self.read_rest(reader);
    }

    /// Packs what is still named, and keeps the fingerprints of what is not. `print` makes one of a source and an id.
    pub fn write(&mut self, out: &mut Vec<u8>, tell_duplicates: bool, print: impl Fn(u32, &str) -> u64) {
        let (mut few, mut many) = ([0u32; 32], Vec::new());
        let renumbered: &mut [u32] = if self.setters.len() < few.len() {
            &mut few
        } else {
            many.resize(self.setters.len() + 1, 0);
            &mut many
        };
        // By new number from 1: the old one.
        let (mut few, mut many) = ([0u32; 32], Vec::new());
        let kept: &mut [u32] = if self.setters.len() < few.len() {
            &mut few
        } else {
            many.resize(self.setters.len() + 1, 0);
            &mut many
        };
        let mut count = 0usize;
        let mut keep = |setter: u32| {
            let number = &mut renumbered[setter as usize];
            if setter != 0 && *number == 0 {
                count += 1;
                *number = count as u32;
                kept[count] = setter;
            }
        };
        self.fields.iter().for_each(|setter| keep(*setter));
        self.beside.all().into_iter().for_each(&mut keep);
        self.attributes.iter().for_each(|(_, setter)| keep(*setter));
        let numbers = self.fields.iter().copied().chain(self.beside.all()).map(|setter| renumbered[setter as usize]);
        if count <= usize::from(u8::MAX) {
            out.extend_from_slice(&[FIXED, NARROW]);
            out.extend(numbers.map(|number| number as u8));
        } else {
            out.extend_from_slice(&[FIXED, WIDE]);
            out.extend(numbers.flat_map(u32::to_le_bytes));
        }
        put(out, count as u64);
        for setter in &kept[1..=count] {
            out.extend_from_slice(&self.text[self.setters[*setter as usize - 1].packed.clone()]);
        }
        put(out, self.attributes.len() as u64);
        for (name, setter) in &self.attributes {
            put_long(out, name.as_bytes());
            put(out, u64::from(renumbered[*setter as usize]));
        }
        self.runs.write(out);
        if tell_duplicates {
            for (setter, _) in self.setters.iter().zip(&renumbered[1..]).filter(|(_, number)| **number == 0) {
                let print = (setter.stamp, print(setter.source, self.id(setter)));
                let at = self.prints.partition_point(|known| *known < print);
                if self.prints.get(at) != Some(&print) {
                    self.prints.insert(at, print);
                }
            }
            let surplus = self.prints.len().saturating_sub(PRINTS_MAX);
            self.prints.drain(..surplus);
        }
        put(out, self.prints.len() as u64);
        for (stamp, print) in &self.prints {
            write_stamp(out, *stamp);
            out.extend_from_slice(&print.to_le_bytes());
        }
    }

    /// The same with its fields numbered anew, of which there are more now. None where an attribute has one of the names.
    pub fn renumber(bytes: &[u8], fields: &By<FieldId, FieldId>, count: usize, names: &[&str]) -> Option<Vec<u8>> {
        if bytes.is_empty() {
            return Some(Vec::new());
        }
        let mut ledger = Ledger::default();
        ledger.read(bytes, fields.len());
        if ledger.attributes.iter().any(|(name, _)| names.contains(&&**name)) {
            return None;
        }
        let before = std::mem::replace(&mut ledger.fields, vec![0; count].into());
        for (was, is) in fields.entries() {
            ledger.fields[*is] = before[was];
        }
        let mut out = Vec::with_capacity(bytes.len() + 8);
        ledger.write(&mut out, false, |_, _| 0);
        Some(out)
    }

    /// The same bytes without the names of unknown attributes.
    pub fn strip(bytes: &[u8], fields: usize) -> Vec<u8> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let mut ledger = Ledger::default();
        ledger.read(bytes, fields);
        ledger.forget_attributes();
        let mut out = Vec::with_capacity(bytes.len());
        ledger.write(&mut out, false, |_, _| 0);
        out
    }

    /// Forgets the names of unknown attributes, and what set them.
    pub fn forget_attributes(&mut self) {
        self.attributes.clear();
    }

    fn id(&self, setter: &Setter) -> &str {
        std::str::from_utf8(&self.text[setter.id..setter.packed.end]).unwrap_or_default()
    }

    fn setter(&self, number: u32) -> Option<&Setter> {
        self.setters.get((number as usize).checked_sub(1)?)
    }

    /// How two setters stand to each other; none is smaller than any.
    fn compare(&self, a: u32, b: u32, sources: &impl Sources) -> Ordering {
        // The usual case: what came last is the greatest.
        if b == self.top && a != b && b != 0 {
            return Ordering::Less;
        }
        match (self.setter(a), self.setter(b)) {
            (Some(a), Some(b)) => a.stamp.cmp(&b.stamp).then_with(|| {
                let by_source = || sources.text(a.source).as_bytes().cmp(sources.text(b.source).as_bytes());
                let order = if a.source == b.source { Ordering::Equal } else { by_source() };
                order.then_with(|| self.id(a).as_bytes().cmp(self.id(b).as_bytes()))
            }),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }

    /// What an event is to those that the entity had: told by its stamp and, under it, by source and id.
    pub fn novelty(&self, order: Order<'_>, print: impl Fn() -> u64) -> Novelty {
        // Every stamp that it knows is one of an event that was the greatest, or is below.
        if self.setter(self.beside.last).is_none_or(|last| last.stamp < order.stamp) {
            return Novelty::New;
        }
        let mut taken = false;
        for setter in self.setters.iter().filter(|setter| setter.stamp == order.stamp) {
            if setter.source == order.source.0 && self.id(setter) == order.id {
                return Novelty::Duplicate;
            }
            taken = true;
        }
        for (_, known) in self.prints.iter().filter(|(stamp, _)| *stamp == order.stamp) {
            if *known == print() {
                return Novelty::Duplicate;
            }
            taken = true;
        }
        if taken { Novelty::Conflict } else { Novelty::New }
    }

    pub fn deletion_stamp(&self) -> Option<Stamp> {
        self.setter(self.beside.deletion).map(|setter| setter.stamp)
    }

    /// Whether the entity is deleted: nothing greater than its deletion brought it back.
    pub fn is_deleted(&self, sources: &impl Sources) -> bool {
        self.beside.deletion != 0 && self.compare(self.beside.change, self.beside.deletion, sources) == Ordering::Less
    }

    /// Numbers an event that may come to set something.
    pub fn enter(&mut self, order: Order<'_>) -> u32 {
        let is_top = self.setter(self.beside.last).is_none_or(|last| last.stamp < order.stamp);
        let start = self.text.len();
        write_stamp(&mut self.text, order.stamp);
        put(&mut self.text, u64::from(order.source.0));
        put_long(&mut self.text, order.id.as_bytes());
        let packed = start..self.text.len();
        self.setters.push(Setter {
            stamp: order.stamp,
            source: order.source.0,
            id: packed.end - order.id.len(),
            packed,
        });
        let number = self.setters.len() as u32;
        self.top = if is_top { number } else { 0 };
        number
    }

    /// The stamp, source and id of a setter.
    pub fn origin(&self, number: u32) -> Option<(Stamp, u32, &str)> {
        self.setter(number).map(|setter| (setter.stamp, setter.source, self.id(setter)))
    }

    /// What set a field, where something did.
    pub fn set_field(&self, field: FieldId) -> Option<(Stamp, u32, &str)> {
        self.origin(self.fields[field])
    }

    /// Names of unknown attributes, cleared ones too, and what set them.
    pub fn set_attributes(&self) -> impl Iterator<Item = (&str, Option<(Stamp, u32, &str)>)> {
        self.attributes.iter().map(|(name, setter)| (&**name, self.origin(*setter)))
    }

    /// What set the merge, what deleted, the greatest event that does not delete, and the greatest of all.
    pub fn set_beside(&self) -> [Option<(Stamp, u32, &str)>; 4] {
        self.beside.all().map(|setter| self.origin(setter))
    }

    /// The setter of a field, where another source than this setter's set it.
    pub fn rival(&self, setter: u32, field: FieldId) -> Option<u32> {
        let (own, other) = (self.setter(setter)?, self.setter(self.fields[field])?);
        (own.source != other.source).then_some(self.fields[field])
    }

    /// Whether a smaller event of the same source set something.
    pub fn has_below(&self, order: Order<'_>) -> bool {
        let is_below = |setter: &Setter| (setter.stamp, self.id(setter)) < (order.stamp, order.id);
        self.setters.iter().any(|setter| setter.source == order.source.0 && is_below(setter))
    }

    /// The source of the entity's greatest event so far.
    pub fn last_source(&self) -> Option<u32> {
        self.setter(self.beside.last).map(|setter| setter.source)
    }

    /// Whether the entity's deletion is greater than the setter.
    pub fn is_outdated(&self, setter: u32, sources: &impl Sources) -> bool {
        self.compare(setter, self.beside.deletion, sources) == Ordering::Less
    }

    /// Whether the setter beats the one in place.
    fn beats(&self, setter: u32, place: u32, sources: &impl Sources) -> bool {
        let above = |other: u32| self.compare(other, setter, sources) == Ordering::Less;
        above(place) && above(self.beside.deletion)
    }

    pub fn take_field(&mut self, setter: u32, field: FieldId, sources: &impl Sources) -> bool {
        let wins = self.beats(setter, self.fields[field], sources);
        if wins {
            self.fields[field] = setter;
        }
        wins
    }

    pub fn take_attribute(&mut self, setter: u32, name: &str, sources: &impl Sources) -> bool {
        let known = self.attributes.iter().position(|(known, _)| **known == *name);
        let place = known.map_or(0, |index| self.attributes[index].1);
        if !self.beats(setter, place, sources) {
            return false;
        }
        match known {
            Some(index) => self.attributes[index].1 = setter,
            None => self.attributes.push((name.into(), setter)),
        }
        true
    }

    pub fn take_merge(&mut self, setter: u32, sources: &impl Sources) -> bool {
        let wins = self.beats(setter, self.beside.merge, sources);
        if wins {
            self.beside.merge = setter;
        }
        wins
    }

    /// Whether this deletion is the greatest so far. What it deletes is told by [`Ledger::outdated`].
    pub fn take_deletion(&mut self, setter: u32, sources: &impl Sources) -> bool {
        let wins = self.compare(self.beside.deletion, setter, sources) == Ordering::Less;
        if wins {
            self.beside.deletion = setter;
        }
        wins
    }

    pub fn take_change(&mut self, setter: u32, sources: &impl Sources) {
        if self.compare(self.beside.change, setter, sources) == Ordering::Less {
            self.beside.change = setter;
        }
    }

    /// Whether this is the entity's greatest event.
    pub fn take_last(&mut self, setter: u32, sources: &impl Sources) -> bool {
        let wins = self.compare(self.beside.last, setter, sources) == Ordering::Less;
        if wins {
            self.beside.last = setter;
        }
        wins
    }

    /// Forgets what the deletion outdates: tells the fields and attributes to clear, and whether the merge is undone.
    pub fn clear_outdated(
        &mut self,
        fields: &mut Vec<FieldId>,
        names: &mut Vec<Box<str>>,
        sources: &impl Sources,
    ) -> bool {
        let is_outdated = |ledger: &Ledger, setter: u32| {
            setter != 0 && ledger.compare(setter, ledger.beside.deletion, sources) == Ordering::Less
        };
        fields.extend(self.fields.ids().filter(|field| is_outdated(self, self.fields[*field])));
        fields.iter().for_each(|field| self.fields[*field] = 0);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.attributes).into_iter().partition(|(_, setter)| is_outdated(self, *setter));
        self.attributes = kept;
        names.extend(gone.into_iter().map(|(name, _)| name));
        let merge = is_outdated(self, self.beside.merge);
        if merge {
            self.beside.merge = 0;
        }
        merge
    }
}

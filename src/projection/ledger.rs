//! What the rules keep of an entity beside its values: which event set what, and which versions were seen. It lies packed
//! in the entity's record; this is its working form, whose buffers are used again for the next event.

use std::cmp::Ordering;

use super::seen::{Novelty, Runs};
use crate::event::Commit;
use crate::graph::{Reader, put, put_instant, put_long};
use crate::ids::{By, FieldId};
use crate::model::value::Instant;

/// Fingerprints of events whose setters are gone, that an entity keeps: of its newest.
const PRINTS_MAX: usize = 16;

/// What a domain orders its events by. Under `position` a database's row lies below every event that has a place in the
/// log alone: there is no truth to that, but one order for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    Sequence(u64),
    Commit(Commit),
    Position { offset: u64, topic: u64, partition: u32 },
    Time(Instant),
}

/// Orders the events of an entity: by stamp, then source, then id.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub stamp: Stamp,
    /// The source's number, and its text, which orders.
    pub source: (u32, &'a str),
    pub id: &'a str,
}

/// An event that set something. Its id lies in the record's text.
#[derive(Clone, Copy, Debug)]
struct Setter {
    stamp: Stamp,
    source: u32,
    id: (u32, u32),
}

/// An entity's setters. A field names its setter by a number from 1; 0 is none.
#[derive(Debug, Default)]
pub struct Ledger {
    setters: Vec<Setter>,
    text: Vec<u8>,
    fields: By<FieldId, u32>,
    /// An attribute that was cleared stays here, so that nothing older sets it again.
    attributes: Vec<(Box<str>, u32)>,
    merge: u32,
    deletion: u32,
    /// The greatest event that does not delete.
    change: u32,
    last: u32,
    pub runs: Runs,
    /// Stamps, and the fingerprints of their events, newest last.
    prints: Vec<(Stamp, u64)>,
}

/// The texts of sources, by their numbers: ids and stamps alone do not order two events of two sources.
pub trait Sources {
    fn text(&self, source: u32) -> std::sync::Arc<str>;
}

impl Ledger {
    /// Reads what a record holds; nothing of an entity without events.
    pub fn read(&mut self, bytes: &[u8], fields: usize) {
        self.setters.clear();
        self.text.clear();
        self.fields.clear();
        self.attributes.clear();
        self.prints.clear();
        self.runs.clear();
        (self.merge, self.deletion, self.change, self.last) = (0, 0, 0, 0);
        let mut reader = Reader(bytes);
        if reader.is_empty() {
            self.fields.extend(std::iter::repeat_n(0, fields));
            return;
        }
        for _ in 0..reader.number() {
            let stamp = read_stamp(&mut reader);
            let source = reader.number() as u32;
            let id = reader.long();
            let id = self.remember(id);
            self.setters.push(Setter { stamp, source, id });
        }
        self.fields.extend((0..fields).map(|_| reader.number() as u32));
        self.merge = reader.number() as u32;
        self.deletion = reader.number() as u32;
        self.change = reader.number() as u32;
        self.last = reader.number() as u32;
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

    /// Packs what is still named, and keeps the fingerprints of what is not. `print` makes one of a source and an id.
    pub fn write(&mut self, out: &mut Vec<u8>, tell_duplicates: bool, print: impl Fn(u32, &str) -> u64) {
        let mut renumbered = [0u32; 32];
        let mut many = Vec::new();
        let renumbered: &mut [u32] = if self.setters.len() < renumbered.len() {
            &mut renumbered
        } else {
            many.resize(self.setters.len() + 1, 0);
            &mut many
        };
        let attributes = self.attributes.iter().map(|(_, setter)| *setter);
        let singles = [self.merge, self.deletion, self.change, self.last];
        let mut kept = 0;
        for setter in self.fields.iter().copied().chain(attributes).chain(singles).filter(|setter| *setter != 0) {
            let number = &mut renumbered[setter as usize];
            if *number == 0 {
                kept += 1;
                *number = kept;
            }
        }
        put(out, u64::from(kept));
        for number in 1..=kept {
            let place = renumbered.iter().position(|known| *known == number).unwrap_or(1) - 1;
            let setter = self.setters[place];
            write_stamp(out, setter.stamp);
            put(out, u64::from(setter.source));
            put_long(out, self.id(setter).as_bytes());
        }
        for setter in &self.fields {
            put(out, u64::from(renumbered[*setter as usize]));
        }
        for setter in singles {
            put(out, u64::from(renumbered[setter as usize]));
        }
        put(out, self.attributes.len() as u64);
        for (name, setter) in &self.attributes {
            put_long(out, name.as_bytes());
            put(out, u64::from(renumbered[*setter as usize]));
        }
        self.runs.write(out);
        if tell_duplicates {
            for place in 0..self.setters.len() {
                if renumbered[place + 1] == 0 {
                    let setter = self.setters[place];
                    let print = (setter.stamp, print(setter.source, self.id(setter)));
                    let at = self.prints.partition_point(|known| *known < print);
                    if self.prints.get(at) != Some(&print) {
                        self.prints.insert(at, print);
                    }
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

    fn remember(&mut self, id: &[u8]) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(id);
        (start, self.text.len() as u32)
    }

    fn id(&self, setter: Setter) -> &str {
        std::str::from_utf8(&self.text[setter.id.0 as usize..setter.id.1 as usize]).unwrap_or_default()
    }

    fn setter(&self, number: u32) -> Option<Setter> {
        self.setters.get((number as usize).checked_sub(1)?).copied()
    }

    /// How two setters stand to each other; none is smaller than any.
    fn compare(&self, a: u32, b: u32, sources: &impl Sources) -> Ordering {
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
        let mut taken = false;
        for setter in self.setters.iter().filter(|setter| setter.stamp == order.stamp) {
            if setter.source == order.source.0 && self.id(*setter) == order.id {
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
        self.setter(self.deletion).map(|setter| setter.stamp)
    }

    /// Whether the entity is deleted: nothing greater than its deletion brought it back.
    pub fn is_deleted(&self, sources: &impl Sources) -> bool {
        self.deletion != 0 && self.compare(self.change, self.deletion, sources) == Ordering::Less
    }

    /// Numbers an event that may come to set something.
    pub fn enter(&mut self, order: Order<'_>) -> u32 {
        let id = self.remember(order.id.as_bytes());
        self.setters.push(Setter { stamp: order.stamp, source: order.source.0, id });
        self.setters.len() as u32
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
        [self.merge, self.deletion, self.change, self.last].map(|setter| self.origin(setter))
    }

    /// The setter of a field, where another source than this setter's set it.
    pub fn rival(&self, setter: u32, field: FieldId) -> Option<u32> {
        let (own, other) = (self.setter(setter)?, self.setter(self.fields[field])?);
        (own.source != other.source).then_some(self.fields[field])
    }

    /// Whether a smaller event of the same source set something.
    pub fn has_below(&self, order: Order<'_>) -> bool {
        let is_below = |setter: &Setter| (setter.stamp, self.id(*setter)) < (order.stamp, order.id);
        self.setters.iter().any(|setter| setter.source == order.source.0 && is_below(setter))
    }

    /// The source of the entity's greatest event so far.
    pub fn last_source(&self) -> Option<u32> {
        self.setter(self.last).map(|setter| setter.source)
    }

    /// Whether the entity's deletion is greater than the setter.
    pub fn is_outdated(&self, setter: u32, sources: &impl Sources) -> bool {
        self.compare(setter, self.deletion, sources) == Ordering::Less
    }

    /// Whether the setter beats the one in place.
    fn beats(&self, setter: u32, place: u32, sources: &impl Sources) -> bool {
        let above = |other: u32| self.compare(other, setter, sources) == Ordering::Less;
        above(place) && above(self.deletion)
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
        let wins = self.beats(setter, self.merge, sources);
        if wins {
            self.merge = setter;
        }
        wins
    }

    /// Whether this deletion is the greatest so far. What it deletes is told by [`Ledger::outdated`].
    pub fn take_deletion(&mut self, setter: u32, sources: &impl Sources) -> bool {
        let wins = self.compare(self.deletion, setter, sources) == Ordering::Less;
        if wins {
            self.deletion = setter;
        }
        wins
    }

    pub fn take_change(&mut self, setter: u32, sources: &impl Sources) {
        if self.compare(self.change, setter, sources) == Ordering::Less {
            self.change = setter;
        }
    }

    /// Whether this is the entity's greatest event.
    pub fn take_last(&mut self, setter: u32, sources: &impl Sources) -> bool {
        let wins = self.compare(self.last, setter, sources) == Ordering::Less;
        if wins {
            self.last = setter;
        }
        wins
    }

    /// Forgets what the deletion outdates: gives the fields and attributes to clear, and whether the merge is undone.
    pub fn outdated(&mut self, sources: &impl Sources) -> (Vec<FieldId>, Vec<Box<str>>, bool) {
        let is_outdated = |ledger: &Ledger, setter: u32| {
            setter != 0 && ledger.compare(setter, ledger.deletion, sources) == Ordering::Less
        };
        let fields: Vec<FieldId> = self.fields.ids().filter(|field| is_outdated(self, self.fields[*field])).collect();
        fields.iter().for_each(|field| self.fields[*field] = 0);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.attributes).into_iter().partition(|(_, setter)| is_outdated(self, *setter));
        self.attributes = kept;
        let merge = is_outdated(self, self.merge);
        if merge {
            self.merge = 0;
        }
        (fields, gone.into_iter().map(|(name, _)| name).collect(), merge)
    }
}

pub fn write_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    match stamp {
        Stamp::Sequence(version) => {
            out.push(0);
            put(out, version);
        }
        Stamp::Position { offset, topic, partition } => {
            out.push(1);
            put(out, offset);
            put(out, topic);
            put(out, u64::from(partition));
        }
        Stamp::Time(at) => {
            out.push(2);
            put_instant(out, at);
        }
        Stamp::Commit(Commit { is_change, place, is_late, offset, ordinal }) => {
            out.push(3 + u8::from(is_change));
            place.iter().for_each(|number| put(out, *number));
            put(out, u64::from(ordinal) << 1 | u64::from(is_late));
            put(out, offset);
        }
    }
}

pub fn read_stamp(reader: &mut Reader<'_>) -> Stamp {
    match reader.number() {
        0 => Stamp::Sequence(reader.number()),
        1 => Stamp::Position { offset: reader.number(), topic: reader.number(), partition: reader.number() as u32 },
        2 => Stamp::Time(reader.instant()),
        tag => {
            let place = [(); 3].map(|()| reader.number());
            let (last, offset) = (reader.number(), reader.number());
            let (is_late, ordinal) = (last & 1 == 1, (last >> 1) as u32);
            Stamp::Commit(Commit { is_change: tag != 3, place, is_late, offset, ordinal })
        }
    }
}

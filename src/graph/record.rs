//! One entity at one version, as packed bytes that never change once made, and the reading of them.

use std::sync::Arc;

use super::bytes::Reader;
use super::layout::{HEAD, Layout};
use super::lineage::EventRef;
use super::names::Names;
use crate::ids::{FieldId, Slot};
use crate::model::cell::Cell;
use crate::model::value::Instant;
use crate::model::{Entity, Operands};

/// Whether an entity's own events have arrived, and what they came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known, if at all, because something names it.
    Reference,
    Present,
    Deleted,
}

/// The word for an entity's state, in the order in which one hides another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completeness {
    Complete,
    Incomplete,
    Reference,
    Deleted,
    Erased,
}

impl Completeness {
    pub const ALL: [Completeness; 5] = [
        Completeness::Complete,
        Completeness::Incomplete,
        Completeness::Reference,
        Completeness::Deleted,
        Completeness::Erased,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Completeness::Complete => "COMPLETE",
            Completeness::Incomplete => "INCOMPLETE",
            Completeness::Reference => "REFERENCE",
            Completeness::Deleted => "DELETED",
            Completeness::Erased => "ERASED",
        }
    }
}

/// A merge into another entity of the same kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Merge<'a> {
    /// The slot it names.
    pub into: Slot,
    /// Time, source and id of the event: the smallest merge of a cycle is void.
    pub order: (Instant, &'a str, &'a str),
    /// Whether it is the one of its cycle that does not count.
    pub void: bool,
}

/// A record's flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    const STATE: u8 = 3;
    const ERASED: u8 = 4;
    const NAMED: u8 = 8;
    const RARE: u8 = 16;
    const REJECTED: u8 = 32;
    const MERGED: u8 = 64;
    const GAPS: u8 = 128;

    pub fn state(self) -> State {
        match self.0 & Flags::STATE {
            0 => State::Reference,
            1 => State::Present,
            _ => State::Deleted,
        }
    }

    pub fn set_state(&mut self, state: State) {
        let bits = match state {
            State::Reference => 0,
            State::Present => 1,
            State::Deleted => 2,
        };
        self.0 = self.0 & !Flags::STATE | bits;
    }

    fn set(&mut self, bit: u8, on: bool) {
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }

    pub fn erased(self) -> bool {
        self.0 & Flags::ERASED != 0
    }

    pub fn set_erased(&mut self) {
        self.set(Flags::ERASED, true);
    }

    /// Whether something names a reference. Kept for references alone.
    pub fn named(self) -> bool {
        self.0 & Flags::NAMED != 0
    }

    pub fn set_named(&mut self, named: bool) {
        self.set(Flags::NAMED, named);
    }

    /// Whether events of it were refused, and wait for somebody to see to them. Names a reference too.
    pub fn rejected(self) -> bool {
        self.0 & Flags::REJECTED != 0
    }

    pub fn set_rejected(&mut self, rejected: bool) {
        self.set(Flags::REJECTED, rejected);
    }

    /// Whether attributes, missing versions or a merge follow.
    pub fn rare(self) -> bool {
        self.0 & Flags::RARE != 0
    }

    /// Whether it has a merge, be it void or not.
    pub fn merged(self) -> bool {
        self.0 & Flags::MERGED != 0
    }

    /// Whether versions of it are missing.
    pub fn gaps(self) -> bool {
        self.0 & Flags::GAPS != 0
    }

    /// What follows from the sections.
    pub fn set_rare(&mut self, attributes: &[u8], missing: &[u8], merge: &[u8]) {
        self.set(Flags::RARE, ![attributes, missing, merge].iter().all(|section| section.is_empty()));
        self.set(Flags::MERGED, !merge.is_empty());
        self.set(Flags::GAPS, !missing.is_empty());
    }
}

/// The packed bytes. Cloning is sharing.
pub type Record = Arc<[u8]>;

/// The record of a slot that nothing is known of but its key.
pub fn reference(key: &str) -> Record {
    let mut bytes = Vec::with_capacity(HEAD + key.len());
    bytes.extend_from_slice(&[0, key.len() as u8]);
    bytes.extend_from_slice(key.as_bytes());
    bytes.into()
}

/// A record's parts, read in place.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    pub layout: &'a Layout,
    pub bytes: &'a [u8],
}

/// What follows the cells.
pub struct Sections<'a> {
    pub lineage: &'a [u8],
    pub stamps: &'a [u8],
    /// Packed names and JSON texts, by name.
    pub attributes: &'a [u8],
    pub missing: &'a [u8],
    pub merge: &'a [u8],
}

impl<'a> Packed<'a> {
    pub fn flags(self) -> Flags {
        Flags(self.bytes[0])
    }

    /// Whether events of a present entity are known to be missing: their versions, or those that were refused.
    pub fn is_incomplete(self) -> bool {
        let flags = self.flags();
        flags.rejected() || flags.gaps()
    }

    pub fn is_reference(self) -> bool {
        self.flags().state() == State::Reference
    }

    fn key_start(self) -> usize {
        if self.is_reference() { HEAD } else { self.layout.fixed_end() }
    }

    pub fn key(self) -> &'a str {
        std::str::from_utf8(self.key_bytes()).unwrap_or_default()
    }

    pub fn key_bytes(self) -> &'a [u8] {
        let start = self.key_start();
        &self.bytes[start..start + usize::from(self.bytes[1])]
    }

    /// A bit a check: whether the state breaks it. Empty for a reference.
    pub fn breaches(self) -> &'a [u8] {
        if self.is_reference() { &[] } else { &self.bytes[HEAD..HEAD + self.layout.breach_bytes] }
    }

    /// A bit a field: whether it has a value. Empty for a reference.
    pub fn presence(self) -> &'a [u8] {
        let start = HEAD + self.layout.breach_bytes;
        if self.is_reference() { &[] } else { &self.bytes[start..start + self.layout.presence_bytes] }
    }

    pub fn has(self, field: FieldId) -> bool {
        bit(self.presence(), field.index())
    }

    pub fn fixed(self) -> &'a [u8] {
        if self.is_reference() {
            return &[];
        }
        let end = self.layout.fixed_end();
        &self.bytes[end - self.layout.fixed_bytes..end]
    }

    /// What follows the key: the varying cells first.
    fn tail(self) -> Reader<'a> {
        Reader(&self.bytes[self.key_start() + usize::from(self.bytes[1])..])
    }

    /// The varying cells, one after another, those that are present.
    pub fn varying(self) -> Reader<'a> {
        if self.is_reference() { Reader(&[]) } else { self.tail() }
    }

    pub fn cell(self, field: FieldId) -> Cell<'a> {
        if !self.has(field) {
            return Cell::Null;
        }
        let place = self.layout.places[field];
        match place.storage.width() {
            0 => {
                let mut tail = self.tail();
                let before = self.layout.varying[..place.offset].iter().filter(|field| self.has(**field)).count();
                for _ in 0..before {
                    tail.long();
                }
                place.storage.read(tail.long())
            }
            width => place.storage.read(&self.fixed()[place.offset..place.offset + width]),
        }
    }

    pub fn link(self, field: FieldId) -> Option<Slot> {
        match self.cell(field) {
            Cell::Link(slot) => Some(slot),
            _ => None,
        }
    }

    pub fn sections(self) -> Sections<'a> {
        self.sections_at(self.varying_end())
    }

    /// Where the varying cells end, and the sections begin.
    pub fn varying_end(self) -> usize {
        let mut tail = self.tail();
        let varying = self.layout.varying.iter().filter(|field| self.has(**field)).count();
        for _ in 0..varying {
            tail.long();
        }
        self.bytes.len() - tail.0.len()
    }

    /// The sections, where it is known where they begin.
    pub fn sections_at(self, start: usize) -> Sections<'a> {
        let mut tail = Reader(&self.bytes[start..]);
        let (lineage, stamps) = (tail.long(), tail.long());
        let (attributes, missing, merge) =
            if self.flags().rare() { (tail.long(), tail.long(), tail.long()) } else { (&[][..], &[][..], &[][..]) };
        Sections { lineage, stamps, attributes, missing, merge }
    }

    pub fn merge(self) -> Option<Merge<'a>> {
        if !self.flags().merged() {
            return None;
        }
        let mut reader = Reader(self.sections().merge);
        let (into, void) = (Slot(reader.number() as u32), reader.number() == 1);
        let time = reader.instant();
        Some(Merge { into, void, order: (time, reader.text(), reader.text()) })
    }

    /// Whether it answers with another, its survivor.
    pub fn is_alias(self) -> bool {
        self.merge().is_some_and(|merge| !merge.void)
    }

    /// Whether lists, counts and reverse links hold it.
    pub fn is_listed(self) -> bool {
        self.flags().state() == State::Present && !self.is_alias()
    }

    /// Whether anyone can look at it: it has events of its own, or something names it.
    pub fn exists(self) -> bool {
        !self.is_reference() || self.flags().named()
    }
}

pub fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// An entity, as one version of the graph has it.
#[derive(Clone)]
pub struct Node<'v> {
    layout: &'v Layout,
    names: &'v Names,
    record: Record,
}

impl<'v> Node<'v> {
    pub(super) fn new(layout: &'v Layout, names: &'v Names, record: Record) -> Node<'v> {
        Node { layout, names, record }
    }

    pub(super) fn packed(&self) -> Packed<'_> {
        Packed { layout: self.layout, bytes: &self.record }
    }

    pub fn key(&self) -> &str {
        self.packed().key()
    }

    pub fn state(&self) -> State {
        self.packed().flags().state()
    }

    /// Forgotten: no personal value is here, nor will be.
    pub fn erased(&self) -> bool {
        self.packed().flags().erased()
    }

    /// Whether anyone can look at it: it has events of its own, or something names it.
    pub fn exists(&self) -> bool {
        self.packed().exists()
    }

    /// Whether events of it were refused, and wait.
    pub fn rejected(&self) -> bool {
        self.packed().flags().rejected()
    }

    /// Whether it answers with another, its survivor.
    pub fn is_alias(&self) -> bool {
        self.packed().is_alias()
    }

    /// Whether lists, counts and reverse links hold it.
    pub fn is_listed(&self) -> bool {
        self.packed().is_listed()
    }

    pub fn merge(&self) -> Option<Merge<'_>> {
        self.packed().merge()
    }

    pub fn completeness(&self) -> Completeness {
        let flags = self.packed().flags();
        match flags.state() {
            State::Reference => Completeness::Reference,
            _ if flags.erased() => Completeness::Erased,
            State::Deleted => Completeness::Deleted,
            State::Present if self.packed().is_incomplete() => Completeness::Incomplete,
            State::Present => Completeness::Complete,
        }
    }

    /// A field's value; derived ones too.
    pub fn value(&self, field: FieldId) -> Cell<'_> {
        self.packed().cell(field)
    }

    /// The lowest hundred versions that are missing.
    pub fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        let mut reader = Reader(self.packed().sections().missing);
        std::iter::from_fn(move || (!reader.is_empty()).then(|| reader.number()))
    }

    /// What arrived beyond the model: names and JSON texts, by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        let mut reader = Reader(self.packed().sections().attributes);
        std::iter::from_fn(move || (!reader.is_empty()).then(|| (reader.text(), reader.text())))
    }

    /// The event that its state comes from; none for a reference.
    pub fn last_event(&self) -> Option<EventRef<'_>> {
        EventRef::read(self.packed().sections().lineage, self.names)
    }

    /// What the rules keep of it: their own bytes.
    pub fn stamps(&self) -> &[u8] {
        self.packed().sections().stamps
    }

    /// The checks that its state does not hold, by their place in the model.
    pub fn breaches(&self, entity: &Entity) -> impl Iterator<Item = usize> + '_ {
        let judged = self.state() == State::Present;
        (0..entity.checks.len()).filter(move |check| judged && bit(self.packed().breaches(), *check))
    }

    /// The record as it lies in memory: for who looks for what must not be there.
    pub fn bytes(&self) -> &[u8] {
        &self.record
    }
}

impl Operands for Node<'_> {
    fn value(&self, field: FieldId) -> Cell<'_> {
        Node::value(self, field)
    }
}

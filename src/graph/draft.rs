//! A record in the making: what is there, and what changes. Its buffers are used again for the next one.

use super::bytes::{Reader, put, put_instant, put_long};
use super::layout::{HEAD, Layout};
use super::record::{Flags, Merge, Packed, Record, Sections, State, bit};
use crate::ids::{FieldId, NodeId};
use crate::model::cell::Cell;
use crate::model::value::Value;
use crate::model::{Entity, Operands, Rule};

/// Changes to one slot's record, until they are committed.
#[derive(Default)]
pub struct Draft {
    pub id: NodeId,
    pub(super) base: Option<Record>,
    /// Where the base's sections begin; 0 of a reference, which has none.
    sections: usize,
    pub(super) flags: Flags,
    /// Fields that changed, each with its value's place in `bytes`; the last one counts.
    changes: Vec<(FieldId, usize)>,
    bytes: Vec<u8>,
    attributes: Section,
    missing: Section,
    merge: Section,
    lineage: Section,
    stamps: Section,
}

/// A section's new bytes, where it changes.
#[derive(Default)]
struct Section {
    changed: bool,
    bytes: Vec<u8>,
}

impl Section {
    fn start(&mut self) -> &mut Vec<u8> {
        self.changed = true;
        self.bytes.clear();
        &mut self.bytes
    }

    fn or<'a>(&'a self, base: &'a [u8]) -> &'a [u8] {
        if self.changed { &self.bytes } else { base }
    }
}

/// A draft with the layout that reads it.
#[derive(Clone, Copy)]
pub(super) struct Drafted<'a> {
    pub draft: &'a Draft,
    pub layout: &'a Layout,
}

impl Draft {
    pub(super) fn begin(&mut self, id: NodeId, base: Record, layout: &Layout) {
        (self.id, self.flags) = (id, Flags(base[0]));
        let packed = Packed { layout, bytes: &base };
        self.sections = if packed.is_reference() { 0 } else { packed.varying_end() };
        self.base = Some(base);
        self.changes.clear();
        self.bytes.clear();
        for section in [&mut self.attributes, &mut self.missing, &mut self.merge, &mut self.lineage, &mut self.stamps] {
            section.changed = false;
        }
    }

    /// Sets a field; `Null` clears it. A link's value is its target's slot.
    pub fn set(&mut self, field: FieldId, cell: Cell<'_>) {
        self.changes.push((field, self.bytes.len()));
        cell.pack(&mut self.bytes);
    }

    pub fn state(&self) -> State {
        self.flags.state()
    }

    pub fn set_state(&mut self, state: State) {
        self.flags.set_state(state);
    }

    pub fn erased(&self) -> bool {
        self.flags.erased()
    }

    pub fn set_erased(&mut self) {
        self.flags.set_erased();
    }

    /// What the rules kept of it so far.
    pub(super) fn stamps<'a>(&'a self, layout: &'a Layout) -> &'a [u8] {
        let bytes = self.base.as_deref().unwrap_or(&[0, 0]);
        let base = Packed { layout, bytes };
        if base.is_reference() { &[] } else { base.sections_at(self.sections).stamps }
    }

    /// The bytes that the rules keep of it.
    pub fn set_stamps(&mut self) -> &mut Vec<u8> {
        self.stamps.start()
    }

    /// Where its [`super::Lineage`] is packed to.
    pub(super) fn set_lineage(&mut self) -> &mut Vec<u8> {
        self.lineage.start()
    }

    /// The lowest versions that are missing, ascending.
    pub fn set_missing(&mut self, versions: &[u64]) {
        let out = self.missing.start();
        versions.iter().for_each(|version| put(out, *version));
    }

    /// Sets and, where there is no JSON text, removes attributes.
    pub fn change_attributes<'a>(
        &mut self,
        layout: &Layout,
        changes: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        let Some(base) = self.base.clone() else { return };
        let old = self.attributes.or(Packed { layout, bytes: &base }.attributes()).to_vec();
        let mut all = std::collections::BTreeMap::new();
        let mut reader = Reader(&old);
        while !reader.is_empty() {
            all.insert(reader.text(), reader.text());
        }
        for (name, value) in changes {
            match value {
                Some(value) => drop(all.insert(name, value)),
                None => drop(all.remove(name)),
            }
        }
        let out = self.attributes.start();
        for (name, value) in all {
            put_long(out, name.as_bytes());
            put_long(out, value.as_bytes());
        }
    }

    /// Takes out what is personal. `ledger` is what the rules keep without that.
    pub fn forget_personal(&mut self, entity: &Entity, ledger: &[u8]) {
        let personal = entity.fields.entries().filter(|(_, field)| field.personal);
        personal.for_each(|(field, _)| self.set(field, Cell::Null));
        self.attributes.start();
        self.stamps.start().extend_from_slice(ledger);
    }

    pub(super) fn set_merge(&mut self, merge: Option<Merge<'_>>) {
        let out = self.merge.start();
        if let Some(merge) = merge {
            put(out, u64::from(merge.into.0));
            put(out, u64::from(merge.void));
            put_instant(out, merge.order.0);
            put_long(out, merge.order.1.as_bytes());
            put_long(out, merge.order.2.as_bytes());
        }
    }

    /// Takes over what another record has beside its values, with another ledger.
    pub(super) fn take_over(&mut self, sections: &Sections<'_>, ledger: &[u8]) {
        let Draft { lineage, stamps, attributes, missing, merge, .. } = self;
        let all = [
            (lineage, sections.lineage),
            (stamps, ledger),
            (attributes, sections.attributes),
            (missing, sections.missing),
            (merge, sections.merge),
        ];
        all.into_iter().for_each(|(section, bytes)| section.start().extend_from_slice(bytes));
    }

    /// The fields that were set, some of them twice perhaps.
    pub(super) fn changed(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.changes.iter().map(|(field, _)| *field)
    }

    fn change(&self, field: FieldId) -> Option<Cell<'_>> {
        let (_, start) = self.changes.iter().rev().find(|(known, _)| *known == field)?;
        Cell::unpack(&mut &self.bytes[*start..])
    }

    /// Computes the derived fields anew. A personal one of who is erased is null.
    pub(super) fn derive(&mut self, entity: &Entity, layout: &Layout) {
        let base = Drafted { draft: self, layout }.base();
        let anew = base.is_reference() || self.flags.erased() != base.flags().erased();
        for field in &layout.derived {
            let description = &entity.fields[*field];
            let Some(rule) = &description.derived else { continue };
            if !anew && !self.changed().any(|changed| rule.fields.contains(&changed)) {
                continue;
            }
            let value = match self.erased() && description.personal {
                true => Value::Null,
                false => rule.derive(&description.kind, &Drafted { draft: self, layout }),
            };
            self.set(*field, value.cell());
        }
    }
}

impl<'a> Packed<'a> {
    fn attributes(self) -> &'a [u8] {
        if self.is_reference() { &[] } else { self.sections().attributes }
    }
}

impl Operands for Drafted<'_> {
    fn value(&self, field: FieldId) -> Cell<'_> {
        self.cell(field)
    }
}

impl<'a> Drafted<'a> {
    fn base(self) -> Packed<'a> {
        Packed { layout: self.layout, bytes: self.draft.base.as_deref().unwrap_or(&[0, 0]) }
    }

    pub fn cell(self, field: FieldId) -> Cell<'a> {
        self.draft.change(field).unwrap_or_else(|| self.base().cell(field))
    }

    /// Writes the record's bytes.
    pub fn encode(self, entity: &Entity, out: &mut Vec<u8>) {
        let (base, draft, layout) = (self.base(), self.draft, self.layout);
        let key = base.key();
        out.clear();
        out.extend_from_slice(&[draft.flags.0, key.len() as u8]);
        if draft.flags.state() == State::Reference {
            out.extend_from_slice(key.as_bytes());
            return;
        }
        let mut flags = draft.flags;
        flags.set_named(false);
        out.resize(HEAD + layout.breach_bytes, 0);
        let anew = base.is_reference() || draft.flags.erased() != base.flags().erased();
        let reads_changed = |rule: &Rule| anew || draft.changed().any(|field| rule.fields.contains(&field));
        for (check, description) in entity.checks.iter().enumerate() {
            let breaks = match reads_changed(&description.rule) {
                true => description.rule.holds(&self) == Some(false),
                false => bit(base.breaches(), check),
            };
            if breaks {
                out[HEAD + check / 8] |= 1 << (check % 8);
            }
        }
        let presence = out.len();
        out.extend_from_slice(base.presence());
        out.resize(presence + layout.presence_bytes, 0);
        let fixed = out.len();
        out.extend_from_slice(base.fixed());
        out.resize(fixed + layout.fixed_bytes, 0);
        for (field, start) in &draft.changes {
            let cell = Cell::unpack(&mut &draft.bytes[*start..]).unwrap_or(Cell::Null);
            let bit = 1u8 << (field.0 % 8);
            let byte = &mut out[presence + field.index() / 8];
            *byte = if cell.is_null() { *byte & !bit } else { *byte | bit };
            let place = layout.places[*field];
            let width = place.storage.width();
            if width > 0 {
                let cells = &mut out[fixed + place.offset..fixed + place.offset + width];
                if cell.is_null() { cells.fill(0) } else { place.storage.write(cells, cell) }
            }
        }
        out.extend_from_slice(key.as_bytes());
        if base.is_reference() || draft.changed().any(|field| layout.varying.contains(&field)) {
            let mut old_cells = base.varying();
            for field in &layout.varying {
                let old = base.has(*field).then(|| old_cells.long());
                match (draft.change(*field), old) {
                    (Some(Cell::String(text) | Cell::Json(text)), _) => put_long(out, text.as_bytes()),
                    (Some(Cell::List(list)), _) => put_long(out, list.bytes()),
                    (None, Some(bytes)) => put_long(out, bytes),
                    _ => {}
                }
            }
        } else {
            let cells = base.varying().0;
            out.extend_from_slice(&cells[..cells.len() - (base.bytes.len() - draft.sections)]);
        }
        let sections = (!base.is_reference()).then(|| base.sections_at(draft.sections));
        let old = |section: fn(&Sections<'a>) -> &'a [u8]| sections.as_ref().map_or(&[][..], section);
        put_long(out, draft.lineage.or(old(|sections| sections.lineage)));
        put_long(out, draft.stamps.or(old(|sections| sections.stamps)));
        let rare = [
            draft.attributes.or(old(|sections| sections.attributes)),
            draft.missing.or(old(|sections| sections.missing)),
            draft.merge.or(old(|sections| sections.merge)),
        ];
        flags.set_rare(rare[0], rare[1], rare[2]);
        if flags.rare() {
            rare.iter().for_each(|section| put_long(out, section));
        }
        out[0] = flags.0;
    }
}

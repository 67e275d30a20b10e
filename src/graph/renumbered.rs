//! Records that an earlier model laid out, laid out anew: fields may have been added since, and lie elsewhere.

use super::Shared;
use super::draft::{Draft, Drafted};
use super::layout::Layout;
use super::record::{Packed, Record, State, reference};
use crate::ids::{By, EntityId, FieldId, Slot};
use crate::model::Model;

/// Bytes of a record's ledger whose fields are numbered anew: the earlier bytes, what each of its fields is now, how many there
/// are now, and the names that are fields now. None where one of those names was an attribute.
pub type Relabel<'a> = &'a dyn Fn(&[u8], &By<FieldId, FieldId>, usize, &[&str]) -> Option<Vec<u8>>;

/// How an earlier model laid records out, and what its fields are now.
pub struct Renumbering {
    layouts: By<EntityId, Layout>,
    fields: By<EntityId, By<FieldId, FieldId>>,
}

impl Renumbering {
    /// Of a model whose entities, and the fields' kinds, are the same.
    pub fn new(then: &Model, fields: By<EntityId, By<FieldId, FieldId>>) -> Renumbering {
        Renumbering { layouts: Layout::all(then), fields }
    }

    /// What a field is now.
    pub fn field(&self, entity: EntityId, field: FieldId) -> Option<FieldId> {
        self.fields.get(entity)?.get(field).copied()
    }

    pub(super) fn layout(&self, entity: EntityId) -> &Layout {
        &self.layouts[entity]
    }

    /// A record as the graph's model lays it out. The error names an attribute that is a field now: only its events say whether
    /// its values fit.
    pub(super) fn renumber(
        &self,
        shared: &Shared,
        entity: EntityId,
        old: Packed<'_>,
        relabel: Relabel<'_>,
    ) -> Result<Record, String> {
        let (description, layout) = (&shared.model.entities[entity], &shared.layouts[entity]);
        if old.is_reference() {
            return Ok(old.bytes.into());
        }
        let fields = &self.fields[entity];
        let is_added = |field: &FieldId| !fields.iter().any(|known| known == field);
        let added: Vec<&str> = description
            .fields
            .entries()
            .filter(|(field, _)| is_added(field))
            .map(|(_, field)| field.wire_name.as_str())
            .collect();
        let mut draft = Draft::default();
        draft.begin(entity.node(Slot::MIN), reference(old.key()), layout);
        draft.flags = old.flags();
        for (was, is) in fields.entries() {
            if description.fields[*is].derived.is_none() && old.has(was) {
                draft.set(*is, old.cell(was));
            }
        }
        let sections = old.sections();
        let ledger = relabel(sections.stamps, fields, description.fields.len(), &added)
            .ok_or_else(|| format!("`{}` has a field now that arrived as an attribute before", description.name))?;
        draft.take_over(&sections, &ledger);
        if draft.state() != State::Reference {
            draft.derive(description, layout);
        }
        let mut bytes = Vec::with_capacity(old.bytes.len() + 16);
        Drafted { draft: &draft, layout }.encode(description, &mut bytes);
        Ok(bytes.into())
    }
}

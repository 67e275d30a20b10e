//! A version's records as bytes, and a graph made of them again. Everything else that a graph has follows from its records.
//!
//! A stretch is the records of some pages of an entity, by slot. Each is what lies in memory; of an entity that holds
//! personal values it is that without them, and the whole sealed beside: where its key is destroyed, the rest is still there.

use std::ops::Range;
use std::sync::Arc;

use super::draft::Drafted;
use super::layout::Layout;
use super::record::{Packed, Record};
use super::renumbered::{Relabel, Renumbering};
use super::slots::PAGE;
use super::{Draft, Graph, Reader, Shared, View, put_long, weight};
use crate::ids::{EntityId, Id, Slot};

/// Bytes of a record's ledger without what is personal in them; the second is how many fields the entity has.
pub type Strip<'a> = &'a dyn Fn(&[u8], usize) -> Vec<u8>;
/// Opens what was sealed of an entity's slot, whose key is the second.
pub type Open<'a> = &'a dyn Fn(EntityId, &str, &[u8]) -> Option<Vec<u8>>;
/// Seals the bytes of an entity's slot, whose key is the second.
pub type Seal<'a> = &'a dyn Fn(EntityId, &str, &[u8]) -> Option<Vec<u8>>;

impl View {
    /// The texts that records name by number, those of later versions among them.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.shared().names.all()
    }

    /// Appends a stretch: the records of some pages of an entity.
    pub fn save(&self, entity: EntityId, pages: Range<usize>, strip: Strip<'_>, seal: Seal<'_>, out: &mut Vec<u8>) {
        let mut records = Vec::with_capacity(PAGE);
        let is_personal = self.model().entities[entity].has_personal;
        let layout = &self.shared().layouts[entity];
        for page in pages {
            self.shared().slots[entity].page_at(page, self.sequence(), &mut records);
            for (_, record) in records.drain(..) {
                match is_personal && (Packed { layout, bytes: &record }).is_personal() {
                    true => self.save_sealed(entity, &record, strip, seal, out),
                    false => {
                        put_long(out, &record);
                        if is_personal {
                            put_long(out, &[]);
                        }
                    }
                }
            }
        }
    }

    fn save_sealed(&self, entity: EntityId, record: &Record, strip: Strip<'_>, seal: Seal<'_>, out: &mut Vec<u8>) {
        let (description, layout) = (&self.model().entities[entity], &self.shared().layouts[entity]);
        let mut draft = Draft::default();
        draft.begin(entity.node(Slot::MIN), record.clone(), layout);
        let packed = Packed { layout, bytes: record };
        draft.forget_personal(description, &strip(packed.sections().stamps, description.fields.len()));
        let mut public = Vec::with_capacity(record.len());
        Drafted { draft: &draft, layout }.encode(description, &mut public);
        put_long(out, &public);
        put_long(out, &seal(entity, packed.key(), record).unwrap_or_default());
    }
}

impl Packed<'_> {
    /// Whether it may hold something personal.
    fn is_personal(self) -> bool {
        !self.is_reference() && !self.flags().erased()
    }
}

impl Graph {
    /// Numbers texts from 0, in a graph that has none yet.
    pub fn restore_names<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
        for (number, name) in names.enumerate() {
            if self.name(name) as usize != number {
                return Err(format!("text {number} of its names is there twice"));
            }
        }
        Ok(())
    }

    /// What unpacks stretches for this graph, on whichever thread. `earlier`: another model wrote them.
    pub fn unpacker(&self, earlier: Option<Arc<Renumbering>>) -> Unpacker {
        Unpacker { shared: self.shared.clone(), earlier }
    }

    /// Puts the records of a stretch into the next slots of an entity. `is_noted`: the sets are made of the records.
    pub fn restore(&mut self, entity: EntityId, unpacked: Unpacked, is_noted: bool) {
        unpacked.0.into_iter().for_each(|record| self.lay(entity, record, is_noted));
    }

    fn lay(&mut self, entity: EntityId, record: Record, is_noted: bool) {
        let slot = Slot::of(self.newest[entity].len());
        let shared = &self.shared;
        let layout = &shared.layouts[entity];
        let new = Packed { layout, bytes: &record };
        if is_noted {
            let nothing = Packed { layout, bytes: &[0, 0] };
            self.waiting[entity].note(&shared.model.entities[entity], slot, nothing, new, std::iter::empty());
        }
        self.counts[entity].bytes += weight(&record);
        self.counts[entity].count(new, 1);
        self.shared.keys[entity].insert(new.key(), slot);
        self.newest[entity].push(record);
        self.written[entity].push(slot);
        self.named[entity].push(0);
    }

    /// Counts who names whom, once all stretches are there.
    pub fn restore_links(&mut self) -> Result<(), String> {
        let shared = self.shared.clone();
        for (entity, layout) in shared.layouts.entries() {
            let description = &shared.model.entities[entity];
            for slot in self.slots(entity) {
                let record = Packed { layout, bytes: &self.newest[entity][slot] };
                let links = layout.links.iter().map(|link| (description.fields[*link].kind.link(), record.link(*link)));
                let merge = (Some(entity), record.merge().map(|merge| merge.into));
                let rejected = (Some(entity), record.flags().rejected().then_some(slot));
                for (target, named) in links.chain([merge, rejected]) {
                    let (Some(target), Some(named)) = (target, named) else { continue };
                    if named.index() >= self.named[target].len() {
                        return Err(format!("`{}` is linked to what is not there", description.name));
                    }
                    self.named[target][named] += 1;
                }
            }
        }
        Ok(())
    }
}

/// Makes records of stretches.
pub struct Unpacker {
    shared: Arc<Shared>,
    earlier: Option<Arc<Renumbering>>,
}

/// A stretch's records.
pub struct Unpacked(Vec<Record>);

impl Unpacker {
    /// The records of a stretch that [`View::save`] wrote. Where `open` gives nothing, what was sealed stays away.
    pub fn unpack(
        &self,
        entity: EntityId,
        stretch: &[u8],
        open: Open<'_>,
        relabel: Relabel<'_>,
    ) -> Result<Unpacked, String> {
        if self.shared.layouts.get(entity).is_none() {
            return Err(format!("records of entity {}, which the model does not have", entity.0));
        }
        let layout = self.earlier.as_ref().map_or(&self.shared.layouts[entity], |earlier| earlier.layout(entity));
        let is_personal = self.shared.model.entities[entity].has_personal;
        let mut reader = Reader(stretch);
        let mut records = Vec::new();
        while !reader.is_empty() {
            let bytes = reader.long();
            if bytes.len() < 2 || bytes.len() < layout.bytes_min(bytes) {
                return Err(format!("a record of {} bytes", bytes.len()));
            }
            let sealed = if is_personal { reader.long() } else { &[] };
            let opened = match sealed {
                [] => None,
                sealed => open(entity, Packed { layout, bytes }.key(), sealed),
            };
            let bytes = opened.as_deref().unwrap_or(bytes);
            records.push(match &self.earlier {
                None => flagged(Packed { layout, bytes }),
                Some(earlier) => earlier.renumber(&self.shared, entity, Packed { layout, bytes }, relabel)?,
            });
        }
        Ok(Unpacked(records))
    }
}

/// A record with the flags that follow from its sections: format 1 had fewer.
fn flagged(record: Packed<'_>) -> Record {
    let mut flags = record.flags();
    if flags.rare() {
        let sections = record.sections();
        flags.set_rare(sections.attributes, sections.missing, sections.merge);
    }
    if flags == record.flags() {
        return record.bytes.into();
    }
    let mut bytes = record.bytes.to_vec();
    bytes[0] = flags.0;
    bytes.into()
}

impl Layout {
    /// Bytes that a record with this beginning has at least.
    fn bytes_min(&self, bytes: &[u8]) -> usize {
        let packed = Packed { layout: self, bytes };
        let start = if packed.is_reference() { super::layout::HEAD } else { self.fixed_end() };
        start + usize::from(bytes[1])
    }
}

//! A version without its graph, as bytes, and a projector made of them again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalogue::{Catalogue, Drift, DriftKind, Seen};
use super::remembered::{Copied, put_node, read_node, read_shared};
use super::{Counters, DeadLetter, DeadLetters, Gate, Partition, Projector, Remembered, Snapshot};
use crate::event::{Beside, Code, Rejection};
use crate::freshness::Moment;
use crate::graph::{Graph, Reader, put, put_instant, put_long};
use crate::ids::{By, EntityId, FieldId, PartitionId, Slot};
use crate::position::LogId;

/// Whose a sealed part is: an entity's own, by its place in the model and its key; or nobody's in particular.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    Entity(EntityId, &'a str),
    /// What names nobody: each of its own, by a text that tells it from others.
    Nobody(&'a str),
}

/// Seals what is personal, and opens it again. `None` where the owner's key is destroyed.
pub trait Vault: Sync {
    fn seal(&self, owner: Owner<'_>, plain: &[u8]) -> Option<Vec<u8>>;
    fn open(&self, owner: Owner<'_>, sealed: &[u8]) -> Option<Vec<u8>>;
}

/// What the rules keep of an entity of so many fields, without the names of its unknown attributes.
pub fn strip(ledger: &[u8], fields: usize) -> Vec<u8> {
    super::ledger::Ledger::strip(ledger, fields)
}

/// What the rules keep of an entity whose fields are numbered anew, of which there are `count` now, those of these wire names
/// among them that were none before. None where one of those was an attribute.
pub fn relabel(ledger: &[u8], fields: &By<FieldId, FieldId>, count: usize, names: &[&str]) -> Option<Vec<u8>> {
    super::ledger::Ledger::renumber(ledger, fields, count, names)
}

/// A version, with what the rules remembered at that very moment.
pub struct Capture {
    pub snapshot: Snapshot,
    pub(super) remembered: Copied,
    /// What the gate wrote of itself.
    pub(super) gate: Vec<u8>,
}

impl Capture {
    /// All but the graph.
    pub fn save(&self, out: &mut Vec<u8>, vault: &dyn Vault) {
        let Capture { snapshot, remembered, gate } = self;
        put(out, snapshot.version);
        put(out, snapshot.partitions.len() as u64);
        for (id, partition) in snapshot.partitions.entries() {
            let topic = snapshot.topic(id);
            put_long(out, topic.source.as_bytes());
            put_long(out, topic.name.as_bytes());
            put(out, u64::from(partition.log.0));
            put(out, u64::from(partition.origin.0));
            put(out, u64::from(partition.number));
            put(out, snapshot.applied[id]);
            put_optional(out, partition.lost.as_deref());
        }
        for Counters { applied, duplicates, conflicts, dead } in &snapshot.counters {
            [applied, duplicates, conflicts, dead].into_iter().for_each(|count| put(out, *count));
        }
        for (entity, catalogue) in snapshot.catalogue.entries() {
            let is_personal = snapshot.graph.model().entities[entity].has_personal;
            save_catalogue(catalogue, is_personal, out, vault);
        }
        put(out, snapshot.unplaced);
        save_letters(snapshot, out, vault);
        let graph = &snapshot.graph;
        remembered
            .save(out, &|member, plain| vault.seal(Owner::Entity(member.entity, graph.node(member).key()), plain));
        out.extend_from_slice(gate);
    }
}

impl Projector {
    /// Everything as of a version, which has all that was applied so far, for somebody else to save.
    pub fn capture(&self, snapshot: Snapshot, gate: &Gate) -> Capture {
        let mut saved = Vec::new();
        gate.save(&mut saved);
        Capture { snapshot, remembered: self.remembered.copy(), gate: saved }
    }

    /// Goes on from a graph that was restored, and what [`Capture::save`] wrote beside it, in a projector that is new; so does
    /// the gate. `field` says what a field is now. The error says what does not fit.
    pub fn restore(
        self,
        graph: Graph,
        saved: &[u8],
        field: &dyn Fn(EntityId, FieldId) -> FieldId,
        gate: &mut Gate,
        now: Moment,
        vault: &dyn Vault,
    ) -> Result<Projector, String> {
        let ids_remembered = self.ids_remembered;
        let mut projector = Projector { graph, ..self };
        let mut reader = Reader(saved);
        projector.version = reader.number();
        let mut partitions = By::default();
        for _ in 0..reader.number() {
            let (source, name) = (reader.text(), reader.text());
            let topic = projector.topics.find(|topic| (&*topic.source, &*topic.name) == (source, name));
            let topic =
                topic.ok_or_else(|| format!("it has topic `{name}` of source `{source}`, which is not read"))?;
            let [log, origin] = [(); 2].map(|()| LogId(reader.number() as u32));
            let number = reader.number() as u32;
            projector.applied.push(reader.number());
            partitions.push(Partition { topic, log, origin, number, lost: read_optional(&mut reader).map(Into::into) });
        }
        projector.partitions = partitions.into();
        for counters in &mut projector.counters {
            *counters = Counters {
                applied: reader.number(),
                duplicates: reader.number(),
                conflicts: reader.number(),
                dead: reader.number(),
            };
        }
        for catalogue in &mut projector.catalogue {
            *catalogue = read_catalogue(&mut reader, vault).into();
        }
        projector.unplaced = reader.number();
        projector.dead_letters = read_letters(&mut reader, &projector, vault);
        let graph = &projector.graph;
        projector.remembered = Remembered::restore(&mut reader, ids_remembered, field, &|member, sealed| {
            vault.open(Owner::Entity(member.entity, graph.node(member).key()), sealed)
        });
        // Who keeps more of the erased may not have been told before the end.
        let erased = projector.remembered.groups.erased();
        let erased = erased.filter(|id| projector.model.entities[id.entity].has_personal);
        projector.erased.subjects = erased.map(|id| (id.entity, projector.graph.node(id).key().to_owned())).collect();
        gate.restore(&mut reader, projector.partitions.iter().map(|partition| partition.topic), now);
        let fits = reader.is_empty() && projector.remembered.recent.len() == projector.applied.len();
        fits.then_some(projector).ok_or_else(|| "what the rules remembered is not readable".into())
    }
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(u8::from(text.is_some()));
    text.into_iter().for_each(|text| put_long(out, text.as_bytes()));
}

fn read_optional(reader: &mut Reader<'_>) -> Option<String> {
    (reader.number() == 1).then(|| reader.text().to_owned())
}

/// Whose the names of unknown attributes are.
const DRIFT: Owner<'static> = Owner::Nobody("drift");

fn save_catalogue(catalogue: &Catalogue, is_personal: bool, out: &mut Vec<u8>, vault: &dyn Vault) {
    for names in [&catalogue.event_types, &catalogue.producers] {
        put(out, names.len() as u64);
        for (name, Seen { count, first, last, in_model }) in names {
            put_long(out, name.as_bytes());
            put(out, *count);
            put_instant(out, *first);
            put_instant(out, *last);
            out.push(u8::from(*in_model));
        }
    }
    for kind in DriftKind::ALL {
        let none = BTreeMap::new();
        let names = catalogue.drift.get(&kind).unwrap_or(&none);
        let mut plain = Vec::new();
        put(&mut plain, names.len() as u64);
        for (name, Drift { count, last, sole }) in names {
            put_long(&mut plain, name.as_bytes());
            put(&mut plain, *count);
            put_instant(&mut plain, *last);
            put(&mut plain, sole.map_or(0, |slot| u64::from(slot.0) + 1));
        }
        let sealed = if is_personal { vault.seal(DRIFT, &plain) } else { None };
        out.push(u8::from(sealed.is_some()));
        put_long(out, sealed.as_deref().unwrap_or(&plain));
    }
    put(out, catalogue.dead_letters.len() as u64);
    for (code, count) in &catalogue.dead_letters {
        put_long(out, code.name().as_bytes());
        put(out, *count);
    }
}

fn read_catalogue(reader: &mut Reader<'_>, vault: &dyn Vault) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for names in [&mut catalogue.event_types, &mut catalogue.producers] {
        for _ in 0..reader.number() {
            let (name, count) = (read_shared(reader), reader.number());
            let (first, last) = (reader.instant(), reader.instant());
            names.insert(name, Seen { count, first, last, in_model: reader.number() == 1 });
        }
    }
    for kind in DriftKind::ALL {
        let (is_sealed, bytes) = (reader.number() == 1, reader.long());
        let opened = if is_sealed { vault.open(DRIFT, bytes).unwrap_or_default() } else { bytes.to_vec() };
        let mut reader = Reader(&opened);
        let drift = |reader: &mut Reader<'_>| {
            let (name, count, last) = (read_shared(reader), reader.number(), reader.instant());
            let sole = reader.number().checked_sub(1).map(|slot| Slot(slot as u32));
            (name, Drift { count, last, sole })
        };
        let names: BTreeMap<_, _> = (0..reader.number()).map(|_| drift(&mut reader)).collect();
        if !names.is_empty() {
            catalogue.drift.insert(kind, names);
        }
    }
    for _ in 0..reader.number() {
        let (name, count) = (reader.text(), reader.number());
        if let Some(code) = Code::ALL.into_iter().find(|code| code.name() == name) {
            catalogue.dead_letters.insert(code, count);
        }
    }
    catalogue
}

fn save_letters(snapshot: &Snapshot, out: &mut Vec<u8>, vault: &dyn Vault) {
    let letters = &snapshot.dead_letters;
    put(out, letters.first_kept() as u64);
    put(out, letters.count() as u64);
    let mut plain = Vec::new();
    for (number, letter) in letters.iter() {
        out.push(1);
        put(out, number as u64);
        put(out, u64::from(letter.partition_id.0));
        put(out, letter.offset);
        put_instant(out, letter.at);
        put_long(out, letter.domain.as_bytes());
        put_long(out, letter.rejection.code.name().as_bytes());
        out.push(u8::from(letter.node.is_some()));
        letter.node.into_iter().for_each(|node| put_node(out, node));
        out.push(u8::from(letter.is_erased));
        // Bytes, key, headers and what was read of the event are its entity's own.
        plain.clear();
        put_long(&mut plain, &letter.bytes);
        let Rejection { code: _, field, message, id, kind, subject } = &letter.rejection;
        put_long(&mut plain, message.as_bytes());
        [field, id, kind, subject].into_iter().for_each(|text| put_optional(&mut plain, text.as_deref()));
        plain.push(u8::from(letter.beside.is_some()));
        if let Some(beside) = &letter.beside {
            put_bytes(&mut plain, beside.key.as_deref());
            put(&mut plain, beside.headers.len() as u64);
            for (name, value) in &beside.headers {
                put_long(&mut plain, name.as_bytes());
                put_bytes(&mut plain, value.as_deref());
            }
            plain.push(u8::from(beside.has_value));
        }
        let id = letter.id();
        // What is left of one that was erased is nobody's.
        let node = letter.node.filter(|_| !letter.is_erased).map(|id| (id.entity, snapshot.graph.node(id)));
        let owner = node.as_ref().map_or(Owner::Nobody(&id), |(entity, node)| Owner::Entity(*entity, node.key()));
        put_long(out, &vault.seal(owner, &plain).unwrap_or_default());
    }
    out.push(0);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    bytes.into_iter().for_each(|bytes| put_long(out, bytes));
}

fn read_bytes(reader: &mut Reader<'_>) -> Option<Box<[u8]>> {
    (reader.number() == 1).then(|| reader.long().into())
}

fn read_letters(reader: &mut Reader<'_>, projector: &Projector, vault: &dyn Vault) -> DeadLetters {
    let (first, count) = (reader.number() as usize, reader.number() as usize);
    let mut letters = DeadLetters::from(first);
    while reader.number() == 1 {
        let number = reader.number() as usize;
        let (partition_id, offset, at, domain) =
            (PartitionId(reader.number() as u32), reader.number(), reader.instant(), read_shared(reader));
        let code = reader.text();
        let code = Code::ALL.into_iter().find(|known| known.name() == code).unwrap_or(Code::BadEnvelope);
        let node = (reader.number() == 1).then(|| read_node(reader));
        let is_erased = reader.number() == 1;
        let sealed = reader.long();
        let Some(known) = projector.partitions.get(partition_id) else { continue };
        let mut letter = DeadLetter {
            domain,
            topic: projector.topics[known.topic].name.clone(),
            partition: known.number,
            offset,
            at,
            bytes: Arc::default(),
            beside: None,
            rejection: Rejection::at(code, None, FORGOTTEN),
            partition_id,
            node,
            is_erased,
        };
        let id = letter.id();
        let known = node.filter(|_| !is_erased).map(|id| (id.entity, projector.graph.node(id)));
        let owner = known.as_ref().map_or(Owner::Nobody(&id), |(entity, node)| Owner::Entity(*entity, node.key()));
        if let Some(plain) = vault.open(owner, sealed) {
            let mut plain = Reader(&plain);
            letter.bytes = plain.long().into();
            let message = plain.text().to_owned();
            let [field, id, kind, subject] = [(); 4].map(|()| read_optional(&mut plain));
            letter.rejection = Rejection { code, field, message, id, kind, subject };
            if plain.number() == 1 {
                let key = read_bytes(&mut plain);
                let header = |reader: &mut Reader<'_>| (reader.text().into(), read_bytes(reader));
                let headers = (0..plain.number()).map(|_| header(&mut plain)).collect();
                letter.beside = Some(Beside { key, headers, has_value: plain.number() == 1 }.into());
            }
        } else {
            letter.is_erased = true;
        }
        letters.put(number, letter);
    }
    letters.fill(count);
    letters
}

/// What a letter says whose entity was erased.
const FORGOTTEN: &str = "what it said is gone with the person whom it was about";

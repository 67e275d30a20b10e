//! Chunks into a projector.

use std::sync::Arc;

use super::chunk::{Chunk, Kind};
use super::head::Head;
use super::model;
use crate::freshness::Moment;
use crate::graph::{Graph, Kept, Reader, Renumbering, Unpacked, View};
use crate::ids::{By, EntityId};
use crate::model::Model;
use crate::projection::{Gate, Owner, Projector, Vault, relabel};

/// What a chunk holds, unpacked.
pub enum Part {
    Names(Vec<u8>),
    Records(EntityId, Unpacked),
    Set(EntityId, Vec<u8>),
    Beside(Vec<u8>),
    /// Something that is not needed.
    Nothing,
}

/// Unpacks chunks: the half of reading that no order binds.
pub struct Unpacker<'a> {
    vault: &'a dyn Vault,
    graph: crate::graph::Unpacker,
    /// Where records are laid out anew, so is their order.
    is_anew: bool,
}

impl Unpacker<'_> {
    pub fn unpack(&self, chunk: Chunk) -> Result<Part, String> {
        let Chunk { kind, entity, bytes } = chunk;
        Ok(match kind {
            Kind::Names => Part::Names(bytes),
            Kind::Records => {
                let open =
                    |entity: EntityId, key: &str, sealed: &[u8]| self.vault.open(Owner::Entity(entity, key), sealed);
                Part::Records(entity, self.graph.unpack(entity, &bytes, &open, &relabel)?)
            }
            Kind::Set if self.is_anew => Part::Nothing,
            Kind::Set => Part::Set(entity, bytes),
            Kind::Beside => Part::Beside(bytes),
            Kind::End => Part::Nothing,
        })
    }
}

/// A projector in the making.
pub struct Restoring<'a> {
    vault: &'a dyn Vault,
    graph: Graph,
    sets: By<EntityId, Kept>,
    /// What has to be done to records of another model.
    renumbering: Option<Arc<Renumbering>>,
    beside: Option<Vec<u8>>,
}

impl<'a> Restoring<'a> {
    /// Begins one by a checkpoint's head. The error says why its data are of no use.
    pub fn new(head: &Head, model: &Arc<Model>, vault: &'a dyn Vault) -> Result<Restoring<'a>, String> {
        let then = Model::parse(&head.sdl, "the checkpoint's model").map_err(|faults| {
            format!(
                "its model is not readable: {}",
                faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            )
        })?;
        let renumbering = model::compare(&then, model).map_err(|differs| differs.to_string())?.map(Arc::new);
        let graph = Graph::new(model.clone());
        let sets = model.entities.ids().map(|entity| graph.kept(entity)).collect();
        Ok(Restoring { vault, graph, sets, renumbering, beside: None })
    }

    /// What unpacks this one's chunks, on whichever thread.
    pub fn unpacker(&self) -> Unpacker<'a> {
        let is_anew = self.renumbering.is_some();
        Unpacker { vault: self.vault, graph: self.graph.unpacker(self.renumbering.clone()), is_anew }
    }

    /// Takes what the next chunk holds.
    pub fn take(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::Names(bytes) => {
                let mut reader = Reader(&bytes);
                let names: Vec<&str> = (0..reader.number()).map(|_| reader.text()).collect();
                self.graph.restore_names(names.into_iter())?;
            }
            Part::Records(entity, records) => self.graph.restore(entity, records, self.renumbering.is_some()),
            Part::Set(entity, bytes) => {
                let missing = || format!("something of entity {}, which the model does not have", entity.0);
                let mut reader = Reader(&bytes);
                self.sets.get_mut(entity).ok_or_else(missing)?.take(reader.text(), reader.0)?;
            }
            Part::Beside(bytes) => self.beside = Some(bytes),
            Part::Nothing => {}
        }
        Ok(())
    }

    /// All chunks were taken: what the graph is beside its records.
    fn graph(&mut self) -> Result<(), String> {
        self.graph.restore_links()?;
        if self.renumbering.is_none() {
            for (entity, sets) in self.sets.entries_mut() {
                self.graph.restore_sets(entity, std::mem::take(sets));
            }
        }
        Ok(())
    }

    /// The graph alone, once all chunks were taken.
    pub fn view(mut self) -> Result<View, String> {
        self.graph()?;
        Ok(self.graph.publish())
    }

    /// All chunks were taken: they go into a projector that is new.
    pub fn finish(mut self, projector: Projector, gate: &mut Gate, now: Moment) -> Result<Projector, String> {
        self.graph()?;
        let beside = self.beside.ok_or("what is not in its graph is missing")?;
        let renumbering = self.renumbering;
        let field = |entity, field| match &renumbering {
            Some(renumbering) => renumbering.field(entity, field).unwrap_or(field),
            None => field,
        };
        projector.restore(self.graph, &beside, &field, gate, now, self.vault)
    }
}

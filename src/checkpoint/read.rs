//! Chunks into a projector.

use std::sync::Arc;

use super::chunk::{Chunk, Kind};
use super::head::Head;
use super::model;
use crate::freshness::Moment;
use crate::graph::{Graph, Kept, Reader, Renumbering, View};
use crate::ids::{By, EntityId};
use crate::model::Model;
use crate::projection::{Gate, Owner, Projector, Vault, relabel};

/// A projector in the making.
pub struct Restoring<'a> {
    model: Arc<Model>,
    vault: &'a dyn Vault,
    graph: Graph,
    sets: By<EntityId, Kept>,
    /// What has to be done to records of another model.
    renumbering: Option<Renumbering>,
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
        let renumbering = model::compare(&then, model).map_err(|differs| differs.to_string())?;
        let sets = model.entities.iter().map(|_| Kept::default()).collect();
        Ok(Restoring { model: model.clone(), vault, graph: Graph::new(model.clone()), sets, renumbering, beside: None })
    }

    /// Takes the next chunk.
    pub fn take(&mut self, chunk: Chunk) -> Result<(), String> {
        match chunk.kind {
            Kind::Names => {
                let mut reader = Reader(&chunk.bytes);
                let names: Vec<&str> = (0..reader.number()).map(|_| reader.text()).collect();
                self.graph.restore_names(names.into_iter())
            }
            Kind::Records if self.model.entities.get(chunk.entity).is_some() => {
                let vault = self.vault;
                let open = |entity: EntityId, key: &str, sealed: &[u8]| vault.open(Owner::Entity(entity, key), sealed);
                let earlier = self.renumbering.as_ref().map(|renumbering| (renumbering, &relabel as _));
                self.graph.restore(chunk.entity, &chunk.bytes, &open, earlier)
            }
            // Where records are laid out anew their order is made anew.
            Kind::Set if self.renumbering.is_some() => Ok(()),
            Kind::Set if self.model.entities.get(chunk.entity).is_some() => {
                let mut reader = Reader(&chunk.bytes);
                let name = reader.text();
                // What the model no longer orders by is not needed.
                let Some(words) = self.graph.words_of_set(chunk.entity, name) else { return Ok(()) };
                self.sets[chunk.entity].take(name, words, reader.0)
            }
            Kind::Records | Kind::Set => {
                Err(format!("records of entity {}, which the model does not have", chunk.entity.0))
            }
            Kind::Beside => {
                self.beside = Some(chunk.bytes);
                Ok(())
            }
            Kind::End => Ok(()),
        }
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

//! Erasure: what of somebody goes from the graph and from the dead letters, and whom it reached, for those who keep more.

use std::sync::Arc;

use super::ledger::Ledger;
use super::{DeadLetter, Projector, Topic};
use crate::event::Refused;
use crate::ids::{By, EntityId, NodeId, PartitionId};

/// Whom erasures reached, for those who keep more of them than the graph does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Entities that have personal fields, and subjects.
    pub subjects: Vec<(EntityId, String)>,
    /// Dead letters that forgot what they said.
    pub letters: Vec<usize>,
}

impl Projector {
    /// Whom erasures reached since this was asked for.
    pub fn take_erased(&mut self) -> Erased {
        std::mem::take(&mut self.erased)
    }

    /// Drops what the graph held of them before, where nobody reads it any more. Gives whether somebody still does. To be asked
    /// for after a version is published, and again until nobody does.
    pub fn drop_faded(&mut self) -> bool {
        self.graph.drop_faded()
    }

    pub(super) fn erase(&mut self, members: Vec<NodeId>) {
        let model = self.model.clone();
        for id in members.iter().copied() {
            let description = &model.entities[id.entity];
            let mut draft = self.graph.edit(id);
            draft.set_erased();
            if description.has_personal {
                let personal = description.fields.entries().filter(|(_, field)| field.personal);
                personal.for_each(|(field, _)| self.remembered.rivals.forget((id, field)));
                Arc::make_mut(&mut self.catalogue[id.entity]).forget(id.slot);
                let stripped = Ledger::strip(self.graph.stamps(&draft), description.fields.len());
                draft.forget_personal(description, &stripped);
                let key = self.graph.node(id).key().to_owned();
                self.erased.subjects.push((id.entity, key));
            }
            self.graph.commit(draft);
            self.graph.fade(id);
        }
        if members.is_empty() || self.dead_letters.iter().next().is_none() {
            return;
        }
        let graph = &self.graph;
        let keys: Vec<(NodeId, String)> = members.iter().map(|id| (*id, graph.node(*id).key().to_owned())).collect();
        let topics: By<PartitionId, &Topic> =
            self.partitions.iter().map(|partition| &self.topics[partition.topic]).collect();
        let is_meant = |letter: &DeadLetter| {
            let record = letter.beside.as_deref().and_then(|beside| beside.key.as_deref());
            let is_of = |(id, key): &(NodeId, String)| match letter.node {
                Some(node) => node == *id,
                None => {
                    let domains = &topics[letter.partition_id].domains;
                    domains.contains(&model.entities[id.entity].domain) && record == Some(key.as_bytes())
                }
            };
            keys.iter().any(is_of)
        };
        let erased = self.dead_letters.erase(is_meant);
        self.erased.letters.extend(erased);
    }

    /// Whether what was refused is of somebody who was erased: by what it says of itself, or by its record's key.
    pub(super) fn is_erased(&self, node: Option<NodeId>, topic: &Topic, refused: &Refused) -> bool {
        let is_erased = |id: NodeId| self.graph.node(id).erased();
        if let Some(node) = node {
            return is_erased(node);
        }
        let key = refused.beside.as_deref().and_then(|beside| beside.key.as_deref());
        let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()) else { return false };
        let mut entities = topic.domains.iter().flat_map(|domain| &self.model.domains[*domain].entities);
        entities.any(|entity| self.graph.find(*entity, key).is_some_and(|slot| is_erased(entity.node(slot))))
    }
}

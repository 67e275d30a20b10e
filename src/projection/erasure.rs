//! Erasure: what of somebody goes from the graph and from the dead letters, and whom it reached, for those who keep more.

use std::sync::Arc;

use super::groups::Member;
use super::record::Record;
use super::seen::fingerprint;
use super::{DeadLetter, Projector, Topic};
use crate::event::{OrderBy, Refused};
use crate::model::cell::Cell;

/// Whom erasures reached, for those who keep more of them than the graph does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Entities that have personal fields, and subjects.
    pub subjects: Vec<(usize, String)>,
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

    pub(super) fn erase(&mut self, members: Vec<Member>) {
        let model = self.model.clone();
        for (entity, slot) in members.iter().copied() {
            let description = &model.entities[entity];
            let mut draft = self.graph.edit(entity, slot);
            draft.set_erased();
            let mut record = Record::default();
            record.read(self.graph.stamps(&draft), description.fields.len());
            let personal = description.fields.iter().enumerate().filter(|(_, field)| field.personal);
            for (field, _) in personal {
                draft.set(field, Cell::Null);
                self.rivals.forget((entity, slot, field));
            }
            if description.has_personal {
                draft.clear_attributes();
                Arc::make_mut(&mut self.catalogue[entity]).forget(slot);
                // Who set what of somebody goes with it: a log that is without it gives the same.
                record.forget(|field| description.fields[field].personal);
                let tell_duplicates = self.rules[description.domain].order_by != OrderBy::Position;
                let graph = &self.graph;
                let print = |source: u32, id: &str| fingerprint((graph.text(source).as_ref(), id));
                record.write(draft.set_stamps(), tell_duplicates, print);
                let key = self.graph.node(entity, slot).key().to_owned();
                self.erased.subjects.push((entity, key));
            }
            self.graph.commit(draft);
            self.graph.fade(entity, slot);
        }
        if members.is_empty() || self.dead_letters.iter().next().is_none() {
            return;
        }
        let graph = &self.graph;
        let key = |member: &Member| (*member, graph.node(member.0, member.1).key().to_owned());
        let keys: Vec<(Member, String)> = members.iter().map(key).collect();
        let topics: Vec<Topic> = self.partitions.iter().map(|partition| self.topics[partition.topic].clone()).collect();
        let is_meant = |letter: &DeadLetter| {
            let record = letter.beside.as_deref().and_then(|beside| beside.key.as_deref());
            let is_of = |(member, key): &(Member, String)| match letter.node {
                Some(node) => node == *member,
                None => {
                    topics[letter.place].domains.contains(&model.entities[member.0].domain)
                        && record == Some(key.as_bytes())
                }
            };
            keys.iter().any(is_of)
        };
        self.erased.letters.extend(self.dead_letters.erase(is_meant));
    }

    /// Whether what was refused is of somebody who was erased: by what it says of itself, or by its record's key.
    pub(super) fn is_erased(&self, node: Option<Member>, topic: &Topic, refused: &Refused) -> bool {
        let is_erased = |(entity, slot): Member| self.graph.node(entity, slot).erased();
        if let Some(node) = node {
            return is_erased(node);
        }
        let key = refused.beside.as_deref().and_then(|beside| beside.key.as_deref());
        let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()) else { return false };
        let mut entities = topic.domains.iter().flat_map(|domain| &self.model.domains[*domain].entities);
        entities.any(|entity| self.graph.find(*entity, key).is_some_and(|slot| is_erased((*entity, slot))))
    }
}

//! Tables that were emptied. All that their events had set before is deleted, whenever those events arrive: each entity is
//! deleted at the truncation's own stamp, as if its producer had said so of each.

use super::Projector;
use super::apply::Arrival;
use super::ledger::Ledger;
use super::stamp::{Order, Stamp};
use crate::event::{Envelope, OrderBy, Truncation};
use crate::ids::{EntityId, NodeId, PartitionId};
use crate::model::value::Instant;

/// One that was heard of.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub truncation: Truncation,
    pub partition: PartitionId,
    pub offset: u64,
    pub appended_at: Instant,
}

impl Projector {
    /// Deletes what the table's events had set before, and remembers it for those that are still to come.
    pub(super) fn truncate(
        &mut self,
        truncation: &Truncation,
        partition: PartitionId,
        offset: u64,
        appended_at: Instant,
        now: Instant,
    ) {
        let heard = Heard { truncation: truncation.clone(), partition, offset, appended_at };
        let source = self.graph.name(&truncation.source);
        let all = self.remembered.truncations.entry(source).or_default();
        let by_time = |heard: &Heard| (heard.truncation.time, heard.truncation.id.clone());
        let by_commit = |heard: &Heard| (heard.truncation.commit, heard.truncation.id.clone());
        let is_new = |known: &Heard| by_time(known) < by_time(&heard) || by_commit(known) < by_commit(&heard);
        // What an earlier one deletes, a later one has deleted: the latest is enough, in each of the orders.
        if !all.is_empty() && !all.iter().any(is_new) {
            return;
        }
        all.push(heard.clone());
        let latest = (all.iter().map(by_time).max(), all.iter().map(by_commit).max());
        all.retain(|known| Some(by_time(known)) == latest.0 || Some(by_commit(known)) == latest.1);
        let domains = self.topic(partition).domains.clone();
        let model = self.model.clone();
        let mut ledger = Ledger::default();
        for entity in domains.iter().flat_map(|domain| &model.domains[*domain].entities).copied() {
            let fields = model.entities[entity].fields.len();
            for id in self.graph.slots(entity).map(|slot| entity.node(slot)) {
                ledger.read(self.graph.node(id).stamps(), fields);
                let stamp = self.stamp_of(entity, truncation);
                if ledger.has_below(Order { stamp, source: (source, &truncation.source), id: &truncation.id }) {
                    self.delete_by(&heard, id, now);
                }
            }
        }
    }

    /// What a truncation that is known already makes of an event of its table that came late.
    pub(super) fn truncate_late(&mut self, id: NodeId, order: Order<'_>, now: Instant) {
        let Some(all) = self.remembered.truncations.get(&order.source.0) else { return };
        let rank = |heard: &Heard| (self.stamp_of(id.entity, &heard.truncation), heard.truncation.id.clone());
        let later = all.iter().filter(|heard| rank(heard) > (order.stamp, order.id.to_owned()));
        let last = later.max_by_key(|heard| rank(heard)).cloned();
        if let Some(heard) = last {
            self.delete_by(&heard, id, now);
        }
    }

    fn stamp_of(&self, entity: EntityId, truncation: &Truncation) -> Stamp {
        match self.rules[self.model.entities[entity].domain].order_by {
            OrderBy::Time => Stamp::Time(truncation.time),
            OrderBy::Position | OrderBy::Sequence => Stamp::Commit(truncation.commit),
        }
    }

    fn delete_by(&mut self, heard: &Heard, id: NodeId, now: Instant) {
        let Heard { truncation, partition, offset, appended_at } = heard;
        let kind = format!("{}.deleted", self.model.entities[id.entity].event);
        let envelope = Envelope {
            id: &truncation.id,
            source: &truncation.source,
            kind: &kind,
            time: truncation.time,
            version: None,
            sequence: None,
            dataschema: None,
            traceparent: None,
        };
        let source = self.graph.name(&truncation.source);
        let order =
            Order { stamp: self.stamp_of(id.entity, truncation), source: (source, envelope.source), id: envelope.id };
        let arrival = Arrival {
            partition: *partition,
            offset: *offset,
            commit: Some(truncation.commit),
            appended_at: *appended_at,
            now,
            known: &[],
        };
        self.delete(id, envelope, order, &arrival);
    }
}

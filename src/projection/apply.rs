//! One event onto one entity.

use std::sync::Arc;

use super::catalogue::DriftKind;
use super::entity::{self, Effect, Outcome, Told};
use super::ledger::{Ledger, Sources};
use super::rivals::{Rivals, Word};
use super::seen::{Novelty, fingerprint};
use super::stamp::{Order, Place, Stamp};
use super::{Partition, Projector};
use crate::event::{Action, Commit, Envelope, Event, OrderBy};
use crate::graph::{Draft, Graph, Lineage, State};
use crate::ids::{FieldId, NodeId, PartitionId, Slot};
use crate::model::Field;
use crate::model::cell::Cell;
use crate::model::value::{Instant, Value};

/// Where the log has an event, and when it is applied.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub partition: PartitionId,
    pub offset: u64,
    /// Its place in a database's order, which counts instead of the log's.
    pub commit: Option<Commit>,
    pub appended_at: Instant,
    pub now: Instant,
    /// The slots of the event's entity and its links' targets, where they had one when they were looked up.
    pub known: &'a [Option<Slot>],
}

impl Arrival<'_> {
    /// What is kept of an event that the log has here, in a topic's partition.
    fn lineage<'a>(&self, envelope: Envelope<'a>, topic: &'a str, partition: u32) -> Lineage<'a> {
        Lineage {
            id: envelope.id,
            kind: envelope.kind,
            source: envelope.source,
            sequence: envelope.sequence,
            time: envelope.time,
            topic,
            partition,
            offset: self.offset,
            appended_at: self.appended_at,
            applied_at: self.now,
            dataschema: envelope.dataschema,
            traceparent: envelope.traceparent,
        }
    }
}

impl Sources for &Graph {
    fn text(&self, source: u32) -> &str {
        Graph::text(self, source)
    }
}

impl Projector {
    pub(super) fn apply_event(&mut self, event: &Event<'_>, arrival: Arrival<'_>) {
        let (entity, domain) = (event.entity, self.model.entities[event.entity].domain);
        let slot = arrival.known[0].unwrap_or_else(|| self.graph.slot(entity, event.key));
        let id = entity.node(slot);
        let draft = self.graph.edit(id);
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.read(self.graph.stamps(&draft), self.model.entities[entity].fields.len());
        let order = self.order(event, &arrival);
        let told = self.tell(event, &mut ledger, order, arrival.partition);
        let takes = if told == Told::Duplicate {
            self.graph.abandon(draft);
            false
        } else {
            let takes = self.take(event, draft, &mut ledger, order, &arrival);
            self.catalogue(event, id, order, arrival.appended_at);
            takes
        };
        let counters = &mut self.counters[domain];
        match (told, takes) {
            (Told::Duplicate, _) | (Told::Forgotten, false) => counters.duplicates += 1,
            (Told::Conflict, _) | (Told::Forgotten, true) => {
                (counters.conflicts, counters.applied) = (counters.conflicts + 1, counters.applied + 1)
            }
            (Told::New, _) => counters.applied += 1,
        }
        // What it read of somebody who is erased by now would stay in its buffers.
        self.ledger = if self.erased.subjects.is_empty() { ledger } else { Ledger::default() };
        if !self.remembered.truncations.is_empty() {
            self.truncate_late(id, order, arrival.now);
        }
    }

    fn order<'a>(&mut self, event: &Event<'a>, arrival: &Arrival<'_>) -> Order<'a> {
        let envelope = event.envelope;
        let partition = &self.partitions[arrival.partition];
        let place = Place {
            offset: self.remembered.raised[arrival.partition] + arrival.offset,
            topic: self.topic_ranks[partition.topic],
            partition: partition.number,
            commit: arrival.commit,
        };
        let order_by = self.rules[self.model.entities[event.entity].domain].order_by;
        let stamp = Stamp::of(order_by, &envelope, place);
        Order { stamp, source: (self.graph.name(envelope.source), envelope.source), id: envelope.id }
    }

    fn tell(&mut self, event: &Event<'_>, ledger: &mut Ledger, order: Order<'_>, partition: PartitionId) -> Told {
        let rules = self.rules[self.model.entities[event.entity].domain];
        if rules.order_by == OrderBy::Position {
            let print = fingerprint((event.envelope.source, event.envelope.id));
            return match self.remembered.recent[partition].see(print) {
                Novelty::Duplicate => Told::Duplicate,
                Novelty::New | Novelty::Conflict => Told::New,
            };
        }
        entity::tell(ledger, rules, event, order)
    }

    /// Lets the event set what nothing greater has set. Gives whether it set anything.
    fn take(
        &mut self,
        event: &Event<'_>,
        mut draft: Draft,
        ledger: &mut Ledger,
        order: Order<'_>,
        arrival: &Arrival<'_>,
    ) -> bool {
        let id = draft.id;
        let mut effect = std::mem::take(&mut self.effect);
        let description = &self.model.entities[event.entity];
        entity::apply(ledger, description, draft.erased(), event, order, &&self.graph, &mut effect);
        self.compare(event, id, ledger, &effect);
        self.set(event, &mut draft, &effect, arrival.known.get(1..).unwrap_or_default());
        self.conclude(event.envelope, draft, ledger, order, &effect, arrival);
        match event.action {
            Action::Erase => {
                let reached = self.remembered.groups.erase(id);
                self.erase(reached);
            }
            Action::Merge(into) => {
                let into = self.graph.slot(id.entity, into);
                let joined = self.remembered.groups.join(id, id.entity.node(into));
                self.erase(joined.erased);
                if effect.merges {
                    let envelope = event.envelope;
                    let merge = (into, (envelope.time, envelope.source, envelope.id));
                    self.graph.set_merge(id, Some(merge), !joined.were_apart);
                }
            }
            Action::Change | Action::Delete => {}
        }
        let takes = effect.takes;
        self.effect = effect;
        takes
    }

    /// Keeps what one producer says of the event's fields beside what another says.
    fn compare(&mut self, event: &Event<'_>, id: NodeId, ledger: &Ledger, effect: &Effect) {
        let has_rival = |outcome: &Outcome| matches!(outcome, Outcome::Judged { rival: Some(_), .. });
        if self.remembered.rivals.is_empty() && !effect.fields.iter().any(has_rival) {
            return;
        }
        let description = &self.model.entities[event.entity];
        for ((field, cell), outcome) in event.patch.iter().zip(&effect.fields) {
            let Outcome::Judged { wins, rival } = *outcome else { continue };
            let claim = Claim { setter: effect.setter, rival, wins, cell };
            let field = (field, &description.fields[field]);
            compare(&mut self.remembered.rivals, &self.graph, id, field, ledger, claim);
        }
    }

    /// Puts into the draft what the event sets, and takes out what it clears. `known` are the slots of its links' targets.
    fn set(&mut self, event: &Event<'_>, draft: &mut Draft, effect: &Effect, known: &[Option<Slot>]) {
        let description = &self.model.entities[event.entity];
        let mut known = known.iter().copied();
        for (place, (field, cell)) in event.patch.iter().enumerate() {
            let target = match (description.fields[field].kind.link(), cell) {
                (Some(target), Cell::String(key)) => Some((target, key, known.next().flatten())),
                _ => None,
            };
            match target {
                _ if !effect.wins(place) => {}
                Some((target, key, known)) => {
                    let slot = known.unwrap_or_else(|| self.graph.slot(target, key));
                    draft.set(field, Cell::Link(slot));
                }
                None => draft.set(field, cell),
            }
        }
        if effect.attributes.contains(&true) {
            let set = event.attributes.iter().zip(&effect.attributes).filter(|(_, wins)| **wins);
            let changes = set.map(|((name, json), _)| (name, Some(json).filter(|json| *json != "null")));
            self.graph.change_attributes(draft, changes);
        }
        self.clear(draft, effect);
    }

    /// Takes from the draft what a deletion clears.
    fn clear(&mut self, draft: &mut Draft, effect: &Effect) {
        effect.cleared.iter().for_each(|field| draft.set(*field, Cell::Null));
        if !effect.cleared_attributes.is_empty() {
            self.graph.change_attributes(draft, effect.cleared_attributes.iter().map(|name| (name.as_ref(), None)));
        }
        if effect.deletes && !self.remembered.rivals.is_empty() {
            let fields = self.model.entities[draft.id.entity].fields.ids();
            fields.for_each(|field| self.remembered.rivals.forget((draft.id, field)));
        }
    }

    /// Deletes an entity at a stamp, without an event of its own.
    pub(super) fn delete(&mut self, id: NodeId, envelope: Envelope<'_>, order: Order<'_>, arrival: &Arrival<'_>) {
        let mut draft = self.graph.edit(id);
        let mut ledger = std::mem::take(&mut self.ledger);
        let mut effect = std::mem::take(&mut self.effect);
        ledger.read(self.graph.stamps(&draft), self.model.entities[id.entity].fields.len());
        entity::delete(&mut ledger, order, &&self.graph, &mut effect);
        if effect.deletes {
            self.clear(&mut draft, &effect);
            self.conclude(envelope, draft, &mut ledger, order, &effect, arrival);
        } else {
            self.graph.abandon(draft);
        }
        (self.ledger, self.effect) = (ledger, effect);
    }

    /// Ends an event's work on its entity: the last word, what follows, the record in its slot.
    fn conclude(
        &mut self,
        envelope: Envelope<'_>,
        mut draft: Draft,
        ledger: &mut Ledger,
        order: Order<'_>,
        effect: &Effect,
        arrival: &Arrival<'_>,
    ) {
        let id = draft.id;
        let rules = self.rules[self.model.entities[id.entity].domain];
        if let Some(missing) = entity::missing(ledger, rules) {
            draft.set_missing(&missing);
        }
        draft.set_state(if effect.is_deleted { State::Deleted } else { State::Present });
        if effect.is_last {
            self.remembered.last_words.pass(id.entity, effect.last_source, order.source.0);
            let Partition { topic, number, .. } = self.partitions[arrival.partition];
            let lineage = arrival.lineage(envelope, &self.topics[topic].name, number);
            self.graph.set_lineage(&mut draft, &lineage);
        }
        let graph = &self.graph;
        let print = |source: u32, id: &str| fingerprint((graph.text(source).as_ref(), id));
        ledger.write(draft.set_stamps(), rules.order_by != OrderBy::Position, print);
        self.graph.commit(draft);
        if effect.unmerges {
            self.graph.set_merge(id, None, false);
        }
    }

    fn catalogue(&mut self, event: &Event<'_>, id: NodeId, order: Order<'_>, at: Instant) {
        let kind = self.graph.name(event.envelope.kind);
        if self.tally.is_full() {
            self.tell_catalogue();
        }
        self.tally.event(event.entity, kind, order.source.0, event.in_model, at);
        let is_erased = || self.model.entities[event.entity].has_personal && self.graph.node(id).erased();
        if (!event.attributes.is_empty() || !event.unknown_extensions.is_empty()) && !is_erased() {
            let catalogue = Arc::make_mut(&mut self.catalogue[event.entity]);
            for (name, _) in event.attributes.iter() {
                catalogue.drift(DriftKind::Attribute, name, at, id.slot);
            }
            for name in event.unknown_extensions.iter() {
                catalogue.drift(DriftKind::Extension, name, at, id.slot);
            }
        }
    }
}

/// What a producer says of a field that another has set.
struct Claim<'a> {
    setter: u32,
    /// The setter whose value stood.
    rival: Option<u32>,
    /// Whether the value stands from now on.
    wins: bool,
    cell: Cell<'a>,
}

/// Keeps what one producer says of a field beside what another says.
fn compare(
    rivals: &mut Rivals,
    graph: &Graph,
    id: NodeId,
    (field, described): (FieldId, &Field),
    ledger: &Ledger,
    Claim { setter, rival, wins, cell }: Claim<'_>,
) {
    let node = graph.node(id);
    if node.erased() && described.personal || ledger.is_outdated(setter, &graph) {
        return;
    }
    let Some(rival) = rival else {
        if wins {
            rivals.stands((id, field), || cell.to_value());
        }
        return;
    };
    let held = match (described.kind.link(), node.value(field)) {
        (Some(target), Cell::Link(slot)) => Value::String(graph.node(target.node(slot)).key().into()),
        (_, cell) => cell.to_value(),
    };
    let (loser, said, winner, stands) =
        if wins { (rival, held, setter, cell.to_value()) } else { (setter, cell.to_value(), rival, held) };
    if let (Some((stamp, source, word)), Some((_, standing, _))) = (ledger.origin(loser), ledger.origin(winner)) {
        rivals.note((id, field), (standing, stands), Word { source, stamp, id: word.into(), value: said });
    }
}

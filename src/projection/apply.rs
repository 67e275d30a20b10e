//! One event onto one entity.

use std::sync::Arc;

use super::catalogue::DriftKind;
use super::ledger::{Ledger, Order, Sources, Stamp};
use super::rivals::{Attribute, Rivals, Word};
use super::seen::{Novelty, fingerprint};
use super::{Partition, Projector};
use crate::event::{Action, Commit, Envelope, Event, OrderBy};
use crate::graph::{Draft, Graph, Lineage, State};
use crate::ids::{NodeId, PartitionId, Slot};
use crate::model::Field;
use crate::model::cell::Cell;
use crate::model::value::{Instant, Value};

/// Missing versions that an entity names.
const MISSING_MAX: usize = 100;

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

impl Sources for &Graph {
    fn text(&self, source: u32) -> Arc<str> {
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
        let novelty = self.novelty(event, &mut ledger, order, arrival.partition);
        let counters = &mut self.counters[domain];
        match novelty {
            Told::Duplicate => counters.duplicates += 1,
            Told::Conflict => counters.conflicts += 1,
            Told::New | Told::Forgotten => {}
        }
        if novelty == Told::Duplicate {
            self.graph.abandon(draft);
        } else {
            let won = self.take(event, draft, &mut ledger, order, &arrival);
            let counters = &mut self.counters[domain];
            match (novelty, won) {
                (Told::Forgotten, false) => counters.duplicates += 1,
                (Told::Forgotten, true) => {
                    (counters.conflicts, counters.applied) = (counters.conflicts + 1, counters.applied + 1)
                }
                _ => counters.applied += 1,
            }
            self.catalogue(event, id, order, arrival.appended_at);
        }
        // What it read of somebody who is erased by now would stay in its buffers.
        self.ledger = if self.erased.subjects.is_empty() { ledger } else { Ledger::default() };
        if !self.remembered.truncations.is_empty() {
            self.truncate_late(id, order, arrival.now);
        }
    }

    fn order<'a>(&mut self, event: &Event<'a>, arrival: &Arrival<'_>) -> Order<'a> {
        let envelope = event.envelope;
        let stamp = match self.rules[self.model.entities[event.entity].domain].order_by {
            OrderBy::Sequence => Stamp::Sequence(envelope.version.unwrap_or(0)),
            OrderBy::Position if let Some(commit) = arrival.commit => Stamp::Commit(commit),
            OrderBy::Position => {
                let partition = &self.partitions[arrival.partition];
                let topic = self.topic_ranks[partition.topic];
                Stamp::Position {
                    offset: self.remembered.raised[arrival.partition] + arrival.offset,
                    topic,
                    partition: partition.number,
                }
            }
            OrderBy::Time => Stamp::Time(envelope.time),
        };
        Order { stamp, source: (self.graph.name(envelope.source), envelope.source), id: envelope.id }
    }

    fn novelty(&mut self, event: &Event<'_>, ledger: &mut Ledger, order: Order<'_>, partition: PartitionId) -> Told {
        let print = || fingerprint((event.envelope.source, event.envelope.id));
        let rules = self.rules[self.model.entities[event.entity].domain];
        let novelty = match rules.order_by {
            OrderBy::Position => self.remembered.recent[partition].see(print()),
            OrderBy::Time => match ledger.novelty(order, print) {
                // Several producers may well agree on a time.
                Novelty::Conflict => Novelty::New,
                novelty => novelty,
            },
            OrderBy::Sequence => {
                // Where gaps are nobody's concern, versions need not be dense: each would be a run of its own.
                let seen = rules.report_gaps && !ledger.runs.see(event.envelope.version.unwrap_or(0));
                match ledger.novelty(order, print) {
                    Novelty::New if seen => return Told::Forgotten,
                    novelty => novelty,
                }
            }
        };
        match novelty {
            Novelty::New => Told::New,
            Novelty::Duplicate => Told::Duplicate,
            Novelty::Conflict => Told::Conflict,
        }
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
        let setter = ledger.enter(order);
        let (mut undone, mut won) = (false, false);
        match event.action {
            Action::Delete => {
                if ledger.take_deletion(setter, &&self.graph) {
                    undone = self.clear_outdated(&mut draft, ledger);
                    won = true;
                }
            }
            Action::Change | Action::Erase | Action::Merge(_) => {
                ledger.take_change(setter, &&self.graph);
                won = self.patch(event, &mut draft, ledger, setter, &arrival.known[1..]);
            }
        }
        let merges = matches!(event.action, Action::Merge(_)) && ledger.take_merge(setter, &&self.graph);
        self.conclude(event.envelope, draft, ledger, setter, order, arrival);
        if undone {
            self.graph.set_merge(id, None, false);
        }
        match event.action {
            Action::Erase => {
                let reached = self.remembered.groups.erase(id);
                self.erase(reached);
            }
            Action::Merge(into) => {
                let into = self.graph.slot(id.entity, into);
                let joined = self.remembered.groups.join(id, id.entity.node(into));
                self.erase(joined.erased);
                if merges {
                    let envelope = event.envelope;
                    let merge = (into, (envelope.time, envelope.source, envelope.id));
                    self.graph.set_merge(id, Some(merge), !joined.were_apart);
                }
            }
            Action::Change | Action::Delete => {}
        }
        won || merges
    }

    fn patch(
        &mut self,
        event: &Event<'_>,
        draft: &mut Draft,
        ledger: &mut Ledger,
        setter: u32,
        known: &[Option<Slot>],
    ) -> bool {
        let description = &self.model.entities[event.entity];
        let mut won = false;
        let mut known = known.iter().copied();
        // Nothing of somebody comes back, and who says it does not count.
        let is_erased = draft.erased() && description.has_personal;
        for (field, cell) in event.patch.iter() {
            let target = match (description.fields[field].kind.link(), cell) {
                (Some(target), Cell::String(key)) => Some((target, key, known.next().flatten())),
                _ => None,
            };
            if is_erased && description.fields[field].personal {
                continue;
            }
            let rival = ledger.rival(setter, field);
            let wins = ledger.take_field(setter, field, &&self.graph);
            if rival.is_some() || !self.remembered.rivals.is_empty() {
                let attribute = (draft.id, field);
                compare(
                    &mut self.remembered.rivals,
                    &self.graph,
                    attribute,
                    &description.fields[field],
                    ledger,
                    Claim { setter, rival, wins, cell },
                );
            }
            if !wins {
                continue;
            }
            won = true;
            match target {
                Some((target, key, known)) => {
                    let slot = known.unwrap_or_else(|| self.graph.slot(target, key));
                    draft.set(field, Cell::Link(slot));
                }
                None => draft.set(field, cell),
            }
        }
        // Of who is erased nothing unknown is kept, not even how it is called.
        if !event.attributes.is_empty() && !is_erased {
            let mut changes = Vec::new();
            for (name, json) in event.attributes.iter() {
                if ledger.take_attribute(setter, name, &&self.graph) {
                    won = true;
                    changes.push((name, Some(json).filter(|json| *json != "null")));
                }
            }
            if !changes.is_empty() {
                self.graph.change_attributes(draft, changes.into_iter());
            }
        }
        won
    }

    /// Deletes an entity at a stamp, without an event of its own.
    pub(super) fn delete(&mut self, id: NodeId, envelope: Envelope<'_>, order: Order<'_>, arrival: &Arrival<'_>) {
        let mut draft = self.graph.edit(id);
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.read(self.graph.stamps(&draft), self.model.entities[id.entity].fields.len());
        let setter = ledger.enter(order);
        if ledger.take_deletion(setter, &&self.graph) {
            let undone = self.clear_outdated(&mut draft, &mut ledger);
            self.conclude(envelope, draft, &mut ledger, setter, order, arrival);
            if undone {
                self.graph.set_merge(id, None, false);
            }
        } else {
            self.graph.abandon(draft);
        }
        self.ledger = ledger;
    }

    /// Takes from the draft what its deletion outdates. Gives whether that is a merge too.
    fn clear_outdated(&mut self, draft: &mut Draft, ledger: &mut Ledger) -> bool {
        if !self.remembered.rivals.is_empty() {
            let fields = self.model.entities[draft.id.entity].fields.ids();
            fields.for_each(|field| self.remembered.rivals.forget((draft.id, field)));
        }
        let (fields, names, merge) = ledger.outdated(&&self.graph);
        fields.into_iter().for_each(|field| draft.set(field, Cell::Null));
        if !names.is_empty() {
            self.graph.change_attributes(draft, names.iter().map(|name| (name.as_ref(), None)));
        }
        merge
    }

    /// Ends an event's work on its entity: the last word, what follows, the record in its slot.
    fn conclude(
        &mut self,
        envelope: Envelope<'_>,
        mut draft: Draft,
        ledger: &mut Ledger,
        setter: u32,
        order: Order<'_>,
        arrival: &Arrival<'_>,
    ) {
        let before = ledger.last_source();
        let is_last = ledger.take_last(setter, &&self.graph);
        if is_last {
            self.remembered.last_words.pass(draft.id.entity, before, order.source.0);
        }
        self.follow(envelope, &mut draft, ledger, is_last.then_some(arrival));
        self.graph.commit(draft);
    }

    /// What follows from the entity's events taken together. `last` is the event's place where it is the greatest.
    fn follow(&mut self, envelope: Envelope<'_>, draft: &mut Draft, ledger: &mut Ledger, last: Option<&Arrival<'_>>) {
        let rules = self.rules[self.model.entities[draft.id.entity].domain];
        if rules.order_by == OrderBy::Sequence && rules.report_gaps {
            let floor = match ledger.deletion_stamp() {
                Some(Stamp::Sequence(version)) => version,
                _ => 0,
            };
            draft.set_missing(&ledger.runs.missing(floor, MISSING_MAX));
        }
        draft.set_state(if ledger.is_deleted(&&self.graph) { State::Deleted } else { State::Present });
        if let Some(arrival) = last {
            let topics = &self.topics;
            let Partition { topic, number, .. } = self.partitions[arrival.partition];
            let lineage = Lineage {
                id: envelope.id,
                kind: envelope.kind,
                source: envelope.source,
                sequence: envelope.sequence,
                time: envelope.time,
                topic: &topics[topic].name,
                partition: number,
                offset: arrival.offset,
                appended_at: arrival.appended_at,
                applied_at: arrival.now,
                dataschema: envelope.dataschema,
                traceparent: envelope.traceparent,
            };
            self.graph.set_lineage(draft, &lineage);
        }
        let graph = &self.graph;
        let print = |source: u32, id: &str| fingerprint((graph.text(source).as_ref(), id));
        ledger.write(draft.set_stamps(), rules.order_by != OrderBy::Position, print);
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
    attribute: Attribute,
    field: &Field,
    ledger: &Ledger,
    Claim { setter, rival, wins, cell }: Claim<'_>,
) {
    let node = graph.node(attribute.0);
    if node.erased() && field.personal || ledger.is_outdated(setter, &graph) {
        return;
    }
    let Some(rival) = rival else {
        if wins {
            rivals.stands(attribute, || cell.to_value());
        }
        return;
    };
    let held = match (field.kind.link(), node.value(attribute.1)) {
        (Some(target), Cell::Link(slot)) => Value::String(graph.node(target.node(slot)).key().into()),
        (_, cell) => cell.to_value(),
    };
    let (loser, said, winner, stands) =
        if wins { (rival, held, setter, cell.to_value()) } else { (setter, cell.to_value(), rival, held) };
    if let (Some((stamp, source, id)), Some((_, standing, _))) = (ledger.origin(loser), ledger.origin(winner)) {
        rivals.note(attribute, (standing, stands), Word { source, stamp, id: id.into(), value: said });
    }
}

/// What an event is to those before it, as far as is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    New,
    Duplicate,
    Conflict,
    /// Its version was seen, and by which event is not remembered: applied again, which changes nothing if it was this one.
    Forgotten,
}

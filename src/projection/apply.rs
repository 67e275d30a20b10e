//! One event onto one entity.

use std::sync::Arc;

use super::catalogue::DriftKind;
use super::record::{Order, Record, Sources, Stamp};
use super::rivals::{self, Rivals, Word};
use super::seen::{Novelty, fingerprint};
use super::{Partition, Projector};
use crate::event::{Action, Commit, Envelope, Event, OrderBy};
use crate::graph::{Draft, Graph, Lineage, State};
use crate::model::Field;
use crate::model::cell::Cell;
use crate::model::value::{Instant, Value};

/// Missing versions that an entity names.
const MISSING_MAX: usize = 100;

/// Where the log has an event, and when it is applied.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub partition: usize,
    pub offset: u64,
    /// Its place in a database's order, which counts instead of the log's.
    pub commit: Option<Commit>,
    pub appended_at: Instant,
    pub now: Instant,
    /// The slots of the event's entity and its links' targets, where they had one when they were looked up.
    pub known: &'a [Option<u32>],
}

impl Sources for &Graph {
    fn text(&self, source: u32) -> Arc<str> {
        Graph::text(self, source)
    }
}

impl Projector {
    pub(super) fn apply_event(&mut self, event: &Event<'_>, place: Place<'_>) {
        let (entity, domain) = (event.entity, self.model.entities[event.entity].domain);
        let slot = place.known[0].unwrap_or_else(|| self.graph.slot(entity, event.key));
        let draft = self.graph.edit(entity, slot);
        let mut record = std::mem::take(&mut self.record);
        record.read(self.graph.stamps(&draft), self.model.entities[entity].fields.len());
        let order = self.order(event, &place);
        let novelty = self.novelty(event, &mut record, order, place.partition);
        let counters = &mut self.counters[domain];
        match novelty {
            Told::Duplicate => counters.duplicates += 1,
            Told::Conflict => counters.conflicts += 1,
            Told::New | Told::Forgotten => {}
        }
        if novelty == Told::Duplicate {
            self.graph.abandon(draft);
        } else {
            let won = self.take(event, draft, &mut record, order, &place);
            let counters = &mut self.counters[domain];
            match (novelty, won) {
                (Told::Forgotten, false) => counters.duplicates += 1,
                (Told::Forgotten, true) => {
                    (counters.conflicts, counters.applied) = (counters.conflicts + 1, counters.applied + 1)
                }
                _ => counters.applied += 1,
            }
            self.catalogue(event, slot, order, place.appended_at);
        }
        // What it read of somebody who is erased by now would stay in its buffers.
        self.record = if self.erased.subjects.is_empty() { record } else { Record::default() };
        if !self.truncations.is_empty() {
            self.truncate_late(entity, slot, order, place.now);
        }
    }

    fn order<'a>(&mut self, event: &Event<'a>, place: &Place<'_>) -> Order<'a> {
        let envelope = event.envelope;
        let stamp = match self.rules[self.model.entities[event.entity].domain].order_by {
            OrderBy::Sequence => Stamp::Sequence(envelope.version.unwrap_or(0)),
            OrderBy::Position if let Some(commit) = place.commit => Stamp::Commit(commit),
            OrderBy::Position => {
                let partition = &self.partitions[place.partition];
                let topic = self.topic_ranks[partition.topic];
                Stamp::Position {
                    offset: self.raised[place.partition] + place.offset,
                    topic,
                    partition: partition.number,
                }
            }
            OrderBy::Time => Stamp::Time(envelope.time),
        };
        Order { stamp, source: (self.graph.name(envelope.source), envelope.source), id: envelope.id }
    }

    fn novelty(&mut self, event: &Event<'_>, record: &mut Record, order: Order<'_>, partition: usize) -> Told {
        let print = || fingerprint((event.envelope.source, event.envelope.id));
        let rules = self.rules[self.model.entities[event.entity].domain];
        let novelty = match rules.order_by {
            OrderBy::Position => self.recent[partition].see(print()),
            OrderBy::Time => match record.novelty(order, print) {
                // Several producers may well agree on a time.
                Novelty::Conflict => Novelty::New,
                novelty => novelty,
            },
            OrderBy::Sequence => {
                // Where gaps are nobody's concern, versions need not be dense: each would be a run of its own.
                let seen = rules.report_gaps && !record.runs.see(event.envelope.version.unwrap_or(0));
                match record.novelty(order, print) {
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
        record: &mut Record,
        order: Order<'_>,
        place: &Place<'_>,
    ) -> bool {
        let (entity, slot) = (event.entity, draft.slot);
        let setter = record.enter(order);
        let (mut undone, mut won) = (false, false);
        match event.action {
            Action::Delete => {
                if record.take_deletion(setter, &&self.graph) {
                    undone = self.clear_outdated(&mut draft, record);
                    won = true;
                }
            }
            Action::Change | Action::Erase | Action::Merge(_) => {
                record.take_change(setter, &&self.graph);
                won = self.patch(event, &mut draft, record, setter, &place.known[1..]);
            }
        }
        let merges = matches!(event.action, Action::Merge(_)) && record.take_merge(setter, &&self.graph);
        self.conclude(event.envelope, draft, record, (setter, order), place);
        if undone {
            self.graph.set_merge(entity, slot, None, false);
        }
        match event.action {
            Action::Erase => {
                let reached = self.groups.erase((entity, slot));
                self.erase(reached);
            }
            Action::Merge(into) => {
                let into = self.graph.slot(entity, into);
                let joined = self.groups.join((entity, slot), (entity, into));
                self.erase(joined.erased);
                if merges {
                    let envelope = event.envelope;
                    let merge = (into, (envelope.time, envelope.source, envelope.id));
                    self.graph.set_merge(entity, slot, Some(merge), !joined.were_apart);
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
        record: &mut Record,
        setter: u32,
        known: &[Option<u32>],
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
            let rival = record.rival(setter, field);
            let wins = record.take_field(setter, field, &&self.graph);
            if rival.is_some() || !self.rivals.is_empty() {
                let place = (event.entity, draft.slot, field);
                compare(
                    &mut self.rivals,
                    &self.graph,
                    place,
                    &description.fields[field],
                    cell,
                    record,
                    (setter, rival, wins),
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
        if !event.attributes.is_empty() && !is_erased {
            let mut changes = Vec::new();
            for (name, json) in event.attributes.iter() {
                if record.take_attribute(setter, name, &&self.graph) {
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
    pub(super) fn delete(
        &mut self,
        entity: usize,
        slot: u32,
        envelope: Envelope<'_>,
        order: Order<'_>,
        place: &Place<'_>,
    ) {
        let mut draft = self.graph.edit(entity, slot);
        let mut record = std::mem::take(&mut self.record);
        record.read(self.graph.stamps(&draft), self.model.entities[entity].fields.len());
        let setter = record.enter(order);
        if record.take_deletion(setter, &&self.graph) {
            let undone = self.clear_outdated(&mut draft, &mut record);
            self.conclude(envelope, draft, &mut record, (setter, order), place);
            if undone {
                self.graph.set_merge(entity, slot, None, false);
            }
        } else {
            self.graph.abandon(draft);
        }
        self.record = record;
    }

    /// Takes from the draft what its deletion outdates. Gives whether that is a merge too.
    fn clear_outdated(&mut self, draft: &mut Draft, record: &mut Record) -> bool {
        if !self.rivals.is_empty() {
            let fields = 0..self.model.entities[draft.entity].fields.len();
            fields.for_each(|field| self.rivals.forget((draft.entity, draft.slot, field)));
        }
        let (fields, names, merge) = record.outdated(&&self.graph);
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
        record: &mut Record,
        (setter, order): (u32, Order<'_>),
        place: &Place<'_>,
    ) {
        let before = record.last_source();
        let is_last = record.take_last(setter, &&self.graph);
        if is_last {
            self.last_words.pass(draft.entity, before, order.source.0);
        }
        self.settle(envelope, &mut draft, record, is_last.then_some(place));
        self.graph.commit(draft);
    }

    /// What follows from the entity's events taken together. `last` is the event's place where it is the greatest.
    fn settle(&mut self, envelope: Envelope<'_>, draft: &mut Draft, record: &mut Record, last: Option<&Place<'_>>) {
        let rules = self.rules[self.model.entities[draft.entity].domain];
        if rules.order_by == OrderBy::Sequence && rules.report_gaps {
            let floor = match record.deletion_stamp() {
                Some(Stamp::Sequence(version)) => version,
                _ => 0,
            };
            draft.set_missing(&record.runs.missing(floor, MISSING_MAX));
        }
        draft.set_state(if record.is_deleted(&&self.graph) { State::Deleted } else { State::Present });
        if let Some(place) = last {
            let topics = &self.topics;
            let Partition { topic, number, .. } = self.partitions[place.partition];
            let lineage = Lineage {
                id: envelope.id,
                kind: envelope.kind,
                source: envelope.source,
                sequence: envelope.sequence,
                time: envelope.time,
                topic: &topics[topic].name,
                partition: number,
                offset: place.offset,
                appended_at: place.appended_at,
                applied_at: place.now,
                dataschema: envelope.dataschema,
                traceparent: envelope.traceparent,
            };
            self.graph.set_lineage(draft, &lineage);
        }
        let graph = &self.graph;
        let print = |source: u32, id: &str| fingerprint((graph.text(source).as_ref(), id));
        record.write(draft.set_stamps(), rules.order_by != OrderBy::Position, print);
    }

    fn catalogue(&mut self, event: &Event<'_>, slot: u32, order: Order<'_>, at: Instant) {
        let kind = self.graph.name(event.envelope.kind);
        if self.tally.is_full() {
            self.settle_tally();
        }
        self.tally.event(event.entity, kind, order.source.0, event.in_model, at);
        let is_erased =
            || self.model.entities[event.entity].has_personal && self.graph.node(event.entity, slot).erased();
        if (!event.attributes.is_empty() || !event.unknown_extensions.is_empty()) && !is_erased() {
            let catalogue = Arc::make_mut(&mut self.catalogue[event.entity]);
            for (name, _) in event.attributes.iter() {
                catalogue.drift(DriftKind::Attribute, name, at, slot);
            }
            for name in event.unknown_extensions.iter() {
                catalogue.drift(DriftKind::Extension, name, at, slot);
            }
        }
    }
}

/// Keeps what one producer says of a field beside what another says. Of the setters, the second is the other producer's
/// whose value stood; the third is whether the first wins.
fn compare(
    rivals: &mut Rivals,
    graph: &Graph,
    place: rivals::Place,
    field: &Field,
    cell: Cell<'_>,
    record: &Record,
    (setter, rival, wins): (u32, Option<u32>, bool),
) {
    let node = graph.node(place.0, place.1);
    if node.erased() && field.personal || record.is_outdated(setter, &graph) {
        return;
    }
    let Some(rival) = rival else {
        if wins {
            rivals.stands(place, || cell.to_value());
        }
        return;
    };
    let held = match (field.kind.link(), node.value(place.2)) {
        (Some(target), Cell::Link(slot)) => Value::String(graph.node(target, slot).key().into()),
        (_, cell) => cell.to_value(),
    };
    let (loser, said, winner, stands) =
        if wins { (rival, held, setter, cell.to_value()) } else { (setter, cell.to_value(), rival, held) };
    if let (Some((stamp, source, id)), Some((_, standing, _))) = (record.origin(loser), record.origin(winner)) {
        rivals.note(place, (standing, stands), Word { source, stamp, id: id.into(), value: said });
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

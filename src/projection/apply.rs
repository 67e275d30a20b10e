//! One event onto one entity.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Projector;
use super::catalogue::DriftKind;
use super::groups::Member;
use super::record::{Order, Record, Stamp};
use super::seen::{Novelty, fingerprint};
use crate::event::{Action, Event, OrderBy};
use crate::graph::{EventRef, Merge, State};
use crate::model::value::{Instant, LONG_MAX, Value};
use crate::model::{Entity, Kind};

/// Missing versions that an entity names.
const MISSING_MAX: usize = 100;

impl Projector {
    pub(super) fn apply_event(
        &mut self,
        event: Event,
        partition: usize,
        offset: u64,
        appended_at: Instant,
        now: Instant,
    ) {
        let entity = event.entity;
        let slot = self.slot(entity, &event.key);
        let order = self.order(&event, partition, offset);
        let domain = self.model.entities[entity].domain;
        match self.novelty(&event, slot, partition) {
            Novelty::Duplicate => {
                self.counters[domain].duplicates += 1;
                return;
            }
            Novelty::Conflict => self.counters[domain].conflicts += 1,
            Novelty::New => {}
        }
        self.counters[domain].applied += 1;
        let setter = self.records[entity][slot as usize].enter(order.clone());
        let record = &mut self.records[entity][slot as usize];
        match &event.action {
            Action::Delete => {
                if record.take_deletion(setter) {
                    self.clear_outdated(entity, slot);
                }
            }
            Action::Change | Action::Erase | Action::Merge(_) => record.take_change(setter),
        }
        self.make_present(entity, slot);
        match &event.action {
            Action::Delete => {}
            Action::Erase => {
                self.patch(&event, slot, setter);
                let reached = self.groups.erase((entity, slot));
                self.erase(reached);
            }
            Action::Change => self.patch(&event, slot, setter),
            Action::Merge(into) => {
                self.patch(&event, slot, setter);
                self.merge(&event, slot, setter, into);
            }
        }
        let is_last = self.records[entity][slot as usize].take_last(setter);
        let last_event = is_last.then(|| Arc::new(self.event_ref(&event, partition, offset, appended_at, now)));
        self.settle(entity, slot, last_event);
        self.catalogue(&event, appended_at);
    }

    fn slot(&mut self, entity: usize, key: &Arc<str>) -> u32 {
        let slot = self.graph.slot(entity, key);
        let records = &mut self.records[entity];
        if records.len() <= slot as usize {
            let fields = self.model.entities[entity].fields.len();
            records.resize_with(slot as usize + 1, || Record::new(fields));
        }
        slot
    }

    fn order(&self, event: &Event, partition: usize, offset: u64) -> Order {
        let stamp = match self.rules[self.model.entities[event.entity].domain].order_by {
            OrderBy::Sequence => Stamp::Sequence(event.envelope.version.unwrap_or(0)),
            OrderBy::Position => {
                let number = self.partitions[partition].number;
                Stamp::Position { offset, topic: self.topic_ranks[partition], partition: number }
            }
            OrderBy::Time => Stamp::Time(event.envelope.time),
        };
        Order { stamp, source: event.envelope.source.clone(), id: event.envelope.id.clone() }
    }

    fn novelty(&mut self, event: &Event, slot: u32, partition: usize) -> Novelty {
        let envelope = &event.envelope;
        let print = fingerprint((&envelope.source, &envelope.id));
        let seen = &mut self.records[event.entity][slot as usize].seen;
        match self.rules[self.model.entities[event.entity].domain].order_by {
            OrderBy::Sequence => seen.versions.see(envelope.version.unwrap_or(0), print),
            OrderBy::Time => seen.prints.see(fingerprint((&envelope.source, &envelope.id, envelope.time))),
            OrderBy::Position => self.recent[partition].see(print),
        }
    }

    /// The entity has an event of its own now.
    fn make_present(&mut self, entity: usize, slot: u32) {
        if self.graph.node(entity, slot).state == State::Reference {
            let fields = self.model.entities[entity].fields.len();
            self.graph.update(entity, slot, |node| {
                node.state = State::Present;
                node.fields = vec![Value::Null; fields].into();
            });
        }
    }

    fn patch(&mut self, event: &Event, slot: u32, setter: u32) {
        let (model, entity) = (self.model.clone(), event.entity);
        let description = &model.entities[entity];
        let erased = self.graph.node(entity, slot).erased;
        let mut values: Vec<(usize, Value)> = Vec::with_capacity(event.patch.len());
        for (field, value) in &event.patch {
            if !self.records[entity][slot as usize].take_field(setter, *field) {
                continue;
            }
            match (&description.fields[*field].kind, value) {
                (Kind::Link { entity: target_entity, .. }, value) => {
                    let target = match value {
                        Value::String(key) => Some(self.slot(*target_entity, key)),
                        _ => None,
                    };
                    self.graph.set_link(entity, slot, *field, target);
                }
                _ if erased && description.fields[*field].personal => {}
                (_, value) => values.push((*field, value.clone())),
            }
        }
        let mut attributes = Vec::new();
        for (name, value) in &event.attributes {
            if self.records[entity][slot as usize].take_attribute(setter, name) && !(erased && description.has_personal)
            {
                attributes.push((name.clone(), value.clone()));
            }
        }
        if values.is_empty() && attributes.is_empty() {
            return;
        }
        self.graph.update(entity, slot, |node| {
            for (field, value) in values {
                node.fields[field] = value;
            }
            change_attributes(&mut node.attributes, attributes);
            derive(description, node);
        });
    }

    fn merge(&mut self, event: &Event, slot: u32, setter: u32, into: &Arc<str>) {
        let entity = event.entity;
        let into = self.slot(entity, into);
        let reached = self.groups.join((entity, slot), (entity, into));
        self.erase(reached);
        if self.records[entity][slot as usize].take_merge(setter) {
            let envelope = &event.envelope;
            let order = (envelope.time, envelope.source.clone(), envelope.id.clone());
            self.graph.set_merge(entity, slot, Some(Merge { into, order, void: false }));
        }
    }

    fn erase(&mut self, members: Vec<Member>) {
        let model = self.model.clone();
        for (entity, slot) in members {
            let description = &model.entities[entity];
            self.graph.update(entity, slot, |node| {
                node.erased = true;
                for (field, value) in description.fields.iter().zip(node.fields.iter_mut()) {
                    if field.personal {
                        *value = Value::Null;
                    }
                }
                if description.has_personal {
                    node.attributes = None;
                }
                derive(description, node);
            });
        }
    }

    /// Takes from the node what its deletion outdates.
    fn clear_outdated(&mut self, entity: usize, slot: u32) {
        let (fields, names, merge) = self.records[entity][slot as usize].outdated();
        let model = self.model.clone();
        let description = &model.entities[entity];
        for field in &fields {
            if description.fields[*field].kind.link().is_some() {
                self.graph.set_link(entity, slot, *field, None);
            }
        }
        if merge {
            self.graph.set_merge(entity, slot, None);
        }
        self.graph.update(entity, slot, |node| {
            for field in fields {
                node.fields[field] = Value::Null;
            }
            let gone = names.into_iter().map(|name| (name, serde_json::Value::Null)).collect();
            change_attributes(&mut node.attributes, gone);
            derive(description, node);
        });
    }

    /// What follows from the entity's events taken together.
    fn settle(&mut self, entity: usize, slot: u32, last_event: Option<Arc<EventRef>>) {
        let record = &self.records[entity][slot as usize];
        let rules = self.rules[self.model.entities[entity].domain];
        let missing = if rules.order_by == OrderBy::Sequence && rules.report_gaps {
            let floor = match record.deletion().map(|deletion| deletion.stamp) {
                Some(Stamp::Sequence(version)) => version,
                _ => 0,
            };
            record.seen.versions.missing(floor, MISSING_MAX)
        } else {
            Vec::new()
        };
        let state = if record.is_deleted() { State::Deleted } else { State::Present };
        let missing: Option<Arc<[u64]>> = (!missing.is_empty()).then(|| missing.into());
        let node = self.graph.node(entity, slot);
        if last_event.is_none() && node.state == state && node.missing == missing {
            return;
        }
        self.graph.update(entity, slot, |node| {
            node.state = state;
            node.missing = missing;
            if last_event.is_some() {
                node.last_event = last_event;
            }
        });
    }

    fn event_ref(&self, event: &Event, partition: usize, offset: u64, appended_at: Instant, now: Instant) -> EventRef {
        let envelope = event.envelope.clone();
        EventRef {
            id: envelope.id,
            kind: envelope.kind,
            source: envelope.source,
            sequence: envelope.sequence,
            time: envelope.time,
            topic: self.partitions[partition].topic.clone(),
            partition: self.partitions[partition].number,
            offset,
            appended_at,
            applied_at: now,
            dataschema: envelope.dataschema,
            traceparent: envelope.traceparent,
        }
    }

    fn catalogue(&mut self, event: &Event, at: Instant) {
        let catalogue = Arc::make_mut(&mut self.catalogue[event.entity]);
        catalogue.event(&event.envelope.kind, event.in_model, &event.envelope.source, at);
        for (name, _) in &event.attributes {
            catalogue.drift(DriftKind::Attribute, name, at);
        }
        for name in &event.unknown_extensions {
            catalogue.drift(DriftKind::Extension, &Arc::from(name.as_str()), at);
        }
    }
}

/// Sets and, with null, removes.
fn change_attributes(
    attributes: &mut Option<Arc<BTreeMap<Arc<str>, serde_json::Value>>>,
    changes: Vec<(Arc<str>, serde_json::Value)>,
) {
    if changes.is_empty() {
        return;
    }
    let map = Arc::make_mut(attributes.get_or_insert_default());
    for (name, value) in changes {
        if value.is_null() {
            map.remove(&name);
        } else {
            map.insert(name, value);
        }
    }
    if map.is_empty() {
        *attributes = None;
    }
}

/// Computes derived fields anew. A result beyond its field's range is null, and a personal one of who is erased.
fn derive(entity: &Entity, node: &mut crate::graph::Node) {
    if node.fields.is_empty() {
        return;
    }
    for (index, field) in entity.fields.iter().enumerate() {
        if field.derived.is_some() {
            let hidden = node.erased && field.personal;
            node.fields[index] = if hidden { Value::Null } else { derived(entity, node, index) };
        }
    }
}

fn derived(entity: &Entity, node: &crate::graph::Node, field: usize) -> Value {
    struct State<'a>(&'a Entity, &'a crate::graph::Node);
    impl crate::model::Operands for State<'_> {
        fn value(&self, field: usize) -> Value {
            match &self.0.fields[field].derived {
                Some(_) => derived(self.0, self.1, field),
                None => self.1.value(field).clone(),
            }
        }
    }
    let Some(rule) = &entity.fields[field].derived else { return Value::Null };
    match (rule.evaluate(&State(entity, node)), &entity.fields[field].kind) {
        (Some(Value::Int(number)), Kind::Int) if i32::try_from(number).is_err() => Value::Null,
        (Some(Value::Int(number)), Kind::Long) if number.unsigned_abs() > LONG_MAX as u64 => Value::Null,
        (Some(Value::Float(number)), _) if !number.is_finite() => Value::Null,
        (value, _) => value.unwrap_or(Value::Null),
    }
}

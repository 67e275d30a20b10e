//! An entity folded from its own events alone is what the graph has of it.

use std::collections::{BTreeMap, HashSet};

use staygraph::event::Buffer;
use staygraph::model::cell::Cell;
use staygraph::model::value::Value;
use staygraph::projection::{Folded, Place, Stamp, Told};

use super::world::Log;
use super::*;

/// An entity's values and attributes by name.
type Held = BTreeMap<String, String>;

fn held(folded: &Folded<'_>, entity: &staygraph::model::Entity) -> Held {
    let field = |(id, value): (staygraph::ids::FieldId, &Value)| {
        (!value.cell().is_null()).then(|| (entity.fields[id].name.clone(), format!("{value:?}")))
    };
    let attribute = |(name, json): (&str, &str)| (format!("attributes.{name}"), json.to_owned());
    folded.values().entries().filter_map(field).chain(folded.attributes().map(attribute)).collect()
}

fn held_by_graph(view: &View, id: NodeId) -> Held {
    let (node, entity) = (view.node(id), &view.model().entities[id.entity]);
    let mut held = Held::new();
    for (index, field) in entity.fields.entries() {
        let value = match (node.value(index), field.kind.link()) {
            (Cell::Null, _) => continue,
            (Cell::Link(slot), Some(target)) => Value::String(view.node(target.node(slot)).key().into()),
            (cell, _) => cell.to_value(),
        };
        held.insert(field.name.clone(), format!("{value:?}"));
    }
    held.extend(node.attributes().map(|(name, json)| (format!("attributes.{name}"), json.to_owned())));
    held
}

pub fn judge(specs: &[Spec], plan: &Plan, modes: Modes) -> Result<(), TestCaseError> {
    let world = World::new(modes);
    let logs: Vec<Log> = plan.logs(specs, modes);
    let mut projector = world.projector();
    for (partition, log) in logs.iter().enumerate() {
        projector.apply(&world.batch(PartitionId::of(partition), log, u64::MAX), Instant::EPOCH);
    }
    let view = projector.publish().graph;
    let mut folded: BTreeMap<NodeId, (Folded<'_>, Held)> = BTreeMap::new();
    let (mut buffer, mut seen) = (Buffer::default(), HashSet::new());
    for (partition, log) in logs.iter().enumerate() {
        let description = &world.partitions[PartitionId::of(partition)];
        for (offset, bytes) in log {
            let Ok(event) = world.decoder.decode(bytes, &[], &mut buffer) else { continue };
            let entity = &world.model.entities[event.entity];
            let rules = world.rules[entity.domain];
            let id = view.find_self(event.entity, event.key).expect("the graph has every event's entity");
            let place = Place {
                offset: *offset,
                topic: u64::from(description.topic.0),
                partition: description.number,
                commit: None,
            };
            let is_again = !seen.insert((partition, event.envelope.source.to_owned(), event.envelope.id.to_owned()));
            if rules.order_by == OrderBy::Position && is_again {
                continue;
            }
            let is_erased = view.node(id).erased();
            let (folding, before) =
                folded.entry(id).or_insert_with(|| (Folded::new(entity, rules, is_erased), Held::new()));
            let changes = folding.apply(&event, Stamp::of(rules.order_by, &event.envelope, place));
            let after = held(folding, entity);
            // What changed is what differs, and what it was before is told.
            let mut told = after.clone();
            for (field, value) in &changes.fields {
                told.remove(&entity.fields[*field].name);
                if !value.cell().is_null() {
                    told.insert(entity.fields[*field].name.clone(), format!("{value:?}"));
                }
            }
            for (name, json) in &changes.attributes {
                told.remove(&format!("attributes.{name}"));
                told.extend(json.as_ref().map(|json| (format!("attributes.{name}"), json.to_string())));
            }
            prop_assert_eq!(&told, &*before);
            prop_assert!(changes.told != Told::Duplicate || !changes.takes);
            *before = after;
        }
    }
    for (id, (folding, held)) in folded {
        let node = view.node(id);
        prop_assert_eq!(&held, &held_by_graph(&view, id), "{}", node.key());
        prop_assert_eq!(folding.is_deleted(), node.state() == State::Deleted);
        prop_assert_eq!(folding.missing(), node.missing().collect::<Vec<_>>());
        let merge = node.merge().map(|merge| view.node(id.entity.node(merge.into)).key().to_owned());
        prop_assert_eq!(folding.merge(), merge.as_deref());
    }
    Ok(())
}

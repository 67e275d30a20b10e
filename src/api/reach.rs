//! The domains that a list can touch by its filter and its order, known before it is executed.

use serde_json::{Map, Value as Json};

use crate::ids::{DomainId, EntityId};
use crate::model::Model;

/// Shows each entity that a list's coerced arguments lead to.
pub fn of_list(model: &Model, entity: EntityId, given: &Map<String, Json>, touch: &mut impl FnMut(EntityId)) {
    touch(entity);
    if let Some(filter) = given.get("filter") {
        of_filter(model, entity, filter, touch);
    }
    for term in given.get("orderBy").and_then(Json::as_array).into_iter().flatten() {
        let (mut holder, mut term) = (entity, term);
        while let Some((name, value)) = term.as_object().and_then(|members| members.iter().next())
            && let Some(target) = link(model, holder, name)
        {
            touch(target);
            (holder, term) = (target, value);
        }
    }
}

/// The domains that global ids, or a gateway's representations, name.
pub fn of_ids<'a>(model: &'a Model, given: &'a Map<String, Json>) -> impl Iterator<Item = DomainId> + 'a {
    let values = given.values().flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let named = values.filter_map(|value| match value {
        Json::String(id) => Some(id.split_once(':')?.0),
        other => other.get("__typename")?.as_str(),
    });
    named.filter_map(|name| Some(model.entities[model.entity_named(name)?].domain))
}

fn link(model: &Model, entity: EntityId, name: &str) -> Option<EntityId> {
    let entity = &model.entities[entity];
    entity.fields[entity.field_named(name)?].kind.link()
}

/// Shows each entity that a coerced filter leads to.
pub fn of_filter(model: &Model, entity: EntityId, filter: &Json, touch: &mut impl FnMut(EntityId)) {
    for (name, value) in filter.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "and" | "or") {
            value.as_array().into_iter().flatten().for_each(|part| of_filter(model, entity, part, touch));
        } else if name == "not" {
            of_filter(model, entity, value, touch);
        } else if let Some(target) = link(model, entity, name) {
            touch(target);
            of_filter(model, target, value, touch);
        } else if let Some(reverse) = model.entities[entity].reverses.iter().find(|reverse| reverse.name == *name) {
            touch(reverse.entity);
            let parts = value.as_object().into_iter().flatten();
            parts.for_each(|(_, part)| of_filter(model, reverse.entity, part, touch));
        }
    }
}

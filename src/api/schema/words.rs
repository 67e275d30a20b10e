//! What the schema says of a model's own names: the model's descriptions and, where it has none, a sentence made of what the
//! model knows.

use crate::ids::{EntityId, FieldId};
use crate::model::{Effect, Entity, Kind, Model};

/// What is said of personal fields besides.
const PERSONAL: &str = "Personal data: null, with the error `FORBIDDEN`, for who may not see it.";

pub fn entity(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let made = || format!("A `{}` of the domain `{}`: what its events told.", entity.name, model.domain_of(id).name);
    entity.description.clone().unwrap_or_else(made)
}

pub fn field(model: &Model, entity: EntityId, field: FieldId) -> String {
    let entity = &model.entities[entity];
    let described = &entity.fields[field];
    let text = described.description.clone().unwrap_or_else(|| made_of_field(model, entity, field));
    if described.personal { format!("{text}\n\n{PERSONAL}") } else { text }
}

fn made_of_field(model: &Model, entity: &Entity, field: FieldId) -> String {
    let described = &entity.fields[field];
    if let Kind::Link(target) = described.kind {
        let target = &model.entities[target].name;
        return format!(
            "The `{target}` whose key an event gave last as `{}`; null where none did.",
            described.wire_name
        );
    }
    if let Some(rule) = &described.derived {
        let names: Vec<String> = rule.fields.iter().map(|field| format!("`{}`", entity.fields[*field].name)).collect();
        return match names.is_empty() {
            true => "Worked out by the model; no event sets it.".into(),
            false => format!("Worked out of {}; null where one of them is.", names.join(", ")),
        };
    }
    let happened = events(entity, |effect| *effect == Effect::OccurredAt { field });
    if !happened.is_empty() {
        return format!("When {} happened last; null where it did not.", happened.join(" or "));
    }
    let set = events(entity, |effect| matches!(effect, Effect::Set { field: of, .. } if *of == field));
    match set.is_empty() {
        true => format!("`{}` as an event gave it last; null where none did.", described.name),
        false => format!("What the last of {} made it; null where none came.", set.join(", ")),
    }
}

/// The types of an entity's events that have an effect, sorted.
fn events(entity: &Entity, has: impl Fn(&Effect) -> bool) -> Vec<String> {
    let with = entity.effects.iter().filter(|(_, effects)| effects.iter().any(&has));
    let mut events: Vec<String> = with.map(|(name, _)| format!("`{}.{name}`", entity.event)).collect();
    events.sort_unstable();
    events
}

/// The connection on the other side of a link.
pub fn reverse(model: &Model, entity: EntityId, reverse: usize) -> String {
    let reverse = &model.entities[entity].reverses[reverse];
    let holder = &model.entities[reverse.entity];
    format!("Each `{}` that names it as `{}`, a page at a time.", holder.name, holder.fields[reverse.field].name)
}

pub fn enumeration(model: &Model, index: usize) -> String {
    let enumeration = &model.enums[index];
    enumeration.description.clone().unwrap_or_else(|| {
        let of =
            fields_of(model, index).map(|(entity, field)| format!("`{}.{}`", entity.name, entity.fields[field].name));
        let of: Vec<String> = of.collect();
        match of.is_empty() {
            true => format!("The values of `{}`.", enumeration.name),
            false => format!("The values of {}.", of.join(", ")),
        }
    })
}

pub fn value(model: &Model, index: usize, value: usize) -> String {
    let enumeration = &model.enums[index];
    let described = &enumeration.values[value];
    described.description.clone().unwrap_or_else(|| {
        let sets = |field: FieldId| move |effect: &Effect| *effect == Effect::Set { field, value: value as u16 };
        let mut set: Vec<String> =
            fields_of(model, index).flat_map(|(entity, field)| events(entity, sets(field))).collect();
        set.dedup();
        match set.is_empty() {
            true => format!("`{}`, as an event gives it.", described.name),
            false => format!("Set by {}.", set.join(", ")),
        }
    })
}

/// The fields that hold an enum's values.
fn fields_of(model: &Model, enumeration: usize) -> impl Iterator<Item = (&Entity, FieldId)> {
    model.entities.iter().flat_map(move |entity| {
        let fields = entity.fields.entries();
        let fields = fields.filter(move |(_, field)| field.kind == Kind::Enum(enumeration));
        fields.map(move |(field, _)| (entity, field))
    })
}

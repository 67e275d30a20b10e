//! Whether records made by one model serve another, and where their fields lie then.

use std::collections::BTreeSet;

use super::head::Differs;
use crate::graph::Renumbering;
use crate::ids::{By, EntityId, FieldId};
use crate::model::{Effect, Entity, Kind, Model};

fn differs(what: String, how: impl Into<String>) -> Differs {
    Differs::Rule(what, how.into())
}

/// What has to be done to records that an earlier model made; none where nothing has. Fields, indexes and descriptions may have
/// been added; what else changed gives another graph of the same events, and is the error.
pub fn compare(then: &Model, now: &Model) -> Result<Option<Renumbering>, Differs> {
    if then.fingerprint == now.fingerprint {
        return Ok(None);
    }
    let names = |model: &Model| model.entities.iter().map(|entity| entity.name.clone()).collect::<Vec<_>>().join(", ");
    if names(then) != names(now) {
        return Err(differs("the model's entities".into(), format!("{} then, {} now", names(then), names(now))));
    }
    let domains = |model: &Model| -> Vec<(String, Vec<EntityId>)> {
        model.domains.iter().map(|domain| (domain.name.clone(), domain.entities.clone())).collect()
    };
    if domains(then) != domains(now) {
        return Err(differs("the model's domains".into(), "they hold other entities now"));
    }
    for old in &then.enums {
        let values =
            |values: &[crate::model::EnumValue]| values.iter().map(|value| value.name.clone()).collect::<Vec<_>>();
        let new = now.enums.iter().find(|new| new.name == old.name);
        let new = new.map(|new| values(&new.values)).unwrap_or_default();
        if !new.starts_with(&values(&old.values)) {
            return Err(differs(format!("the enum `{}`", old.name), "its earlier values are not its first ones now"));
        }
    }
    let mut fields = By::default();
    for (entity, old) in then.entities.entries() {
        fields.push(compare_entity((then, old), (now, &now.entities[entity]))?);
    }
    Ok(Some(Renumbering::new(then, fields)))
}

/// By the entity's fields then: what they are now.
fn compare_entity(
    (then, old): (&Model, &Entity),
    (now, new): (&Model, &Entity),
) -> Result<By<FieldId, FieldId>, Differs> {
    let mut fields = By::default();
    for was in &old.fields {
        let name = format!("the field `{}.{}`", old.name, was.name);
        let place = new.field_named(&was.name).ok_or_else(|| differs(name.clone(), "it is not there now"))?;
        let is = &new.fields[place];
        let kinds = (then.type_name(&was.kind), now.type_name(&is.kind));
        if kinds.0 != kinds.1 {
            return Err(differs(name, format!("{} then, {} now", kinds.0, kinds.1)));
        }
        if was.personal != is.personal || was.wire_name != is.wire_name || was.derived.is_some() != is.derived.is_some()
        {
            return Err(differs(name, "its directives are others now"));
        }
        fields.push(place);
    }
    let of_entity = |what: &str| format!("what `{}` {what}", old.name);
    if old.has_personal != new.has_personal || old.event != new.event {
        return Err(differs(of_entity("is"), "its directives are others now"));
    }
    let checks = |entity: &Entity| entity.checks.iter().map(|check| check.text.clone()).collect::<Vec<_>>();
    if checks(old) != checks(new) {
        return Err(differs(of_entity("checks"), "events that were taken may be refused now, and the other way round"));
    }
    if effects(then, old) != effects(now, new) {
        return Err(differs(of_entity("does by its events' types"), "what happened would set other fields now"));
    }
    Ok(fields)
}

/// What events do by happening, by names.
fn effects(model: &Model, entity: &Entity) -> BTreeSet<(String, String)> {
    let said = |effect: &Effect| match effect {
        Effect::Set { field, value } => {
            let field = &entity.fields[*field];
            let name = match field.kind {
                Kind::Enum(index) => model.enums[index].values.get(usize::from(*value)).map(|value| value.name.clone()),
                _ => None,
            };
            format!("{} = {}", field.name, name.unwrap_or_default())
        }
        Effect::OccurredAt { field } => format!("{} = time", entity.fields[*field].name),
    };
    let all = entity
        .effects
        .iter()
        .flat_map(|(kind, effects)| effects.iter().map(move |effect| (kind.clone(), said(effect))));
    all.collect()
}

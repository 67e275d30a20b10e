//! What the model says of an event by its type, looked up once for every type that it names.

use super::{Code, Rejection};
use crate::ids::{DomainId, EntityId};
use crate::model::{Effect, Model};

/// What an event of a type is about.
#[derive(Clone, Copy, Debug)]
pub struct Route<'r> {
    pub entity: EntityId,
    pub happening: Happening,
    /// What it does by happening.
    pub effects: &'r [Effect],
    /// Whether the model names the type.
    pub in_model: bool,
}

/// The events that every entity has, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    Changed,
    Deleted,
    Erased,
    Merged,
}

/// Every type that the model names, by its length.
#[derive(Debug)]
pub struct Routes(Vec<Vec<Known>>);

#[derive(Debug)]
struct Known {
    kind: String,
    entity: EntityId,
    happening: Happening,
    effects: Vec<Effect>,
}

const EVERY_ENTITYS: [(&str, Happening); 3] =
    [("deleted", Happening::Deleted), ("erased", Happening::Erased), ("merged", Happening::Merged)];

impl Routes {
    pub fn new(model: &Model) -> Routes {
        let mut routes = Routes(Vec::new());
        for entity in &model.entities {
            let named = entity.known_events.iter().chain(entity.effects.keys()).map(String::as_str);
            for past_participle in named.chain(EVERY_ENTITYS.map(|(name, _)| name)) {
                routes.add(model, format!("{}.{past_participle}", entity.event));
            }
        }
        routes
    }

    fn add(&mut self, model: &Model, kind: String) {
        // A type goes where it would be found without the table.
        let Ok((entity, past_participle)) = entity_of(model, &kind) else { return };
        if self.known(&kind).is_some() || !model.entities[entity].knows_event(past_participle) {
            return;
        }
        let happening = EVERY_ENTITYS.iter().find(|(name, _)| *name == past_participle);
        let known = Known {
            entity,
            happening: happening.map_or(Happening::Changed, |(_, happening)| *happening),
            effects: model.entities[entity].effects.get(past_participle).cloned().unwrap_or_default(),
            kind,
        };
        let length = known.kind.len();
        if self.0.len() <= length {
            self.0.resize_with(length + 1, Vec::new);
        }
        self.0[length].push(known);
    }

    fn known(&self, kind: &str) -> Option<&Known> {
        self.0.get(kind.len())?.iter().find(|known| known.kind == kind)
    }

    /// The type's entity and effects; `domains` are the topic's, none where any will do.
    pub fn find(&self, model: &Model, kind: &str, domains: &[DomainId]) -> Result<Route<'_>, Rejection> {
        let route = match self.known(kind) {
            Some(Known { entity, happening, effects, .. }) => {
                Route { entity: *entity, happening: *happening, effects, in_model: true }
            }
            None => {
                let (entity, _) = entity_of(model, kind)?;
                Route { entity, happening: Happening::Changed, effects: &[], in_model: false }
            }
        };
        let entity = &model.entities[route.entity];
        if !domains.is_empty() && !domains.contains(&entity.domain) {
            let own = &model.domain_of(route.entity).name;
            let message = format!("events of {} belong to the domain `{own}`, not to this topic's", entity.name);
            return Err(unknown(message));
        }
        Ok(route)
    }
}

fn unknown(message: String) -> Rejection {
    Rejection::new(Code::UnknownEntity, "type", message)
}

/// The entity that a type names, and what follows the dot.
fn entity_of<'k>(model: &Model, kind: &'k str) -> Result<(EntityId, &'k str), Rejection> {
    let (prefix, rest) = kind.split_once('.').unwrap_or((kind, ""));
    if rest.is_empty() {
        return Err(unknown("the type has no dot with something after it: write `<entity>.<past participle>`".into()));
    }
    let entity = model.entity_of_event(prefix).ok_or_else(|| {
        let near = crate::model::nearest(prefix, model.entities.iter().map(|entity| entity.event.as_str()));
        unknown(format!("the model has no entity whose events start with `{}`{near}", super::shorten(prefix)))
    })?;
    Ok((entity, rest))
}

//! Exploring across domains: `search` by words, `paths` between two entities.

use super::sdl::{Member, Sdl, member};
use super::words;
use crate::ids::{EntityId, FieldId};
use crate::model::{Model, constant_name};

pub fn define(sdl: &mut Sdl, model: &Model) {
    let names: Vec<String> = model.entities.iter().map(|entity| constant_name(&entity.name)).collect();
    let kinds = model.entities.ids().zip(&names).map(|(id, name)| (name.as_str(), words::entity(model, id)));
    sdl.enumeration("EntityKind", "The entities of the model.", kinds);
    let hit = [
        member("node", "Entity!", "The entity."),
        member(
            "score",
            "Float!",
            "1 where it has just these words; less where words were completed, or it has others.",
        ),
        member("fields", "[String!]!", "Where they were found."),
    ];
    sdl.block("type SearchHit", "An entity that has all the words.", hit);
    let links = links(model);
    if links.is_empty() {
        return;
    }
    let names: Vec<String> = links.iter().map(|link| link_name(model, *link)).collect();
    let kinds = links.iter().zip(&names).map(|((entity, field), name)| {
        let holder = &model.entities[*entity];
        let field = &holder.fields[*field];
        let target = model.type_name(&field.kind);
        (name.as_str(), format!("From a `{}` to the `{target}` that its `{}` names.", holder.name, field.name))
    });
    sdl.enumeration("LinkKind", "The links of the model: the entity that holds it, and its name.", kinds);
    let path = [
        member("length", "Int!", "How many links it has."),
        member("nodes", "[Entity!]!", "From the one to the other, both among them."),
        member("links", "[PathLink!]!", "Its links, in the order that it walks them."),
    ];
    sdl.block("type Path", "A way from one entity to another.", path);
    let link = [
        member("kind", "LinkKind!", "Which link of the model it is."),
        member("from", "Entity!", "Who holds the link."),
        member("to", "Entity!", "Whom it names."),
        member("forward", "Boolean!", "Whether the path walks it from holder to named."),
    ];
    sdl.block("type PathLink", "One link of a path.", link);
}

pub fn roots(model: &Model) -> Vec<Member> {
    let search = member(
        "search",
        "[SearchHit!]!",
        "Entities that have all the words of a text in their searchable fields, the best first. Case and accents do not count. \
         Personal fields are searched only for who may see them.",
    );
    let search = search.arguments([
        member("text", "String!", "The words, all of which must be found; the last one also as a beginning."),
        member("kinds", "[EntityKind!]", "Only these entities; all of them unless given."),
        member("first", "Int", "How many, 0 to 1,000; 50 unless given. More is `BAD_USER_INPUT`."),
    ]);
    if links(model).is_empty() {
        return vec![search];
    }
    let paths = member(
        "paths",
        "[Path!]!",
        "All paths of the least length between two entities, along links in either direction; none where they are not connected \
         so. An end that is not there is `BAD_USER_INPUT`. A search that visits too many entities ends with `QUERY_TIMEOUT`.",
    );
    let paths = paths.arguments([
        member("from", "ID!", "The global id of the one end, `Person:abc`."),
        member("to", "ID!", "The global id of the other end."),
        member("maxHops", "Int", "How many links a path may have, 0 to 12; 6 unless given. More is `BAD_USER_INPUT`."),
        member("via", "[LinkKind!]", "Only along these links; along all of them unless given."),
        member("first", "Int", "How many paths, 0 to 1,000; 10 unless given. More is `BAD_USER_INPUT`."),
    ]);
    vec![search, paths]
}

/// The links of a model: (entity, field).
pub fn links(model: &Model) -> Vec<(EntityId, FieldId)> {
    let fields = |entity: EntityId| model.entities[entity].fields.ids().map(move |field| (entity, field));
    let all = model.entities.ids().flat_map(fields);
    all.filter(|(entity, field)| model.entities[*entity].fields[*field].kind.link().is_some()).collect()
}

/// The value of `LinkKind` that a link has.
pub fn link_name(model: &Model, (entity, field): (EntityId, FieldId)) -> String {
    let entity = &model.entities[entity];
    format!("{}_{}", constant_name(&entity.name), constant_name(&entity.fields[field].name))
}

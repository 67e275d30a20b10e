//! What each entity of a model gives: its object, its connection, its root fields.

use super::sdl::{Member, Sdl, member};
use super::{For, fixed, words};
use crate::ids::EntityId;
use crate::model::Model;

/// An entity's object, connection and edge.
pub fn define(sdl: &mut Sdl, model: &Model, id: EntityId, reader: For) {
    let entity = &model.entities[id];
    let name = &entity.name;
    let common = fixed::COMMON.map(|(name, of_type, says)| member(name, of_type, says));
    let fields = entity.fields.entries().map(|(field, described)| {
        member(&described.name, model.type_name(&described.kind), words::field(model, id, field))
    });
    let reverses = entity.reverses.iter().enumerate().map(|(reverse, described)| {
        list(&described.name, &model.entities[described.entity].name, words::reverse(model, id, reverse))
    });
    let key = if reader == For::Composition { " @key(fields: \"key\")" } else { "" };
    let head = format!("type {name} implements Entity & Node{key}");
    sdl.block(&head, &words::entity(model, id), common.into_iter().chain(fields).chain(reverses));
    let connection = [
        member("edges", format!("[{name}Edge!]!"), "The page's nodes, each with its cursor."),
        member("nodes", format!("[{name}!]!"), "The page's nodes."),
        member("pageInfo", "PageInfo!", "Where the page lies in the list."),
        member("totalCount", "Int!", "How many the whole list has, on all pages."),
        member("freshness", "AnswerFreshness!", fixed::LIST_FRESHNESS),
    ];
    sdl.block(&format!("type {name}Connection"), &format!("A page of a list of `{name}`."), connection);
    let edge =
        [member("cursor", "String!", fixed::CURSOR), member("node", format!("{name}!"), format!("The `{name}`."))];
    sdl.block(&format!("type {name}Edge"), &format!("A `{name}` in a list."), edge);
}

/// One by its key, and the list.
pub fn roots(model: &Model, id: EntityId) -> [Member; 2] {
    let entity = &model.entities[id];
    let name = &entity.name;
    let says = format!("One `{name}` by its domain's own id; null where nothing has it.");
    let key = member("key", "String!", "The domain's own id: the `subject` of its events.");
    let one = member(&entity.singular, name, says).arguments([key]);
    let says = format!("Each `{name}` that is there, filtered, sorted, a page at a time.");
    [one, list(&entity.plural, name, says)]
}

/// A field that pages through an entity's nodes.
fn list(name: &str, entity: &str, says: String) -> Member {
    let filter = "What they must fit. Without it, all that are there: nothing deleted, and no references.";
    let order = "What they are sorted by, one field a member, 16 members at most; ties, and all without it, by `key`.";
    let window = fixed::LIST.map(|(name, says)| {
        let of_type = if matches!(name, "first" | "last") { "Int" } else { "String" };
        member(name, of_type, says)
    });
    let arguments =
        [member("filter", format!("{entity}Filter"), filter), member("orderBy", format!("[{entity}Order!]"), order)];
    member(name, format!("{entity}Connection!"), says).arguments(arguments.into_iter().chain(window))
}

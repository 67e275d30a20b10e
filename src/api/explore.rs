//! Exploring across domains: `search` by words, `paths` between two entities.

use async_graphql::Value as GraphValue;
use async_graphql::dynamic::{Enum, EnumItem, Field, FieldValue, Object, ResolverContext, SchemaBuilder};
use serde_json::Value as Json;

use super::Context;
use super::entity::node_value;
use super::types::{argument, context, field, input, refusable};
use super::words;
use crate::graph::{Bounds, Halt, Hop, paths};
use crate::model::{Model, constant_name};
use crate::query::{Hit, PAGE_DEFAULT, PAGE_MAX, QUERY_TIMEOUT, QueryError, search};

/// Hops of a path where `maxHops` is not given, and the most that may be asked for.
const HOPS_DEFAULT: usize = 6;
const HOPS_MAX: usize = 12;
/// Paths where `first` is not given.
const PATHS_DEFAULT: usize = 10;

/// One step of a path.
struct Step {
    hop: Hop,
    from: (u32, u32),
    to: (u32, u32),
}

pub fn register(builder: SchemaBuilder, model: &Model) -> SchemaBuilder {
    let kinds = model
        .entities
        .iter()
        .enumerate()
        .map(|(index, entity)| EnumItem::new(constant_name(&entity.name)).description(words::entity(model, index)));
    let builder = builder.register(Enum::new("EntityKind").description("The entities of the model.").items(kinds));
    let builder = builder.register(search_hit());
    let links = links(model);
    if links.is_empty() {
        return builder;
    }
    let kinds = links.iter().map(|link| {
        let (holder, field) = (&model.entities[link.0], &model.entities[link.0].fields[link.1]);
        let says = format!(
            "From a `{}` to the `{}` that its `{}` names.",
            holder.name,
            model.type_name(&field.kind),
            field.name
        );
        EnumItem::new(link_name(model, *link)).description(says)
    });
    let link_kind =
        Enum::new("LinkKind").description("The links of the model: the entity that holds it, and its name.");
    builder.register(link_kind.items(kinds)).register(path()).register(path_link())
}

pub fn roots(query: Object, model: &Model) -> Object {
    let none = || Some(FieldValue::list(std::iter::empty::<FieldValue<'static>>()));
    let found = refusable("search", "[SearchHit!]!", none, |resolver| {
        let context = context(resolver)?;
        Ok(hits(context, resolver).map(|hits| Some(FieldValue::list(hits.into_iter().map(FieldValue::owned_any)))))
    });
    let found = found
        .argument(input("text", "String!", "The words, all of which must be found; the last one also as a beginning."))
        .argument(input("kinds", "[EntityKind!]", "Only these entities; all of them unless given."))
        .argument(input("first", "Int", "How many, 0 to 1,000; 50 unless given. More is `BAD_USER_INPUT`."))
        .description(
            "Entities that have all the words of a text in their searchable fields, the best first. Case and accents do not \
             count. Personal fields are searched only for who may see them.",
        );
    let query = query.field(found);
    if links(model).is_empty() {
        return query;
    }
    let between = refusable("paths", "[Path!]!", none, |resolver| {
        let context = context(resolver)?;
        let found = between(context, resolver);
        Ok(found.map(|paths| Some(FieldValue::list(paths.into_iter().map(FieldValue::owned_any)))))
    });
    let arguments = [
        input("from", "ID!", "The global id of the one end, `Person:abc`."),
        input("to", "ID!", "The global id of the other end."),
        input("maxHops", "Int", "How many links a path may have, 0 to 12; 6 unless given. More is `BAD_USER_INPUT`."),
        input("via", "[LinkKind!]", "Only along these links; along all of them unless given."),
        input("first", "Int", "How many paths, 0 to 1,000; 10 unless given. More is `BAD_USER_INPUT`."),
    ];
    query.field(arguments.into_iter().fold(between, Field::argument).description(
        "All paths of the least length between two entities, along links in either direction; none where they are not connected \
         so, or one is not there. A search that visits too many entities ends with `QUERY_TIMEOUT`.",
    ))
}

/// The links of a model: (entity, field).
fn links(model: &Model) -> Vec<(usize, usize)> {
    let fields = |entity: usize| (0..model.entities[entity].fields.len()).map(move |field| (entity, field));
    let all = (0..model.entities.len()).flat_map(fields);
    all.filter(|(entity, field)| model.entities[*entity].fields[*field].kind.link().is_some()).collect()
}

fn link_name(model: &Model, (entity, field): (usize, usize)) -> String {
    let entity = &model.entities[entity];
    format!("{}_{}", constant_name(&entity.name), constant_name(&entity.fields[field].name))
}

fn parent<'a, T: Send + Sync + 'static>(resolver: &ResolverContext<'a>) -> async_graphql::Result<&'a T> {
    resolver.parent_value.try_downcast_ref::<T>()
}

fn entity_value<'a>(context: &Context, (entity, slot): (u32, u32)) -> FieldValue<'a> {
    let name = context.reading.view.model().entities[entity as usize].name.clone();
    context.reading.touch(entity as usize);
    node_value(entity as usize, slot).with_type(name)
}

fn search_hit() -> Object {
    let node = field("node", "Entity!", |resolver| {
        let hit = parent::<Hit>(resolver)?;
        Ok(Some(entity_value(context(resolver)?, (hit.entity as u32, hit.slot))))
    });
    let score = field("score", "Float!", |resolver| Ok(Some(FieldValue::value(parent::<Hit>(resolver)?.score))));
    let fields = field("fields", "[String!]!", |resolver| {
        let hit = parent::<Hit>(resolver)?;
        let fields = &context(resolver)?.reading.view.model().entities[hit.entity].fields;
        let names = hit.fields.iter().map(|field| GraphValue::from(fields[*field].name.as_str()));
        Ok(Some(FieldValue::value(GraphValue::List(names.collect()))))
    });
    let object = Object::new("SearchHit")
        .description("An entity that has all the words.")
        .field(node.description("The entity."));
    object
        .field(score.description("1 where it has just these words; less where words were completed, or it has others."))
        .field(fields.description("Where they were found."))
}

fn path() -> Object {
    let length = field("length", "Int!", |resolver| {
        Ok(Some(FieldValue::value(parent::<crate::graph::Path>(resolver)?.hops.len() as u64)))
    });
    let nodes = field("nodes", "[Entity!]!", |resolver| {
        let (path, context) = (parent::<crate::graph::Path>(resolver)?, context(resolver)?);
        Ok(Some(FieldValue::list(path.nodes.iter().map(|node| entity_value(context, *node)).collect::<Vec<_>>())))
    });
    let links = field("links", "[PathLink!]!", |resolver| {
        let path = parent::<crate::graph::Path>(resolver)?;
        let steps = path.hops.iter().zip(&path.nodes).zip(&path.nodes[1..]).map(|((hop, from), to)| {
            // As the link lies: from who names to whom is named.
            let (from, to) = if hop.forward { (*from, *to) } else { (*to, *from) };
            FieldValue::owned_any(Step { hop: *hop, from, to })
        });
        Ok(Some(FieldValue::list(steps.collect::<Vec<_>>())))
    });
    Object::new("Path")
        .description("A way from one entity to another.")
        .field(length.description("How many links it has."))
        .field(nodes.description("From the one to the other, both among them."))
        .field(links.description("Its links, in the order that it walks them."))
}

fn path_link() -> Object {
    let kind = field("kind", "LinkKind!", |resolver| {
        let (step, context) = (parent::<Step>(resolver)?, context(resolver)?);
        let name = link_name(context.reading.view.model(), (step.hop.entity, step.hop.field));
        Ok(Some(FieldValue::value(GraphValue::Enum(async_graphql::Name::new(name)))))
    });
    let from =
        field("from", "Entity!", |resolver| Ok(Some(entity_value(context(resolver)?, parent::<Step>(resolver)?.from))));
    let to =
        field("to", "Entity!", |resolver| Ok(Some(entity_value(context(resolver)?, parent::<Step>(resolver)?.to))));
    let forward =
        field("forward", "Boolean!", |resolver| Ok(Some(FieldValue::value(parent::<Step>(resolver)?.hop.forward))));
    Object::new("PathLink")
        .description("One link of a path.")
        .field(kind.description("Which link of the model it is."))
        .field(from.description("Who holds the link."))
        .field(to.description("Whom it names."))
        .field(forward.description("Whether the path walks it from holder to named."))
}

fn number(resolver: &ResolverContext<'_>, name: &str, default: usize, most: usize) -> Result<usize, QueryError> {
    match argument(resolver, name) {
        Json::Null => Ok(default),
        given => match given.as_u64() {
            Some(number) if number <= most as u64 => Ok(number as usize),
            _ => Err(QueryError::bad_input(format!("`{name}` is an integer from 0 to {most}"))),
        },
    }
}

fn hits(context: &Context, resolver: &ResolverContext<'_>) -> Result<Vec<Hit>, QueryError> {
    let model = context.reading.view.model();
    let first = number(resolver, "first", PAGE_DEFAULT, PAGE_MAX)?;
    let kinds: Vec<usize> = match argument(resolver, "kinds") {
        Json::Array(names) => (0..model.entities.len())
            .filter(|entity| names.iter().any(|name| *name == constant_name(&model.entities[*entity].name)))
            .collect(),
        _ => (0..model.entities.len()).collect(),
    };
    search(&context.reading, argument(resolver, "text").as_str().unwrap_or_default(), &kinds, first)
}

/// An id's entity and slot; the error says what an id is.
fn end(context: &Context, resolver: &ResolverContext<'_>, name: &str) -> Result<Option<(u32, u32)>, QueryError> {
    let id = argument(resolver, name);
    let parts = id.as_str().and_then(|id| id.split_once(':'));
    let entity = parts.and_then(|(kind, _)| context.reading.view.model().entity_named(kind));
    let Some((entity, (_, key))) = entity.zip(parts) else {
        return Err(QueryError::bad_input(format!("`{name}` is no id of the model's: write it as `Person:abc`")));
    };
    context.reading.touch(entity);
    Ok(context.reading.find(entity, key).map(|slot| (entity as u32, slot)))
}

fn between(context: &Context, resolver: &ResolverContext<'_>) -> Result<Vec<crate::graph::Path>, QueryError> {
    let reading = &context.reading;
    let model = reading.view.model();
    let hops_max = number(resolver, "maxHops", HOPS_DEFAULT, HOPS_MAX)?;
    let first = number(resolver, "first", PATHS_DEFAULT, PAGE_MAX)?;
    let via: Vec<(usize, usize)> = match argument(resolver, "via") {
        Json::Array(names) => {
            links(model).into_iter().filter(|link| names.iter().any(|name| *name == link_name(model, *link))).collect()
        }
        _ => links(model),
    };
    let (from, to) = (end(context, resolver, "from")?, end(context, resolver, "to")?);
    // Whatever is found depends on who may stand in between.
    via.iter().for_each(|(entity, field)| {
        reading.touch(*entity);
        model.entities[*entity].fields[*field].kind.link().into_iter().for_each(|target| reading.touch(target));
    });
    let (Some(from), Some(to)) = (from, to) else { return Ok(Vec::new()) };
    if first == 0 || via.is_empty() && from != to {
        return Ok(Vec::new());
    }
    let bounds = Bounds { hops_max, visited_max: context.visited_max, first, via: &via };
    paths(&reading.view, from, to, &bounds, |_| reading.step()).map_err(|halt| match halt {
        Halt::Stopped(error) => error,
        Halt::Visited => {
            let message = format!(
                "the search visited {} entities, which is the most that it may: ask for fewer hops, or name links by `via`",
                context.visited_max
            );
            QueryError { code: QUERY_TIMEOUT, message }
        }
    })
}

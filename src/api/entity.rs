//! The types and root fields that each entity of a model gives.

use std::sync::Arc;

use async_graphql::Value as GraphValue;
use async_graphql::dynamic::{Field, FieldValue, Object, ResolverContext, SchemaBuilder};
use serde_json::Value as Json;

use super::Context;
use super::types::{argument, context, field, input, refusable};
use super::{fixed, words};
use crate::graph::Node;
use crate::model::cell::Cell;
use crate::model::value::Money;
use crate::model::{Kind, Model};
use crate::query::{Arguments, Order, Page, QueryError, Source, page, total};

/// A node as a parent of fields.
pub struct NodeRef {
    pub entity: usize,
    pub slot: u32,
}

struct Connection {
    entity: usize,
    source: Source,
    page: Page,
    /// None where the connection stands in for one that was refused.
    arguments: Option<Arguments>,
    order: Arc<Order>,
}

struct Edge {
    entity: usize,
    slot: u32,
    order: Arc<Order>,
}

type Resolved<'a> = async_graphql::Result<Option<FieldValue<'a>>>;

/// Registers an entity's object, connection and edge.
pub fn register(builder: SchemaBuilder, model: &Arc<Model>, index: usize) -> SchemaBuilder {
    let entity = &model.entities[index];
    let name = &entity.name;
    let mut object = Object::new(name).description(words::entity(model, index)).implement("Entity").implement("Node");
    for (common, (_, _, says)) in common_fields(model, index).into_iter().zip(fixed::COMMON) {
        object = object.field(common.description(says));
    }
    for field in 0..entity.fields.len() {
        object = object.field(attribute(model, index, field).description(words::field(model, index, field)));
    }
    for (reverse, description) in entity.reverses.iter().enumerate() {
        let field = reverse_field(model, description.entity, reverse, &description.name);
        object = object.field(field.description(words::reverse(model, index, reverse)));
    }
    builder.register(object).register(connection_object(name)).register(edge_object(name))
}

fn connection_object(name: &str) -> Object {
    let edges = field("edges", &format!("[{name}Edge!]!"), |resolver| {
        let connection = parent::<Connection>(resolver)?;
        let edge = |slot: &u32| Edge { entity: connection.entity, slot: *slot, order: connection.order.clone() };
        Ok(Some(FieldValue::list(connection.page.slots.iter().map(|slot| FieldValue::owned_any(edge(slot))))))
    });
    let nodes = field("nodes", &format!("[{name}!]!"), |resolver| {
        let connection = parent::<Connection>(resolver)?;
        let node = |slot: &u32| FieldValue::owned_any(NodeRef { entity: connection.entity, slot: *slot });
        Ok(Some(FieldValue::list(connection.page.slots.iter().map(node))))
    });
    let counted = refusable(
        "totalCount",
        "Int!",
        || Some(FieldValue::value(0)),
        |resolver| {
            let connection = parent::<Connection>(resolver)?;
            let context = context(resolver)?;
            let counted = match (connection.page.total, &connection.arguments) {
                (Some(total), _) => Ok(total),
                (None, Some(arguments)) => total(&context.reading, connection.entity, connection.source, arguments),
                (None, None) => Ok(0),
            };
            Ok(counted.map(|total| Some(FieldValue::value(total as u64))))
        },
    );
    Object::new(format!("{name}Connection"))
        .description(format!("A page of a list of `{name}`."))
        .field(edges.description("The page's nodes, each with its cursor."))
        .field(nodes.description("The page's nodes."))
        .field(field("pageInfo", "PageInfo!", page_info).description("Where the page lies in the list."))
        .field(counted.description("How many the whole list has, on all pages."))
}

fn edge_object(name: &str) -> Object {
    let cursor = field("cursor", "String!", |resolver| {
        let edge = parent::<Edge>(resolver)?;
        let context = context(resolver)?;
        let cursor = Page::cursor(&context.reading, edge.entity, edge.slot, &edge.order, &context.seal);
        Ok(Some(FieldValue::value(cursor)))
    });
    let node = field("node", &format!("{name}!"), |resolver| {
        let edge = parent::<Edge>(resolver)?;
        Ok(Some(FieldValue::owned_any(NodeRef { entity: edge.entity, slot: edge.slot })))
    });
    let says = "Its place in the list, for `after` and `before` of this very list and order. It holds though others come and go.";
    Object::new(format!("{name}Edge"))
        .description(format!("A `{name}` in a list."))
        .field(cursor.description(says))
        .field(node.description(format!("The `{name}`.")))
}

/// The root fields of an entity: one by its key, and the list.
pub fn roots(query: Object, model: &Model, index: usize) -> Object {
    let entity = &model.entities[index];
    let one = field(&entity.singular, &entity.name, move |resolver| {
        let context = context(resolver)?;
        let key = argument(resolver, "key");
        Ok(context.reading.find(index, key.as_str().unwrap_or_default()).map(|slot| node_value(index, slot)))
    });
    let one = one
        .argument(input("key", "String!", "The domain's own id: the `subject` of its events."))
        .description(format!("One `{}` by its domain's own id; null where nothing has it.", entity.name));
    let list = connection_field(&entity.plural, &entity.name, index, |_| Ok(Source::All));
    let says = format!("Each `{}` that is there, filtered, sorted, a page at a time.", entity.name);
    query.field(one).field(list.description(says))
}

pub fn node_value<'a>(entity: usize, slot: u32) -> FieldValue<'a> {
    FieldValue::owned_any(NodeRef { entity, slot })
}

/// A node for a field whose type is an interface.
pub fn node_of_interface<'a>(context: &Context, id: &str) -> Option<FieldValue<'a>> {
    let (name, key) = id.split_once(':')?;
    let model = context.reading.view.model();
    let entity = model.entity_named(name)?;
    let slot = context.reading.find(entity, key)?;
    Some(node_value(entity, slot).with_type(name.to_owned()))
}

fn parent<'a, T: Send + Sync + 'static>(resolver: &ResolverContext<'a>) -> async_graphql::Result<&'a T> {
    resolver.parent_value.try_downcast_ref::<T>()
}

/// The node that a field is asked of.
fn this<'a>(resolver: &ResolverContext<'a>) -> async_graphql::Result<(&'a Context, usize, u32, Node<'a>)> {
    let context = context(resolver)?;
    let NodeRef { entity, slot } = parent::<NodeRef>(resolver)?;
    Ok((context, *entity, *slot, context.reading.node(*entity, *slot)))
}

fn common_fields(model: &Arc<Model>, index: usize) -> Vec<Field> {
    let entity = &model.entities[index];
    let name = entity.name.clone();
    let has_personal = entity.has_personal;
    let checks = model.clone();
    vec![
        field("id", "ID!", move |resolver| Ok(Some(FieldValue::value(format!("{name}:{}", this(resolver)?.3.key()))))),
        field("key", "String!", |resolver| Ok(Some(FieldValue::value(this(resolver)?.3.key())))),
        field("completeness", "Completeness!", |resolver| {
            Ok(Some(FieldValue::value(GraphValue::Enum(async_graphql::Name::new(
                this(resolver)?.3.completeness().name(),
            )))))
        }),
        field("missingVersions", "[Long!]!", |resolver| {
            let node = this(resolver)?.3;
            Ok(Some(FieldValue::value(GraphValue::List(node.missing().map(GraphValue::from).collect()))))
        }),
        field("breaches", "[String!]!", move |resolver| {
            let (_, entity, _, node) = this(resolver)?;
            let entity = &checks.entities[entity];
            let texts = node.breaches(entity).map(|check| GraphValue::from(entity.checks[check].text.as_str()));
            Ok(Some(FieldValue::value(GraphValue::List(texts.collect()))))
        }),
        field("rejected", "[DeadLetter!]!", |resolver| {
            let (context, entity, slot, _) = this(resolver)?;
            let letters = context.rejected(entity, slot).map(super::operations::dead_letter);
            Ok(Some(FieldValue::value(GraphValue::from_json(letters.collect())?)))
        }),
        field("lastEvent", "EventRef", |resolver| {
            Ok(this(resolver)?.3.last_event().map(|event| FieldValue::value(event_ref(&event))))
        }),
        refusable(
            "attributes",
            "JSON",
            || None,
            move |resolver| {
                let (context, _, _, node) = this(resolver)?;
                if has_personal && !context.reading.personal {
                    return Ok(Err(QueryError::forbidden("attributes")));
                }
                let members = node.attributes().map(|(name, text)| (async_graphql::Name::new(name), json(text)));
                let members: async_graphql::indexmap::IndexMap<_, _> = members.collect();
                Ok(Ok(Some(members)
                    .filter(|members| !members.is_empty())
                    .map(|members| FieldValue::value(GraphValue::Object(members)))))
            },
        ),
    ]
}

fn event_ref(event: &crate::graph::EventRef<'_>) -> GraphValue {
    let text = |text: Option<&str>| text.map_or(GraphValue::Null, GraphValue::from);
    let members = [
        ("id", GraphValue::from(event.id)),
        ("type", GraphValue::from(event.kind.as_ref())),
        ("source", GraphValue::from(event.source.as_ref())),
        ("sequence", text(event.sequence.as_deref())),
        ("time", GraphValue::from(event.time.to_string())),
        ("topic", GraphValue::from(event.topic.as_ref())),
        ("partition", GraphValue::from(event.partition)),
        ("offset", GraphValue::from(event.offset)),
        ("appendedAt", GraphValue::from(event.appended_at.to_string())),
        ("appliedAt", GraphValue::from(event.applied_at.to_string())),
        ("dataschema", text(event.dataschema.as_deref())),
        ("traceparent", text(event.traceparent)),
    ];
    GraphValue::Object(members.into_iter().map(|(name, value)| (async_graphql::Name::new(name), value)).collect())
}

fn attribute(model: &Arc<Model>, index: usize, field_index: usize) -> Field {
    let description = &model.entities[index].fields[field_index];
    let of_type = model.type_name(&description.kind);
    if let Kind::Link { entity: target, .. } = description.kind {
        return field(&description.name, &of_type, move |resolver| {
            let (context, _, _, node) = this(resolver)?;
            Ok(context.reading.view.follow(&node, field_index, target).map(|slot| {
                context.reading.touch(target);
                node_value(target, slot)
            }))
        });
    }
    let (name, personal, names) = (description.name.clone(), description.personal, model.clone());
    refusable(
        &description.name,
        &of_type,
        || None,
        move |resolver| {
            let (context, entity, _, node) = this(resolver)?;
            if personal && !context.reading.personal {
                return Ok(Err(QueryError::forbidden(&name)));
            }
            let value = node.value(field_index);
            if value.is_null() {
                return Ok(Ok(None));
            }
            let kind = &names.entities[entity].fields[field_index].kind;
            Ok(Ok(Some(FieldValue::value(to_graphql(value, kind, &names)?))))
        },
    )
}

pub fn to_graphql(cell: Cell<'_>, kind: &Kind, model: &Model) -> serde_json::Result<GraphValue> {
    Ok(match cell {
        Cell::Null | Cell::Link(_) | Cell::Currency(_) => GraphValue::Null,
        Cell::Boolean(value) => GraphValue::from(value),
        Cell::Int(value) => GraphValue::from(value),
        Cell::Float(value) => GraphValue::from(value),
        Cell::String(text) => GraphValue::from(text),
        Cell::Date(value) => GraphValue::from(value.to_string()),
        Cell::DateTime(value) => GraphValue::from(value.to_string()),
        Cell::Money(value) => money(&value),
        Cell::GeoPoint(point) => GraphValue::Object(
            [("lat", point.lat), ("lon", point.lon)]
                .into_iter()
                .map(|(name, value)| (async_graphql::Name::new(name), GraphValue::from(value)))
                .collect(),
        ),
        Cell::Enum(position) => match kind {
            Kind::Enum(index) => {
                GraphValue::Enum(async_graphql::Name::new(&model.enums[*index].values[usize::from(position)].name))
            }
            _ => GraphValue::Null,
        },
        Cell::List(items) => match kind {
            Kind::List(item) => {
                GraphValue::List(items.iter().map(|cell| to_graphql(cell, item, model)).collect::<Result<_, _>>()?)
            }
            _ => GraphValue::Null,
        },
        Cell::Json(text) => json(text),
    })
}

/// JSON text as GraphQL's value: as it is kept, so that a number comes out with all of its digits. [`super::written`] writes it.
fn json(text: &str) -> GraphValue {
    GraphValue::Binary(text.as_bytes().to_vec().into())
}

fn money(value: &Money) -> GraphValue {
    let members = [("minor", GraphValue::from(value.minor)), ("currency", GraphValue::from(value.currency()))];
    GraphValue::Object(members.into_iter().map(|(name, value)| (async_graphql::Name::new(name), value)).collect())
}

fn reverse_field(model: &Arc<Model>, source: usize, reverse: usize, name: &str) -> Field {
    connection_field(name, &model.entities[source].name, source, move |resolver| {
        let NodeRef { entity, slot } = parent::<NodeRef>(resolver)?;
        Ok(Source::Reverse { entity: *entity, slot: *slot, reverse })
    })
}

/// A field that pages through an entity's nodes.
fn connection_field<F>(name: &str, entity_name: &str, entity: usize, source: F) -> Field
where
    F: for<'a> Fn(&ResolverContext<'a>) -> async_graphql::Result<Source> + Send + Sync + 'static,
{
    let of_type = format!("{entity_name}Connection!");
    let field = refusable(name, &of_type, nothing, move |resolver| connection(resolver, entity, source(resolver)?));
    let says = "What they must fit. Without it, all that are there: nothing deleted, and no references.";
    let filter = input("filter", &format!("{entity_name}Filter"), says);
    let says = "What they are sorted by, one field a member, 16 members at most; ties, and all without it, by `key`.";
    let order = input("orderBy", &format!("[{entity_name}Order!]"), says);
    let window = fixed::LIST
        .map(|(name, says)| input(name, if matches!(name, "first" | "last") { "Int" } else { "String" }, says));
    [filter, order].into_iter().chain(window).fold(field, Field::argument)
}

/// What stands in for a connection that was refused.
fn nothing() -> Option<FieldValue<'static>> {
    let (page, order) = (Page::default(), Arc::default());
    Some(FieldValue::owned_any(Connection { entity: 0, source: Source::All, page, arguments: None, order }))
}

fn connection<'a>(
    resolver: &ResolverContext<'_>,
    entity: usize,
    source: Source,
) -> async_graphql::Result<Result<Option<FieldValue<'a>>, QueryError>> {
    let context = context(resolver)?;
    context.reading.touch(entity);
    let input = |name: &str| -> Json { argument(resolver, name) };
    let read = Arguments::read(&context.reading, entity, &context.seal, input);
    let listed = read.and_then(|arguments| Ok((page(&context.reading, entity, source, &arguments)?, arguments)));
    Ok(listed.map(|(page, arguments)| {
        let order = Arc::new(arguments.order.clone());
        Some(FieldValue::owned_any(Connection { entity, source, page, arguments: Some(arguments), order }))
    }))
}

fn page_info<'a>(resolver: &ResolverContext<'a>) -> Resolved<'a> {
    let Connection { entity, page, order, .. } = parent::<Connection>(resolver)?;
    let context = context(resolver)?;
    let cursor = |slot: Option<&u32>| match slot {
        Some(slot) => GraphValue::from(Page::cursor(&context.reading, *entity, *slot, order, &context.seal)),
        None => GraphValue::Null,
    };
    let members = [
        ("hasNextPage", GraphValue::from(page.has_next)),
        ("hasPreviousPage", GraphValue::from(page.has_previous)),
        ("startCursor", cursor(page.slots.first())),
        ("endCursor", cursor(page.slots.last())),
    ];
    let members = members.into_iter().map(|(name, value)| (async_graphql::Name::new(name), value));
    Ok(Some(FieldValue::value(GraphValue::Object(members.collect()))))
}

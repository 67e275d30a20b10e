//! The schema, made from the model.

use std::sync::Arc;

use apollo_compiler::validation::Valid;
use async_graphql::dynamic::{self, Enum, EnumItem, FieldValue, InputValue, Interface, InterfaceField, Object, Scalar};

use super::document::Shape;
use super::types::{Described, argument, context, field, path, plain_object, refusable, ty};
use super::{entity, explore, inputs, operations};
use crate::limits::ITEMS_MAX;
use crate::model::Model;

/// The served schema, for both libraries: one validates, the other executes.
#[derive(Clone)]
pub struct Schema {
    pub executable: dynamic::Schema,
    pub validated: Arc<Valid<apollo_compiler::Schema>>,
    pub shape: Shape,
    /// What `schema.graphql` holds.
    pub sdl: String,
}

/// Makes the schema. An error is a fault of ours: the model was checked before.
pub fn make(model: &Arc<Model>) -> Result<Schema, String> {
    let mut builder = dynamic::Schema::build("Query", None, None);
    for (name, description) in SCALARS {
        builder = builder.register(Scalar::new(*name).description(*description));
    }
    builder = builder.register(Interface::new("Node").field(InterfaceField::new("id", ty("ID!"))));
    let interface = Interface::new("Entity").implement("Node").description("What every entity has.");
    let common = entity::COMMON.iter().map(|(name, of_type)| InterfaceField::new(*name, ty(of_type)));
    builder = builder.register(common.fold(interface, Interface::field));
    builder =
        builder.register(Enum::new("Completeness").items(["COMPLETE", "INCOMPLETE", "REFERENCE", "DELETED", "ERASED"]));
    builder = builder.register(Enum::new("OrderDirection").items(["ASC", "DESC"]));
    for (name, description, fields) in OBJECTS {
        builder = builder.register(plain_object(name, description, fields));
    }
    for enumeration in &model.enums {
        let items = enumeration.values.iter().map(|value| EnumItem::new(&value.name).described(&value.description));
        builder = builder.register(Enum::new(&enumeration.name).described(&enumeration.description).items(items));
    }
    let mut query = Object::new("Query").field(node()).field(nodes());
    for index in 0..model.entities.len() {
        builder = entity::register(builder, model, index);
        query = entity::roots(query, model, index);
    }
    builder = explore::register(operations::register(inputs::register(builder, model)), model);
    builder = builder.register(operations::roots(explore::roots(query, model)));
    let executable = builder.finish().map_err(|error| error.to_string())?;
    let sdl = executable.sdl();
    let validated = apollo_compiler::Schema::parse_and_validate(sdl.as_str(), "schema.graphql")
        .map_err(|error| error.to_string())?;
    Ok(Schema { executable, shape: Shape::of(&validated), validated: Arc::new(validated), sdl })
}

fn node() -> dynamic::Field {
    let node = field("node", "Node", |resolver| {
        let context = context(resolver)?;
        Ok(argument(resolver, "id").as_str().and_then(|id| entity::node_of_interface(context, id)))
    });
    node.argument(InputValue::new("id", ty("ID!")))
        .description("One of any entity by its global id, such as `Reservation:abc`.")
}

fn nodes() -> dynamic::Field {
    let none = || Some(FieldValue::value(async_graphql::Value::List(Vec::new())));
    let nodes = refusable("nodes", "[Node]!", none, |resolver| {
        let context = context(resolver)?;
        let ids = argument(resolver, "ids");
        let ids = ids.as_array().map(Vec::as_slice).unwrap_or_default();
        if ids.len() > ITEMS_MAX {
            let message = format!("`ids` has {} members, and at most {ITEMS_MAX} are taken", ids.len());
            return Ok(Err(crate::query::QueryError::bad_input(message)));
        }
        let found: Vec<_> =
            ids.iter().map(|id| id.as_str().and_then(|id| entity::node_of_interface(context, id))).collect();
        context.mending.leave_out(path(resolver), found.iter().map(Option::is_some).collect());
        Ok(Ok(Some(FieldValue::list(found.into_iter().flatten()))))
    });
    nodes
        .argument(InputValue::new("ids", ty("[ID!]!")))
        .description("Several by their global ids, in that order; null for what is not there.")
}

type Fields = &'static [(&'static str, &'static str)];

const SCALARS: &[(&str, &str)] = &[
    ("Date", "A calendar date, `2024-06-01`."),
    ("DateTime", "An instant in UTC, `2024-06-01T12:30:00Z`."),
    ("Long", "An integer within ±(2^53 − 1), a JSON number."),
    ("JSON", "Any JSON value."),
];

const OBJECTS: &[(&str, &str, Fields)] = &[
    ("Money", "An amount in minor units of a currency.", &[("minor", "Long!"), ("currency", "String!")]),
    ("GeoPoint", "A place on the globe, in degrees.", &[("lat", "Float!"), ("lon", "Float!")]),
    (
        "PageInfo",
        "Where a page lies in its list.",
        &[
            ("hasNextPage", "Boolean!"),
            ("hasPreviousPage", "Boolean!"),
            ("startCursor", "String"),
            ("endCursor", "String"),
        ],
    ),
    (
        "EventRef",
        "The event that an entity's current state comes from.",
        &[
            ("id", "String!"),
            ("type", "String!"),
            ("source", "String!"),
            ("sequence", "String"),
            ("time", "DateTime!"),
            ("topic", "String!"),
            ("partition", "Int!"),
            ("offset", "Long!"),
            ("appendedAt", "DateTime!"),
            ("appliedAt", "DateTime!"),
            ("dataschema", "String"),
            ("traceparent", "String"),
        ],
    ),
];

//! The schema, made from the model.

use std::sync::Arc;

use apollo_compiler::validation::Valid;
use async_graphql::SDLExportOptions;
use async_graphql::dynamic::{self, Enum, EnumItem, FieldValue, Interface, InterfaceField, Object, Scalar};

use super::document::Shape;
use super::types::{argument, context, field, input, path, plain_object, refusable, ty};
use super::{entity, explore, fixed, inputs, operations, words};
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
    for (name, says, standard) in fixed::SCALARS {
        builder = builder.register(Scalar::new(*name).description(*says).specified_by_url(*standard));
    }
    let id = InterfaceField::new("id", ty("ID!")).description(fixed::NODE_ID);
    builder = builder.register(Interface::new("Node").description(fixed::NODE).field(id));
    let interface = Interface::new("Entity").implement("Node").description(fixed::ENTITY);
    let common = |(name, of_type, says): (&str, &str, &str)| InterfaceField::new(name, ty(of_type)).description(says);
    builder = builder.register(fixed::COMMON.map(common).into_iter().fold(interface, Interface::field));
    for (name, says, values) in fixed::enumerations() {
        let items = values.iter().map(|(name, says)| EnumItem::new(*name).description(*says));
        builder = builder.register(Enum::new(*name).description(*says).items(items));
    }
    for object in fixed::objects() {
        builder = builder.register(plain_object(object));
    }
    for (index, enumeration) in model.enums.iter().enumerate() {
        let items = enumeration.values.iter().enumerate();
        let items = items.map(|(at, value)| EnumItem::new(&value.name).description(words::value(model, index, at)));
        let made = Enum::new(&enumeration.name).description(words::enumeration(model, index));
        builder = builder.register(made.items(items));
    }
    let mut query = Object::new("Query").description(fixed::QUERY).field(node()).field(nodes());
    for index in 0..model.entities.len() {
        builder = entity::register(builder, model, index);
        query = entity::roots(query, model, index);
    }
    builder = explore::register(operations::register(inputs::register(builder, model)), model);
    builder = builder.register(operations::roots(explore::roots(query, model)));
    let executable = builder.finish().map_err(|error| error.to_string())?;
    let sdl = executable.sdl_with_options(SDLExportOptions::new().include_specified_by());
    let validated = apollo_compiler::Schema::parse_and_validate(sdl.as_str(), "schema.graphql")
        .map_err(|error| error.to_string())?;
    Ok(Schema { executable, shape: Shape::of(&validated), validated: Arc::new(validated), sdl })
}

fn node() -> dynamic::Field {
    let node = field("node", "Node", |resolver| {
        let context = context(resolver)?;
        Ok(argument(resolver, "id").as_str().and_then(|id| entity::node_of_interface(context, id)))
    });
    node.argument(input("id", "ID!", fixed::NODE_ID))
        .description("One of any entity by its global id; null where nothing has it.")
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
        .argument(input("ids", "[ID!]!", "The global ids, 1,000 at most: more are `BAD_USER_INPUT`."))
        .description("Several by their global ids, in that order; null for what is not there.")
}

//! The schema, made from the model: the only description of what can be asked.

mod entity;
mod explore;
mod fixed;
mod inputs;
mod sdl;
mod words;

use std::sync::Arc;

use apollo_compiler::validation::Valid;

use super::weigh::Shape;
use crate::model::Model;
use fixed::operations::{DEAD_LETTER_ARGUMENTS, DEAD_LETTERS, PROJECTION};
use sdl::{Member, Sdl, member};

pub use explore::{link_name, links};

/// What requests are read by.
#[derive(Clone)]
pub struct Schema {
    pub types: Arc<Valid<apollo_compiler::Schema>>,
    pub shape: Shape,
    /// What `schema.graphql` holds.
    pub sdl: Arc<str>,
    /// The same as a federated subgraph tells it.
    pub subgraph: Arc<str>,
}

/// Whom a text is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Clients,
    /// A federation's composition: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>.
    Composition,
}

const FEDERATION: &str =
    "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@shareable\"])";

/// Makes the schema. An error is a fault of ours: the model was checked before.
pub fn make(model: &Arc<Model>) -> Result<Schema, String> {
    let sdl = text(model, For::Clients);
    let mut types =
        apollo_compiler::Schema::parse(sdl.as_str(), "schema.graphql").map_err(|error| error.to_string())?;
    complete(&mut types);
    let types = types.validate().map_err(|error| error.to_string())?;
    let subgraph = text(model, For::Composition);
    Ok(Schema { shape: Shape::of(&types), types: Arc::new(types), sdl: sdl.into(), subgraph: subgraph.into() })
}

/// Adds what the library's introspection lacks of the September 2025 edition.
fn complete(types: &mut apollo_compiler::Schema) {
    use apollo_compiler::ast::{FieldDefinition, Type};
    use apollo_compiler::schema::{Component, ExtendedType};
    let Some(ExtendedType::Object(of_types)) = types.types.get_mut("__Type") else { return };
    let field = FieldDefinition {
        description: Some("Whether exactly one field of an input object is to be given; null of other kinds.".into()),
        name: apollo_compiler::name!("isOneOf"),
        arguments: Vec::new(),
        ty: Type::Named(apollo_compiler::name!("Boolean")),
        directives: Default::default(),
    };
    of_types.make_mut().fields.insert(field.name.clone(), Component::new(field));
}

fn text(model: &Model, reader: For) -> String {
    let mut sdl = Sdl::default();
    if reader == For::Composition {
        sdl.bare(FEDERATION);
    }
    sdl.block("type Query", fixed::QUERY, roots(model, reader));
    let id = member("id", "ID!", fixed::NODE_ID);
    sdl.block("interface Node", fixed::NODE, [id]);
    let common = fixed::COMMON.map(|(name, of_type, says)| member(name, of_type, says));
    sdl.block("interface Entity implements Node", fixed::ENTITY, common);
    model.entities.ids().for_each(|id| entity::define(&mut sdl, model, id, reader));
    for (index, enumeration) in model.enums.iter().enumerate() {
        let values = enumeration.values.iter().enumerate();
        let values = values.map(|(at, value)| (value.name.as_str(), words::value(model, index, at)));
        sdl.enumeration(&enumeration.name, &words::enumeration(model, index), values);
    }
    explore::define(&mut sdl, model);
    inputs::define(&mut sdl, model);
    for (name, says, fields) in fixed::objects().chain([&PROJECTION]) {
        let letters = (*name == PROJECTION.0).then(dead_letters);
        let fields = fields.iter().map(|(name, of_type, says)| member(name, *of_type, *says)).chain(letters);
        // Other subgraphs page alike, and may have such values too.
        let is_shared = reader == For::Composition && fixed::SHARED.contains(name);
        sdl.block(&format!("type {name}{}", if is_shared { " @shareable" } else { "" }), says, fields);
    }
    for (name, says, values) in fixed::enumerations() {
        sdl.enumeration(name, says, values.iter().map(|(name, says)| (*name, (*says).to_owned())));
    }
    for (name, says, standard) in fixed::SCALARS {
        sdl.scalar(name, says, standard);
    }
    if reader == For::Clients {
        let entities: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_str()).collect();
        sdl.scalar("_Any", fixed::ANY, fixed::ANY_STANDARD);
        sdl.bare(&format!("\"{}\"\nunion _Entity = {}", fixed::ANY_ENTITY, entities.join(" | ")));
        sdl.block("type _Service", fixed::SERVICE, [member("sdl", "String!", fixed::SERVICE_SDL)]);
        sdl.bare(fixed::ONE_OF);
    }
    sdl.text()
}

fn roots(model: &Model, reader: For) -> Vec<Member> {
    let ids = member("ids", "[ID!]!", "The global ids, 1,000 at most: more are `BAD_USER_INPUT`.");
    let mut roots =
        vec![
            member("node", "Node", "One of any entity by its global id; null where nothing has it.")
                .arguments([member("id", "ID!", fixed::NODE_ID)]),
            member("nodes", "[Node]!", "Several by their global ids, in that order; null for what is not there.")
                .arguments([ids]),
        ];
    roots.extend(model.entities.ids().flat_map(|id| entity::roots(model, id)));
    roots.extend(explore::roots(model));
    let says = "Only these; all of them unless given. An unknown one is `BAD_USER_INPUT`.";
    roots.push(member("freshness", "[DomainFreshness!]!", "How fresh each domain is, and why.").arguments([member(
        "domains",
        "[String!]",
        says,
    )]));
    roots.push(member("projection", "Projection!", "The projection's progress, for operations."));
    roots.push(member("catalog", "Catalog!", "What can be discovered: entities, event types, producers, drift."));
    if reader == For::Clients {
        let representations = member("representations", "[_Any!]!", fixed::REPRESENTATIONS);
        roots.push(member("_entities", "[_Entity]!", fixed::ENTITIES).arguments([representations]));
        roots.push(member("_service", "_Service!", fixed::SERVICE));
    }
    roots
}

fn dead_letters() -> Member {
    let arguments = DEAD_LETTER_ARGUMENTS.map(|(name, of_type, says)| member(name, of_type, says));
    member("deadLetters", "DeadLetterConnection!", DEAD_LETTERS).arguments(arguments)
}

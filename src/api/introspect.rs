//! The schema as it tells of itself, by the specification's section 4 (September 2025, so with `isOneOf`).
//!
//! apollo-compiler 1 has an introspection of its own, which does not know `isOneOf`; how deep one may ask is its check.

use apollo_compiler::Schema;
use apollo_compiler::ast::{DirectiveDefinition, EnumValueDefinition, FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::schema::ExtendedType;
use serde_json::Value as Json;

/// A part of a schema.
pub enum Part<'s> {
    Schema(&'s Schema),
    Named(&'s Schema, &'s ExtendedType),
    /// A list or what is not null; the latter without its mark where that is told already.
    Wrapped(&'s Schema, &'s Type, bool),
    Field(&'s Schema, &'s FieldDefinition),
    Input(&'s Schema, &'s InputValueDefinition),
    Value(&'s EnumValueDefinition),
    Directive(&'s Schema, &'s DirectiveDefinition),
}

/// What a part's member is.
pub enum Told<'s> {
    Leaf(Json),
    Part(Option<Part<'s>>),
    Parts(Option<Vec<Part<'s>>>),
}

impl<'s> Part<'s> {
    /// A type by its name.
    pub fn named(schema: &'s Schema, name: &str) -> Option<Part<'s>> {
        Some(Part::Named(schema, schema.types.get(name)?))
    }

    /// Nothing of a schema that is made from a model is deprecated, so that `includeDeprecated` changes nothing.
    pub fn member(&self, name: &str) -> Told<'s> {
        match self {
            Part::Schema(schema) => of_schema(schema, name),
            Part::Named(schema, definition) => of_named(schema, definition, name),
            Part::Wrapped(schema, of_type, is_told) => of_wrapped(schema, of_type, *is_told, name),
            Part::Field(schema, field) => match name {
                "name" => leaf(field.name.as_str()),
                "description" => leaf(field.description.as_deref()),
                "args" => inputs(schema, field.arguments.iter().map(|input| &**input)),
                "type" => of_type(schema, &field.ty),
                _ => not_deprecated(name),
            },
            Part::Input(schema, input) => match name {
                "name" => leaf(input.name.as_str()),
                "description" => leaf(input.description.as_deref()),
                "type" => of_type(schema, &input.ty),
                "defaultValue" => {
                    leaf(input.default_value.as_ref().map(|value| value.serialize().no_indent().to_string()).as_deref())
                }
                _ => not_deprecated(name),
            },
            Part::Value(value) => match name {
                "name" => leaf(value.value.as_str()),
                "description" => leaf(value.description.as_deref()),
                _ => not_deprecated(name),
            },
            Part::Directive(schema, directive) => match name {
                "name" => leaf(directive.name.as_str()),
                "description" => leaf(directive.description.as_deref()),
                "isRepeatable" => Told::Leaf(directive.repeatable.into()),
                "locations" => Told::Leaf(
                    directive.locations.iter().map(|location| location.name().to_owned()).collect::<Vec<_>>().into(),
                ),
                "args" => inputs(schema, directive.arguments.iter().map(|input| &**input)),
                _ => Told::Leaf(Json::Null),
            },
        }
    }
}

fn leaf<'s, 't>(text: impl Into<Option<&'t str>>) -> Told<'s> {
    Told::Leaf(text.into().map_or(Json::Null, Json::from))
}

fn not_deprecated<'s>(name: &str) -> Told<'s> {
    Told::Leaf(if name == "isDeprecated" { false.into() } else { Json::Null })
}

fn inputs<'s>(schema: &'s Schema, inputs: impl Iterator<Item = &'s InputValueDefinition>) -> Told<'s> {
    Told::Parts(Some(inputs.map(|input| Part::Input(schema, input)).collect()))
}

fn of_type<'s>(schema: &'s Schema, of_type: &'s Type) -> Told<'s> {
    Told::Part(match of_type {
        Type::Named(name) => Part::named(schema, name),
        wrapped => Some(Part::Wrapped(schema, wrapped, false)),
    })
}

fn of_schema<'s>(schema: &'s Schema, name: &str) -> Told<'s> {
    let definition = &schema.schema_definition;
    let root = |name: Option<&apollo_compiler::Name>| Told::Part(name.and_then(|name| Part::named(schema, name)));
    match name {
        "description" => leaf(definition.description.as_deref()),
        "types" => Told::Parts(Some(schema.types.values().map(|definition| Part::Named(schema, definition)).collect())),
        "directives" => {
            let directives = schema.directive_definitions.values();
            Told::Parts(Some(directives.map(|directive| Part::Directive(schema, directive)).collect()))
        }
        "queryType" => root(definition.query.as_ref().map(|name| &name.name)),
        "mutationType" => root(definition.mutation.as_ref().map(|name| &name.name)),
        _ => root(definition.subscription.as_ref().map(|name| &name.name)),
    }
}

fn of_named<'s>(schema: &'s Schema, definition: &'s ExtendedType, name: &str) -> Told<'s> {
    let named = |names: Vec<&'s apollo_compiler::Name>| {
        Told::Parts(Some(names.into_iter().filter_map(|name| Part::named(schema, name)).collect()))
    };
    match (name, definition) {
        ("kind", _) => leaf(match definition {
            ExtendedType::Scalar(_) => "SCALAR",
            ExtendedType::Object(_) => "OBJECT",
            ExtendedType::Interface(_) => "INTERFACE",
            ExtendedType::Union(_) => "UNION",
            ExtendedType::Enum(_) => "ENUM",
            ExtendedType::InputObject(_) => "INPUT_OBJECT",
        }),
        ("name", _) => leaf(definition.name().as_str()),
        ("description", _) => leaf(definition.description().map(|text| text.as_str())),
        ("fields", ExtendedType::Object(object)) => fields(schema, object.fields.values().map(|field| &***field)),
        ("fields", ExtendedType::Interface(interface)) => {
            fields(schema, interface.fields.values().map(|field| &***field))
        }
        ("interfaces", ExtendedType::Object(object)) => {
            named(object.implements_interfaces.iter().map(|name| &name.name).collect())
        }
        ("interfaces", ExtendedType::Interface(interface)) => {
            named(interface.implements_interfaces.iter().map(|name| &name.name).collect())
        }
        ("possibleTypes", ExtendedType::Interface(interface)) => {
            let objects = schema.types.values().filter_map(|definition| definition.as_object());
            let implementers = objects.filter(|object| {
                object.implements_interfaces.iter().any(|implemented| implemented.name == interface.name)
            });
            named(implementers.map(|object| &object.name).collect())
        }
        ("possibleTypes", ExtendedType::Union(union)) => named(union.members.iter().map(|name| &name.name).collect()),
        ("enumValues", ExtendedType::Enum(values)) => {
            Told::Parts(Some(values.values.values().map(|value| Part::Value(value)).collect()))
        }
        ("inputFields", ExtendedType::InputObject(input)) => {
            inputs(schema, input.fields.values().map(|field| &***field))
        }
        ("isOneOf", ExtendedType::InputObject(input)) => Told::Leaf(super::coerce::is_one_of(input).into()),
        ("specifiedByURL", ExtendedType::Scalar(scalar)) => {
            let url = scalar.directives.get("specifiedBy").and_then(|by| by.specified_argument_by_name("url"));
            leaf(url.and_then(|url| url.as_str()))
        }
        ("fields" | "interfaces" | "possibleTypes" | "enumValues" | "inputFields", _) => Told::Parts(None),
        ("ofType", _) => Told::Part(None),
        _ => Told::Leaf(Json::Null),
    }
}

fn fields<'s>(schema: &'s Schema, fields: impl Iterator<Item = &'s FieldDefinition>) -> Told<'s> {
    Told::Parts(Some(fields.map(|field| Part::Field(schema, field)).collect()))
}

fn of_wrapped<'s>(schema: &'s Schema, wrapped: &'s Type, is_told: bool, name: &str) -> Told<'s> {
    let is_non_null = wrapped.is_non_null() && !is_told;
    match (name, wrapped) {
        ("kind", _) => leaf(if is_non_null { "NON_NULL" } else { "LIST" }),
        ("ofType", Type::NonNullNamed(name)) => Told::Part(Part::named(schema, name)),
        ("ofType", Type::NonNullList(_)) if is_non_null => Told::Part(Some(Part::Wrapped(schema, wrapped, true))),
        ("ofType", Type::List(item) | Type::NonNullList(item)) => of_type(schema, item),
        _ => Told::Leaf(Json::Null),
    }
}

//! The filter and order inputs of a model.

use async_graphql::dynamic::{InputObject, InputValue, SchemaBuilder};

use super::types::{input_object, ty};
use crate::model::{Entity, Kind, Model};

/// Scalars that have an order, and so all comparisons.
const ORDERED: [&str; 5] = ["Int", "Long", "Float", "Date", "DateTime"];
const SCALARS: [&str; 9] = ["String", "ID", "Int", "Long", "Float", "Boolean", "Date", "DateTime", "JSON"];

pub fn register(mut builder: SchemaBuilder, model: &Model) -> SchemaBuilder {
    for name in ORDERED {
        builder = builder.register(comparisons(name).field(is_null()));
    }
    for name in ["String", "ID"] {
        let texts = comparisons(name);
        let texts =
            texts.field(InputValue::new("startsWith", ty("String"))).field(InputValue::new("contains", ty("String")));
        builder = builder.register(texts.field(is_null()));
    }
    for name in SCALARS {
        let list = InputObject::new(format!("{name}ListFilter"));
        let list = if name == "JSON" { list } else { list.field(InputValue::new("has", ty(name))) };
        builder = builder.register(list.field(is_null()));
    }
    builder = builder.register(equality("Boolean").field(is_null()));
    builder = builder.register(InputObject::new("JSONFilter").field(is_null()));
    builder = builder.register(equality("Completeness").field(InputValue::new("in", ty("[Completeness!]"))));
    builder = builder.register(input_object(
        "MoneyFilter",
        &[("currency", "StringFilter".into()), ("minor", "LongFilter".into()), ("isNull", "Boolean".into())],
    ));
    builder =
        builder.register(input_object("GeoPointFilter", &[("near", "Near".into()), ("isNull", "Boolean".into())]));
    let near = [("lat", "Float!".into()), ("lon", "Float!".into()), ("km", "Float!".into())];
    builder = builder.register(input_object("Near", &near).description("Within so many kilometres of a point."));
    for enumeration in &model.enums {
        let name = &enumeration.name;
        let filter = equality(name).field(InputValue::new("in", ty(&format!("[{name}!]")))).field(is_null());
        builder = builder.register(filter);
    }
    for entity in &model.entities {
        builder = builder.register(filter(model, entity)).register(list_filter(entity)).register(order(entity));
    }
    builder
}

fn is_null() -> InputValue {
    InputValue::new("isNull", ty("Boolean"))
}

fn equality(name: &str) -> InputObject {
    input_object(&format!("{name}Filter"), &[("eq", name.into()), ("ne", name.into())])
}

fn comparisons(name: &str) -> InputObject {
    let filter = equality(name).field(InputValue::new("in", ty(&format!("[{name}!]"))));
    ["gt", "gte", "lt", "lte"]
        .iter()
        .fold(filter, |filter, operator| filter.field(InputValue::new(*operator, ty(name))))
}

fn filter(model: &Model, entity: &Entity) -> InputObject {
    let name = format!("{}Filter", entity.name);
    let list = format!("[{name}!]");
    let mut filter = input_object(
        &name,
        &[
            ("and", list.clone()),
            ("or", list),
            ("not", name.clone()),
            ("isNull", "Boolean".into()),
            ("key", "StringFilter".into()),
            ("completeness", "CompletenessFilter".into()),
        ],
    );
    for field in &entity.fields {
        filter = filter.field(InputValue::new(&field.name, ty(&filter_of(model, &field.kind))));
    }
    for reverse in &entity.reverses {
        filter = filter
            .field(InputValue::new(&reverse.name, ty(&format!("{}ListFilter", model.entities[reverse.entity].name))));
    }
    filter.description("All that is named must hold. `completeness` at the top widens what is looked at.")
}

fn filter_of(model: &Model, kind: &Kind) -> String {
    match kind {
        Kind::List(item) => format!("{}ListFilter", model.type_name(item)),
        kind => format!("{}Filter", model.type_name(kind)),
    }
}

fn list_filter(entity: &Entity) -> InputObject {
    let filter = format!("{}Filter", entity.name);
    let quantifiers = [("some", filter.clone()), ("none", filter.clone()), ("every", filter)];
    input_object(&format!("{}ListFilter", entity.name), &quantifiers)
}

fn order(entity: &Entity) -> InputObject {
    let order = InputObject::new(format!("{}Order", entity.name)).oneof();
    let order = order.field(InputValue::new("key", ty("OrderDirection")));
    let fields = entity.fields.iter().filter(|field| field.kind.orders());
    fields.fold(order, |order, field| order.field(InputValue::new(&field.name, ty("OrderDirection"))))
}

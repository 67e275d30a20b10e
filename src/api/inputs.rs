//! The filter and order inputs of a model.

use async_graphql::dynamic::{InputObject, InputValue, SchemaBuilder};

use super::types::{input, input_object};
use crate::model::{Entity, Kind, Model};

/// Scalars that have an order, and so all comparisons.
const ORDERED: [&str; 5] = ["Int", "Long", "Float", "Date", "DateTime"];
const SCALARS: [&str; 9] = ["String", "ID", "Int", "Long", "Float", "Boolean", "Date", "DateTime", "JSON"];
/// What every filter of a value says.
const COMPARES: &str = "All members must hold. A comparison with null is false, and null as a member is `BAD_USER_INPUT`: \
                        `isNull` asks for it.";

pub fn register(mut builder: SchemaBuilder, model: &Model) -> SchemaBuilder {
    for name in ORDERED {
        builder = builder.register(value_filter(name, comparisons(name, "")));
    }
    for name in ["String", "ID"] {
        let mut members = comparisons(name, ", by code points");
        members.push(input("startsWith", "String", "Begins with this; case counts."));
        members.push(input("contains", "String", "Has this in it; case counts."));
        builder = builder.register(value_filter(name, members));
    }
    for name in SCALARS {
        let has = (name != "JSON").then(|| input("has", name, "Has this item."));
        let says = format!("A condition on a list of `{name}`. {COMPARES}");
        let members = has.into_iter().chain([is_null()]);
        builder = builder.register(input_object(&format!("{name}ListFilter"), says, members));
    }
    builder = builder.register(value_filter("Boolean", equality("Boolean")));
    builder = builder.register(value_filter("JSON", Vec::new()));
    let completeness = equality("Completeness").into_iter().chain([one_of("Completeness")]);
    let says = "A condition on an entity's completeness. All members must hold.";
    builder = builder.register(input_object("CompletenessFilter", says, completeness));
    let money = [
        input("currency", "StringFilter", "A condition on the currency, three capitals of ISO 4217."),
        input("minor", "LongFilter", "A condition on the amount in minor units, whatever the currency."),
    ];
    builder = builder.register(value_filter("Money", money.into()));
    let near = vec![input("near", "Near", "Lies within so many kilometres of a point.")];
    builder = builder.register(value_filter("GeoPoint", near));
    let near = [
        input("lat", "Float!", "The point's latitude in degrees, −90 to 90."),
        input("lon", "Float!", "The point's longitude in degrees, −180 to 180."),
        input("km", "Float!", "The distance in kilometres, from 0, along the surface of a sphere."),
    ];
    let says = "Within so many kilometres of a point. Values beyond their range are `BAD_USER_INPUT`.";
    builder = builder.register(input_object("Near", says, near));
    for enumeration in &model.enums {
        let name = &enumeration.name;
        let members = equality(name).into_iter().chain([one_of(name)]);
        builder = builder.register(value_filter(name, members.collect()));
    }
    for entity in &model.entities {
        builder = builder.register(filter(model, entity)).register(list_filter(entity)).register(order(entity));
    }
    builder
}

fn value_filter(name: &str, members: Vec<InputValue>) -> InputObject {
    let members = members.into_iter().chain([is_null()]);
    input_object(&format!("{name}Filter"), format!("A condition on a `{name}`. {COMPARES}"), members)
}

fn is_null() -> InputValue {
    input("isNull", "Boolean", "True: there is no value. False: there is one.")
}

fn equality(name: &str) -> Vec<InputValue> {
    vec![input("eq", name, "Equal to this value."), input("ne", name, "Another value than this.")]
}

fn one_of(name: &str) -> InputValue {
    input("in", &format!("[{name}!]"), "One of these values, 1,000 at most; of none where the list is empty.")
}

/// `how` says in which order.
fn comparisons(name: &str, how: &str) -> Vec<InputValue> {
    let mut members = equality(name);
    members.push(one_of(name));
    let operators = [
        ("gt", "Greater than this value"),
        ("gte", "Greater than this value, or equal"),
        ("lt", "Less than this value"),
        ("lte", "Less than this value, or equal"),
    ];
    members.extend(operators.map(|(operator, says)| input(operator, name, format!("{says}{how}."))));
    members
}

fn filter(model: &Model, entity: &Entity) -> InputObject {
    let name = format!("{}Filter", entity.name);
    let list = format!("[{name}!]");
    let common = [
        input("and", &list, "All of these must hold."),
        input("or", &list, "One of these must hold; an empty list is false."),
        input("not", &name, "This must not hold."),
        input("isNull", "Boolean", "Of a link: true where it names nobody, false where it names somebody."),
        input("key", "StringFilter", "A condition on the domain's own id."),
        input(
            "completeness",
            "CompletenessFilter",
            "At the filter's top level: lists what is so, instead of what is there. Further down: compares.",
        ),
    ];
    let fields = entity.fields.iter().map(|field| {
        let says = match field.kind.link() {
            Some(_) => format!("A condition on the one that `{}` names; false where it names nobody.", field.name),
            None => format!("A condition on `{}`.", field.name),
        };
        let personal = if field.personal { " Personal: `FORBIDDEN` for who may not see it." } else { "" };
        input(&field.name, &filter_of(model, &field.kind), format!("{says}{personal}"))
    });
    let reverses = entity.reverses.iter().map(|reverse| {
        let holder = &model.entities[reverse.entity].name;
        input(&reverse.name, &format!("{holder}ListFilter"), format!("A condition on its `{}`.", reverse.name))
    });
    let says = format!(
        "A condition on a `{}`. All members must hold; 1,000 parts at most. `completeness` at the top widens what is looked at.",
        entity.name
    );
    input_object(&name, says, common.into_iter().chain(fields).chain(reverses))
}

fn filter_of(model: &Model, kind: &Kind) -> String {
    match kind {
        Kind::List(item) => format!("{}ListFilter", model.type_name(item)),
        kind => format!("{}Filter", model.type_name(kind)),
    }
}

fn list_filter(entity: &Entity) -> InputObject {
    let filter = format!("{}Filter", entity.name);
    let quantifiers = [
        input("some", &filter, "At least one of them fits."),
        input("none", &filter, "None of them fits; true where there are none."),
        input("every", &filter, "Each of them fits; true where there are none."),
    ];
    let says = format!("A condition on those of `{}` that name an entity. All members must hold.", entity.name);
    input_object(&format!("{}ListFilter", entity.name), says, quantifiers)
}

fn order(entity: &Entity) -> InputObject {
    let key = input("key", "OrderDirection", "By the domain's own id, by code points.");
    let fields = entity.fields.iter().filter(|field| field.kind.orders()).map(|field| {
        let how = match field.kind {
            Kind::Money => ", by currency, then amount",
            Kind::String | Kind::Id => ", by code points",
            Kind::Enum(_) => ", as the values are declared",
            _ => "",
        };
        let personal = if field.personal { " Personal: `FORBIDDEN` for who may not see it." } else { "" };
        input(&field.name, "OrderDirection", format!("By `{}`{how}; nulls last.{personal}", field.name))
    });
    let says = format!("One field that a list of `{}` is sorted by: exactly one member.", entity.name);
    input_object(&format!("{}Order", entity.name), says, [key].into_iter().chain(fields)).oneof()
}

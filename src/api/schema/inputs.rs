//! The filter and order inputs of a model.

use super::sdl::{Member, Sdl, member};
use crate::model::{Entity, Kind, Model};

/// Scalars that have an order, and so all comparisons.
const ORDERED: [&str; 5] = ["Int", "Long", "Float", "Date", "DateTime"];
const SCALARS: [&str; 9] = ["String", "ID", "Int", "Long", "Float", "Boolean", "Date", "DateTime", "JSON"];
/// What every filter of a value says.
const COMPARES: &str = "All members must hold. A comparison with null is false, and null as a member is `BAD_USER_INPUT`: \
                        `isNull` asks for it.";

pub fn define(sdl: &mut Sdl, model: &Model) {
    for name in ORDERED {
        value_filter(sdl, name, comparisons(name, ""));
    }
    for name in ["String", "ID"] {
        let mut members = comparisons(name, ", by code points");
        let case = if name == "String" { "; case counts without `ignoreCase`" } else { "; case counts" };
        members.push(member("startsWith", "String", format!("Begins with this{case}.")));
        members.push(member("contains", "String", format!("Has this in it{case}.")));
        let says = "True: case does not count for the filter's other members, by Unicode's full case folding.";
        members.extend((name == "String").then(|| member("ignoreCase", "Boolean", says)));
        value_filter(sdl, name, members);
    }
    for name in SCALARS {
        let has = (name != "JSON").then(|| member("has", name, "Has this item."));
        let says = format!("A condition on a list of `{name}`. {COMPARES}");
        let members = has.into_iter().chain([is_null()]);
        input_object(sdl, &format!("{name}ListFilter"), says, members);
    }
    value_filter(sdl, "Boolean", equality("Boolean"));
    value_filter(sdl, "JSON", Vec::new());
    let completeness = equality("Completeness").into_iter().chain([one_of("Completeness")]);
    let says = "A condition on an entity's completeness. All members must hold.";
    input_object(sdl, "CompletenessFilter", says, completeness);
    let money = [
        member("currency", "StringFilter", "A condition on the currency, three capitals of ISO 4217."),
        member("minor", "LongFilter", "A condition on the amount in minor units, whatever the currency."),
    ];
    value_filter(sdl, "Money", money.into());
    let near = vec![member("near", "Near", "Lies within so many kilometres of a point.")];
    value_filter(sdl, "GeoPoint", near);
    let near = [
        member("lat", "Float!", "The point's latitude in degrees, −90 to 90."),
        member("lon", "Float!", "The point's longitude in degrees, −180 to 180."),
        member("km", "Float!", "The distance in kilometres, from 0, along the surface of a sphere."),
    ];
    let says = "Within so many kilometres of a point. Values beyond their range are `BAD_USER_INPUT`.";
    input_object(sdl, "Near", says, near);
    for enumeration in &model.enums {
        let name = &enumeration.name;
        let members = equality(name).into_iter().chain([one_of(name)]);
        value_filter(sdl, name, members.collect());
    }
    for entity in &model.entities {
        filter(sdl, model, entity);
        list_filter(sdl, entity);
        order(sdl, model, entity);
    }
}

fn value_filter(sdl: &mut Sdl, name: &str, members: Vec<Member>) {
    let members = members.into_iter().chain([is_null()]);
    input_object(sdl, &format!("{name}Filter"), format!("A condition on a `{name}`. {COMPARES}"), members);
}

fn is_null() -> Member {
    member("isNull", "Boolean", "True: there is no value. False: there is one.")
}

fn equality(name: &str) -> Vec<Member> {
    vec![member("eq", name, "Equal to this value."), member("ne", name, "Another value than this.")]
}

fn one_of(name: &str) -> Member {
    member("in", format!("[{name}!]"), "One of these values, 1,000 at most; of none where the list is empty.")
}

/// `how` says in which order.
fn comparisons(name: &str, how: &str) -> Vec<Member> {
    let mut members = equality(name);
    members.push(one_of(name));
    let operators = [
        ("gt", "Greater than this value"),
        ("gte", "Greater than this value, or equal"),
        ("lt", "Less than this value"),
        ("lte", "Less than this value, or equal"),
    ];
    members.extend(operators.map(|(operator, says)| member(operator, name, format!("{says}{how}."))));
    members
}

fn filter(sdl: &mut Sdl, model: &Model, entity: &Entity) {
    let name = format!("{}Filter", entity.name);
    let list = format!("[{name}!]");
    let common = [
        member("and", list.as_str(), "All of these must hold."),
        member("or", list.as_str(), "One of these must hold; an empty list is false."),
        member("not", name.as_str(), "This must not hold."),
        member("isNull", "Boolean", "Of a link: true where it names nobody, false where it names somebody."),
        member("key", "StringFilter", "A condition on the domain's own id."),
        member(
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
        member(&field.name, filter_of(model, &field.kind), format!("{says}{personal}"))
    });
    let reverses = entity.reverses.iter().map(|reverse| {
        let holder = &model.entities[reverse.entity].name;
        member(&reverse.name, format!("{holder}ListFilter"), format!("A condition on its `{}`.", reverse.name))
    });
    let says = format!(
        "A condition on a `{}`. All members must hold; 1,000 parts at most. `completeness` at the top widens what is looked at.",
        entity.name
    );
    input_object(sdl, &name, says, common.into_iter().chain(fields).chain(reverses));
}

fn filter_of(model: &Model, kind: &Kind) -> String {
    match kind {
        Kind::List(item) => format!("{}ListFilter", model.type_name(item)),
        kind => format!("{}Filter", model.type_name(kind)),
    }
}

fn list_filter(sdl: &mut Sdl, entity: &Entity) {
    let filter = format!("{}Filter", entity.name);
    let quantifiers = [
        member("some", filter.as_str(), "At least one of them fits."),
        member("none", filter.as_str(), "None of them fits; true where there are none."),
        member("every", filter.as_str(), "Each of them fits; true where there are none."),
    ];
    let says = format!("A condition on those of `{}` that name an entity. All members must hold.", entity.name);
    input_object(sdl, &format!("{}ListFilter", entity.name), says, quantifiers);
}

fn order(sdl: &mut Sdl, model: &Model, entity: &Entity) {
    let key = member("key", "OrderDirection", "By the domain's own id, by code points.");
    let fields = entity.fields.iter().filter(|field| field.kind.orders()).map(|field| {
        let how = match field.kind {
            Kind::Money => ", by currency, then amount",
            Kind::String | Kind::Id => ", by code points",
            Kind::Enum(_) => ", as the values are declared",
            _ => "",
        };
        let personal = if field.personal { " Personal: `FORBIDDEN` for who may not see it." } else { "" };
        member(&field.name, "OrderDirection", format!("By `{}`{how}; nulls last.{personal}", field.name))
    });
    let links = entity.fields.iter().filter_map(|field| Some((field, field.kind.link()?))).map(|(field, target)| {
        let says = format!("By a field of the one that `{}` names; where it names nobody, last.", field.name);
        member(&field.name, format!("{}Order", model.entities[target].name), says)
    });
    let says = format!("One field that a list of `{}` is sorted by: exactly one member.", entity.name);
    let head = format!("input {}Order @oneOf", entity.name);
    sdl.block(&head, &says, [key].into_iter().chain(fields).chain(links));
}

fn input_object(sdl: &mut Sdl, name: &str, says: impl AsRef<str>, members: impl IntoIterator<Item = Member>) {
    sdl.block(&format!("input {name}"), says.as_ref(), members);
}

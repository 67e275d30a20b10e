//! What the schema says of itself: each of its names has a description, and each scalar of its own a standard.

use serde_json::Value as Json;

use crate::support::{Service, folder, root};

/// What GraphiQL asks, and each description in it.
const INTROSPECTION: &str = "{ __schema {
    types { kind name description specifiedByURL
      fields(includeDeprecated: true) { name description args { name description } }
      inputFields { name description } enumValues(includeDeprecated: true) { name description } }
    directives { name description args { name description } } } }";

/// Every kind of field, and no description anywhere.
const BARE: &str = "type Boat @entity(domain: \"boats\", event: \"boat\") @check(rule: \"length > 0.0\") {
      name: String @search @personal  length: Float  berths: Int  crew: Long  code: ID  sails: Boolean  built: Date
      seenAt: DateTime @occurredAt(events: [\"seen\"])  more: JSON  price: Money  place: GeoPoint @index  tags: [String!]
      status: BoatStatus  colour: Colour  owner: Owner @link(reverse: \"boats\")  tender: Boat @link
      double: Int @derive(rule: \"berths * 2\") }
    enum BoatStatus { AFLOAT @on(events: [\"launched\"])  ASHORE @on(events: [\"hauled-out\", \"wrecked\"])  LOST }
    enum Colour { RED }  enum Unused { ONE }
    type Owner @entity(domain: \"owners\", event: \"owner\") { since: Date }";

fn introspected(service: &Service) -> Json {
    service.read(INTROSPECTION, "")["__schema"].clone()
}

/// Each element without a description, or whose description is not a sentence; and scalars without a standard.
fn unexplained(schema: &Json) -> (usize, Vec<String>) {
    let (mut seen, mut faults) = (0, Vec::new());
    let mut judge = |element: &Json, place: String| {
        seen += 1;
        let text = element["description"].as_str().unwrap_or_default();
        let starts = text.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit() || first == '`');
        // What the library says of its directives has no full stop.
        let ends = text.ends_with(['.', ')']) || place.starts_with('@');
        if !starts || !ends || text.contains("docs/") {
            faults.push(format!("{place}: {text:?}"));
        }
    };
    let list = |of: &Json, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let name = |of: &Json| of["name"].as_str().unwrap().to_owned();
    let mut standards = Vec::new();
    for of_type in list(schema, "types") {
        let type_name = name(&of_type);
        // What is GraphQL's own says what the library says of it; of `ID` that is nothing, and it takes nothing from us.
        if type_name.starts_with("__") || ["Int", "Float", "String", "Boolean", "ID"].contains(&type_name.as_str()) {
            continue;
        }
        judge(&of_type, type_name.clone());
        for field in list(&of_type, "fields") {
            let place = format!("{type_name}.{}", name(&field));
            for argument in list(&field, "args") {
                judge(&argument, format!("{place}({})", name(&argument)));
            }
            judge(&field, place);
        }
        for member in list(&of_type, "inputFields").iter().chain(&list(&of_type, "enumValues")) {
            judge(member, format!("{type_name}.{}", name(member)));
        }
        let url = of_type["specifiedByURL"].as_str().unwrap_or_default();
        let standards_of = ["https://www.rfc-editor.org/rfc/rfc", "https://www.apollographql.com/docs/graphos/"];
        if of_type["kind"] == "SCALAR" && !standards_of.iter().any(|standard| url.starts_with(standard)) {
            standards.push(format!("{type_name}: specifiedByURL is {url:?}"));
        }
    }
    for directive in list(schema, "directives") {
        for argument in list(&directive, "args") {
            judge(&argument, format!("@{}({})", name(&directive), name(&argument)));
        }
        judge(&directive, format!("@{}", name(&directive)));
    }
    faults.extend(standards);
    (seen, faults)
}

#[test]
fn everything_in_the_schema_says_what_it_is() {
    let data = folder();
    let shipped = introspected(&Service::start(&data.path().join("shipped")));
    let bare = data.path().join("bare.graphql");
    std::fs::write(&bare, BARE).unwrap();
    let bare = Service::start_with(&data.path().join("bare"), &bare, &[]);
    for (schema, elements) in [(shipped, 600), (introspected(&bare), 400)] {
        let (seen, faults) = unexplained(&schema);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(seen > elements, "only {seen} elements were looked at");
    }
}

/// Where a model has no description, the schema says what the model knows.
#[test]
fn what_a_model_does_not_describe_is_described_by_what_it_does() {
    let data = folder();
    let bare = data.path().join("bare.graphql");
    std::fs::write(&bare, BARE).unwrap();
    let schema = introspected(&Service::start_with(&data.path().join("data"), &bare, &[]));
    let said = |of_type: &str, member: &str| -> String {
        let named = |of: &Json, name: &str| of.as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
        let of_type = named(&schema["types"], of_type).unwrap();
        let lists = ["fields", "enumValues", "inputFields"];
        let found = lists.iter().filter(|list| of_type[**list].is_array());
        found.map(|list| named(&of_type[*list], member)).next().flatten().unwrap()["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for (of_type, member, says) in [
        ("Boat", "owner", "The `Owner` whose key an event gave last as `ownerId`"),
        ("Boat", "seenAt", "When `boat.seen` happened last"),
        ("Boat", "status", "`boat.hauled-out`, `boat.launched`, `boat.wrecked`"),
        ("Boat", "double", "Worked out of `berths`"),
        ("Boat", "berths", "`berths` as an event gave it last"),
        ("Boat", "name", "`FORBIDDEN`"),
        ("Owner", "boats", "Each `Boat` that names it as `owner`"),
        ("BoatStatus", "ASHORE", "Set by `boat.hauled-out`, `boat.wrecked`."),
        ("BoatStatus", "LOST", "`LOST`, as an event gives it."),
        ("LinkKind", "BOAT_OWNER", "From a `Boat` to the `Owner` that its `owner` names."),
        ("BoatFilter", "owner", "names nobody"),
        ("BoatOrder", "price", "by currency, then amount"),
    ] {
        let found = said(of_type, member);
        assert!(found.contains(says), "{of_type}.{member}: {found}");
    }
}

/// The shipped model describes all that it has.
#[test]
fn the_shipped_model_describes_itself() {
    let text = std::fs::read_to_string(root("model.graphql")).unwrap();
    let model = staygraph::model::Model::parse(&text, "model.graphql").unwrap();
    let mut bare = Vec::new();
    for entity in &model.entities {
        bare.extend(entity.description.is_none().then(|| entity.name.clone()));
        let fields = entity.fields.iter().filter(|field| field.description.is_none());
        bare.extend(fields.map(|field| format!("{}.{}", entity.name, field.name)));
    }
    for enumeration in &model.enums {
        bare.extend(enumeration.description.is_none().then(|| enumeration.name.clone()));
        let values = enumeration.values.iter().filter(|value| value.description.is_none());
        bare.extend(values.map(|value| format!("{}.{}", enumeration.name, value.name)));
    }
    assert!(bare.is_empty(), "{bare:?}");
}

/// What GraphiQL opens with is called as its operation, and is answered.
#[test]
fn the_queries_that_graphiql_opens_with_have_names_and_answers() {
    let data = folder();
    let bare = data.path().join("bare.graphql");
    std::fs::write(&bare, BARE).unwrap();
    let services =
        [Service::start(&data.path().join("shipped")), Service::start_with(&data.path().join("bare"), &bare, &[])];
    for service in services {
        let starters = service.get("/graphiql/starters.json", &[]).json();
        let starters = starters.as_array().unwrap();
        assert!(starters.len() >= 2);
        for starter in starters {
            let query = starter["query"].as_str().unwrap();
            let name = query.strip_prefix("query ").and_then(|rest| rest.split([' ', '(']).next()).unwrap_or_default();
            assert!(name.starts_with(|first: char| first.is_ascii_uppercase()), "{query}");
            let variables: Json = serde_json::from_str(starter["variables"].as_str().unwrap()).unwrap_or_default();
            let body = serde_json::json!({ "query": query, "variables": variables });
            let answer = service.post("/graphql", "application/json", body.to_string().as_bytes()).json();
            assert!(answer.get("errors").is_none() && answer["data"].is_object(), "{query}: {answer}");
        }
    }
}

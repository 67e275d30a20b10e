//! Filters, orders, connections, limits, entities' states.

use serde_json::{Value as Json, json};

use crate::support::{Service, event, folder};

fn stays(service: &Service) -> String {
    let stay = |key: &str, data: Json| event("reservation.booked", key, 1, data);
    service.write(&[
        event("person.registered", "ada", 1, json!({ "name": "Ada", "country": "SG" })),
        event("person.registered", "bob", 1, json!({ "name": "Bob", "country": "FR" })),
        event("property.listed", "villa", 1, json!({ "city": "Seattle", "hostId": "bob", "amenities": ["Wifi", "Pool"], "location": { "lat": 1.29, "lon": 103.85 } })),
        event("property.listed", "flat", 1, json!({ "city": "Singapore", "hostId": "ada" })),
        stay("r1", json!({ "guestId": "ada", "propertyId": "villa", "checkIn": "2024-06-01", "checkOut": "2024-06-05", "total": { "minor": 500, "currency": "SGD" } })),
        stay("r2", json!({ "guestId": "ada", "propertyId": "flat", "checkIn": "2024-06-20", "checkOut": "2024-06-21", "total": { "minor": 900, "currency": "EUR" }, "guests": 2 })),
        stay("r3", json!({ "guestId": "bob", "propertyId": "villa", "checkIn": "2024-07-01", "checkOut": "2024-07-01", "guests": 3 })),
        stay("r4", json!({ "propertyId": "unseen" })),
    ])
}

fn keys(service: &Service, arguments: &str, position: &str) -> Vec<String> {
    let data = service.read(&format!("{{ reservations({arguments}) {{ totalCount nodes {{ key }} }} }}"), position);
    let nodes = data["reservations"]["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn filters() {
    let data = folder();
    let service = Service::start(data.path());
    let position = stays(&service);
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["r1", "r2", "r3", "r4"]),
        ("{ checkIn: { gte: \"2024-06-01\", lt: \"2024-07-01\" } }", &["r1", "r2"]),
        ("{ property: { city: { eq: \"Seattle\" } } }", &["r1", "r3"]),
        ("{ guest: { reservations: { some: { guests: { gte: 2 } } } } }", &["r1", "r2", "r3"]),
        ("{ guest: { reservations: { every: { guests: { gte: 2 } } } } }", &["r3"]),
        ("{ guest: { reservations: { none: { guests: { eq: 2 } } } } }", &["r3"]),
        ("{ guest: { isNull: true } }", &["r4"]),
        ("{ guest: { isNull: false } }", &["r1", "r2", "r3"]),
        ("{ guest: { not: { name: { eq: \"Ada\" } } } }", &["r3"]),
        ("{ not: { guest: { name: { eq: \"Ada\" } } } }", &["r3", "r4"]),
        ("{ guest: { or: [{ isNull: true }, { name: { eq: \"Bob\" } }] } }", &["r3", "r4"]),
        ("{ property: { isNull: false, city: { isNull: true } } }", &["r4"]),
        ("{ property: { completeness: { eq: REFERENCE } } }", &["r4"]),
        ("{ or: [] }", &[]),
        ("{ and: [] }", &["r1", "r2", "r3", "r4"]),
        ("{ isNull: true }", &[]),
        ("{ guests: { ne: 2 } }", &["r3"]),
        ("{ not: { guests: { eq: 2 } } }", &["r1", "r3", "r4"]),
        ("{ guests: { in: [2, 5] } }", &["r2"]),
        ("{ guests: { in: [] } }", &[]),
        ("{ guests: { isNull: true } }", &["r1", "r4"]),
        ("{ total: { currency: { eq: \"SGD\" }, minor: { gte: 500 } } }", &["r1"]),
        ("{ total: { isNull: true } }", &["r3", "r4"]),
        ("{ nights: { eq: 0 } }", &["r3"]),
        ("{ status: { in: [BOOKED] }, key: { startsWith: \"r\", gt: \"r2\" } }", &["r3", "r4"]),
        ("{ key: { contains: \"4\" } }", &["r4"]),
        ("{ property: { amenities: { has: \"Pool\" } } }", &["r1", "r3"]),
        ("{ property: { location: { near: { lat: 1.3, lon: 103.8, km: 10 } } } }", &["r1", "r3"]),
        ("{ property: { location: { near: { lat: 1.3, lon: 103.8, km: 1 } } } }", &[]),
        ("{ bookedAt: { eq: \"2024-05-01T12:00:00+02:00\" } }", &["r1", "r2", "r3", "r4"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(keys(&service, &format!("filter: {filter}"), &position), *expected, "{filter}");
    }
}

#[test]
fn orders_and_pages() {
    let data = folder();
    let service = Service::start(data.path());
    let position = stays(&service);
    let cases: &[(&str, &[&str])] = &[
        ("orderBy: [{ checkIn: DESC }]", &["r3", "r2", "r1", "r4"]),
        ("orderBy: [{ checkIn: ASC }]", &["r1", "r2", "r3", "r4"]),
        ("orderBy: [{ total: ASC }]", &["r2", "r1", "r3", "r4"]),
        ("orderBy: [{ guests: DESC }, { key: DESC }]", &["r3", "r2", "r4", "r1"]),
        ("orderBy: [{ key: DESC }]", &["r4", "r3", "r2", "r1"]),
        ("first: 2", &["r1", "r2"]),
        ("last: 2", &["r3", "r4"]),
        ("first: 0", &[]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(keys(&service, arguments, &position), *expected, "{arguments}");
    }
    // Every page of every size, both ways, makes up the list.
    let page = |arguments: &str| {
        let fields =
            "edges { cursor node { key } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount";
        service.read(&format!("{{ reservations(orderBy: [{{ guests: DESC }}], {arguments}) {{ {fields} }} }}"), "")["reservations"].clone()
    };
    let key = |edge: &Json| edge["node"]["key"].as_str().unwrap().to_owned();
    for size in 1..=5 {
        let (mut forward, mut arguments) = (Vec::new(), format!("first: {size}"));
        loop {
            let reply = page(&arguments);
            assert_eq!(reply["totalCount"], json!(4));
            assert_eq!(reply["pageInfo"]["hasPreviousPage"], json!(!forward.is_empty()));
            forward.extend(reply["edges"].as_array().unwrap().iter().map(key));
            if reply["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
            arguments = format!("first: {size}, after: {}", reply["pageInfo"]["endCursor"]);
        }
        assert_eq!(forward, ["r3", "r2", "r1", "r4"]);
        let (mut backward, mut arguments) = (Vec::new(), format!("last: {size}"));
        loop {
            let reply = page(&arguments);
            assert_eq!(reply["pageInfo"]["hasNextPage"], json!(!backward.is_empty()));
            backward.splice(0..0, reply["edges"].as_array().unwrap().iter().map(key));
            if reply["pageInfo"]["hasPreviousPage"] == json!(false) {
                break;
            }
            arguments = format!("last: {size}, before: {}", reply["pageInfo"]["startCursor"]);
        }
        assert_eq!(backward, ["r3", "r2", "r1", "r4"]);
    }
    // A cursor survives inserts around it.
    let cursor = page("first: 2")["pageInfo"]["endCursor"].clone();
    let position = service.write(&[
        event("reservation.booked", "r0", 1, json!({ "guests": 9 })),
        event("reservation.booked", "r5", 1, json!({})),
    ]);
    service.read("{ reservations { totalCount } }", &position);
    let after = page(&format!("first: 9, after: {cursor}"));
    assert_eq!(after["edges"].as_array().unwrap().iter().map(key).collect::<Vec<_>>(), ["r1", "r4", "r5"]);
    // Reverse links are connections with the same arguments.
    let reverse = service.read("{ property(key: \"villa\") { reservations(filter: { guests: { isNull: false } }, orderBy: [{ key: DESC }]) { totalCount nodes { key } } } }", "");
    assert_eq!(reverse["property"]["reservations"], json!({ "totalCount": 1, "nodes": [{ "key": "r3" }] }));
}

#[test]
fn refusals_say_what_where_and_what_to_do() {
    let data = folder();
    let service = Service::start(data.path());
    let position = stays(&service);
    service.read("{ reservations { totalCount } }", &position);
    let cursor = service.read("{ reservations(first: 1) { pageInfo { endCursor } } }", "")["reservations"]["pageInfo"]
        ["endCursor"]
        .clone();
    let deep = format!(
        "{{ reservations {{ nodes {} }} }}",
        (0..12).fold("{ key }".to_owned(), |inner, _| format!("{{ guest {{ reservations {{ nodes {inner} }} }} }}"))
    );
    let nested = format!("{{ reservations(filter: {}{}) {{ totalCount }} }}", "{ not: ".repeat(2000), "}".repeat(2000));
    let lists = format!("{{ nodes(ids: {}{}) {{ id }} }}", "[".repeat(2000), "]".repeat(2000));
    let fan_out = (0..40).fold("query { people { nodes { ...F0 } } } fragment F40 on Person { key }".to_owned(), |text, level| {
        format!("{text} fragment F{level} on Person {{ a: reservations {{ nodes {{ guest {{ ...F{0} }} }} }} b: reservations {{ nodes {{ guest {{ ...F{0} }} }} }} }}", level + 1)
    });
    let wide = "{ people(first: 1000) { nodes { reservations(first: 1000) { nodes { key } } } } }".to_owned();
    let cases = [
        ("{ nothing }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("{ reservations(filter: { weather: { eq: 1 } }) { totalCount } }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("{ reservations {", 400, "GRAPHQL_PARSE_FAILED"),
        ("", 400, "GRAPHQL_PARSE_FAILED"),
        (&deep, 400, "QUERY_TOO_DEEP"),
        (&nested, 400, "GRAPHQL_PARSE_FAILED"),
        (&lists, 400, "GRAPHQL_PARSE_FAILED"),
        (&fan_out, 400, "QUERY_TOO_DEEP"),
        (&wide, 400, "QUERY_TOO_COMPLEX"),
        (
            "query($n: Int = 1000) { people(first: $n) { nodes { reservations(first: $n) { nodes { key } } } } }",
            400,
            "QUERY_TOO_COMPLEX",
        ),
        ("query A { __typename } query B { __typename }", 400, "BAD_USER_INPUT"),
        ("query($n: Int!) { people(first: $n) { totalCount } }", 400, "BAD_USER_INPUT"),
        ("{ reservations(filter: { checkIn: { eq: null } }) { totalCount } }", 200, "BAD_USER_INPUT"),
        ("{ reservations(filter: { checkIn: { eq: \"2024-02-30\" } }) { totalCount } }", 400, "BAD_USER_INPUT"),
        ("{ reservations(filter: { bookedAt: { eq: \"2024-02-03\" } }) { totalCount } }", 400, "BAD_USER_INPUT"),
        ("{ reservations(filter: { checkIn: { eq: 5 } }) { totalCount } }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("{ reservations(filter: { checkIn { eq: \"2024-02-20\" } }) { totalCount } }", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ people(first) { totalCount } }", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ people(first 1) { totalCount } }", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ people(first , #: \n 1) { totalCount } }", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ __typename @include(if) }", 400, "GRAPHQL_PARSE_FAILED"),
        ("query($f: PersonFilter = { key }) { people(filter: $f) { totalCount } }", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ reservations(first: 1001) { totalCount } }", 200, "BAD_USER_INPUT"),
        ("{ reservations(first: -1) { totalCount } }", 200, "BAD_USER_INPUT"),
        ("{ reservations(after: \"elsewhere\") { totalCount } }", 200, "BAD_USER_INPUT"),
        (
            &format!("{{ reservations(orderBy: [{{ checkIn: ASC }}], after: {cursor}) {{ totalCount }} }}"),
            200,
            "BAD_USER_INPUT",
        ),
        (&format!("{{ people(after: {cursor}) {{ totalCount }} }}"), 200, "BAD_USER_INPUT"),
        ("{ freshness(domains: [\"reservation\"]) { status } }", 200, "BAD_USER_INPUT"),
    ];
    let mut told = String::new();
    for (query, status, code) in cases {
        let reply = service.ask(query, &[]);
        let json = reply.json();
        let error = &json["errors"][0];
        assert_eq!(
            (reply.status, &error["extensions"]["code"]),
            (status, &json!(code)),
            "{query:.80}: {:.400}",
            reply.text
        );
        told += &format!("{query:.70}\n    {code}: {}\n", error["message"].as_str().unwrap());
    }
    crate::golden::check("refusals.txt", &told);
}

#[test]
fn an_error_nulls_no_more_than_it_must() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ reservations { totalCount } }", &stays(&service));
    let query = "{
        ok: person(key: \"ada\") { key }
        bad: person(key: \"ada\") { key reservations(first: 9999) { totalCount } }
        deep: reservation(key: \"r1\") { key property { key host { key properties(last: -1) { totalCount } } } }
        many: nodes(ids: [\"Person:nobody\", \"Person:ada\", \"Person:bob\"]) { id ... on Person { properties(first: 1001) { totalCount } } }
    }";
    let json = service.ask(query, &[]).json();
    let expected = json!({ "ok": { "key": "ada" }, "bad": null, "deep": { "key": "r1", "property": { "key": "villa", "host": null } }, "many": [null, null, null] });
    assert_eq!(json["data"], expected, "{json}");
    let paths: Vec<&Json> = json["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
    let expected = [
        json!(["bad", "reservations"]),
        json!(["deep", "property", "host", "properties"]),
        json!(["many", 1, "properties"]),
        json!(["many", 2, "properties"]),
    ];
    assert_eq!(paths, expected.iter().collect::<Vec<_>>(), "{json}");
    let root = service.ask("{ people(first: 9999) { totalCount } ok: person(key: \"ada\") { key } }", &[]).json();
    assert_eq!(root["data"], json!(null), "a root list may not be null");
}

#[test]
fn an_order_names_one_field() {
    let data = folder();
    let service = Service::start(data.path());
    for order in ["[{}]", "[{ key: ASC, checkIn: ASC }]", "[{ key: null }]"] {
        let json = service.ask(&format!("{{ reservations(orderBy: {order}) {{ totalCount }} }}"), &[]).json();
        assert!(json["errors"].is_array(), "{order}: {json}");
    }
}

#[test]
fn entities_say_what_state_they_are_in() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[
        event("person.registered", "whole", 1, json!({ "name": "W", "shoe": 42 })),
        event("person.profile-changed", "gaps", 4, json!({ "country": "SG" })),
        event("person.profile-changed", "gaps", 2, json!({ "country": "FR", "name": "G" })),
        event("person.registered", "gone", 1, json!({ "name": "X" })),
        event("person.deleted", "gone", 2, json!({ "ignored": [1] })),
        event("person.registered", "forgotten", 1, json!({ "name": "SECRET", "country": "SG", "extra": "SECRET" })),
        event("person.erased", "forgotten", 2, json!({})),
        event("person.profile-changed", "forgotten", 3, json!({ "email": "SECRET", "country": "DE" })),
        event("person.registered", "old", 1, json!({ "name": "Old" })),
        event("person.registered", "new", 1, json!({ "name": "New" })),
        event("person.merged", "old", 2, json!({ "into": "new" })),
        event("reservation.booked", "r", 1, json!({ "guestId": "old" })),
        event("reservation.booked", "s", 1, json!({ "guestId": "named-only" })),
        event("price.set", "late", 1, json!({ "validFrom": "2024-01-10" })),
        event("price.changed", "late", 2, json!({ "validTo": "2024-01-05" })),
    ]);
    let one = |key: &str| {
        let fields =
            "key name country completeness missingVersions attributes lastEvent { id type sequence time topic offset }";
        service.read(&format!("{{ people {{ totalCount }} reservations {{ totalCount }} prices {{ totalCount }} person(key: \"{key}\") {{ {fields} }} }}"), &position)["person"].clone()
    };
    assert_eq!(
        (&one("whole")["completeness"], &one("whole")["attributes"]),
        (&json!("COMPLETE"), &json!({ "shoe": 42 }))
    );
    let gaps = one("gaps");
    assert_eq!(
        (&gaps["completeness"], &gaps["missingVersions"], &gaps["country"], &gaps["name"]),
        (&json!("INCOMPLETE"), &json!([1, 3]), &json!("SG"), &json!("G"))
    );
    assert_eq!(gaps["lastEvent"]["sequence"], json!("4"));
    let gone = one("gone");
    assert_eq!(
        (&gone["completeness"], &gone["name"], &gone["lastEvent"]["type"]),
        (&json!("DELETED"), &json!(null), &json!("person.deleted"))
    );
    let forgotten = one("forgotten");
    assert_eq!(
        (&forgotten["completeness"], &forgotten["country"], &forgotten["attributes"]),
        (&json!("ERASED"), &json!("DE"), &json!(null))
    );
    assert!(!forgotten.to_string().contains("SECRET"));
    assert_eq!((&one("old")["key"], &one("old")["name"]), (&json!("new"), &json!("New")));
    assert_eq!(
        (&one("named-only")["completeness"], &one("named-only")["lastEvent"]),
        (&json!("REFERENCE"), &json!(null))
    );
    assert_eq!(one("nobody"), json!(null));
    let lists = service.read(
        "{ people { nodes { key } } deleted: people(filter: { completeness: { eq: DELETED } }) { nodes { key } }
           references: people(filter: { completeness: { in: [REFERENCE] } }) { nodes { key } }
           inside: people(filter: { and: [{ completeness: { eq: DELETED } }] }) { totalCount }
           reservation(key: \"r\") { guest { id reservations { totalCount } } }
           node(id: \"Person:old\") { id ... on Person { name } } nothing: node(id: \"Ghost:x\") { id }
           nodes(ids: [\"Reservation:r\", \"Reservation:zzz\"]) { id __typename }
           price(key: \"late\") { breaches completeness }
           catalog { entities { name count references incomplete deleted erased breaches { name count } drift { kind name count } } } }",
        "",
    );
    let names = |list: &str| {
        lists[list]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("people"), ["forgotten", "gaps", "new", "whole"]);
    assert_eq!((names("deleted"), names("references")), (vec!["gone".to_owned()], vec!["named-only".to_owned()]));
    assert_eq!(lists["inside"]["totalCount"], json!(0), "inside `and` completeness compares, and widens nothing");
    assert_eq!(lists["reservation"]["guest"], json!({ "id": "Person:new", "reservations": { "totalCount": 1 } }));
    assert_eq!((&lists["node"], &lists["nothing"]), (&json!({ "id": "Person:new", "name": "New" }), &json!(null)));
    assert_eq!(lists["nodes"], json!([{ "id": "Reservation:r", "__typename": "Reservation" }, null]));
    assert_eq!(lists["price"], json!({ "breaches": ["validFrom < validTo"], "completeness": "COMPLETE" }));
    let person = &lists["catalog"]["entities"][0];
    let counts = ["count", "references", "incomplete", "deleted", "erased"].map(|name| person[name].as_i64().unwrap());
    assert_eq!(counts, [4, 1, 1, 1, 1]);
    assert_eq!(lists["catalog"]["entities"][2]["breaches"], json!([{ "name": "validFrom < validTo", "count": 1 }]));
    // What only somebody had who is forgotten is forgotten.
    assert_eq!(person["drift"], json!([{ "kind": "ATTRIBUTE", "name": "shoe", "count": 1 }]));
}

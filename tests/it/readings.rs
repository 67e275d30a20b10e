//! One reading of a document: what validates it also runs it. Each case is what people met with servers that read twice, or
//! what the September 2025 edition says of it.

use serde_json::{Value as Json, json};

use crate::support::{Service, event, folder};

fn town(service: &Service) -> String {
    let stay = |key: &str, more: Json| {
        let mut data = json!({ "guestId": "ada", "propertyId": "villa" });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event("reservation.booked", key, 1, data)
    };
    service.write(&[
        event("person.registered", "ada", 1, json!({ "name": "Ada", "country": "SG" })),
        event("person.registered", "😀", 1, json!({ "name": "Strasse Straße", "country": "DE" })),
        event("person.registered", "host", 1, json!({ "name": "STRASSE", "country": "FR" })),
        event("property.listed", "villa", 1, json!({ "name": "Villa", "city": "Seattle", "hostId": "host" })),
        event("property.listed", "flat", 1, json!({ "name": "Flat", "city": "Bergen", "hostId": "ada" })),
        stay("r1", json!({ "checkIn": "2024-06-01", "guests": 2 })),
        stay("r2", json!({ "checkIn": "2024-06-20", "guests": 1, "propertyId": "flat" })),
        stay("r3", json!({ "checkIn": "2024-07-01", "guestId": "host" })),
        event("reservation.booked", "r4", 1, json!({ "guests": 4 })),
        event("reservation.cancelled", "r2", 2, json!({})),
    ])
}

fn ask(service: &Service, query: &str, variables: &Json) -> Json {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let headers = [("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    service.request("POST", "/graphql", &headers, Some(body.as_bytes())).json()
}

/// The keys of whatever list is the answer's only root.
fn keys(reply: &Json) -> Vec<&str> {
    let root = reply["data"].as_object().and_then(|data| data.values().next()).unwrap_or_else(|| panic!("{reply}"));
    root["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{reply}"))
        .iter()
        .map(|node| node["key"].as_str().unwrap())
        .collect()
}

#[test]
fn one_value_is_a_list_of_one_wherever_a_list_is_wanted() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    service.read("{ reservations { totalCount } }", &position);
    let list = |arguments: &str| format!("{{ reservations({arguments}) {{ nodes {{ key }} }} }}");
    let with = |head: &str, arguments: &str| format!("query({head}) {}", list(arguments));
    let cases: &[(&str, Json, &[&str])] = &[
        (&list("orderBy: { checkIn: DESC }"), json!({}), &["r3", "r2", "r1", "r4"]),
        (&list("filter: { status: { in: CANCELLED } }"), json!({}), &["r2"]),
        (&list("filter: { and: { status: { eq: CANCELLED } } }"), json!({}), &["r2"]),
        (&list("filter: { or: { status: { eq: CANCELLED } } }"), json!({}), &["r2"]),
        (&list("filter: { guests: { in: 4 } }"), json!({}), &["r4"]),
        (&with("$o: [ReservationOrder!] = { checkIn: DESC }", "orderBy: $o"), json!({}), &["r3", "r2", "r1", "r4"]),
        (&with("$o: [ReservationOrder!]", "orderBy: $o"), json!({ "o": { "key": "DESC" } }), &["r4", "r3", "r2", "r1"]),
        (&with("$o: ReservationOrder!", "orderBy: [$o]"), json!({ "o": { "key": "DESC" } }), &["r4", "r3", "r2", "r1"]),
        (&with("$d: OrderDirection!", "orderBy: { key: $d }"), json!({ "d": "DESC" }), &["r4", "r3", "r2", "r1"]),
        (&with("$s: [ReservationStatus!]", "filter: { status: { in: $s } }"), json!({ "s": "CANCELLED" }), &["r2"]),
        (&with("$f: ReservationFilter", "filter: $f"), json!({ "f": { "and": { "guests": { "in": 4 } } } }), &["r4"]),
        // Null where a list may be null is no list.
        (&list("orderBy: null"), json!({}), &["r1", "r2", "r3", "r4"]),
        // What a variable leaves out is not there; a default stands in.
        (&with("$s: ReservationStatus", "filter: { status: { eq: $s } }"), json!({}), &["r1", "r2", "r3", "r4"]),
        (&with("$n: Int = 1", "first: $n"), json!({}), &["r1"]),
        (&with("$n: Int = 1", "first: $n"), json!({ "n": null }), &["r1", "r2", "r3", "r4"]),
        (&with("$n: Int", "first: $n"), json!({ "n": 2.0 }), &["r1", "r2"]),
        (&with("$k: [String!]!", "filter: { key: { in: $k } }"), json!({ "k": "r1" }), &["r1"]),
        // Null in a list's place is no list, and none of one null.
        (&list("orderBy: null, filter: null, first: null"), json!({}), &["r1", "r2", "r3", "r4"]),
        (&with("$o: [ReservationOrder!] = null", "orderBy: $o"), json!({}), &["r1", "r2", "r3", "r4"]),
        (&with("$o: [ReservationOrder!]", "orderBy: $o"), json!({ "o": null }), &["r1", "r2", "r3", "r4"]),
        // Through links: what a list is sorted by need not be its own.
        (&list("orderBy: [{ property: { city: ASC } }, { key: DESC }]"), json!({}), &["r2", "r3", "r1", "r4"]),
        (&list("orderBy: [{ property: { host: { name: DESC } } }]"), json!({}), &["r1", "r3", "r2", "r4"]),
        (&list("orderBy: [{ property: { key: DESC } }, { guests: ASC }]"), json!({}), &["r1", "r3", "r2", "r4"]),
        (&list("orderBy: { property: { city: ASC } }, first: 2, after: \"CURSOR\""), json!({}), &["r3", "r4"]),
    ];
    let cursor = "{ reservations(orderBy: { property: { city: ASC } }, first: 2) { pageInfo { endCursor } } }";
    let cursor = service.read(cursor, "")["reservations"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    for (query, variables, expected) in cases {
        let reply = ask(&service, &query.replace("CURSOR", &cursor), variables);
        assert_eq!(keys(&reply), *expected, "{query} {variables}: {reply}");
    }
    let nodes = ask(&service, "{ nodes(ids: \"Reservation:r1\") { id } }", &json!({}));
    assert_eq!(nodes["data"], json!({ "nodes": [{ "id": "Reservation:r1" }] }), "{nodes}");
    let found = ask(&service, "{ search(text: \"villa\", kinds: PROPERTY) { node { id } } }", &json!({}));
    assert_eq!(found["data"]["search"][0]["node"]["id"], "Property:villa", "{found}");
}

#[test]
fn case_need_not_count() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    service.read("{ people { totalCount } }", &position);
    let cases: &[(&str, &[&str])] = &[
        ("{ eq: \"strasse\", ignoreCase: true }", &["host"]),
        ("{ eq: \"strasse\" }", &[]),
        ("{ eq: \"strasse\", ignoreCase: false }", &[]),
        ("{ contains: \"STRASSE\", ignoreCase: true }", &["host", "😀"]),
        ("{ startsWith: \"straße\", ignoreCase: true }", &["host", "😀"]),
        ("{ in: [\"ADA\", \"straSSE\"], ignoreCase: true }", &["ada", "host"]),
        ("{ ne: \"ADA\", ignoreCase: true }", &["host", "😀"]),
        ("{ gte: \"S\", lt: \"strasse a\", ignoreCase: true }", &["host"]),
        ("{ isNull: false, ignoreCase: true }", &["ada", "host", "😀"]),
    ];
    for (filter, expected) in cases {
        let reply =
            ask(&service, &format!("{{ people(filter: {{ name: {filter} }}) {{ nodes {{ key }} }} }}"), &json!({}));
        assert_eq!(keys(&reply), *expected, "{filter}: {reply}");
    }
}

/// Documents whose answer is known to the letter.
#[test]
fn answers_are_to_the_letter() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    service.read("{ reservations { totalCount } }", &position);
    let one = |body: &str| format!("{{ reservation(key: \"r1\") {{ {body} }} }}");
    let cases: &[(&str, Json, &str)] = &[
        ("{ person(key: \"\\uD83D\\uDE00\") { key } }", json!({}), r#"{"person":{"key":"😀"}}"#),
        ("{ person(key: \"\\u{1F600}\") { key } }", json!({}), r#"{"person":{"key":"😀"}}"#),
        ("{ person(key: \"\"\"ada\"\"\") { key } }", json!({}), r#"{"person":{"key":"ada"}}"#),
        ("query($v: Boolean!) { __typename @include(if: $v) }", json!({ "v": true }), r#"{"__typename":"Query"}"#),
        ("query($v: Boolean!) { __typename @include(if: $v) }", json!({ "v": false }), "{}"),
        ("query($v: Boolean! = true) { a: __typename @skip(if: $v) b: __typename }", json!({}), r#"{"b":"Query"}"#),
        // Both must let it be; and what is merged is where it is first let be.
        (&one("key @include(if: true) @skip(if: true) guests"), json!({}), r#"{"reservation":{"guests":2}}"#),
        (
            "query($v: Boolean!) { reservation(key: \"r1\") { key @include(if: $v) guests key } }",
            json!({ "v": false }),
            r#"{"reservation":{"guests":2,"key":"r1"}}"#,
        ),
        (
            "query($v: Boolean!) { reservation(key: \"r1\") { key @include(if: $v) guests key } }",
            json!({ "v": true }),
            r#"{"reservation":{"key":"r1","guests":2}}"#,
        ),
        // An object of which all is skipped is an object, whatever it is of.
        (
            "{ reservation(key: \"r1\") { guest { key @skip(if: true) } lastEvent { id @skip(if: true) } reservations: freshness { status @include(if: false) } } }",
            json!({}),
            r#"{"reservation":{"guest":{},"lastEvent":{},"reservations":{}}}"#,
        ),
        (
            "query($v: Boolean!) { catalog { entities { fields { name @skip(if: $v) } } } __type(name: \"Node\") { fields { name @skip(if: $v) } } projection { version @skip(if: $v) } }",
            json!({ "v": true }),
            r#"{"catalog":{"entities":[{"fields":[{},{},{},{},{},{}]},{"fields":[{},{},{},{},{},{},{},{},{},{},{},{}]},{"fields":[{},{},{},{},{},{},{},{}]},{"fields":[{},{},{},{},{},{},{},{},{},{},{},{},{}]}]},"__type":{"fields":[{}]},"projection":{}}"#,
        ),
        // Fields merge through fragments, in the order of their first.
        (
            &format!(
                "{} fragment F on Reservation {{ guest {{ name }} guests }}",
                one("guest { key } ...F key ... on Entity { id }")
            ),
            json!({}),
            r#"{"reservation":{"guest":{"key":"ada","name":"Ada"},"guests":2,"key":"r1","id":"Reservation:r1"}}"#,
        ),
        (
            "query($v: Boolean!) { reservation(key: \"r1\") { guest { key } guest @skip(if: $v) { name } ... @include(if: $v) { guests } } }",
            json!({ "v": true }),
            r#"{"reservation":{"guest":{"key":"ada"},"guests":2}}"#,
        ),
        (
            "{ node(id: \"Person:ada\") { __typename ... on Reservation { guests } ... on Person { name } ... on Node { id } } }",
            json!({}),
            r#"{"node":{"__typename":"Person","name":"Ada","id":"Person:ada"}}"#,
        ),
        (
            "{ nodes(ids: [\"Person:ada\", \"Ghost:x\", \"Person:x\", \"none\", \"Property:villa\"]) { ... on Property { city } } }",
            json!({}),
            r#"{"nodes":[{},null,null,null,{"city":"Seattle"}]}"#,
        ),
        (
            "{ reservations(first: 1) { __typename nodes { __typename } edges { __typename node { k: key } } pageInfo { __typename } totalCount } }",
            json!({}),
            r#"{"reservations":{"__typename":"ReservationConnection","nodes":[{"__typename":"Reservation"}],"edges":[{"__typename":"ReservationEdge","node":{"k":"r1"}}],"pageInfo":{"__typename":"PageInfo"},"totalCount":4}}"#,
        ),
        (
            "{ _entities(representations: [{ __typename: \"Person\", key: \"ada\" }, { __typename: \"Person\", key: \"x\" }]) { ... on Person { name } } }",
            json!({}),
            r#"{"_entities":[{"name":"Ada"},null]}"#,
        ),
        (
            "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
            json!({ "r": [{ "__typename": "Property", "key": "villa", "more": 1 }] }),
            r#"{"_entities":[{"__typename":"Property"}]}"#,
        ),
        ("{ __type(name: \"ReservationOrder\") { isOneOf } }", json!({}), r#"{"__type":{"isOneOf":true}}"#),
        ("{ __type(name: \"ReservationFilter\") { isOneOf } }", json!({}), r#"{"__type":{"isOneOf":false}}"#),
        (
            "{ __type(name: \"Reservation\") { isOneOf kind name ofType { name } } }",
            json!({}),
            r#"{"__type":{"isOneOf":null,"kind":"OBJECT","name":"Reservation","ofType":null}}"#,
        ),
        ("query($n: String!) { __type(name: $n) { name } }", json!({ "n": "Nobody" }), r#"{"__type":null}"#),
        (
            "{ __type(name: \"PageInfo\") { fields(includeDeprecated: true) { name type { kind ofType { name kind } } } } }",
            json!({}),
            r#"{"__type":{"fields":[{"name":"hasNextPage","type":{"kind":"NON_NULL","ofType":{"name":"Boolean","kind":"SCALAR"}}},{"name":"hasPreviousPage","type":{"kind":"NON_NULL","ofType":{"name":"Boolean","kind":"SCALAR"}}},{"name":"startCursor","type":{"kind":"SCALAR","ofType":null}},{"name":"endCursor","type":{"kind":"SCALAR","ofType":null}}]}}"#,
        ),
        // A list that is not null of what is not null is told from the outside to the inside.
        (
            "{ __type(name: \"Path\") { fields { type { kind ofType { kind ofType { kind ofType { name } } } } } } }",
            json!({}),
            r#"{"__type":{"fields":[{"type":{"kind":"NON_NULL","ofType":{"kind":"SCALAR","ofType":null}}},{"type":{"kind":"NON_NULL","ofType":{"kind":"LIST","ofType":{"kind":"NON_NULL","ofType":{"name":"Entity"}}}}},{"type":{"kind":"NON_NULL","ofType":{"kind":"LIST","ofType":{"kind":"NON_NULL","ofType":{"name":"PathLink"}}}}}]}}"#,
        ),
    ];
    for (query, variables, expected) in cases {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let headers = [("content-type", "application/json")];
        let reply = service.request("POST", "/graphql", &headers, Some(body.as_bytes()));
        // As text: the order of an answer's members counts.
        let start = format!("{{\"data\":{expected},\"extensions\":");
        assert!(reply.text.starts_with(&start), "{query} {variables}: {}", reply.text);
    }
}

/// What a caller did wrong is said with its place and what to write; it is nobody else's fault.
#[test]
fn what_is_wrong_is_told_by_its_place_and_what_to_write() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    service.read("{ reservations { totalCount } }", &position);
    const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
    const UNPARSED: &str = "GRAPHQL_PARSE_FAILED";
    const BAD: &str = "BAD_USER_INPUT";
    let list = |arguments: &str| format!("{{ reservations({arguments}) {{ totalCount }} }}");
    let with = |head: &str, arguments: &str| format!("query({head}) {}", list(arguments));
    // The query, its variables, the code, whether a place is told, and what the message has.
    let cases: &[(&str, Json, &str, bool, &str)] = &[
        // One key is one field, and one list one length.
        (
            "{ nodes(ids: [\"Person:ada\"]) { id } nodes(ids: [\"Person:ada\", \"Person:host\"]) { __typename } }",
            json!({}),
            INVALID,
            true,
            "give one of them an alias",
        ),
        (
            "{ people(filter: { or: [] }) { totalCount } ...F } fragment F on Query { people(filter: { or: [{}] }) { totalCount } }",
            json!({}),
            INVALID,
            true,
            "give one of them an alias",
        ),
        (&list("orderBy: [{}]"), json!({}), INVALID, true, "exactly one member"),
        (&list("orderBy: [{ checkIn: ASC, total: DESC }]"), json!({}), INVALID, true, "here are 2"),
        (&list("orderBy: [{ checkIn: null }]"), json!({}), INVALID, true, "null"),
        (&list("orderBy: [{ property: {} }]"), json!({}), INVALID, true, "PropertyOrder"),
        (
            &with("$d: OrderDirection", "orderBy: { key: $d }"),
            json!({ "d": "ASC" }),
            INVALID,
            true,
            "`key` may be null",
        ),
        (&list("orderBy: [null]"), json!({}), INVALID, true, "null"),
        (&with("$o: [ReservationOrder!]", "orderBy: $o"), json!({ "o": {} }), BAD, true, "`$o` has 0 members"),
        (
            &with("$o: [ReservationOrder!]", "orderBy: $o"),
            json!({ "o": [{ "key": "ASC", "total": "ASC" }] }),
            BAD,
            true,
            "`$o[0]` has 2 members",
        ),
        (&with("$o: [ReservationOrder!]", "orderBy: $o"), json!({ "o": [{ "key": null }] }), BAD, true, "not null"),
        (&with("$o: [ReservationOrder!]", "orderBy: $o"), json!({ "o": [null] }), BAD, true, "`$o[0]` is null"),
        (
            &with("$o: [ReservationOrder!]", "orderBy: $o"),
            json!({ "o": [{ "ky": "ASC" }] }),
            BAD,
            true,
            "did you mean `key`",
        ),
        (
            &with("$s: [ReservationStatus]", "filter: { status: { in: $s } }"),
            json!({ "s": ["CANCELLED", null] }),
            INVALID,
            true,
            "`[ReservationStatus!]`",
        ),
        (
            &with("$s: ReservationStatus", "filter: { status: { in: [$s] } }"),
            json!({ "s": "CANCELLED" }),
            INVALID,
            true,
            "`$s`",
        ),
        (
            &list("filter: { status: { eq: BOOKED }, status: { eq: CANCELLED } }"),
            json!({}),
            INVALID,
            true,
            "given twice",
        ),
        (&list("filter: { status: { eq: BOOKD } }"), json!({}), INVALID, true, "did you mean `BOOKED`"),
        (
            &with("$f: ReservationFilter = { guests: { eq: 1 }, guests: { eq: 2 } }", "filter: $f"),
            json!({}),
            INVALID,
            true,
            "given twice",
        ),
        ("query($k: String = \"r1\") { reservation(key: $k) { key } }", json!({ "k": null }), BAD, true, "null"),
        (
            "query($b: Boolean = true) { __typename @include(if: $b) }",
            json!({ "b": null }),
            BAD,
            false,
            "true or false",
        ),
        ("query($k: String!) { reservation(key: $k) { key } }", json!({}), BAD, true, "`$k` is missing"),
        ("query($k: String!) { reservation(key: $k) { key } }", json!({ "k": 5 }), BAD, true, "`$k` is no `String`"),
        (
            "query($k: Int) { reservations(first: $k) { totalCount } }",
            json!({ "k": "5" }),
            BAD,
            true,
            "`$k` is no `Int`",
        ),
        (
            "query($k: Int) { reservations(first: $k) { totalCount } }",
            json!({ "k": 2_147_483_648u64 }),
            BAD,
            true,
            "32 bits",
        ),
        (
            "query($k: Int) { reservations(first: $k) { totalCount } }",
            json!({ "k": 1.5 }),
            BAD,
            true,
            "`$k` is no `Int`",
        ),
        (
            "query($f: LongFilter) { reservations(filter: { total: { minor: $f } }) { totalCount } }",
            json!({ "f": { "eq": 9_007_199_254_740_992u64 } }),
            BAD,
            true,
            "`$f.eq` is no `Long`",
        ),
        (
            "query($b: BooleanFilter) { reservations { totalCount } }",
            json!({ "b": { "eq": "true" } }),
            INVALID,
            true,
            "b",
        ),
        ("{ peple { nodes { key } } }", json!({}), INVALID, true, "did you mean `people`"),
        ("{ people(frist: 1) { nodes { key } } }", json!({}), INVALID, true, "did you mean `first`"),
        (
            "{ reservations(filter: { gust: { name: { eq: \"x\" } } }) { totalCount } }",
            json!({}),
            INVALID,
            true,
            "did you mean `guest`",
        ),
        ("{ people { nodes { ... on Persn { name } } } }", json!({}), INVALID, true, "did you mean `Person`"),
        (
            "query($f: PersnFilter) { people(filter: $f) { totalCount } }",
            json!({}),
            INVALID,
            true,
            "did you mean `PersonFilter`",
        ),
        ("{ people { totalCount @inclde(if: true) } }", json!({}), INVALID, true, "did you mean `include`"),
        ("query Stays { people { totalCount } }", json!({ "operationName": "x" }), "", false, ""),
        ("fragment F on Query { __typename }", json!({}), BAD, false, "no operation"),
        ("{ person(key: \"\\uD83D\") { key } }", json!({}), UNPARSED, true, ""),
        ("{ person(key: \"\\u{110000}\") { key } }", json!({}), UNPARSED, true, ""),
        ("{ person(key: \"\\u{}\") { key } }", json!({}), UNPARSED, true, ""),
        ("{ reservation(key: \"r1\") { guest } }", json!({}), INVALID, true, ""),
        ("{ reservation(key: \"r1\") { key { x } } }", json!({}), INVALID, true, ""),
        ("{ reservation { key } }", json!({}), INVALID, true, "key"),
        ("{ a: people { totalCount } a: reservations { totalCount } }", json!({}), INVALID, true, ""),
        (
            "{ _entities(representations: [{ __typename: \"Ghost\", key: \"x\" }]) { __typename } }",
            json!({}),
            BAD,
            true,
            "representations",
        ),
        ("{ _entities(representations: [{ key: \"x\" }]) { __typename } }", json!({}), BAD, true, "representations"),
        (
            "query($d: Date) { reservations(filter: { checkIn: { eq: $d } }) { totalCount } }",
            json!({ "d": "2024-02-30" }),
            BAD,
            true,
            "`$d` is no date",
        ),
        (
            "query($d: Date = \"x\") { reservations(filter: { checkIn: { eq: $d } }) { totalCount } }",
            json!({ "d": "2024-02-20" }),
            BAD,
            true,
            "is no date",
        ),
        (
            "query($l: Long = 9007199254740992) { reservations(filter: { total: { minor: { eq: $l } } }) { totalCount } }",
            json!({ "l": 1 }),
            BAD,
            true,
            "is no `Long`",
        ),
        (
            "query($v: Date) { reservations(filter: { checkIn: { gte: \"x\", lt: $v } }) { totalCount } }",
            json!({}),
            BAD,
            true,
            "is no date",
        ),
        (
            "{ reservations @skip(if: true) { nodes { property { prices(filter: { validTo: { eq: \"x\" } }) { totalCount } } } } }",
            json!({}),
            BAD,
            true,
            "is no date",
        ),
        (
            "{ _entities(representations: { __typename: \"Person\", key: \"a\", key: \"b\" }) { __typename } }",
            json!({}),
            INVALID,
            true,
            "given twice",
        ),
        ("mutation { x }", json!({}), INVALID, true, ""),
        ("subscription { x }", json!({}), INVALID, true, ""),
    ];
    for (query, variables, code, has_place, says) in cases {
        let reply = ask(&service, query, variables);
        let error = &reply["errors"][0];
        assert_eq!(error["extensions"]["code"].as_str().unwrap_or_default(), *code, "{query} {variables}: {reply}");
        assert!(error["message"].as_str().unwrap_or_default().contains(says), "{query} {variables}: {reply}");
        assert!(!has_place || error["locations"][0]["line"].is_u64(), "{query} {variables}: {reply}");
    }
}

/// `onError`: what an error in one field does to the others.
#[test]
fn errors_stay_where_they_are_asked_to() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    service.read("{ reservations { totalCount } }", &position);
    let query =
        "{ reservation(key: \"r1\") { key guest { reservations(first: -1) { totalCount } } property { city } } }";
    let ask = |on_error: Json| {
        let body = json!({ "query": query, "onError": on_error }).to_string();
        let headers = [("content-type", "application/json")];
        service.request("POST", "/graphql", &headers, Some(body.as_bytes())).json()
    };
    let property = json!({ "city": "Seattle" });
    let cases = [
        (json!(null), json!({ "reservation": { "key": "r1", "guest": null, "property": property } })),
        (json!("PROPAGATE"), json!({ "reservation": { "key": "r1", "guest": null, "property": property } })),
        (
            json!("NULL"),
            json!({ "reservation": { "key": "r1", "guest": { "reservations": null }, "property": property } }),
        ),
        (json!("HALT"), json!(null)),
    ];
    for (on_error, expected) in cases {
        let reply = ask(on_error.clone());
        assert_eq!(reply["data"], expected, "{on_error}: {reply}");
        assert_eq!(reply["errors"].as_array().map(Vec::len), Some(1), "{on_error}: {reply}");
        assert_eq!(reply["errors"][0]["path"], json!(["reservation", "guest", "reservations"]), "{on_error}: {reply}");
    }
    let reply = ask(json!("SOMETIMES"));
    assert_eq!(reply["errors"][0]["message"], "`onError` is NULL, PROPAGATE or HALT", "{reply}");
}

/// Components read how fresh their part is where a client drops `extensions`.
#[test]
fn parts_of_an_answer_say_how_fresh_they_are() {
    let data = folder();
    let service = Service::start(data.path());
    let position = town(&service);
    let query = "{ reservations(first: 1, filter: { property: { city: { eq: \"Seattle\" } } }) {
        freshness { status cause asOf position }
        nodes { freshness { position } guest { freshness { position status } } } }
        prices(orderBy: { property: { host: { key: ASC } } }) { freshness { position __typename } }
        people { freshness { position } nodes { reservations { freshness { position } } } } }";
    let data = service.read(query, &position);
    // The topics that a part's position names.
    let topics = |part: &Json| -> Vec<String> {
        let position = part["freshness"]["position"].as_str().unwrap_or_else(|| panic!("{data}"));
        let mut topics: Vec<String> =
            position.split(',').map(|entry| entry.split('!').next().unwrap().to_owned()).collect();
        topics.dedup();
        topics
    };
    let list = &data["reservations"];
    assert_eq!(topics(list), ["people", "properties", "reservations"]);
    assert_eq!((&list["freshness"]["status"], &list["freshness"]["cause"]), (&json!("FRESH"), &json!("CAUGHT_UP")));
    assert!(list["freshness"]["asOf"].is_string(), "{data}");
    assert_eq!(topics(&list["nodes"][0]), ["reservations"]);
    assert_eq!(topics(&list["nodes"][0]["guest"]), ["people"]);
    assert_eq!(topics(&data["prices"]), ["people", "prices", "properties"]);
    assert_eq!(data["prices"]["freshness"]["__typename"], "AnswerFreshness");
    assert_eq!(topics(&data["people"]), ["people", "reservations"]);
    assert_eq!(topics(&data["people"]["nodes"][0]["reservations"]), ["reservations"]);
}

/// Fields are counted before a query is executed; how long texts are shows only then.
#[test]
fn an_answer_has_a_bound_of_its_own() {
    let data = folder();
    let service = Service::start(data.path());
    let long = "x".repeat(900 << 10);
    let position = service.write(&[event("property.listed", "long", 1, json!({ "name": long }))]);
    service.read("{ properties { totalCount } }", &position);
    let fields: String = (0..100).map(|n| format!("a{n}: property(key: \"long\") {{ name }} ")).collect();
    let reply = service.ask(&format!("{{ {fields} }}"), &[]);
    assert!(reply.text.len() < 68 << 20, "{} bytes", reply.text.len());
    let told = reply.json();
    let given = told["data"].as_object().unwrap().values().filter(|value| !value.is_null()).count();
    assert_eq!((given, told["errors"].as_array().unwrap().len()), (73, 27));
    assert_eq!(told["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    assert_eq!(told["errors"][0]["path"], json!(["a73"]));
}

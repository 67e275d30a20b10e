//! Rules of which rows may be seen: what claims make of them, what is wrong with them, and a service that has some.
//! That they hold on every way, `reference::rows` shows.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use staygraph::api::{Access, make};
use staygraph::clock;
use staygraph::model::Model;
use staygraph::query::Sight;
use staygraph::rights::{Rights, RowRule, Scopes, Who};

use super::signing::{ISSUER, Signer, claims_at};
use crate::support::{Service, event, folder, root, run};

const MODEL: &str = r#"
type Thing @entity(domain: "things", event: "thing") {
  name: String @personal
  code: ID
  count: Int
  total: Long
  share: Float
  open: Boolean
  since: Date
  at: DateTime
  size: Size
  tags: [String!]
  price: Money
  owner: Thing @link(reverse: "owned")
}
enum Size { SMALL LARGE }
"#;

fn model() -> Arc<Model> {
    Arc::new(Model::parse(MODEL, "test.graphql").unwrap())
}

fn rule(filter: Option<&str>) -> RowRule {
    RowRule {
        place: "file:1:1".into(),
        entity: "Thing".into(),
        filter: filter.map(str::to_owned),
        unless: Vec::new(),
        require: false,
    }
}

/// What of a thing one with some claims may see.
fn sight(rules: &[RowRule], claims: &Json) -> Sight {
    let model = model();
    let access = Access::new(&make(&model).unwrap(), &model, rules, true).unwrap().unwrap();
    let rights = Rights {
        claims: claims.as_object().cloned().unwrap_or_default(),
        ..Rights::new(Who::Issuer("test".into()), Scopes::all())
    };
    access.rows(&rights).sight(model.entity_named("Thing").unwrap()).clone()
}

/// A rule with a claim is the same as the rule with what is said; where none is, nothing may be seen.
fn check(filter: &str, claim: Json, said: Option<&str>) {
    let bound = sight(&[rule(Some(filter))], &json!({ "c": claim }));
    let expected = said.map_or(Sight::Nothing, |said| sight(&[rule(Some(said))], &json!({})));
    assert_eq!(format!("{bound:?}"), format!("{expected:?}"), "{filter} with {claim}");
}

#[test]
fn a_claim_is_typed_by_where_it_stands() {
    let key = "{ key: { eq: $c } }";
    check(key, json!("a"), Some(r#"{ key: { eq: "a" } }"#));
    check(key, json!("a\" } }"), Some(r#"{ key: { eq: "a\" } }" } }"#));
    for other in [Json::Null, json!(1), json!(true), json!({ "a": 1 }), json!(["a", 1]), json!(["a", null])] {
        check(key, other, None);
    }
    // A list means `in` under `eq` alone.
    check(key, json!(["a", "b"]), Some(r#"{ key: { in: ["a", "b"] } }"#));
    check(key, json!([]), Some("{ key: { in: [] } }"));
    check("{ key: { ne: $c } }", json!(["a"]), None);
    check("{ key: { gt: $c } }", json!(["a"]), None);
    check("{ key: { in: $c } }", json!(["a", "b"]), Some(r#"{ key: { in: ["a", "b"] } }"#));
    check("{ key: { in: $c } }", json!("a"), None);
    check("{ key: { in: [$c, \"z\"] } }", json!("a"), Some(r#"{ key: { in: ["a", "z"] } }"#));
    check("{ key: { in: [$c] } }", json!(["a"]), None);
    check("{ key: { in: [\"a\", \"z\"], eq: $c } }", json!(["a", "b"]), Some(r#"{ key: { in: ["a"] } }"#));
    check("{ key: { eq: $c, in: [\"a\", \"z\"] } }", json!(["a", "b"]), Some(r#"{ key: { in: ["a"] } }"#));
    // By kind.
    let kinds = [
        ("code", json!("7"), "\"7\"", json!(7)),
        ("count", json!(7), "7", json!("7")),
        ("count", json!(-2_147_483_648i64), "-2147483648", json!(2_147_483_648i64)),
        ("count", json!(7), "7", json!(7.0)),
        ("total", json!(9_007_199_254_740_991i64), "9007199254740991", json!(9_007_199_254_740_992i64)),
        ("share", json!(0.5), "0.5", json!("0.5")),
        ("open", json!(true), "true", json!("true")),
        ("since", json!("2024-02-29"), "\"2024-02-29\"", json!("2023-02-29")),
        ("at", json!("2024-01-01T00:00:00Z"), "\"2024-01-01T00:00:00Z\"", json!(1_704_067_200)),
        ("size", json!("SMALL"), "SMALL", json!("small")),
    ];
    for (field, fits, said, other) in kinds {
        let filter = format!("{{ {field}: {{ eq: $c }} }}");
        check(&filter, fits, Some(&format!("{{ {field}: {{ eq: {said} }} }}")));
        check(&filter, other, None);
    }
    check("{ tags: { has: $c } }", json!("x"), Some(r#"{ tags: { has: "x" } }"#));
    check("{ price: { currency: { eq: $c } } }", json!(["SGD"]), Some(r#"{ price: { currency: { in: ["SGD"] } } }"#));
    check("{ open: { eq: $c } }", json!([true, true]), Some("{ open: { eq: true } }"));
    check("{ open: { eq: $c } }", json!([true, false]), Some("{ open: { isNull: false } }"));
    check("{ open: { eq: $c } }", json!([]), Some("{ open: { eq: true, ne: true } }"));
    // Personal fields too, whatever the scopes of who asks.
    check("{ name: { eq: $c } }", json!("a"), Some(r#"{ name: { eq: "a" } }"#));
}

#[test]
fn a_claim_that_does_not_fit_makes_its_rule_false_before_any_negation() {
    for filter in [
        "{ not: { key: { eq: $c } } }",
        "{ or: [{ key: { eq: \"a\" } }, { owner: { key: { eq: $c } } }] }",
        "{ owned: { none: { key: { eq: $c } } } }",
    ] {
        check(filter, json!(7), None);
        assert!(matches!(sight(&[rule(Some(filter))], &json!({})), Sight::Nothing), "{filter} without the claim");
    }
}

#[test]
fn grants_are_ored_and_requirements_anded() {
    let (a, b) = (rule(Some("{ key: { eq: \"a\" } }")), rule(Some("{ key: { eq: \"b\" } }")));
    let required = |filter: &str| RowRule { require: true, ..rule(Some(filter)) };
    let lifted = |rule: RowRule| RowRule { unless: vec![("role".into(), vec!["analyst".into(), 7.into()])], ..rule };
    let one = |filter: &str| format!("{:?}", sight(&[rule(Some(filter))], &json!({})));
    let cases: Vec<(Vec<RowRule>, Json, String)> = vec![
        (vec![a.clone(), b.clone()], json!({}), one("{ or: [{ key: { eq: \"a\" } }, { key: { eq: \"b\" } }] }")),
        (vec![a.clone(), required("{ count: { eq: 1 } }")], json!({}), one("{ count: { eq: 1 }, key: { eq: \"a\" } }")),
        // Only what is required: nobody sees it; what is open is the grant.
        (vec![required("{ count: { eq: 1 } }")], json!({}), "Nothing".into()),
        (vec![required("{ count: { eq: 1 } }"), rule(None)], json!({}), one("{ count: { eq: 1 } }")),
        (vec![required("{ count: { eq: $c } }"), rule(None)], json!({}), "Nothing".into()),
        (vec![rule(None)], json!({}), "All".into()),
        // A grant that is lifted shows all, a requirement that is lifted asks nothing.
        (vec![lifted(a.clone())], json!({ "role": "analyst" }), "All".into()),
        (vec![lifted(a.clone())], json!({ "role": ["guest", "analyst"] }), "All".into()),
        (vec![lifted(a.clone())], json!({ "role": 7 }), "All".into()),
        (vec![lifted(a.clone())], json!({ "role": "7" }), one("{ key: { eq: \"a\" } }")),
        (vec![lifted(a.clone())], json!({ "role": [] }), one("{ key: { eq: \"a\" } }")),
        (vec![lifted(rule(Some("{ key: { eq: $sub } }")))], json!({ "role": "analyst" }), "All".into()),
        (
            vec![lifted(required("{ key: { eq: $sub } }")), a.clone()],
            json!({ "role": "analyst" }),
            one("{ key: { eq: \"a\" } }"),
        ),
        (vec![lifted(required("{ key: { eq: $sub } }")), a.clone()], json!({ "role": "guest" }), "Nothing".into()),
        (
            vec![RowRule {
                unless: vec![("role".into(), vec!["x".into()]), ("team".into(), vec!["y".into()])],
                ..a.clone()
            }],
            json!({ "role": "x" }),
            one("{ key: { eq: \"a\" } }"),
        ),
    ];
    for (rules, claims, expected) in cases {
        assert_eq!(format!("{:?}", sight(&rules, &claims)), expected, "{rules:?} with {claims}");
    }
}

#[test]
fn what_is_wrong_with_a_rule_is_told_where_it_stands() {
    let model = model();
    let schema = make(&model).unwrap();
    let told = |filter: &str, has_issuers: bool| {
        let faults = Access::new(&schema, &model, &[rule(Some(filter))], has_issuers).err().unwrap_or_default();
        assert!(faults.iter().all(|fault| fault.starts_with("file:1:1: [[access]]: ")), "{faults:?}");
        faults.join("\n")
    };
    for (filter, part) in [
        ("{ kee: { eq: \"a\" } }", "`ThingFilter` does not have: did you mean `key`?"),
        ("{ key: { eq: 7 } }", "`filter.key.eq` is no `String`"),
        ("{ key: { is: $c } }", "`StringFilter` does not have"),
        ("{ owner: $c }", "a claim is a value"),
        ("{ size: { eq: HUGE } }", "is none of the values of `Size`"),
        ("\"a\"", "its filter is an object"),
        ("{ key: { eq: \"a\" }", "no value of GraphQL's"),
        ("{}, other: {}", "its filter is an object"),
        ("{}) g(v:{}", "its filter is an object"),
        ("{ key: null }", "`key` is null in a filter"),
        ("{}", "`open = true` says so"),
        ("{ key: { eq: $c }, key: { in: [\"a\"] } }", "`key` stands twice in its filter"),
        ("{ or: [{ key: { eq: $c, eq: \"a\" } }] }", "`eq` stands twice in its filter"),
    ] {
        let told = told(filter, true);
        assert!(told.contains(part), "{filter}: {told}");
    }
    assert_eq!(told("{ key: { eq: $sub } }", true), "");
    assert!(told("{ key: { eq: $sub } }", false).contains("`$sub` is a claim of tokens of `[[auth.issuers]]`"));
}

#[test]
fn check_names_what_is_wrong_and_what_nobody_sees() {
    let folder = folder();
    let config = folder.path().join("staygraph.toml");
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        run(&["check", "--config", config.to_str().unwrap(), "--model", root("model.graphql").to_str().unwrap()])
    };
    let (code, _, err) = check(
        "[[access]]\nentity = \"Property\"\nopen = true\n[[access]]\nentity = \"Person\"\nrequire = true\nfilter = '{ key: { eq: \"a\" } }'\n",
    );
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nobody sees a `Reservation`, as no rule is about it"), "{err}");
    assert!(err.contains("nobody sees a `Person`, as its rules only `require`"), "{err}");
    assert!(!err.contains("`Property`"), "{err}");
    for (text, part) in [
        (
            "[[access]]\nentity = \"Propperty\"\nopen = true\n",
            "2:10: [[access]]: the model has no entity `Propperty`: did you mean `Property`?",
        ),
        ("[[access]]\nentity = \"Property\"\n", "a rule has a `filter`, or `open = true`"),
        ("[[access]]\nentity = \"Property\"\nopen = true\nfilter = '{}'\n", "needs no `filter`"),
        ("[[access]]\nentity = \"Property\"\nopen = true\nrequire = true\n", "requires nothing"),
        (
            "[[access]]\nentity = \"Property\"\nfilter = '{ key: { eq: \"a\" } }'\nunless = { role = \"x\" }\n",
            "claims come with tokens",
        ),
        (
            "[[access]]\nentity = \"Property\"\nfilter = '{ key: { eq: $sub } }'\n",
            "3:10: [[access]]: `$sub` is a claim",
        ),
        (
            "[[access]]\nentity = \"Property\"\nfilter = '{ nights: { eq: 1 } }'\n",
            "3:10: [[access]]: `filter` has a member",
        ),
        ("[[access]]\nentity = \"Property\"\nfilters = '{}'\n", "filters"),
    ] {
        let (code, _, err) = check(text);
        assert!(code == 1 && err.contains(part), "{text}: {code} {err}");
    }
}

/// A host sees what is at home, a guest what is theirs, and a cache does not lend one what is the other's.
#[test]
fn a_service_shows_each_what_is_theirs() {
    let (data, signer) = (folder(), Signer::edwards());
    let keys = data.path().join("keys.json");
    std::fs::write(&keys, json!({ "keys": [signer.jwk("k")] }).to_string()).unwrap();
    let config = data.path().join("staygraph.toml");
    let text = format!(
        r#"
[[auth.issuers]]
issuer = "{ISSUER}"
audience = "staygraph"
jwks = "keys.json"
algorithms = ["EdDSA"]
[[access]]
entity = "Reservation"
filter = '{{ property: {{ host: {{ key: {{ eq: $sub }} }} }} }}'
unless = {{ role = ["analyst"] }}
[[access]]
entity = "Reservation"
filter = '{{ guest: {{ key: {{ eq: $sub }} }} }}'
[[access]]
entity = "Property"
open = true
[[access]]
entity = "Person"
filter = '{{ key: {{ eq: $sub }} }}'
"#
    );
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    let token = |sub: &str, more: Json| {
        let mut claims = claims_at(clock::now().seconds);
        claims["sub"] = sub.into();
        claims["scope"] = "read pii:read events:write".into();
        let more: Map<String, Json> = more.as_object().cloned().unwrap_or_default();
        more.into_iter().for_each(|(name, value)| claims[name] = value);
        format!("Bearer {}", signer.token("k", &claims))
    };
    let (host, guest, other) = (token("hal", json!({})), token("gus", json!({})), token("zoe", json!({})));
    let analyst = token("ana", json!({ "role": ["analyst"] }));
    let events = [
        event("person.registered", "hal", 1, json!({ "name": "Hal" })),
        event("person.registered", "gus", 1, json!({ "name": "Gus" })),
        event("property.listed", "home", 1, json!({ "name": "Home", "hostId": "hal" })),
        event(
            "reservation.booked",
            "r1",
            1,
            json!({ "propertyId": "home", "guestId": "gus", "checkIn": "2024-06-01", "checkOut": "2024-06-03" }),
        ),
        event(
            "reservation.booked",
            "r2",
            1,
            json!({ "propertyId": "home", "guestId": "ida", "checkIn": "2024-07-01", "checkOut": "2024-07-03" }),
        ),
    ];
    let body = Json::from(events.to_vec()).to_string();
    let headers = [("authorization", host.as_str()), ("content-type", "application/cloudevents-batch+json")];
    let reply = service.request("POST", "/events", &headers, Some(body.as_bytes()));
    assert!(reply.status < 300, "{}", reply.text);
    let position = reply.json()["position"].as_str().unwrap().to_owned();
    let ask = |who: &str, query: &str| {
        let headers = [("authorization", who), ("freshness-at-least", position.as_str()), ("freshness-wait", "10s")];
        service.ask(query, &headers).json()["data"].clone()
    };
    let query = "{ reservations { totalCount nodes { key guest { key } property { name host { key } } } } }";
    let stay = |key: &str, guest: Json, host: Json| json!({ "key": key, "guest": guest, "property": { "name": "Home", "host": host } });
    let key = |key: &str| json!({ "key": key });
    for (who, nodes) in [
        (&host, vec![stay("r1", Json::Null, key("hal")), stay("r2", Json::Null, key("hal"))]),
        (&guest, vec![stay("r1", key("gus"), Json::Null)]),
        (&other, vec![]),
        (&analyst, vec![stay("r1", Json::Null, Json::Null), stay("r2", Json::Null, Json::Null)]),
    ] {
        let expected = json!({ "reservations": { "totalCount": nodes.len(), "nodes": nodes } });
        assert_eq!(ask(who, query), expected);
    }
    // By id and key, from the other side, through filters, and whom only others' stays name.
    let query = r#"{ node(id: "Reservation:r2") { id } person(key: "gus") { name }
        properties(filter: { reservations: { some: { key: { eq: "r2" } } } }) { totalCount nodes { reservations { totalCount } } } }"#;
    assert_eq!(
        ask(&guest, query),
        json!({ "node": null, "person": { "name": "Gus" }, "properties": { "totalCount": 0, "nodes": [] } })
    );
    assert_eq!(
        ask(&host, query),
        json!({
            "node": { "id": "Reservation:r2" }, "person": null,
            "properties": { "totalCount": 1, "nodes": [{ "reservations": { "totalCount": 2 } }] },
        })
    );
    // Either rule has its index, and so has what one may see; how many that is without the rules is for who counts everything.
    let planned = |scope: &str| {
        let body = json!({ "query": "{ reservations { totalCount } }", "extensions": { "plan": true } }).to_string();
        let who = token("gus", json!({ "scope": scope }));
        let headers = [("authorization", who.as_str()), ("content-type", "application/json")];
        service.request("POST", "/graphql", &headers, Some(body.as_bytes())).json()["extensions"]["plan"].clone()
    };
    let plan = planned("read ops:read");
    assert_eq!(plan[0]["candidates"][0], json!({ "from": "union", "count": 1, "exact": true }), "{plan}");
    assert_eq!(planned("read"), Json::Null);
    // Who is hidden and who is not there look the same, as far as what an answer depends on is told.
    let told = |key: &str| {
        let path = format!("/graphql?query=%7Bperson(key:%22{key}%22)%7Bkey%7D%7D");
        let reply = service.get(&path, &[("authorization", host.as_str())]);
        let domains: Vec<Json> = reply.json()["extensions"]["freshness"]["domains"].as_array().unwrap().clone();
        let names: Vec<Json> = domains.iter().map(|domain| domain["domain"].clone()).collect();
        (reply.header("etag").map(str::to_owned), names, reply.json()["data"].clone())
    };
    assert_eq!(told("gus"), told("nobody"));
    // One's ETag is none of another's.
    let path = "/graphql?query=%7Breservations%7BtotalCount%7D%7D";
    let etag = |who: &str| service.get(path, &[("authorization", who)]).header("etag").unwrap().to_owned();
    let (of_host, of_guest) = (etag(&host), etag(&guest));
    assert_ne!(of_host, of_guest);
    let again = |who: &str, etag: &str| service.get(path, &[("authorization", who), ("if-none-match", etag)]).status;
    assert_eq!((again(&host, &of_host), again(&guest, &of_host)), (304, 200));
}

//! Freshness of answers, demands, HTTP.

use serde_json::{Value as Json, json};

use crate::support::{READER, Service, event, folder, root};

fn reservation(key: &str, sequence: u64, data: Json) -> Json {
    event("reservation.booked", key, sequence, data)
}

#[test]
fn one_reads_ones_own_write_at_the_very_version() {
    let data = folder();
    let service = Service::start(data.path());
    for round in 1..=30u64 {
        let position = service.write(&[reservation("r", round, json!({ "guests": round }))]);
        let answer = service.ask(
            "{ reservation(key: \"r\") { guests } }",
            &[("freshness-at-least", &position), ("freshness-wait", "10s")],
        );
        let json = answer.json();
        assert_eq!(json["data"]["reservation"]["guests"], json!(round));
        assert!(json["extensions"]["freshness"].get("unmet").is_none());
    }
}

#[test]
fn a_wait_ends_when_the_write_comes_and_not_before() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[reservation("r", 1, json!({}))]);
    // The next record of that partition does not exist yet.
    let (place, offset) = position.rsplit_once('@').unwrap();
    let next = format!("{place}@{}", offset.parse::<u64>().unwrap() + 1);
    let query = "{ reservation(key: \"r\") { guests } }";
    let short = service.ask(query, &[("freshness-at-least", &next), ("freshness-wait", "50ms")]).json();
    assert_eq!(short["extensions"]["freshness"]["unmet"].as_array().map(Vec::len), Some(1), "{short}");
    let waiting = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            service
                .ask(
                    query,
                    &[("freshness-at-least", &next), ("freshness-wait", "20s"), ("freshness-otherwise", "fail")],
                )
                .json()
        });
        service.write(&[reservation("r", 2, json!({ "guests": 7 }))]);
        asked.join().unwrap()
    });
    assert_eq!(waiting["data"]["reservation"]["guests"], json!(7), "{waiting}");
}

#[test]
fn demands_that_are_not_met_or_not_readable() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[reservation("r", 1, json!({}))]);
    let (topic, rest) = position.split_once('!').unwrap();
    let partition = rest.split_once('/').unwrap().1.split_once('@').unwrap().0.to_owned();
    let far = format!("{topic}/{partition}@99999");
    let query = "{ reservation(key: \"r\") { key } }";
    // It is applied before anything is asked of it.
    service.ask(query, &[("freshness-at-least", &position), ("freshness-wait", "20s")]);
    let failed = service.ask(query, &[("freshness-at-least", &far), ("freshness-otherwise", "fail")]);
    assert_eq!(failed.status, 412);
    let json = failed.json();
    assert_eq!((json.get("data"), &json["errors"][0]["extensions"]["code"]), (None, &json!("NOT_FRESH_ENOUGH")));
    assert!(json["errors"][0]["message"].as_str().unwrap().contains(&format!("{topic}/{partition} is at 1")), "{json}");
    let body =
        json!({ "query": query, "extensions": { "freshness": { "atLeast": far, "otherwise": "FAIL" } } }).to_string();
    let plain = service.request(
        "POST",
        "/graphql",
        &[("content-type", "application/json"), ("accept", "application/json")],
        Some(body.as_bytes()),
    );
    assert_eq!((plain.status, &plain.json()["errors"][0]["extensions"]["code"]), (200, &json!("NOT_FRESH_ENOUGH")));
    // Only domains that the operation can touch count.
    assert_eq!(
        service
            .ask("{ people { totalCount } }", &[("freshness-at-least", &far), ("freshness-otherwise", "fail")])
            .status,
        200
    );
    // The request's own extensions win over headers.
    let body = json!({ "query": query, "extensions": { "freshness": { "otherwise": "SERVE" } } }).to_string();
    let headers =
        [("content-type", "application/json"), ("freshness-at-least", far.as_str()), ("freshness-otherwise", "fail")];
    let served = service.request("POST", "/graphql", &headers, Some(body.as_bytes())).json();
    assert_eq!(served["extensions"]["freshness"]["unmet"], json!([format!("{topic}/{partition}")]), "{served}");
    for (name, value) in [
        ("freshness-at-least", "nope"),
        ("freshness-at-least", "weather/0@1"),
        ("freshness-at-least", "reservations!00000000/0@1"),
        ("freshness-max-staleness", "soon"),
        ("freshness-wait", "1"),
        ("freshness-otherwise", "maybe"),
    ] {
        let reply = service.ask(query, &[(name, value)]);
        let json = reply.json();
        assert_eq!(
            (reply.status, &json["errors"][0]["extensions"]["code"]),
            (400, &json!("BAD_USER_INPUT")),
            "{name}: {value}"
        );
        assert!(json["extensions"]["freshness"].is_object(), "errors carry extensions all the same");
    }
    // A partition that is not seen yet is simply not met.
    let unseen = service.ask(query, &[("freshness-at-least", "reservations/77@1")]).json();
    assert_eq!(unseen["extensions"]["freshness"]["unmet"], json!(["reservations/77"]));
    // Fresh enough at once, or after a contact.
    let fresh = service
        .ask(query, &[("freshness-max-staleness", "1ms"), ("freshness-wait", "10s"), ("freshness-otherwise", "fail")]);
    assert_eq!(fresh.status, 200, "{}", fresh.text);
}

#[test]
fn an_unchanged_get_is_304_with_its_freshness() {
    let data = folder();
    let service = Service::start(data.path());
    service.read("{ people { totalCount } }", &service.write(&[event("person.registered", "a", 1, json!({}))]));
    let path = "/graphql?query=%7Bpeople%7BtotalCount%7D%7D";
    let first = service.get(path, &[]);
    let etag = first.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("W/\"") && etag.len() <= 32, "{etag}");
    assert!(
        first.header("freshness").unwrap().starts_with("status=FRESH, as-of=\""),
        "{:?}",
        first.header("freshness")
    );
    let again = service.get(path, &[("if-none-match", &format!("\"x,y\", {etag}"))]);
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert!(again.header("freshness").is_some() && again.header("etag") == Some(&etag));
    let demanded = service.get(path, &[("if-none-match", &etag), ("freshness-at-least", "people/0@99999")]);
    assert_eq!(demanded.status, 200, "a demand that is not met is never a 304");
    service.read("{ people { totalCount } }", &service.write(&[event("reservation.booked", "r", 1, json!({}))]));
    assert_eq!(
        service.get(path, &[("if-none-match", &etag)]).status,
        304,
        "another domain's events change nothing here"
    );
    service.read("{ people { totalCount } }", &service.write(&[event("person.registered", "b", 1, json!({}))]));
    assert_eq!(service.get(path, &[("if-none-match", &etag)]).status, 200);
    // Whether somebody is there by name alone is for every domain to say.
    let path = "/graphql?query=%7Bperson(key:%22c%22)%7Bkey%20completeness%7D%7D";
    let absent = service.get(path, &[]).header("etag").unwrap().to_owned();
    assert_eq!(service.get(path, &[("if-none-match", &absent)]).status, 304);
    let position = service.write(&[event("reservation.booked", "r2", 1, json!({ "guestId": "c" }))]);
    service.read("{ reservations { totalCount } }", &position);
    let named = service.get(path, &[("if-none-match", &absent)]);
    assert_eq!(named.json()["data"]["person"]["completeness"], "REFERENCE");
    let operational = service.get("/graphql?query=%7Bfreshness%7Bstatus%7D%20people%7BtotalCount%7D%7D", &[]);
    assert_eq!((operational.header("etag"), operational.header("cache-control")), (None, Some("no-store")));
    let nothing = service.ask("{ __typename }", &[]);
    let freshness = nothing.json()["extensions"]["freshness"].clone();
    assert_eq!(
        (&freshness["status"], &freshness["asOf"], &freshness["position"]),
        (&json!("FRESH"), &json!(null), &json!(null))
    );
    assert_eq!((nothing.header("etag"), nothing.header("freshness")), (None, Some("status=FRESH")));
}

#[test]
fn an_answer_names_the_domains_that_it_touched_and_no_others() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[
        event("person.registered", "p", 1, json!({})),
        event("reservation.booked", "with-guest", 1, json!({ "guestId": "p" })),
        event("reservation.booked", "without", 1, json!({})),
    ]);
    service.read("{ people { totalCount } reservations { totalCount } }", &position);
    let cases = [
        ("{ reservation(key: \"without\") { guest { name } property { name } } }", vec!["reservations"]),
        ("{ reservation(key: \"with-guest\") { guest { key } property { name } } }", vec!["people", "reservations"]),
        ("{ person(key: \"nobody\") { key } }", vec!["people"]),
        ("{ person(key: \"p\") { properties { totalCount } } }", vec!["people", "properties"]),
        ("{ node(id: \"Price:x\") { id } nodes(ids: [\"Nothing:x\", \"x\"]) { id } }", vec!["prices"]),
        ("{ reservations(filter: { guest: { name: { eq: \"x\" } } }) { totalCount } }", vec!["people", "reservations"]),
    ];
    for (query, expected) in cases {
        let json = service.ask(query, &[]).json();
        let domains = json["extensions"]["freshness"]["domains"].as_array().unwrap().clone();
        let mut names: Vec<&str> = domains.iter().map(|domain| domain["domain"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{query}: {json}");
    }
}

#[test]
fn http_as_browsers_and_tools_meet_it() {
    let data = folder();
    let service = Service::start(data.path());
    let page = service.get("/graphql", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]);
    assert_eq!((page.status, page.header("location")), (303, Some("/graphiql")));
    let graphiql = service.get("/graphiql", &[]);
    assert!(graphiql.status == 200 && graphiql.header("content-security-policy").is_some());
    assert_eq!(
        service.get("/graphiql/graphiql.js", &[]).header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let preflight = service.request(
        "OPTIONS",
        "/graphql",
        &[
            ("origin", "http://localhost:5173"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,freshness-at-least"),
        ],
        None,
    );
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:5173"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("freshness-at-least"));
    let answered = service.ask("{ __typename }", &[("origin", "http://localhost:5173")]);
    assert_eq!(answered.header("access-control-expose-headers"), Some("freshness,etag"));
    let elsewhere = service.ask("{ __typename }", &[("origin", "https://evil.example")]);
    assert_eq!(elsewhere.header("access-control-allow-origin"), None);
    assert_eq!(service.post("/graphql", "text/plain", b"{}").status, 415);
    assert_eq!(service.post("/graphql", "application/json", b"{nope").status, 400);
    assert_eq!(service.get("/nowhere", &[]).header("content-type"), Some("application/problem+json"));
    assert_eq!(service.get("/health/live", &[]).status, 200);
    service.read("{ people { totalCount } }", &service.write(&[event("person.registered", "a", 1, json!({}))]));
    assert_eq!(service.get("/health/ready", &[]).json()["status"], json!("ready"));
    let metrics = service.get("/metrics", &[]).text;
    for line in [
        "staygraph_events_applied_total{domain=\"people\"} 1",
        "staygraph_freshness_status{domain=\"people\",status=\"FRESH\"} 1",
        "staygraph_entities{entity=\"Person\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}:\n{metrics}");
    }
    for name in [
        "lag_events",
        "staleness_seconds",
        "events_duplicate_total",
        "events_dead_total",
        "event_visible_seconds_bucket",
        "query_seconds_count",
        "build_info",
    ] {
        assert!(metrics.contains(&format!("\nstaygraph_{name}{{")), "{name}");
    }
}

#[test]
fn personal_data_needs_its_scope() {
    let data = folder();
    let service = Service::start_with_reader(data.path());
    let position =
        service.write(&[event("person.registered", "p", 1, json!({ "name": "Ada", "country": "SG", "nick": "A" }))]);
    service.read("{ person(key: \"p\") { name } }", &position);
    let elsewhere = [READER];
    let reply = service.ask("{ person(key: \"p\") { key name country attributes } }", &elsewhere).json();
    assert_eq!(reply["data"]["person"], json!({ "key": "p", "name": null, "country": "SG", "attributes": null }));
    let codes: Vec<&Json> =
        reply["errors"].as_array().unwrap().iter().map(|error| &error["extensions"]["code"]).collect();
    assert_eq!(codes, [&json!("FORBIDDEN"), &json!("FORBIDDEN")]);
    for query in [
        "{ people(filter: { name: { eq: \"Ada\" } }) { totalCount } }",
        "{ people(orderBy: [{ name: ASC }]) { totalCount } }",
        "{ reservations(filter: { guest: { email: { isNull: true } } }) { totalCount } }",
    ] {
        assert_eq!(
            service.ask(query, &elsewhere).json()["errors"][0]["extensions"]["code"],
            json!("FORBIDDEN"),
            "{query}"
        );
    }
    // A cursor by a personal field is sealed.
    let page = service.read("{ people(orderBy: [{ name: ASC }]) { edges { cursor } } }", "");
    let cursor = page["people"]["edges"][0]["cursor"].as_str().unwrap();
    assert!(cursor.starts_with('s'), "{cursor}");
    assert_eq!(page, service.read("{ people(orderBy: [{ name: ASC }]) { edges { cursor } } }", ""));
    let after = service.read(
        &format!("{{ people(orderBy: [{{ name: ASC }}], after: \"{cursor}\") {{ totalCount nodes {{ key }} }} }}"),
        "",
    );
    assert_eq!(after["people"], json!({ "totalCount": 1, "nodes": [] }));
}

#[test]
fn who_reads_too_long_is_told_so_and_let_go() {
    let data = folder();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--query-time-max", "1ms"]);
    let stay = |number: u64| reservation(&format!("r{number}"), 1, json!({ "guestId": "g", "propertyId": "h" }));
    let mut events: Vec<Json> = (0..1500).map(stay).collect();
    events.push(event("person.registered", "p", 1, json!({ "name": "P" })));
    let position = service.write(&events);
    service.read("{ reservation(key: \"r1\") { key } }", &position);
    // Every stay of the guest is asked of every stay of the guest.
    let endless = "{ reservations(filter: { guest: { reservations: { every: { guest: { reservations: { every: { \
                   key: { ne: \"x\" } } } } } } } }) { totalCount } }";
    let answer = service.ask(endless, &[]).json();
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("QUERY_TIMEOUT"), "{answer}");
    // Those are let go of that are held for nobody in particular.
    let erased = service.write(&[event("person.erased", "p", 2, json!({}))]);
    service.read("{ person(key: \"p\") { key } }", &erased);
    let position = service.write(&[stay(2000)]);
    service.read("{ reservation(key: \"r1\") { key } }", &position);
    let metrics = service.get("/metrics", &[]).text;
    let count =
        |name: &str| -> f64 { metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap() };
    // The newest, the one of the erasure, and the one before at the moment that the newest was published.
    let (pinned, held) = (count("staygraph_versions_pinned "), count("staygraph_versions_held "));
    assert!((1.0..=3.0).contains(&pinned) && (1.0..=2.0).contains(&held), "{pinned} pinned, {held} held");
}

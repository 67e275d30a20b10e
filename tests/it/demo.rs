//! The demo as a newcomer runs it: late, stopped, started again, and then exactly what its sources hold.
//!
//! `assets/demo/counts.json` was counted from the CSV files by another way than the importer (`assets/demo/counts.py`).

use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::support::{BINARY, Service, folder, root};

fn demo(data: &Path, more: &[&str]) -> Service {
    let mut command = Command::new(BINARY);
    command.arg("demo").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]).args(more);
    Service::run(command)
}

const STAYS: &str = "{ person(key: \"44250196\") { name reservations(first: 10) { totalCount nodes { status
    property { name host { name } prices(first: 3) { nodes { amount { minor currency } validFrom } } } } } } }";

#[test]
fn the_demo_holds_exactly_what_its_sources_hold() {
    let data = folder();
    let late = demo(data.path(), &["--late", "prices"]);
    prices_are_late(&late);
    late.signal("INT");
    assert_eq!(late.ended(), Some(0));
    // The trickle goes on where it stopped: nothing twice, nothing left out.
    let service = demo(data.path(), &["--no-trickle"]);
    let counts: Json =
        serde_json::from_str(&std::fs::read_to_string(root("assets/demo/counts.json")).unwrap()).unwrap();
    let everything = service.read(
        "{ people(first: 0) { totalCount } properties(first: 0) { totalCount } prices(first: 0) { totalCount }
           reservations(first: 0) { totalCount } projection { duplicates conflicts deadLetters { totalCount } eventsApplied }
           catalog { entities { references incomplete fields { name filled } } } }",
        "",
    );
    for list in ["people", "properties", "prices", "reservations"] {
        assert_eq!(everything[list]["totalCount"], counts["entities"][list], "{list}");
    }
    let events: u64 = counts["events"]["all"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let projection =
        json!({ "duplicates": 0, "conflicts": 0, "deadLetters": { "totalCount": 0 }, "eventsApplied": events });
    assert_eq!(everything["projection"], projection);
    for entity in everything["catalog"]["entities"].as_array().unwrap() {
        assert_eq!((&entity["references"], &entity["incomplete"]), (&json!(0), &json!(0)));
    }
    airbnb(&service, &counts["airbnb"]);
    hotels(&service, &counts["hotels"]);
}

/// The same query still answers, `prices` is late with its reason, the others are fresh.
fn prices_are_late(service: &Service) {
    for _ in 0..120 {
        // A demand that nothing meets: the wait is the service's own.
        let wait = [("freshness-at-least", "people/0@99999999"), ("freshness-wait", "500ms")];
        let json = service.ask(STAYS, &wait).json();
        assert_eq!(json["data"]["person"]["reservations"]["totalCount"], json!(51), "{json}");
        let domains = json["extensions"]["freshness"]["domains"].as_array().unwrap();
        assert_eq!(domains.len(), 4, "{json}");
        let prices = domains.iter().find(|domain| domain["domain"] == "prices").unwrap();
        if prices["status"] == "LATENT" {
            assert!(prices["lagEvents"].as_u64().unwrap() > 0);
            assert!(domains.iter().all(|domain| domain["domain"] == "prices" || domain["status"] == "FRESH"), "{json}");
            assert_eq!(json["extensions"]["freshness"]["status"], "LATENT");
            let reason = service.read("{ freshness(domains: [\"prices\"]) { reason } }", "");
            assert!(reason["freshness"][0]["reason"].as_str().unwrap().contains("a minute late"), "{reason}");
            return;
        }
    }
    panic!("prices never became late");
}

fn airbnb(service: &Service, counts: &Json) {
    let people = &counts["people"];
    let host = people["host_with_most_properties"]["id"].as_str().unwrap();
    let property = counts["properties"]["with_most_reservations"]["id"].as_str().unwrap();
    let both = "filter: { properties: { some: {} }, reservations: { some: {} } }, first: 1000";
    let answer = service.read(
        &format!(
            "{{ both: people({both}) {{ nodes {{ key }} }} hosts: people(filter: {{ properties: {{ some: {{}} }} }}, first: 0) {{ totalCount }}
               person(key: \"{host}\") {{ properties(first: 0) {{ totalCount }} }}
               property(key: \"{property}\") {{ reservations(first: 0, filter: {{ provenance: {{ eq: INFERRED }} }}) {{ totalCount }} }}
               reviewed: properties(first: 0, filter: {{ reservations: {{ some: {{ provenance: {{ eq: INFERRED }} }} }} }}) {{ totalCount }}
               bedrooms: properties(first: 0, filter: {{ bedrooms: {{ isNull: false }} }}) {{ totalCount }}
               homes: properties(first: 0, filter: {{ kind: {{ eq: ENTIRE_HOME }} }}) {{ totalCount }}
               most: prices(first: 1, orderBy: [{{ amount: DESC }}]) {{ nodes {{ amount {{ minor currency }} }} }}
               least: prices(first: 1, orderBy: [{{ amount: ASC }}]) {{ nodes {{ amount {{ minor }} }} }}
               stays: reservations(first: 0, filter: {{ provenance: {{ eq: INFERRED }} }}) {{ totalCount }} }}"
        ),
        "",
    );
    let mut both: Vec<&str> =
        answer["both"]["nodes"].as_array().unwrap().iter().map(|node| node["key"].as_str().unwrap()).collect();
    both.sort_unstable();
    assert_eq!(json!(both), people["ids_of_both"]);
    assert_eq!(both.len(), 17);
    assert_eq!(answer["hosts"]["totalCount"], people["hosts"]);
    assert_eq!(answer["person"]["properties"]["totalCount"], json!(253));
    assert_eq!(answer["property"]["reservations"]["totalCount"], json!(665));
    assert_eq!(answer["reviewed"]["totalCount"], counts["properties"]["with_reservations"]);
    assert_eq!(answer["bedrooms"]["totalCount"], counts["properties"]["bedrooms_known"]);
    assert_eq!(answer["homes"]["totalCount"], counts["properties"]["kinds"]["ENTIRE_HOME"]);
    assert_eq!(
        answer["most"]["nodes"][0]["amount"],
        json!({ "minor": counts["prices"]["minor_most"], "currency": "SGD" })
    );
    assert_eq!(answer["least"]["nodes"][0]["amount"]["minor"], counts["prices"]["minor_least"]);
    assert_eq!(answer["stays"]["totalCount"], counts["reservations"]["total"]);
    // Ids above 2^53 survive to the digit.
    for example in counts["properties"]["examples_that_no_double_holds"].as_array().unwrap() {
        let (id, host) = (example["id"].as_str().unwrap(), &example["host_id"]);
        let found = service.read(&format!("{{ property(key: \"{id}\") {{ key bedrooms host {{ key }} }} }}"), "");
        assert_eq!(found["property"], json!({ "key": id, "bedrooms": example["bedrooms"], "host": { "key": host } }));
    }
    let sums = sums(service, "prices", "amount { minor } minNights", |node| {
        [node["amount"]["minor"].as_i64().unwrap(), node["minNights"].as_i64().unwrap_or(0)]
    });
    assert_eq!(json!(sums[0]), counts["prices"]["minor_sum"]);
}

fn hotels(service: &Service, counts: &Json) {
    let reservations = &counts["reservations"];
    let total = |filter: &str| {
        let query = format!(
            "{{ reservations(first: 0, filter: {{ provenance: {{ eq: OBSERVED }}, {filter} }}) {{ totalCount }} }}"
        );
        service.read(&query, "")["reservations"]["totalCount"].clone()
    };
    assert_eq!(total(""), json!(119_390));
    assert_eq!(total("status: { eq: CANCELLED }"), json!(43_017));
    assert_eq!(total("status: { eq: NO_SHOW }"), json!(1_207));
    assert_eq!(total("cancelledAt: { isNull: false }"), json!(43_017));
    assert_eq!(total("nights: { eq: 0 }"), reservations["nights_none"]);
    for (hotel, statuses) in reservations["per_property_and_status"].as_object().unwrap() {
        for (status, count) in statuses.as_object().unwrap() {
            assert_eq!(
                &total(&format!("property: {{ key: {{ eq: \"{hotel}\" }} }}, status: {{ eq: {status} }}")),
                count,
                "{hotel} {status}"
            );
        }
    }
    for (channel, count) in reservations["per_channel"].as_object().unwrap() {
        assert_eq!(&total(&format!("channel: {{ eq: \"{channel}\" }}")), count, "{channel}");
    }
    let sums = sums(service, "reservations", "nights guests total { minor }", |node| {
        [&node["nights"], &node["guests"], &node["total"]["minor"]].map(|value| value.as_i64().unwrap_or(0))
    });
    assert_eq!(
        json!(sums),
        json!([reservations["nights_sum"], reservations["guests_sum"], reservations["total_minor_sum"]])
    );
}

/// Sums over a whole list, page by page.
fn sums<const N: usize>(service: &Service, list: &str, fields: &str, read: impl Fn(&Json) -> [i64; N]) -> [i64; N] {
    let (mut sums, mut after) = ([0; N], String::new());
    loop {
        let page = service.read(
            &format!(
                "{{ {list}(first: 1000{after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
            ),
            "",
        );
        for node in page[list]["nodes"].as_array().unwrap() {
            for (sum, value) in sums.iter_mut().zip(read(node)) {
                *sum += value;
            }
        }
        if page[list]["pageInfo"]["hasNextPage"] == json!(false) {
            return sums;
        }
        after = format!(", after: {}", page[list]["pageInfo"]["endCursor"]);
    }
}

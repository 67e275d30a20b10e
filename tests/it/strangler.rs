//! A legacy system and the new service write the same entities: who has the last word, and where they disagree.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use staygraph::event::{Batch, Decoder, OrderBy};
use staygraph::ids::{Id, TopicId};
use staygraph::model::Model;
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{Disagreement, DomainRules, Partition, Projector, Topic};

use crate::support::{Service, folder, root};

const LEGACY: &str = "/cdc/legacy/guests";
const CLOUD: &str = "/services/people";

fn said(source: &str, id: &str, kind: &str, minute: u8, data: Json) -> Json {
    json!({
        "specversion": "1.0", "id": id, "source": source, "type": kind, "subject": "ann",
        "time": format!("2024-05-01T10:{minute:02}:00Z"), "data": data,
    })
}

#[test]
fn the_catalogue_says_who_has_the_last_word_and_where_they_disagree() {
    let data = folder();
    let config = data.path().join("staygraph.toml");
    std::fs::write(&config, "[domains.people]\norder_by = \"time\"\n[domains.reservations]\norder_by = \"time\"\n")
        .unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    let query = "{ catalog { entities { name lastWords { producer count share }
        disagreements { field count examples { key claims { producer value } } } } } }";
    let person = |position: &str| {
        service.read("{ person(key: \"ann\") { key } }", position);
        let data = service.read(query, "");
        let entities = data["catalog"]["entities"].as_array().unwrap();
        entities.iter().find(|entity| entity["name"] == "Person").unwrap().clone()
    };
    let word = |producer: &str, count: u64, share: f64| json!({ "producer": producer, "count": count, "share": share });

    service.write(&[said(LEGACY, "l-1", "person.registered", 1, json!({ "name": "Ann", "country": "SG" }))]);
    let position = service.write(&[said(CLOUD, "c-1", "person.profile-changed", 2, json!({ "country": "PT" }))]);
    let now = person(&position);
    assert_eq!(now["lastWords"], json!([word(CLOUD, 1, 1.0)]));
    let claims = json!([{ "producer": CLOUD, "value": "PT" }, { "producer": LEGACY, "value": "SG" }]);
    let expected = json!([{ "field": "country", "count": 1, "examples": [{ "key": "ann", "claims": claims }] }]);
    assert_eq!(now["disagreements"], expected);

    // The legacy follows, and has the last word.
    let position = service.write(&[said(LEGACY, "l-2", "person.profile-changed", 3, json!({ "country": "PT" }))]);
    let now = person(&position);
    assert_eq!((&now["lastWords"], &now["disagreements"]), (&json!([word(LEGACY, 1, 1.0)]), &json!([])));

    // Names are personal: seen from this machine, and gone with the person.
    let position = service.write(&[said(CLOUD, "c-2", "person.profile-changed", 4, json!({ "name": "Anna" }))]);
    let now = person(&position);
    let claims = json!([{ "producer": CLOUD, "value": "Anna" }, { "producer": LEGACY, "value": "Ann" }]);
    assert_eq!(now["disagreements"][0]["examples"][0]["claims"], claims);
    let position = service.write(&[said(CLOUD, "c-3", "person.erased", 5, json!({}))]);
    assert_eq!(person(&position)["disagreements"], json!([]));
}

/// Projects events in an order and gives what producers disagree on.
fn project(model: &Arc<Model>, events: &[&Json]) -> (Vec<Disagreement>, Vec<(Arc<str>, u64)>) {
    let rules = vec![DomainRules { order_by: OrderBy::Time, report_gaps: false }; model.domains.len()];
    let people = model.domain_named("people").unwrap();
    let mut projector = Projector::new(model.clone(), rules.into(), Topic::of_domains(model, "log"), 1000);
    let partition = projector.add(
        Partition { topic: TopicId::of(people.index()), log: LogId(1), origin: LogId(1), number: 0, lost: None },
        0,
    );
    let decoder = Decoder::new(model.clone(), vec![OrderBy::Time; model.domains.len()].into(), 1 << 16);
    for (offset, event) in events.iter().enumerate() {
        let mut batch = Batch::new(partition);
        batch.push(&decoder, &[people], offset as u64, Instant::EPOCH, event.to_string().as_bytes());
        projector.apply(&batch, Instant::EPOCH);
    }
    let snapshot = projector.publish();
    let catalogue = &snapshot.catalogue[model.entity_of_event("person").unwrap()];
    (catalogue.disagreements.clone(), catalogue.last_words.clone().into_iter().collect())
}

/// Every order of some things.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with = |index: usize| {
        let rest: Vec<T> = [&items[..index], &items[index + 1..]].concat();
        orders(&rest).into_iter().map(move |mut order| {
            order.push(items[index].clone());
            order
        })
    };
    (0..items.len()).flat_map(with).collect()
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let text = std::fs::read_to_string(root("model.graphql")).unwrap();
    let model = Arc::new(Model::parse(&text, "model.graphql").unwrap());
    let changed = "person.profile-changed";
    let events = [
        said(LEGACY, "l-1", changed, 1, json!({ "country": "SG", "name": "Ann" })),
        said(CLOUD, "c-1", changed, 2, json!({ "country": "PT" })),
        said(LEGACY, "l-2", changed, 3, json!({ "country": "MY" })),
        said(CLOUD, "c-2", changed, 4, json!({ "country": "MY", "name": "Anna" })),
        said(LEGACY, "l-3", changed, 5, json!({ "country": "TH" })),
    ];
    let all: Vec<&Json> = events.iter().collect();
    for count in 1..=events.len() {
        let expected = project(&model, &all[..count]);
        for order in orders(&all[..count]) {
            assert_eq!(project(&model, &order), expected, "{order:?}");
        }
    }
}

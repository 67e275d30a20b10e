//! A small graph that both answer from: entities of every state, fields of every kind, texts that need escapes.

use std::sync::Arc;

use crate::support::rights;
use serde_json::{Value as Json, json};
use staygraph::api::{self, Access, Admission, Api, Documents, OnError, Request, Source, Trusted};
use staygraph::freshness::{Demand, Moment, Thresholds};
use staygraph::ids::PartitionId;
use staygraph::limits::Limits;
use staygraph::model::value::Instant;
use staygraph::projection::Snapshot;
use staygraph::query::Seal;
use staygraph::rights::{Rights, RowRule};
use staygraph::serving::{DomainServing, Serving};
use tokio::runtime::{Builder, Runtime};

use crate::teller::Teller;

pub const MODEL: &str = r#"
"Who stays, and who lets."
type Guest @entity(domain: "guests", event: "guest") {
  name: String @search @personal
  marks: [String!] @personal
  purse: Money @personal
  country: String @index
  since: Date @index
  friend: Guest @link(reverse: "friends")
}
"Somewhere to stay."
type Lodge @entity(domain: "lodges", event: "lodge") @check(rule: "rooms <= beds") {
  name: String @search
  city: String @index
  rooms: Int @index
  beds: Int
  area: Float @index
  open: Boolean
  code: ID @index
  revenue: Long
  place: GeoPoint @index
  tags: [String!]
  grades: [Int!]
  extra: JSON
  kind: Kind @index
  host: Guest @link(reverse: "lodges")
}
"What one gets of it."
enum Kind { HOME ROOM BED }
type Stay @entity(domain: "stays", event: "stay") @check(rule: "checkIn <= checkOut") {
  guest: Guest @link(reverse: "stays")
  lodge: Lodge @link(reverse: "stays")
  checkIn: Date @index
  checkOut: Date
  total: Money @index
  guests: Int
  status: Status @index
  bookedAt: DateTime @index
}
enum Status { BOOKED GONE }
"#;

pub const KEYS: [&str; 12] =
    ["ada", "bob", "eve", "\u{1F600}", "a\"b", "x:y", "mill", "inn", "s1", "s7", "ghost", "nobody"];

pub struct World {
    pub api: Api,
    pub snapshot: Arc<Snapshot>,
    pub runtime: Runtime,
}

/// The time stands still, so that an answer does not depend on it.
fn still() -> Moment {
    Moment { at: Instant { seconds: 1_700_000_000, nanos: 0 }, tick_ms: 60_000 }
}

pub fn seal() -> Seal {
    Seal::new(&[7; 32])
}

impl World {
    /// What is too much is told by other tests: here more may be asked for.
    pub fn new(complexity_max: u64) -> World {
        World::of(complexity_max, &tales(), &[])
    }

    /// What is told of some events, of which rules let one who asks see a part.
    pub fn of(complexity_max: u64, tales: &[Tale], rules: &[RowRule]) -> World {
        let begin = |snapshot: Snapshot| {
            let domain = DomainServing { thresholds: Thresholds::default(), held: None };
            let domains = vec![domain; snapshot.graph.model().domains.len()];
            let (topics, partitions) = (snapshot.topics.ids(), snapshot.partitions.clone());
            let serving = Arc::new(Serving::new(topics.len(), 0, Box::new(|| ()), still));
            let model = snapshot.graph.model().clone();
            let generation = serving.begin(model, domains.into(), snapshot);
            topics
                .for_each(|topic| serving.found(PartitionId(topic.0), topic, 0, partitions[PartitionId(topic.0)].log));
            generation
        };
        let generation = begin(told(tales));
        let snapshot = generation.snapshot();
        let model = snapshot.graph.model().clone();
        let limits = Limits { complexity_max, ..Limits::on(2) };
        let schema = api::make(&model).unwrap();
        let access = Access::new(&schema, &model, rules, true).unwrap_or_else(|faults| panic!("{faults:?}"));
        let api = Api {
            schema,
            access: access.map(Arc::new),
            model,
            generation,
            seal: seal(),
            admission: Admission::new(&limits, || None),
            documents: Arc::new(Documents::new(Trusted::default())),
            limits: Arc::new(limits),
            rules: 0,
        };
        World { api, snapshot, runtime: Builder::new_current_thread().enable_time().build().unwrap() }
    }

    /// The answer's text.
    pub fn answer(&self, text: &str, variables: &Json, operation: Option<&str>, personal: bool, on: OnError) -> String {
        self.answer_to(rights(personal), text, variables, operation, on)
    }

    /// The answer's text to one who asks.
    pub fn answer_to(
        &self,
        rights: Arc<Rights>,
        text: &str,
        variables: &Json,
        operation: Option<&str>,
        on: OnError,
    ) -> String {
        let request = Request {
            source: Source::Text(text.to_owned()),
            operation_name: operation.map(str::to_owned),
            variables: variables.as_object().cloned().unwrap_or_default(),
            demand: Ok(Demand::default()),
            rights,
            plan: false,
            on_error: on,
        };
        String::from_utf8(self.runtime.block_on(self.api.answer(request)).body).unwrap()
    }
}

/// An event as it is told: its type, its subject and its data. Without data its place in the log stays empty.
pub type Tale = (String, String, Option<Json>);

/// What there is to tell.
pub fn tales() -> Vec<Tale> {
    let mut tales = Vec::new();
    let mut tell =
        |kind: &str, key: &str, data: &Json| tales.push((kind.to_owned(), key.to_owned(), Some(data.clone())));
    let guests = [
        ("ada", json!({ "name": "Ada Mill", "country": "SG", "since": "2020-02-29", "friendId": "bob" })),
        ("bob", json!({ "name": "B\u{f6}b \"Inn\"\\\u{7f}\n", "country": "DE", "friendId": "ghost" })),
        ("eve", json!({ "marks": ["a", "\u{1F600}"], "purse": { "minor": -5, "currency": "SGD" }, "friendId": "ada" })),
        ("\u{1F600}", json!({ "name": "Smile", "shoe size": { "eu": 42, "x": [1, null, "\u{e9}"] } })),
        ("a\"b", json!({ "name": "Ada", "country": "SG", "since": "1999-12-31" })),
        ("x:y", json!({ "name": "Colon", "friendId": "x:y" })),
        ("old", json!({ "name": "Gone", "friendId": "ada" })),
        ("twin", json!({ "name": "Twin" })),
    ];
    for (key, data) in &guests {
        tell("guest.changed", key, data);
    }
    let kinds = ["HOME", "ROOM", "BED"];
    for (number, key) in ["mill", "inn", "barn", "loft", "caf\u{e9}"].iter().enumerate() {
        let (city, area) = (["Bergen", "Oslo"][number % 2], [1.0, 0.1, -0.0, 1e300, 12.5][number]);
        let host = ["ada", "old", "ghost", "twin", "eve"][number];
        let mut data = json!({
            "name": format!("The {key} house"), "city": city, "rooms": number, "beds": 9,
            "area": area, "open": number % 2 == 0, "code": format!("{number}"),
            "revenue": 9_007_199_254_740_991_i64 - number as i64, "place": { "lat": 1.25 * number as f64, "lon": -0.5 },
            "kind": kinds[number % 3], "hostId": host,
        });
        if number % 2 == 0 {
            data["tags"] = json!(["quiet", "", "a\tb"]);
            data["grades"] = json!([number, 2]);
            data["extra"] = json!({ "b": [true, { "a": null }], "a": 1.5 });
        }
        tell("lodge.changed", key, &data);
    }
    // Its check does not hold, though each event's does.
    tell("lodge.changed", "barn", &json!({ "beds": 1 }));
    tell("lodge.changed", "barn", &json!({ "rooms": "many" }));
    tell("lodge.changed", "barn", &json!({ "kind": "TENT" }));
    for number in 0..24 {
        let (guest, lodge) = (guests[number % 6].0, ["mill", "inn", "barn", "unknown"][number % 4]);
        let currency = ["SGD", "EUR"][number % 2];
        let mut data = json!({
            "guestId": guest, "lodgeId": lodge,
            "checkIn": format!("2024-0{}-1{}", 1 + number % 6, number % 3), "guests": number % 4,
        });
        if number % 3 > 0 {
            data["total"] = json!({ "minor": number * 100, "currency": currency });
            data["status"] = ["BOOKED", "GONE"][number % 2].into();
            data["bookedAt"] = format!("2024-01-01T00:00:0{}.5Z", number % 10).into();
        }
        tell("stay.changed", &format!("s{number}"), &data);
    }
    tell("stay.changed", "s7", &json!({ "checkOut": "2024-12-01", "lodgeId": null }));
    tell("stay.deleted", "s8", &json!({}));
    tell("stay.merged", "s9", &json!({ "into": "s10" }));
    tell("guest.erased", "old", &json!({}));
    tell("guest.merged", "twin", &json!({ "into": "bob" }));
    tales
}

fn told(tales: &[Tale]) -> Snapshot {
    let mut teller = Teller::new(MODEL);
    for (kind, key, data) in tales {
        match data {
            Some(data) => teller.tell(kind, key, data),
            None => teller.skip(kind),
        }
    }
    teller.snapshot()
}

//! Starting, stopping, losing power, and domains that nobody has thought of yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::clock;
use staygraph::source::log::{Log, partition_of};

use crate::support::{Service, append, event, folder, root};

#[test]
fn what_was_acknowledged_survives_being_killed_in_the_middle_of_writing() {
    let data = folder();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..12u64 {
        let service = Service::start(data.path());
        let stop = AtomicBool::new(false);
        let (ready, rounds) = std::sync::mpsc::channel();
        let written: Vec<(String, u64)> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3u64)
                .map(|writer| {
                    let (service, stop, ready) = (&service, &stop, ready.clone());
                    scope.spawn(move || {
                        let mut written = Vec::new();
                        for number in 0.. {
                            let key = format!("{round}-{writer}-{number}");
                            let body =
                                json!([event("reservation.booked", &key, 1, json!({ "guests": number }))]).to_string();
                            let Some(reply) = try_post(&service.url, &body) else { break };
                            assert_eq!(reply["accepted"], json!(1), "{reply}");
                            written.push((key, number));
                            let _ = ready.send(());
                            if stop.load(Ordering::Acquire) {
                                break;
                            }
                        }
                        written
                    })
                })
                .collect();
            // In the middle of it, at another moment each round.
            (0..=round * 3).for_each(|_| rounds.recv_timeout(Duration::from_secs(30)).unwrap());
            service.signal("KILL");
            stop.store(true, Ordering::Release);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        acknowledged.extend(written);
    }
    let service = Service::start(data.path());
    let position = service.write(&[event("reservation.booked", "last", 1, json!({}))]);
    service.read("{ reservation(key: \"last\") { key } }", &position);
    for chunk in acknowledged.iter().collect::<Vec<_>>().chunks(200) {
        let fields: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(index, (key, _))| format!("r{index}: reservation(key: \"{key}\") {{ guests }}"))
            .collect();
        let answer = service.read(&format!("{{ {} }}", fields.join(" ")), "");
        for (index, (key, number)) in chunk.iter().enumerate() {
            assert_eq!(answer[format!("r{index}")]["guests"], json!(number), "{key} was acknowledged and is lost");
        }
    }
    assert!(acknowledged.len() > 12 * 3, "only {} events were acknowledged", acknowledged.len());
}

fn try_post(url: &str, body: &str) -> Option<Json> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let sent =
        agent.post(format!("{url}/events")).header("content-type", "application/cloudevents-batch+json").send(body);
    sent.ok()?.body_mut().read_json().ok()
}

#[test]
fn a_signal_stops_it_cleanly_and_a_start_after_that_has_everything() {
    let data = folder();
    for signal in ["INT", "TERM"] {
        let service = Service::start(data.path());
        service.write(&[event("person.registered", signal, 1, json!({}))]);
        service.signal(signal);
        assert_eq!(service.ended(), Some(0), "{signal}");
    }
    let service = Service::start(data.path());
    let position = service.write(&[event("person.registered", "x", 1, json!({}))]);
    assert_eq!(service.read("{ people { totalCount } }", &position)["people"]["totalCount"], json!(3));
}

#[test]
fn a_fifth_domain_is_a_model_file_and_nothing_else() {
    let data = folder();
    let model = data.path().join("model.graphql");
    let shipped = std::fs::read_to_string(root("model.graphql")).unwrap();
    let review = "
        \"What a guest thought.\"
        type Review @entity(domain: \"reviews\", event: \"review\") @check(rule: \"stars >= 1 && stars <= 5\") {
          reservation: Reservation @link(reverse: \"reviews\")
          author: Person @link(reverse: \"reviews\")
          stars: Int @index
          good: Boolean @derive(rule: \"stars > 3\")
          postedAt: DateTime @occurredAt(events: [\"posted\"])
        }";
    std::fs::write(&model, format!("{shipped}{review}")).unwrap();
    let service = Service::start_with(&data.path().join("data"), &model, &[]);
    let position = service.write(&[
        event("person.registered", "ada", 1, json!({ "name": "Ada" })),
        event("reservation.booked", "r", 1, json!({ "guestId": "ada" })),
        event("review.posted", "v", 1, json!({ "reservationId": "r", "authorId": "ada", "stars": 5 })),
    ]);
    let answer = service.read(
        "{ reviews(filter: { reservation: { guest: { name: { eq: \"Ada\" } } }, good: { eq: true } }) {
             nodes { key stars postedAt author { reviews { totalCount } } reservation { reviews { nodes { id } } } } }
           reservations(filter: { reviews: { some: { stars: { gte: 5 } } } }) { totalCount } }",
        &position,
    );
    let expected = json!({
        "key": "v", "stars": 5, "postedAt": "2024-05-01T10:00:00Z", "author": { "reviews": { "totalCount": 1 } },
        "reservation": { "reviews": { "nodes": [{ "id": "Review:v" }] } },
    });
    assert_eq!((&answer["reviews"]["nodes"][0], &answer["reservations"]["totalCount"]), (&expected, &json!(1)));
    let refused = service.post(
        "/events",
        "application/cloudevents+json",
        event("review.posted", "w", 1, json!({ "stars": 9 })).to_string().as_bytes(),
    );
    assert_eq!((refused.status, &refused.json()["results"][0]["error"]["code"]), (422, &json!("CHECK_FAILED")));
}

#[test]
fn poison_in_the_log_blocks_nobody_and_is_kept_with_its_reason() {
    let data = folder();
    let good = |key: &str| event("person.registered", key, 1, json!({ "name": "Ada" })).to_string();
    let poison = [
        ("{oops".to_owned(), "BAD_JSON"),
        ("[]".to_owned(), "BAD_ENVELOPE"),
        (event("price.set", "x", 1, json!({})).to_string(), "UNKNOWN_ENTITY"),
        (event("person.registered", "x", 1, json!({ "name": 77777 })).to_string(), "BAD_FIELD"),
        ("\u{1}".to_owned(), "BAD_JSON"),
    ];
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        let mut bodies = vec![good("before")];
        bodies.extend(poison.iter().map(|(body, _)| body.clone()));
        bodies.push(good("after"));
        append(&log, topic, bodies);
    }
    let service = Service::start(data.path());
    let at = format!("people/{}@7", partition_of(b"one", 4));
    let answer = service.read(
        "{ people { nodes { key } } projection { deadLetters(first: 3) { totalCount pageInfo { hasNextPage endCursor }
             nodes { id code field message domain topic partition offset size type subject } } }
           catalog { entities { name deadLetters { name count } } } }",
        &at,
    );
    assert_eq!(answer["people"]["nodes"], json!([{ "key": "after" }, { "key": "before" }]));
    let letters = &answer["projection"]["deadLetters"];
    assert_eq!((&letters["totalCount"], &letters["pageInfo"]["hasNextPage"]), (&json!(5), &json!(true)));
    let after = letters["pageInfo"]["endCursor"].as_str().unwrap();
    let rest = service.read(&format!("{{ projection {{ deadLetters(after: \"{after}\") {{ nodes {{ code field message subject }} }} only: deadLetters(code: \"BAD_FIELD\") {{ totalCount }} }} }}"), "");
    let all: Vec<Json> = [
        letters["nodes"].as_array().unwrap().clone(),
        rest["projection"]["deadLetters"]["nodes"].as_array().unwrap().clone(),
    ]
    .concat();
    for (letter, (_, code)) in all.iter().zip(&poison) {
        assert_eq!(letter["code"], json!(code), "{letter}");
    }
    assert_eq!((&all[3]["field"], &all[3]["subject"]), (&json!("data.name"), &json!("x")));
    assert!(!rest.to_string().contains("77777"), "a message never echoes a personal value");
    assert_eq!(rest["projection"]["only"]["totalCount"], json!(1));
    assert_eq!(
        answer["catalog"]["entities"][0]["deadLetters"],
        json!([{ "name": "BAD_JSON", "count": 2 }, { "name": "BAD_ENVELOPE", "count": 1 }, { "name": "UNKNOWN_ENTITY", "count": 1 }, { "name": "BAD_FIELD", "count": 1 }])
    );
    let metrics = service.get("/metrics", &[]).text;
    assert!(metrics.contains("staygraph_events_dead_total{code=\"BAD_JSON\",domain=\"people\"} 2"), "{metrics}");
}

//! Rules of which rows may be seen, on every way to them: what one who is ruled over is answered is, to the byte, what anybody is
//! answered of a graph that holds only what that one may see.
//!
//! Which nodes those are is asked by a list with the rules' filters, of the whole graph and without rules. Nothing of
//! what the service does with rules is used for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use staygraph::api::OnError;
use staygraph::rights::{Rights, RowRule, Scopes, Who};

use super::generate::Question;
use super::world::{Tale, World, tales};
use super::{BYTES_MAX, PAIR};

/// Rulers, each asked so many questions.
const CASES: u32 = 120;
const QUESTIONS: usize = 30;

const ENTITIES: [(&str, &str); 3] = [("Guest", "guests"), ("Lodge", "lodges"), ("Stay", "stays")];

/// Filters by entity; none is a rule that is open.
const FILTERS: [&[Option<&str>]; 3] = [
    &[
        None,
        Some("{ country: { eq: $country } }"),
        Some("{ key: { eq: $sub } }"),
        Some("{ friend: { key: { eq: $sub } } }"),
        Some("{ lodges: { some: { city: { eq: $city } } } }"),
        Some("{ stays: { none: { status: { eq: GONE } } } }"),
        Some("{ friend: { isNull: true } }"),
        Some("{ name: { contains: \"Ad\" } }"),
        Some("{ not: { key: { in: [\"eve\", \"bob\"] } } }"),
    ],
    &[
        None,
        Some("{ city: { eq: $city } }"),
        Some("{ rooms: { in: $rooms } }"),
        Some("{ rooms: { eq: $rooms } }"),
        Some("{ kind: { eq: $kind } }"),
        Some("{ host: { key: { eq: $sub } } }"),
        Some("{ host: { country: { eq: $country } } }"),
        Some("{ open: { eq: $open } }"),
        Some("{ stays: { every: { guests: { gte: 1 } } } }"),
        Some("{ or: [{ host: { isNull: true } }, { name: { startsWith: \"The m\" } }] }"),
    ],
    &[
        None,
        Some("{ guest: { key: { eq: $sub } } }"),
        Some("{ lodge: { host: { key: { eq: $sub } } } }"),
        Some("{ lodge: { city: { eq: $city } } }"),
        Some("{ status: { eq: BOOKED } }"),
        Some("{ not: { guest: { country: { eq: $country } } } }"),
        Some("{ checkIn: { gte: $since } }"),
        Some("{ total: { minor: { lt: 1500 } } }"),
    ],
];

/// What a token may say, by claim.
fn claims() -> impl Strategy<Value = Map<String, Json>> {
    let of = |values: Vec<Json>| proptest::option::weighted(0.9, proptest::sample::select(values));
    let sub = of(vec![json!("ada"), json!("bob"), json!("eve"), json!("ghost"), json!(["ada", "x:y"])]);
    let country = of(vec![json!("SG"), json!("DE"), json!(["SG", "DE"])]);
    let city = of(vec![json!("Bergen"), json!("Oslo")]);
    let rooms = of(vec![json!([0, 1, 2]), json!([3]), json!([])]);
    let kind = of(vec![json!("HOME"), json!("BED"), json!(["ROOM", "BED"])]);
    let open = of(vec![json!(true), json!(false)]);
    let since = of(vec![json!("2024-02-01"), json!("2024-04-01")]);
    (sub, country, city, rooms, kind, open, since).prop_map(|(sub, country, city, rooms, kind, open, since)| {
        let all = [
            ("sub", sub),
            ("country", country),
            ("city", city),
            ("rooms", rooms),
            ("kind", kind),
            ("open", open),
            ("since", since),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

/// By entity: filters, and whether each is required. No entity without a rule has one that is open.
fn rules() -> impl Strategy<Value = [Vec<(usize, bool)>; 3]> {
    let of = |entity: usize| {
        let filters = FILTERS[entity].len();
        prop_oneof![2 => Just(vec![(0, false)]), 6 => vec((0..filters, proptest::bool::weighted(0.3)), 1..4)]
    };
    (of(0), of(1), of(2)).prop_map(|(guests, lodges, stays)| [guests, lodges, stays])
}

fn given(rules: &[Vec<(usize, bool)>; 3]) -> Vec<RowRule> {
    let all = rules.iter().enumerate().flat_map(|(entity, own)| own.iter().map(move |rule| (entity, *rule)));
    let rule = |(entity, (filter, require)): (usize, (usize, bool))| RowRule {
        place: "test".into(),
        entity: ENTITIES[entity].0.into(),
        filter: FILTERS[entity][filter].map(str::to_owned),
        unless: Vec::new(),
        require: require && FILTERS[entity][filter].is_some(),
    };
    all.map(rule).collect()
}

/// A rule's filter as a document says it; none where a claim is missing. "A list claim means `in` under `eq` alone."
fn said(filter: &str, claims: &Map<String, Json>) -> Option<String> {
    let mut text = filter.to_owned();
    while let Some(start) = text.find('$') {
        let end =
            text[start + 1..].find(|letter: char| !letter.is_alphanumeric()).map_or(text.len(), |end| start + 1 + end);
        let claim = claims.get(&text[start + 1..end])?;
        let is_name = text.contains("kind:");
        let value = if is_name { claim.to_string().replace('"', "") } else { claim.to_string() };
        let before = &text[..start];
        let operator = match (before.strip_suffix("eq: "), claim.is_array()) {
            (Some(before), true) => format!("{before}in: "),
            _ => before.to_owned(),
        };
        if !claim.is_array() && before.ends_with("in: ") {
            return None;
        }
        text = format!("{operator}{value}{}", &text[end..]);
    }
    Some(text)
}

/// The keys of an entity that one may see, those of references, deleted and erased ones among them.
fn visible(whole: &World, entity: usize, rules: &[(usize, bool)], claims: &Map<String, Json>) -> BTreeSet<String> {
    let (mut grants, mut required) = (Vec::new(), Vec::new());
    for (filter, require) in rules {
        let Some(filter) = FILTERS[entity][*filter] else {
            grants.push("{ and: [] }".to_owned());
            continue;
        };
        match (said(filter, claims), require) {
            (Some(text), true) => required.push(text),
            (Some(text), false) => grants.push(text),
            (None, true) => return BTreeSet::new(),
            (None, false) => {}
        }
    }
    let all = "{ in: [COMPLETE, INCOMPLETE, REFERENCE, DELETED, ERASED] }";
    let (grants, required) = (grants.join(", "), required.join(", "));
    let list = ENTITIES[entity].1;
    let text = format!(
        "{{ {list}(first: 1000, filter: {{ completeness: {all}, and: [{{ or: [{grants}] }}, {required}] }}) {{ nodes {{ key }} }} }}"
    );
    let answer: Json = serde_json::from_str(&whole.answer(&text, &json!({}), None, true, OnError::Propagate)).unwrap();
    let nodes = answer["data"][list]["nodes"].as_array().unwrap_or_else(|| panic!("{text}: {answer}"));
    nodes.iter().map(|node| node["key"].as_str().unwrap().to_owned()).collect()
}

/// The tales of what may be seen: links to what may not are null.
fn seen(visible: &[BTreeSet<String>; 3]) -> Vec<Tale> {
    let tales = tales();
    let prefixes = ["guest", "lodge", "stay"];
    let entity_of = |kind: &str| prefixes.iter().position(|prefix| kind.starts_with(prefix)).unwrap();
    let merged: BTreeMap<(usize, String), String> = tales
        .iter()
        .filter(|(kind, ..)| kind.ends_with(".merged"))
        .map(|(kind, key, data)| {
            ((entity_of(kind), key.clone()), data.as_ref().unwrap()["into"].as_str().unwrap().to_owned())
        })
        .collect();
    let sees = |entity: usize, key: &str| {
        let survivor = merged.get(&(entity, key.to_owned())).map_or(key, String::as_str);
        visible[entity].contains(survivor)
    };
    let links = [("friendId", 0), ("hostId", 0), ("guestId", 0), ("lodgeId", 1)];
    let tale = |(kind, key, data): Tale| {
        let data = data.filter(|_| sees(entity_of(&kind), &key)).map(|mut data| {
            for (link, target) in links {
                if data.get(link).and_then(Json::as_str).is_some_and(|key| !sees(target, key)) {
                    data[link] = Json::Null;
                }
            }
            data
        });
        (kind, key, data)
    };
    tales.into_iter().map(tale).collect()
}

/// What an answer says, but for how fresh it is.
fn told(text: &str) -> BTreeMap<String, String> {
    let whole: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    whole
        .into_iter()
        .filter(|(name, _)| name != "extensions")
        .map(|(name, part)| (name, part.get().to_owned()))
        .collect()
}

/// The domains that an answer says it depends on.
fn domains(text: &str) -> Vec<Json> {
    let whole: Json = serde_json::from_str(text).unwrap();
    let all = whole["extensions"]["freshness"]["domains"].as_array().unwrap().iter();
    all.map(|domain| domain["domain"].clone()).collect()
}

/// Whether a document asks for what counts everything, whoever asks.
fn counts_everything(asked: &Question) -> bool {
    ["projection", "catalog", "freshness", "deadLetters"].iter().any(|name| asked.text.ours.contains(name))
}

/// Rules change much of what is answered, and leave something of it: without that, to agree would say little.
#[test]
fn rules_hide_much_and_not_all() {
    let claims = Map::from_iter([("sub".to_owned(), json!("ada")), ("city".to_owned(), json!("Bergen"))]);
    let rules = [vec![(2, false), (3, false)], vec![(1, false), (5, false)], vec![(1, false), (3, false)]];
    let ruled = World::of(u64::MAX, &tales(), &given(&rules));
    let mut state = 3_u64;
    let mut dice = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (mut same, mut other) = (0, 0);
    for _ in 0..1500 {
        let length = dice() % BYTES_MAX;
        let bytes: Vec<u8> = (0..length).map(|_| dice() as u8).collect();
        let asked = PAIR.question(&bytes);
        let ask = |world: &World| {
            let rights = Rights { claims: claims.clone(), ..Rights::new(Who::Token("tests".into()), Scopes::all()) };
            let variables = &asked.variables.ours;
            told(&world.answer_to(Arc::new(rights), &asked.text.ours, variables, asked.operation, OnError::Null))
        };
        let whole = ask(PAIR.world());
        if asked.flaw.is_none() && !counts_everything(&asked) && whole.contains_key("data") {
            let counted = if whole == ask(&ruled) { &mut same } else { &mut other };
            *counted += 1;
        }
    }
    assert!(same > 60 && other > 60, "{same} alike, {other} otherwise");
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_may_not_be_seen_is_not_there(
        rules in rules(), claims in claims(), questions in vec(vec(any::<u8>(), 0..BYTES_MAX), QUESTIONS),
    ) {
        let whole = PAIR.world();
        let visible = [0, 1, 2].map(|entity| visible(whole, entity, &rules[entity], &claims));
        let ruled = World::of(u64::MAX, &tales(), &given(&rules));
        let only = World::of(u64::MAX, &seen(&visible), &[]);
        let nothing: Vec<Tale> = tales().into_iter().map(|(kind, key, _)| (kind, key, None)).collect();
        let nothing = World::of(u64::MAX, &nothing, &given(&rules));
        for bytes in questions {
            let asked = PAIR.question(&bytes);
            if counts_everything(&asked) {
                continue;
            }
            let on = if asked.lenient { OnError::Null } else { OnError::Propagate };
            let scopes = if asked.personal { Scopes::all() } else { crate::support::rights(false).scopes };
            let ask = |world: &World, claims: Map<String, Json>| {
                let rights = Rights { scopes, claims, who: Who::Token("tests".into()) };
                world.answer_to(Arc::new(rights), &asked.text.ours, &asked.variables.ours, asked.operation, on)
            };
            let (ruled, only) = (ask(&ruled, claims.clone()), ask(&only, Map::new()));
            // What it depends on is the same whatever there is.
            prop_assert_eq!(domains(&ruled), domains(&ask(&nothing, claims.clone())), "{}", asked.text.ours);
            prop_assert_eq!(
                told(&ruled), told(&only), "\n{}\nvariables {}\nrules {:?}\nclaims {:?}\nvisible {:?}",
                asked.text.ours, asked.variables.ours, given(&rules), claims, visible
            );
        }
    }
}

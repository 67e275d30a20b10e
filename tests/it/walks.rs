//! Walks over the graph: petgraph's algorithms, the shortest paths, the search for words; and the last two, with the
//! plans of lists, as GraphQL serves them. Each is held against a naive twin that reads the records alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::Direction;
use petgraph::algo::{dijkstra, has_path_connecting, is_cyclic_directed, kosaraju_scc, toposort};
use petgraph::visit::{
    Bfs, EdgeRef, IntoEdgeReferences, IntoEdgesDirected, IntoNeighborsDirected, IntoNodeIdentifiers, NodeCount,
    NodeIndexable, Reversed, Walker,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError};
use serde_json::{Value as Json, json};
use staygraph::graph::{Bounds, Digraph, Edge, Halt, Hop, Path, View, paths};
use staygraph::ids::{EntityId, FieldId, Id, NodeId};
use staygraph::model::cell::Cell;
use staygraph::query::{Hit, Reading, search};

use crate::support::{READER, Service, event, folder, rights};
use crate::teller::Teller;

/// Graphs that petgraph walks, and pairs whose paths are sought.
const CASES: u32 = 500;
/// Questions of words.
const SEARCHES: u32 = 400;

const MODEL: &str = r#"
type City @entity(domain: "cities", event: "city") {
  road: City @link(reverse: "roads")
  rail: City @link(reverse: "rails")
  mayor: Person @link
}
type Person @entity(domain: "persons", event: "person", plural: "persons") {
  friend: Person @link(reverse: "friends")
  home: City @link(reverse: "residents")
  birthplace: City @link
}
"#;
const CITY: EntityId = EntityId(0);
const PERSON: EntityId = EntityId(1);
const KEYS: usize = 9;

/// (entity, what happens, key, the other's key)
type Told = (usize, usize, usize, usize);

fn told() -> impl Strategy<Value = Vec<Told>> {
    vec((0usize..2, 0usize..14, 0usize..KEYS, 0usize..KEYS + 2), 0..60)
}

/// Two versions: the first half of the events, and all.
fn views(events: &[Told]) -> [View; 2] {
    let mut teller = Teller::new(MODEL);
    let (early, late) = events.split_at(events.len() / 2);
    [early, late].map(|events| {
        for (entity, what, key, other) in events {
            let (prefix, links) =
                [("city", ["roadId", "railId", "mayorId"]), ("person", ["friendId", "homeId", "birthplaceId"])]
                    [*entity];
            let (key, other) = (format!("k{key}"), format!("k{other}"));
            match what {
                0 => teller.tell(&format!("{prefix}.deleted"), &key, &json!({})),
                1 if key != other => teller.tell(&format!("{prefix}.merged"), &key, &json!({ "into": other })),
                2 => teller.tell(&format!("{prefix}.changed"), &key, &json!({ links[1]: null })),
                _ => teller.tell(&format!("{prefix}.changed"), &key, &json!({ links[what % 3]: other })),
            }
        }
        teller.publish()
    })
}

/// A graph by its records alone.
struct Naive {
    nodes: BTreeSet<NodeId>,
    edges: BTreeSet<Edge>,
}

impl Naive {
    fn of(view: &View) -> Naive {
        let mut naive = Naive { nodes: BTreeSet::new(), edges: BTreeSet::new() };
        let survivor = |mut id: NodeId| {
            while let Some(into) = view.node(id).merge().filter(|merge| !merge.void).map(|merge| merge.into) {
                id.slot = into;
            }
            id
        };
        for (entity, description) in view.model().entities.entries() {
            for id in view.slots(entity).map(|slot| entity.node(slot)) {
                let node = view.node(id);
                if node.exists() && !node.is_alias() {
                    naive.nodes.insert(id);
                }
                for (field, target) in
                    description.fields.entries().filter_map(|(field, it)| Some((field, it.kind.link()?)))
                {
                    if let (Cell::Link(to), true) = (node.value(field), node.is_listed()) {
                        naive.edges.insert(Edge { source: id, target: survivor(target.node(to)), field });
                    }
                }
            }
        }
        naive
    }

    /// Steps from a node to every other, along links or in either direction.
    fn distances(&self, from: NodeId, step: impl Fn(&Edge, NodeId) -> Option<NodeId>) -> BTreeMap<NodeId, usize> {
        let mut distances = BTreeMap::from([(from, 0)]);
        let mut open = VecDeque::from([from]);
        while let Some(node) = open.pop_front() {
            for next in self.edges.iter().filter_map(|edge| step(edge, node)) {
                if !distances.contains_key(&next) {
                    distances.insert(next, distances[&node] + 1);
                    open.push_back(next);
                }
            }
        }
        distances
    }

    fn along(&self, from: NodeId) -> BTreeMap<NodeId, usize> {
        self.distances(from, |edge, node| (edge.source == node).then_some(edge.target))
    }

    /// Every shortest path by some links, the slow way: a path is a path to a neighbour that is one step nearer, and on.
    fn paths(&self, from: NodeId, to: NodeId, via: &[(EntityId, FieldId)]) -> BTreeSet<Path> {
        let allowed = |edge: &Edge| via.is_empty() || via.contains(&(edge.source.entity, edge.field));
        let other = |edge: &Edge, node: NodeId| match (edge.source == node, edge.target == node) {
            (true, _) => Some((edge.target, true)),
            (_, true) => Some((edge.source, false)),
            _ => None,
        };
        let distances =
            self.distances(to, |edge, node| other(edge, node).filter(|_| allowed(edge)).map(|(next, _)| next));
        let Some(length) = distances.get(&from) else { return BTreeSet::new() };
        let mut paths = BTreeSet::from([Path { nodes: vec![from], hops: Vec::new() }]);
        for left in (0..*length).rev() {
            let longer = paths.iter().flat_map(|path| {
                let node = path.nodes[path.nodes.len() - 1];
                let nearer = self.edges.iter().filter(|edge| allowed(edge)).filter_map(move |edge| {
                    let (next, forward) = other(edge, node)?;
                    Some((next, Hop { entity: edge.source.entity, field: edge.field, forward }))
                });
                nearer.filter(|(next, _)| distances.get(next) == Some(&left)).map(|(next, hop)| {
                    let mut path = path.clone();
                    path.nodes.push(next);
                    path.hops.push(hop);
                    path
                })
            });
            paths = longer.collect();
        }
        paths
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}

fn petgraph_sees_the_records(view: &View) -> Result<(), TestCaseError> {
    let (walk, naive) = (Digraph::new(view), Naive::of(view));
    let nodes = sorted(walk.node_identifiers());
    prop_assert_eq!(&nodes, &sorted(naive.nodes.iter().copied()));
    prop_assert_eq!(walk.node_count(), nodes.len());
    for node in &nodes {
        let index = walk.to_index(*node);
        prop_assert!(index < walk.node_bound());
        prop_assert_eq!(walk.from_index(index), *node);
    }
    // Each edge is seen from both its ends, and once.
    let edges: Vec<Edge> = naive.edges.iter().copied().collect();
    prop_assert_eq!(sorted(walk.edge_references().map(|edge| edge.id())), edges.clone());
    for (direction, end) in
        [(Direction::Outgoing, Edge::source as fn(&Edge) -> NodeId), (Direction::Incoming, Edge::target)]
    {
        let seen = nodes.iter().flat_map(|node| walk.edges_directed(*node, direction));
        prop_assert_eq!(sorted(seen), edges.clone());
        for node in &nodes {
            let here = edges.iter().filter(|edge| end(edge) == *node);
            let others = here.map(|edge| if direction == Direction::Outgoing { edge.target } else { edge.source });
            prop_assert_eq!(sorted(walk.neighbors_directed(*node, direction)), sorted(others));
        }
    }
    let along: BTreeMap<NodeId, BTreeMap<NodeId, usize>> =
        nodes.iter().map(|node| (*node, naive.along(*node))).collect();
    for node in &nodes {
        let found = dijkstra(walk, *node, None, |_| 1usize);
        prop_assert_eq!(&found.into_iter().collect::<BTreeMap<_, _>>(), &along[node]);
        let reached = Bfs::new(walk, *node).iter(walk);
        prop_assert_eq!(sorted(reached), along[node].keys().copied().collect::<Vec<_>>());
        let before = Bfs::new(Reversed(walk), *node).iter(Reversed(walk));
        prop_assert_eq!(sorted(before), sorted(nodes.iter().copied().filter(|from| along[from].contains_key(node))));
        for other in &nodes {
            prop_assert_eq!(has_path_connecting(walk, *node, *other, None), along[node].contains_key(other));
        }
    }
    let cyclic = edges.iter().any(|edge| along[&edge.target].contains_key(&edge.source));
    prop_assert_eq!(is_cyclic_directed(walk), cyclic);
    match toposort(walk, None) {
        Ok(order) => {
            prop_assert!(!cyclic);
            prop_assert_eq!(sorted(order.iter().copied()), nodes);
            let place = |node: NodeId| order.iter().position(|known| *known == node);
            prop_assert!(edges.iter().all(|edge| place(edge.source) < place(edge.target)));
        }
        Err(_) => prop_assert!(cyclic),
    }
    let both_ways = |a: NodeId, b: NodeId| along[&a].contains_key(&b) && along[&b].contains_key(&a);
    for component in kosaraju_scc(walk) {
        let expected = naive.nodes.iter().copied().filter(|node| both_ways(*node, component[0]));
        prop_assert_eq!(sorted(component.iter().copied()), expected.collect::<Vec<_>>());
    }
    Ok(())
}

/// Paths that nobody stops, and how many nodes were expanded.
fn found(view: &View, ends: (NodeId, NodeId), bounds: &Bounds<'_>) -> (Result<Vec<Path>, Halt<()>>, usize) {
    let mut steps = 0;
    let found = paths(view, ends.0, ends.1, bounds, |_| {
        steps += 1;
        Ok(())
    });
    (found, steps)
}

/// The links of the model, as (entity, field).
const LINKS: [(EntityId, FieldId); 6] = [
    (CITY, FieldId(0)),
    (CITY, FieldId(1)),
    (CITY, FieldId(2)),
    (PERSON, FieldId(0)),
    (PERSON, FieldId(1)),
    (PERSON, FieldId(2)),
];

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn petgraph_walks_the_live_graph(events in told()) {
        let [early, late] = views(&events);
        petgraph_sees_the_records(&late)?;
        petgraph_sees_the_records(&early)?;
    }

    #[test]
    fn shortest_paths_are_all_the_shortest(
        events in told(), ends in (0usize..100, 0usize..100), via in proptest::sample::subsequence(LINKS.to_vec(), 0..=6),
        hops_max in 0usize..7, first in 1usize..5, visited_max in 0usize..14,
    ) {
        for view in views(&events) {
            let naive = Naive::of(&view);
            let nodes: Vec<NodeId> = naive.nodes.iter().copied().collect();
            if nodes.is_empty() {
                continue;
            }
            let ends = (nodes[ends.0 % nodes.len()], nodes[ends.1 % nodes.len()]);
            let all = naive.paths(ends.0, ends.1, &via);
            let whole = Bounds { hops_max: 99, visited_max: 2 * nodes.len(), first: 100_000, via: &via };
            let (everything, _) = found(&view, ends, &whole);
            prop_assert_eq!(sorted(everything.unwrap()), all.iter().cloned().collect::<Vec<_>>());

            let (some, _) = found(&view, ends, &Bounds { first, ..whole });
            let some = some.unwrap();
            prop_assert_eq!(some.len(), first.min(all.len()));
            prop_assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), some.len());
            prop_assert!(some.iter().all(|path| all.contains(path)));

            let (short, _) = found(&view, ends, &Bounds { hops_max, ..whole });
            let is_short = |path: &&Path| path.hops.len() <= hops_max;
            prop_assert_eq!(sorted(short.unwrap()), all.iter().filter(is_short).cloned().collect::<Vec<_>>());

            // Within its bound a search is whole, or says that it is not. The two ends are visited in any case.
            match found(&view, ends, &Bounds { visited_max, ..whole }) {
                (Ok(found), steps) => {
                    prop_assert_eq!(sorted(found), all.into_iter().collect::<Vec<_>>());
                    prop_assert!(steps <= visited_max.max(2));
                }
                (Err(halt), _) => {
                    prop_assert_eq!(halt, Halt::Visited);
                    prop_assert!(visited_max < 2 * nodes.len());
                }
            }
        }
    }
}

#[test]
fn a_search_for_paths_ends_at_its_bounds() {
    let mut teller = Teller::new(MODEL);
    for number in 0..50 {
        teller.tell("person.changed", &format!("p{number}"), &json!({ "homeId": "crowd" }));
    }
    // Nobody links to it, so that whom it reaches is reached by its own links alone.
    teller.tell("city.changed", "spring", &json!({ "roadId": "a", "railId": "b", "mayorId": "m" }));
    teller.tell("city.changed", "gate", &json!({ "roadId": "a", "railId": "b", "mayorId": "m" }));
    teller.tell("city.changed", "crowd", &json!({ "roadId": "gate" }));
    teller.tell("city.changed", "far", &json!({ "roadId": "a" }));
    let view = teller.publish();
    let city = |key: &str| view.find(CITY, key).unwrap();
    let bounds = |visited_max: usize| Bounds { hops_max: 9, visited_max, first: 9, via: &[] };
    let ends = (city("crowd"), view.find(PERSON, "p7").unwrap());
    assert_eq!(found(&view, ends, &bounds(99)).0.unwrap().len(), 1);
    let away = (city("gate"), city("far"));
    assert_eq!(found(&view, away, &bounds(99)).0.unwrap().len(), 1);
    for visited_max in 0..3 {
        assert_eq!(found(&view, away, &bounds(visited_max)).0, Err(Halt::Visited), "{visited_max}");
    }
    let (from_spring, steps) = found(&view, (city("spring"), city("far")), &bounds(4));
    assert_eq!((from_spring, steps), (Err(Halt::Visited), 1));
    // From the crowd's side only by the crowd; `via` leaves it out.
    let on_foot = (city("crowd"), city("far"));
    let by_road = Bounds { via: &LINKS[..1], ..bounds(6) };
    assert_eq!(found(&view, on_foot, &by_road).0.unwrap()[0].hops.len(), 3);
    // Whoever asks may end it.
    let stopped = paths(&view, ends.0, ends.1, &bounds(99), |_| Err("enough"));
    assert_eq!(stopped, Err(Halt::Stopped("enough")));
    // From a node to itself there is nothing to walk.
    let still = found(&view, (ends.0, ends.0), &Bounds { hops_max: 0, ..bounds(0) });
    assert_eq!(still, (Ok(vec![Path { nodes: vec![ends.0], hops: Vec::new() }]), 0));
}

const LIBRARY: &str = r#"
type Book @entity(domain: "books", event: "book") {
  title: String @search
  blurb: String @search
  reader: String @search @personal
  shelf: String
}
type Film @entity(domain: "films", event: "film") { title: String @search topics: [String!] @search }
type Shop @entity(domain: "shops", event: "shop") { owner: String @search @personal }
"#;

/// Words as they are written, and as they are compared. Some share what an index holds of them.
const VOCABULARY: [(&str, &str); 16] = [
    ("Café", "cafe"),
    ("cafe", "cafe"),
    ("Cafeteria", "cafeteria"),
    ("ZÜRICH", "zurich"),
    ("Zu\u{308}rich", "zurich"),
    ("zürichsee", "zurichsee"),
    ("Ångström", "angstrom"),
    ("sea", "sea"),
    ("Seas", "seas"),
    ("seaside", "seaside"),
    ("apartment", "apartment"),
    ("Apartments", "apartments"),
    ("apartmenthotel", "apartmenthotel"),
    ("2", "2"),
    ("２４", "24"),
    ("Ωmega", "ωmega"),
];

fn text() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let word = (0..VOCABULARY.len(), select(vec![" ", ", ", " – ", "  (", ") ", "; «", "/ "]));
    vec(word, 0..6).prop_map(|words| {
        let text = words.iter().map(|(word, gap)| format!("{}{gap}", VOCABULARY[*word].0)).collect();
        (text, words.iter().map(|(word, _)| VOCABULARY[*word].1).collect())
    })
}

/// An entity's texts by field, as their words; `None` where none stands.
type Shelved = (usize, u8, Vec<Option<(String, Vec<&'static str>)>>, bool);

const FIELDS: [&[&str]; 3] = [&["title", "blurb", "reader", "shelf"], &["title", "topics"], &["owner"]];

fn shelved() -> impl Strategy<Value = Vec<Shelved>> {
    let texts = vec(proptest::option::weighted(0.7, text()), 4);
    vec((0usize..3, 0u8..12, texts, proptest::bool::weighted(0.08)), 1..40)
}

/// The words that one asks for, the last perhaps only begun.
fn asked() -> impl Strategy<Value = (String, Vec<String>)> {
    let begun = (0..VOCABULARY.len(), 1usize..14).prop_map(|(word, length)| {
        let start = |text: &str| text.chars().take(length).collect::<String>();
        // Written in full where the beginning is not whole letters in both spellings.
        let (written, plain) = VOCABULARY[word];
        if written.chars().count() == plain.chars().count() {
            (start(written), vec![start(plain)])
        } else {
            (written.to_owned(), vec![plain.to_owned()])
        }
    });
    (vec(0..VOCABULARY.len(), 0..3), begun).prop_map(|(words, (begun, plain))| {
        let written: String = words.iter().map(|word| format!("{} ", VOCABULARY[*word].0)).collect();
        let before = words.iter().map(|word| VOCABULARY[*word].1.to_owned());
        (written + &begun, before.chain(plain).collect())
    })
}

/// What a search must find: (entity, key, score, fields).
fn naive_search(
    shelf: &BTreeMap<(usize, String), Vec<Option<Vec<&str>>>>,
    wanted: &[String],
    personal: bool,
    kinds: &[usize],
) -> Vec<(usize, String, f64, Vec<usize>)> {
    let mut hits = Vec::new();
    for ((entity, key), texts) in shelf.iter().filter(|((entity, _), _)| kinds.contains(entity)) {
        let is_open = |field: usize| match FIELDS[*entity][field] {
            "shelf" => false,
            "reader" | "owner" => personal,
            _ => true,
        };
        let (mut exact, mut fields, mut all) = (0, BTreeSet::new(), true);
        for (place, word) in wanted.iter().enumerate() {
            let (mut whole, mut begun) = (false, false);
            for (field, words) in texts.iter().enumerate().filter(|(field, _)| is_open(*field)) {
                let words = words.iter().flatten();
                for known in words.filter(|known| known.starts_with(word.as_str())) {
                    if *known == word || place + 1 == wanted.len() {
                        whole |= known == word;
                        begun = true;
                        fields.insert(field);
                    }
                }
            }
            exact += usize::from(whole);
            all &= begun;
        }
        if all {
            let count: usize = fields.iter().map(|field| texts[*field].as_ref().map_or(0, Vec::len)).sum();
            let share = (exact as f64 + 0.5 * (wanted.len() - exact) as f64) / count.max(wanted.len()) as f64;
            hits.push((*entity, key.clone(), share, fields.into_iter().collect()));
        }
    }
    hits.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)).then_with(|| a.1.cmp(&b.1)));
    hits
}

proptest! {
    #![proptest_config(Config { cases: SEARCHES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_search_finds_what_has_all_the_words(
        shelved in shelved(), questions in vec((asked(), any::<bool>(), 1u8..8, 0usize..20), 12),
    ) {
        let mut teller = Teller::new(LIBRARY);
        let mut shelf: BTreeMap<(usize, String), Vec<Option<Vec<&str>>>> = BTreeMap::new();
        let mut versions = Vec::new();
        for (number, (entity, key, texts, deleted)) in shelved.iter().enumerate() {
            let (prefix, key, fields) = (["book", "film", "shop"][*entity], format!("k{key}"), FIELDS[*entity]);
            if *deleted {
                teller.tell(&format!("{prefix}.deleted"), &key, &json!({}));
                shelf.remove(&(*entity, key));
            } else {
                let of_field = |(name, text): (&&str, &Option<(String, Vec<&str>)>)| {
                    let value = match text {
                        Some((text, _)) if *name == "topics" => json!([text, ""]),
                        text => json!(text.as_ref().map(|(text, _)| text)),
                    };
                    ((*name).to_owned(), value)
                };
                let data = fields.iter().zip(texts).map(of_field);
                teller.tell(&format!("{prefix}.changed"), &key, &Json::Object(data.collect()));
                let words = texts.iter().take(fields.len()).map(|text| text.as_ref().map(|(_, words)| words.clone()));
                shelf.insert((*entity, key), words.collect());
            }
            if number % 16 == 15 || number + 1 == shelved.len() {
                versions.push((teller.publish(), shelf.clone()));
            }
        }
        for (view, shelf) in &versions {
            prop_assert_eq!(view.validate(), Ok(()));
            for ((text, wanted), personal, kinds, first) in &questions {
                let kinds: Vec<usize> = (0..3).filter(|kind| kinds & 1 << kind != 0).collect();
                let reading = Reading::new(view.clone(), rights(*personal), Box::new(|| false));
                let of_hit = |hit: Hit| {
                    let fields: Vec<usize> = hit.fields.into_iter().map(FieldId::index).collect();
                    (hit.node.entity.index(), view.node(hit.node).key().to_owned(), hit.score, fields)
                };
                let searched: Vec<EntityId> = kinds.iter().copied().map(EntityId::of).collect();
                let found: Vec<_> = search(&reading, text, &searched, *first).unwrap().into_iter().map(of_hit).collect();
                let mut expected = naive_search(shelf, wanted, *personal, &kinds);
                expected.truncate(*first);
                prop_assert_eq!(found, expected, "{} {:?}", text, kinds);
            }
        }
    }
}

#[test]
fn words_need_no_case_no_diacritics_and_few_letters() {
    let mut teller = Teller::new(LIBRARY);
    let titles = ["São Paulo à la carte", "Sao Tome", "Łódź", "ﬁne dining", "İzmir", "naïve Bayes", ""];
    for (number, title) in titles.iter().enumerate() {
        teller.tell("book.changed", &format!("b{number}"), &json!({ "title": title, "shelf": "hidden" }));
    }
    let view = teller.publish();
    let reading = Reading::new(view.clone(), rights(false), Box::new(|| false));
    let keys = |text: &str| {
        let hits = search(&reading, text, &[0, 1, 2].map(EntityId), 9).unwrap();
        hits.iter().map(|hit| view.node(hit.node).key().to_owned()).collect::<Vec<_>>()
    };
    let cases: [(&str, &[&str]); 10] = [
        ("sao", &["b1", "b0"]),
        ("SÃO t", &["b1"]),
        ("a LA cart", &["b0"]),
        ("fine", &["b3"]),
        ("izm", &["b4"]),
        ("Bayes NAIVE", &["b5"]),
        ("ba naive", &[]),
        ("hidden", &[]),
        ("", &[]),
        (" – ", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(keys(text), expected, "{text}");
    }
}

/// A post with the request's own extensions.
fn post(service: &Service, query: &str, extensions: &Json) -> Json {
    let body = json!({ "query": query, "extensions": extensions }).to_string();
    service.post("/graphql", "application/json", body.as_bytes()).json()
}

/// The domains that an answer says it depends on.
fn domains(reply: &Json) -> Vec<&str> {
    let domains = reply["extensions"]["freshness"]["domains"].as_array().unwrap();
    domains.iter().map(|domain| domain["domain"].as_str().unwrap()).collect()
}

fn town(service: &Service) {
    let stay = |key: &str, guest: &str, property: &str| {
        event("reservation.booked", key, 1, json!({ "guestId": guest, "propertyId": property, "channel": "web" }))
    };
    let position = service.write(&[
        event("person.registered", "ada", 1, json!({ "name": "Ada Lovelace" })),
        event("person.registered", "bob", 1, json!({ "name": "Bob" })),
        event("property.listed", "villa", 1, json!({ "name": "Villa Zürich", "hostId": "bob" })),
        event("property.listed", "zurich", 1, json!({ "name": "Zurich" })),
        event("property.listed", "lake", 1, json!({ "name": "Am Zürichsee, Ada's", "hostId": "old-bob" })),
        event("property.listed", "gone", 1, json!({ "name": "Zurich" })),
        event("property.deleted", "gone", 2, json!({})),
        event("person.merged", "old-bob", 1, json!({ "into": "bob" })),
        stay("r1", "ada", "villa"),
        stay("r2", "bob", "villa"),
        stay("r3", "unseen", "lake"),
    ]);
    service.read("{ reservations { totalCount } people { totalCount } properties { totalCount } }", &position);
}

#[test]
fn a_search_is_served() {
    let data = folder();
    let service = Service::start_with_reader(data.path());
    town(&service);
    let fields = "{ score fields node { id __typename ... on Property { name } } }";
    let ask = |arguments: &str, headers: &[(&str, &str)]| {
        service.ask(&format!("{{ search({arguments}) {fields} }}"), headers).json()
    };
    let ids = |reply: &Json| {
        let hits = reply["data"]["search"].as_array().unwrap_or_else(|| panic!("{reply}"));
        hits.iter().map(|hit| hit["node"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let found = ask("text: \"ZURICH\"", &[]);
    assert_eq!(
        found["data"]["search"],
        json!([
            { "score": 1.0, "fields": ["name"], "node": { "id": "Property:zurich", "__typename": "Property", "name": "Zurich" } },
            { "score": 0.5, "fields": ["name"], "node": { "id": "Property:villa", "__typename": "Property", "name": "Villa Zürich" } },
            { "score": 0.5 / 3.0, "fields": ["name"], "node": { "id": "Property:lake", "__typename": "Property", "name": "Am Zürichsee, Ada's" } },
        ]),
        "{found}"
    );
    assert_eq!(domains(&found), ["people", "properties"], "whoever might have had the words counts");
    assert_eq!(ids(&ask("text: \"zurich\", first: 1", &[])), ["Property:zurich"]);
    assert_eq!(ids(&ask("text: \"ada\"", &[])), ["Person:ada", "Property:lake"]);
    assert_eq!(ids(&ask("text: \"ada\", kinds: [PROPERTY]", &[])), ["Property:lake"]);
    let nobody = ask("text: \"zurich\", kinds: [PERSON]", &[]);
    assert_eq!((ids(&nobody), domains(&nobody)), (Vec::new(), vec!["people"]));
    assert_eq!(ids(&ask("text: \"ada nobody\"", &[])), Vec::<String>::new());
    assert_eq!(ids(&ask("text: \" ? \"", &[])), Vec::<String>::new());
    // For who may not see personal fields, none is looked at.
    let elsewhere = ask("text: \"a\"", &[READER]);
    assert_eq!((ids(&elsewhere), domains(&elsewhere)), (vec!["Property:lake".to_owned()], vec!["properties"]));
    let refused = ask("text: \"ada\", first: 1001", &[]);
    assert_eq!(refused["errors"][0]["extensions"]["code"], json!("BAD_USER_INPUT"), "{refused}");
}

#[test]
fn paths_are_served() {
    let data = folder();
    let service = Service::start(data.path());
    town(&service);
    let fields = "{ length nodes { id } links { kind from { id } to { id } forward } }";
    let ask = |arguments: &str| service.ask(&format!("{{ paths({arguments}) {fields} }}"), &[]).json();
    let link = |kind: &str, from: &str, to: &str, forward: bool| json!({ "kind": kind, "from": { "id": from }, "to": { "id": to }, "forward": forward });
    let nodes = |ids: &[&str]| ids.iter().map(|id| json!({ "id": id })).collect::<Json>();
    let found = ask("from: \"Person:ada\", to: \"Person:old-bob\"");
    assert_eq!(
        found["data"]["paths"],
        json!([{
            "length": 3,
            "nodes": nodes(&["Person:ada", "Reservation:r1", "Property:villa", "Person:bob"]),
            "links": [
                link("RESERVATION_GUEST", "Reservation:r1", "Person:ada", false),
                link("RESERVATION_PROPERTY", "Reservation:r1", "Property:villa", true),
                link("PROPERTY_HOST", "Property:villa", "Person:bob", true),
            ],
        }]),
        "{found}"
    );
    assert_eq!(domains(&found), ["people", "properties", "prices", "reservations"]);
    // By others' links only, the way is another and longer; and a merged host's link leads on.
    let by_stays = ask("from: \"Person:ada\", to: \"Person:bob\", via: [RESERVATION_GUEST, RESERVATION_PROPERTY]");
    let expected = nodes(&["Person:ada", "Reservation:r1", "Property:villa", "Reservation:r2", "Person:bob"]);
    assert_eq!(by_stays["data"]["paths"][0]["nodes"], expected);
    assert_eq!(domains(&by_stays), ["people", "properties", "reservations"]);
    let hosted = ask("from: \"Property:lake\", to: \"Property:villa\", via: [PROPERTY_HOST]");
    assert_eq!(hosted["data"]["paths"][0]["nodes"], nodes(&["Property:lake", "Person:bob", "Property:villa"]));
    assert_eq!(domains(&hosted), ["people", "properties"]);
    let unseen = ask("from: \"Person:unseen\", to: \"Reservation:r3\"");
    assert_eq!(unseen["data"]["paths"][0]["length"], json!(1), "a reference has paths too: {unseen}");
    let same = ask("from: \"Person:bob\", to: \"Person:old-bob\"");
    assert_eq!(same["data"]["paths"], json!([{ "length": 0, "nodes": nodes(&["Person:bob"]), "links": [] }]));
    for arguments in [
        "from: \"Person:ada\", to: \"Person:bob\", maxHops: 2",
        "from: \"Person:ada\", to: \"Person:bob\", first: 0",
        "from: \"Person:ada\", to: \"Person:bob\", via: []",
        "from: \"Person:ada\", to: \"Person:bob\", via: [RESERVATION_GUEST]",
    ] {
        let reply = ask(arguments);
        assert_eq!((&reply["data"]["paths"], reply.get("errors")), (&json!([]), None), "{arguments}: {reply}");
    }
    for arguments in [
        "from: \"ada\", to: \"Person:bob\"",
        // Nobody is told apart from somebody who is not connected.
        "from: \"Person:ada\", to: \"Person:nobody\"",
        "from: \"Person:nobody\", to: \"Person:ada\"",
        "from: \"Person:ada\", to: \"Ghost:bob\"",
        "from: \"Person:ada\", to: \"Person:bob\", maxHops: 13",
        "from: \"Person:ada\", to: \"Person:bob\", first: -1",
    ] {
        let reply = ask(arguments);
        assert_eq!(reply["errors"][0]["extensions"]["code"], json!("BAD_USER_INPUT"), "{arguments}: {reply}");
    }
}

#[test]
fn a_plan_is_served_to_who_asks() {
    let data = folder();
    let service = Service::start(data.path());
    town(&service);
    let query = "{ reservations(filter: { channel: { eq: \"web\" } }) { totalCount nodes { guest { reservations { totalCount } } } } }";
    let reply = post(&service, query, &json!({ "plan": true }));
    assert_eq!(reply["data"]["reservations"]["totalCount"], json!(3), "{reply}");
    let plans = reply["extensions"]["plan"].as_array().unwrap_or_else(|| panic!("{reply}"));
    assert_eq!(plans.len(), 4, "the list, and that of each guest: {reply}");
    assert!(plans.iter().all(|plan| plan["entity"] == json!("Reservation")), "{reply}");
    let by_channel = plans[0]["candidates"].as_array().unwrap();
    let by_channel = by_channel.iter().find(|candidates| candidates["from"] == json!("index channel"));
    assert_eq!(by_channel.map(|candidates| &candidates["count"]), Some(&json!(3)), "{reply}");
    assert!(plans[0]["order"].is_string(), "{reply}");
    let nothing_listed = post(&service, "{ person(key: \"ada\") { key } }", &json!({ "plan": true }));
    assert_eq!(nothing_listed["extensions"]["plan"], json!([]));
    for extensions in [json!({}), json!({ "plan": false }), json!({ "plan": null })] {
        let reply = post(&service, query, &extensions);
        assert_eq!((reply["extensions"].get("plan"), reply.get("errors")), (None, None), "{extensions}: {reply}");
    }
    let refused = post(&service, query, &json!({ "plan": "please" }));
    assert_eq!(refused["errors"][0]["extensions"]["code"], json!("BAD_USER_INPUT"), "{refused}");
}

/// Chains of merges are as long as people make them: whichever end came first, and closed to a circle or not, making them and
/// looking through them costs each of them little.
#[test]
fn long_chains_of_merges() {
    const LENGTH: usize = 20_000;
    for backwards in [false, true] {
        let mut teller = Teller::new(MODEL);
        let key = |number: usize| format!("k{number}");
        teller.tell("person.changed", &key(LENGTH), &json!({}));
        teller.tell("city.changed", "c", &json!({}));
        for step in 0..LENGTH {
            let number = if backwards { LENGTH - 1 - step } else { step };
            teller.tell("person.merged", &key(number), &json!({ "into": key(number + 1) }));
            teller.tell("city.changed", &format!("c{number}"), &json!({ "mayorId": key(number) }));
        }
        let view = teller.publish();
        let mayor = view.model().entities[CITY].field_named("mayor").unwrap();
        let last = view.find(PERSON, &key(LENGTH)).unwrap();
        for number in 0..LENGTH {
            assert_eq!(view.find(PERSON, &key(number)), Some(last));
            let city = view.node(view.find(CITY, &format!("c{number}")).unwrap());
            assert_eq!(view.follow(&city, mayor, PERSON), Some(last));
        }
        // The circle has one merge that does not count, and its survivor is where that stands.
        teller.tell("person.merged", &key(LENGTH), &json!({ "into": key(0) }));
        let view = teller.publish();
        let survivor = view.find(PERSON, &key(7)).unwrap();
        assert!((0..=LENGTH).all(|number| view.find(PERSON, &key(number)) == Some(survivor)));
        assert!(view.node(survivor).merge().is_some_and(|merge| merge.void));
    }
}

//! The questions that docs/performance.md compares services by, answered by the core alone on the demo's data: plan, walk
//! and read every field that is asked for, without GraphQL and JSON. `cargo bench -- peers`.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant as Clock;

use super::support::{percentile, resident, say, timed};
use serde_json::{Value as Json, json};
use staygraph::event::{Batch, Decoder, OrderBy};
use staygraph::graph::{Bounds, View, paths};
use staygraph::ids::{By, DomainId, EntityId, FieldId, NodeId, Slot};
use staygraph::model::value::Instant;
use staygraph::model::{Model, SHIPPED};
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Topic};
use staygraph::query::{Arguments, Page, Reading, Seal, Source, page, total};
use staygraph::rights::{Rights, Scopes, Who};

fn load(model: &Arc<Model>) -> (Projector, View) {
    let decoder = Decoder::new(model.clone(), vec![OrderBy::Sequence; model.domains.len()].into(), 1 << 20);
    let rules = DomainRules { order_by: OrderBy::Sequence, report_gaps: true };
    let topics = Topic::of_domains(model, "log");
    let partitions: Vec<Partition> = topics
        .ids()
        .map(|topic| Partition { topic, log: LogId(topic.0), origin: LogId(topic.0), number: 0, lost: None })
        .collect();
    let mut projector = Projector::new(model.clone(), vec![rules; model.domains.len()].into(), topics, 1_000_000);
    let batches = partitions.into_iter().map(|partition| Batch::new(projector.add(partition, 0)));
    let mut batches: By<DomainId, Batch> = batches.collect();
    let mut offsets: By<DomainId, u64> = vec![0; model.domains.len()].into();
    for name in ["base", "trickle"] {
        let path = format!("{}/assets/demo/{name}.ndjson.zst", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut text = Vec::new();
        let mut decoder_of_text =
            ruzstd::decoding::StreamingDecoder::new(file).unwrap_or_else(|error| panic!("{path}: {error}"));
        decoder_of_text.read_to_end(&mut text).unwrap_or_else(|error| panic!("{path}: {error}"));
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut buffer = staygraph::event::Buffer::default();
            let Ok(event) = decoder.decode(line, &[], &mut buffer) else { continue };
            let domain = model.entities[event.entity].domain;
            batches[domain].push(&decoder, &[domain], offsets[domain], Instant::EPOCH, line);
            offsets[domain] += 1;
            if batches[domain].len() == 3000 {
                projector.apply(&batches[domain], Instant::EPOCH);
                let partition = batches[domain].partition;
                batches[domain].clear(partition);
            }
        }
    }
    for batch in &batches {
        projector.apply(batch, Instant::EPOCH);
    }
    projector.publish();
    projector.publish();
    let view = projector.publish().graph;
    (projector, view)
}

/// Times a question, and says what the fastest half of many rounds took.
fn ask(name: &str, aim_micros: f64, mut question: impl FnMut() -> usize) {
    let mut times = Vec::new();
    let started = Clock::now();
    let mut found = 0;
    while times.len() < 20 || started.elapsed().as_millis() < 700 {
        let (nodes, took) = timed(&mut question);
        found = std::hint::black_box(nodes);
        times.push(took.as_nanos() as u64);
    }
    let (p50, p99) = (percentile(&mut times, 0.5) / 1000.0, percentile(&mut times, 0.99) / 1000.0);
    let verdict =
        if aim_micros.is_nan() { String::new() } else { format!("; a fifth of the aim is {:.1}", aim_micros / 5.0) };
    say(name, &format!("p50 {p50:>8.2} µs, p99 {p99:>8.2} µs, {found} nodes{verdict}"));
}

/// Reads the first fields of a node, as an answer would.
fn fields(view: &View, id: NodeId, count: usize) -> usize {
    let node = view.node(id);
    let fields = view.model().entities[id.entity].fields.ids().take(count);
    fields.filter(|field| !std::hint::black_box(node.value(*field)).is_null()).count()
}

struct Bench {
    view: View,
    seal: Seal,
    rights: Arc<Rights>,
}

impl Bench {
    fn reading(&self) -> Reading {
        Reading::new(self.view.clone(), self.rights.clone(), Box::new(|| false))
    }

    fn arguments(&self, reading: &Reading, entity: EntityId, arguments: &Json) -> Arguments {
        let read = Arguments::read(
            reading.model(),
            entity,
            &self.seal,
            &self.rights,
            arguments.as_object().unwrap_or(&Default::default()),
        );
        read.unwrap_or_else(|error| panic!("{error}"))
    }

    fn node(&self, entity: EntityId, key: &str) -> NodeId {
        self.view.find(entity, key).unwrap_or_else(|| panic!("{key} is in the demo"))
    }

    /// A page with its fields read, and its total where that is asked for.
    fn page(&self, entity: EntityId, source: Source, given: &Json, fields_read: usize, with_total: bool) -> usize {
        let reading = self.reading();
        let arguments = self.arguments(&reading, entity, given);
        let found = page(&reading, entity, source, &arguments).unwrap_or_else(|error| panic!("{error}"));
        if with_total {
            let counted = match found.total {
                Some(counted) => Ok(counted),
                None => total(&reading, entity, source, &arguments),
            };
            std::hint::black_box(counted.unwrap_or_else(|error| panic!("{error}")));
        }
        found.slots.iter().map(|slot| fields(&self.view, entity.node(*slot), fields_read).min(1)).sum()
    }

    /// The cursor after some pages.
    fn cursor(&self, entity: EntityId, source: Source, given: &Json, pages: usize) -> Json {
        let mut given = given.clone();
        for _ in 0..pages {
            let reading = self.reading();
            let arguments = self.arguments(&reading, entity, &given);
            let found = page(&reading, entity, source, &arguments).unwrap_or_else(|error| panic!("{error}"));
            let last = found.slots.last().copied().unwrap_or_default();
            given["after"] = Page::cursor(&reading, entity.node(last), &arguments.order, &self.seal).into();
        }
        given
    }
}

pub fn run() {
    let model = Arc::new(Model::parse(SHIPPED, "model.graphql").unwrap_or_else(|faults| panic!("{faults:?}")));
    let before = resident();
    let ((projector, view), took) = timed(|| load(&model));
    let entity = |name: &str| model.entity_named(name).unwrap_or_else(|| panic!("the model has {name}"));
    let (person, property, price, reservation) =
        (entity("Person"), entity("Property"), entity("Price"), entity("Reservation"));
    println!("the demo's data decoded and applied in {took:?}; {} versions pinned", projector.pinned());
    let mut slots = 0;
    for (entity, description) in model.entities.entries() {
        let (memory, (lineage, stamps)) = (view.memory(entity), view.beside(entity));
        slots += memory.slots;
        let each = |bytes: usize| bytes as f64 / memory.slots.max(1) as f64;
        say(
            &format!("bytes a {} ({})", description.name, memory.slots),
            &format!(
                "record {:.0} (of it lineage {:.0}, stamps {:.0}), page {:.0}, id {:.0}, links to it and from it {:.0}, indexes {:.0}, owners' {:.0}",
                each(memory.records),
                each(lineage),
                each(stamps),
                each(memory.pages),
                each(memory.keys),
                each(memory.links),
                each(memory.indexes),
                each(memory.owned),
            ),
        );
    }
    say("resident bytes an entity, decoded text and all", &format!("{}", resident().saturating_sub(before) / slots));

    let bench = Bench { view, seal: Seal::new(&[7; 32]), rights: Arc::new(Rights::new(Who::Machine, Scopes::all())) };
    let view = &bench.view;
    let reverse = |entity: EntityId, name: &str| {
        let found = model.entities[entity].reverses.iter().position(|reverse| reverse.name == name);
        found.unwrap_or_else(|| panic!("{name} is a reverse link"))
    };
    let field = |entity: EntityId, name: &str| {
        model.entities[entity].field_named(name).unwrap_or_else(|| panic!("{name} is a field"))
    };
    let key = "hb-50001";
    ask("one node by key", f64::NAN, || view.find(reservation, key).map_or(0, |stay| fields(view, stay, 1)));
    ask("Q1 one by key, 10 fields", 27.0, || view.find(reservation, key).map_or(0, |stay| fields(view, stay, 10)));

    // A host of ten properties or more.
    let busy = |entity: EntityId, link_entity: EntityId, link: FieldId, least: usize| {
        let found = view.slots(entity).find(|slot| view.degree(link_entity, link, *slot) >= least);
        entity.node(found.unwrap_or_default())
    };
    let host = busy(person, property, field(property, "host"), 10);
    let host_key = view.node(host).key().to_owned();
    let (hosted, stays, guested, priced) = (
        reverse(person, "properties"),
        reverse(property, "reservations"),
        reverse(person, "reservations"),
        reverse(property, "prices"),
    );
    ask("Q2 host, 10 properties, 10 stays each", 77.0, || {
        let reading = bench.reading();
        let Some(host) = view.find(person, &host_key) else { return 0 };
        let first = bench.arguments(&reading, property, &json!({ "first": 10 }));
        let properties = page(&reading, property, Source::Reverse { of: host, reverse: hosted }, &first);
        let mut nodes = fields(view, host, 8).min(1);
        for slot in properties.map(|page| page.slots).unwrap_or_default() {
            let home = property.node(slot);
            nodes += fields(view, home, 8).min(1);
            let source = Source::Reverse { of: home, reverse: stays };
            let first = bench.arguments(&reading, reservation, &json!({ "first": 10 }));
            let stays = page(&reading, reservation, source, &first).map(|page| page.slots).unwrap_or_default();
            nodes += stays.into_iter().map(|slot| fields(view, reservation.node(slot), 8).min(1)).sum::<usize>();
        }
        nodes
    });
    let guest = busy(person, reservation, field(reservation, "guest"), 20);
    let guest_key = view.node(guest).key().to_owned();
    ask("Q3 a guest's 20 stays, property, host, 5 prices", 43.0, || {
        let reading = bench.reading();
        let Some(guest) = view.find(person, &guest_key) else { return 0 };
        let source = Source::Reverse { of: guest, reverse: guested };
        let first = bench.arguments(&reading, reservation, &json!({ "first": 20 }));
        let mut nodes = 1;
        for slot in page(&reading, reservation, source, &first).map(|page| page.slots).unwrap_or_default() {
            let stay = reservation.node(slot);
            nodes += fields(view, stay, 8).min(1);
            let node = view.node(stay);
            let Some(home) = view.follow(&node, field(reservation, "property"), property) else { continue };
            nodes += fields(view, home, 8).min(1);
            if let Some(host) = view.follow(&view.node(home), field(property, "host"), person) {
                nodes += fields(view, host, 3).min(1);
            }
            let first = bench.arguments(&reading, price, &json!({ "first": 5 }));
            let source = Source::Reverse { of: home, reverse: priced };
            let prices = page(&reading, price, source, &first).map(|page| page.slots).unwrap_or_default();
            nodes += prices.into_iter().map(|slot| fields(view, price.node(slot), 4).min(1)).sum::<usize>();
        }
        nodes
    });
    // The demo's stays with dates are the hotels', which have a kind and no neighbourhood.
    let between = json!({
        "filter": { "checkIn": { "gte": "2016-03-01", "lt": "2016-03-15" }, "property": { "kind": { "eq": "HOTEL" } } },
        "orderBy": [{ "checkIn": "ASC" }], "first": 50,
    });
    ask("Q4 the hotels' stays of two weeks, sorted, 50, total", 65.0, || {
        bench.page(reservation, Source::All, &between, 8, true)
    });
    let city = Source::Reverse { of: bench.node(property, "hotel-H2"), reverse: stays };
    let cancelled = json!({ "filter": { "status": { "eq": "CANCELLED" } }, "first": 50 });
    let third = bench.cursor(reservation, city, &cancelled, 2);
    ask("Q5 the city hotel's cancelled stays, third page", 41.0, || bench.page(reservation, city, &third, 8, true));
    let mut sorted = cancelled.clone();
    sorted["orderBy"] = json!([{ "checkIn": "DESC" }]);
    let forty_first = bench.cursor(reservation, city, &sorted, 40);
    ask("page 41 of them sorted by check-in, with total", f64::NAN, || {
        bench.page(reservation, city, &forty_first, 0, true)
    });
    ask("page 41 of them, 8 fields of each read", f64::NAN, || bench.page(reservation, city, &forty_first, 8, true));

    // Two guests who stayed in two homes of one host.
    let of = |home: Slot| view.sources(reservation, field(reservation, "property"), home);
    let guest_of = |stay: Slot| view.follow(&view.node(reservation.node(stay)), field(reservation, "guest"), person);
    let homes: Vec<Slot> =
        view.sources(property, field(property, "host"), host.slot).filter(|home| of(*home).next().is_some()).collect();
    let guests: Vec<NodeId> = homes.iter().filter_map(|home| guest_of(of(*home).next()?)).collect();
    let (from, to) = (guests.first().copied().unwrap_or_default(), guests.last().copied().unwrap_or_default());
    let bounds = Bounds { hops_max: 6, visited_max: 100_000, first: 1, via: &[] };
    ask("Q7 a shortest path of two people, 6 hops at most", 43.0, || {
        let found = paths(view, from, to, &bounds, |_| Ok::<(), ()>(())).unwrap_or_default();
        found.first().map_or(0, |path| path.nodes.len())
    });
    let scan = json!({ "filter": { "nights": { "eq": 9 } }, "first": 50 });
    ask("no index: stays of nine nights, first 50", f64::NAN, || bench.page(reservation, Source::All, &scan, 8, false));
    ask("no index: how many stays of nine nights", f64::NAN, || {
        let reading = bench.reading();
        let arguments = bench.arguments(&reading, reservation, &scan);
        total(&reading, reservation, Source::All, &arguments).unwrap_or_default()
    });
}

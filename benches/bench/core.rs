//! The graph's core beside a floor: dense columns without locks, versions, checks or lineage, kept here to be beaten by
//! nobody. One process, one run: compare within it. `cargo bench -- core 1000000`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Clock};

use super::support::{Numbers, busy, percentile, rate, resident, say, timed};
use hashbrown::HashMap;
use staygraph::event::{Batch, Decoder, Event, OrderBy};
use staygraph::freshness::{Moment, Thresholds};
use staygraph::ids::{DomainId, EntityId, FieldId, PartitionId, TopicId};
use staygraph::model::Model;
use staygraph::model::cell::Cell;
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Snapshot, Topic};
use staygraph::serving::{DomainServing, Serving};

const MODEL: &str = r#"
type Thing @entity(domain: "things", event: "thing") {
  name: String
  place: String
  since: Date
  amount: Money
  level: Int
  status: Status
  owner: Thing @link(reverse: "owned")
  other: Thing @link(reverse: "others")
}
enum Status { NEW @on(events: ["made"]) OLD GONE }
"#;

/// The model's one entity, and those of its fields that are read.
const THING: EntityId = EntityId(0);
const LEVEL: FieldId = FieldId(4);
const LINKS: [FieldId; 2] = [FieldId(6), FieldId(7)];

/// A hot thing's updates.
const HOT: u64 = 16;
/// Events a batch, and so a version.
const BATCH: usize = 1000;
const NAMES: [&str; 6] = [
    "Charming two-bedroom loft near the river",
    "Quiet garden room with its own entrance",
    "Penthouse over the old harbour, sleeps six",
    "Family flat by the botanic gardens",
    "Studio above the night market",
    "Heritage shophouse, restored, with terrace",
];

fn key(number: u64) -> String {
    format!("thing-{:012}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000)
}

fn made(numbers: &mut Numbers, number: u64, entities: u64) -> String {
    let name = NAMES[numbers.below(6) as usize];
    let other = match numbers.below(4) {
        0 => String::new(),
        _ => format!(r#","otherId":"{}""#, key(numbers.below(entities))),
    };
    format!(
        r#"{{"specversion":"1.0","id":"{:016x}","source":"/services/things","type":"thing.made","subject":"{}","time":"2024-03-05T10:11:12Z","sequence":1,"data":{{"name":"{name} {number}","place":"District {}","since":"2024-0{}-11","amount":{{"minor":{},"currency":"SGD"}},"level":{},"ownerId":"{}"{other}}}}}"#,
        numbers.next(),
        key(number),
        numbers.below(40),
        1 + numbers.below(9),
        numbers.below(100_000),
        numbers.below(50),
        key(numbers.below(entities)),
    )
}

/// An update of two fields; one in ten is stale, one in ten names another owner.
fn changed(numbers: &mut Numbers, version: u64, entities: u64) -> String {
    let version = if numbers.below(10) == 0 { 1 } else { version };
    let owner = match numbers.below(10) {
        0 => format!(r#","ownerId":"{}""#, key(numbers.below(entities))),
        _ => String::new(),
    };
    format!(
        r#"{{"specversion":"1.0","id":"{:016x}","source":"/services/things","type":"thing.changed","subject":"{}","time":"2024-04-05T10:11:12Z","sequence":{version},"data":{{"level":{},"amount":{{"minor":{},"currency":"SGD"}}{owner}}}}}"#,
        numbers.next(),
        key(numbers.below(entities)),
        numbers.below(50),
        numbers.below(100_000),
    )
}

/// Updates of one thing in sixteen, each sixteen times, one round after another.
fn hot(numbers: &mut Numbers, number: u64, entities: u64) -> String {
    let things = (entities / HOT).max(1);
    changed(numbers, 3 + number / things, things)
}

fn batches(decoder: &Decoder, first: u64, events: u64, mut event: impl FnMut(u64) -> String) -> Vec<Batch> {
    let starts = (first..first + events).step_by(BATCH);
    let batch = |start: u64| {
        let mut batch = Batch::new(PartitionId(0));
        for number in start..(start + BATCH as u64).min(first + events) {
            batch.push(decoder, &[DomainId(0)], number, Instant::EPOCH, event(number - first).as_bytes());
        }
        batch
    };
    starts.map(batch).collect()
}

/// The floor: a column a field, a stamp a record, a list of sources a target.
#[derive(Default)]
struct Columns {
    slots: HashMap<Box<str>, u32>,
    stamps: Vec<u64>,
    names: Vec<Box<str>>,
    places: Vec<Box<str>>,
    numbers: [Vec<i64>; 4],
    links: [Vec<u32>; 2],
    sources: [Vec<Vec<u32>>; 2],
}

impl Columns {
    fn slot(&mut self, key: &str) -> usize {
        if let Some(slot) = self.slots.get(key) {
            return *slot as usize;
        }
        let slot = self.stamps.len();
        self.slots.insert(key.into(), slot as u32);
        self.stamps.push(0);
        self.names.push(Box::default());
        self.places.push(Box::default());
        self.numbers.iter_mut().for_each(|column| column.push(i64::MIN));
        self.links.iter_mut().for_each(|column| column.push(u32::MAX));
        self.sources.iter_mut().for_each(|column| column.push(Vec::new()));
        slot
    }

    fn apply(&mut self, event: &Event<'_>) {
        let slot = self.slot(event.key);
        let version = event.envelope.version.unwrap_or(0);
        if self.stamps[slot] >= version {
            return;
        }
        self.stamps[slot] = version;
        for (field, cell) in event.patch.iter() {
            match (field.index(), cell) {
                (0, Cell::String(text)) => self.names[slot] = text.into(),
                (1, Cell::String(text)) => self.places[slot] = text.into(),
                (2, Cell::Date(date)) => self.numbers[0][slot] = i64::from(date.0),
                (3, Cell::Money(money)) => self.numbers[1][slot] = money.minor,
                (4, Cell::Int(number)) => self.numbers[2][slot] = number,
                (5, Cell::Enum(value)) => self.numbers[3][slot] = i64::from(value),
                (_, Cell::String(key)) => {
                    let target = self.slot(key);
                    let link = field.index() - 6;
                    let old = std::mem::replace(&mut self.links[link][slot], target as u32);
                    if old != u32::MAX {
                        self.sources[link][old as usize].retain(|source| *source != slot as u32);
                    }
                    self.sources[link][target].push(slot as u32);
                }
                _ => {}
            }
        }
    }
}

fn projector(model: &Arc<Model>) -> Projector {
    let rules = DomainRules { order_by: OrderBy::Sequence, report_gaps: true };
    let mut projector = Projector::new(model.clone(), vec![rules].into(), Topic::of_domains(model, "log"), 1000);
    projector.add(Partition { topic: TopicId(0), log: LogId(1), origin: LogId(1), number: 0, lost: None }, 0);
    projector
}

/// How long the versions of some batches took to publish: the longest, and all together.
#[derive(Clone, Copy, Default)]
struct Publications {
    longest: Duration,
    all: Duration,
}

/// Applies batches, each published as a version.
fn apply(projector: &mut Projector, batches: &[Batch], newest: &Mutex<Arc<Snapshot>>) -> Publications {
    let mut publications = Publications::default();
    for batch in batches {
        projector.apply(batch, Instant::EPOCH);
        let (_, took) = timed(|| {
            let snapshot = Arc::new(projector.publish());
            let old = newest.lock().map(|mut newest| std::mem::replace(&mut *newest, snapshot));
            drop(old);
        });
        publications.longest = publications.longest.max(took);
        publications.all += took;
    }
    publications
}

/// Looks keys up, and walks two hops, on the newest version each time. Gives both's times in nanoseconds.
fn read(newest: &Mutex<Arc<Snapshot>>, entities: u64, stop: &AtomicBool) -> (Vec<u64>, Vec<u64>) {
    let (mut points, mut hops, mut numbers) = (Vec::new(), Vec::new(), Numbers(77));
    while !stop.load(Ordering::Relaxed) {
        let Ok(snapshot) = newest.lock().map(|newest| newest.clone()) else { break };
        let view = &snapshot.graph;
        for _ in 0..16 {
            let key = key(numbers.below(entities));
            let (level, took) = timed(|| view.find(THING, &key).map(|thing| view.node(thing).value(LEVEL).is_null()));
            std::hint::black_box(level);
            points.push(took.as_nanos() as u64);
        }
        let key = key(numbers.below(entities));
        let named_by = |slot| LINKS.into_iter().flat_map(move |link| view.sources(THING, link, slot));
        let (sum, took) = timed(|| {
            let mut nodes = 0;
            let Some(thing) = view.find(THING, &key) else { return 0 };
            for first in named_by(thing.slot).take(10) {
                nodes += usize::from(!view.node(THING.node(first)).value(LEVEL).is_null());
                for second in named_by(first).take(10) {
                    nodes += usize::from(!view.node(THING.node(second)).value(LEVEL).is_null());
                }
            }
            nodes
        });
        std::hint::black_box(sum);
        hops.push(took.as_nanos() as u64);
    }
    (points, hops)
}

/// Holds one version for five seconds and walks it all the time.
fn analyse(newest: &Mutex<Arc<Snapshot>>, stop: &AtomicBool) {
    let Ok(snapshot) = newest.lock().map(|newest| newest.clone()) else { return };
    while !stop.load(Ordering::Relaxed) {
        let mut sum = 0i64;
        let _ = snapshot.graph.each::<()>(THING, |_, node| {
            if let Cell::Int(level) = node.value(LEVEL) {
                sum += level;
            }
            if stop.load(Ordering::Relaxed) {
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        });
        std::hint::black_box(sum);
    }
}

fn each_micros(events: u64, took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / events as f64
}

fn measure(entities: u64) {
    println!("\n== {entities} entities, 1.75 links each; a version every {BATCH} events");
    let model = Arc::new(Model::parse(MODEL, "bench.graphql").unwrap_or_else(|faults| panic!("{faults:?}")));
    let decoder = Decoder::new(model.clone(), vec![OrderBy::Sequence].into(), 1 << 20);
    let mut numbers = Numbers(42);
    let creates = batches(&decoder, 0, entities, |number| made(&mut numbers, number, entities));
    let updates = entities.min(1_000_000);
    let round = |version: u64| {
        let mut numbers = Numbers(version + 1);
        batches(&decoder, entities + version * updates, updates, |_| changed(&mut numbers, version, entities))
    };

    let mut floor = Columns::default();
    let before = resident();
    let (_, took) = timed(|| {
        creates.iter().flat_map(Batch::items).for_each(|item| {
            if let Ok(event) = &item.outcome {
                floor.apply(event);
            }
        })
    });
    say("floor: create", &rate(entities as usize, took));
    say("floor: bytes an entity", &format!("{}", (resident() - before) / entities as usize));
    let second = round(2);
    let floor_busy = busy();
    let (_, floor_took) = timed(|| {
        second.iter().flat_map(Batch::items).for_each(|item| {
            if let Ok(event) = &item.outcome {
                floor.apply(event);
            }
        })
    });
    let floor_busy = busy() - floor_busy;
    say("floor: update", &rate(updates as usize, floor_took));
    let heated = {
        let mut numbers = Numbers(5);
        batches(&decoder, entities + 3 * updates, updates, |number| hot(&mut numbers, number, entities))
    };
    let floor_hot_busy = busy();
    heated.iter().flat_map(Batch::items).for_each(|item| {
        if let Ok(event) = &item.outcome {
            floor.apply(event);
        }
    });
    let floor_hot_busy = busy() - floor_hot_busy;
    drop(floor);

    let mut projector = projector(&model);
    let newest = Mutex::new(Arc::new(projector.publish()));
    let (_, took) = timed(|| apply(&mut projector, &creates, &newest));
    say("graph: create", &rate(entities as usize, took));
    drop(creates);
    let graph_busy = busy();
    let (publications, graph_took) = timed(|| apply(&mut projector, &second, &newest));
    let graph_busy = busy() - graph_busy;
    let in_processor_time = |floor: Duration, graph: Duration| {
        let share = floor.as_secs_f64() / graph.as_secs_f64() * 100.0;
        format!("{:.2} µs of processor time each, {share:.0} % of the floor", each_micros(updates, graph))
    };
    let share = |took: Duration| floor_took.as_secs_f64() / took.as_secs_f64() * 100.0;
    say(
        "graph: update",
        &format!(
            "{}, {:.0} % of the floor; of it publishing {:.0} %, the longest {:?}",
            rate(updates as usize, graph_took),
            share(graph_took),
            publications.all.as_secs_f64() / graph_took.as_secs_f64() * 100.0,
            publications.longest
        ),
    );
    say("graph: update", &in_processor_time(floor_busy, graph_busy));
    let (memory, (lineage, stamps)) =
        newest.lock().map(|newest| (newest.graph.memory(THING), newest.graph.beside(THING))).unwrap_or_default();
    let each = |bytes: usize| bytes as f64 / memory.slots as f64;
    let core = memory.records - lineage - stamps + memory.pages + memory.keys + memory.links;
    say(
        "graph: bytes an entity",
        &format!(
            "{:.0} = record {:.0}, page {:.0}, id {:.0}, links {:.0}; lineage {:.0} and stamps {:.0} beside, key order {:.0}",
            each(core),
            each(memory.records - lineage - stamps),
            each(memory.pages),
            each(memory.keys),
            each(memory.links),
            each(lineage),
            each(stamps),
            each(memory.indexes),
        ),
    );

    let hot_busy = busy();
    apply(&mut projector, &heated, &newest);
    say("graph: update of hot things, 16 times each", &in_processor_time(floor_hot_busy, busy() - hot_busy));
    drop(heated);

    let third = round(4);
    let stop = AtomicBool::new(false);
    let (took, (mut points, mut hops)) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&newest, entities, &stop));
        let (_, took) = timed(|| apply(&mut projector, &third, &newest));
        stop.store(true, Ordering::Relaxed);
        (took, reader.join().unwrap_or_default())
    });
    let against = |took: Duration| graph_took.as_secs_f64() / took.as_secs_f64() * 100.0;
    say(
        "graph: update beside one reader",
        &format!("{}, {:.0} % of alone", rate(updates as usize, took), against(took)),
    );
    let micros = |times: &mut Vec<u64>| (percentile(times, 0.5) / 1000.0, percentile(times, 0.99) / 1000.0);
    let ((p50, p99), (h50, h99)) = (micros(&mut points), micros(&mut hops));
    say("graph: point read p50/p99", &format!("{p50:.1}/{p99:.1} µs of {}", points.len()));
    say("graph: two hops p50/p99", &format!("{h50:.1}/{h99:.1} µs of {}", hops.len()));

    held(&mut projector, [round(5), round(6)]);

    let fourth = round(7);
    let stop = AtomicBool::new(false);
    let (events, took, longest) = std::thread::scope(|scope| {
        let analyst = scope.spawn(|| analyse(&newest, &stop));
        let started = Clock::now();
        let (mut events, mut longest) = (0, Duration::ZERO);
        // The same events again are stale and cheap: each round is made anew, beside the clock.
        for (batch, _) in fourth.iter().zip(0..) {
            longest = longest.max(apply(&mut projector, std::slice::from_ref(batch), &newest).longest);
            events += batch.len();
            if started.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        let took = started.elapsed();
        stop.store(true, Ordering::Relaxed);
        let _ = analyst.join();
        (events, took, longest)
    });
    let alone = updates as f64 / graph_took.as_secs_f64();
    let share = events as f64 / took.as_secs_f64() / alone * 100.0;
    say(
        "graph: update beside a query that holds a version",
        &format!("{}, {share:.0} % of alone; longest publication {longest:?}", rate(events, took)),
    );
    say("graph: pages kept for it afterwards", &format!("{}", projector.backlog()));
}

/// What holding versions costs: a round in large versions, one in small ones; the first half of each is published as a service does, the
/// second with nothing held before the newest.
fn held(projector: &mut Projector, rounds: [Vec<Batch>; 2]) {
    let first = projector.publish();
    let domain = DomainServing { thresholds: Thresholds::default(), held: None };
    let moment = || Moment { at: Instant::EPOCH, tick_ms: 0 };
    let serving = Arc::new(Serving::new(1, 0, Box::new(|| ()), moment));
    let generation = serving.begin(projector.model().clone(), vec![domain].into(), first);
    let parts = rounds.each_ref().map(|round| round.split_at(round.len() / 2));
    for (name, step) in [("1,000", BATCH as u64), ("10", 10)] {
        // In the order of their offsets: what lies before the position is left out.
        let (first, second) = if step == 10 { parts[1] } else { parts[0] };
        let mut publish = |half: &[Batch], lets_go: bool| {
            let mut events = 0;
            let (_, took) = timed(|| {
                for batch in half.iter().take(if step == 10 { 50 } else { usize::MAX }) {
                    let start = batch.next_offset - batch.len() as u64;
                    for until in (start + step..=batch.next_offset).step_by(step as usize) {
                        projector.apply_before(batch, until, Instant::EPOCH);
                        generation.publish(projector.publish());
                        if lets_go {
                            generation.let_go();
                        }
                    }
                    events += batch.len();
                }
            });
            (events, took)
        };
        let (events, took) = publish(first, false);
        let ((versions, bytes), with) = (generation.held(), resident());
        generation.let_go();
        let (_, alone) = publish(second, true);
        say(
            &format!("held: a version every {name} events"),
            &format!(
                "{}, {:.0} % of with nothing held; {versions} versions, {:.1} MB by our count, {:.1} MB resident above what is left",
                rate(events, took),
                alone.as_secs_f64() / took.as_secs_f64() * 100.0,
                bytes as f64 / 1e6,
                with.saturating_sub(resident()) as f64 / 1e6,
            ),
        );
    }
}

pub fn run(sizes: &[u64]) {
    sizes.iter().for_each(|entities| measure(*entities));
}

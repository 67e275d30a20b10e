//! Several generations beside each other over one log: each of its own model, at its own pace, with its own words on how fresh it
//! is; what the log's watcher tells is told once, for all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::clock;
use staygraph::encoding::Encoding;
use staygraph::event::{Decoder, OrderBy};
use staygraph::freshness::{Demand, Status, Thresholds};
use staygraph::graph::Completeness;
use staygraph::ids::{By, DomainId, PartitionId, TopicId};
use staygraph::model::Model;
use staygraph::pipeline::{Carries, Format, Line, Parts, Retrier, Wired};
use staygraph::position::{Entry, Position};
use staygraph::projection::{DomainRules, Gate, Projector, Topic};
use staygraph::serving::{DomainServing, Generation, Serving, Wanted};
use staygraph::source::Source;
use staygraph::source::embedded::{Embedded, Subscription};
use staygraph::source::log::Log;
use staygraph::telemetry::Metrics;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::support::{append, event, folder};

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest") { name: String @personal }
type Stay @entity(domain: "stays", event: "stay") { guest: Guest @link(reverse: "stays") MORE }
"#;
const TOPICS: [&str; 2] = ["guests", "stays"];
const PATIENCE: Duration = Duration::from_secs(30);

/// The log, who watches it, and what the generations share.
struct World {
    log: Arc<Log>,
    places: [usize; 2],
    source: Arc<Embedded>,
    serving: Arc<Serving>,
    wired: Wired,
    watcher: JoinHandle<()>,
    runtime: Runtime,
    _folder: TempDir,
}

/// A generation, whose records are read; who projects them is for the test to say.
struct Built {
    generation: Arc<Generation>,
    model: Arc<Model>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    retrier: Arc<Retrier>,
    reader: JoinHandle<()>,
    relay: tokio::task::JoinHandle<()>,
}

fn topics() -> By<TopicId, Topic> {
    let topic = |(id, name): (usize, &str)| Topic {
        source: "log".into(),
        name: name.into(),
        domains: [DomainId(id as u16)].into(),
    };
    TOPICS.into_iter().enumerate().map(topic).collect()
}

impl World {
    fn new() -> World {
        let folder = folder();
        let log = Arc::new(Log::open(folder.path(), 0, clock::now).unwrap());
        let places = TOPICS.map(|name| log.topic(name).unwrap());
        let subscription =
            |(topic, place): (usize, usize)| Subscription { topic: TopicId(topic as u32), place, late_ms: 0 };
        let subscriptions = places.into_iter().enumerate().map(subscription).collect();
        let source = Arc::new(Embedded::new(log.clone(), subscriptions, clock::now));
        let woken = source.clone();
        let serving = Arc::new(Serving::new(TOPICS.len(), 1, Box::new(move || woken.wake()), clock::moment));
        let wired = Wired::new(serving.clone());
        let (watched, tellers) = (source.clone(), wired.tellers());
        let watcher = std::thread::spawn(move || watched.watch(&tellers));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        World { log, places, source, serving, wired, watcher, runtime, _folder: folder }
    }

    fn append(&self, topic: usize, events: impl IntoIterator<Item = Json>) {
        append(&self.log, self.places[topic], events.into_iter().map(|event| event.to_string()));
    }

    /// Begins a generation. In its model a stay has a guest, and something more.
    fn begin(&self, more: &str) -> (Built, staygraph::pipeline::Projecting) {
        let model = Arc::new(Model::parse(&MODEL.replace("MORE", more), "generations.graphql").unwrap());
        let rules = DomainRules { order_by: OrderBy::Sequence, report_gaps: true };
        let mut projector = Projector::new(model.clone(), vec![rules; 2].into(), topics(), 1000);
        let domain = DomainServing { thresholds: Thresholds::default(), held: None };
        let generation = self.serving.begin(model.clone(), vec![domain; 2].into(), projector.publish());
        let format = |topic: &Topic| Format {
            domains: topic.domains.clone(),
            encoding: Encoding::Json,
            registry: None,
            carries: Carries::Events,
        };
        let parts = Parts {
            formats: topics().iter().map(format).collect(),
            decoder: Decoder::new(model.clone(), vec![OrderBy::Sequence; 2].into(), 1 << 16),
            outlet: None,
            projector,
            gate: Gate::new(Vec::new(), clock::moment()),
            generation: generation.clone(),
            saving: None,
            metrics: Arc::new(Metrics::new(model.clone()).unwrap()),
            clock: clock::moment,
            tick: clock::tick,
        };
        let Line { mut sinks, projecting, retrier, stop, .. } = self.wired.line(parts, 1);
        let (source, mut sink) = (self.source.clone(), sinks.pop().unwrap());
        let reader = std::thread::spawn(move || source.read(&mut sink));
        let relay = self.runtime.spawn(generation.clone().relay());
        (Built { generation, model, stop, retrier, reader, relay }, projecting)
    }

    /// The ends of all that was appended.
    fn end(&self) -> Position {
        let mut end = Position::default();
        for topic in &self.log.topics() {
            for partition in 0..topic.partitions {
                let entry = Entry { topic: topic.name.clone(), log: None, partition, offset: topic.end(partition) };
                end.include(entry);
            }
        }
        end
    }

    /// Waits until a generation has all that was appended, and says of it what is said of one that has.
    fn follow(&self, built: &Built) {
        let generation = &built.generation;
        for max_staleness_ms in [None, Some(5000)] {
            let demand = Demand { at_least: Some(self.end()), max_staleness_ms, ..Demand::default() };
            let mut wanted = Wanted::new(&generation.snapshot(), &demand, &[DomainId(0), DomainId(1)]).unwrap();
            let waits = async { tokio::time::timeout(PATIENCE, generation.wait_for(&mut wanted, 10)).await };
            let pinned = self.runtime.block_on(waits).expect("it comes to it").unwrap();
            if max_staleness_ms.is_some() {
                assert!(pinned.freshness.domains.iter().all(|domain| domain.status == Status::Fresh));
                assert!(generation.ready_at().is_some());
            }
        }
    }

    fn stop(self) {
        self.wired.stop();
        self.source.wake();
        self.watcher.join().unwrap();
    }
}

impl Built {
    /// Ends it, and leaves the others alone.
    fn discard(self, world: &World, projector: JoinHandle<()>) {
        self.stop.store(true, Ordering::Release);
        world.source.wake();
        self.retrier.close();
        self.reader.join().unwrap();
        projector.join().unwrap();
        self.relay.abort();
        assert!(world.runtime.block_on(self.relay).unwrap_err().is_cancelled());
    }

    fn applied(&self) -> u64 {
        self.generation.snapshot().applied.iter().sum()
    }

    /// A stay's attributes by name, and its fields.
    fn stay(&self, key: &str) -> (Vec<String>, Json) {
        let snapshot = self.generation.snapshot();
        let entity = self.model.entity_named("Stay").unwrap();
        let node = snapshot.graph.node(snapshot.graph.find(entity, key).unwrap());
        let attributes = node.attributes().map(|(name, _)| name.to_owned()).collect();
        let fields = &self.model.entities[entity].fields;
        let nights = fields.find(|field| field.name == "nights");
        (attributes, nights.map_or(Json::Null, |field| format!("{:?}", node.value(field)).into()))
    }

    fn is_erased(&self, key: &str) -> bool {
        let snapshot = self.generation.snapshot();
        let entity = self.model.entity_named("Guest").unwrap();
        snapshot.graph.node(snapshot.graph.find(entity, key).unwrap()).completeness() == Completeness::Erased
    }
}

fn guest(number: usize) -> Json {
    event("guest.made", &format!("g{number}"), 1, json!({ "name": "Ann" }))
}

fn stay(number: usize) -> Json {
    event("stay.made", &format!("s{number}"), 1, json!({ "guestId": format!("g{number}"), "nights": 3 }))
}

#[test]
fn several_follow_one_log_each_at_its_own_pace() {
    let world = World::new();
    world.append(0, (0..300).map(guest));
    world.append(1, (0..300).map(stay));
    let (first, projecting) = world.begin("");
    let projector = std::thread::spawn(move || projecting.run());
    world.follow(&first);
    let mut number = 300;
    for round in 0..2 {
        // Another model, from the log's beginning; nobody projects yet.
        let (second, mut projecting) = world.begin("nights: Int");
        assert_eq!(second.applied(), 0);
        let pinned = second.generation.pin();
        assert!(pinned.freshness.domains.iter().all(|domain| domain.status == Status::Hydrating), "round {round}");
        assert!(second.generation.why_unready().is_some() && second.generation.ready_at().is_none());
        // What is known of the log's ends it has from the first moment; partitions have one number each.
        let (a, b) = (first.generation.pin(), pinned);
        let ids: Vec<PartitionId> = a.snapshot.partitions.ids().collect();
        assert!(ids.len() > 2 && b.snapshot.partitions.ids().eq(ids.iter().copied()));
        for id in ids {
            assert_eq!(a.snapshot.name(id), b.snapshot.name(id));
            let (a, b) = (&a.freshness.partitions[id], &b.freshness.partitions[id]);
            assert_eq!((a.end, b.end.is_some(), b.lag_events), (b.end, true, b.end), "{round}");
            assert!(b.contact_at.is_some());
        }
        // The first goes on while the second stands still, or goes step by step.
        for _ in 0..3 {
            world.append(1, [stay(number)]);
            number += 1;
            world.follow(&first);
            let before = second.applied();
            let is_work = projecting.step();
            assert!(second.applied() >= before && (is_work || second.applied() == before));
            assert!(second.applied() < first.applied() && second.generation.ready_at().is_none());
        }
        let building = std::thread::spawn(move || projecting.run());
        world.follow(&second);
        assert_eq!(second.applied(), first.applied());
        // Each has its own model's graph of the same events.
        for key in ["s0", "s299", &format!("s{}", number - 1)] {
            assert_eq!(first.stay(key), (vec!["nights".to_owned()], Json::Null));
            assert_eq!(second.stay(key), (Vec::new(), "Int(3)".into()));
        }
        // An erasure counts in every one.
        let erased = format!("g{round}");
        world.append(0, [event("guest.erased", &erased, 2, json!({}))]);
        world.follow(&first);
        world.follow(&second);
        assert!(first.is_erased(&erased) && second.is_erased(&erased));
        // One is no more, and the other does not notice.
        let gone = Arc::downgrade(&second.generation);
        second.discard(&world, building);
        assert!(gone.upgrade().is_none(), "somebody holds it");
        world.append(1, [stay(number)]);
        number += 1;
        world.follow(&first);
        assert!(first.is_erased(&erased) && first.generation.ready_at().is_some());
    }
    first.discard(&world, projector);
    world.stop();
}

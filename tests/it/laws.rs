//! The laws of the projection, held against the naive oracle: the graph is a function of the set of events.

mod cases;
mod folded;
mod rules;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use staygraph::checkpoint::{self, Chunks, Head, Restoring};
use staygraph::event::OrderBy;
use staygraph::event::personal::cut;
use staygraph::freshness::Moment;
use staygraph::graph::{Node, State, View};
use staygraph::ids::{Id as _, NodeId, PartitionId};
use staygraph::model::value::Instant;
use staygraph::projection::{Digest, Gate, Owner, Projector, Snapshot, Vault, digest};

use crate::oracle::{CountsDump, Dump, Fact, Id, NodeDump, Oracle};
use world::{EVENTS_MAX, Modes, PARTITIONS, Plan, SECRET, SECRET_NUMBER, Spec, World, plan, spec};

/// Cases of each ordering.
const CASES: u32 = 150;

/// The canonical dump of a version, through its public face alone.
pub fn dump(view: &View, keys: &BTreeSet<Id>) -> Dump {
    let model = view.model();
    let mut dump = Dump::default();
    for id in keys {
        let answer = view.find(id.0, &id.1).map(|node| view.node(node).key().to_string());
        dump.answers.insert(id.clone(), answer);
    }
    for entity in model.entities.ids() {
        let counts = view.counts(entity);
        dump.counts.push(CountsDump {
            listed: counts.listed,
            references: counts.references,
            incomplete: counts.incomplete,
            deleted: counts.deleted,
            erased: counts.erased,
            filled: counts.filled.clone(),
            breaches: counts.breaches.clone(),
        });
        let _ = view.each::<()>(entity, |slot, node| {
            dump.nodes.insert((entity, node.key().to_string()), dump_node(view, entity.node(slot), node));
            ControlFlow::Continue(())
        });
    }
    dump
}

fn dump_node(view: &View, id: NodeId, node: &Node<'_>) -> NodeDump {
    let description = &view.model().entities[id.entity];
    let mut fields = BTreeMap::new();
    for (index, field) in description.fields.entries() {
        let text = match field.kind.link() {
            Some(target) => view.follow(node, index, target).map(|target| view.node(target).key().to_string()),
            None => Some(node.value(index)).filter(|value| !value.is_null()).map(|value| format!("{value:?}")),
        };
        if let Some(text) = text {
            fields.insert(field.name.clone(), text);
        }
    }
    let mut reverses = BTreeMap::new();
    for reverse in &description.reverses {
        let members = view.merged(id);
        let sources = members.iter().flat_map(|member| view.sources(reverse.entity, reverse.field, *member));
        let keys = sources.map(|source| view.node(reverse.entity.node(source)).key().to_string());
        reverses.insert(reverse.name.clone(), keys.collect());
    }
    NodeDump {
        completeness: node.completeness().name(),
        listed: node.is_listed(),
        missing_versions: node.missing().collect(),
        fields,
        attributes: node.attributes().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        breaches: node.breaches(description).collect(),
        last_event: node.last_event().map(|event| (event.source.to_string(), event.id.to_string())),
        reverses,
    }
}

/// No personal value of who is erased is anywhere, in any form.
fn check_erasure(view: &View, oracle: &Oracle<'_>) -> Result<(), TestCaseError> {
    for (entity, description) in view.model().entities.entries() {
        for node in view.slots(entity).map(|slot| view.node(entity.node(slot))) {
            if !oracle.is_erased(&(entity, node.key().to_string())) {
                continue;
            }
            let all = String::from_utf8_lossy(node.bytes());
            let numbers = (0..8).map(|number| (SECRET_NUMBER + number).to_string());
            for secret in numbers.chain([SECRET.to_owned()]) {
                prop_assert!(
                    !all.contains(&secret),
                    "{} {} is erased, and holds {}: {}",
                    description.name,
                    node.key(),
                    secret,
                    all
                );
            }
            for (index, field) in description.fields.entries() {
                prop_assert!(!field.personal || node.value(index).is_null(), "{} {}: {}", node.key(), field.name, all);
            }
            prop_assert!(node.erased() || node.state() == State::Reference);
        }
    }
    Ok(())
}

fn outside_the_graph(snapshot: &Snapshot) -> String {
    format!("{:?} {:?} {}", snapshot.applied, snapshot.counters, snapshot.dead_letters.count())
}

/// Hides what it is given, so that what is found as it was has not been given to it.
pub struct Hidden;

impl Vault for Hidden {
    fn seal(&self, owner: Owner<'_>, plain: &[u8]) -> Option<Vec<u8>> {
        let mask = format!("{owner:?}").len() as u8 | 0x80;
        Some(plain.iter().map(|byte| byte ^ mask).collect())
    }

    fn open(&self, owner: Owner<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        self.seal(owner, sealed)
    }
}

pub fn digests(view: &View) -> Vec<Digest> {
    view.model()
        .entities
        .ids()
        .map(|entity| digest(view, entity, || Ok::<(), ()>(())).expect("nobody ends it"))
        .collect()
}

/// What a projector that was saved, and made anew of that, goes on with. No personal value is in what was written.
fn through_a_checkpoint(world: &World, mut projector: Projector) -> Projector {
    let snapshot = projector.publish();
    let capture = projector.capture(snapshot, &Gate::default());
    let mut data = Vec::new();
    let written: Result<(), ()> = checkpoint::write(&capture, &Hidden, |bytes| {
        data.extend_from_slice(bytes);
        Ok(())
    });
    assert_eq!(written, Ok(()));
    let text = String::from_utf8_lossy(&data);
    assert!(!text.contains(SECRET), "a personal value is not sealed: {text}");
    let head = Head { sdl: world.model.sdl.clone(), ..Head::default() };
    let mut restoring = Restoring::new(&head, &world.model, &Hidden).expect("the same model");
    let (unpacker, mut chunks) = (restoring.unpacker(), Chunks::new(data.as_slice()));
    while let Some(chunk) = chunks.read().expect("what was written") {
        let part = unpacker.unpack(chunk).expect("what was written");
        restoring.take(part).expect("what was written");
    }
    let mut restored = {
        let (mut gate, now) = (Gate::default(), Moment { at: Instant::EPOCH, tick_ms: 0 });
        restoring.finish(world.new_projector(), &mut gate, now).expect("what was written")
    };
    let (before, after) = (capture.snapshot, restored.publish());
    assert_eq!(after.graph.validate(), Ok(()));
    assert_eq!(digests(&before.graph), digests(&after.graph));
    assert_eq!(outside_the_graph(&before), outside_the_graph(&after));
    assert_eq!(format!("{:?}", before.catalogue), format!("{:?}", after.catalogue));
    assert_eq!(letters(&before), letters(&after));
    restored
}

fn letters(snapshot: &Snapshot) -> Vec<String> {
    snapshot.dead_letters.iter().map(|letter| format!("{letter:?}")).collect()
}

/// One way of reading the logs, with every law judged after every batch.
struct Reading<'a> {
    world: &'a World,
    logs: &'a [world::Log],
    projector: Projector,
    read: [usize; PARTITIONS],
    facts: Vec<Fact>,
    refused: BTreeSet<Id>,
    keys: BTreeSet<Id>,
    latest: Option<(Snapshot, Dump)>,
}

impl Reading<'_> {
    fn run(mut self, plan: &Plan) -> Result<(Dump, Vec<Digest>), TestCaseError> {
        let endless = plan.steps.iter().copied().chain(std::iter::repeat((0, 3, 1)));
        for (choice, take, back) in endless {
            let open: Vec<usize> =
                (0..PARTITIONS).filter(|index| self.read[*index] < self.logs[*index].len()).collect();
            let Some(partition) = open.get(usize::from(choice) % open.len().max(1)) else { break };
            self.step(*partition, usize::from(take), usize::from(back))?;
        }
        let digests = digests(&self.projector.publish().graph);
        Ok((self.latest.map(|(_, dump)| dump).unwrap_or_default(), digests))
    }

    fn step(&mut self, partition: usize, take: usize, back: usize) -> Result<(), TestCaseError> {
        let log = &self.logs[partition];
        let (id, from) = (PartitionId::of(partition), self.read[partition]);
        let to = (from + take).min(log.len());
        let next_offset = log.get(to).map_or(log[to - 1].0 + 1, |(offset, _)| *offset);
        // A batch may overlap with what was read before.
        let batch = self.world.batch(id, &log[from.saturating_sub(back)..to], next_offset);
        self.projector.apply(&batch, Instant::EPOCH);
        self.facts.extend(self.world.facts(id, &log[from..to]));
        self.refused.extend(self.world.refused(id, &log[from..to]));
        self.read[partition] = to;
        let snapshot = self.projector.publish();

        let now = dump(&snapshot.graph, &self.keys);
        let oracle = Oracle::new(&self.world.model, &self.world.rules, &self.facts, &self.refused);
        prop_assert_eq!(&now, &oracle.dump(&self.keys));
        prop_assert_eq!(snapshot.graph.validate(), Ok(()));
        prop_assert_eq!(snapshot.applied[id], next_offset);
        check_erasure(&snapshot.graph, &oracle)?;

        // What a reader holds does not move under it.
        if let Some((earlier, its_dump)) = &self.latest {
            prop_assert_eq!(&dump(&earlier.graph, &self.keys), its_dump);
            prop_assert_eq!(earlier.graph.validate(), Ok(()));
        }

        // All of the partition's records once more: nothing changes, counters included.
        self.projector.apply(&self.world.batch(id, &log[..to], 0), Instant::EPOCH);
        let again = self.projector.publish();
        prop_assert_eq!(&dump(&again.graph, &self.keys), &now);
        prop_assert_eq!(outside_the_graph(&again), outside_the_graph(&snapshot));
        // A start from a checkpoint goes on where it was taken.
        if (back + take).is_multiple_of(3) {
            let projector = std::mem::replace(&mut self.projector, self.world.projector());
            self.projector = through_a_checkpoint(self.world, projector);
            prop_assert_eq!(&dump(&self.projector.publish().graph, &self.keys), &now);
        }
        self.latest = Some((snapshot, now));
        Ok(())
    }
}

fn read(world: &World, logs: &[world::Log], plan: &Plan) -> Result<(Dump, Vec<Digest>), TestCaseError> {
    let reading = Reading {
        world,
        logs,
        projector: world.projector(),
        read: [0; PARTITIONS],
        facts: Vec::new(),
        refused: BTreeSet::new(),
        keys: world.keys(),
        latest: None,
    };
    reading.run(plan)
}

/// The same set of events, delivered in two ways, is the same graph, and the oracle's.
fn state_is_a_function_of_the_set(specs: &[Spec], plans: [&Plan; 2], modes: Modes) -> Result<(), TestCaseError> {
    let world = World::new(modes);
    let [one, other] = plans.map(|plan| read(&world, &plan.logs(specs, modes), plan));
    let one = one?;
    prop_assert_eq!(&one, &other?);
    let cut = without_personal(&world, plans[0].logs(specs, modes));
    prop_assert_eq!(&one, &read(&world, &cut, plans[0])?);
    Ok(())
}

/// The same logs once the keys of the erased are destroyed.
fn without_personal(world: &World, mut logs: Vec<world::Log>) -> Vec<world::Log> {
    let facts: Vec<Fact> =
        logs.iter().enumerate().flat_map(|(partition, log)| world.facts(PartitionId::of(partition), log)).collect();
    let refused =
        logs.iter().enumerate().flat_map(|(partition, log)| world.refused(PartitionId::of(partition), log)).collect();
    let oracle = Oracle::new(&world.model, &world.rules, &facts, &refused);
    for (partition, log) in logs.iter_mut().enumerate() {
        for record in log {
            // What was refused with them may be applied without.
            let decodes = !world.facts(PartitionId::of(partition), std::slice::from_ref(record)).is_empty();
            let Some(cut) = cut(&world.model, &record.1).filter(|_| decodes) else { continue };
            let entity = world.model.entity_of_event(&cut.entity.event).unwrap_or_default();
            if oracle.is_erased(&(entity, cut.subject.unwrap_or_default().into())) {
                record.1 = cut.body;
            }
        }
    }
    logs
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn laws_by_sequence(specs in vec(spec(), 1..EVENTS_MAX), one in plan(), other in plan()) {
        state_is_a_function_of_the_set(&specs, [&one, &other], [OrderBy::Sequence; 2])?;
    }

    #[test]
    fn laws_by_position(specs in vec(spec(), 1..EVENTS_MAX), one in plan(), other in plan()) {
        state_is_a_function_of_the_set(&specs, [&one, &other], [OrderBy::Position; 2])?;
    }

    #[test]
    fn laws_by_time(specs in vec(spec(), 1..EVENTS_MAX), one in plan(), other in plan()) {
        state_is_a_function_of_the_set(&specs, [&one, &other], [OrderBy::Time; 2])?;
    }

    #[test]
    fn laws_where_domains_differ(specs in vec(spec(), 1..EVENTS_MAX), one in plan(), other in plan(), modes in modes()) {
        state_is_a_function_of_the_set(&specs, [&one, &other], modes)?;
    }
}

proptest! {
    #![proptest_config(Config { cases: 4 * CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn an_entity_is_folded_without_a_graph(specs in vec(spec(), 1..EVENTS_MAX), plan in plan(), modes in modes()) {
        folded::judge(&specs, &plan, modes)?;
    }
}

fn modes() -> impl Strategy<Value = Modes> {
    let mode = prop_oneof![Just(OrderBy::Sequence), Just(OrderBy::Position), Just(OrderBy::Time)];
    (mode.clone(), mode).prop_map(|(guests, stays)| [guests, stays])
}

//! The laws of the projection, held against the naive oracle: the graph is a function of the set of events.

mod cases;
mod rules;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use staygraph::event::OrderBy;
use staygraph::event::personal::cut;
use staygraph::graph::{Node, State, View};
use staygraph::model::value::Instant;
use staygraph::projection::{Projector, Snapshot};

use crate::oracle::{CountsDump, Dump, Fact, Id, NodeDump, Oracle};
use world::{EVENTS_MAX, Modes, PARTITIONS, Plan, SECRET, SECRET_NUMBER, Spec, World, plan, spec};

/// Cases of each ordering.
const CASES: u32 = 150;

/// The canonical dump of a version, through its public face alone.
pub fn dump(view: &View, keys: &BTreeSet<Id>) -> Dump {
    let model = view.model();
    let mut dump = Dump::default();
    for id in keys {
        let answer = view.find(id.0, &id.1).map(|slot| view.node(id.0, slot).key().to_string());
        dump.answers.insert(id.clone(), answer);
    }
    for entity in 0..model.entities.len() {
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
            dump.nodes.insert((entity, node.key().to_string()), dump_node(view, entity, slot, node));
            ControlFlow::Continue(())
        });
    }
    dump
}

fn dump_node(view: &View, entity: usize, slot: u32, node: &Node<'_>) -> NodeDump {
    let description = &view.model().entities[entity];
    let mut fields = BTreeMap::new();
    for (index, field) in description.fields.iter().enumerate() {
        let text = match field.kind.link() {
            Some(target) => view.follow(node, index, target).map(|slot| view.node(target, slot).key().to_string()),
            None => Some(node.value(index)).filter(|value| !value.is_null()).map(|value| format!("{value:?}")),
        };
        if let Some(text) = text {
            fields.insert(field.name.clone(), text);
        }
    }
    let mut reverses = BTreeMap::new();
    for reverse in &description.reverses {
        let members = view.merged(entity, slot);
        let sources = members.iter().flat_map(|member| view.sources(reverse.entity, reverse.field, *member));
        let keys = sources.map(|source| view.node(reverse.entity, source).key().to_string());
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
    for (entity, description) in view.model().entities.iter().enumerate() {
        for node in (0..view.slots(entity)).map(|slot| view.node(entity, slot)) {
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
            for (index, field) in description.fields.iter().enumerate() {
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
    fn run(mut self, plan: &Plan) -> Result<Dump, TestCaseError> {
        let endless = plan.steps.iter().copied().chain(std::iter::repeat((0, 3, 1)));
        for (choice, take, back) in endless {
            let open: Vec<usize> =
                (0..PARTITIONS).filter(|index| self.read[*index] < self.logs[*index].len()).collect();
            let Some(partition) = open.get(usize::from(choice) % open.len().max(1)) else { break };
            self.step(*partition, usize::from(take), usize::from(back))?;
        }
        Ok(self.latest.map(|(_, dump)| dump).unwrap_or_default())
    }

    fn step(&mut self, partition: usize, take: usize, back: usize) -> Result<(), TestCaseError> {
        let log = &self.logs[partition];
        let from = self.read[partition];
        let to = (from + take).min(log.len());
        let next_offset = log.get(to).map_or(log[to - 1].0 + 1, |(offset, _)| *offset);
        // A batch may overlap with what was read before.
        let batch = self.world.batch(partition, &log[from.saturating_sub(back)..to], next_offset);
        self.projector.apply(&batch, Instant::EPOCH);
        self.facts.extend(self.world.facts(partition, &log[from..to]));
        self.refused.extend(self.world.refused(partition, &log[from..to]));
        self.read[partition] = to;
        let snapshot = self.projector.publish();

        let now = dump(&snapshot.graph, &self.keys);
        let oracle = Oracle::new(&self.world.model, &self.world.rules, &self.facts, &self.refused);
        prop_assert_eq!(&now, &oracle.dump(&self.keys));
        prop_assert_eq!(snapshot.graph.validate(), Ok(()));
        prop_assert_eq!(snapshot.applied[partition], next_offset);
        check_erasure(&snapshot.graph, &oracle)?;

        // What a reader holds does not move under it.
        if let Some((earlier, its_dump)) = &self.latest {
            prop_assert_eq!(&dump(&earlier.graph, &self.keys), its_dump);
            prop_assert_eq!(earlier.graph.validate(), Ok(()));
        }

        // All of the partition's records once more: nothing changes, counters included.
        self.projector.apply(&self.world.batch(partition, &log[..to], 0), Instant::EPOCH);
        let again = self.projector.publish();
        prop_assert_eq!(&dump(&again.graph, &self.keys), &now);
        prop_assert_eq!(outside_the_graph(&again), outside_the_graph(&snapshot));
        self.latest = Some((snapshot, now));
        Ok(())
    }
}

fn read(world: &World, logs: &[world::Log], plan: &Plan) -> Result<Dump, TestCaseError> {
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
    let facts: Vec<Fact> = logs.iter().enumerate().flat_map(|(partition, log)| world.facts(partition, log)).collect();
    let refused = logs.iter().enumerate().flat_map(|(partition, log)| world.refused(partition, log)).collect();
    let oracle = Oracle::new(&world.model, &world.rules, &facts, &refused);
    for (partition, log) in logs.iter_mut().enumerate() {
        for record in log {
            // What was refused with them may be applied without.
            let decodes = !world.facts(partition, std::slice::from_ref(record)).is_empty();
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

fn modes() -> impl Strategy<Value = Modes> {
    let mode = prop_oneof![Just(OrderBy::Sequence), Just(OrderBy::Position), Just(OrderBy::Time)];
    (mode.clone(), mode).prop_map(|(guests, stays)| [guests, stays])
}

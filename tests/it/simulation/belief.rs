//! What a process should have applied, told from what was handed to it: each record once, in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use staygraph::graph::View;
use staygraph::ids::{By, Id as _, PartitionId};
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{Digest, Partition, Snapshot};

use super::cluster::{Cluster, Given, Log, Said};
use crate::laws::world::World;
use crate::laws::{digests, dump};
use crate::oracle::{Fact, Id, Oracle};

/// What was handed on of one log of a partition.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub log: LogId,
    pub origin: LogId,
    pub start: u64,
    /// How much later its records are than their offsets say: others were there before.
    raised: u64,
    /// The next record to hand on.
    pub end: u64,
    given: BTreeMap<u64, Arc<Given>>,
}

#[derive(Clone, Debug)]
pub struct Lane {
    /// Among the cluster's logs.
    pub place: usize,
    epochs: Vec<Epoch>,
}

#[derive(Clone, Debug, Default)]
pub struct Belief {
    pub lanes: By<PartitionId, Lane>,
}

impl Lane {
    pub fn new(place: usize, log: LogId, start: u64) -> Lane {
        let first = Epoch { log, origin: log, start, raised: 0, end: start, given: BTreeMap::new() };
        Lane { place, epochs: vec![first] }
    }

    pub fn last(&self) -> &Epoch {
        self.epochs.last().expect("there is always one")
    }

    pub fn give(&mut self, offset: u64, given: Arc<Given>) {
        self.newest().given.insert(offset, given);
    }

    /// All before `next` is on its way.
    pub fn reach(&mut self, next: u64) {
        let newest = self.newest();
        newest.end = newest.end.max(next);
    }

    pub fn restart(&mut self, log: LogId, origin: LogId, start: u64) {
        let last = self.last();
        let raised = last.raised + last.end.saturating_sub(start);
        self.epochs.push(Epoch { log, origin, start, raised, end: start, given: BTreeMap::new() });
    }

    fn newest(&mut self) -> &mut Epoch {
        self.epochs.last_mut().expect("there is always one")
    }

    /// As far as a version has come.
    pub fn at(&self, partition: &Partition, applied: u64) -> Lane {
        // One that is there no more is begun anew under the same name.
        let is_it = |epoch: &Epoch| epoch.log == partition.log && (epoch.start..=epoch.end).contains(&applied);
        let place = self.epochs.iter().rposition(is_it);
        let place = place.unwrap_or_else(|| panic!("{partition:?} has applied {applied}, of {:?}", self.epochs));
        let mut epochs = self.epochs[..=place].to_vec();
        let newest = epochs.last_mut().expect("there is one");
        newest.given.retain(|offset, _| *offset < applied);
        newest.end = applied;
        Lane { place: self.place, epochs }
    }
}

impl Belief {
    /// As far as a version has come.
    pub fn at(&self, snapshot: &Snapshot) -> Belief {
        let lane = |(id, partition)| self.lanes[id].at(partition, snapshot.applied[id]);
        Belief { lanes: snapshot.partitions.entries().map(lane).collect() }
    }

    fn all(&self) -> impl Iterator<Item = (&Epoch, u64, &Said)> {
        let epochs = self.lanes.iter().flat_map(|lane| &lane.epochs);
        epochs.flat_map(|epoch| epoch.given.iter().map(move |(offset, given)| (epoch, *offset, &given.said)))
    }

    /// Events, in any form: each counts once.
    fn count(&self) -> u64 {
        self.all().filter(|(_, _, said)| !matches!(said, Said::End)).count() as u64
    }

    fn oracle<'a>(&self, cluster: &'a Cluster) -> Oracle<'a> {
        let (mut facts, mut refused) = (Vec::new(), BTreeSet::new());
        for (epoch, offset, said) in self.all() {
            match said {
                Said::Fact(fact) => facts.push(Fact { offset: offset + epoch.raised, ..fact.clone() }),
                Said::Refused(id) => drop(refused.insert(id.clone())),
                Said::End => {}
            }
        }
        Oracle::new(&cluster.world.model, &cluster.world.rules, &facts, &refused)
    }

    /// A version is what the oracle makes of the same events, each of which was counted once.
    pub fn check(&self, cluster: &Cluster, snapshot: &Snapshot) {
        let keys: BTreeSet<Id> = cluster.world.keys();
        assert_eq!(dump(&snapshot.graph, &keys), self.oracle(cluster).dump(&keys));
        let counted: u64 =
            snapshot.counters.iter().map(|counters| counters.applied + counters.duplicates + counters.dead).sum();
        assert_eq!(counted, self.count(), "each record is applied once");
        assert_eq!(snapshot.graph.validate(), Ok(()));
    }

    /// The personal entities that an erasure reaches.
    pub fn erased(&self, cluster: &Cluster, view: &View) -> BTreeSet<Id> {
        let oracle = self.oracle(cluster);
        let is_erased = |id: &Id| {
            cluster.world.model.entities[id.0].has_personal && oracle.is_erased(id) && view.find(id.0, &id.1).is_some()
        };
        cluster.world.keys().into_iter().filter(is_erased).collect()
    }

    /// All that the logs hold is in.
    pub fn check_complete(&self, cluster: &Cluster) {
        for (place, log) in cluster.logs.iter().enumerate().filter(|(_, log)| log.is_there) {
            if log.topic.index() >= cluster.topics() {
                continue;
            }
            let lane = self.lanes.iter().find(|lane| lane.place == place).expect("it was found");
            let last = lane.last();
            assert_eq!((last.log, last.end), (log.known_as, log.end), "{place}");
            // What lies before its last records were lost was given before.
            let is_given = |offset: &u64| {
                let own = lane.epochs.iter().filter(|epoch| epoch.origin == log.origin);
                own.into_iter().any(|epoch| epoch.given.contains_key(offset))
            };
            let offsets = log.records.iter().map(|record| record.offset);
            let missing: Vec<u64> = offsets.filter(|offset| !is_given(offset)).collect();
            assert!(missing.is_empty(), "of {place} it was never given {missing:?}");
        }
    }

    /// The digests of a projection that nobody ever disturbed.
    pub fn undisturbed(&self, cluster: &Cluster, snapshot: &Snapshot) -> Vec<Digest> {
        for (id, lane) in self.lanes.entries() {
            assert_eq!(snapshot.partitions[id].number, cluster.logs[lane.place].number);
        }
        undisturbed(&cluster.world, cluster, self.lanes.iter())
    }
}

/// The digests of a projection by a world's model, to which some lanes were handed one after another.
pub fn undisturbed<'l>(world: &World, cluster: &Cluster, lanes: impl Iterator<Item = &'l Lane>) -> Vec<Digest> {
    let mut projector = world.new_projector();
    for lane in lanes.filter(|lane| cluster.logs[lane.place].topic.index() < 2) {
        let Log { topic, number, .. } = cluster.logs[lane.place];
        let first = &lane.epochs[0];
        let described = Partition { topic, log: first.log, origin: first.origin, number, lost: None };
        let own = projector.add(described, first.start);
        for (place, epoch) in lane.epochs.iter().enumerate() {
            if place > 0 {
                projector.restart(own, epoch.log, epoch.origin, epoch.start, "made anew");
            }
            let of = PartitionId::of(lane.place);
            let records: Vec<(u64, Vec<u8>)> =
                epoch.given.iter().map(|(offset, given)| (*offset, given.event.clone())).collect();
            let mut batch = world.batch(of, &records, epoch.end);
            batch.partition = own;
            projector.apply(&batch, Instant::EPOCH);
        }
    }
    digests(&projector.publish().graph)
}

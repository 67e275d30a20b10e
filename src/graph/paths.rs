//! The shortest paths between two nodes, by breadth-first search from both ends (Pohl, 1971): a one-sided search would
//! walk through every guest of a hotel.

use std::collections::HashMap;

use super::view::View;
use crate::ids::{EntityId, FieldId, NodeId};

/// What a search may cost, and which links it may take.
pub struct Bounds<'a> {
    pub hops_max: usize,
    pub visited_max: usize,
    /// The most paths.
    pub first: usize,
    /// Links as (entity, field); all where there are none.
    pub via: &'a [(EntityId, FieldId)],
}

/// One step along a link: the entity and field that hold it, and whether it is walked from who names to whom is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    pub entity: EntityId,
    pub field: FieldId,
    pub forward: bool,
}

/// A path: `nodes` has one more than `hops`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub nodes: Vec<NodeId>,
    pub hops: Vec<Hop>,
}

/// Who a search is for: when it may go on, and which nodes there are for them.
pub trait Walker {
    type Error;

    /// Told of each node that is expanded; may end the search.
    fn step(&mut self, entity: EntityId) -> Result<(), Self::Error>;

    /// Whether a node is there.
    fn shows(&self, _node: NodeId) -> Result<bool, Self::Error> {
        Ok(true)
    }

    /// Whether all nodes of an entity are: spares asking of each.
    fn shows_all(&self, _entity: EntityId) -> bool {
        true
    }
}

impl<E, F: FnMut(EntityId) -> Result<(), E>> Walker for F {
    type Error = E;

    fn step(&mut self, entity: EntityId) -> Result<(), E> {
        self(entity)
    }
}

/// One end's search.
struct Side {
    /// A node's distance, and every hop that first reached it: from where, and how as seen from the start.
    seen: HashMap<NodeId, (usize, Vec<(NodeId, Hop)>)>,
    frontier: Vec<NodeId>,
    depth: usize,
    is_start: bool,
}

/// Why a search gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt<E> {
    /// More nodes were visited than may be.
    Visited,
    /// The caller said so.
    Stopped(E),
}

/// All shortest paths, as many as are asked for; none where no path is short enough. Which paths are given, and in which
/// order, depends on keys alone, never on what is not there for who asks.
pub fn paths<W: Walker>(
    view: &View,
    from: NodeId,
    to: NodeId,
    bounds: &Bounds<'_>,
    mut walker: W,
) -> Result<Vec<Path>, Halt<W::Error>> {
    if from == to {
        return Ok(vec![Path { nodes: vec![from], hops: Vec::new() }]);
    }
    let side = |node: NodeId, is_start: bool| Side {
        seen: HashMap::from([(node, (0, Vec::new()))]),
        frontier: vec![node],
        depth: 0,
        is_start,
    };
    let (mut start, mut end) = (side(from, true), side(to, false));
    while start.depth + end.depth < bounds.hops_max && !start.frontier.is_empty() && !end.frontier.is_empty() {
        // The side with fewer links to look at.
        let (near, far) = if cost(view, &start, bounds, &walker)? <= cost(view, &end, bounds, &walker)? {
            (&mut start, &mut end)
        } else {
            (&mut end, &mut start)
        };
        let limit = bounds.visited_max.saturating_sub(far.seen.len());
        near.expand(view, bounds, limit, &mut walker)?;
        let mut meeting: Vec<NodeId> =
            near.frontier.iter().filter(|node| far.seen.contains_key(node)).copied().collect();
        if !meeting.is_empty() {
            meeting.sort_by_cached_key(|node| place(view, *node));
            return Ok(join(view, &start, &end, &meeting, bounds.first));
        }
    }
    Ok(Vec::new())
}

/// What orders nodes whatever else there is in the graph.
fn place(view: &View, node: NodeId) -> (EntityId, String) {
    (node.entity, view.node(node).key().to_owned())
}

fn allowed(bounds: &Bounds<'_>, entity: EntityId, field: FieldId) -> bool {
    bounds.via.is_empty() || bounds.via.contains(&(entity, field))
}

/// Links at a side's frontier, of which no more are counted one by one than may be visited.
fn cost<W: Walker>(view: &View, side: &Side, bounds: &Bounds<'_>, walker: &W) -> Result<usize, Halt<W::Error>> {
    let model = view.model();
    let mut cost = 0;
    for NodeId { entity, slot } in side.frontier.iter().copied() {
        cost += 1;
        for (source, description) in model.entities.entries() {
            for (field, link) in description.fields.entries() {
                if link.kind.link() != Some(entity) || !allowed(bounds, source, field) {
                    continue;
                }
                if walker.shows_all(source) {
                    cost += view.degree(source, field, slot);
                    continue;
                }
                for from in view.sources(source, field, slot) {
                    if cost > bounds.visited_max {
                        break;
                    }
                    cost += usize::from(walker.shows(source.node(from)).map_err(Halt::Stopped)?);
                }
            }
        }
    }
    Ok(cost)
}

impl Side {
    fn expand<W: Walker>(
        &mut self,
        view: &View,
        bounds: &Bounds<'_>,
        limit: usize,
        walker: &mut W,
    ) -> Result<(), Halt<W::Error>> {
        let model = view.model();
        self.depth += 1;
        let mut next = Vec::new();
        for from in std::mem::take(&mut self.frontier) {
            let entity = from.entity;
            walker.step(entity).map_err(Halt::Stopped)?;
            let node = view.node(from);
            for (field, description) in model.entities[entity].fields.entries() {
                let Some(target) = description.kind.link().filter(|_| allowed(bounds, entity, field)) else { continue };
                if let Some(target) = view.follow(&node, field, target).filter(|_| node.is_listed())
                    && walker.shows(target).map_err(Halt::Stopped)?
                {
                    self.reach(target, from, Hop { entity, field, forward: self.is_start }, &mut next);
                }
            }
            // A node's own links are few; those to it are counted one by one.
            if self.seen.len() > limit {
                return Err(Halt::Visited);
            }
            for member in view.merged(from) {
                for (source, description) in model.entities.entries() {
                    for (field, link) in description.fields.entries() {
                        if link.kind.link() != Some(entity) || !allowed(bounds, source, field) {
                            continue;
                        }
                        let hop = Hop { entity: source, field, forward: !self.is_start };
                        for slot in view.sources(source, field, member) {
                            if !walker.shows(source.node(slot)).map_err(Halt::Stopped)? {
                                continue;
                            }
                            self.reach(source.node(slot), from, hop, &mut next);
                            if self.seen.len() > limit {
                                return Err(Halt::Visited);
                            }
                        }
                    }
                }
            }
        }
        self.frontier = next;
        Ok(())
    }

    fn reach(&mut self, node: NodeId, from: NodeId, hop: Hop, next: &mut Vec<NodeId>) {
        let depth = self.depth;
        let (known, hops) = self.seen.entry(node).or_insert_with(|| {
            next.push(node);
            (depth, Vec::new())
        });
        if *known == depth {
            hops.push((from, hop));
        }
    }

    /// Every way from this side's end to a node: the nodes before it and the hops, nearest to the node first.
    fn ways(&self, view: &View, node: NodeId, most: usize) -> Vec<Vec<(NodeId, Hop)>> {
        let Some((_, hops)) = self.seen.get(&node).filter(|(depth, _)| *depth > 0) else { return vec![Vec::new()] };
        let mut hops = hops.clone();
        hops.sort_by_cached_key(|(from, hop)| (place(view, *from), *hop));
        let mut ways = Vec::new();
        for (from, hop) in hops {
            for rest in self.ways(view, from, most - ways.len()) {
                let mut way = vec![(from, hop)];
                way.extend(rest);
                ways.push(way);
                if ways.len() == most {
                    return ways;
                }
            }
        }
        ways
    }
}

fn join(view: &View, start: &Side, end: &Side, meeting: &[NodeId], first: usize) -> Vec<Path> {
    let mut paths = Vec::new();
    for node in meeting {
        for before in start.ways(view, *node, first) {
            for after in end.ways(view, *node, first) {
                if paths.len() == first {
                    return paths;
                }
                let mut nodes: Vec<NodeId> = before.iter().rev().map(|(node, _)| *node).collect();
                let mut hops: Vec<Hop> = before.iter().rev().map(|(_, hop)| *hop).collect();
                nodes.push(*node);
                nodes.extend(after.iter().map(|(node, _)| *node));
                hops.extend(after.iter().map(|(_, hop)| *hop));
                paths.push(Path { nodes, hops });
            }
        }
    }
    paths
}

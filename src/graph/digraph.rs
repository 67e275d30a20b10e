//! `petgraph`'s traits over a view, so that its algorithms run on the live graph at one version.
//!
//! The nodes are all slots that exist and answer for themselves; the edges are links, from who names to whom is named.

use petgraph::Direction;
use petgraph::visit::{
    Data, EdgeRef, GraphBase, GraphProp, GraphRef, IntoEdgeReferences, IntoEdges, IntoEdgesDirected, IntoNeighbors,
    IntoNeighborsDirected, IntoNodeIdentifiers, NodeCount, NodeIndexable, Visitable,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::view::View;
use crate::ids::{FieldId, Id, NodeId, Slot};

/// A view as a directed graph.
#[derive(Clone, Copy)]
pub struct Digraph<'v> {
    view: &'v View,
}

/// A link between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    pub source: NodeId,
    pub target: NodeId,
    /// The link's field in the source's entity.
    pub field: FieldId,
}

impl<'v> Digraph<'v> {
    pub fn new(view: &'v View) -> Digraph<'v> {
        Digraph { view }
    }

    /// Links from a node, or to it.
    pub fn links(self, id: NodeId, direction: Direction) -> Vec<Edge> {
        let model = self.view.model();
        let mut edges = Vec::new();
        match direction {
            Direction::Outgoing => {
                let node = self.view.node(id);
                // Only what lists hold has a reverse link; an edge is one from both ends.
                for (field, description) in model.entities[id.entity].fields.entries() {
                    let Some(target_entity) = description.kind.link().filter(|_| node.is_listed()) else { continue };
                    if let Some(target) = self.view.follow(&node, field, target_entity) {
                        edges.push(Edge { source: id, target, field });
                    }
                }
            }
            Direction::Incoming => {
                for member in self.view.merged(id) {
                    for (source_entity, description) in model.entities.entries() {
                        for (field, link) in description.fields.entries() {
                            if link.kind.link() == Some(id.entity) {
                                let sources = self.view.sources(source_entity, field, member);
                                edges.extend(sources.map(|source| Edge {
                                    source: source_entity.node(source),
                                    target: id,
                                    field,
                                }));
                            }
                        }
                    }
                }
            }
        }
        edges
    }

    fn all(self) -> Vec<NodeId> {
        let mut all = Vec::new();
        for entity in self.view.model().entities.ids() {
            let _ = self.view.each::<()>(entity, |slot, _| {
                all.push(entity.node(slot));
                ControlFlow::Continue(())
            });
        }
        all
    }
}

impl GraphBase for Digraph<'_> {
    type NodeId = NodeId;
    type EdgeId = Edge;
}

impl GraphRef for Digraph<'_> {}

impl Data for Digraph<'_> {
    type NodeWeight = ();
    type EdgeWeight = ();
}

impl GraphProp for Digraph<'_> {
    type EdgeType = petgraph::Directed;
}

impl Visitable for Digraph<'_> {
    type Map = HashSet<NodeId>;

    fn visit_map(&self) -> HashSet<NodeId> {
        HashSet::new()
    }

    fn reset_map(&self, map: &mut HashSet<NodeId>) {
        map.clear();
    }
}

impl NodeIndexable for Digraph<'_> {
    fn node_bound(&self) -> usize {
        self.view.model().entities.ids().map(|entity| self.view.slots(entity).len()).sum()
    }

    fn to_index(&self, id: NodeId) -> usize {
        let before = self.view.model().entities.ids().take(id.entity.index());
        before.map(|entity| self.view.slots(entity).len()).sum::<usize>() + id.slot.index()
    }

    fn from_index(&self, mut index: usize) -> NodeId {
        for entity in self.view.model().entities.ids() {
            let slots = self.view.slots(entity).len();
            if index < slots {
                return entity.node(Slot::of(index));
            }
            index -= slots;
        }
        panic!("an index of a node is less than `node_bound`")
    }
}

impl NodeCount for Digraph<'_> {
    fn node_count(&self) -> usize {
        self.all().len()
    }
}

impl IntoNodeIdentifiers for Digraph<'_> {
    type NodeIdentifiers = std::vec::IntoIter<NodeId>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        self.all().into_iter()
    }
}

impl IntoNeighbors for Digraph<'_> {
    type Neighbors = std::vec::IntoIter<NodeId>;

    fn neighbors(self, node: NodeId) -> Self::Neighbors {
        self.neighbors_directed(node, Direction::Outgoing)
    }
}

impl IntoNeighborsDirected for Digraph<'_> {
    type NeighborsDirected = std::vec::IntoIter<NodeId>;

    fn neighbors_directed(self, node: NodeId, direction: Direction) -> Self::NeighborsDirected {
        let edges = self.links(node, direction).into_iter();
        let other = edges.map(|edge| if direction == Direction::Outgoing { edge.target } else { edge.source });
        other.collect::<Vec<_>>().into_iter()
    }
}

impl EdgeRef for Edge {
    type NodeId = NodeId;
    type EdgeId = Edge;
    type Weight = ();

    fn source(&self) -> NodeId {
        self.source
    }

    fn target(&self) -> NodeId {
        self.target
    }

    fn weight(&self) -> &() {
        &()
    }

    fn id(&self) -> Edge {
        *self
    }
}

impl IntoEdgeReferences for Digraph<'_> {
    type EdgeRef = Edge;
    type EdgeReferences = std::vec::IntoIter<Edge>;

    fn edge_references(self) -> Self::EdgeReferences {
        let edges = self.all().into_iter().flat_map(|node| self.links(node, Direction::Outgoing));
        edges.collect::<Vec<_>>().into_iter()
    }
}

impl IntoEdges for Digraph<'_> {
    type Edges = std::vec::IntoIter<Edge>;

    fn edges(self, node: NodeId) -> Self::Edges {
        self.links(node, Direction::Outgoing).into_iter()
    }
}

impl IntoEdgesDirected for Digraph<'_> {
    type EdgesDirected = std::vec::IntoIter<Edge>;

    fn edges_directed(self, node: NodeId, direction: Direction) -> Self::EdgesDirected {
        self.links(node, direction).into_iter()
    }
}

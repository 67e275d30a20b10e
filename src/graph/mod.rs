//! The property graph: nodes in slots, links both ways, aliases, and counts, in versions that never change once taken.
//!
//! One writer owns a [`Graph`]; [`Graph::view`] gives a [`View`], an immutable version across all domains. The graph knows
//! fields and links by number and nothing of events' order: which value stands is `projection`'s to say.

mod counts;
mod node;
mod pages;
mod postings;
mod validate;

use std::sync::Arc;

use dashmap::DashMap;

pub use counts::Counts;
pub use node::{Completeness, EventRef, Merge, Node, State};
pub use pages::Pages;
pub use postings::Postings;

use crate::model::value::Value;
use crate::model::{Kind, Model};

/// Key to slot, per entity: append-only and shared by all versions. A slot that a view does not hold is not there yet.
type Index = Vec<DashMap<Arc<str>, u32>>;

/// The writer's graph.
pub struct Graph {
    model: Arc<Model>,
    index: Arc<Index>,
    nodes: Vec<Pages<Node>>,
    counts: Vec<Counts>,
}

/// One immutable version of the graph.
#[derive(Clone)]
pub struct View {
    model: Arc<Model>,
    index: Arc<Index>,
    nodes: Vec<Pages<Node>>,
    counts: Vec<Counts>,
}

impl Graph {
    pub fn new(model: Arc<Model>) -> Graph {
        let entities = model.entities.len();
        Graph {
            index: Arc::new((0..entities).map(|_| DashMap::new()).collect()),
            nodes: vec![Pages::default(); entities],
            counts: model.entities.iter().map(Counts::new).collect(),
            model,
        }
    }

    pub fn view(&self) -> View {
        View {
            model: self.model.clone(),
            index: self.index.clone(),
            nodes: self.nodes.clone(),
            counts: self.counts.clone(),
        }
    }

    /// The slot of a key; an unseen one gets an empty node, which does not exist until something names it.
    pub fn slot(&mut self, entity: usize, key: &Arc<str>) -> u32 {
        if let Some(slot) = self.index[entity].get(key) {
            return *slot;
        }
        let slot = self.nodes[entity].len() as u32;
        self.nodes[entity].push(Node::new(key.clone(), self.model.entities[entity].reverses.len()));
        self.index[entity].insert(key.clone(), slot);
        slot
    }

    pub fn node(&self, entity: usize, slot: u32) -> &Node {
        self.nodes[entity].get(slot as usize).expect("a slot comes from this graph")
    }

    /// Changes a node and keeps the counts. Links go through [`Graph::set_link`] and [`Graph::set_merge`].
    pub fn update(&mut self, entity: usize, slot: u32, change: impl FnOnce(&mut Node)) {
        let description = &self.model.entities[entity];
        let counts = &mut self.counts[entity];
        let node = self.nodes[entity].get_mut(slot as usize).expect("a slot comes from this graph");
        counts.count(description, node, -1);
        change(node);
        counts.count(description, node, 1);
    }

    /// Sets a link field to a target, or to none, on both sides.
    pub fn set_link(&mut self, entity: usize, slot: u32, field: usize, target: Option<u32>) {
        let Kind::Link { entity: target_entity, reverse } = self.model.entities[entity].fields[field].kind else {
            return;
        };
        let old = match self.node(entity, slot).value(field) {
            Value::Link(old) => Some(*old),
            _ => None,
        };
        if old == target {
            return;
        }
        if let Some(old) = old {
            self.update(target_entity, old, |node| {
                node.named_by -= 1;
                if let Some(reverse) = reverse {
                    node.reverses[reverse].remove(slot);
                }
            });
        }
        if let Some(target) = target {
            self.update(target_entity, target, |node| {
                node.named_by += 1;
                if let Some(reverse) = reverse {
                    node.reverses[reverse].insert(slot);
                }
            });
        }
        self.update(entity, slot, |node| node.fields[field] = target.map_or(Value::Null, Value::Link));
    }

    /// Sets, replaces or undoes the merge of a node, and voids the one merge of a cycle that does not count.
    pub fn set_merge(&mut self, entity: usize, slot: u32, merge: Option<Merge>) {
        for member in self.cycle(entity, slot) {
            self.set_void(entity, member, false);
        }
        if let Some(old) = self.node(entity, slot).merge.as_ref().map(|merge| merge.into) {
            self.update(entity, old, |node| {
                node.named_by -= 1;
                node.aliases.remove(slot);
            });
        }
        if let Some(into) = merge.as_ref().map(|merge| merge.into) {
            self.update(entity, into, |node| {
                node.named_by += 1;
                node.aliases.insert(slot);
            });
        }
        self.update(entity, slot, |node| node.merge = merge);
        let order = |member: &u32| self.node(entity, *member).merge.as_ref().map(|merge| merge.order.clone());
        if let Some(void) = self.cycle(entity, slot).into_iter().min_by_key(order) {
            self.set_void(entity, void, true);
        }
    }

    fn set_void(&mut self, entity: usize, slot: u32, void: bool) {
        if self.node(entity, slot).merge.as_ref().is_some_and(|merge| merge.void != void) {
            self.update(entity, slot, |node| {
                if let Some(merge) = &mut node.merge {
                    merge.void = void;
                }
            });
        }
    }

    /// The members of the cycle of merges that the node is in; none where it is in none.
    fn cycle(&self, entity: usize, start: u32) -> Vec<u32> {
        let mut members = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut slot = start;
        while seen.insert(slot) {
            members.push(slot);
            match &self.node(entity, slot).merge {
                Some(merge) if merge.into == start => return members,
                Some(merge) => slot = merge.into,
                None => break,
            }
        }
        Vec::new()
    }
}

impl View {
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn counts(&self, entity: usize) -> &Counts {
        &self.counts[entity]
    }

    /// The node at a slot that this view holds: one found by key, by a link or in a list.
    pub fn node(&self, entity: usize, slot: u32) -> &Arc<Node> {
        self.nodes[entity].get(slot as usize).expect("a view's slots come from that view")
    }

    /// Looks a key up. Who was merged answers with the survivor; `None` where nothing knows the key.
    pub fn find(&self, entity: usize, key: &str) -> Option<u32> {
        let slot = *self.index.get(entity)?.get(key)?;
        let node = self.nodes[entity].get(slot as usize)?;
        node.exists().then(|| self.survivor(entity, slot))
    }

    /// Follows merges to the end.
    pub fn survivor(&self, entity: usize, mut slot: u32) -> u32 {
        while let Some(merge) = self.node(entity, slot).merge.as_ref().filter(|merge| !merge.void) {
            slot = merge.into;
        }
        slot
    }

    /// The node that a link field names, or its survivor.
    pub fn follow(&self, node: &Node, field: usize, target_entity: usize) -> Option<u32> {
        match node.value(field) {
            Value::Link(slot) => Some(self.survivor(target_entity, *slot)),
            _ => None,
        }
    }

    /// Every slot of an entity that exists, whatever its state.
    pub fn all(&self, entity: usize) -> impl Iterator<Item = (u32, &Arc<Node>)> + '_ {
        let nodes = self.nodes[entity].iter().enumerate().map(|(slot, node)| (slot as u32, node));
        nodes.filter(|(_, node)| node.exists() && !node.is_alias())
    }

    /// Who links to a node, through the other side of a link: the survivor's own and those of all its aliases.
    pub fn reverse(&self, entity: usize, slot: u32, reverse: usize) -> Vec<Postings> {
        let mut lists = Vec::new();
        let mut waiting = vec![slot];
        while let Some(slot) = waiting.pop() {
            let node = self.node(entity, slot);
            if !node.reverses[reverse].is_empty() {
                lists.push(node.reverses[reverse].clone());
            }
            waiting.extend(node.aliases.iter().filter(|alias| self.node(entity, *alias).is_alias()));
        }
        lists
    }
}

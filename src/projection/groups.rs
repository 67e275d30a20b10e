//! Who is joined with whom by any merge ever named: current, superseded, undone or void. Erasure reaches them all.
//!
//! A forest of sets by size (Galler and Fischer, 1964). The members of a set are a ring, so that two sets become one by
//! exchanging where one member of each leads; everything lies in plain lists, which a checkpoint copies in no time.

use std::collections::HashMap;

use super::remembered::{put_node, read_node};
use crate::graph::{Reader, put};
use crate::ids::NodeId;

#[derive(Clone, Default)]
pub struct Groups {
    places: HashMap<NodeId, u32>,
    nodes: Vec<Member>,
}

#[derive(Clone, Copy)]
struct Member {
    member: NodeId,
    /// Itself where it stands for its set.
    parent: u32,
    /// The next of the ring.
    next: u32,
    /// Of the one that stands for its set: how many there are, and whether they are erased.
    size: u32,
    erased: bool,
}

/// What joining two came to.
pub struct Joined {
    /// No merge had ever led from the one to the other.
    pub were_apart: bool,
    /// Those that become erased by it.
    pub erased: Vec<NodeId>,
}

impl Groups {
    /// Bytes that they take, about.
    pub fn size(&self) -> usize {
        self.places.capacity() * size_of::<(NodeId, u32)>() + self.nodes.capacity() * size_of::<Member>()
    }

    fn of(&mut self, member: NodeId) -> u32 {
        let next = self.nodes.len() as u32;
        let mut place = *self.places.entry(member).or_insert(next);
        if place == next {
            self.nodes.push(Member { member, parent: place, next: place, size: 1, erased: false });
        }
        while self.nodes[place as usize].parent != place {
            let Member { parent, .. } = self.nodes[place as usize];
            // Each look makes the way half as long.
            self.nodes[place as usize].parent = self.nodes[parent as usize].parent;
            place = parent;
        }
        place
    }

    /// All that are erased.
    pub fn erased(&self) -> impl Iterator<Item = NodeId> {
        let roots = (0..self.nodes.len() as u32).filter(|place| self.nodes[*place as usize].parent == *place);
        roots.filter(|root| self.nodes[*root as usize].erased).flat_map(|root| self.members(root))
    }

    fn members(&self, root: u32) -> Vec<NodeId> {
        let mut members = Vec::with_capacity(self.nodes[root as usize].size as usize);
        let mut place = root;
        loop {
            let node = self.nodes[place as usize];
            members.push(node.member);
            place = node.next;
            if place == root {
                return members;
            }
        }
    }

    /// Joins two.
    pub fn join(&mut self, a: NodeId, b: NodeId) -> Joined {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return Joined { were_apart: false, erased: Vec::new() };
        }
        let (one, other) = (self.nodes[a as usize], self.nodes[b as usize]);
        let erased = match (one.erased, other.erased) {
            (true, false) => self.members(b),
            (false, true) => self.members(a),
            _ => Vec::new(),
        };
        let (large, small) = if one.size >= other.size { (a, b) } else { (b, a) };
        (self.nodes[a as usize].next, self.nodes[b as usize].next) = (other.next, one.next);
        self.nodes[small as usize].parent = large;
        let root = &mut self.nodes[large as usize];
        (root.size, root.erased) = (one.size + other.size, one.erased || other.erased);
        Joined { were_apart: true, erased }
    }

    /// Erases one and all joined with it; gives those that become erased.
    pub fn erase(&mut self, member: NodeId) -> Vec<NodeId> {
        let root = self.of(member);
        let was = std::mem::replace(&mut self.nodes[root as usize].erased, true);
        if was { Vec::new() } else { self.members(root) }
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, self.nodes.len() as u64);
        for Member { member, parent, next, size, erased } in &self.nodes {
            put_node(out, *member);
            put(out, u64::from(*parent));
            put(out, u64::from(*next));
            put(out, u64::from(*size) << 1 | u64::from(*erased));
        }
    }

    pub fn restore(reader: &mut Reader<'_>) -> Groups {
        let mut groups = Groups::default();
        for place in 0..reader.number() as u32 {
            let member = read_node(reader);
            let (parent, next, size) = (reader.number() as u32, reader.number() as u32, reader.number());
            groups.places.insert(member, place);
            groups.nodes.push(Member { member, parent, next, size: (size >> 1) as u32, erased: size & 1 == 1 });
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EntityId, Slot};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Beside sets that are joined as one would by hand; saved and restored in between.
        #[test]
        fn groups_are_sets(steps in proptest::collection::vec((0u8..5, 0u32..9, 0u32..9), 0..60)) {
            let node = |slot: u32| EntityId(0).node(Slot(slot));
            let mut groups = Groups::default();
            let mut sets: Vec<(BTreeSet<u32>, bool)> = (0..9).map(|one| (BTreeSet::from([one]), false)).collect();
            let of = |sets: &[(BTreeSet<u32>, bool)], one: u32| {
                sets.iter().position(|(set, _)| set.contains(&one)).expect("each is in a set")
            };
            for (what, a, b) in steps {
                if what == 0 {
                    let mut saved = Vec::new();
                    groups.save(&mut saved);
                    let mut reader = Reader(&saved);
                    groups = Groups::restore(&mut reader);
                    prop_assert!(reader.is_empty());
                }
                let (erased, expected) = if what == 1 {
                    let place = of(&sets, a);
                    let (set, erased) = &mut sets[place];
                    let expected = if std::mem::replace(erased, true) { BTreeSet::new() } else { set.clone() };
                    (groups.erase(node(a)), expected)
                } else {
                    let joined = groups.join(node(a), node(b));
                    let (first, second) = (of(&sets, a), of(&sets, b));
                    prop_assert_eq!(joined.were_apart, first != second);
                    let mut expected = BTreeSet::new();
                    if first != second {
                        let (other, erased) = sets[second].clone();
                        match (sets[first].1, erased) {
                            (true, false) => expected = other.clone(),
                            (false, true) => expected = sets[first].0.clone(),
                            _ => {}
                        }
                        sets[first].0.extend(other);
                        sets[first].1 |= erased;
                        sets.remove(second);
                    }
                    (joined.erased, expected)
                };
                prop_assert_eq!(erased.iter().map(|member| member.slot.0).collect::<BTreeSet<_>>(), expected);
            }
        }
    }
}

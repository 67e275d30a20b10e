//! Who is joined with whom by any merge ever named: current, superseded, undone or void. Erasure reaches them all.

use std::collections::HashMap;

use crate::ids::NodeId;

#[derive(Default)]
pub struct Groups {
    of: HashMap<NodeId, usize>,
    groups: Vec<Group>,
}

#[derive(Default)]
struct Group {
    members: Vec<NodeId>,
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
        let members = self.of.len() * size_of::<NodeId>() + self.groups.capacity() * size_of::<Group>();
        members + self.of.capacity() * size_of::<(NodeId, usize)>()
    }

    fn of(&mut self, member: NodeId) -> usize {
        *self.of.entry(member).or_insert_with(|| {
            self.groups.push(Group { members: vec![member], erased: false });
            self.groups.len() - 1
        })
    }

    /// Joins two.
    pub fn join(&mut self, a: NodeId, b: NodeId) -> Joined {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return Joined { were_apart: false, erased: Vec::new() };
        }
        // The smaller moves into the larger, so that many merges cost n log n.
        let (large, small) = if self.groups[a].members.len() >= self.groups[b].members.len() { (a, b) } else { (b, a) };
        let moved = std::mem::take(&mut self.groups[small]);
        let erased = match (self.groups[large].erased, moved.erased) {
            (true, false) => moved.members.clone(),
            (false, true) => self.groups[large].members.clone(),
            _ => Vec::new(),
        };
        for member in &moved.members {
            self.of.insert(*member, large);
        }
        self.groups[large].members.extend(moved.members);
        self.groups[large].erased |= moved.erased;
        Joined { were_apart: true, erased }
    }

    /// Erases one and all joined with it; gives those that become erased.
    pub fn erase(&mut self, member: NodeId) -> Vec<NodeId> {
        let group = self.of(member);
        let group = &mut self.groups[group];
        if std::mem::replace(&mut group.erased, true) { Vec::new() } else { group.members.clone() }
    }
}

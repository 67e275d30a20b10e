//! An ordered set whose clones are cheap snapshots: a B+tree of shared nodes that also knows the rank of every key.

use std::fmt;
use std::mem::take;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// How many keys a leaf and how many children a branch hold at most. A write copies one leaf and a branch a level, and
/// copying a branch touches the reference count of each child, which is most often not cached: so branches are small. A full
/// leaf with its counts is as large as the allocator's blocks are: 1, 1.5, 2 or 2.5 KiB, by the width of its keys.
const LEAF_SIZE: usize = 126;
const BRANCH_SIZE: usize = 12;

/// A copy-on-write ordered set. Cloning is O(1) and is a snapshot that later writes never change.
#[derive(Clone)]
pub struct Tree<K, const LEAF: usize = LEAF_SIZE, const BRANCH: usize = BRANCH_SIZE> {
    root: Option<Child<K>>,
}

/// A node and what its parent needs to know of it without looking into it.
#[derive(Clone)]
struct Child<K> {
    smallest: K,
    count: usize,
    node: Node<K>,
}

#[derive(Clone)]
enum Node<K> {
    /// Without room to grow: most writes find the leaf shared with a snapshot and have to copy it anyway.
    Leaf(Arc<[K]>),
    Branch(Arc<Vec<Child<K>>>),
}

impl<K, const LEAF: usize, const BRANCH: usize> Default for Tree<K, LEAF, BRANCH> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<K: Ord + Copy + fmt::Debug, const LEAF: usize, const BRANCH: usize> fmt::Debug for Tree<K, LEAF, BRANCH> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord + Copy, const LEAF: usize, const BRANCH: usize> Tree<K, LEAF, BRANCH> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.count)
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.find(|other| other <= key).1.binary_search(key).is_ok()
    }

    /// How many keys are smaller.
    pub fn rank(&self, key: &K) -> usize {
        self.count(|other| other < key)
    }

    /// The key with `index` smaller ones.
    pub fn select(&self, index: usize) -> Option<K> {
        let (keys, at) = leaf_at(self.root.as_ref().filter(|root| index < root.count)?, index);
        Some(keys[at])
    }

    /// Adds the key; whether it was not there before.
    pub fn insert(&mut self, key: K) -> bool {
        self.change(key, true)
    }

    /// Removes the key; whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        self.change(*key, false)
    }

    /// Applies many insertions (true) and removals (false) at once: sorts them stably by key, the last one for a key
    /// counts, and each node on the way is copied at most once. Empties the vector, keeps its capacity.
    pub fn apply(&mut self, changes: &mut Vec<(K, bool)>) {
        changes.sort_by_key(|change| change.0);
        changes.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 = if same { later.1 } else { kept.1 };
            same
        });
        match changes[..] {
            [] => {}
            [(key, insert)] => _ = self.change(key, insert),
            _ => self.apply_sorted(changes),
        }
        changes.clear();
    }

    /// Keys within the bounds, ascending; also from the back.
    pub fn range(&self, bounds: impl RangeBounds<K>) -> Range<'_, K> {
        let start = match bounds.start_bound() {
            Bound::Included(key) => self.rank(key),
            Bound::Excluded(key) => self.count(|other| other <= key),
            Bound::Unbounded => 0,
        };
        let end = match bounds.end_bound() {
            Bound::Included(key) => self.count(|other| other <= key),
            Bound::Excluded(key) => self.rank(key),
            Bound::Unbounded => self.len(),
        };
        Range { root: self.root.as_ref(), start, end: end.max(start), front: &[], back: &[] }
    }

    /// All keys, ascending; also from the back.
    pub fn iter(&self) -> Range<'_, K> {
        self.range(..)
    }

    /// Bytes of its nodes.
    pub fn size(&self) -> usize {
        self.root.as_ref().map_or(0, Child::size)
    }

    /// Panic-free structural check for tests: sorted, counts right, fill within bounds.
    pub fn validate(&self) -> Result<(), String> {
        let Some(root) = &self.root else { return Ok(()) };
        let needless = matches!(&root.node, Node::Branch(children) if children.len() < 2);
        Editor::<K, LEAF, BRANCH>::validate(root, true)?;
        let sorted = self.iter().is_sorted_by(|left, right| left < right);
        if sorted && !needless { Ok(()) } else { Err(format!("ascending: {sorted}, a root for one node: {needless}")) }
    }

    /// How many keys `before` holds for, which must be the first ones.
    fn count(&self, before: impl Fn(&K) -> bool) -> usize {
        let (start, keys) = self.find(&before);
        start + keys.partition_point(before)
    }

    /// The leaf with the last key that `before` holds for, else the first leaf, and how many keys are in leaves before.
    fn find(&self, before: impl Fn(&K) -> bool) -> (usize, &[K]) {
        let Some(mut child) = self.root.as_ref() else { return (0, &[]) };
        let mut start = 0;
        loop {
            match &child.node {
                Node::Leaf(keys) => return (start, keys),
                Node::Branch(children) => {
                    let index = children.partition_point(|child| before(&child.smallest)).saturating_sub(1);
                    start += children[..index].iter().map(|child| child.count).sum::<usize>();
                    child = &children[index];
                }
            }
        }
    }

    fn change(&mut self, key: K, insert: bool) -> bool {
        let changes = self.contains(&key) != insert;
        if changes && !self.root.as_mut().is_some_and(|root| change_in_place::<K, LEAF>(root, key, insert)) {
            self.apply_sorted(&[(key, insert)]);
        }
        changes
    }

    fn apply_sorted(&mut self, changes: &[(K, bool)]) {
        let mut editor = Editor::<K, LEAF, BRANCH> { before: Vec::new(), merged: Vec::new() };
        let mut level = Vec::new();
        let appended = match self.root.take() {
            Some(root) => editor.update(root, changes, true, &mut level),
            None => editor.update_leaf(&[], changes, true, &mut level),
        };
        while level.len() > 1 {
            Editor::<K, LEAF, BRANCH>::push_branches(take(&mut level), appended, true, &mut level);
        }
        self.root = level.pop();
        while let Some(Child { node: Node::Branch(children), .. }) = &self.root
            && let [only] = &children[..]
        {
            self.root = Some(only.clone());
        }
    }
}

/// A tree in the making, of keys that come in order: its leaves are full.
pub struct Builder<K, const LEAF: usize = LEAF_SIZE, const BRANCH: usize = BRANCH_SIZE> {
    leaves: Vec<Child<K>>,
    next: Vec<K>,
}

impl<K, const LEAF: usize, const BRANCH: usize> Default for Builder<K, LEAF, BRANCH> {
    fn default() -> Self {
        Builder { leaves: Vec::new(), next: Vec::with_capacity(LEAF) }
    }
}

impl<K: Ord + Copy, const LEAF: usize, const BRANCH: usize> Builder<K, LEAF, BRANCH> {
    /// Adds a key that is greater than all before it; whether it is.
    pub fn push(&mut self, key: K) -> bool {
        if self.next.last().is_some_and(|last| *last >= key) {
            return false;
        }
        self.next.push(key);
        // A full leaf is made when the next key has come, so that the last key is always in sight.
        if self.next.len() > LEAF {
            self.next.pop();
            self.leaf();
            self.next.push(key);
        }
        true
    }

    fn leaf(&mut self) {
        let leaf: Arc<[K]> = self.next.as_slice().into();
        self.leaves.push(Child { smallest: leaf[0], count: leaf.len(), node: Node::Leaf(leaf) });
        self.next.clear();
    }

    pub fn finish(mut self) -> Tree<K, LEAF, BRANCH> {
        if !self.next.is_empty() {
            self.leaf();
        }
        let mut level = self.leaves;
        while level.len() > 1 {
            Editor::<K, LEAF, BRANCH>::push_branches(take(&mut level), true, true, &mut level);
        }
        Tree { root: level.pop() }
    }
}

/// The leaf that holds the key with `index` smaller ones, and where in the leaf. The index must be below the count.
fn leaf_at<K>(mut child: &Child<K>, mut index: usize) -> (&[K], usize) {
    loop {
        match &child.node {
            Node::Leaf(keys) => return (keys, index),
            Node::Branch(children) => {
                let mut at = 0;
                while index >= children[at].count {
                    index -= children[at].count;
                    at += 1;
                }
                child = &children[at];
            }
        }
    }
}

/// Makes a change that is known to change something, copying only what is shared. False, with no key changed, when a
/// leaf would become too large or too small.
fn change_in_place<K: Ord + Copy, const LEAF: usize>(child: &mut Child<K>, key: K, insert: bool) -> bool {
    match &mut child.node {
        Node::Leaf(keys) => {
            if if insert { keys.len() >= LEAF } else { keys.len() <= least(LEAF) } {
                return false;
            }
            let (before, after) = keys.split_at(keys.partition_point(|other| *other < key));
            let changed = if insert { [before, &[key], after].concat() } else { [before, &after[1..]].concat() };
            child.smallest = changed[0];
            *keys = Arc::from(changed);
        }
        Node::Branch(children) => {
            let children = Arc::make_mut(children);
            let index = children.partition_point(|child| child.smallest <= key).saturating_sub(1);
            if !change_in_place::<K, LEAF>(&mut children[index], key, insert) {
                return false;
            }
            child.smallest = children[0].smallest;
        }
    }
    child.count = if insert { child.count + 1 } else { child.count - 1 };
    true
}

/// How many keys or children a node needs; those along the right edge of the tree need only one, so that ascending
/// insertions can leave full nodes behind.
const fn least(size: usize) -> usize {
    if size < 8 { 2 } else { size / 4 }
}

/// The sizes of the nodes to make of so many keys or children. Outside of ascending insertions they get room for more.
fn split(total: usize, size: usize, appended: bool) -> impl Iterator<Item = usize> {
    let parts = if total <= size || appended { total.div_ceil(size) } else { total.div_ceil(size - size / 4) };
    (0..parts).map(move |part| {
        if appended { size.min(total - part * size) } else { total * (part + 1) / parts - total * part / parts }
    })
}

/// Applies a batch of changes, sorted and each key once.
struct Editor<K, const LEAF: usize, const BRANCH: usize> {
    /// The keys of the leaf being changed, before and after.
    before: Vec<K>,
    merged: Vec<K>,
}

impl<K: Ord + Copy, const LEAF: usize, const BRANCH: usize> Editor<K, LEAF, BRANCH> {
    /// Appends to `level` what becomes of the node: nothing, one node or several. `edge` is whether it is the last of
    /// its level in the tree. Returns whether the changes only went beyond the tree's last key.
    fn update(&mut self, child: Child<K>, changes: &[(K, bool)], edge: bool, level: &mut Vec<Child<K>>) -> bool {
        let children = match child.node {
            Node::Leaf(keys) => return self.update_leaf(&keys, changes, edge, level),
            Node::Branch(children) => Arc::unwrap_or_clone(children),
        };
        let mut list = Vec::with_capacity(children.len() + 1);
        let mut children = children.into_iter().peekable();
        let mut rest = changes;
        let mut appended = false;
        while let Some(child) = children.next() {
            let next = children.peek().map(|next| next.smallest);
            let edge = edge && next.is_none();
            let until = next.map_or(rest.len(), |next| rest.partition_point(|change| change.0 < next));
            let here = rest.split_off(..until).unwrap_or_default();
            if here.is_empty() {
                Self::push(child, edge, &mut list);
            } else {
                appended = self.update(child, here, edge, &mut list) && here.len() == changes.len();
            }
        }
        Self::push_branches(list, appended, edge, level);
        appended
    }

    fn update_leaf(&mut self, keys: &[K], changes: &[(K, bool)], edge: bool, level: &mut Vec<Child<K>>) -> bool {
        // Reading all of the leaf first waits for memory once, while searching it would wait at every step.
        self.before.clear();
        self.before.extend_from_slice(keys);
        self.merged.clear();
        let mut rest = &self.before[..];
        for (key, insert) in changes {
            let at = rest.partition_point(|other| other < key);
            self.merged.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            if rest.first() == Some(key) {
                rest = &rest[1..];
            }
            if *insert {
                self.merged.push(*key);
            }
        }
        self.merged.extend_from_slice(rest);
        let appended = edge && keys.last().is_none_or(|last| changes[0].0 > *last);
        Self::push_leaves(&self.merged, appended, edge, level);
        appended
    }

    /// Appends leaves with these keys to a level.
    fn push_leaves(mut keys: &[K], appended: bool, edge: bool, level: &mut Vec<Child<K>>) {
        for size in split(keys.len(), LEAF, appended) {
            let Some(part) = keys.split_off(..size) else { return };
            let leaf = Child { smallest: part[0], count: size, node: Node::Leaf(Arc::from(part)) };
            Self::push(leaf, edge && keys.is_empty(), level);
        }
    }

    /// Appends branches with these children to a level.
    fn push_branches(children: Vec<Child<K>>, appended: bool, edge: bool, level: &mut Vec<Child<K>>) {
        let mut children = children.into_iter();
        for size in split(children.len(), BRANCH, appended) {
            // The last part, most often the only one, keeps the allocation.
            let last = size == children.len();
            let part: Vec<_> =
                if last { take(&mut children).collect() } else { children.by_ref().take(size).collect() };
            let (smallest, count) = (part[0].smallest, part.iter().map(|child| child.count).sum());
            let branch = Child { smallest, count, node: Node::Branch(Arc::new(part)) };
            Self::push(branch, edge && last, level);
        }
    }

    /// Appends a node to a level, together with the one before if one of them is too small.
    fn push(child: Child<K>, edge: bool, level: &mut Vec<Child<K>>) {
        let is_small = |child: &Child<K>| match &child.node {
            Node::Leaf(keys) => keys.len() < least(LEAF),
            Node::Branch(children) => children.len() < least(BRANCH),
        };
        let small = !edge && is_small(&child);
        let Some(before) = level.pop_if(|before| small || is_small(before)) else { return level.push(child) };
        match (before.node, child.node) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                Self::push_leaves(&[&left[..], &right].concat(), false, edge, level)
            }
            (Node::Branch(left), Node::Branch(right)) => {
                let mut children = Arc::unwrap_or_clone(left);
                let mut right = Arc::unwrap_or_clone(right).into_iter();
                while let Some(child) = right.next() {
                    // Where the two meet, an only child may be too small.
                    Self::push(child, edge && right.len() == 0, &mut children);
                }
                Self::push_branches(children, false, edge, level);
            }
            _ => unreachable!("the nodes of a level are of one kind"),
        }
    }

    /// Checks the counts, the smallest keys and the sizes below a node; returns how many levels of branches there are.
    fn validate(child: &Child<K>, edge: bool) -> Result<usize, String> {
        let (size, most, count, smallest, depth) = match &child.node {
            Node::Leaf(keys) => (keys.len(), LEAF, keys.len(), keys.first(), 0),
            Node::Branch(children) => {
                let mut depths = Vec::new();
                for (index, child) in children.iter().enumerate() {
                    depths.push(Self::validate(child, edge && index + 1 == children.len())?);
                }
                depths.dedup();
                let [depth] = depths[..] else { return Err(format!("leaves at different depths: {depths:?}")) };
                let count = children.iter().map(|child| child.count).sum();
                (children.len(), BRANCH, count, children.first().map(|child| &child.smallest), depth + 1)
            }
        };
        let fewest = if edge { 1 } else { least(most) };
        if size < fewest || size > most || count != child.count || smallest != Some(&child.smallest) {
            let counted = child.count;
            return Err(format!("height {depth}: {size} of {fewest} to {most}, or {count} keys counted as {counted}"));
        }
        Ok(depth)
    }
}

impl<K> Child<K> {
    fn size(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        match &self.node {
            Node::Leaf(keys) => counts + size_of_val(&keys[..]),
            Node::Branch(children) => {
                let own = counts + size_of::<Vec<Self>>() + children.capacity() * size_of::<Self>();
                own + children.iter().map(Child::size).sum::<usize>()
            }
        }
    }
}

/// Keys of a tree within bounds, ascending.
#[derive(Clone)]
pub struct Range<'a, K> {
    root: Option<&'a Child<K>>,
    /// The ranks still to come; the two slices are what is left of the leaves at both ends, or empty.
    start: usize,
    end: usize,
    front: &'a [K],
    back: &'a [K],
}

impl<K: Copy> Iterator for Range<'_, K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        if self.start == self.end {
            return None;
        }
        if self.front.is_empty() {
            let (keys, at) = leaf_at(self.root?, self.start);
            self.front = &keys[at..];
        }
        self.start += 1;
        self.front.split_off_first().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.start, Some(self.end - self.start))
    }
}

impl<K: Copy> DoubleEndedIterator for Range<'_, K> {
    fn next_back(&mut self) -> Option<K> {
        if self.start == self.end {
            return None;
        }
        if self.back.is_empty() {
            let (keys, at) = leaf_at(self.root?, self.end - 1);
            self.back = &keys[..=at];
        }
        self.end -= 1;
        self.back.split_off_last().copied()
    }
}

impl<K: Copy> ExactSizeIterator for Range<'_, K> {}

#[cfg(test)]
mod tests;

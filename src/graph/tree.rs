//! An ordered set whose clones are cheap snapshots: a B+tree of shared nodes that also knows the rank of every key.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// How many keys a leaf and how many children a branch hold at most. A write copies one leaf and a branch a level, and
/// copying a branch touches the reference count of each child, which is most often not cached: so branches are small.
const LEAF_SIZE: usize = 96;
const BRANCH_SIZE: usize = 16;

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
        let Some(mut child) = self.root.as_ref() else { return false };
        loop {
            match &child.node {
                Node::Leaf(keys) => return keys.binary_search(key).is_ok(),
                Node::Branch(children) => child = &children[child_for(children, key)],
            }
        }
    }

    /// How many keys are smaller.
    pub fn rank(&self, key: &K) -> usize {
        self.position(|other| other < key)
    }

    /// The key with `index` smaller ones.
    pub fn select(&self, index: usize) -> Option<K> {
        let root = self.root.as_ref().filter(|root| index < root.count)?;
        let (keys, at) = leaf_at(root, index);
        Some(keys[at])
    }

    /// Adds the key; whether it was not there before.
    pub fn insert(&mut self, key: K) -> bool {
        let changes = !self.contains(&key);
        if changes {
            self.apply_one((key, true));
        }
        changes
    }

    /// Removes the key; whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        let changes = self.contains(key);
        if changes {
            self.apply_one((*key, false));
        }
        changes
    }

    /// Applies many insertions (true) and removals (false) at once: sorts them stably by key, the last one for a key
    /// counts, and each node on the way is copied at most once. Empties the vector, keeps its capacity.
    pub fn apply(&mut self, changes: &mut Vec<(K, bool)>) {
        changes.sort_by(|left, right| left.0.cmp(&right.0));
        changes.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        match changes[..] {
            [] => {}
            [(key, true)] => _ = self.insert(key),
            [(key, false)] => _ = self.remove(&key),
            _ => self.apply_sorted(changes),
        }
        changes.clear();
    }

    /// Keys within the bounds, ascending; also from the back.
    pub fn range(&self, bounds: impl RangeBounds<K>) -> Range<'_, K> {
        let start = match bounds.start_bound() {
            Bound::Included(key) => self.rank(key),
            Bound::Excluded(key) => self.position(|other| other <= key),
            Bound::Unbounded => 0,
        };
        let end = match bounds.end_bound() {
            Bound::Included(key) => self.position(|other| other <= key),
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
        if matches!(&root.node, Node::Branch(children) if children.len() < 2) {
            return Err("the root branch has a single child".to_string());
        }
        validate::<K, LEAF, BRANCH>(root, true)?;
        match self.iter().zip(self.iter().skip(1)).position(|(left, right)| left >= right) {
            Some(index) => Err(format!("the key at {index} is not smaller than the next")),
            None => Ok(()),
        }
    }

    /// How many keys `before` holds for, which must be the first ones.
    fn position(&self, before: impl Fn(&K) -> bool) -> usize {
        let Some(mut child) = self.root.as_ref() else { return 0 };
        let mut position = 0;
        loop {
            match &child.node {
                Node::Leaf(keys) => return position + keys.partition_point(&before),
                Node::Branch(children) => {
                    let index = children.partition_point(|child| before(&child.smallest)).saturating_sub(1);
                    position += children[..index].iter().map(|child| child.count).sum::<usize>();
                    child = &children[index];
                }
            }
        }
    }

    /// Makes one change that is known to change something.
    fn apply_one(&mut self, change: (K, bool)) {
        let done = self.root.as_mut().is_some_and(|root| change_in_place::<K, LEAF>(root, change));
        if !done {
            self.apply_sorted(&[change]);
        }
    }

    fn apply_sorted(&mut self, changes: &[(K, bool)]) {
        let mut editor = Editor::<K, LEAF, BRANCH> { before: Vec::new(), merged: Vec::new() };
        let mut level = Vec::new();
        let appended = match self.root.take() {
            Some(root) => editor.update(root, changes, true, &mut level),
            None => editor.update_leaf(&[], changes, true, &mut level),
        };
        while level.len() > 1 {
            let children = std::mem::take(&mut level);
            Editor::<K, LEAF, BRANCH>::push_branches(children, appended, true, &mut level);
        }
        self.root = level.pop();
        while let Some(Child { node: Node::Branch(children), .. }) = &self.root
            && let [only] = &children[..]
        {
            self.root = Some(only.clone());
        }
    }
}

/// Where the key is or would be.
fn child_for<K: Ord>(children: &[Child<K>], key: &K) -> usize {
    children.partition_point(|child| child.smallest <= *key).saturating_sub(1)
}

/// The leaf that holds the key with `index` smaller ones, and where in the leaf. The index must be below the count.
fn leaf_at<K>(mut child: &Child<K>, mut index: usize) -> (&[K], usize) {
    loop {
        match &child.node {
            Node::Leaf(keys) => return (keys, index),
            Node::Branch(children) => {
                for next in children.iter() {
                    child = next;
                    if index < next.count {
                        break;
                    }
                    index -= next.count;
                }
            }
        }
    }
}

/// Makes a change that is known to change something, copying only what is shared. False, with no key changed, when a
/// leaf would become too large or too small.
fn change_in_place<K: Ord + Copy, const LEAF: usize>(child: &mut Child<K>, (key, insert): (K, bool)) -> bool {
    match &mut child.node {
        Node::Leaf(keys) => {
            if if insert { keys.len() >= LEAF } else { keys.len() <= least(LEAF) } {
                return false;
            }
            let at = keys.partition_point(|other| *other < key);
            let mut changed = Vec::with_capacity(keys.len() + 1);
            changed.extend_from_slice(&keys[..at]);
            if insert {
                changed.push(key);
            }
            changed.extend_from_slice(&keys[if insert { at } else { at + 1 }..]);
            child.smallest = changed[0];
            *keys = Arc::from(changed);
        }
        Node::Branch(children) => {
            let children = Arc::make_mut(children);
            let index = child_for(children, &key);
            if !change_in_place::<K, LEAF>(&mut children[index], (key, insert)) {
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

impl<K: Copy> Child<K> {
    fn branch(children: Vec<Self>) -> Self {
        let count = children.iter().map(|child| child.count).sum();
        Self { smallest: children[0].smallest, count, node: Node::Branch(Arc::new(children)) }
    }
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
            let until = match next {
                None => rest.len(),
                // Most children have none when the batch is small.
                Some(next) if rest.first().is_none_or(|change| change.0 >= next) => 0,
                Some(next) => rest.partition_point(|change| change.0 < next),
            };
            let (here, later) = rest.split_at(until);
            rest = later;
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
            let (part, rest) = keys.split_at(size);
            keys = rest;
            let leaf = Child { smallest: part[0], count: size, node: Node::Leaf(Arc::from(part)) };
            Self::push(leaf, edge && rest.is_empty(), level);
        }
    }

    /// Appends branches with these children to a level.
    fn push_branches(children: Vec<Child<K>>, appended: bool, edge: bool, level: &mut Vec<Child<K>>) {
        let total = children.len();
        if (1..=BRANCH).contains(&total) {
            return Self::push(Child::branch(children), edge, level);
        }
        let mut children = children.into_iter();
        for size in split(total, BRANCH, appended) {
            let part = children.by_ref().take(size).collect();
            Self::push(Child::branch(part), edge && children.len() == 0, level);
        }
    }

    /// Appends a node to a level, together with the one before if one of them is too small.
    fn push(child: Child<K>, edge: bool, level: &mut Vec<Child<K>>) {
        let small = !edge && Self::is_small(&child);
        match level.pop_if(|before| small || Self::is_small(before)) {
            Some(before) => Self::push_both(before, child, edge, level),
            None => level.push(child),
        }
    }

    fn push_both(left: Child<K>, right: Child<K>, edge: bool, level: &mut Vec<Child<K>>) {
        match (left.node, right.node) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                Self::push_leaves(&[&left[..], &right[..]].concat(), false, edge, level);
            }
            (Node::Branch(left), Node::Branch(right)) => {
                let mut children = Arc::unwrap_or_clone(left);
                let mut right = Arc::unwrap_or_clone(right).into_iter().peekable();
                while let Some(child) = right.next() {
                    // Where the two meet, an only child may be too small.
                    Self::push(child, edge && right.peek().is_none(), &mut children);
                }
                Self::push_branches(children, false, edge, level);
            }
            _ => unreachable!("the nodes of a level are of one kind"),
        }
    }

    fn is_small(child: &Child<K>) -> bool {
        match &child.node {
            Node::Leaf(keys) => keys.len() < least(LEAF),
            Node::Branch(children) => children.len() < least(BRANCH),
        }
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

    /// Skips without looking at the keys in between.
    fn nth(&mut self, skip: usize) -> Option<K> {
        self.start += skip.min(self.end - self.start);
        self.front = self.front.get(skip..).unwrap_or_default();
        self.next()
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

/// Checks the counts, the smallest keys and the sizes below a node; returns how many levels of branches there are.
fn validate<K: Ord + Copy, const LEAF: usize, const BRANCH: usize>(
    child: &Child<K>,
    edge: bool,
) -> Result<usize, String> {
    let (size, most, count, smallest, depth) = match &child.node {
        Node::Leaf(keys) => (keys.len(), LEAF, keys.len(), keys.first(), 0),
        Node::Branch(children) => {
            let mut depths = Vec::new();
            for (index, child) in children.iter().enumerate() {
                depths.push(validate::<K, LEAF, BRANCH>(child, edge && index + 1 == children.len())?);
            }
            depths.dedup();
            let [depth] = depths[..] else { return Err(format!("leaves at different depths: {depths:?}")) };
            let count = children.iter().map(|child| child.count).sum();
            (children.len(), BRANCH, count, children.first().map(|child| &child.smallest), depth + 1)
        }
    };
    let fewest = if edge { 1 } else { least(most) };
    if size < fewest || size > most {
        return Err(format!("a node of {size} instead of {fewest} to {most}, at height {depth}"));
    }
    if count != child.count {
        return Err(format!("{count} keys counted as {}, at height {depth}", child.count));
    }
    if smallest.is_none_or(|smallest| *smallest != child.smallest) {
        return Err(format!("a wrong smallest key, at height {depth}"));
    }
    Ok(depth)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::{Bound, RangeBounds};

    use proptest::prelude::*;

    use super::Tree;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16),
        Remove(u16),
        Apply(Vec<(u16, bool)>),
        Append(u16),
        RemoveRange(u16, u16),
        Snapshot,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || 0..2000_u16;
        prop_oneof![
            4 => key().prop_map(Step::Insert),
            4 => key().prop_map(Step::Remove),
            4 => prop::collection::vec((key(), any::<bool>()), 0..20).prop_map(Step::Apply),
            4 => prop::collection::vec((key(), prop::bool::weighted(0.7)), 0..500).prop_map(Step::Apply),
            2 => (1..200_u16).prop_map(Step::Append),
            1 => (key(), key()).prop_map(|(from, count)| Step::RemoveRange(from, count)),
            4 => Just(Step::Snapshot),
        ]
    }

    fn bound(kind: u8, key: u16) -> Bound<u16> {
        match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    fn agrees<const LEAF: usize, const BRANCH: usize>(tree: &Tree<u16, LEAF, BRANCH>, model: &BTreeSet<u16>) {
        assert_eq!(tree.validate(), Ok(()));
        assert_eq!((tree.len(), tree.is_empty()), (model.len(), model.is_empty()));
        assert!(tree.iter().eq(model.iter().copied()));
        assert!(tree.iter().rev().eq(model.iter().rev().copied()));
    }

    fn check<const LEAF: usize, const BRANCH: usize>(steps: &[Step], probes: &[(u8, u16, u8, u16)]) {
        let mut tree = Tree::<u16, LEAF, BRANCH>::default();
        let mut model = BTreeSet::new();
        let mut snapshots = Vec::new();
        for step in steps {
            let mut changes = Vec::new();
            match step {
                Step::Insert(key) => assert_eq!(tree.insert(*key), model.insert(*key)),
                Step::Remove(key) => assert_eq!(tree.remove(key), model.remove(key)),
                Step::Apply(batch) => changes.clone_from(batch),
                Step::Append(count) => {
                    let next = model.last().map_or(0, |last| last + 1);
                    changes.extend((next..next + count).map(|key| (key, true)));
                }
                Step::RemoveRange(from, count) => changes.extend((*from..from + count).map(|key| (key, false))),
                Step::Snapshot => snapshots.push((tree.clone(), model.clone())),
            }
            for (key, insert) in &changes {
                if *insert {
                    model.insert(*key)
                } else {
                    model.remove(key)
                };
            }
            tree.apply(&mut changes);
            assert!(changes.is_empty());
            agrees(&tree, &model);
        }
        snapshots.push((tree, model));
        for (tree, model) in &snapshots {
            agrees(tree, model);
            let sorted: Vec<u16> = model.iter().copied().collect();
            for &(from_kind, from, to_kind, to) in probes {
                assert_eq!(tree.contains(&from), model.contains(&from));
                assert_eq!(tree.rank(&from), model.range(..from).count());
                assert_eq!(tree.select(from.into()), sorted.get(usize::from(from)).copied());
                let bounds = (bound(from_kind, from), bound(to_kind, to));
                let mut expected = sorted.iter().copied().filter(|key| bounds.contains(key));
                let mut range = tree.range(bounds);
                assert_eq!(range.len(), expected.clone().count());
                assert!(range.clone().eq(expected.clone()));
                assert!(range.clone().rev().eq(expected.clone().rev()));
                for turn in 0..range.len() + 2 {
                    match (from as usize + turn * 7) % 5 {
                        0 | 1 => assert_eq!(range.next(), expected.next()),
                        2 => assert_eq!(range.nth(turn), expected.nth(turn)),
                        _ => assert_eq!(range.next_back(), expected.next_back()),
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn behaves_like_a_set_of_which_snapshots_are_full_copies(
            steps in prop::collection::vec(step(), 1..40),
            probes in prop::collection::vec((0..3_u8, 0..2200_u16, 0..3_u8, 0..2200_u16), 10),
        ) {
            check::<4, 4>(&steps, &probes);
            check::<7, 5>(&steps, &probes);
            check::<{ super::LEAF_SIZE }, { super::BRANCH_SIZE }>(&steps, &probes);
        }
    }

    #[test]
    fn ascending_insertions_leave_full_nodes() {
        let mut tree = Tree::<u32, 4, 4>::default();
        for start in (0..4096).step_by(64) {
            tree.apply(&mut (start..start + 64).map(|key| (key, true)).collect());
        }
        assert_eq!(tree.validate(), Ok(()));
        // Every index at which a leaf starts is a multiple of its size.
        assert!((0..4096).all(|index| super::leaf_at(tree.root.as_ref().unwrap(), index).1 == index % 4));
    }
}

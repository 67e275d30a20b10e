//! The set against `BTreeSet`.

use std::collections::{BTreeSet, VecDeque};
use std::ops::{Bound, RangeBounds};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::{BRANCH_SIZE, LEAF_SIZE, Tree};

type Bounds = (Bound<u16>, Bound<u16>);
/// Changes to make, whether one by one, and whether to take a snapshot after.
type Step = (Vec<(u16, bool)>, bool, bool);

fn step() -> impl Strategy<Value = Step> {
    let change = || (0..2000_u16, prop::bool::weighted(0.6));
    let run = (0..2000_u16, 1..600_u16, prop::bool::weighted(0.7));
    let changes = prop_oneof![
        prop::collection::vec(change(), 0..3),
        prop::collection::vec(change(), 0..600),
        run.prop_map(|(from, count, insert)| (from..from + count).map(|key| (key, insert)).collect()),
    ];
    (changes, any::<bool>(), any::<bool>())
}

fn bound() -> impl Strategy<Value = Bound<u16>> {
    let key = || 0..2700_u16;
    prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
}

fn agrees<const LEAF: usize, const BRANCH: usize>(tree: &Tree<u16, LEAF, BRANCH>, keys: &[u16], bounds: Bounds) {
    assert_eq!(tree.validate(), Ok(()));
    assert_eq!((tree.len(), tree.is_empty()), (keys.len(), keys.is_empty()));
    assert!(tree.iter().eq(keys.iter().copied()) && tree.iter().rev().eq(keys.iter().rev().copied()));
    let mut expected: VecDeque<u16> = keys.iter().copied().filter(|key| bounds.contains(key)).collect();
    let mut range = tree.range(bounds);
    for turn in 0..expected.len() + 2 {
        assert_eq!(range.len(), expected.len());
        if turn % 5 < 3 {
            assert_eq!(range.next(), expected.pop_front());
        } else {
            assert_eq!(range.next_back(), expected.pop_back());
        }
    }
    for key in (0..2700).step_by(9) {
        let rank = keys.partition_point(|other| *other < key);
        assert_eq!((tree.rank(&key), tree.contains(&key)), (rank, keys.get(rank) == Some(&key)));
        assert_eq!(tree.select(key.into()), keys.get(usize::from(key)).copied());
    }
}

fn check<const LEAF: usize, const BRANCH: usize>(steps: &[Step], bounds: Bounds) {
    let mut tree = Tree::<u16, LEAF, BRANCH>::default();
    let mut model = BTreeSet::new();
    let mut snapshots = Vec::new();
    for (changes, one_by_one, snapshot) in steps {
        for (key, insert) in changes {
            let changed = if *insert { model.insert(*key) } else { model.remove(key) };
            if *one_by_one {
                assert_eq!(if *insert { tree.insert(*key) } else { tree.remove(key) }, changed);
            }
        }
        if !*one_by_one {
            tree.apply(&mut changes.clone());
        }
        let keys: Vec<u16> = model.iter().copied().collect();
        agrees(&tree, &keys, bounds);
        if *snapshot {
            snapshots.push((tree.clone(), keys));
        }
    }
    for (tree, keys) in &snapshots {
        agrees(tree, keys, bounds);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_like_a_set_of_which_snapshots_are_full_copies(
        steps in prop::collection::vec(step(), 1..30),
        bounds in (bound(), bound()),
    ) {
        check::<4, 4>(&steps, bounds);
        check::<9, 5>(&steps, bounds);
        check::<LEAF_SIZE, BRANCH_SIZE>(&steps, bounds);
    }
}

#[test]
fn ascending_insertions_leave_full_leaves() {
    let mut tree = Tree::<u32, 4, 4>::default();
    for start in (0..4096).step_by(62) {
        tree.apply(&mut (start..start + 62).map(|key| (key, true)).collect());
    }
    assert_eq!(tree.validate(), Ok(()));
    assert!((0..4096).all(|index| super::leaf_at(tree.root.as_ref().unwrap(), index).1 == index % 4));
}

//! Which events an entity, or a partition, has had: duplicates, conflicts, gaps.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// What an event is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    New,
    Duplicate,
    /// Another event has its version.
    Conflict,
}

/// Tells one (source, id) from another within an entity: 64 bits of a hash with fixed keys.
pub fn fingerprint(parts: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(parts)
}

/// The versions of an entity that were seen, as runs without gaps, each with its events' fingerprints.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    runs: Vec<Run>,
    /// Further events under a version that is in a run.
    conflicts: Vec<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Run {
    first: u64,
    fingerprints: Vec<u64>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + self.fingerprints.len() as u64
    }
}

impl Versions {
    pub fn see(&mut self, version: u64, fingerprint: u64) -> Novelty {
        let next = self.runs.partition_point(|run| run.first <= version);
        if let Some(run) = next.checked_sub(1).map(|index| &mut self.runs[index]) {
            if version < run.end() {
                let known = run.fingerprints[(version - run.first) as usize] == fingerprint;
                if known || self.conflicts.contains(&(version, fingerprint)) {
                    return Novelty::Duplicate;
                }
                self.conflicts.push((version, fingerprint));
                return Novelty::Conflict;
            }
            if version == run.end() {
                run.fingerprints.push(fingerprint);
                let end = run.end();
                if self.runs.get(next).is_some_and(|following| following.first == end) {
                    let following = self.runs.remove(next);
                    self.runs[next - 1].fingerprints.extend(following.fingerprints);
                }
                return Novelty::New;
            }
        }
        match self.runs.get_mut(next) {
            Some(following) if following.first == version + 1 => {
                following.first = version;
                following.fingerprints.insert(0, fingerprint);
            }
            _ => self.runs.insert(next, Run { first: version, fingerprints: vec![fingerprint] }),
        }
        Novelty::New
    }

    /// The lowest `limit` versions above `floor` that are missing below the greatest seen.
    pub fn missing(&self, floor: u64, limit: usize) -> Vec<u64> {
        let mut missing = Vec::new();
        let mut next = floor + 1;
        for run in &self.runs {
            for version in next..run.first.max(next) {
                if missing.len() == limit {
                    return missing;
                }
                missing.push(version);
            }
            next = next.max(run.end());
        }
        missing
    }
}

/// The events of an entity under `time`, by their fingerprints.
#[derive(Clone, Debug, Default)]
pub struct Prints(BTreeSet<u64>);

impl Prints {
    pub fn see(&mut self, fingerprint: u64) -> Novelty {
        if self.0.insert(fingerprint) { Novelty::New } else { Novelty::Duplicate }
    }
}

/// The newest ids of a partition, as many as are remembered.
#[derive(Debug)]
pub struct Recent {
    order: VecDeque<u64>,
    known: HashSet<u64>,
    limit: usize,
}

impl Recent {
    pub fn new(limit: usize) -> Recent {
        Recent { order: VecDeque::new(), known: HashSet::new(), limit }
    }

    pub fn see(&mut self, fingerprint: u64) -> Novelty {
        if !self.known.insert(fingerprint) {
            return Novelty::Duplicate;
        }
        self.order.push_back(fingerprint);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Novelty::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn far_versions_cost_nothing() {
        let mut versions = Versions::default();
        assert_eq!(versions.see(i64::MAX as u64, 1), Novelty::New);
        assert_eq!(versions.see(3, 1), Novelty::New);
        assert_eq!(versions.missing(0, 4), [1, 2, 4, 5]);
        assert_eq!(versions.missing(3, 2), [4, 5]);
    }

    proptest! {
        #[test]
        fn versions_are_a_set(steps in proptest::collection::vec((1u64..30, 0u64..3), 0..60), floor in 0u64..30) {
            let (mut versions, mut set) = (Versions::default(), BTreeMap::<u64, HashSet<u64>>::new());
            for (version, print) in steps {
                let known = set.entry(version).or_default();
                let expected = match (known.contains(&print), known.is_empty()) {
                    (true, _) => Novelty::Duplicate,
                    (_, true) => Novelty::New,
                    _ => Novelty::Conflict,
                };
                known.insert(print);
                prop_assert_eq!(versions.see(version, print), expected);
            }
            let last = set.keys().max().copied().unwrap_or(0);
            let missing: Vec<u64> = (floor + 1..last).filter(|version| !set.contains_key(version)).collect();
            prop_assert_eq!(versions.missing(floor, 100), missing);
        }
    }
}

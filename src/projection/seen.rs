//! Which events an entity, or a partition, has had: duplicates, conflicts, gaps.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;

use crate::graph::{Reader, put};
use crate::limits::RUNS_MAX;

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

/// The versions of an entity that were seen, as runs without gaps.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<(u64, u64)>);

impl Runs {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the version was not seen before.
    pub fn see(&mut self, version: u64) -> bool {
        let runs = &mut self.0;
        let next = runs.partition_point(|(first, _)| *first <= version);
        let is_full = runs.len() >= RUNS_MAX;
        let joins_next = runs.get(next).is_some_and(|(first, _)| *first == version + 1);
        match next.checked_sub(1).map(|index| &mut runs[index]) {
            Some((_, end)) if version < *end => return false,
            Some((_, end)) if version == *end => {
                *end += 1;
                if joins_next {
                    runs[next - 1].1 = runs[next].1;
                    runs.remove(next);
                }
            }
            _ if joins_next => runs[next].0 = version,
            // The gaps before it are told all the same; once they close, this version will seem to be missing.
            _ if is_full => {}
            _ => runs.insert(next, (version, version + 1)),
        }
        true
    }

    /// The lowest `limit` versions above `floor` that are missing below the greatest seen.
    pub fn missing(&self, floor: u64, limit: usize) -> Vec<u64> {
        let mut missing = Vec::new();
        let mut next = floor + 1;
        for (first, end) in &self.0 {
            for version in next..(*first).max(next) {
                if missing.len() == limit {
                    return missing;
                }
                missing.push(version);
            }
            next = next.max(*end);
        }
        missing
    }

    pub fn read(&mut self, reader: &mut Reader<'_>) {
        let mut from = 0;
        for _ in 0..reader.number() {
            let first = from + reader.number();
            from = first + reader.number();
            self.0.push((first, from));
        }
    }

    /// Each run from the end of the one before.
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, self.0.len() as u64);
        let mut from = 0;
        for (first, end) in &self.0 {
            put(out, first - from);
            put(out, end - first);
            from = *end;
        }
    }
}

/// Fingerprints that are copied together.
const STRETCH: usize = 4096;

/// Fingerprints in the order in which they came. A copy shares what is full.
#[derive(Clone, Debug, Default)]
pub struct Order {
    full: VecDeque<Arc<[u64]>>,
    last: Vec<u64>,
    /// How many of the first stretch are forgotten.
    gone: usize,
}

impl Order {
    fn push(&mut self, fingerprint: u64) {
        self.last.push(fingerprint);
        if self.last.len() == STRETCH {
            self.full.push_back(std::mem::take(&mut self.last).into());
        }
    }

    fn len(&self) -> usize {
        self.full.len() * STRETCH + self.last.len() - self.gone
    }

    fn pop(&mut self) -> Option<u64> {
        let oldest = match self.full.front() {
            Some(stretch) => stretch[self.gone],
            None => *self.last.get(self.gone)?,
        };
        self.gone += 1;
        if self.gone == STRETCH {
            self.full.pop_front();
            self.gone = 0;
        }
        Some(oldest)
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.full.iter().flat_map(|stretch| stretch.iter()).chain(&self.last).copied().skip(self.gone)
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        self.iter().for_each(|fingerprint| out.extend_from_slice(&fingerprint.to_le_bytes()));
    }
}

/// The newest ids of a partition, as many as are remembered.
#[derive(Debug)]
pub struct Recent {
    order: Order,
    known: HashSet<u64>,
    limit: usize,
}

impl Recent {
    pub fn new(limit: usize) -> Recent {
        Recent { order: Order::default(), known: HashSet::new(), limit }
    }

    /// What was saved of one, of which no more is remembered than `limit`.
    pub fn restore(reader: &mut Reader<'_>, limit: usize) -> Recent {
        let mut recent = Recent::new(limit);
        for _ in 0..reader.number() {
            recent.see(reader.bytes(8).try_into().map_or(0, u64::from_le_bytes));
        }
        recent
    }

    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Bytes that they take, about.
    pub fn size(&self) -> usize {
        (self.order.len() + self.known.capacity()) * size_of::<u64>()
    }

    pub fn knows(&self, fingerprint: u64) -> bool {
        self.known.contains(&fingerprint)
    }

    pub fn see(&mut self, fingerprint: u64) -> Novelty {
        if !self.known.insert(fingerprint) {
            return Novelty::Duplicate;
        }
        self.order.push(fingerprint);
        while self.order.len() > self.limit
            && let Some(oldest) = self.order.pop()
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
    use std::collections::BTreeSet;

    #[test]
    fn far_versions_cost_nothing() {
        let mut runs = Runs::default();
        assert!(runs.see(i64::MAX as u64) && runs.see(3) && !runs.see(3));
        assert_eq!(runs.missing(0, 4), [1, 2, 4, 5]);
        assert_eq!(runs.missing(3, 2), [4, 5]);
    }

    proptest! {
        #[test]
        fn runs_are_a_set(versions in proptest::collection::vec(1u64..30, 0..60), floor in 0u64..30) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for version in versions {
                prop_assert_eq!(runs.see(version), set.insert(version));
            }
            let last = set.last().copied().unwrap_or(0);
            let missing: Vec<u64> = (floor + 1..last).filter(|version| !set.contains(version)).collect();
            prop_assert_eq!(runs.missing(floor, 100), missing);
            let mut packed = Vec::new();
            runs.write(&mut packed);
            let mut read = Runs::default();
            read.read(&mut Reader(&packed));
            prop_assert_eq!(read.0, runs.0);
        }
    }
}

//! A sorted set of slots in chunks that copies share: a hotel with 79,330 reservations takes a new one by copying one
//! chunk.

use std::sync::Arc;

/// A chunk is split in two above this.
const CHUNK_MAX: usize = 512;

/// A copy-on-write set of slots, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postings {
    chunks: Arc<Vec<Arc<Vec<u32>>>>,
    length: u32,
}

impl Postings {
    pub fn len(&self) -> usize {
        self.length as usize
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }

    pub fn contains(&self, slot: u32) -> bool {
        self.chunks.get(self.chunk_of(slot)).is_some_and(|chunk| chunk.binary_search(&slot).is_ok())
    }

    /// The chunk where the slot is, or would be.
    fn chunk_of(&self, slot: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| *first <= slot)).saturating_sub(1)
    }

    /// Whether the slot was not there before.
    pub fn insert(&mut self, slot: u32) -> bool {
        let index = self.chunk_of(slot);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.get_mut(index) else {
            chunks.push(Arc::new(vec![slot]));
            self.length += 1;
            return true;
        };
        let Err(place) = chunk.binary_search(&slot) else { return false };
        let items = Arc::make_mut(chunk);
        items.insert(place, slot);
        if items.len() > CHUNK_MAX {
            let upper = items.split_off(CHUNK_MAX / 2);
            chunks.insert(index + 1, Arc::new(upper));
        }
        self.length += 1;
        true
    }

    /// Whether the slot was there.
    pub fn remove(&mut self, slot: u32) -> bool {
        let index = self.chunk_of(slot);
        let Some(place) = self.chunks.get(index).and_then(|chunk| chunk.binary_search(&slot).ok()) else {
            return false;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        let items = Arc::make_mut(&mut chunks[index]);
        items.remove(place);
        if items.is_empty() {
            chunks.remove(index);
        }
        self.length -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u32..3000), 0..4000)) {
            let (mut postings, mut set) = (Postings::default(), BTreeSet::new());
            for (insert, slot) in steps {
                if insert {
                    prop_assert_eq!(postings.insert(slot), set.insert(slot));
                } else {
                    prop_assert_eq!(postings.remove(slot), set.remove(&slot));
                }
            }
            prop_assert_eq!(postings.len(), set.len());
            prop_assert!(postings.iter().eq(set.iter().copied()));
            prop_assert!((0..3000).all(|slot| postings.contains(slot) == set.contains(&slot)));
        }
    }
}

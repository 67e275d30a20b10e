//! Key to slot: append-only, sharded, never versioned. A slot without a record at a reader's sequence is not there for it.
//!
//! A table holds hashes and slots; the key itself lies in the slot's record alone, so that it is there once.

use std::sync::{PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::ids::Slot;

/// So many that growing one is short.
const SHARDS: usize = 256;

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    slot: Slot,
}

pub struct Keys {
    shards: Vec<RwLock<HashTable<Entry>>>,
    state: DefaultHashBuilder,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), state: DefaultHashBuilder::default() }
    }
}

/// A table's hash from the half that an entry keeps.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Keys {
    fn hash(&self, key: &str) -> (usize, u32) {
        let hash = self.state.hash_one(key);
        ((hash >> 56) as usize % SHARDS, hash as u32)
    }

    /// The slot of a key. `is_it` says whether a slot has it.
    pub fn find(&self, key: &str, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let (shard, hash) = self.hash(key);
        let table = self.shards[shard].read().unwrap_or_else(PoisonError::into_inner);
        table.find(spread(hash), |entry| entry.hash == hash && is_it(entry.slot)).map(|entry| entry.slot)
    }

    /// The slots that many keys may have, by their hashes alone; none where a key has none. Nothing else is looked at, and no
    /// lock lies between two looks: a processor then fetches several of them at once.
    pub fn guess<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Vec<Option<Slot>> {
        let tables: Vec<_> =
            self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner)).collect();
        let hashes: Vec<(usize, u32)> = keys.map(|key| self.hash(key)).collect();
        let guess = |(shard, hash): &(usize, u32)| tables[*shard].find(spread(*hash), |entry| entry.hash == *hash);
        hashes.iter().map(|hashed| guess(hashed).map(|entry| entry.slot)).collect()
    }

    /// Adds a key that is not there; only the writer does.
    pub fn insert(&self, key: &str, slot: Slot) {
        let (shard, hash) = self.hash(key);
        let mut table = self.shards[shard].write().unwrap_or_else(PoisonError::into_inner);
        table.insert_unique(spread(hash), Entry { hash, slot }, |entry| spread(entry.hash));
    }

    /// Bytes of the tables.
    pub fn size(&self) -> usize {
        let tables =
            self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).allocation_size());
        tables.sum()
    }
}

//! The newest version, and some before it: who took one of them last can be told what changed since.
//!
//! Each held version costs what later ones replaced of it, so a flood, of which nobody follows every step, leaves few of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::ids::{EntityId, Slot};
use crate::limits::{VERSIONS_BYTES_MAX, VERSIONS_MAX};
use crate::projection::Snapshot;

pub struct Versions {
    newest: ArcSwap<Snapshot>,
    held: Mutex<Held>,
}

/// Oldest first; the newest is the last.
#[derive(Default)]
struct Held {
    versions: VecDeque<Arc<Snapshot>>,
    /// Bytes, about, that all but the newest take.
    bytes: usize,
}

/// A version is not held any more, or never was: what changed since is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld;

/// What changed since a version.
pub struct Since {
    /// That version first, and then each up to the one that was asked for.
    versions: Vec<Arc<Snapshot>>,
}

impl Since {
    /// The version that was known.
    pub fn before(&self) -> &Snapshot {
        &self.versions[0]
    }

    /// The slots of an entity that some version since has written, ascending, each once.
    pub fn written(&self, entity: EntityId) -> Vec<Slot> {
        let later = self.versions.iter().skip(1);
        let mut all: Vec<Slot> =
            later.filter_map(|version| version.graph.written().slots(entity)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Versions {
    pub fn new(first: Snapshot) -> Versions {
        let first = Arc::new(first);
        let held = Held { versions: [first.clone()].into(), bytes: 0 };
        Versions { newest: ArcSwap::new(first), held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn newest(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Whether it is the newest.
    pub fn is_newest(&self, snapshot: &Arc<Snapshot>) -> bool {
        Arc::ptr_eq(&self.newest.load(), snapshot)
    }

    /// Makes a version the newest. Gives the one that was.
    pub fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let mut held = self.held();
        let gone = held.push(snapshot.clone());
        let before = self.newest.swap(snapshot);
        drop(held);
        // Taking versions apart is nobody's to wait for.
        drop(gone);
        before
    }

    /// A version by its number, where it is held.
    pub fn at(&self, version: u64) -> Option<Arc<Snapshot>> {
        let held = self.held();
        held.place(version).map(|place| held.versions[place].clone())
    }

    /// What a version changed of an earlier one.
    pub fn since(&self, before: u64, version: u64) -> Result<Since, TooOld> {
        let held = self.held();
        match (held.place(before), held.place(version)) {
            (Some(first), Some(last)) if first <= last => {
                Ok(Since { versions: held.versions.range(first..=last).cloned().collect() })
            }
            _ => Err(TooOld),
        }
    }

    /// Lets go of all but the newest: what they hold beside that is to vanish.
    pub fn let_go(&self) {
        let gone = self.held().keep(1);
        drop(gone);
    }

    /// How many are held, and the bytes, about, that all but the newest take.
    pub fn size(&self) -> (usize, usize) {
        let held = self.held();
        (held.versions.len(), held.bytes)
    }
}

impl Held {
    /// Adds the newest. Gives those that make room for it.
    fn push(&mut self, snapshot: Arc<Snapshot>) -> Vec<Arc<Snapshot>> {
        self.bytes += snapshot.graph.replaced();
        let is_told = snapshot.graph.written().is_all();
        self.versions.push_back(snapshot);
        // Of those before one that does not tell what it changed, nothing can be told.
        self.keep(if is_told { VERSIONS_MAX } else { 1 })
    }

    /// Keeps the newest, so many at most. Gives the others.
    fn keep(&mut self, most: usize) -> Vec<Arc<Snapshot>> {
        let mut gone = Vec::new();
        while self.versions.len() > 1 && (self.versions.len() > most || self.bytes > VERSIONS_BYTES_MAX) {
            gone.extend(self.versions.pop_front());
            // What the oldest replaced, nobody holds now.
            self.bytes -= self.versions.front().map_or(0, |oldest| oldest.graph.replaced());
        }
        gone
    }

    fn place(&self, version: u64) -> Option<usize> {
        // Each version is the next after the one before it.
        let first = self.versions.front()?.version;
        let place = usize::try_from(version.checked_sub(first)?).ok()?;
        self.versions.get(place).filter(|held| held.version == version).map(|_| place)
    }
}

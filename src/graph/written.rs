//! What a version changed of the one before it.

use crate::ids::{By, EntityId, Slot};
use crate::limits::WRITTEN_MAX;

/// The slots whose records a version wrote: of nodes that came, changed, were deleted, erased, merged or parted, and of those
/// that others began or ceased to name. All else is as it was, but for what links lead to: a node that is merged away is
/// written, and who links to it is found by its reverse links. Of a slot that is not among an older version's, nothing was known then.
///
/// Before and after are read from the two versions.
pub struct Written {
    /// Ascending.
    slots: By<EntityId, Box<[Slot]>>,
    /// Changes of ordered sets.
    noted: usize,
    is_all: bool,
}

impl Written {
    /// Takes what is sorted and stands once, and leaves the room.
    pub(super) fn take(written: &mut By<EntityId, Vec<Slot>>, noted: usize) -> Written {
        let is_all = written.iter().map(Vec::len).sum::<usize>() <= WRITTEN_MAX;
        let taken = |all: &Vec<Slot>| if is_all { all.as_slice().into() } else { Box::default() };
        let slots = written.iter().map(taken).collect();
        written.iter_mut().for_each(Vec::clear);
        Written { slots, noted, is_all }
    }

    /// An entity's slots, ascending; none where a version wrote more than is told.
    pub fn slots(&self, entity: EntityId) -> Option<&[Slot]> {
        self.is_all.then(|| &*self.slots[entity])
    }

    /// Whether all of it is told.
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    pub(super) fn count(&self, entity: EntityId) -> usize {
        self.slots[entity].len()
    }

    pub(super) fn noted(&self) -> usize {
        self.noted
    }
}

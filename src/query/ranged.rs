//! Indexes as lists walk them: one over a whole entity, or those of a few owners as if they were one.

use crate::graph::{ALL, Code, Index, Owned};
use crate::ids::Slot;

/// An index over a whole entity, or the indexes that owners have over their neighbours.
#[derive(Clone)]
pub enum Ranged<'v> {
    Whole(&'v Index),
    Owned(Vec<Owned<'v>>),
}

impl<'v> Ranged<'v> {
    pub fn count(&self, range: (Code, Code)) -> usize {
        match self {
            Ranged::Whole(index) if range == ALL => index.len(),
            Ranged::Whole(index) => index.count(range),
            // Who has one owner has no other.
            Ranged::Owned(owners) => owners.iter().map(|owned| owned.count(range)).sum(),
        }
    }

    /// The entries of a range by code, from the least or from the greatest on.
    pub fn range(&self, range: (Code, Code), descends: bool) -> Box<dyn Iterator<Item = (Code, Slot)> + 'v> {
        match self {
            Ranged::Whole(index) if descends => Box::new(index.range(range).rev()),
            Ranged::Whole(index) => Box::new(index.range(range)),
            Ranged::Owned(owners) => match &owners[..] {
                [owned] if descends => Box::new(owned.range(range).rev()),
                [owned] => Box::new(owned.range(range)),
                owners => Box::new(Merged::new(owners.iter().map(|owned| owned.range(range)), descends)),
            },
        }
    }
}

/// Sorted entries of a few as one.
struct Merged<I> {
    /// The next entry of each, and where more come from.
    heads: Vec<((Code, Slot), I)>,
    descends: bool,
}

impl<I: DoubleEndedIterator<Item = (Code, Slot)>> Merged<I> {
    fn new(all: impl Iterator<Item = I>, descends: bool) -> Merged<I> {
        let head = |mut entries: I| {
            let first = if descends { entries.next_back() } else { entries.next() };
            first.map(|first| (first, entries))
        };
        Merged { heads: all.filter_map(head).collect(), descends }
    }
}

impl<I: DoubleEndedIterator<Item = (Code, Slot)>> Iterator for Merged<I> {
    type Item = (Code, Slot);

    fn next(&mut self) -> Option<(Code, Slot)> {
        let heads = self.heads.iter().enumerate();
        let (place, _) = match self.descends {
            true => heads.max_by_key(|(_, (head, _))| *head)?,
            false => heads.min_by_key(|(_, (head, _))| *head)?,
        };
        let (head, entries) = &mut self.heads[place];
        match if self.descends { entries.next_back() } else { entries.next() } {
            Some(next) => Some(std::mem::replace(head, next)),
            None => Some(self.heads.swap_remove(place).0),
        }
    }
}

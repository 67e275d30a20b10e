//! What the rules keep of an entity beside its values: which event set what.

use std::sync::Arc;

use super::seen::{Prints, Versions};
use crate::model::value::Instant;

/// Orders the events of an entity: by stamp, then source, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    pub stamp: Stamp,
    pub source: Arc<str>,
    pub id: Arc<str>,
}

/// What a domain orders its events by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    Sequence(u64),
    Position { offset: u64, topic: u64, partition: u32 },
    Time(Instant),
}

/// The events that an entity has had, by what its domain tells duplicates.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub versions: Versions,
    pub prints: Prints,
}

/// An entity's setters. A field names its setter by a number from 1; 0 is none.
#[derive(Clone, Debug, Default)]
pub struct Record {
    setters: Vec<Order>,
    fields: Box<[u32]>,
    /// An attribute that was cleared stays here, so that nothing older sets it again.
    attributes: Vec<(Arc<str>, u32)>,
    merge: u32,
    deletion: u32,
    /// The greatest event that does not delete.
    change: u32,
    last: u32,
    pub seen: Seen,
}

impl Record {
    pub fn new(fields: usize) -> Record {
        Record { fields: vec![0; fields].into(), ..Record::default() }
    }

    fn order(&self, setter: u32) -> Option<&Order> {
        self.setters.get((setter as usize).checked_sub(1)?)
    }

    pub fn deletion(&self) -> Option<&Order> {
        self.order(self.deletion)
    }

    /// Whether the entity is deleted: nothing greater than its deletion brought it back.
    pub fn is_deleted(&self) -> bool {
        self.deletion().is_some_and(|deletion| self.order(self.change).is_none_or(|change| change < deletion))
    }

    /// Numbers an event that may come to set something.
    pub fn enter(&mut self, order: Order) -> u32 {
        if self.setters.len() >= 2 * self.fields.len() + 8 {
            self.forget_unused();
        }
        self.setters.push(order);
        self.setters.len() as u32
    }

    /// Whether the setter beats the one in place, which it then replaces.
    fn beats(&self, setter: u32, place: u32) -> bool {
        let order = self.order(setter);
        self.order(place) < order && self.deletion() < order
    }

    pub fn take_field(&mut self, setter: u32, field: usize) -> bool {
        let wins = self.beats(setter, self.fields[field]);
        if wins {
            self.fields[field] = setter;
        }
        wins
    }

    pub fn take_attribute(&mut self, setter: u32, name: &Arc<str>) -> bool {
        let index = match self.attributes.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                self.attributes.push((name.clone(), 0));
                self.attributes.len() - 1
            }
        };
        let wins = self.beats(setter, self.attributes[index].1);
        if wins {
            self.attributes[index].1 = setter;
        }
        wins
    }

    pub fn take_merge(&mut self, setter: u32) -> bool {
        let wins = self.beats(setter, self.merge);
        if wins {
            self.merge = setter;
        }
        wins
    }

    /// Whether this deletion is the greatest so far. What it deletes is told by [`Record::outdated`].
    pub fn take_deletion(&mut self, setter: u32) -> bool {
        let wins = self.deletion() < self.order(setter);
        if wins {
            self.deletion = setter;
        }
        wins
    }

    pub fn take_change(&mut self, setter: u32) {
        if self.order(self.change) < self.order(setter) {
            self.change = setter;
        }
    }

    /// Whether this is the entity's greatest event.
    pub fn take_last(&mut self, setter: u32) -> bool {
        let wins = self.order(self.last) < self.order(setter);
        if wins {
            self.last = setter;
        }
        wins
    }

    fn is_outdated(&self, setter: u32) -> bool {
        setter != 0 && self.order(setter) < self.deletion()
    }

    /// Forgets what the deletion outdates: gives the fields and attributes to clear, and whether the merge is undone.
    pub fn outdated(&mut self) -> (Vec<usize>, Vec<Arc<str>>, bool) {
        let fields: Vec<usize> = (0..self.fields.len()).filter(|field| self.is_outdated(self.fields[*field])).collect();
        fields.iter().for_each(|field| self.fields[*field] = 0);
        let outdated: Vec<bool> = self.attributes.iter().map(|(_, setter)| self.is_outdated(*setter)).collect();
        let mut names = Vec::new();
        let mut verdicts = outdated.into_iter();
        self.attributes.retain(|(name, _)| {
            let gone = verdicts.next().unwrap_or(false);
            if gone {
                names.push(name.clone());
            }
            !gone
        });
        let merge = self.is_outdated(self.merge);
        if merge {
            self.merge = 0;
        }
        (fields, names, merge)
    }

    /// Drops setters that nothing names any more.
    fn forget_unused(&mut self) {
        let mut kept = Vec::new();
        let mut renumbered = vec![0u32; self.setters.len() + 1];
        let named = self.fields.iter_mut().chain(self.attributes.iter_mut().map(|(_, setter)| setter));
        let singles = [&mut self.merge, &mut self.deletion, &mut self.change, &mut self.last];
        for setter in named.chain(singles).filter(|setter| **setter != 0) {
            let old = *setter as usize;
            if renumbered[old] == 0 {
                kept.push(self.setters[old - 1].clone());
                renumbered[old] = kept.len() as u32;
            }
            *setter = renumbered[old];
        }
        self.setters = kept;
    }
}

//! How many of each, kept with every write so that the catalogue never walks the graph.

use super::record::{Packed, State, bit};
use crate::model::Entity;

/// Counts of one entity's nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// What lists hold.
    pub listed: i64,
    /// Bytes of the newest records of all slots, with the header of a shared allocation each.
    pub bytes: i64,
    pub references: i64,
    pub incomplete: i64,
    pub deleted: i64,
    pub erased: i64,
    /// By field: how many listed nodes have a value.
    pub filled: Vec<i64>,
    /// By check: how many listed nodes break it.
    pub breaches: Vec<i64>,
}

impl Counts {
    pub fn new(entity: &Entity) -> Counts {
        Counts {
            listed: 0,
            bytes: 0,
            references: 0,
            incomplete: 0,
            deleted: 0,
            erased: 0,
            filled: vec![0; entity.fields.len()],
            breaches: vec![0; entity.checks.len()],
        }
    }

    /// Takes a record out and puts the next one of its slot in.
    pub(super) fn replace(&mut self, old: Packed<'_>, new: Packed<'_>) {
        let plain = |record: Packed<'_>| record.flags().state() == State::Present && !record.flags().merged();
        if plain(old) && plain(new) && old.flags() == new.flags() {
            // What most updates come to: a bit or two.
            turn(&mut self.filled, old.presence(), new.presence());
            turn(&mut self.breaches, old.breaches(), new.breaches());
        } else {
            self.count(old, -1);
            self.count(new, 1);
        }
    }

    /// Adds a record `sign` times: 1, or −1 before it changes.
    pub(super) fn count(&mut self, record: Packed<'_>, sign: i64) {
        if record.is_alias() || !record.exists() {
            return;
        }
        let flags = record.flags();
        match flags.state() {
            State::Reference => self.references += sign,
            State::Deleted => self.deleted += sign,
            State::Present => {
                self.listed += sign;
                if record.is_incomplete() {
                    self.incomplete += sign;
                }
                let presence = record.presence();
                for (field, filled) in self.filled.iter_mut().enumerate() {
                    *filled += if bit(presence, field) { sign } else { 0 };
                }
                let breaches = record.breaches();
                for (check, count) in self.breaches.iter_mut().enumerate() {
                    *count += if bit(breaches, check) { sign } else { 0 };
                }
            }
        }
        if flags.erased() && flags.state() != State::Reference {
            self.erased += sign;
        }
    }
}

/// Adds the bits that came and takes away those that went.
fn turn(counts: &mut [i64], old: &[u8], new: &[u8]) {
    for (byte, (before, after)) in old.iter().zip(new).enumerate() {
        let mut turned = before ^ after;
        while turned != 0 {
            let place = turned.trailing_zeros() as usize;
            counts[byte * 8 + place] += if after & (1 << place) != 0 { 1 } else { -1 };
            turned &= turned - 1;
        }
    }
}

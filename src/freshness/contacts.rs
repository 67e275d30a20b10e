//! Up to when a partition's records are all applied, told from what its source said when.
//!
//! A source that is asked at some moment, and answers that its log ends at some offset, says that all that was appended
//! before that moment lies before that offset. So once that much is applied, the graph is as of that moment, whatever the
//! records' own times are. Only what was appended before the first contact is dated by its records.

use std::collections::VecDeque;

use super::{Basis, Moment};
use crate::model::value::Instant;

/// Contacts that are remembered. More come only while a partition is behind; then every other one is forgotten, and `asOf`
/// moves in larger steps.
const CONTACTS_MAX: usize = 256;

/// All that was appended before a moment is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    pub at: Instant,
    pub basis: Basis,
    /// Where the moment is one of ours: the same by the clock that nobody sets, in milliseconds.
    tick_ms: Option<i64>,
}

impl AsOf {
    /// As of a contact.
    pub fn of(contact: Moment) -> AsOf {
        AsOf { at: contact.at, basis: Basis::Append, tick_ms: Some(contact.tick_ms) }
    }

    /// Milliseconds since, not below 0.
    pub fn staleness_ms(&self, now: Moment) -> i64 {
        match self.tick_ms {
            Some(tick_ms) => (now.tick_ms - tick_ms).max(0),
            None => now.at.millis_since(self.at),
        }
    }
}

/// A question to the source, and the end of all that was appended, committed or not, by its answer.
#[derive(Clone, Copy, Debug)]
struct Contact {
    asked: Moment,
    end: u64,
}

/// The contacts of a partition that still say something, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Contacts {
    contacts: VecDeque<Contact>,
}

impl Contacts {
    /// The source was asked, and has answered.
    pub fn push(&mut self, asked: Moment, end: u64) {
        if self.contacts.len() >= CONTACTS_MAX {
            let mut index = 0;
            // The first two say where a partition that moves no more stands: exactly.
            self.contacts.retain(|_| {
                index += 1;
                index <= 2 || index % 2 == 0
            });
        }
        self.contacts.push_back(Contact { asked, end });
    }

    /// Nobody asks any more for a version that has applied less than this.
    pub fn forget(&mut self, applied: u64) {
        while self.contacts.get(1).is_some_and(|second| second.end <= applied) {
            self.contacts.pop_front();
        }
    }

    /// Where a partition with all before `applied` stands. `first` is the time of its next record, where that is known.
    pub fn as_of(&self, applied: u64, first: Option<(Instant, Basis)>) -> Option<AsOf> {
        let within = self.contacts.iter().rposition(|contact| contact.end <= applied);
        let beyond = self.contacts.get(within.map_or(0, |index| index + 1)).map(|contact| contact.asked);
        let within = within.map(|index| AsOf::of(self.contacts[index].asked));
        match (within, beyond, first) {
            // The log's own time lies between the two contacts where its clock agrees with ours. A producer's may lie anywhere.
            (Some(within), Some(beyond), Some((at, Basis::Append))) if within.at < at && at <= beyond.at => {
                Some(AsOf { at, basis: Basis::Append, tick_ms: None })
            }
            (Some(within), ..) => Some(within),
            // It was in the log by then.
            (None, Some(beyond), Some((at, basis))) => Some(AsOf { at: at.min(beyond.at), basis, tick_ms: None }),
            (None, ..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contacts(all: &[(i64, u64)]) -> Contacts {
        let mut contacts = Contacts::default();
        all.iter().for_each(|(second, end)| contacts.push(Moment::of_seconds(*second), *end));
        contacts
    }

    fn check(all: &[(i64, u64)], applied: u64, first: Option<(i64, Basis)>, expected: Option<(i64, Basis)>) {
        let contacts = contacts(all);
        let first = first.map(|(second, basis)| (Moment::of_seconds(second).at, basis));
        let as_of = contacts.as_of(applied, first);
        assert_eq!(as_of.map(|as_of| (as_of.at.seconds, as_of.basis)), expected, "{all:?} {applied} {first:?}");
    }

    #[test]
    fn all_that_was_appended_before_it_is_applied() {
        use Basis::{Append, Producer};
        check(&[], 5, None, None);
        check(&[(10, 5)], 5, None, Some((10, Append)));
        check(&[(10, 5)], 4, None, None);
        // Appended before the first contact: its own time, and by then at the latest.
        check(&[(10, 5)], 4, Some((7, Producer)), Some((7, Producer)));
        check(&[(10, 5), (20, 9)], 4, Some((99, Producer)), Some((10, Producer)));
        // Between two contacts the log's own clock is the finer one.
        check(&[(10, 5), (20, 9)], 5, Some((13, Append)), Some((13, Append)));
        // A clock that disagrees with the contacts is not believed, a producer's never.
        check(&[(10, 5), (20, 9)], 5, Some((21, Append)), Some((10, Append)));
        check(&[(10, 5), (20, 9)], 5, Some((9, Append)), Some((10, Append)));
        check(&[(10, 5), (20, 9)], 5, Some((13, Producer)), Some((10, Append)));
        // What came later is applied, what came before it is not told apart.
        check(&[(10, 5), (20, 9), (30, 12)], 10, None, Some((20, Append)));
        // Another end than the newest says nothing once the log went back.
        check(&[(10, 9), (20, 5)], 5, None, Some((20, Append)));
    }

    #[test]
    fn what_is_forgotten_is_never_claimed() {
        let mut contacts = contacts(&[(10, 5), (20, 9), (30, 12)]);
        contacts.forget(9);
        assert_eq!(contacts.as_of(9, None).map(|as_of| as_of.at.seconds), Some(20));
        for second in 0..1000 {
            contacts.push(Moment::of_seconds(100 + second), 100 + second as u64);
        }
        assert!(contacts.contacts.len() <= CONTACTS_MAX);
        assert_eq!(contacts.as_of(9, None).map(|as_of| as_of.at.seconds), Some(20));
        for applied in (12..1100).step_by(7) {
            let as_of = contacts.as_of(applied, None).map_or(0, |as_of| as_of.at.seconds);
            assert!(as_of <= applied as i64 || as_of == 30, "{applied}: {as_of}");
        }
    }
}

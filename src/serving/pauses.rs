//! What somebody paused: topics, those of their partitions included that come later, and single partitions. It lasts as long as the
//! process: a start that read nothing of a domain would never be ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::ids::TopicId;

/// A topic, or one partition of it by its number.
pub type Place = (TopicId, Option<u32>);

/// A partition cannot be resumed alone whose topic is paused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillPaused(pub Place);

/// Why what is paused is paused.
#[derive(Debug, Default)]
pub struct Pauses {
    /// Whether anything is: readers ask for each record.
    any: AtomicBool,
    paused: RwLock<BTreeMap<Place, Arc<str>>>,
}

impl Pauses {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Place, Arc<str>>> {
        self.paused.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Place, Arc<str>>) -> T) -> T {
        let mut paused = self.paused.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut paused);
        self.any.store(!paused.is_empty(), Ordering::Release);
        changed
    }

    /// Whether anything is paused.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Why a partition is paused, where it is.
    pub fn of(&self, topic: TopicId, number: u32) -> Option<Arc<str>> {
        if !self.any() {
            return None;
        }
        let paused = self.read();
        paused.get(&(topic, None)).or_else(|| paused.get(&(topic, Some(number)))).cloned()
    }

    /// All that is paused.
    pub fn all(&self) -> Vec<Place> {
        self.read().keys().copied().collect()
    }

    /// What is paused already stays so for the reason that it has.
    pub(super) fn pause(&self, places: &[Place], why: &Arc<str>) {
        self.change(|paused| {
            for place in places {
                paused.entry(*place).or_insert_with(|| why.clone());
            }
        });
    }

    /// A topic is resumed with all its partitions.
    pub(super) fn resume(&self, places: &[Place]) -> Result<(), StillPaused> {
        self.change(|paused| {
            let is_whole = |(topic, _): Place| paused.contains_key(&(topic, None)) && !places.contains(&(topic, None));
            if let Some(still) = places.iter().find(|place| is_whole(**place)) {
                return Err(StillPaused(*still));
            }
            paused
                .retain(|(topic, number), _| !places.contains(&(*topic, None)) && !places.contains(&(*topic, *number)));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;

    fn place(topic: usize, number: Option<u32>) -> Place {
        (TopicId::of(topic), number)
    }

    /// What is paused after all, and which of two topics' two partitions it holds back.
    fn check(pauses: &Pauses, all: &[Place], held: [[bool; 2]; 2]) {
        assert_eq!((pauses.all().as_slice(), pauses.any()), (all, !all.is_empty()));
        let is_held = [0, 1].map(|topic| [0, 1].map(|number| pauses.of(TopicId::of(topic), number).is_some()));
        assert_eq!(is_held, held, "{all:?}");
    }

    #[test]
    fn topics_and_partitions_are_paused_and_resumed() {
        let (pauses, why): (Pauses, Arc<str>) = (Pauses::default(), "tests".into());
        check(&pauses, &[], [[false; 2]; 2]);
        pauses.pause(&[place(0, Some(1))], &why);
        check(&pauses, &[place(0, Some(1))], [[false, true], [false; 2]]);
        pauses.pause(&[place(0, None)], &"later".into());
        check(&pauses, &[place(0, None), place(0, Some(1))], [[true; 2], [false; 2]]);
        // Part of a whole is not resumed alone, and what was asked with it is not either.
        pauses.pause(&[place(1, Some(0))], &why);
        let refused = pauses.resume(&[place(1, Some(0)), place(0, Some(1))]);
        assert_eq!(refused, Err(StillPaused(place(0, Some(1)))));
        check(&pauses, &[place(0, None), place(0, Some(1)), place(1, Some(0))], [[true; 2], [true, false]]);
        pauses.resume(&[place(0, None)]).expect("a whole");
        check(&pauses, &[place(1, Some(0))], [[false; 2], [true, false]]);
        // What is not paused is resumed all the same.
        pauses.resume(&[place(1, Some(0)), place(1, Some(1)), place(0, None)]).expect("partitions");
        check(&pauses, &[], [[false; 2]; 2]);
    }
}

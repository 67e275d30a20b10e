//! A list by slot that grows by segments: nothing that is in it is ever copied to make room, so that no event pays for a million others.

use std::ops::{Index, IndexMut};

use crate::ids::Slot;

/// Entries a segment, as a power of two.
const SEGMENT_BITS: u32 = 14;
const SEGMENT: usize = 1 << SEGMENT_BITS;

pub struct Column<T> {
    /// All but the last are full.
    segments: Vec<Vec<T>>,
}

impl<T> Default for Column<T> {
    fn default() -> Column<T> {
        Column { segments: Vec::new() }
    }
}

impl<T> Column<T> {
    pub fn len(&self) -> usize {
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.len())
    }

    pub fn push(&mut self, value: T) {
        match self.segments.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push(value),
            // Few stay few: the first grows as it is needed.
            None => self.segments.push(vec![value]),
            Some(_) => {
                let mut next = Vec::with_capacity(SEGMENT);
                next.push(value);
                self.segments.push(next);
            }
        }
    }

    pub fn get(&self, slot: Slot) -> Option<&T> {
        let index = slot.index();
        self.segments.get(index >> SEGMENT_BITS)?.get(index & (SEGMENT - 1))
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }

    /// Bytes that it holds, used or not.
    pub fn size(&self) -> usize {
        // All but the last hold as many as a segment has: asked for at every version, whatever their number.
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.capacity()) * size_of::<T>()
    }
}

impl<T> Index<Slot> for Column<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        let index = slot.index();
        &self.segments[index >> SEGMENT_BITS][index & (SEGMENT - 1)]
    }
}

impl<T> IndexMut<Slot> for Column<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        let index = slot.index();
        &mut self.segments[index >> SEGMENT_BITS][index & (SEGMENT - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;

    #[test]
    fn what_was_pushed_is_there() {
        let mut column = Column::default();
        for number in 0..3 * SEGMENT {
            assert_eq!((column.len(), column.get(Slot::of(number))), (number, None));
            column.push(number);
        }
        let edge = Slot::of(SEGMENT);
        column[edge] = 7;
        assert_eq!(
            (column[Slot::of(SEGMENT - 1)], column[edge], column.get(Slot::of(SEGMENT + 1))),
            (SEGMENT - 1, 7, Some(&(SEGMENT + 1)))
        );
        assert_eq!(column.size(), 3 * SEGMENT * size_of::<usize>());
    }
}

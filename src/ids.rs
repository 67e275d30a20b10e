//! Ids: what the engine's numbers are numbers of, so that one kind never stands where another is meant.
//!
//! An id is a dense number in a small type of its own: [`By`] holds one thing for each of them. Inside trees and packed
//! records `graph` works on the raw words. The room imports nothing and knows no model.
//!
//! Not here: what is counted within something else and goes no further (a check of an entity, a link among those of an
//! entity, a partition's number in its topic), and offsets. An offset is not a place in a list of ours: it is compared,
//! raised and taken apart with a log's own numbers at every step, and a type that is opened everywhere guards nothing.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Index, IndexMut};

/// A dense number that says what it counts.
pub trait Id: Copy {
    /// The id of a place in a list. It panics where its number does not fit, which the makers of such lists rule out.
    fn of(index: usize) -> Self;
    /// The place in a list.
    fn index(self) -> usize;
}

macro_rules! ids {
    ($($(#[$says:meta])* $name:ident($number:ty))*) => {$(
        $(#[$says])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $number);

        impl $name {
            pub const MIN: $name = $name(<$number>::MIN);
            pub const MAX: $name = $name(<$number>::MAX);

            /// The place in a list.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Id for $name {
            fn of(index: usize) -> $name {
                $name(<$number>::try_from(index).expect(concat!("a number fits ", stringify!($name))))
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A domain: its place in the model.
    DomainId(u16)
    /// A node type: its place in the model.
    EntityId(u16)
    /// A field: its place in the entity.
    FieldId(u16)
    /// A node among those of its entity, in the order in which their keys were first named.
    Slot(u32)
    /// A topic: its place among those that all sources read.
    TopicId(u32)
    /// A partition: its place among those that are read, in the order in which they were found. Its number in its topic is
    /// another.
    PartitionId(u32)
    /// A generation: its number among those that this process began.
    GenerationId(u32)
}

/// A node of the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    pub entity: EntityId,
    pub slot: Slot,
}

impl EntityId {
    /// The node in a slot of this entity.
    pub fn node(self, slot: Slot) -> NodeId {
        NodeId { entity: self, slot }
    }
}

/// By id, one `T`: a `Vec` that no other id, and no bare number, looks into.
///
/// ```compile_fail,E0308
/// use staygraph::ids::{By, EntityId, FieldId};
/// let names: By<EntityId, &str> = ["guest"].into_iter().collect();
/// let _ = names[FieldId(0)];
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By<I, T> {
    items: Vec<T>,
    ids: PhantomData<fn() -> I>,
}

impl<I: Id, T> By<I, T> {
    /// Adds one at the end, and gives its id.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::of(self.items.len() - 1)
    }

    /// Takes all out, and keeps their room.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    pub fn get(&self, id: I) -> Option<&T> {
        self.items.get(id.index())
    }

    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.items.get_mut(id.index())
    }

    /// The first that passes a test.
    pub fn find(&self, passes: impl FnMut(&T) -> bool) -> Option<I> {
        self.items.iter().position(passes).map(I::of)
    }

    /// All ids, ascending.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone + use<I, T> {
        (0..self.items.len()).map(I::of)
    }

    /// All, each with its id.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        self.items.iter().enumerate().map(|(index, item)| (I::of(index), item))
    }

    pub fn entries_mut(&mut self) -> impl DoubleEndedIterator<Item = (I, &mut T)> + ExactSizeIterator {
        self.items.iter_mut().enumerate().map(|(index, item)| (I::of(index), item))
    }

    /// The one of an id. Those that are not there yet, up to it, are made.
    pub fn grow(&mut self, id: I, make: impl FnMut() -> T) -> &mut T {
        if self.items.len() <= id.index() {
            self.items.resize_with(id.index() + 1, make);
        }
        &mut self.items[id.index()]
    }

    /// Bytes that its entries may take before it grows.
    pub fn size(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }
}

impl<I, T> Default for By<I, T> {
    fn default() -> By<I, T> {
        By { items: Vec::new(), ids: PhantomData }
    }
}

impl<I, T> From<Vec<T>> for By<I, T> {
    fn from(items: Vec<T>) -> By<I, T> {
        By { items, ids: PhantomData }
    }
}

impl<I, T> Extend<T> for By<I, T> {
    fn extend<A: IntoIterator<Item = T>>(&mut self, items: A) {
        self.items.extend(items);
    }
}

impl<I, T> FromIterator<T> for By<I, T> {
    fn from_iter<A: IntoIterator<Item = T>>(items: A) -> By<I, T> {
        By { items: items.into_iter().collect(), ids: PhantomData }
    }
}

impl<I: Id, T> Index<I> for By<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.items[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for By<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.index()]
    }
}

/// What a list does that needs no place: going over all, their number.
impl<I, T> Deref for By<I, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<I, T> DerefMut for By<I, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<'t, I, T> IntoIterator for &'t By<I, T> {
    type Item = &'t T;
    type IntoIter = std::slice::Iter<'t, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'t, I, T> IntoIterator for &'t mut By<I, T> {
    type Item = &'t mut T;
    type IntoIter = std::slice::IterMut<'t, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_lies_under_its_id() {
        let mut names: By<EntityId, &str> = By::default();
        let ids = ["stay", "guest", "home"].map(|name| names.push(name));
        assert_eq!(ids, [0, 1, 2].map(EntityId));
        assert!(names.entries().map(|(id, _)| id).eq(names.ids()) && names.ids().eq(ids));
        assert_eq!(
            (names[ids[1]], names.get(EntityId(3)), names.find(|name| *name == "home")),
            ("guest", None, Some(ids[2]))
        );
        names.entries_mut().filter(|(id, _)| *id == ids[0]).for_each(|(_, name)| *name = "visit");
        assert!(names.iter().eq(&["visit", "guest", "home"]));
    }

    #[test]
    fn it_grows_to_an_id_and_no_further() {
        let mut counts: By<PartitionId, u32> = By::default();
        *counts.grow(PartitionId(2), || 7) += 1;
        *counts.grow(PartitionId(1), || 0) += 1;
        assert!(counts.iter().eq(&[7, 8, 8]));
    }

    #[test]
    fn an_id_is_as_small_as_its_number() {
        assert_eq!((size_of::<EntityId>(), size_of::<Slot>(), size_of::<NodeId>()), (2, 4, 8));
        assert_eq!(EntityId::of(usize::from(u16::MAX)), EntityId::MAX);
        assert!(std::panic::catch_unwind(|| EntityId::of(usize::from(u16::MAX) + 1)).is_err());
    }
}

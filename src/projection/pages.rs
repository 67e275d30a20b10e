//! A queue whose copies share what has not changed since: the writer copies a page the first time it touches it after
//! a copy was taken, and readers of the copy see nothing of that.

use std::collections::VecDeque;
use std::sync::Arc;

/// Items a page. Copying a page costs as many reference counts; smaller pages make the list of pages dearer to copy.
const PAGE: usize = 64;

/// Items that keep their numbers, which count from 0, while the oldest are dropped. Cloning it is a snapshot: cheap, and
/// never changed by later writes.
#[derive(Debug)]
pub struct Pages<T> {
    pages: Arc<VecDeque<Page<T>>>,
    /// The number of the first page.
    first: usize,
    length: usize,
}

type Page<T> = Arc<Vec<Arc<T>>>;

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Pages { pages: self.pages.clone(), first: self.first, length: self.length }
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { pages: Arc::default(), first: 0, length: 0 }
    }
}

impl<T: Clone + Default> Pages<T> {
    /// One whose next item has a number.
    pub fn from(number: usize) -> Pages<T> {
        let mut pages = Pages { first: number / PAGE, length: number / PAGE * PAGE, pages: Arc::default() };
        (0..number % PAGE).for_each(|_| pages.push(T::default()));
        pages
    }
    /// How many were ever pushed.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn get(&self, number: usize) -> Option<&Arc<T>> {
        self.pages.get((number / PAGE).checked_sub(self.first)?)?.get(number % PAGE)
    }

    pub fn push(&mut self, item: T) {
        let pages = Arc::make_mut(&mut self.pages);
        match pages.back_mut() {
            Some(page) if page.len() < PAGE => Arc::make_mut(page).push(Arc::new(item)),
            _ => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(Arc::new(item));
                pages.push_back(Arc::new(page));
            }
        }
        self.length += 1;
    }

    /// The item to write to, apart from what snapshots hold.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        let page = (number / PAGE).checked_sub(self.first)?;
        let page = Arc::make_mut(Arc::make_mut(&mut self.pages).get_mut(page)?);
        page.get_mut(number % PAGE).map(Arc::make_mut)
    }

    /// Drops the pages that hold nothing from a number on.
    pub fn drop_before(&mut self, number: usize) {
        let pages = Arc::make_mut(&mut self.pages);
        // The last one is filled further.
        while self.first < number / PAGE && pages.front().is_some_and(|page| page.len() == PAGE) {
            pages.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_later_writes() {
        let mut pages = Pages::default();
        (0..200).for_each(|number| pages.push(number));
        let snapshot = pages.clone();
        *pages.get_mut(130).unwrap() = 7;
        pages.push(200);
        pages.drop_before(130);
        assert_eq!((snapshot.len(), **snapshot.get(130).unwrap(), **snapshot.get(0).unwrap()), (200, 130, 0));
        assert_eq!((pages.len(), **pages.get(130).unwrap(), **pages.get(200).unwrap()), (201, 7, 200));
        assert!(snapshot.get(200).is_none() && pages.get(127).is_none() && pages.get(128).is_some());
        pages.drop_before(1000);
        assert!(pages.get(191).is_none() && pages.get(200).is_some());
        pages.push(201);
        assert_eq!((pages.len(), pages.get(201).is_some()), (202, true));
        let mut pages = Pages::from(130);
        pages.push(7);
        assert_eq!((pages.len(), pages.get(130).map(|item| **item), pages.get(127)), (131, Some(7), None));
    }
}

//! A vector whose copies share what has not changed since: the writer copies a page the first time it touches it after
//! a copy was taken, and readers of the copy see nothing of that.

use std::sync::Arc;

/// Items a page. Copying a page costs as many reference counts; smaller pages make copying the vector dearer.
const PAGE: usize = 64;

/// A copy-on-write vector. Cloning it is a snapshot: cheap, and never changed by later writes.
#[derive(Debug)]
pub struct Pages<T> {
    pages: Vec<Arc<Vec<Arc<T>>>>,
    length: usize,
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Pages { pages: self.pages.clone(), length: self.length }
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { pages: Vec::new(), length: 0 }
    }
}

impl<T: Clone> Pages<T> {
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn get(&self, index: usize) -> Option<&Arc<T>> {
        self.pages.get(index / PAGE)?.get(index % PAGE)
    }

    pub fn push(&mut self, item: T) {
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => Arc::make_mut(page).push(Arc::new(item)),
            _ => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(Arc::new(item));
                self.pages.push(Arc::new(page));
            }
        }
        self.length += 1;
    }

    /// The item to write to, apart from what snapshots hold.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let page = Arc::make_mut(self.pages.get_mut(index / PAGE)?);
        page.get_mut(index % PAGE).map(Arc::make_mut)
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
        assert_eq!((snapshot.len(), **snapshot.get(130).unwrap()), (200, 130));
        assert_eq!((pages.len(), **pages.get(130).unwrap(), **pages.get(200).unwrap()), (201, 7, 200));
        assert!(snapshot.get(200).is_none());
    }
}

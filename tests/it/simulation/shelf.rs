//! A place for checkpoints that outlives processes, and may lose what a process was writing when it was killed.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard};

use staygraph::store::{Store, Upload};

use super::dice::Dice;

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    /// The one that was finished last.
    last: Option<String>,
    /// After so many more things that are done to it, whoever does them is dead.
    fuse: Option<usize>,
}

#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Inner>>);

impl Shelf {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with it")
    }

    pub fn set_fuse(&self, fuse: Option<usize>) {
        self.inner().fuse = fuse;
    }

    fn burn(&self) -> Result<(), String> {
        let mut inner = self.inner();
        match &mut inner.fuse {
            Some(0) => Err("the process is killed".into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The ids of checkpoints that have a head.
    pub fn ids(&self) -> Vec<String> {
        self.inner().files.keys().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect()
    }

    /// Cuts what was finished last, or flips a bit of it. Says which.
    pub fn tear(&self, dice: &mut Dice) -> Option<String> {
        let mut inner = self.inner();
        let name = inner.last.take()?;
        let bytes = inner.files.get_mut(&name).filter(|bytes| !bytes.is_empty())?;
        let at = dice.below(bytes.len());
        match dice.percent(50) {
            true => bytes.truncate(at),
            false => bytes[at] ^= 1 << dice.below(8),
        }
        Some(name)
    }
}

impl Store for Shelf {
    fn names(&self) -> Result<Vec<String>, String> {
        Ok(self.inner().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, String> {
        let file = self.inner().files.get(name).cloned();
        Ok(file.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload + '_>, String> {
        self.burn()?;
        Ok(Box::new(Unfinished { shelf: self, name: name.to_owned(), bytes: Vec::new() }))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        self.burn()?;
        self.inner().files.remove(name);
        Ok(())
    }

    fn location(&self, name: &str) -> String {
        name.to_owned()
    }
}

struct Unfinished<'a> {
    shelf: &'a Shelf,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.shelf.burn()?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), String> {
        self.shelf.burn()?;
        let mut inner = self.shelf.inner();
        if inner.files.contains_key(&self.name) {
            return Err(format!("{} is there already", self.name));
        }
        inner.last = Some(self.name.clone());
        inner.files.insert(self.name, self.bytes);
        Ok(())
    }
}

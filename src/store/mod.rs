//! Where checkpoints lie: a folder, or an object store. Names and bytes in, names and bytes out; and which of them a start takes.

mod checkpoints;
mod files;
mod objects;

use std::io::Read;

pub use checkpoints::{Checkpoints, Refused, Restore, Started};
pub use files::Files;
pub use objects::{Objects, is_object_url};

/// A place for files that are made once and never changed. Errors say what failed, and where.
pub trait Store: Send + Sync {
    /// What is there, whole: what is still being written is not.
    fn names(&self) -> Result<Vec<String>, String>;

    /// None where there is no such file.
    fn read(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, String>;

    /// Begins a file, which is there once it is finished.
    fn create(&self, name: &str) -> Result<Box<dyn Upload + '_>, String>;

    /// Takes a file away; one that is not there is no error.
    fn delete(&self, name: &str) -> Result<(), String>;

    /// Where people find a file.
    fn location(&self, name: &str) -> String;
}

/// A file in the making. Dropped before it is finished, it leaves nothing.
pub trait Upload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), String>;

    /// Makes it safe, and then visible, in one go. An error where another file of the name is there: of several that are finished at
    /// once one wins. In an object store that holds of what fits one part, as heads do; of what is larger the last one wins, where
    /// none was there when it began to finish.
    fn finish(self: Box<Self>) -> Result<(), String>;
}

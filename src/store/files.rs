//! A folder as a store: a file is written beside, synced, and then linked under its name; then the folder is synced.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::{Store, Upload};

/// What a file is called while it is written.
const UNFINISHED: &str = ".part";

pub struct Files {
    folder: PathBuf,
    /// So much stays free on its disk: what else is written there comes first.
    free_bytes_min: u64,
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> String {
    format!("{} cannot be {what}: {error}", path.display())
}

impl Files {
    /// Makes the folder where it is missing, and takes away what was not finished there.
    pub fn open(folder: &Path, free_bytes_min: u64) -> Result<Files, String> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, "made", &error))?;
        // What people are told stays true wherever they stand.
        let folder = folder.canonicalize().map_err(|error| failed(folder, "found", &error))?;
        let files = Files { folder, free_bytes_min };
        for name in files.all()?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            files.delete(name)?;
        }
        Ok(files)
    }

    /// A folder to be read only: somebody else may be writing there. One that is missing holds nothing.
    pub fn open_to_read(folder: &Path) -> Files {
        Files { folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()), free_bytes_min: 0 }
    }

    fn all(&self) -> Result<Vec<String>, String> {
        let read = |error: std::io::Error| failed(&self.folder, "read", &error);
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            entries => entries.map_err(read)?,
        };
        for entry in entries {
            names.extend(entry.map_err(read)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn sync(&self) -> Result<(), String> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed(&self.folder, "synced", &error))
    }
}

impl Store for Files {
    fn names(&self) -> Result<Vec<String>, String> {
        let mut names = self.all()?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, String> {
        let path = self.folder.join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "opened", &error)),
        }
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload + '_>, String> {
        // Of its own, whoever else writes one of the name.
        let random = getrandom::u32().map_err(|error| format!("no randomness for a file's name: {error}"))?;
        let unfinished = self.folder.join(format!("{name}.{random:08x}{UNFINISHED}"));
        let file = File::create(&unfinished).map_err(|error| failed(&unfinished, "made", &error))?;
        let name = self.folder.join(name);
        Ok(Box::new(Unfinished {
            files: self,
            path: unfinished,
            name,
            file: Some(BufWriter::with_capacity(1 << 20, file)),
        }))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, "removed", &error)),
            _ => Ok(()),
        }
    }

    fn location(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

struct Unfinished<'a> {
    files: &'a Files,
    path: PathBuf,
    name: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Upload for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let (least, free) = (self.files.free_bytes_min, rustix::fs::statvfs(&self.files.folder));
        let free = free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).unwrap_or(u64::MAX);
        if free < least.saturating_add(bytes.len() as u64) {
            return Err(format!("the disk is full: {free} bytes are free, and {least} must stay so"));
        }
        file.write_all(bytes).map_err(|error| failed(&self.path, "written", &error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        if let Some(file) = self.file.take() {
            let file = file.into_inner().map_err(|error| failed(&self.path, "written", error.error()))?;
            file.sync_all().map_err(|error| failed(&self.path, "synced", &error))?;
        }
        // A link is refused where the name is taken; a rename would put it in the other's place.
        fs::hard_link(&self.path, &self.name).map_err(|error| failed(&self.name, "made", &error))?;
        fs::remove_file(&self.path).map_err(|error| failed(&self.path, "removed", &error))?;
        self.files.sync()
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Where it was finished it is gone already.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::open(folder.path(), 0).expect("a store");
        let mut upload = files.create("one").expect("a file");
        upload.write(b"half").expect("room");
        assert_eq!(files.names(), Ok(vec![]));
        drop(upload);
        assert_eq!(files.all(), Ok(vec![]));
        let mut upload = files.create("one").expect("a file");
        upload.write(b"whole").expect("room");
        upload.finish().expect("a folder that syncs");
        assert_eq!(files.all(), Ok(vec!["one".into()]));
        let mut text = String::new();
        files.read("one").expect("it is read").expect("it is there").read_to_string(&mut text).expect("it is text");
        assert_eq!(text, "whole");
        // Never changed: a second of the name is refused, and the first stays.
        assert!(files.create("one").expect("a file").finish().is_err());
        fs::write(folder.path().join("two.part"), "cut off").expect("room");
        let files = Files::open(folder.path(), 0).expect("a store");
        assert_eq!(files.all(), Ok(vec!["one".into()]));
        // What else lies on the disk comes first.
        let full = Files::open(folder.path(), u64::MAX).expect("a store");
        let refused = full.create("two").expect("a file").write(b"more");
        assert!(refused.is_err_and(|why| why.starts_with("the disk is full: ")));
        assert_eq!(full.all(), Ok(vec!["one".into()]));
        files.delete("one").expect("it goes");
        files.delete("one").expect("it is gone");
        assert_eq!(files.names(), Ok(vec![]));
    }
}

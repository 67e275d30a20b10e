//! The key file: written whole or not at all, and what it held before leaves the disk as far as a file system lets it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that is being written, and the one that was: both go when they are found.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// What the file holds; none where it is not there. What a write left that was cut off goes.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    for ending in [".new", ".old"] {
        wipe(&beside(path, ending))?;
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts bytes in the file's place. Once it returns they are on the disk, and the old ones are overwritten.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (new, old) = (beside(path, ".new"), beside(path, ".old"));
    wipe(&new)?;
    wipe(&old)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A second name for what is to be overwritten: it is found again where this ends halfway.
    match fs::hard_link(path, &old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(&new, path)?;
    sync_folder(path)?;
    wipe(&old)
}

/// Overwrites a file, and takes it away.
fn wipe(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    while left > 0 {
        let zeros = [0; 4096];
        let length = left.min(zeros.len() as u64);
        file.write_all(&zeros[..length as usize])?;
        left -= length;
    }
    file.sync_all()?;
    fs::remove_file(path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

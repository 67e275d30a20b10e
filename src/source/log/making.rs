//! A log's folder, made whole or not at all: beside its place, under another name, and then renamed. What a start left that
//! was cut off is made again; what holds records, or anything that is not a log's, is left alone and said.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use fjall::Database;

use super::LogError;

/// The store writes it last: a log without it was never written to.
const VERSION: &str = "version";
/// What the store makes before that.
const LOCK: &str = "lock";
const JOURNAL: &str = "0.jnl";
const KEYSPACES: &str = "keyspaces";

/// Of the store's blocks: the log is read once, from its start.
const CACHE_BYTES: u64 = 8 << 20;

/// Opens the store in a folder, which is made where it is missing.
pub fn open(path: &Path) -> Result<Database, LogError> {
    let failed = |error: std::io::Error| LogError::Store(format!("{} cannot be made: {error}", path.display()));
    if !is_whole(path).map_err(failed)? {
        if path.is_dir() {
            // Somebody's empty folder, or what another version left: it stays that folder.
            clear(path, path)?;
        } else {
            make(path, &half_made(path))?;
        }
    }
    store(path, path)
}

fn make(path: &Path, half: &Path) -> Result<(), LogError> {
    let failed = |error: std::io::Error| LogError::Store(format!("{} cannot be made: {error}", path.display()));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    if half.is_dir() {
        clear(half, path)?;
    }
    let made = store(half, path)?;
    // Under the lock that the store holds: nobody takes it for what was left behind.
    let named = fs::rename(half, path).and_then(|()| sync(path.parent().unwrap_or(path)));
    drop(made);
    match named {
        // Another process was quicker.
        Err(error) if [ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists].contains(&error.kind()) => {
            Err(LogError::Locked(path.to_owned()))
        }
        named => named.map_err(failed),
    }
}

fn half_made(path: &Path) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".half-made");
    path.with_file_name(name)
}

fn store(path: &Path, shown: &Path) -> Result<Database, LogError> {
    // Of several workers the first hands compactions on to the others, and while those are busy to itself, without a pause:
    // a core is lost for as long as a compaction takes.
    Database::builder(path).cache_size(CACHE_BYTES).worker_threads(1).open().map_err(|error| match error {
        fjall::Error::Locked => LogError::Locked(shown.to_owned()),
        other => other.into(),
    })
}

fn is_whole(path: &Path) -> std::io::Result<bool> {
    match fs::metadata(path.join(VERSION)) {
        Ok(version) => Ok(version.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes away what the making of a log left in a folder.
fn clear(path: &Path, log: &Path) -> Result<(), LogError> {
    let failed = |error: std::io::Error| LogError::Store(format!("{} cannot be used: {error}", path.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if ![VERSION, LOCK, JOURNAL, KEYSPACES].contains(&name.as_str()) {
            return Err(LogError::Store(format!(
                "{} is no log, and holds `{name}`: name another folder with `--data DIR`",
                path.display()
            )));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Ok(());
    }
    // In its place it may be a log that lost its mark; beside its place nothing was ever written to it.
    if path == log && !is_unwritten(path).map_err(failed)? {
        return Err(LogError::Store(format!(
            "{} holds records, and its file `{VERSION}` is missing: put it back from a copy, or move the folder away",
            path.display()
        )));
    }
    // Whoever makes it at this moment holds it.
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
    if lock.try_lock().is_err() {
        return Err(LogError::Locked(log.to_owned()));
    }
    for name in [VERSION, JOURNAL].iter().filter(|name| names.iter().any(|known| known == *name)) {
        fs::remove_file(path.join(name)).map_err(failed)?;
    }
    if names.iter().any(|name| name == KEYSPACES) {
        fs::remove_dir_all(path.join(KEYSPACES)).map_err(failed)?;
    }
    fs::remove_file(path.join(LOCK)).map_err(failed)
}

/// Whether a store was never written to: no table, and a journal of zeros.
fn is_unwritten(path: &Path) -> std::io::Result<bool> {
    use std::io::Read;
    let is_empty = |entries: std::io::Result<fs::ReadDir>| match entries {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    let mut start = Vec::new();
    match File::open(path.join(JOURNAL)) {
        Ok(journal) => drop(journal.take(4096).read_to_end(&mut start)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(is_empty(fs::read_dir(path.join(KEYSPACES)))? && start.iter().all(|byte| *byte == 0))
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
}

//! Where checkpoints lie, how often one is taken, and how many are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Places, Sections};

/// A place for checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointPlace {
    Folder(PathBuf),
}

/// `[checkpoints]`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// None where none are taken, nor read.
    pub place: Option<CheckpointPlace>,
    pub every: Duration,
    pub keep: usize,
    /// Whether any is taken: else they are only read.
    pub write: bool,
}

/// What is said in place of a URL where none are wanted.
const NONE: &str = "none";

pub fn read(file: &Sections, places: &Places, data_dir: &Path, faults: &mut Vec<String>) -> CheckpointConfig {
    let none = super::file::FileCheckpoints::default();
    let given = file.checkpoints.as_ref().unwrap_or(&none);
    let url = given.url.as_deref().unwrap_or("file:checkpoints");
    let place = match place_of(url, data_dir) {
        Ok(place) => place,
        Err(fault) => {
            faults.push(format!("{}: [checkpoints]: {fault}", places.of(&["checkpoints", "url"])));
            None
        }
    };
    CheckpointConfig {
        place,
        every: Duration::from_millis(given.every.as_ref().map_or(300_000, |every| every.0.cast_unsigned())),
        keep: given.keep.as_ref().map_or(3, |keep| keep.usize()),
        write: given.write.unwrap_or(true),
    }
}

/// The error says which forms there are.
fn place_of(url: &str, data_dir: &Path) -> Result<Option<CheckpointPlace>, String> {
    let forms = "write `file:FOLDER`, seen from `data_dir`, or `none`";
    match url.split_once(':') {
        None if url == NONE => Ok(None),
        Some(("file", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(format!("`{url}` names no folder: {forms}"));
            }
            Ok(Some(CheckpointPlace::Folder(data_dir.join(path))))
        }
        _ => Err(format!("`{url}` is no place for checkpoints: {forms}")),
    }
}

//! Where checkpoints lie, how often one is taken, and how many are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Places, Sections};

/// A place for checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointPlace {
    Folder(PathBuf),
    /// In an object store: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`.
    Objects(String),
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

/// Schemes of object stores.
const STORES: [&str; 3] = ["s3", "gs", "az"];

/// The error says which forms there are.
fn place_of(url: &str, data_dir: &Path) -> Result<Option<CheckpointPlace>, String> {
    let forms = "write `file:FOLDER`, seen from `data_dir`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or `none`";
    // What is written here is said in logs and answers.
    if url.contains('@') && !url.starts_with("file:") {
        return Err(format!("`url` has a `@`: credentials come from the environment alone; {forms}"));
    }
    match url.split_once(':') {
        None if url == NONE => Ok(None),
        Some(("file", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(format!("`{url}` names no folder: {forms}"));
            }
            Ok(Some(CheckpointPlace::Folder(data_dir.join(path))))
        }
        Some((scheme, path)) if STORES.contains(&scheme) => {
            let parts = path.strip_prefix("//").map(|path| path.strip_suffix('/').unwrap_or(path));
            let is_plain = |part: &str| {
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~".contains(letter);
                !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain)
            };
            match parts {
                Some(parts) if parts.split('/').all(is_plain) => {
                    Ok(Some(CheckpointPlace::Objects(url.trim_end_matches('/').to_owned())))
                }
                _ => Err(format!("`{scheme}:…` names no bucket and prefix of letters, digits and `-_.~`: {forms}")),
            }
        }
        _ => Err(format!("`{url}` is no place for checkpoints: {forms}")),
    }
}

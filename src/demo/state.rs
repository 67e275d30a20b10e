//! The demo's folder: whose it is, and how far the demo's data are in its log.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BASE, TRICKLE, events_of};
use crate::source::log::Log;

/// Marks a folder as the demo's: no other name in it is ever removed.
const STATE_FILE: &str = "demo.json";
/// What that is written to before it is renamed.
const STATE_FILE_NEW: &str = "demo.json.new";

/// How far the demo's data are in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Names the data, so that a folder made from others is not mixed with these.
    data: String,
    pub(super) base_appended: u64,
    pub(super) trickle_appended: u64,
    /// Whether the log is still to be emptied: a start that did so was cut off.
    #[serde(default)]
    starts_over: bool,
    #[serde(skip)]
    path: PathBuf,
}

/// Makes sure that a folder is the demo's, or empty, and then the demo's from now on. Nothing in it changes. The error says
/// whose it is instead.
pub fn claim(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be used: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let foreign = |what: &str| {
        Err(format!(
            "{} holds something else than a demo's data{what}: name another folder with --data DIR",
            folder.display()
        ))
    };
    let path = folder.join(STATE_FILE);
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => return foreign(", for its demo.json is no file"),
        Ok(_) => {
            let text = fs::read(&path).map_err(failed)?;
            return match serde_json::from_slice::<State>(&text) {
                Ok(_) => Ok(()),
                Err(_) => foreign(", for its demo.json is another's"),
            };
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        // That alone is what a first start leaves that was cut off.
        if entry.map_err(failed)?.file_name() != STATE_FILE_NEW {
            return foreign("");
        }
    }
    State::new(path).save()
}

/// Reads the state of a folder that is claimed, whose log is held. `fresh` empties the log before: nothing else is touched.
pub fn begin(folder: &Path, log: &mut Log, fresh: bool) -> Result<State, String> {
    let path = folder.join(STATE_FILE);
    let failed = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    let text = fs::read(&path).map_err(|error| failed(&error))?;
    let state: State = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    let mut new = State::new(path.clone());
    if fresh || state.starts_over {
        // A cut from here on empties it at the next start.
        new.starts_over = true;
        new.save()?;
        log.clear().map_err(|error| error.to_string())?;
        new.starts_over = false;
        new.save()?;
        return Ok(new);
    }
    if state.data != new.data {
        return Err(format!("{} was made from another version's data: start over with --fresh", folder.display()));
    }
    Ok(State { path, ..state })
}

/// Whether the log of the folder is one that the demo made, and not a link to another place.
pub fn check_own_log(folder: &Path) -> Result<(), String> {
    let log = folder.join("log");
    match fs::symlink_metadata(&log) {
        Ok(found) if found.is_symlink() => {
            Err(format!("{} is a link, which the demo did not make: --fresh empties no log elsewhere", log.display()))
        }
        _ => Ok(()),
    }
}

impl State {
    /// Nothing is appended yet.
    fn new(path: PathBuf) -> State {
        let data = format!("{:08x}", crc(BASE) ^ crc(TRICKLE).rotate_left(1));
        State { data, base_appended: 0, trickle_appended: 0, starts_over: false, path }
    }

    /// Saves it whole or not at all. A state that is behind the log only appends again what the projection knows.
    pub(super) fn save(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{} cannot be written: {error}", self.path.display());
        let new = self.path.with_file_name(STATE_FILE_NEW);
        let text = serde_json::to_vec(self).unwrap_or_default();
        let written = File::create(&new).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
        written.and_then(|()| fs::rename(&new, &self.path)).map_err(failed)
    }

    pub fn is_loaded(&self) -> bool {
        self.base_appended >= State::base_events()
    }

    /// How many events the base has.
    pub fn base_events() -> u64 {
        events_of("base")
    }

    pub(super) fn trickle_events() -> u64 {
        events_of("trickle")
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

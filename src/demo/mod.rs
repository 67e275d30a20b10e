//! The demo's data, from the binary into a log: the base at once, the rest in a trickle that goes on after a restart.

mod trickle;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::intake::{Intake, Refusal, Shape};

pub use trickle::Trickle;

const BASE: &[u8] = include_bytes!("../../assets/demo/base.ndjson.zst");
const TRICKLE: &[u8] = include_bytes!("../../assets/demo/trickle.ndjson.zst");
const COUNTS: &str = include_str!("../../assets/demo/counts.json");
/// Lines that are appended together.
const CHUNK_LINES: u64 = 5000;
const STATE_FILE: &str = "demo.json";

/// How far the demo's data are in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Names the data, so that a folder made from others is not mixed with these.
    data: String,
    base_appended: u64,
    trickle_appended: u64,
    #[serde(skip)]
    path: PathBuf,
}

impl State {
    /// Reads the state of a folder; a new one has nothing appended.
    pub fn read(folder: &Path) -> Result<State, String> {
        let path = folder.join(STATE_FILE);
        let data = format!("{:08x}", crc(BASE) ^ crc(TRICKLE).rotate_left(1));
        match fs::read(&path) {
            Ok(text) => {
                let state: State = serde_json::from_slice(&text)
                    .map_err(|error| format!("{} is not readable: {error}; start over with --fresh", path.display()))?;
                if state.data != data {
                    return Err(format!(
                        "{} was made from another version's data: start over with --fresh",
                        folder.display()
                    ));
                }
                Ok(State { path, ..state })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(State { data, base_appended: 0, trickle_appended: 0, path })
            }
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }

    /// Saves it whole or not at all. A state that is behind the log only appends again what the projection knows.
    fn save(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{} cannot be written: {error}", self.path.display());
        let new = self.path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self).unwrap_or_default()).map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)
    }

    pub fn is_loaded(&self) -> bool {
        self.base_appended >= State::base_events()
    }

    /// How many events the base has.
    pub fn base_events() -> u64 {
        events_of("base")
    }

    fn trickle_events() -> u64 {
        events_of("trickle")
    }
}

/// How many entities of a domain the sources hold.
pub fn entities_of(domain: &str) -> u64 {
    counts()["entities"][domain].as_u64().unwrap_or(0)
}

fn counts() -> serde_json::Value {
    serde_json::from_str(COUNTS).unwrap_or_default()
}

fn events_of(part: &str) -> u64 {
    counts()["events"][part].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Makes the folder, or empties one of the demo's when asked to.
pub fn prepare_folder(folder: &Path, fresh: bool) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be used: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let is_empty = fs::read_dir(folder).map_err(failed)?.next().is_none();
    let is_ours = folder.join(STATE_FILE).exists();
    if !is_empty && !is_ours {
        return Err(format!(
            "{} holds something else than a demo's data: name another folder with --data DIR",
            folder.display()
        ));
    }
    if fresh && is_ours {
        fs::remove_dir_all(folder).and_then(|()| fs::create_dir_all(folder)).map_err(failed)?;
    }
    State::read(folder)?.save()
}

/// Appends what is missing of the base.
pub fn append_base(intake: &Intake, state: &mut State, mut appended: impl FnMut(u64)) -> Result<(), String> {
    append(intake, BASE, state.base_appended, |count| {
        state.base_appended = count;
        appended(count);
        state.save()
    })
}

/// Appends all that is missing of the trickle, at once.
pub fn append_rest(intake: &Intake, state: &mut State) -> Result<(), String> {
    append(intake, TRICKLE, state.trickle_appended, |count| {
        state.trickle_appended = count;
        state.save()
    })
}

fn append(
    intake: &Intake,
    packed: &'static [u8],
    skip: u64,
    mut appended: impl FnMut(u64) -> Result<(), String>,
) -> Result<(), String> {
    let mut lines = unpack(packed)?;
    let mut chunk = Vec::new();
    let (mut count, mut read) = (0, 0);
    loop {
        let start = chunk.len();
        let ended =
            lines.read_until(b'\n', &mut chunk).map_err(|error| format!("the demo's data are damaged: {error}"))? == 0;
        if !ended {
            read += 1;
            if read <= skip {
                chunk.truncate(start);
                continue;
            }
            count += 1;
        }
        if count == CHUNK_LINES || ended && count > 0 {
            take(intake, &chunk)?;
            chunk.clear();
            count = 0;
            appended(read)?;
        }
        if ended {
            return Ok(());
        }
    }
}

fn unpack(packed: &'static [u8]) -> Result<impl BufRead, String> {
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed)
        .map_err(|error| format!("the demo's data are damaged: {error}"))?;
    Ok(BufReader::with_capacity(1 << 16, decoder))
}

fn take(intake: &Intake, lines: &[u8]) -> Result<(), String> {
    match intake.take(lines, Shape::Lines) {
        Ok(receipt) => match receipt.fates.iter().find_map(|fate| fate.outcome.as_ref().err()) {
            None => Ok(()),
            Some(rejection) => Err(format!("the demo's data do not fit the model: {}", rejection.message)),
        },
        Err(Refusal::Unreadable(message) | Refusal::TooLarge(message)) => Err(message),
        Err(Refusal::Log(error)) => Err(error.to_string()),
    }
}

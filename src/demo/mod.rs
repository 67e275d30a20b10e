//! The demo's data, from the binary into a log: the base at once, the rest in a trickle that goes on after a restart.

mod state;
mod trickle;

use std::io::{BufRead, BufReader};

use crate::intake::{Intake, Refusal, Shape};

pub use state::{State, begin, check_own_log, claim};
pub use trickle::Trickle;

const BASE: &[u8] = include_bytes!("../../assets/demo/base.ndjson.zst");
const TRICKLE: &[u8] = include_bytes!("../../assets/demo/trickle.ndjson.zst");
const COUNTS: &str = include_str!("../../assets/demo/counts.json");
/// Lines that are appended together.
const CHUNK_LINES: u64 = 5000;

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

/// Appends what is missing of the base. `appended` is told how far it is, and says whether to go on.
pub fn append_base(intake: &Intake, state: &mut State, mut appended: impl FnMut(u64) -> bool) -> Result<(), String> {
    append(intake, BASE, state.base_appended, |count| {
        state.base_appended = count;
        state.save().map(|()| appended(count))
    })
}

/// Appends all that is missing of the trickle, at once. `goes_on` says whether to go on.
pub fn append_rest(intake: &Intake, state: &mut State, goes_on: impl Fn() -> bool) -> Result<(), String> {
    append(intake, TRICKLE, state.trickle_appended, |count| {
        state.trickle_appended = count;
        state.save().map(|()| goes_on())
    })
}

fn append(
    intake: &Intake,
    packed: &'static [u8],
    skip: u64,
    mut appended: impl FnMut(u64) -> Result<bool, String>,
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
            if !appended(read)? {
                return Ok(());
            }
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
        Ok(receipt) => match receipt.first {
            None => Ok(()),
            Some(rejection) => Err(format!("the demo's data do not fit the model: {}", rejection.message)),
        },
        Err(Refusal::Unreadable(message) | Refusal::TooLarge(message) | Refusal::TooMany(message)) => Err(message),
        Err(Refusal::Log(error)) => Err(error.to_string()),
    }
}

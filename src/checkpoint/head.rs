//! What a checkpoint is: a text beside its data, which says by itself whether they are of use.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The format of the data. A version reads its own and all before it: `tests/fixtures/checkpoints` has one of each.
///
/// 2: a ledger's numbers lie before its setters, at fixed places; a record's flags say whether it has a merge or gaps.
pub const FORMAT: u32 = 2;

/// By what it is about, e.g. `the domain prices`: what decides which graph the same records give.
pub type Rules = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub format: u32,
    /// Sorts by age among a service's own.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// The version of staygraph that wrote it.
    pub staygraph: String,
    /// The model's fingerprint,
    pub model: String,
    /// and the model itself.
    pub sdl: String,
    pub rules: Rules,
    /// Of all partitions, as clients have positions.
    pub position: String,
    /// How many records the projection applied.
    pub events_applied: u64,
    /// Bytes of the data,
    pub bytes: u64,
    /// and their XXH3 of 128 bits, in hex digits.
    pub checksum: String,
    /// By entity: how many nodes there are, references among them.
    pub entities: BTreeMap<String, u64>,
}

/// Why a checkpoint is of no use here, though nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    Format(u32),
    /// What changed, as a sentence's beginning: `the domain prices`, and from what to what.
    Rule(String, String),
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Differs::Format(format) => {
                write!(f, "it has the format {format}, and this version reads 1 to {FORMAT}")
            }
            Differs::Rule(what, how) => write!(f, "{what} changed: {how}"),
        }
    }
}

impl Head {
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn parse(text: &str) -> Result<Head, String> {
        #[derive(Deserialize)]
        struct Only {
            format: u32,
        }
        // Another format may have other members.
        let only: Only = serde_json::from_str(text).map_err(|error| format!("its head is not readable: {error}"))?;
        if !(1..=FORMAT).contains(&only.format) {
            return Err(Differs::Format(only.format).to_string());
        }
        serde_json::from_str(text).map_err(|error| format!("its head is not readable: {error}"))
    }

    /// Whether a graph of the same records would be another by these rules.
    pub fn fits(&self, rules: &Rules) -> Result<(), Differs> {
        for (what, now) in rules {
            match self.rules.get(what) {
                Some(then) if then == now => {}
                Some(then) => return Err(Differs::Rule(what.clone(), format!("{then} then, {now} now"))),
                None => return Err(Differs::Rule(what.clone(), format!("it was not there then, {now} now"))),
            }
        }
        match self.rules.keys().find(|what| !rules.contains_key(*what)) {
            Some(gone) => Err(Differs::Rule(gone.clone(), "it is not there now".into())),
            None => Ok(()),
        }
    }
}

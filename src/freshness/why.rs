//! Why a partition is where it is, in words.

use std::sync::Arc;

use super::window::Verdict;

/// Why a partition is where it is: written out only where somebody reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    NeverAnswered,
    /// Milliseconds since the source answered.
    Unreachable(i64),
    StartPassed {
        start: u64,
        applied: u64,
    },
    Lost(Arc<str>),
    Unread,
    WentBack {
        end: u64,
        applied: u64,
    },
    Blocked(Arc<str>),
    OpenTransaction {
        from: u64,
        records: u64,
    },
    /// What the log still holds.
    RetentionRisk(u64),
    CaughtUp,
    /// Milliseconds since the end moved.
    Silent(i64),
    Held(Arc<str>),
    Window(Verdict),
}

impl Why {
    /// As a sentence, of a partition or of a domain that is `lag` records behind.
    pub fn say(&self, lag: u64) -> String {
        let behind = format!("{} behind", records(lag));
        match self {
            Why::NeverAnswered => "the source has not answered since the start".into(),
            Why::Unreachable(ms) => format!("the source last answered {} ago", seconds(*ms)),
            Why::StartPassed { start, applied } => {
                format!("the log starts at {start}: {} offsets before it were never applied", start - applied)
            }
            Why::Lost(lost) => lost.to_string(),
            Why::Unread => format!("{behind}, and nobody reads the log"),
            Why::WentBack { end, applied } => {
                format!("the log ends at {end}, and had records up to {applied}: whether it lost them is not known yet")
            }
            Why::Blocked(blocked) => format!("{behind}: {blocked}"),
            Why::OpenTransaction { from, records: waiting } => format!(
                "a producer's transaction is open at offset {from}: {} from there on cannot be read before it ends \
                 (`kafka-transactions.sh find-hanging` names it)",
                records(*waiting)
            ),
            Why::RetentionRisk(held) => format!("{behind}, of {held} that the log still holds"),
            Why::CaughtUp => "everything that the log holds is applied".into(),
            Why::Silent(ms) => format!("everything is applied, and nothing new has come for {}", seconds(*ms)),
            Why::Held(held) => format!("{behind}: {held}"),
            Why::Window(Verdict::Stalled) => format!("{behind}, and nothing was applied in the last half minute"),
            Why::Window(Verdict::Falling) => {
                format!("{behind}, and not converging: they come faster than they are applied")
            }
            Why::Window(Verdict::Rewound) => format!("{behind}, being applied anew"),
            Why::Window(Verdict::Stopped | Verdict::CaughtUp | Verdict::CatchingUp) => {
                format!("{behind}, and catching up")
            }
        }
    }
}

fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

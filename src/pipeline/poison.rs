//! Dead letters in the log: the first of a kind at once with its place and reason, then their number now and then, so that a
//! flood of them is a few lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Code;
use crate::projection::DeadLetter;

/// Between two counts of a kind.
const EVERY_MS: i64 = 60_000;

#[derive(Default)]
pub struct Poison {
    /// By domain and code: those since the last line, and when it was.
    kinds: BTreeMap<(Arc<str>, Code), (u64, i64)>,
}

impl Poison {
    /// A letter came.
    pub fn letter(&mut self, letter: &DeadLetter, tick_ms: i64) {
        let rejection = &letter.rejection;
        let known = self.kinds.get_mut(&(letter.domain.clone(), rejection.code));
        if let Some((count, _)) = known {
            *count += 1;
            return;
        }
        self.kinds.insert((letter.domain.clone(), rejection.code), (0, tick_ms));
        // A field's fault may name the value that is wrong.
        let why = if rejection.code == Code::BadField { "" } else { rejection.message.as_str() };
        tracing::warn!(
            domain = letter.domain.as_ref(),
            code = rejection.code.name(),
            field = rejection.field.as_deref().unwrap_or("-"),
            id = letter.id(),
            why,
            "an event could not be applied: it is a dead letter, the first of its kind"
        );
    }

    /// Says how many came since, of each kind that was not counted for a while.
    pub fn count(&mut self, tick_ms: i64) {
        for ((domain, code), (count, at)) in &mut self.kinds {
            if *count > 0 && tick_ms - *at >= EVERY_MS {
                let (domain, code) = (domain.as_ref(), code.name());
                tracing::warn!(domain, code, count, "more dead letters");
                (*count, *at) = (0, tick_ms);
            }
        }
    }

    /// When the next count is due, if one is.
    pub fn due_ms(&self) -> Option<i64> {
        self.kinds.values().filter(|(count, _)| *count > 0).map(|(_, at)| *at + EVERY_MS).min()
    }
}

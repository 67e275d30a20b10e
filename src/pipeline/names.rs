//! How many sources, types and schemas there are: the graph keeps a name for as long as it lives.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::limits::NAMES_MAX;

/// Events come in runs of few names.
const RECENT: usize = 16;

/// The names that one reader has met.
#[derive(Default)]
pub struct Names {
    /// By their hashes: two that share one count as one, which lets one more in.
    known: HashSet<u64>,
    state: RandomState,
    /// The last ones, by their length.
    recent: [String; RECENT],
}

impl Names {
    /// Whether a name is known, or may be one more.
    pub fn admits(&mut self, name: &str) -> bool {
        let recent = &mut self.recent[name.len() % RECENT];
        if recent == name {
            return true;
        }
        let hash = self.state.hash_one(name);
        if self.known.len() >= NAMES_MAX && !self.known.contains(&hash) {
            return false;
        }
        self.known.insert(hash);
        recent.clear();
        recent.push_str(name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let mut names = Names::default();
        let name = |number: usize| format!("/source/{number}");
        assert!((0..NAMES_MAX).all(|number| names.admits(&name(number))));
        assert!(!names.admits(&name(NAMES_MAX)) && !names.admits(&name(NAMES_MAX)));
        assert!((0..NAMES_MAX).all(|number| names.admits(&name(number))), "those that are known stay");
    }
}

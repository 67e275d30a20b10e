//! What reads a model's parts have in common: a place for faults, and how a near name is suggested.

use std::fmt;

use apollo_compiler::parser::{SourceMap, SourceSpan};

/// What is wrong with a model, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub path: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)
    }
}

/// `: did you mean `x`?` for the nearest of the known names, or nothing where none is near. One that goes on where the name
/// ends is near too.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |candidate: &'a str| {
        let is_begun = name.chars().count() >= 3 && candidate.starts_with(name);
        // Behind what is a slip or two away.
        let least = if is_begun { 2 } else { usize::MAX };
        (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()).min(least), candidate)
    };
    match known.map(distance).min() {
        Some((distance, candidate)) if distance <= 1 + name.chars().count() / 3 => {
            format!(": did you mean `{candidate}`?")
        }
        _ => String::new(),
    }
}

/// Reads a document, and keeps what is wrong with it.
pub(super) struct ModelReader<'a> {
    pub path: &'a str,
    pub sources: SourceMap,
    pub faults: Vec<Fault>,
}

impl ModelReader<'_> {
    pub(super) fn fault(&mut self, place: Option<SourceSpan>, message: impl Into<String>) {
        let at = place.and_then(|span| span.line_column(&self.sources));
        let (line, column) = at.map_or((1, 1), |at| (at.line, at.column));
        self.faults.push(Fault { path: self.path.into(), line, column, message: message.into() });
    }
}

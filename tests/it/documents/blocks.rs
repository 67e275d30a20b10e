//! The fenced blocks of a page, and what each is.
//!
//! A block's kind is its language, with words after it that readers do not see. Each kind is one of [`KINDS`]: a block that is
//! none of them is a fault, so that none is left out in silence.

use std::fmt;

/// What a block is, and so how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Typed into a shell, one after the other.
    Shell,
    /// A command that runs until it is stopped: a terminal of its own.
    Serves,
    /// A query, whose answer has no error and nothing empty in it.
    Query,
    /// A part of staygraph.toml, which grows along the page; `check` is silent about it.
    Configuration,
    /// The program of `mappings/bkng_hdr.jq`.
    Program,
    /// An event that is accepted.
    Event,
    /// What `POST /events` answers, by its shape.
    Receipt,
    /// What the query before answers: `data` as it stands, `extensions` by their shape.
    Answer,
    /// A list's plan, of the query before.
    Plan,
}

/// The kinds, as a block's first line writes them.
const KINDS: [(&str, Kind); 9] = [
    ("sh", Kind::Shell),
    ("sh serves", Kind::Serves),
    ("graphql", Kind::Query),
    ("toml", Kind::Configuration),
    ("jq", Kind::Program),
    ("json event", Kind::Event),
    ("json receipt", Kind::Receipt),
    ("json answer", Kind::Answer),
    ("json plan", Kind::Plan),
];

/// Why a block is not run by tests/it: what it needs. tests/kafka runs those with this word.
pub const KAFKA: &str = "kafka";

pub struct Block {
    pub page: String,
    /// The line of its fence, from 1.
    pub line: usize,
    pub kind: Kind,
    pub needs_kafka: bool,
    pub text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?})", self.page, self.line, self.kind)
    }
}

/// A page's blocks in order; the error names a fence that is not understood.
pub fn blocks(page: &str, text: &str) -> Result<Vec<Block>, String> {
    let (mut blocks, mut open): (Vec<Block>, bool) = (Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        let at = |what: &str| Err(format!("{page}:{}: {what}", index + 1));
        match line.trim_start().strip_prefix("```") {
            None if line.trim_start().starts_with("~~~") => return at("a fence is written ```"),
            Some(_) if line.starts_with(' ') => return at("a fence is not indented"),
            Some("") if open => open = false,
            Some(_) if open => return at("a block begins within another"),
            Some(words) => {
                let needs_kafka = words.split(' ').any(|word| word == KAFKA);
                let words: Vec<&str> = words.split(' ').filter(|word| *word != KAFKA).collect();
                let Some((_, kind)) = KINDS.iter().find(|(written, _)| *written == words.join(" ")) else {
                    return at("nobody knows how to run this block: say it as tests/it/documents/blocks.rs has it");
                };
                let page = page.to_owned();
                blocks.push(Block { page, line: index + 1, kind: *kind, needs_kafka, text: String::new() });
                open = true;
            }
            None if open => {
                if let Some(block) = blocks.last_mut() {
                    block.text += line;
                    block.text.push('\n');
                }
            }
            None => {}
        }
    }
    if open { Err(format!("{page}: its last block has no end")) } else { Ok(blocks) }
}

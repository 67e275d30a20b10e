//! Bytes made of others: what a fuzzer does, for those who have none. The tests on stable include it.

/// How bytes are changed: what is done, where, and with how much or which.
pub type Edit = (u8, u16, u16);

/// Words that documents and events are made of.
const WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\"\"\"",
    "\\u",
    "\\u{1F600}",
    "...",
    "$v",
    "@skip(if: true)",
    "null",
    "-1",
    "1e999",
    "true",
    "first: 0",
    "__typename",
    "on ",
    "key",
    ":",
    ",",
    "\u{1F600}",
];

/// Changes bytes, also by parts of others.
pub fn mutate(bytes: &[u8], other: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut made = bytes.to_vec();
    for (what, place, more) in edits {
        let at = usize::from(*place) % (made.len() + 1);
        let more = usize::from(*more);
        let end = (at + more % 40).min(made.len());
        match what % 6 {
            0 => drop(made.drain(at..end)),
            1 => drop(made.splice(at..at, WORDS[more % WORDS.len()].bytes())),
            2 => {
                let again = made[at..end].to_vec();
                made.splice(at..at, again);
            }
            3 => made.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (more % 8)),
            4 => {
                let from = more % (other.len() + 1);
                made.splice(at..end, other[from..].iter().take(60).copied());
            }
            _ => made.insert(at, more as u8),
        }
    }
    made
}

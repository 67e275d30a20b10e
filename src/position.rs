//! Positions: how far a reader of the logs has come, as a vector of one entry a partition.
//!
//! The text form is a client's contract: `topic!log/partition@offset,…`. An offset is half-open, as Kafka has it: the
//! next record to apply, so that all before it are in. `log` names the very topic (eight hex digits); a writer that
//! builds a position from its producer's acknowledgement may leave it out.
//!
//! Not here: where positions come from and what a status makes of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A topic's own identity: two topics of one name, in two clusters or made twice, differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub u32);

impl LogId {
    /// Of a text that only this log has (FNV-1a).
    pub fn of(text: &str) -> LogId {
        LogId(0x811c_9dc5).and(text.bytes())
    }

    /// The log once it has lost its records from an offset on: what others lie there now are not those that positions in the
    /// old one mean.
    pub fn cut(self, end: u64) -> LogId {
        self.and([1].into_iter().chain(end.to_be_bytes()))
    }

    fn and(self, bytes: impl Iterator<Item = u8>) -> LogId {
        LogId(bytes.fold(self.0, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// One entry of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub topic: Arc<str>,
    /// `None` where a writer left it out.
    pub log: Option<LogId>,
    pub partition: u32,
    /// The next record to apply.
    pub offset: u64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)?;
        if let Some(log) = self.log {
            write!(f, "!{log}")?;
        }
        write!(f, "/{}@{}", self.partition, self.offset)
    }
}

/// A vector of offsets, comparable and mergeable entry by entry; a partition that it does not name is at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    entries: BTreeMap<(Arc<str>, u32), (Option<LogId>, u64)>,
}

impl Position {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The greater offset stays.
    pub fn include(&mut self, entry: Entry) {
        let (log, offset) = self.entries.entry((entry.topic, entry.partition)).or_insert((entry.log, entry.offset));
        *log = log.or(entry.log);
        *offset = (*offset).max(entry.offset);
    }

    pub fn merge(&mut self, other: &Position) {
        other.entries().for_each(|entry| self.include(entry));
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(|((topic, partition), (log, offset))| Entry {
            topic: topic.clone(),
            log: *log,
            partition: *partition,
            offset: *offset,
        })
    }

    /// Reads the text form. The error says which part is wrong and what it should look like.
    pub fn parse(text: &str) -> Result<Position, String> {
        let mut position = Position::default();
        for part in text.split(',') {
            let entry = parse_entry(part.trim()).ok_or_else(|| {
                format!(
                    "`{}` is not a position: write `topic/partition@offset` or `topic!log/partition@offset`",
                    shorten(part)
                )
            })?;
            let known = position.entries.get(&(entry.topic.clone(), entry.partition)).and_then(|(log, _)| *log);
            if let (Some(known), Some(log)) = (known, entry.log)
                && known != log
            {
                return Err(format!("two logs of topic `{}` in one position", entry.topic));
            }
            position.include(entry);
        }
        Ok(position)
    }
}

fn parse_entry(part: &str) -> Option<Entry> {
    let (name, offset) = part.rsplit_once('@')?;
    let (name, partition) = name.rsplit_once('/')?;
    let (topic, log) = match name.split_once('!') {
        Some((topic, log)) if log.len() == 8 && log.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (topic, Some(LogId(u32::from_str_radix(log, 16).ok()?)))
        }
        Some(_) => return None,
        None => (name, None),
    };
    let number = |text: &str| (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(());
    number(partition)?;
    number(offset)?;
    if topic.is_empty() || topic.contains(['/', '@', ' ']) {
        return None;
    }
    Some(Entry { topic: topic.into(), log, partition: partition.parse().ok()?, offset: offset.parse().ok()? })
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(60).chain("…".chars()).collect() }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["reservations!5f1c09aa/0@1042", "prices/2@17", "a.b-c_d!00000000/0@0,prices!77b0c2de/0@17"] {
            assert_eq!(Position::parse(text).map(|position| position.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "x",
            "x/0",
            "x@1",
            "x/0@",
            "x/-1@2",
            "x/0@-2",
            "x!12/0@1",
            "x!zzzzzzzz/0@1",
            "/0@1",
            "x/0@1,",
            "x/0@1 2",
            "x/0@+1",
            "x/99999999999@1",
            "x/0@99999999999999999999",
        ] {
            assert!(Position::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn merging_takes_the_greater_of_each_entry() {
        let mut position = Position::parse("a/0@3,b/1@5").unwrap();
        position.merge(&Position::parse("a!0000000f/0@2,b/1@9,c/0@1").unwrap());
        assert_eq!(position.to_string(), "a!0000000f/0@3,b/1@9,c/0@1");
    }
}

//! Chunks: what a checkpoint's data are cut into, so that reading needs little memory, and a damaged byte is found where it is.
//!
//! ```text
//! kind u8 | entity u16 | length u32 | stored u32 | checksum u64 | stored bytes
//! ```
//! Integers are little-endian. `stored` bytes follow, compressed by LZ4 where that makes them fewer than `length`. The checksum is
//! XXH3 of all that stands before it and of what is stored.

use std::fmt;
use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3Default;

use crate::ids::EntityId;

const HEAD: usize = 19;
/// A chunk that says it is larger is damaged, and not worth the memory.
const LENGTH_MAX: u32 = 1 << 31;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Names,
    /// A stretch of an entity's records.
    Records,
    /// Entries of one of an entity's sets: its name, then they.
    Set,
    /// All that is not in the graph.
    Beside,
    /// How many chunks came before it.
    End,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Names, Kind::Records, Kind::Set, Kind::Beside, Kind::End];

    fn tag(self) -> u8 {
        match self {
            Kind::Names => 1,
            Kind::Records => 2,
            Kind::Set => 3,
            Kind::Beside => 4,
            Kind::End => 255,
        }
    }
}

/// A chunk that was read, and whose checksum is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    pub kind: Kind,
    pub entity: EntityId,
    pub bytes: Vec<u8>,
}

/// Why data are no checkpoint's.
#[derive(Debug)]
pub enum Fault {
    /// They could not be read.
    Io(io::Error),
    /// What is wrong, and at which byte.
    Damaged(String, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => write!(f, "it cannot be read: {error}"),
            Fault::Damaged(what, at) => write!(f, "it is damaged at byte {at}: {what}"),
        }
    }
}

fn checksum(head: &[u8], stored: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(head);
    hash.update(stored);
    hash.digest()
}

/// Appends a chunk.
pub fn put(out: &mut Vec<u8>, kind: Kind, entity: EntityId, bytes: &[u8]) {
    let packed = lz4_flex::block::compress(bytes);
    let stored = if packed.len() < bytes.len() { packed.as_slice() } else { bytes };
    let start = out.len();
    out.push(kind.tag());
    out.extend_from_slice(&entity.0.to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    let checksum = checksum(&out[start..], stored);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(stored);
}

/// Reads chunks, one after another, to the end.
pub struct Chunks<R> {
    input: R,
    at: u64,
    count: u64,
    is_over: bool,
}

impl<R: Read> Chunks<R> {
    pub fn new(input: R) -> Chunks<R> {
        Chunks { input, at: 0, count: 0, is_over: false }
    }

    /// The next chunk but the last, which it checks; none after that.
    pub fn read(&mut self) -> Result<Option<Chunk>, Fault> {
        if self.is_over {
            return Ok(None);
        }
        let at = self.at;
        let damaged = |what: &str| Fault::Damaged(what.to_owned(), at);
        let mut head = [0; HEAD];
        self.fill(&mut head)?;
        let word = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let kind = Kind::ALL.into_iter().find(|kind| kind.tag() == head[0]);
        let kind = kind.ok_or_else(|| damaged("a chunk of a kind that is not known"))?;
        let (length, stored) = (word(3), word(7));
        if length > LENGTH_MAX || stored > length {
            return Err(damaged("a chunk that is too long"));
        }
        let mut bytes = Vec::new();
        let taken = self.input.by_ref().take(u64::from(stored)).read_to_end(&mut bytes).map_err(Fault::Io)?;
        self.at += taken as u64;
        if taken < stored as usize {
            return Err(damaged("it ends in the middle of a chunk"));
        }
        if checksum(&head[..11], &bytes).to_le_bytes() != head[11..HEAD] {
            return Err(damaged("a chunk whose checksum is wrong"));
        }
        if stored < length {
            bytes = lz4_flex::block::decompress(&bytes, length as usize)
                .map_err(|error| damaged(&format!("a chunk that cannot be unpacked: {error}")))?;
        }
        if kind == Kind::End {
            self.is_over = true;
            let expected = bytes.try_into().map(u64::from_le_bytes);
            return if expected == Ok(self.count) { Ok(None) } else { Err(damaged("a chunk is missing")) };
        }
        self.count += 1;
        Ok(Some(Chunk { kind, entity: EntityId(u16::from_le_bytes([head[1], head[2]])), bytes }))
    }

    /// What is left of the input.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let outcome = self.input.read_exact(buffer);
        let at = self.at;
        self.at += buffer.len() as u64;
        outcome.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Damaged("it ends early".into(), at),
            _ => Fault::Io(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: EntityId = EntityId(0);

    fn read(data: &[u8]) -> Result<Vec<Chunk>, Fault> {
        let mut chunks = Chunks::new(data);
        let mut all = Vec::new();
        while let Some(chunk) = chunks.read()? {
            all.push(chunk);
        }
        Ok(all)
    }

    #[test]
    fn no_flipped_byte_and_no_cut_goes_unseen() {
        let texts = [
            (Kind::Names, NONE, b"a".repeat(300)),
            (Kind::Records, EntityId(7), b"xyz".to_vec()),
            (Kind::Beside, NONE, vec![]),
        ];
        let mut data = Vec::new();
        texts.iter().for_each(|(kind, entity, bytes)| put(&mut data, *kind, *entity, bytes));
        put(&mut data, Kind::End, NONE, &3u64.to_le_bytes());
        let all = read(&data).expect("what was written");
        let expected: Vec<Chunk> =
            texts.into_iter().map(|(kind, entity, bytes)| Chunk { kind, entity, bytes }).collect();
        assert_eq!(all, expected);
        for at in 0..data.len() {
            assert!(read(&data[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = data.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_left_out_is_missed() {
        let mut data = Vec::new();
        put(&mut data, Kind::Records, NONE, b"one");
        put(&mut data, Kind::End, NONE, &2u64.to_le_bytes());
        assert!(read(&data).is_err());
    }
}

//! Blocks: the records of one partition that were committed together, as one value of the store.
//!
//! Layout (integers big-endian): format u8, appended_at i64 (microseconds), first offset u64, count u32, then each record:
//! flags u8 (a reader refuses what it does not know), key length u32, key, body length u32, body; with [`SEALED`] also sealed
//! length u32, sealed.

use crate::model::value::Instant;

/// A record as the log lends it: a part of its block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRecord<'a> {
    pub offset: u64,
    pub appended_at: Instant,
    pub key: &'a [u8],
    pub bytes: &'a [u8],
    /// What was taken out of it, sealed.
    pub sealed: Option<&'a [u8]>,
}

const FORMAT: u8 = 1;

/// The record has a sealed part.
const SEALED: u8 = 1;

/// Bytes before the first record.
const HEAD: usize = 21;

/// A block that has no record and no head yet.
pub fn begin(capacity: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD.max(capacity));
    block.resize(HEAD, 0);
    block
}

/// Lays a record behind the others.
pub fn lay(block: &mut Vec<u8>, key: &[u8], body: &[u8], sealed: Option<&[u8]>) {
    block.push(if sealed.is_some() { SEALED } else { 0 });
    for part in [key, body].into_iter().chain(sealed) {
        block.extend_from_slice(&(part.len() as u32).to_be_bytes());
        block.extend_from_slice(part);
    }
}

/// Lays another block's records behind the others.
pub fn join(block: &mut Vec<u8>, other: &[u8]) {
    block.extend_from_slice(other.get(HEAD..).unwrap_or_default());
}

/// Writes the head of a block that has its records.
pub fn finish(block: &mut [u8], appended_at: Instant, first: u64, count: u32) {
    block[0] = FORMAT;
    block[1..9].copy_from_slice(&appended_at.micros().to_be_bytes());
    block[9..17].copy_from_slice(&first.to_be_bytes());
    block[17..HEAD].copy_from_slice(&count.to_be_bytes());
}

/// What a block says of all its records.
pub struct Head {
    pub appended_at: Instant,
    pub first: u64,
    pub count: u32,
}

/// Reads a block's head; the error says what does not fit.
pub fn head(block: &[u8]) -> Result<Head, String> {
    take_head(&mut &*block)
}

fn take_head(rest: &mut &[u8]) -> Result<Head, String> {
    let format = take(rest, 1)?[0];
    if format != FORMAT {
        return Err(format!("a block of format {format}, and this version reads {FORMAT}"));
    }
    let appended_at = Instant::from_micros(i64::from_be_bytes(fixed(rest)?));
    let first = u64::from_be_bytes(fixed(rest)?);
    Ok(Head { appended_at, first, count: u32::from_be_bytes(fixed(rest)?) })
}

/// Reads a block; the error says what does not fit.
pub fn decode(block: &[u8]) -> Result<Vec<LogRecord<'_>>, String> {
    let mut rest = block;
    let Head { appended_at, first, count } = take_head(&mut rest)?;
    let mut records = Vec::new();
    for index in 0..u64::from(count) {
        let flags = take(&mut rest, 1)?[0];
        let (key, bytes) = (part(&mut rest)?, part(&mut rest)?);
        let sealed = match flags {
            0 => None,
            SEALED => Some(part(&mut rest)?),
            _ => return Err("a record with flags that this version does not know".into()),
        };
        records.push(LogRecord { offset: first + index, appended_at, key, bytes, sealed });
    }
    if rest.is_empty() { Ok(records) } else { Err("a block with bytes after its last record".into()) }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, after) = rest.split_at_checked(length).ok_or("a block that ends early")?;
    *rest = after;
    Ok(taken)
}

fn part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = u32::from_be_bytes(fixed(rest)?) as usize;
    take(rest, length)
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    take(rest, N)?.try_into().map_err(|_| "a block that ends early".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_and_a_cut_one_does_not() {
        let at = Instant::from_micros(1_700_000_000_123_456);
        let (mut block, mut other) = (begin(0), begin(100));
        lay(&mut block, b"k", b"{}", None);
        lay(&mut other, b"", b"", Some(&b"sealed"[..]));
        lay(&mut other, b"l", b"1", Some(&b""[..]));
        join(&mut block, &other);
        finish(&mut block, at, 41, 3);
        let read = decode(&block).unwrap();
        let record = |offset, key, bytes, sealed| LogRecord { offset, appended_at: at, key, bytes, sealed };
        let expected = [
            record(41, &b"k"[..], &b"{}"[..], None),
            record(42, b"", b"", Some(&b"sealed"[..])),
            record(43, b"l", b"1", Some(&b""[..])),
        ];
        assert_eq!(read, expected);
        for length in 0..block.len() {
            assert!(decode(&block[..length]).is_err(), "{length}");
        }
        for flags in 2..=u8::MAX {
            block[HEAD] = flags;
            assert!(decode(&block).is_err(), "{flags}");
        }
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let mut block = vec![1];
        block.extend([0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1]);
        block.extend([0, 0, 0, 0, 1, b'k', 0, 0, 0, 2, b'{', b'}']);
        let appended_at = Instant::from_micros(9);
        let expected = LogRecord { offset: 7, appended_at, key: b"k", bytes: b"{}", sealed: None };
        assert_eq!(decode(&block), Ok(vec![expected]));
    }
}

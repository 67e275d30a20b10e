//! Blocks: the records of one partition that were committed together, as one value of the store.
//!
//! Layout (integers big-endian): format u8, appended_at i64 (microseconds), first offset u64, count u32, then each record:
//! flags u8 (none yet; a reader refuses what it does not know), key length u32, key, body length u32, body.
//!
//! A person can be erased from the disk by rewriting the blocks of their partition with the personal values taken out of
//! their records' bodies: a block is a value under a key, so it is replaced in place and no offset moves. See docs/log.md.

use crate::model::value::Instant;

/// A record as the log lends it: a part of its block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRecord<'a> {
    pub offset: u64,
    pub appended_at: Instant,
    pub key: &'a [u8],
    pub bytes: &'a [u8],
}

const FORMAT: u8 = 1;

/// Bytes before the first record.
const HEAD: usize = 21;

/// A block that has no record and no head yet.
pub fn begin(capacity: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD.max(capacity));
    block.resize(HEAD, 0);
    block
}

/// Lays a record behind the others.
pub fn lay(block: &mut Vec<u8>, key: &[u8], body: &[u8]) {
    block.push(0);
    for part in [key, body] {
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

/// Reads a block; the error says what does not fit.
pub fn decode(block: &[u8]) -> Result<Vec<LogRecord<'_>>, String> {
    let mut rest = block;
    let format = take(&mut rest, 1)?[0];
    if format != FORMAT {
        return Err(format!("a block of format {format}, and this version reads {FORMAT}"));
    }
    let appended_at = Instant::from_micros(i64::from_be_bytes(fixed(&mut rest)?));
    let first = u64::from_be_bytes(fixed(&mut rest)?);
    let count = u32::from_be_bytes(fixed(&mut rest)?);
    let mut records = Vec::new();
    for index in 0..u64::from(count) {
        if take(&mut rest, 1)?[0] != 0 {
            return Err("a record with flags that this version does not know".into());
        }
        let key_length = u32::from_be_bytes(fixed(&mut rest)?) as usize;
        let key = take(&mut rest, key_length)?;
        let body_length = u32::from_be_bytes(fixed(&mut rest)?) as usize;
        let bytes = take(&mut rest, body_length)?;
        records.push(LogRecord { offset: first + index, appended_at, key, bytes });
    }
    if rest.is_empty() { Ok(records) } else { Err("a block with bytes after its last record".into()) }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, after) = rest.split_at_checked(length).ok_or("a block that ends early")?;
    *rest = after;
    Ok(taken)
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
        lay(&mut block, b"k", b"{}");
        lay(&mut other, b"", b"");
        join(&mut block, &other);
        finish(&mut block, at, 41, 2);
        let read = decode(&block).unwrap();
        assert_eq!(
            read.iter().map(|record| (record.offset, record.appended_at)).collect::<Vec<_>>(),
            [(41, at), (42, at)]
        );
        assert_eq!((read[0].key, read[0].bytes), (b"k".as_slice(), b"{}".as_slice()));
        for length in 0..block.len() {
            assert!(decode(&block[..length]).is_err(), "{length}");
        }
    }
}

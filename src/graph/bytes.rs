//! Numbers and texts in a record's bytes. Reading past the end gives zeros and empty texts: a record is written here and
//! nowhere else, so that is a fault of this room, which `validate` finds.

use crate::model::value::Instant;

/// Appends an integer in groups of seven bits, the lowest first (LEB128).
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed integer, small ones in few bytes whatever their sign.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends an instant: seconds, then nanoseconds.
pub fn put_instant(out: &mut Vec<u8>, at: Instant) {
    put_signed(out, at.seconds);
    put(out, u64::from(at.nanos));
}

/// Appends bytes after their length.
pub fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of some bytes.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0u64, 0);
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift >= 64 {
                break;
            }
        }
        number
    }

    pub fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    pub fn instant(&mut self) -> Instant {
        Instant { seconds: self.signed(), nanos: self.number() as u32 }
    }

    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        head
    }

    pub fn long(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        self.bytes(length)
    }

    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.long()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_comes_back(number: u64, signed: i64, text: String) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, signed);
            put_long(&mut out, text.as_bytes());
            let mut reader = Reader(&out);
            prop_assert_eq!((reader.number(), reader.signed(), reader.text()), (number, signed, text.as_str()));
            prop_assert!(reader.is_empty());
            prop_assert_eq!((reader.number(), reader.text()), (0, ""));
        }
    }
}

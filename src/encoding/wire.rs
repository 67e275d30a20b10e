//! Confluent's wire format: a zero byte, the schema's id in four bytes, and for Protobuf the place of the message in its file.

use super::fault::{Fault, Fit};

/// How deep a message may be nested in others: as deep as `protoc` takes.
const INDEXES_MAX: usize = 32;

/// The schema's id, and what is behind it.
pub(super) fn split(bytes: &[u8]) -> Fit<(u32, &[u8])> {
    match bytes {
        [0, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [0, ..] | [] => Err(Fault::new("the record is shorter than the five bytes before its value")),
        [_, ..] => Err(Fault::new("the record does not start with the zero byte of Confluent's wire format")),
    }
}

/// The indexes that lead to a message: of the file's messages, of that one's, and so on; and what is behind them.
pub(super) fn message_indexes(bytes: &[u8]) -> Fit<(Vec<usize>, &[u8])> {
    let (count, mut rest) = zigzag(bytes)?;
    // The first message of the file is so common that its list `[0]` is written as an empty one.
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX);
    let count =
        count.ok_or_else(|| Fault::new(format!("the record does not name 1 to {INDEXES_MAX} message indexes")))?;
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, left) = zigzag(rest)?;
        indexes.push(usize::try_from(index).map_err(|_| Fault::new("a message index is negative"))?);
        rest = left;
    }
    Ok((indexes, rest))
}

fn zigzag(bytes: &[u8]) -> Fit<(i64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(((value >> 1) as i64 ^ -((value & 1) as i64), &bytes[index + 1..]));
        }
    }
    Err(Fault::new("the record's message indexes cannot be read"))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn the_prefix_is_taken_apart() {
        assert_eq!(split(&[0, 0, 0, 1, 2, 9]).unwrap(), (258, &[9][..]));
        for bytes in [&[][..], &[0, 0, 0, 1], b"{}"] {
            assert!(split(bytes).is_err());
        }
    }

    #[test]
    fn indexes_are_zigzag_and_the_first_message_is_short() {
        let cases: [(&[u8], &[usize]); 4] =
            [(&[0, 9], &[0]), (&[2, 2, 9], &[1]), (&[4, 0, 0x80, 2, 9], &[0, 128]), (&[2, 0, 9], &[0])];
        for (bytes, wanted) in cases {
            assert_eq!(message_indexes(bytes).unwrap(), (wanted.to_vec(), &[9][..]));
        }
        for bytes in [&[][..], &[2], &[1, 1], &[2, 1], &[0x80, 0x80, 0x80, 0x80, 0x80, 1], &[66, 0]] {
            assert!(message_indexes(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_or_refused(bytes in vec(any::<u8>(), 0..40)) {
            let _ = split(&bytes).map(|(_, body)| message_indexes(body).map(|_| ()));
        }
    }
}

//! Values as JSON text, written straight into a buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What stands for a byte of a text behind a backslash: 0 where the byte stands for itself, `u` where it needs `\u00XX`.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A text in quotes.
pub(super) fn text(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = value.as_bytes();
    while let Some(place) = rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        let byte = rest[place];
        out.extend_from_slice(&rest[..place]);
        out.push(b'\\');
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"u00");
                out.extend_from_slice(&digits);
            }
            letter => out.push(letter),
        }
        rest = &rest[place + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

pub(super) fn boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// An integer, every digit of it.
pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    serialized(&value, out);
}

pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    serialized(&value, out);
}

/// The shortest number that reads as the same double. JSON has no name for the others, which become `"NaN"`, `"Infinity"`
/// and `"-Infinity"`, as in Protobuf's JSON and Connect's: to refuse them would lose a whole row for one column of it.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() { serialized(&value, out) } else { out.extend_from_slice(unfinite(value)) }
}

/// As [`double`], and the shortest that reads as the same single.
pub(super) fn single(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() { serialized(&value, out) } else { out.extend_from_slice(unfinite(value.into())) }
}

fn unfinite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    }
}

fn serialized(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a buffer takes every number");
}

/// Bytes as base64 with padding, in quotes.
pub(super) fn base64(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(value, &mut out[start..]).expect("four characters hold three bytes");
    out.truncate(start + written);
    out.push(b'"');
}

/// The bytes of a base64 text, where it is one.
pub(super) fn from_base64(value: &str) -> Option<Vec<u8>> {
    STANDARD.decode(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (value, wanted) in [(i64::MIN, "-9223372036854775808"), (0, "0"), (1 << 53, "9007199254740992")] {
            assert_eq!(written(|out| integer(value, out)), wanted);
        }
        assert_eq!(written(|out| unsigned(u64::MAX, out)), "18446744073709551615");
        let doubles =
            [(0.1, "0.1"), (-0.0, "-0.0"), (1e300, "1e+300"), (f64::NAN, "\"NaN\""), (f64::INFINITY, "\"Infinity\"")];
        for (value, wanted) in doubles {
            let text = written(|out| double(value, out));
            assert_eq!(text.replace("e+", "e"), wanted.replace("e+", "e"));
        }
        assert_eq!(written(|out| double(f64::NEG_INFINITY, out)), "\"-Infinity\"");
        assert_eq!(written(|out| single(0.1, out)), "0.1");
    }

    #[test]
    fn bytes_are_base64() {
        for (value, wanted) in [(&b""[..], "\"\""), (b"a", "\"YQ==\""), (b"abc", "\"YWJj\""), (&[255, 254], "\"//4=\"")]
        {
            assert_eq!(written(|out| base64(value, out)), wanted);
        }
    }

    proptest! {
        #[test]
        fn texts_come_back(value in any::<String>(), control in 0u8..0x20) {
            let value = format!("{value}{}\"\\é", char::from(control));
            let read: String = serde_json::from_str(&written(|out| text(&value, out))).unwrap();
            assert_eq!(read, value);
        }
    }
}

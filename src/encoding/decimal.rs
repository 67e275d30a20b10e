//! Decimals as text: every digit, never a float.

/// Digits behind the point, or zeros before it. PostgreSQL's `numeric` has at most 16,383 behind the point.
const SCALE_MAX: u32 = 16_383;
/// Bytes of an unscaled value, which are 9,864 digits: the work grows with their square.
const BYTES_MAX: usize = 4_096;

/// `"123.45"`, in quotes, from a big-endian two's complement integer and its digits behind the point. The error says what
/// does not fit.
pub(super) fn unscaled(bytes: &[u8], scale: i32, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if scale.unsigned_abs() > SCALE_MAX {
        return Err("a decimal has at most 16,383 digits behind the point");
    }
    if bytes.len() > BYTES_MAX {
        return Err("a decimal has at most 4,096 bytes");
    }
    let Some(first) = bytes.first() else { return Err("a decimal has no bytes") };
    let negative = first & 0x80 != 0;
    out.push(b'"');
    if bytes.len() <= 16 {
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[16 - bytes.len()..].copy_from_slice(bytes);
        let value = i128::from_be_bytes(wide);
        let mut buffer = [0; 39];
        point(negative, small_digits(value.unsigned_abs(), &mut buffer), scale, out);
    } else {
        point(negative, &large_digits(bytes, negative), scale, out);
    }
    out.push(b'"');
    Ok(())
}

fn small_digits(mut value: u128, buffer: &mut [u8; 39]) -> &[u8] {
    let mut start = buffer.len();
    while value > 0 || start == buffer.len() {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    &buffer[start..]
}

fn large_digits(bytes: &[u8], negative: bool) -> Vec<u8> {
    // The magnitude in parts of 32 bits, the greatest first.
    let fill = if negative { 0xff } else { 0 };
    let mut parts: Vec<u32> = Vec::with_capacity(bytes.len() / 4 + 1);
    let (head, tail) = bytes.split_at(bytes.len() % 4);
    if !head.is_empty() {
        let mut wide = [fill; 4];
        wide[4 - head.len()..].copy_from_slice(head);
        parts.push(u32::from_be_bytes(wide));
    }
    parts.extend(tail.chunks_exact(4).map(|part| u32::from_be_bytes([part[0], part[1], part[2], part[3]])));
    if negative {
        let mut carry = true;
        for part in parts.iter_mut().rev() {
            (*part, carry) = (!*part).overflowing_add(u32::from(carry));
        }
        if carry {
            parts.insert(0, 1);
        }
    }
    // Nine digits a round, the last ones first.
    let mut digits = Vec::with_capacity(bytes.len() * 5 / 2 + 9);
    let mut start = 0;
    while start < parts.len() {
        let mut rest = 0u64;
        for part in &mut parts[start..] {
            let value = rest << 32 | u64::from(*part);
            *part = (value / 1_000_000_000) as u32;
            rest = value % 1_000_000_000;
        }
        for _ in 0..9 {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        start += parts[start..].iter().take_while(|part| **part == 0).count();
    }
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    digits.reverse();
    digits
}

/// Digits without leading zeros, with a point where the scale wants it.
fn point(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let width = scale.unsigned_abs() as usize;
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.resize(out.len() + width, b'0');
        }
    } else if digits.len() > width {
        let (whole, part) = digits.split_at(digits.len() - width);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(part);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + width - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// The text of a JSON number, in quotes: as it was written, an exponent worked out. `number` is JSON's own grammar.
pub(super) fn number(number: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NO_NUMBER: &str = "must be a number, or base64 of its digits' bytes";
    if !number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else {
        out.push(b'"');
        out.extend_from_slice(number.as_bytes());
        out.push(b'"');
        return Ok(());
    };
    let exponent: i32 = exponent.parse().map_err(|_| "a decimal's exponent is too large")?;
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i64::try_from(part.len()).unwrap_or(i64::MAX).saturating_sub(i64::from(exponent));
    let scale = i32::try_from(scale).ok().filter(|scale| scale.unsigned_abs() <= SCALE_MAX);
    let scale = scale.ok_or("a decimal has at most 16,383 digits behind the point")?;
    let digits = [whole, part].concat();
    let digits = digits.trim_start_matches('0');
    out.push(b'"');
    point(negative, if digits.is_empty() { b"0" } else { digits.as_bytes() }, scale, out);
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    fn of(bytes: &[u8], scale: i32) -> Result<String, &'static str> {
        let mut out = Vec::new();
        unscaled(bytes, scale, &mut out)?;
        Ok(String::from_utf8(out).unwrap().trim_matches('"').to_owned())
    }

    #[test]
    fn the_point_stands_where_the_scale_says() {
        let cases: [(&[u8], i32, &str); 10] = [
            (&[0x30, 0x39], 2, "123.45"),
            (&[0], 2, "0.00"),
            (&[0xfb], 2, "-0.05"),
            (&[0x00, 0x80], 0, "128"),
            (&[0x80], 0, "-128"),
            (&[7], -3, "7000"),
            (&[0], -3, "0"),
            (&[0x7f; 16], 0, "169473963133173273960190490760135540607"),
            (&[0xff; 20], 1, "-0.1"),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, "-43556142965880123323311949751266331066368"),
        ];
        for (bytes, scale, wanted) in cases {
            assert_eq!(of(bytes, scale).as_deref(), Ok(wanted));
        }
        assert!(of(&[], 0).is_err() && of(&[1], 16_384).is_err() && of(&[1], i32::MIN).is_err());
        assert!(of(&[1; 4_097], 0).is_err() && of(&[1; 4_096], 0).is_ok_and(|text| text.len() == 9_862));
    }

    #[test]
    fn numbers_of_json_keep_their_zeros() {
        let cases = [
            ("12345.110", "12345.110"),
            ("-0.5", "-0.5"),
            ("1E+3", "1000"),
            ("1.25e1", "12.5"),
            ("1.2e-3", "0.0012"),
            ("-0e5", "-0"),
            ("2222222222222222300000001111.1234567890", "2222222222222222300000001111.1234567890"),
        ];
        for (token, wanted) in cases {
            let mut out = Vec::new();
            number(token, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{wanted}\""));
        }
        for token in ["true", "1e99999", "1e99999999999", "1e-20000", "[1]"] {
            assert!(number(token, &mut Vec::new()).is_err(), "{token}");
        }
    }

    proptest! {
        #[test]
        fn digits_agree_with_another_library(bytes in vec(any::<u8>(), 1..80), scale in -40i32..40) {
            let wanted = num_bigint::BigInt::from_signed_bytes_be(&bytes);
            assert_eq!(of(&bytes, 0).unwrap(), wanted.to_string());
            let text = of(&bytes, scale).unwrap();
            let part = text.split_once('.').map_or(0, |(_, part)| part.len());
            assert_eq!(part, scale.max(0) as usize);
            let zeros = num_bigint::BigInt::from(10).pow(scale.min(0).unsigned_abs());
            assert_eq!(text.replace('.', "").parse::<num_bigint::BigInt>().unwrap(), wanted * zeros);
        }
    }
}

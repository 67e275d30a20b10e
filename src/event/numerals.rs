//! Numbers as a document writes them, for those that a double would make others of.

/// The numbers of a text that is JSON, in its order.
#[derive(Clone, Debug)]
pub struct Numerals<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Numerals<'a> {
    pub fn of(text: &'a str) -> Numerals<'a> {
        Numerals { text, at: 0 }
    }
}

impl<'a> Iterator for Numerals<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    while *bytes.get(self.at)? != b'"' {
                        self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
                    }
                    self.at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let start = self.at;
                    let is_of_it = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                    self.at += bytes[start..].iter().take_while(|byte| is_of_it(byte)).count();
                    return self.text.get(start..self.at);
                }
                _ => self.at += 1,
            }
        }
    }
}

/// Whether the double that was read of a number stands for it: its shortest digits are those that are written.
pub fn is_exact(written: &str, double: f64) -> bool {
    /// As many digits come through a double whole, where no exponent takes it to the ends of what a double holds.
    const SAFE_BYTES: usize = 15;
    let is_short = written.len() <= SAFE_BYTES && !written.contains(['e', 'E']);
    is_short || parts(written).is_some_and(|parts| Some(parts) == self::parts(&format!("{double:e}")))
}

/// A number written out, without an exponent. None where it has more than a thousand digits so.
pub fn plain(written: &str) -> Option<String> {
    const DIGITS_MAX: u64 = 1000;
    let (negative, digits, exponent) = parts(written)?;
    if exponent.unsigned_abs() > DIGITS_MAX {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    if exponent >= 0 {
        let zeros = "0".repeat(exponent as usize);
        return Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}{zeros}") });
    }
    let behind = exponent.unsigned_abs() as usize;
    let padded = format!("{digits:0>width$}", width = behind + 1);
    let (whole, fraction) = padded.split_at(padded.len() - behind);
    Some(format!("{sign}{whole}.{fraction}"))
}

/// A number's sign, its digits without zeros at either end, and the power of ten that they are to be multiplied by.
fn parts(written: &str) -> Option<(bool, String, i64)> {
    let (negative, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some((negative, String::new(), 0));
    }
    let zeros = (digits.len() - kept.len()) as i64;
    Some((negative, kept.to_owned(), exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_outside_texts() {
        let text = r#"{"1":[-2.5e+3,"3\"4\\",true],"\\":0,"a":{"b":18446744073709551616}}"#;
        assert_eq!(Numerals::of(text).collect::<Vec<_>>(), ["-2.5e+3", "0", "18446744073709551616"]);
    }

    #[test]
    fn a_double_stands_for_some_numbers() {
        let cases = [
            ("1.50", true),
            ("0.1", true),
            ("1e3", true),
            ("-0.0", true),
            ("1e23", true),
            ("0.30000000000000004", true),
            ("123456789012345690000000", true),
            ("12345678901234567890123", false),
            ("1234567890123456.78", false),
            ("90071992547409.93", false),
            ("0.1000000000000000055511151231257827", false),
            ("1.2345678901e-320", false),
        ];
        for (written, exact) in cases {
            assert_eq!(is_exact(written, written.parse().unwrap()), exact, "{written}");
        }
    }

    #[test]
    fn exponents_are_written_out() {
        for (written, expected) in [
            ("12.50", Some("12.5")),
            ("-1.25e1", Some("-12.5")),
            ("9007199254740993e-2", Some("90071992547409.93")),
            ("5e-3", Some("0.005")),
            ("1.5E3", Some("1500")),
            ("0e9", Some("0")),
            ("1e999999999", None),
        ] {
            assert_eq!(plain(written).as_deref(), expected, "{written}");
        }
    }
}

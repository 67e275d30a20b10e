//! JSON, strictly: a name twice in one object and U+0000 are refused, and an integer is told from `2.0`, `1e3` and `-0`.
//!
//! The slow way onto the tape, for what [`super::scan`] does not take. What is wrong with a document, it says.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::numerals::{Numerals, is_exact};
use super::tape::{Span, Tape, Token};

/// Reads a document in place of the one before. The error says what is wrong and where, and repeats nothing of it.
pub fn read(bytes: &[u8], tape: &mut Tape) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Value(tape).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(|error| error.to_string())?;
    keep_digits(std::str::from_utf8(bytes).unwrap_or_default(), tape);
    Ok(())
}

/// serde makes doubles of numbers: where one is another number, its digits are kept.
fn keep_digits(document: &str, tape: &mut Tape) {
    let Tape { tokens, text, .. } = tape;
    let is_number = |token: &&mut Token| matches!(token, Token::Integer(_) | Token::Unsigned(_) | Token::Float(_));
    for (token, written) in tokens.iter_mut().filter(is_number).zip(Numerals::of(document)) {
        if let Token::Float(double) = *token
            && !is_exact(written, double)
        {
            *token = Token::Number(Span { start: text.len(), length: written.len() });
            text.push_str(written);
        }
    }
}

fn no_nul<E: Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("U+0000 in a name or a text")) } else { Ok(()) }
}

fn keep(tape: &mut Tape, text: &str) -> Span {
    let start = tape.text.len();
    tape.text.push_str(text);
    Span { start, length: text.len() }
}

/// A value that goes onto the tape.
struct Value<'t>(&'t mut Tape);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Value<'_> {
    fn push<E>(self, token: Token) -> Result<(), E> {
        self.0.tokens.push(token);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Token::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Token::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Token::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(i64::try_from(value).map_or(Token::Unsigned(value), Token::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.push(Token::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        no_nul(text)?;
        let span = keep(self.0, text);
        self.push(Token::Text(span))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let tape = self.0;
        let opening = tape.tokens.len();
        tape.tokens.push(Token::Array { length: 0, end: 0 });
        let mut length = 0;
        while items.next_element_seed(Value(&mut *tape))?.is_some() {
            length += 1;
        }
        tape.tokens[opening] = Token::Array { length, end: tape.tokens.len() };
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        /// Above it a set looks names up; below it, a scan is faster.
        const SCAN_MAX: usize = 16;
        let tape = self.0;
        let opening = tape.tokens.len();
        tape.tokens.push(Token::Object { length: 0, end: 0 });
        let mut length = 0;
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(name) = members.next_key_seed(Name(&mut *tape))? {
            let text = name.text(&tape.text);
            no_nul(text)?;
            if length == SCAN_MAX {
                let known = tape.members(opening + 1, tape.tokens.len());
                seen = known.map(|(known, _)| known.text(&tape.text).to_owned()).collect();
            }
            let twice = if length < SCAN_MAX { tape.has_member(opening, text) } else { !seen.insert(text.to_owned()) };
            if twice {
                return Err(A::Error::custom("a name stands twice in one object"));
            }
            tape.tokens.push(Token::Text(name));
            members.next_value_seed(Value(&mut *tape))?;
            length += 1;
        }
        tape.tokens[opening] = Token::Object { length, end: tape.tokens.len() };
        Ok(())
    }
}

/// An object's name.
struct Name<'t>(&'t mut Tape);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Span, E> {
        Ok(keep(self.0, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Token, String> {
        let mut tape = Tape::default();
        read(bytes, &mut tape).map(|()| tape.tokens[0])
    }

    #[test]
    fn integers_are_told_from_what_only_looks_like_one() {
        for text in ["2.0", "1e3", "-0", "1E0", "18446744073709551616"] {
            assert!(matches!(parse(text.as_bytes()), Ok(Token::Float(_) | Token::Number(_))), "{text}");
        }
        assert_eq!(parse(b"9007199254740993"), Ok(Token::Integer(9_007_199_254_740_993)));
        assert_eq!(parse(b"18446744073709551615"), Ok(Token::Unsigned(u64::MAX)));
    }

    #[test]
    fn what_would_be_guessed_at_is_refused() {
        let many = (0..40).map(|i| format!("\"k{i}\":1,")).collect::<String>();
        let cases: Vec<Vec<u8>> = vec![
            br#"{"a":1,"a":2}"#.to_vec(),
            br#"{"x":[{"a":1,"\u0061":2}]}"#.to_vec(),
            br#"{"a":"\u0000"}"#.to_vec(),
            br#"{"\u0000":1}"#.to_vec(),
            b"{\"a\":\"\xff\"}".to_vec(),
            b"{".to_vec(),
            b"".to_vec(),
            b"{} {}".to_vec(),
            br#""\ud800""#.to_vec(),
            b"NaN".to_vec(),
            b"[1,]".to_vec(),
            b"01".to_vec(),
            "[".repeat(100_000).into_bytes(),
            format!("{{{many}\"k7\":2}}").into_bytes(),
        ];
        for case in cases {
            let shown = String::from_utf8_lossy(&case[..case.len().min(60)]).into_owned();
            assert!(parse(&case).is_err(), "{shown}");
            assert!(Tape::default().read(&case).is_err(), "{shown}");
        }
    }
}

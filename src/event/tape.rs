//! JSON laid flat: one token after another, in the order of the text, and texts as spans of what is kept for all of them.
//! Reading the next document allocates nothing once the buffers have grown.

use std::fmt::Write;

use super::{scan, strict};

/// A part of a kept text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub length: usize,
}

impl Span {
    #[inline]
    pub fn text(self, kept: &str) -> &str {
        kept.get(self.start..self.start + self.length).unwrap_or_default()
    }
}

/// A value, or the opening of one that holds others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token {
    Null,
    Boolean(bool),
    /// Written as an integer that an `i64` holds.
    Integer(i64),
    /// Written as an integer above that.
    Unsigned(u64),
    /// Written with a fraction or an exponent, as `-0`, or too large for the others.
    Float(f64),
    /// Written so that no double has its digits: those.
    Number(Span),
    Text(Span),
    /// Its items follow, up to `end`.
    Array {
        length: usize,
        end: usize,
    },
    /// Its members follow, each a name and a value, up to `end`.
    Object {
        length: usize,
        end: usize,
    },
}

/// A document's tokens, and the texts of all documents since it was emptied: each as it came, then what its escapes stand
/// for.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    pub tokens: Vec<Token>,
    pub text: String,
    /// Whether the document is all printable ASCII, without an escape: no text of it then holds a control character.
    pub is_printable: bool,
    /// For [`scan`], which finds them here the next time.
    pub quotes: Vec<u64>,
}

impl Tape {
    /// Reads a document in place of the one before. The error says what is wrong and where, and repeats nothing of it.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.tokens.clear();
        let start = self.text.len();
        if let Ok(document) = std::str::from_utf8(bytes) {
            self.text.push_str(document);
            if scan::read(document, start, self).is_some() {
                return Ok(());
            }
            self.tokens.clear();
            super::buffer::wipe(&mut self.text, start);
        }
        self.is_printable = false;
        strict::read(bytes, self)
    }

    pub fn root(&self) -> Node<'_> {
        Node { tape: self, at: 0 }
    }

    /// Whether an object that is being read has a member of this name.
    pub fn has_member(&self, object: usize, name: &str) -> bool {
        self.members(object + 1, self.tokens.len()).any(|(known, _)| known.text(&self.text) == name)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        match self.tokens.get(at) {
            Some(Token::Array { end, .. } | Token::Object { end, .. }) => *end,
            _ => at + 1,
        }
    }

    /// Names and values that stand one after another.
    #[inline]
    pub fn members(&self, start: usize, end: usize) -> impl Iterator<Item = (Span, Node<'_>)> {
        let mut at = start;
        std::iter::from_fn(move || match self.tokens.get(at) {
            Some(Token::Text(name)) if at < end => {
                let value = Node { tape: self, at: at + 1 };
                at = self.after(at + 1);
                Some((*name, value))
            }
            _ => None,
        })
    }
}

/// A value on the tape.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tape: &'t Tape,
    at: usize,
}

impl<'t> Node<'t> {
    #[inline]
    pub fn token(self) -> Token {
        self.tape.tokens.get(self.at).copied().unwrap_or(Token::Null)
    }

    #[inline]
    pub fn is_null(self) -> bool {
        self.token() == Token::Null
    }

    /// Whether no text of the document holds a control character, as far as can be told without looking.
    pub fn is_printable(self) -> bool {
        self.tape.is_printable
    }

    #[inline]
    pub fn text(self) -> Option<&'t str> {
        match self.token() {
            Token::Text(span) => Some(span.text(&self.tape.text)),
            _ => None,
        }
    }

    /// What a span of this document says.
    #[inline]
    pub fn spanned(self, span: Span) -> &'t str {
        span.text(self.kept_text())
    }

    /// The text that the spans are of.
    #[inline]
    pub fn kept_text(self) -> &'t str {
        &self.tape.text
    }

    /// An object's members; none of anything else.
    #[inline]
    pub fn members(self) -> impl Iterator<Item = (Span, Node<'t>)> {
        let end = match self.token() {
            Token::Object { end, .. } => end,
            _ => 0,
        };
        self.tape.members(self.at + 1, end)
    }

    /// An array's items; none of anything else.
    pub fn items(self) -> impl Iterator<Item = Node<'t>> {
        let length = match self.token() {
            Token::Array { length, .. } => length,
            _ => 0,
        };
        let mut at = self.at + 1;
        (0..length).map(move |_| {
            let item = Node { tape: self.tape, at };
            at = self.tape.after(at);
            item
        })
    }

    pub fn get(self, name: &str) -> Option<Node<'t>> {
        self.members().find(|(known, _)| known.text(&self.tape.text) == name).map(|(_, value)| value)
    }

    /// The double that is nearest to a number.
    pub fn number(self) -> Option<f64> {
        match self.token() {
            Token::Integer(number) => Some(number as f64),
            Token::Unsigned(number) => Some(number as f64),
            Token::Float(number) => Some(number),
            Token::Number(span) => self.spanned(span).parse().ok(),
            _ => None,
        }
    }

    /// What it is, for a message: never its content.
    pub fn noun(self) -> &'static str {
        match self.token() {
            Token::Null => "null",
            Token::Boolean(_) => "true or false",
            Token::Integer(_) | Token::Unsigned(_) => "an integer",
            Token::Float(_) | Token::Number(_) => "a number with a fraction or an exponent",
            Token::Text(_) => "a text",
            Token::Array { .. } => "an array",
            Token::Object { .. } => "an object",
        }
    }

    /// Appends it as JSON without a space, and says where that stands.
    pub fn write(self, out: &mut String) -> Span {
        let start = out.len();
        self.append(out);
        Span { start, length: out.len() - start }
    }

    fn append(self, out: &mut String) {
        // Writing into a `String` never fails.
        let _ = match self.token() {
            Token::Null => out.write_str("null"),
            Token::Boolean(value) => write!(out, "{value}"),
            Token::Integer(value) => write!(out, "{value}"),
            Token::Unsigned(value) => write!(out, "{value}"),
            // JSON has no infinity, so there always is a number.
            Token::Float(value) => serde_json::Number::from_f64(value).map_or(Ok(()), |number| write!(out, "{number}")),
            Token::Number(span) => out.write_str(span.text(&self.tape.text)),
            Token::Text(span) => {
                append_text(out, span.text(&self.tape.text));
                Ok(())
            }
            Token::Array { .. } => {
                out.push('[');
                for (index, item) in self.items().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.append(out);
                }
                out.write_str("]")
            }
            Token::Object { .. } => {
                out.push('{');
                for (index, (name, value)) in self.members().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    append_text(out, name.text(&self.tape.text));
                    out.push(':');
                    value.append(out);
                }
                out.write_str("}")
            }
        };
    }
}

fn append_text(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                control if control < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(control));
                }
                other => out.push(other),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let numbers = "[123456789012345678901234,-0.1234567890123456789,1234567890123456.78,1.5,18446744073709551616]";
        // Deep documents are read another way.
        for document in [numbers.to_owned(), format!("{}{numbers}{}", "[".repeat(20), "]".repeat(20))] {
            let (mut tape, mut out) = (Tape::default(), String::new());
            tape.read(document.as_bytes()).unwrap();
            tape.root().write(&mut out);
            assert_eq!(out, document);
        }
    }

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        let documents = [
            r#"{"a":[1,-0,1.50,1e21,true,null,{}],"b":{"c":[]},"d":18446744073709551615}"#,
            r#" [ "\u0001\b\f\n\r\t\"\\\/ é \ud83d\ude00 \u007f" , "" , -12 , 0.1 , 1E-7 , 5e-324 ] "#,
            r#"{"":"","\n":{"k\"":"v"}}"#,
        ];
        for document in documents {
            let mut tape = Tape::default();
            tape.read(document.as_bytes()).unwrap();
            let mut out = String::from("before");
            let span = tape.root().write(&mut out);
            let value: serde_json::Value = serde_json::from_str(document).unwrap();
            assert_eq!(span.text(&out), value.to_string());
        }
    }
}

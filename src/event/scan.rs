//! The fast way onto the tape: what can be read at a glance is read, and of anything else it says that it cannot.
//!
//! It refuses no document: what it does not take, [`super::strict`] reads again, and that one alone says what is wrong.

use super::tape::{Span, Tape, Token};

/// Deeper or wider documents are rare, and read the slow way.
const DEPTH_MAX: usize = 32;
const MEMBERS_MAX: usize = 128;

/// Reads a document that stands at `start` in the tape's text. `None` where it is for the slow way; the tape then holds
/// a part of it.
pub fn read(document: &str, start: usize, tape: &mut Tape) -> Option<()> {
    let bytes = document.as_bytes();
    let (mut is_plain, mut is_ascii) = (true, true);
    for byte in bytes {
        is_plain &= *byte >= b' ' && *byte != b'\\';
        is_ascii &= *byte < 0x7f;
    }
    tape.is_printable = is_plain && is_ascii;
    let mut quotes = std::mem::take(&mut tape.quotes);
    quotes.clear();
    if is_plain {
        find_quotes(bytes, &mut quotes);
    }
    let word = quotes.first().copied().unwrap_or(0);
    let mut scanner = Scanner { document, bytes, at: 0, start, tape, is_plain, quotes: &quotes, block: 0, word };
    let read = scanner.value(DEPTH_MAX);
    scanner.skip_space();
    let whole = scanner.at == bytes.len();
    tape.quotes = quotes;
    read.filter(|()| whole)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// A bit for every byte, set where it is a quote.
fn find_quotes(bytes: &[u8], quotes: &mut Vec<u64>) {
    let in_eight = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight) ^ (ONES * u64::from(b'"'));
        // A byte's high bit is set where the byte is 0: adding carries into it for any other, and never further.
        let zeros = !(((word & !HIGHS) + !HIGHS) | word) & HIGHS;
        // The eight high bits side by side.
        (zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    let in_block = |block: &[u8; 64]| {
        let (eights, _) = block.as_chunks::<8>();
        eights.iter().enumerate().fold(0, |bits, (index, eight)| bits | in_eight(eight) << (index * 8))
    };
    let (blocks, rest) = bytes.as_chunks::<64>();
    quotes.extend(blocks.iter().map(in_block));
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    quotes.push(in_block(&last));
}

struct Scanner<'a> {
    document: &'a str,
    bytes: &'a [u8],
    at: usize,
    start: usize,
    tape: &'a mut Tape,
    /// Whether there is no backslash and no control character, so that every text ends at the next quote.
    is_plain: bool,
    /// Where the quotes are, in a plain document: a bit for every byte.
    quotes: &'a [u64],
    block: usize,
    /// The block's quotes that lie ahead.
    word: u64,
}

impl Scanner<'_> {
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no space; at the end 0, which begins nothing.
    fn peek(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => *byte,
            _ => {
                self.skip_space();
                self.bytes.get(self.at).copied().unwrap_or(0)
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let token = match self.peek() {
            b'"' => Token::Text(self.text()?),
            b'{' => return self.object(depth.checked_sub(1)?),
            b'[' => return self.array(depth.checked_sub(1)?),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal("true", Token::Boolean(true))?,
            b'f' => self.literal("false", Token::Boolean(false))?,
            b'n' => self.literal("null", Token::Null)?,
            _ => return None,
        };
        self.tape.tokens.push(token);
        Some(())
    }

    fn literal(&mut self, word: &str, token: Token) -> Option<Token> {
        let end = self.at + word.len();
        let found = self.bytes.get(self.at..end)? == word.as_bytes();
        self.at = end;
        found.then_some(token)
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let opening = self.tape.tokens.len();
        self.tape.tokens.push(Token::Array { length: 0, end: 0 });
        self.at += 1;
        let mut length = 0;
        if self.peek() == b']' {
            self.at += 1;
        } else {
            loop {
                self.value(depth)?;
                length += 1;
                if self.closes(b']')? {
                    break;
                }
            }
        }
        self.tape.tokens[opening] = Token::Array { length, end: self.tape.tokens.len() };
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let opening = self.tape.tokens.len();
        self.tape.tokens.push(Token::Object { length: 0, end: 0 });
        self.at += 1;
        let (mut length, mut seen) = (0, [0; 4]);
        if self.peek() == b'}' {
            self.at += 1;
        } else {
            loop {
                if self.peek() != b'"' || length == MEMBERS_MAX {
                    return None;
                }
                let name = self.text()?;
                if self.is_twice(opening, name, &mut seen) {
                    return None;
                }
                self.tape.tokens.push(Token::Text(name));
                if self.peek() != b':' {
                    return None;
                }
                self.at += 1;
                self.value(depth)?;
                length += 1;
                if self.closes(b'}')? {
                    break;
                }
            }
        }
        self.tape.tokens[opening] = Token::Object { length, end: self.tape.tokens.len() };
        Some(())
    }

    /// Whether the array or object ends here, rather than going on after a comma.
    fn closes(&mut self, closing: u8) -> Option<bool> {
        let byte = self.peek();
        self.at += 1;
        if byte == b',' {
            Some(false)
        } else if byte == closing {
            Some(true)
        } else {
            None
        }
    }

    /// Whether the object has the name already. `seen` has a bit for every look that a name has had: only a name that
    /// looks like another is compared.
    fn is_twice(&self, opening: usize, name: Span, seen: &mut [u64; 4]) -> bool {
        let bytes = self.tape.text.as_bytes();
        let head = bytes.get(name.start..).and_then(|rest| rest.first_chunk::<8>());
        let head = head.map_or(0, |head| u64::from_le_bytes(*head));
        let head = if name.length < 8 { head & !(u64::MAX << (name.length * 8)) } else { head };
        // The golden ratio's bits: a multiplication that spreads the head over the upper bits.
        let look = (head ^ name.length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let (word, bit) = (look as usize / 64, 1 << (look % 64));
        let looks_known = seen[word] & bit != 0;
        seen[word] |= bit;
        looks_known && self.tape.has_member(opening, name.text(&self.tape.text))
    }

    /// Reads a text; the scanner stands at its opening quote.
    fn text(&mut self) -> Option<Span> {
        let from = self.at + 1;
        if self.is_plain {
            self.next_quote()?;
            let end = self.next_quote()?;
            self.at = end + 1;
            return Some(Span { start: self.start + from, length: end - from });
        }
        let end = self.plain_until(from);
        match self.bytes.get(end)? {
            b'"' => {
                self.at = end + 1;
                Some(Span { start: self.start + from, length: end - from })
            }
            b'\\' => self.escaped(from, end),
            _ => None,
        }
    }

    /// Where the next quote of a plain document is. Each is asked for once, so that the next is never behind.
    fn next_quote(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.block += 1;
            self.word = *self.quotes.get(self.block)?;
        }
        let at = self.block * 64 + self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(at)
    }

    /// The first byte from here on that is a quote, a backslash or a control character, eight at a time.
    fn plain_until(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(chunk) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            // A byte's high bit is set where subtracting borrows: where the byte is 0, or below a space. A borrow may
            // reach the bytes after it, never one before, and the first is all that is asked for.
            let zero = |word: u64| word.wrapping_sub(ONES) & !word;
            let below = |word: u64| word.wrapping_sub(ONES * u64::from(b' ')) & !word;
            let quote = zero(word ^ (ONES * u64::from(b'"')));
            let backslash = zero(word ^ (ONES * u64::from(b'\\')));
            let found = (quote | backslash | below(word)) & HIGHS;
            if found != 0 {
                return at + found.trailing_zeros() as usize / 8;
            }
            at += 8;
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
        at + rest.iter().position(special).unwrap_or(rest.len())
    }

    /// Reads a text whose first backslash is at `at`: what it stands for goes behind the document.
    fn escaped(&mut self, from: usize, at: usize) -> Option<Span> {
        let start = self.tape.text.len();
        let (mut from, mut at) = (from, at);
        loop {
            self.tape.text.push_str(self.document.get(from..at)?);
            at += 1;
            match self.bytes.get(at - 1)? {
                b'"' => break,
                b'\\' => {}
                _ => return None,
            }
            at += 1;
            let character = match self.bytes.get(at - 1)? {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let mut code = self.hexadecimal(at)?;
                    at += 4;
                    if (0xd800..0xdc00).contains(&code) && self.bytes.get(at..at + 2)? == b"\\u" {
                        let low = self.hexadecimal(at + 2)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        code = 0x1_0000 + ((code - 0xd800) << 10) + low;
                        at += 6;
                    }
                    // Half of a pair is no character, and U+0000 is refused.
                    char::from_u32(code).filter(|character| *character != '\0')?
                }
                _ => return None,
            };
            self.tape.text.push(character);
            from = at;
            at = self.plain_until(from);
        }
        self.at = at;
        Some(Span { start, length: self.tape.text.len() - start })
    }

    fn hexadecimal(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Token> {
        /// As many digits as always fit.
        const DIGITS_MAX: usize = 18;
        let from = self.at;
        let negative = self.bytes[from] == b'-';
        let mut at = from + usize::from(negative);
        let first = at;
        let mut number = 0i64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(at) {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            at += 1;
        }
        let digits = at - first;
        if digits == 0 || digits > 1 && self.bytes[first] == b'0' {
            return None;
        }
        let is_integer = !matches!(self.bytes.get(at), Some(b'.' | b'e' | b'E'));
        if is_integer && digits <= DIGITS_MAX && !(negative && number == 0) {
            self.at = at;
            return Some(Token::Integer(if negative { -number } else { number }));
        }
        // Rounding is left to who reads such numbers otherwise, so that both ways agree.
        let rest = &self.bytes[at..];
        let more = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        self.at = at + rest.iter().position(|byte| !more(byte)).unwrap_or(rest.len());
        let written = self.document.get(from..self.at)?;
        let large = if is_integer { written.parse().ok().map(Token::Integer) } else { None };
        // `-0` is no integer.
        let large = large.filter(|token| *token != Token::Integer(0));
        large
            .or_else(|| if is_integer { written.parse().ok().map(Token::Unsigned) } else { None })
            .or_else(|| serde_json::from_str(written).ok().map(Token::Float))
    }
}

//! The fast way onto the tape: what can be read at a glance is read, and of anything else it says that it cannot.
//!
//! It refuses no document: what it does not take, [`super::strict`] reads again, and that one alone says what is wrong.

use super::numerals::is_exact;
use super::tape::{Span, Tape, Token};

/// Deeper or wider documents are rare, and read the slow way.
const DEPTH_MAX: usize = 8;
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
    tape.quotes.clear();
    if is_plain {
        find_quotes(bytes, &mut tape.quotes);
    }
    let Tape { tokens, text, quotes, .. } = tape;
    let word = quotes.first().copied().unwrap_or(0);
    let mut scanner = Scanner { document, bytes, at: 0, start, text, is_plain, quotes, block: 0, word };
    scanner.document(tokens)
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

/// An array or object that is being read.
#[derive(Clone, Copy)]
struct Opened {
    /// Its token.
    token: usize,
    length: usize,
    closing: u8,
    /// A bit for every look that a name of it has had: only a name that looks like another is compared.
    seen: [u64; 4],
}

/// Where a document is read. Its methods are small and put in place, so that this lives in registers.
struct Scanner<'a> {
    document: &'a str,
    bytes: &'a [u8],
    at: usize,
    start: usize,
    /// The tape's.
    text: &'a mut String,
    /// Whether there is no backslash and no control character, so that every text ends at the next quote.
    is_plain: bool,
    /// Where the quotes are, in a plain document: a bit for every byte.
    quotes: &'a [u64],
    block: usize,
    /// The block's quotes that lie ahead.
    word: u64,
}

impl Scanner<'_> {
    /// Reads it all, without recursion: what is open is remembered.
    fn document(&mut self, tokens: &mut Vec<Token>) -> Option<()> {
        let mut opened = [Opened { token: 0, length: 0, closing: 0, seen: [0; 4] }; DEPTH_MAX];
        let mut depth = 0;
        loop {
            let token = match self.peek() {
                b'"' => Token::Text(self.text()?),
                opening @ (b'{' | b'[') => {
                    let (token, closing) = match opening {
                        b'{' => (Token::Object { length: 0, end: tokens.len() + 1 }, b'}'),
                        _ => (Token::Array { length: 0, end: tokens.len() + 1 }, b']'),
                    };
                    self.at += 1;
                    if self.peek() == closing {
                        self.at += 1;
                        token
                    } else {
                        let inner = opened.get_mut(depth)?;
                        *inner = Opened { token: tokens.len(), length: 0, closing, seen: [0; 4] };
                        depth += 1;
                        tokens.push(token);
                        if closing == b'}' {
                            self.name(inner, tokens)?;
                        }
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true", Token::Boolean(true))?,
                b'f' => self.literal("false", Token::Boolean(false))?,
                b'n' => self.literal("null", Token::Null)?,
                _ => return None,
            };
            tokens.push(token);
            // A value has ended, and with it perhaps what it stands in.
            loop {
                let Some(inner) = depth.checked_sub(1).and_then(|depth| opened.get_mut(depth)) else {
                    self.skip_space();
                    return (self.at == self.bytes.len()).then_some(());
                };
                inner.length += 1;
                let byte = self.peek();
                self.at += 1;
                if byte == b',' {
                    if inner.closing == b'}' {
                        self.name(inner, tokens)?;
                    }
                    break;
                }
                if byte != inner.closing {
                    return None;
                }
                let (length, end) = (inner.length, tokens.len());
                tokens[inner.token] = match byte {
                    b'}' => Token::Object { length, end },
                    _ => Token::Array { length, end },
                };
                depth -= 1;
            }
        }
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no space; at the end 0, which begins nothing.
    #[inline(always)]
    fn peek(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => *byte,
            _ => {
                self.skip_space();
                self.bytes.get(self.at).copied().unwrap_or(0)
            }
        }
    }

    #[inline(always)]
    fn literal(&mut self, word: &str, token: Token) -> Option<Token> {
        let end = self.at + word.len();
        let found = self.bytes.get(self.at..end)? == word.as_bytes();
        self.at = end;
        found.then_some(token)
    }

    /// Reads a member's name and the colon.
    #[inline(always)]
    fn name(&mut self, object: &mut Opened, tokens: &mut Vec<Token>) -> Option<()> {
        if self.peek() != b'"' || object.length == MEMBERS_MAX {
            return None;
        }
        let name = self.text()?;
        let look = look(self.text.as_bytes().get(name.start..)?, name.length);
        let (word, bit) = (look / 64, 1 << (look % 64));
        let looks_known = object.seen[word] & bit != 0;
        object.seen[word] |= bit;
        if looks_known && is_twice(tokens, object.token, self.text, name) {
            return None;
        }
        tokens.push(Token::Text(name));
        if self.peek() != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Reads a text; the scanner stands at its opening quote.
    #[inline(always)]
    fn text(&mut self) -> Option<Span> {
        let from = self.at + 1;
        if self.is_plain {
            self.next_quote()?;
            let end = self.next_quote()?;
            self.at = end + 1;
            return Some(Span { start: self.start + from, length: end - from });
        }
        let (span, end) = text_with_escapes(self.document, from, self.start, self.text)?;
        self.at = end;
        Some(span)
    }

    /// Where the next quote of a plain document is. Each is asked for once, so that the next is never behind.
    #[inline(always)]
    fn next_quote(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.block += 1;
            self.word = *self.quotes.get(self.block)?;
        }
        let at = self.block * 64 + self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(at)
    }

    #[inline(always)]
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
        large.or_else(|| if is_integer { written.parse().ok().map(Token::Unsigned) } else { None }).or_else(|| {
            let double = serde_json::from_str(written).ok()?;
            let span = Span { start: self.start + from, length: written.len() };
            Some(if is_exact(written, double) { Token::Float(double) } else { Token::Number(span) })
        })
    }
}

/// Eight bits that differ for most names. A name begins `rest`, which the tape's text goes on with.
#[inline(always)]
fn look(rest: &[u8], length: usize) -> usize {
    let mut head = [0; 8];
    match rest.first_chunk::<8>() {
        Some(chunk) => head = *chunk,
        None => head[..rest.len()].copy_from_slice(rest),
    }
    let head = u64::from_le_bytes(head);
    let head = if length < 8 { head & !(u64::MAX << (length * 8)) } else { head };
    // The golden ratio's bits: a multiplication that spreads the head over the upper bits.
    ((head ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

/// Whether an object that is being read has a member of this name.
#[cold]
fn is_twice(tokens: &[Token], object: usize, text: &str, name: Span) -> bool {
    let (mut at, name) = (object + 1, name.text(text));
    while let Some(Token::Text(known)) = tokens.get(at) {
        if known.text(text) == name {
            return true;
        }
        at = match tokens.get(at + 1) {
            Some(Token::Array { end, .. } | Token::Object { end, .. }) => *end,
            _ => at + 2,
        };
    }
    false
}

/// The first byte from here on that is a quote, a backslash or a control character, eight at a time.
fn plain_until(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
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
    let rest = bytes.get(at..).unwrap_or_default();
    let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// Reads a text that begins at `from`, and says where what follows it begins. What escapes stand for goes behind the
/// document, which stands at `start` in `text`.
fn text_with_escapes(document: &str, from: usize, start: usize, text: &mut String) -> Option<(Span, usize)> {
    let bytes = document.as_bytes();
    let mut at = plain_until(bytes, from);
    if bytes.get(at) == Some(&b'"') {
        return Some((Span { start: start + from, length: at - from }, at + 1));
    }
    let (start, mut from) = (text.len(), from);
    loop {
        text.push_str(document.get(from..at)?);
        at += 1;
        match bytes.get(at - 1)? {
            b'"' => return Some((Span { start, length: text.len() - start }, at)),
            b'\\' => {}
            _ => return None,
        }
        at += 1;
        let character = match bytes.get(at - 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = hexadecimal(bytes, at)?;
                at += 4;
                if (0xd800..0xdc00).contains(&code) && bytes.get(at..at + 2)? == b"\\u" {
                    let low = hexadecimal(bytes, at + 2)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low;
                    at += 6;
                }
                // Half of a pair is no character, and U+0000 is refused.
                char::from_u32(code).filter(|character| *character != '\0')?
            }
            _ => return None,
        };
        text.push(character);
        from = at;
        at = plain_until(bytes, from);
    }
}

fn hexadecimal(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

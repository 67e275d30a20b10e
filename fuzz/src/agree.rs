//! The ways onto the tape, and serde_json beside them. It stands within `event`, here and in the room's tests.

use serde_json::{Map, Value as Json};

use super::tape::{Node, Tape, Token};
use super::{scan, strict};

/// Holds the fast way, the slow way and serde_json against each other. The error says how they differ.
pub fn agree(bytes: &[u8]) -> Result<(), String> {
    let (mut fast, mut slow, mut either) = (Tape::default(), Tape::default(), Tape::default());
    let strict = strict::read(bytes, &mut slow);
    let expected = strict.clone().map(|()| shape(slow.root()));
    let read = either.read(bytes).map(|()| shape(either.root()));
    if read != expected {
        return Err(format!("read as {read:?}, and strictly as {expected:?}"));
    }
    let loose = serde_json::from_slice::<Json>(bytes);
    match (&strict, &loose) {
        (Ok(()), Ok(loose)) if json(slow.root()) == *loose => {}
        (Err(_), Err(_)) => {}
        // What is refused though it is JSON.
        (Err(why), Ok(_)) if why.contains("stands twice") || why.contains("U+0000") => {}
        _ => return Err(format!("strictly {expected:?}, and serde_json {loose:?}")),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    fast.text.push_str(text);
    // It takes no document that the slow way refuses; and of one that it leaves it says nothing.
    if scan::read(text, 0, &mut fast).is_some() {
        let scanned = Ok(shape(fast.root()));
        if scanned != expected {
            return Err(format!("scanned as {scanned:?}, and strictly read as {expected:?}"));
        }
        let may_be_printable = !text.contains('\\') && text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        if fast.root().is_printable() != may_be_printable {
            return Err("what is printable is not said to be, or the other way".into());
        }
    }
    Ok(())
}

/// A document as the tape has it, whatever its spans.
pub fn shape(node: Node<'_>) -> String {
    match node.token() {
        Token::Array { length, .. } => format!("{length}[{}]", node.items().map(shape).collect::<Vec<_>>().join(",")),
        Token::Object { length, .. } => {
            let members = node.members().map(|(name, value)| format!("{:?}:{}", node.spanned(name), shape(value)));
            format!("{length}{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Token::Text(span) => format!("{:?}", node.spanned(span)),
        // Zero has a sign, too.
        Token::Float(number) => format!("float {:x}", number.to_bits()),
        Token::Number(span) => format!("number {}", node.spanned(span)),
        token => format!("{token:?}"),
    }
}

/// The same as serde_json has it.
fn json(node: Node<'_>) -> Json {
    match node.token() {
        Token::Null => Json::Null,
        Token::Boolean(value) => value.into(),
        Token::Integer(value) => value.into(),
        Token::Unsigned(value) => value.into(),
        Token::Float(value) => value.into(),
        // It has a double only, which need not be the nearest.
        Token::Number(span) => serde_json::from_str(node.spanned(span)).unwrap_or_default(),
        Token::Text(span) => node.spanned(span).into(),
        Token::Array { .. } => node.items().map(json).collect(),
        Token::Object { .. } => {
            let members = node.members().map(|(name, value)| (node.spanned(name).to_owned(), json(value)));
            Json::Object(members.collect::<Map<_, _>>())
        }
    }
}

//! Colons and values that are not there: apollo-parser 0.8 takes `people(first)` and `{ eq BOOKED }` without a word.

use apollo_parser::{Lexer, Token, TokenKind};

use super::error::{ApiError, PARSE_FAILED};

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Fields, or variables: nothing in it has a value.
    Fields,
    Variables,
    /// Arguments, or an input's members: each is a name, a colon and a value.
    Members,
    List,
}

/// Refuses names of arguments and of inputs' members that no colon and value follow. Of a document that was parsed.
pub fn check(text: &str) -> Result<(), Vec<ApiError>> {
    let ignored = [TokenKind::Whitespace, TokenKind::Comment, TokenKind::Comma];
    let tokens = Lexer::new(text).filter_map(Result::ok).filter(|token| !ignored.contains(&token.kind()));
    let tokens: Vec<Token<'_>> = tokens.collect();
    let (mut open, mut before) = (vec![Open::Fields], TokenKind::Eof);
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place + 1).map_or(TokenKind::Eof, Token::kind);
        let inner = open.last().copied().unwrap_or(Open::Fields);
        match token.kind() {
            TokenKind::LParen if next == TokenKind::Dollar => open.push(Open::Variables),
            TokenKind::LParen => open.push(Open::Members),
            TokenKind::LCurly if inner == Open::Fields => open.push(Open::Fields),
            TokenKind::LCurly => open.push(Open::Members),
            TokenKind::LBracket => open.push(Open::List),
            TokenKind::RParen | TokenKind::RCurly | TokenKind::RBracket => drop(open.pop()),
            TokenKind::Name if inner == Open::Members && !matches!(before, TokenKind::Colon | TokenKind::Dollar) => {
                if next != TokenKind::Colon {
                    return Err(vec![missing("colon", token, text)]);
                }
                let value = tokens.get(place + 2).map_or(TokenKind::Eof, Token::kind);
                if matches!(value, TokenKind::RParen | TokenKind::RCurly | TokenKind::RBracket | TokenKind::Colon) {
                    return Err(vec![missing("value", token, text)]);
                }
            }
            _ => {}
        }
        before = token.kind();
    }
    Ok(())
}

fn missing(what: &str, name: &Token<'_>, text: &str) -> ApiError {
    let mut error = ApiError::new(PARSE_FAILED, format!("syntax error: a {what} is missing behind `{}`", name.data()));
    let before = text.get(..name.index()).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    error.locations = vec![(before.matches('\n').count() + 1, column)];
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_its_colon_and_its_value() {
        for text in [
            "{ people(first: 1, after: \"x\") { nodes { key } } }",
            "query Q($a: Int = 1 @x(y: 1), $f: [F!]! = [{ a: { b: [1, $c, E] } }]) @d(e: $a) { a: b(c: $f) @skip(if: true) }",
            "{ a(b: true c: null, d: E) }",
            "fragment f on T { a(b: {}) { c } }",
            "{ a(b: \"(x{y\") # (c\n }",
        ] {
            assert!(check(text).is_ok(), "{text}: {:?}", check(text));
        }
        for (text, place) in [
            ("{ people(first) { key } }", (1, 10)),
            ("{ people(first 1) }", (1, 10)),
            ("{ people(first: 1 after) }", (1, 19)),
            ("{ people(first:) }", (1, 10)),
            ("{ a(f: { eq BOOKED }) }", (1, 10)),
            ("{ a(f: [{ b: 1 }, { key }]) }", (1, 21)),
            ("query($f: F =\n { key }) { a }", (2, 4)),
            ("{ a @include(if) }", (1, 14)),
            ("{ a(f: { b: }) }", (1, 10)),
        ] {
            assert_eq!(check(text).unwrap_err()[0].locations, [place], "{text}");
        }
    }
}

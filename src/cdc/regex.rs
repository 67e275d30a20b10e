//! Regular expressions as jq has them: Oniguruma's syntax and Unicode's classes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fancy_regex::{Regex, RegexBuilder};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::native::{Fun, bome, v};
use jaq_core::{Cv, Error, Native};
use jaq_json::{Num, Val};

use super::bounds::Data;
use super::json::{string, text};

/// Steps back that one search may take; then it fails.
const BACKTRACKS_MAX: usize = 100_000;
/// Expressions that a program keeps: those that stand in its text, usually.
const KEPT_MAX: usize = 64;

/// What a program's expressions were made into.
#[derive(Default)]
pub struct Expressions(Mutex<HashMap<(String, String), Arc<Expression>>>);

pub struct Expression {
    regex: Regex,
    is_global: bool,
}

impl Expressions {
    fn get(&self, pattern: &str, flags: &str) -> Result<Arc<Expression>, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pattern.to_owned(), flags.to_owned());
        if let Some(known) = kept.get(&key) {
            return Ok(known.clone());
        }
        let made = Arc::new(compile(pattern, flags)?);
        if kept.len() == KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, made.clone());
        Ok(made)
    }
}

/// Oniguruma's POSIX classes are Unicode's; those of the crate are ASCII's.
fn unicode_classes(pattern: &str) -> String {
    const CLASSES: [(&str, &str); 9] = [
        ("alpha", r"\p{Alphabetic}"),
        ("alnum", r"\p{Alphabetic}\p{Nd}"),
        ("upper", r"\p{Uppercase}"),
        ("lower", r"\p{Lowercase}"),
        ("digit", r"\p{Nd}"),
        ("space", r"\s"),
        ("punct", r"\p{P}"),
        ("word", r"\w"),
        ("cntrl", r"\p{Cc}"),
    ];
    let class = |pattern: String, (name, class): &(&str, &str)| pattern.replace(&format!("[:{name}:]"), class);
    CLASSES.iter().fold(pattern.to_owned(), class)
}

/// jq's flags. What is said of a fault repeats nothing of the expression.
fn compile(pattern: &str, flags: &str) -> Result<Expression, String> {
    let mut builder = RegexBuilder::new(&unicode_classes(pattern));
    builder.oniguruma_mode(true).backtrack_limit(BACKTRACKS_MAX);
    let mut is_global = false;
    for flag in flags.chars() {
        match flag {
            'g' => is_global = true,
            'i' => drop(builder.case_insensitive(true)),
            'x' => drop(builder.ignore_whitespace(true)),
            'n' => drop(builder.find_not_empty(true)),
            // `.` is any character, newlines too.
            'p' => drop(builder.dot_matches_new_line(true)),
            // `^` and `$` are the ends of the text, as they are without it.
            's' => {}
            'l' => return Err("the flag `l`, for the longest match, is not there".into()),
            _ => return Err("its flags are of g, i, x, n, p and s".into()),
        }
    }
    let regex = builder.build().map_err(|error| match error {
        fancy_regex::Error::ParseError(at, what) => format!("{what}, at its byte {at}"),
        _ => "it is too large, or has what is not there".to_owned(),
    })?;
    Ok(Expression { regex, is_global })
}

/// Which of a function's arguments are an expression and its flags.
fn places(name: &str, arity: usize) -> Option<(usize, Option<usize>)> {
    match (name, arity) {
        ("test" | "match" | "capture" | "scan" | "splits", 1) | ("sub" | "gsub", 2) => Some((0, None)),
        ("test" | "match" | "capture" | "scan" | "splits" | "split", 2) => Some((0, Some(1))),
        ("sub" | "gsub", 3) => Some((0, Some(2))),
        _ => None,
    }
}

/// Checks an expression that stands in a program's text.
pub fn check<'s>(name: &str, arguments: &[Term<&'s str>]) -> Result<(), (&'s str, String)> {
    let Some((pattern, flags)) = places(name, arguments.len()) else { return Ok(()) };
    let Some((part, pattern)) = arguments.get(pattern).and_then(literal) else { return Ok(()) };
    let flags = match flags.map(|flags| &arguments[flags]) {
        None => String::new(),
        Some(flags) => literal(flags).map(|(_, flags)| flags).unwrap_or_default(),
    };
    let failed = |what| (part, format!("this is no regular expression that can run: {what}"));
    compile(&pattern, &flags).map(|_| ()).map_err(failed)
}

/// A text that stands in the program, and its first part there.
fn literal<'s>(term: &Term<&'s str>) -> Option<(&'s str, String)> {
    let Term::Str(None, parts) = term else { return None };
    let (mut first, mut whole) = (None, String::new());
    for part in parts {
        match part {
            StrPart::Str(part) => {
                first.get_or_insert(*part);
                whole.push_str(part);
            }
            StrPart::Char(character) => whole.push(*character),
            StrPart::Term(_) => return None,
        }
    }
    Some((first.unwrap_or_default(), whole))
}

/// The functions that jq's own definitions are made of: each takes an expression, or an array of that and flags, and flags.
pub fn functions() -> impl Iterator<Item = Fun<Data>> {
    let all: [Fun<Data>; 3] = [
        ("matches", v(2), Native::new(|cv| bome(run(cv, false, true)))),
        ("split_matches", v(2), Native::new(|cv| bome(run(cv, true, true)))),
        ("split_", v(2), Native::new(|cv| bome(run(cv, true, false)))),
    ];
    all.into_iter()
}

/// What is said of faults begins so.
pub const OWN: &str = "regex: ";

fn failed(what: impl std::fmt::Display) -> Error<Val> {
    Error::str(format_args!("{OWN}{what}"))
}

/// The parts of a text that match, and those between.
fn run(mut cv: Cv<'_, Data>, between: bool, matching: bool) -> Result<Val, Error<Val>> {
    let flags = cv.0.pop_var();
    let pattern = cv.0.pop_var();
    let input = text(&cv.1).ok_or_else(|| failed("only a text can be matched"))?;
    let (pattern, more) = match &pattern {
        Val::Arr(both) => (both.first().cloned().unwrap_or_default(), both.get(1).and_then(text).unwrap_or_default()),
        _ => (pattern.clone(), ""),
    };
    let pattern = text(&pattern).ok_or_else(|| failed("the regular expression is no text"))?;
    let flags = match &flags {
        Val::Null => more.to_owned(),
        flags => format!("{more}{}", text(flags).ok_or_else(|| failed("the flags are no text"))?),
    };
    let refused = |_| failed("this is no regular expression that can run, or one of its flags is not there");
    // What is wrong may be told by quoting it, and it may be the row's.
    let expression = cv.0.data().expressions.get(pattern, &flags).map_err(refused)?;
    let names: Vec<Option<&str>> = expression.regex.capture_names().collect();
    let mut counted = Counted { text: input, byte: 0, characters: 0 };
    let (mut out, mut last) = (Vec::new(), 0);
    for captures in expression.regex.captures_iter(input) {
        // Its errors may quote the text.
        let captures = captures.map_err(|_| failed("the search takes too long on this text"))?;
        let Some(whole) = captures.get(0) else { continue };
        if between {
            out.push(string(&input[last..whole.start()]));
            last = whole.end();
        }
        if matching {
            let group = |(index, name): (usize, &Option<&str>)| {
                let found = captures.get(index).map(|found| (counted.at(found.start()), found.as_str()));
                described(found, (index > 0).then_some(*name))
            };
            out.push(names.iter().enumerate().map(group).collect());
        }
        if !expression.is_global {
            break;
        }
    }
    if between {
        out.push(string(&input[last..]));
    }
    Ok(out.into_iter().collect())
}

/// What jq says of a group: `offset` and `length` count characters. The whole match has no name.
fn described(found: Option<(usize, &str)>, name: Option<Option<&str>>) -> Val {
    let number = |number: isize| Val::Num(Num::Int(number));
    let (offset, length, text) = match found {
        Some((offset, text)) => (number(offset as isize), number(text.chars().count() as isize), string(text)),
        None => (number(-1), number(0), Val::Null),
    };
    let members = [("offset", offset), ("length", length), ("string", text)];
    let name = name.map(|name| ("name", name.map_or(Val::Null, string)));
    super::json::object(members.into_iter().chain(name))
}

/// Counts characters up to a byte; quickly where the next byte lies behind the one before.
struct Counted<'t> {
    text: &'t str,
    byte: usize,
    characters: usize,
}

impl Counted<'_> {
    fn at(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            return self.text[..byte].chars().count();
        }
        self.characters += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.characters
    }
}

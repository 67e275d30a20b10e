//! Filters as ranges of an index's codes.

use super::filter::Test;
use crate::graph::{ALL, Code, code_of, prefix_range, wide};
use crate::model::Kind;
use crate::model::cell::Cell;
use crate::model::value::{Money, Value};

/// Ranges of codes, both ends included, that hold every value that passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spans {
    pub ranges: Vec<(Code, Code)>,
    /// Whether they hold nothing else.
    pub exact: bool,
}

/// Whether a code says all of a value.
pub fn is_exact(kind: &Kind) -> bool {
    matches!(kind, Kind::Boolean | Kind::Int | Kind::Long | Kind::Float | Kind::Date | Kind::Enum(_))
}

/// The spans of tests that must all hold; `None` where no test narrows anything.
pub fn of_tests(kind: &Kind, tests: &[Test]) -> Option<Spans> {
    let mut spans = Spans { ranges: vec![ALL], exact: is_exact(kind) };
    let mut narrows = false;
    for test in tests {
        let of = |value: &Value| code_of(kind, value.cell());
        let ranges = match test {
            Test::Equal(value) => vec![(of(value)?, of(value)?)],
            Test::In(values) => values.iter().map(|value| Some((of(value)?, of(value)?))).collect::<Option<_>>()?,
            Test::Less(value) => below(kind, of(value)?).map(|high| (ALL.0, high)).into_iter().collect(),
            Test::LessOrEqual(value) => vec![(ALL.0, widest(kind, of(value)?).1)],
            Test::Greater(value) => above(kind, of(value)?).map(|low| (low, ALL.1)).into_iter().collect(),
            Test::GreaterOrEqual(value) => vec![(widest(kind, of(value)?).0, ALL.1)],
            Test::StartsWith(start) if matches!(kind, Kind::String | Kind::Id) && !start.is_empty() => {
                vec![prefix_range(start)]
            }
            // What has a code is not null.
            Test::IsNull(false) => vec![ALL],
            // Null has no code, and the others no order.
            _ => {
                spans.exact = false;
                continue;
            }
        };
        narrows = true;
        spans.ranges = both(&spans.ranges, &ranges);
    }
    narrows.then_some(spans)
}

/// The codes that a text's order can be told by: its hash has none.
fn widest(kind: &Kind, code: Code) -> (Code, Code) {
    match kind {
        Kind::String | Kind::Id => ([code[0], code[1], 0], [code[0], code[1], u32::MAX]),
        _ => (code, code),
    }
}

/// The greatest code of a smaller value; where a code does not say all, that may be the value's own.
fn below(kind: &Kind, code: Code) -> Option<Code> {
    match (is_exact(kind), is_narrow(kind)) {
        (false, _) => Some(widest(kind, code).1),
        (true, true) => code[0].checked_sub(1).map(|before| [before, u32::MAX, u32::MAX]),
        (true, false) => number(code).checked_sub(1).map(wide),
    }
}

fn above(kind: &Kind, code: Code) -> Option<Code> {
    match (is_exact(kind), is_narrow(kind)) {
        (false, _) => Some(widest(kind, code).0),
        (true, true) => code[0].checked_add(1).map(|after| [after, 0, 0]),
        (true, false) => number(code).checked_add(1).map(wide),
    }
}

fn is_narrow(kind: &Kind) -> bool {
    matches!(kind, Kind::Boolean | Kind::Int | Kind::Date | Kind::Enum(_))
}

fn number(code: Code) -> u64 {
    u64::from(code[0]) << 32 | u64::from(code[1])
}

/// What lies in a range of both. A range whose end lies before its start holds nothing.
fn both(a: &[(Code, Code)], b: &[(Code, Code)]) -> Vec<(Code, Code)> {
    let mut ranges: Vec<(Code, Code)> = Vec::new();
    for (low, high) in a {
        ranges.extend(b.iter().map(|(other_low, other_high)| ((*low).max(*other_low), (*high).min(*other_high))));
    }
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

/// The spans of a filter on an amount of money: of use where the currency is named.
pub fn of_money(currency: &[Test], minor: &[Test]) -> Option<Spans> {
    let named: Vec<[u8; 3]> = currency.iter().find_map(|test| match test {
        Test::Equal(value) => Some(codes(std::slice::from_ref(value))),
        Test::In(values) => Some(codes(values)),
        _ => None,
    })?;
    const MOST: i64 = (1 << 53) - 1;
    let (mut low, mut high) = (-MOST, MOST);
    for test in minor {
        match test {
            Test::Equal(Value::Int(value)) => (low, high) = (low.max(*value), high.min(*value)),
            Test::Less(Value::Int(value)) | Test::LessOrEqual(Value::Int(value)) => high = high.min(*value),
            Test::Greater(Value::Int(value)) | Test::GreaterOrEqual(Value::Int(value)) => low = low.max(*value),
            _ => {}
        }
    }
    let range = |currency: [u8; 3]| {
        let code = |minor: i64| code_of(&Kind::Money, Cell::Money(Money { minor, currency }));
        (low <= high).then(|| code(low).zip(code(high))).flatten()
    };
    let mut ranges: Vec<(Code, Code)> = named.into_iter().filter_map(range).collect();
    // Whoever walks them takes them to be ascending and apart; a currency may be named twice, and in any order.
    ranges.sort_unstable();
    ranges.dedup();
    Some(Spans { ranges, exact: false })
}

/// The currencies among some texts; what is none has no amounts.
fn codes(values: &[Value]) -> Vec<[u8; 3]> {
    let code = |value: &Value| match value {
        Value::String(text) if text.bytes().all(|letter| letter.is_ascii_uppercase()) => {
            text.as_bytes().try_into().ok()
        }
        _ => None,
    };
    values.iter().filter_map(code).collect()
}

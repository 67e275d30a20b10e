//! `@derive` and `@check` against the `cel` crate's own interpreter, on random expressions of the right types.

use std::sync::Arc;

use cel::{Context, Program, Value as CelValue};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use staygraph::ids::{EntityId, FieldId, Id};
use staygraph::model::cell::Cell;
use staygraph::model::value::{Date, LONG_MAX, Value};
use staygraph::model::{Model, Operands};

const CASES: u32 = 800;

/// The fields that rules read, two of each type.
const FIELDS: [(&str, &str); 10] = [
    ("a", "Long"),
    ("b", "Long"),
    ("x", "Float"),
    ("y", "Float"),
    ("p", "Boolean"),
    ("q", "Boolean"),
    ("s", "String"),
    ("t", "String"),
    ("d", "Date"),
    ("e", "Date"),
];

struct Row(Vec<Value>);

impl Operands for Row {
    fn value(&self, field: FieldId) -> Cell<'_> {
        self.0.get(field.index()).map_or(Cell::Null, Value::cell)
    }
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    let long = || {
        let number = prop_oneof![4 => -3i64..4, 1 => Just(LONG_MAX), 1 => Just(-LONG_MAX)];
        number.prop_map(Value::Int)
    };
    let float = || (-6i32..7).prop_map(|halves| Value::Float(f64::from(halves) / 2.0));
    let truth = || any::<bool>().prop_map(Value::Boolean);
    let text =
        || prop_oneof![Just("é"), Just("a"), Just("b"), Just("")].prop_map(|text| Value::String(Arc::from(text)));
    let date = || (19_000i32..19_005).prop_map(|day| Value::Date(Date(day)));
    let fields = (long(), long(), float(), float(), truth(), truth(), text(), text(), date(), date());
    fields.prop_map(|(a, b, x, y, p, q, s, t, d, e)| vec![a, b, x, y, p, q, s, t, d, e])
}

fn binary(
    operand: impl Strategy<Value = String> + Clone + 'static,
    operators: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let operator = proptest::sample::select(operators);
    (operand.clone(), operator, operand).prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
}

fn integer() -> BoxedStrategy<String> {
    let days = prop_oneof![Just("days(d, e)"), Just("days(e, d)")].prop_map(str::to_owned);
    let leaf =
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), (0i64..4).prop_map(|number| number.to_string()), days];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let negated = inner.clone().prop_map(|term| format!("-({term})"));
        prop_oneof![4 => binary(inner, &["+", "-", "*", "/", "%"]), 1 => negated]
    })
    .boxed()
}

/// Without a division by what may be zero: CEL gives NaN an answer, and the contract gives it none.
fn float() -> BoxedStrategy<String> {
    let constant = (0i32..5).prop_map(|number| format!("{number}.5"));
    let leaf = prop_oneof![Just("x".to_owned()), Just("y".to_owned()), constant];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let negated = inner.clone().prop_map(|term| format!("-({term})"));
        let divided = inner.clone().prop_map(|term| format!("({term} / 2.5)"));
        prop_oneof![4 => binary(inner, &["+", "-", "*"]), 1 => negated, 1 => divided]
    })
    .boxed()
}

/// A condition and the comparisons in it.
fn condition() -> BoxedStrategy<(String, Vec<String>)> {
    const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
    let text = prop_oneof![Just("s"), Just("t"), Just("'a'"), Just("''")].prop_map(str::to_owned);
    let date = prop_oneof![Just("d"), Just("e")].prop_map(str::to_owned);
    let leaf = prop_oneof![
        2 => proptest::sample::select(&["p", "q", "true", "false"][..]).prop_map(str::to_owned),
        3 => binary(integer(), COMPARISONS),
        3 => binary(float(), COMPARISONS),
        1 => binary(text, COMPARISONS),
        1 => binary(date, COMPARISONS),
    ];
    let leaf = leaf.prop_map(|text| (text.clone(), vec![text]));
    leaf.prop_recursive(3, 12, 2, |inner| {
        let operator = proptest::sample::select(&["&&", "||", "&&", "||", "==", "!="][..]);
        let joined =
            (inner.clone(), operator, inner.clone()).prop_map(|((left, mut parts), operator, (right, more))| {
                parts.extend(more);
                (format!("({left} {operator} {right})"), parts)
            });
        let not = inner.prop_map(|(text, parts)| (format!("!({text})"), parts));
        prop_oneof![5 => joined, 1 => not]
    })
    .boxed()
}

/// The model that has the rule, as its last field and, where it is a condition over fields, as a check.
fn model(rule: &str, result: &str, check: bool) -> Model {
    let check = if check { format!("@check(rule: \"{rule}\")") } else { String::new() };
    let fields: String = FIELDS.iter().map(|(name, kind)| format!("{name}: {kind}\n")).collect();
    let text = format!(
        "type Thing @entity(domain: \"things\", event: \"thing\") {check} {{\n{fields} result: {result} @derive(rule: \"{rule}\")\n}}"
    );
    Model::parse(&text, "rules.graphql").unwrap_or_else(|faults| panic!("{rule}: {faults:?}"))
}

/// What `cel` makes of it; `None` for overflow and division by zero.
fn by_cel(rule: &str, row: &[Value]) -> Option<CelValue> {
    let mut context = Context::default();
    context.add_function("days", |from: i64, to: i64| to - from).expect("a new function");
    for ((name, _), value) in FIELDS.iter().zip(row) {
        let value = match value {
            Value::Int(number) => CelValue::Int(*number),
            Value::Float(number) => CelValue::Float(*number),
            Value::Boolean(truth) => CelValue::Bool(*truth),
            Value::String(text) => CelValue::String(Arc::new(text.to_string())),
            Value::Date(date) => CelValue::Int(i64::from(date.0)),
            other => panic!("no operand is {other:?}"),
        };
        context.add_variable_from_value(*name, value);
    }
    Program::compile(rule).expect("a rule is CEL").execute(&context).ok()
}

fn same(ours: Option<&Value>, cels: Option<&CelValue>) -> bool {
    match (ours, cels) {
        (None, None) => true,
        (Some(Value::Int(a)), Some(CelValue::Int(b))) => a == b,
        (Some(Value::Float(a)), Some(CelValue::Float(b))) => a == b,
        (Some(Value::Boolean(a)), Some(CelValue::Bool(b))) => a == b,
        _ => false,
    }
}

/// `parts` are the comparisons of a condition. CEL lets the one side of `&&` and `||` outweigh that the other has no result
/// (`1 / 0 == 1 || true` is true); here what is read first decides. Only there may a rule have no value where `cel` has one.
fn agree(rule: &str, parts: &[String], result: &str, row: &[Value]) -> Result<(), TestCaseError> {
    let outside_quotes = rule.split('\'').step_by(2);
    let mut words = outside_quotes.flat_map(|part| part.split(|letter: char| !letter.is_ascii_alphanumeric()));
    // A rule that reads no field is refused with the model.
    prop_assume!(words.any(|word| FIELDS.iter().any(|(name, _)| *name == word)));
    let parsed = model(rule, result, false);
    let derived =
        parsed.entities[EntityId(0)].fields[FieldId::of(FIELDS.len())].derived.as_ref().expect("it is derived");
    let operands = Row(row.to_vec());
    let (ours, cels) = (derived.evaluate(&operands).map(Cell::to_value), by_cel(rule, row));
    let outweighed = ours.is_none() && parts.iter().any(|part| by_cel(part, row).is_none());
    prop_assert!(same(ours.as_ref(), cels.as_ref()) || outweighed, "{}: {:?}, and cel says {:?}", rule, ours, cels);
    // "Where an operand is null or absent, a check is not judged and a derived value is null."
    for field in &derived.fields {
        let mut row = row.to_vec();
        row[field.index()] = Value::Null;
        let row = Row(row);
        prop_assert_eq!(derived.evaluate(&row), None, "{} without {}", rule, FIELDS[field.index()].0);
    }
    if result == "Boolean" && !derived.fields.is_empty() {
        let checked = model(rule, result, true);
        let holds = checked.entities[EntityId(0)].checks[0].rule.holds(&Row(row.to_vec()));
        prop_assert_eq!(holds.map(Value::Boolean), ours);
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn integers_agree_with_cel(rule in integer(), row in row()) {
        agree(&rule, &[], "Long", &row)?;
    }

    #[test]
    fn floats_agree_with_cel(rule in float(), row in row()) {
        agree(&rule, &[], "Float", &row)?;
    }

    #[test]
    fn conditions_agree_with_cel((rule, parts) in condition(), row in row()) {
        agree(&rule, &parts, "Boolean", &row)?;
    }
}

//! Rules: the small part of CEL that `@check` and `@derive` take, type-checked against the model and compiled once.
//!
//! Comparisons, `&&`, `||`, `!`, arithmetic on numbers, `days(from, to)`, and the members of `Money` and `GeoPoint`. The
//! `cel` crate parses; evaluating is ours, because it checks types at start and allocates nothing per event (see
//! docs/adr/0003). Where any operand is null, the whole rule has no value.

use std::cmp::Ordering;
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Parser;

use super::cell::Cell;
use super::value::{LONG_MAX, Value};
use super::{Enumeration, Field, Kind};
use crate::ids::{By, FieldId};

/// Where a rule reads its operands: a field's current value, `Null` where there is none.
pub trait Operands {
    fn value(&self, field: FieldId) -> Cell<'_>;
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    term: Term,
    /// The fields it reads, in the order of the text, each once.
    pub fields: Vec<FieldId>,
    pub result: ResultKind,
}

/// What a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    Boolean,
    Int,
    Float,
    String,
    Date,
    DateTime,
    Enum(usize),
}

impl ResultKind {
    pub fn fits(self, kind: &Kind) -> bool {
        match self {
            ResultKind::Boolean => *kind == Kind::Boolean,
            ResultKind::Int => matches!(kind, Kind::Int | Kind::Long),
            ResultKind::Float => *kind == Kind::Float,
            ResultKind::String => matches!(kind, Kind::String | Kind::Id),
            ResultKind::Date => *kind == Kind::Date,
            ResultKind::DateTime => *kind == Kind::DateTime,
            ResultKind::Enum(index) => *kind == Kind::Enum(index),
        }
    }

    fn name(self) -> &'static str {
        match self {
            ResultKind::Boolean => "a truth value",
            ResultKind::Int => "an integer",
            ResultKind::Float => "a float",
            ResultKind::String => "a text",
            ResultKind::Date => "a date",
            ResultKind::DateTime => "an instant",
            ResultKind::Enum(_) => "an enum value",
        }
    }
}

#[derive(Debug)]
enum Term {
    Constant(Value),
    Field(FieldId),
    Member(FieldId, Member),
    Not(Box<Term>),
    Negate(Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Compare(Comparison, Box<Term>, Box<Term>),
    Arithmetic(Operator, Box<Term>, Box<Term>),
    Days(Box<Term>, Box<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Member {
    Minor,
    Currency,
    Lat,
    Lon,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Rule {
    /// Compiles `text` over an entity's fields. The error says what is wrong and what to write.
    pub fn compile(text: &str, fields: &By<FieldId, Field>, enums: &[Enumeration]) -> Result<Rule, String> {
        let parsed = Parser::new().parse(text).map_err(|errors| {
            let first = errors.errors.first().map_or_else(|| "unreadable".to_owned(), |error| error.msg.clone());
            format!("the rule `{text}` is not CEL: {}", first.lines().next().unwrap_or_default())
        })?;
        let mut compiler = Compiler { fields, enums, read: Vec::new() };
        let (term, result) = compiler.term(&parsed.expr)?;
        Ok(Rule { term, fields: compiler.read, result })
    }

    /// The rule's value, or `None` where an operand is null or the arithmetic has no result (overflow, division by zero).
    pub fn evaluate<'a>(&'a self, operands: &'a dyn Operands) -> Option<Cell<'a>> {
        if self.fields.iter().any(|field| operands.value(*field).is_null()) {
            return None;
        }
        self.term.evaluate(operands)
    }

    /// The value of a field of this kind: null where the rule has none, or one beyond the kind's range.
    pub fn derive(&self, kind: &Kind, operands: &dyn Operands) -> Value {
        match (self.evaluate(operands).unwrap_or(Cell::Null), kind) {
            (Cell::Int(number), Kind::Int) if i32::try_from(number).is_err() => Value::Null,
            (Cell::Int(number), Kind::Long) if number.unsigned_abs() > LONG_MAX as u64 => Value::Null,
            (Cell::Float(number), _) if !number.is_finite() => Value::Null,
            (cell, _) => cell.to_value(),
        }
    }

    /// Whether a check holds; `None` where it is not judged.
    pub fn holds(&self, operands: &dyn Operands) -> Option<bool> {
        match self.evaluate(operands)? {
            Cell::Boolean(holds) => Some(holds),
            _ => None,
        }
    }
}

struct Compiler<'a> {
    fields: &'a By<FieldId, Field>,
    enums: &'a [Enumeration],
    read: Vec<FieldId>,
}

impl Compiler<'_> {
    fn term(&mut self, expression: &Expr) -> Result<(Term, ResultKind), String> {
        match expression {
            Expr::Literal(literal) => constant(literal),
            Expr::Ident(name) => self.field(name),
            Expr::Select(select) if !select.test => match &select.operand.expr {
                Expr::Ident(name) => self.member(name, &select.field),
                _ => Err("only a field's own member can be read, as in `total.minor`".into()),
            },
            Expr::Call(call) if call.target.is_none() => {
                let arguments: Vec<&Expr> = call.args.iter().map(|argument| &argument.expr).collect();
                self.call(&call.func_name, &arguments)
            }
            _ => Err(SUBSET.into()),
        }
    }

    fn field_named(&mut self, name: &str) -> Result<FieldId, String> {
        let field = self.fields.find(|field| field.name == name).ok_or_else(|| {
            let near = super::nearest(name, self.fields.iter().map(|field| field.name.as_str()));
            format!("the rule reads `{name}`, which is no field of this type{near}")
        })?;
        if !self.read.contains(&field) {
            self.read.push(field);
        }
        Ok(field)
    }

    fn field(&mut self, name: &str) -> Result<(Term, ResultKind), String> {
        let field = self.field_named(name)?;
        let kind = match &self.fields[field].kind {
            Kind::Boolean => ResultKind::Boolean,
            Kind::Int | Kind::Long => ResultKind::Int,
            Kind::Float => ResultKind::Float,
            Kind::String | Kind::Id => ResultKind::String,
            Kind::Date => ResultKind::Date,
            Kind::DateTime => ResultKind::DateTime,
            Kind::Enum(index) => ResultKind::Enum(*index),
            Kind::Money => return Err(format!("`{name}` is Money: write `{name}.minor` or `{name}.currency`")),
            Kind::GeoPoint => return Err(format!("`{name}` is a GeoPoint: write `{name}.lat` or `{name}.lon`")),
            Kind::Json | Kind::Link(_) | Kind::List(_) => {
                return Err(format!("`{name}` cannot be read by a rule: only scalars and enums can"));
            }
        };
        Ok((Term::Field(field), kind))
    }

    fn member(&mut self, name: &str, member: &str) -> Result<(Term, ResultKind), String> {
        let field = self.field_named(name)?;
        let (member, kind) = match (&self.fields[field].kind, member) {
            (Kind::Money, "minor") => (Member::Minor, ResultKind::Int),
            (Kind::Money, "currency") => (Member::Currency, ResultKind::String),
            (Kind::GeoPoint, "lat") => (Member::Lat, ResultKind::Float),
            (Kind::GeoPoint, "lon") => (Member::Lon, ResultKind::Float),
            _ => return Err(format!("`{name}` has no member `{member}`")),
        };
        Ok((Term::Member(field, member), kind))
    }

    fn call(&mut self, function: &str, arguments: &[&Expr]) -> Result<(Term, ResultKind), String> {
        use ResultKind::{Boolean, Date, Float, Int};
        let comparison = match function {
            "_==_" => Some(Comparison::Equal),
            "_!=_" => Some(Comparison::NotEqual),
            "_<_" => Some(Comparison::Less),
            "_<=_" => Some(Comparison::LessOrEqual),
            "_>_" => Some(Comparison::Greater),
            "_>=_" => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        let operator = match function {
            "_+_" => Some(Operator::Add),
            "_-_" => Some(Operator::Subtract),
            "_*_" => Some(Operator::Multiply),
            "_/_" => Some(Operator::Divide),
            "_%_" => Some(Operator::Remainder),
            _ => None,
        };
        match (function, arguments) {
            (_, [left, right]) if comparison.is_some() => {
                let (left, right) = self.compared(left, right)?;
                let comparison = comparison.unwrap_or(Comparison::Equal);
                Ok((Term::Compare(comparison, Box::new(left), Box::new(right)), Boolean))
            }
            (_, [left, right]) if operator.is_some() => {
                let operator = operator.unwrap_or(Operator::Add);
                let ((left, kind), (right, right_kind)) = (self.term(left)?, self.term(right)?);
                if kind != right_kind || !(kind == Int || kind == Float && operator != Operator::Remainder) {
                    let (a, b) = (kind.name(), right_kind.name());
                    return Err(format!("arithmetic takes two integers or two floats, not {a} and {b}"));
                }
                Ok((Term::Arithmetic(operator, Box::new(left), Box::new(right)), kind))
            }
            ("_&&_" | "_||_", _) if arguments.len() >= 2 => {
                let mut terms =
                    arguments.iter().map(|argument| self.expect(argument, Boolean)).collect::<Result<Vec<_>, _>>()?;
                let first = terms.remove(0);
                let joined = terms.into_iter().fold(first, |left, right| match function {
                    "_&&_" => Term::And(Box::new(left), Box::new(right)),
                    _ => Term::Or(Box::new(left), Box::new(right)),
                });
                Ok((joined, Boolean))
            }
            ("!_", [operand]) => Ok((Term::Not(Box::new(self.expect(operand, Boolean)?)), Boolean)),
            ("-_", [operand]) => {
                let (term, kind) = self.term(operand)?;
                if kind != Int && kind != Float {
                    return Err(format!("`-` takes a number, not {}", kind.name()));
                }
                Ok((Term::Negate(Box::new(term)), kind))
            }
            ("days", [from, to]) => {
                Ok((Term::Days(Box::new(self.expect(from, Date)?), Box::new(self.expect(to, Date)?)), Int))
            }
            ("days", _) => Err("`days` takes two dates: write `days(from, to)`".into()),
            _ if function.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                Err(format!("`{function}` is no function of a rule: there is only `days(from, to)`"))
            }
            _ => Err(SUBSET.into()),
        }
    }

    fn expect(&mut self, expression: &Expr, expected: ResultKind) -> Result<Term, String> {
        let (term, kind) = self.term(expression)?;
        if kind != expected {
            return Err(format!("{} is wanted here, not {}", expected.name(), kind.name()));
        }
        Ok(term)
    }

    /// Both sides of a comparison. A text beside an enum is one of its values.
    fn compared(&mut self, left: &Expr, right: &Expr) -> Result<(Term, Term), String> {
        let ((left, left_kind), (right, right_kind)) = (self.term(left)?, self.term(right)?);
        match (left_kind, right_kind) {
            (a, b) if a == b => Ok((left, right)),
            (ResultKind::Enum(index), ResultKind::String) => Ok((left, self.enum_value(index, right)?)),
            (ResultKind::String, ResultKind::Enum(index)) => Ok((self.enum_value(index, left)?, right)),
            (a, b) => Err(format!("{} is compared with {}: both sides must be of one type", a.name(), b.name())),
        }
    }

    fn enum_value(&self, index: usize, term: Term) -> Result<Term, String> {
        let enumeration = &self.enums[index];
        let Term::Constant(Value::String(text)) = term else {
            return Err(format!(
                "a value of {} is compared with a text that is not one of its names",
                enumeration.name
            ));
        };
        enumeration.position(&text).map(|value| Term::Constant(Value::Enum(value))).ok_or_else(|| {
            let near = super::nearest(&text, enumeration.values.iter().map(|value| value.name.as_str()));
            format!("`{text}` is no value of {}{near}", enumeration.name)
        })
    }
}

const SUBSET: &str =
    "a rule is made of comparisons, `&&`, `||`, `!`, arithmetic and `days(from, to)` over this type's fields";

fn constant(literal: &LiteralValue) -> Result<(Term, ResultKind), String> {
    let (value, kind) = match literal {
        LiteralValue::Boolean(value) => (Value::Boolean(*value.inner()), ResultKind::Boolean),
        LiteralValue::Int(value) => (Value::Int(*value.inner()), ResultKind::Int),
        LiteralValue::Double(value) => (Value::Float(*value.inner()), ResultKind::Float),
        LiteralValue::String(value) => (Value::String(Arc::from(value.inner())), ResultKind::String),
        _ => return Err("a rule's constants are integers, floats, texts, true and false".into()),
    };
    Ok((Term::Constant(value), kind))
}

impl Term {
    fn evaluate<'a>(&'a self, operands: &'a dyn Operands) -> Option<Cell<'a>> {
        Some(match self {
            Term::Constant(value) => value.cell(),
            Term::Field(field) => match operands.value(*field) {
                Cell::Null => return None,
                value => value,
            },
            Term::Member(field, member) => match (operands.value(*field), member) {
                (Cell::Money(money), Member::Minor) => Cell::Int(money.minor),
                (Cell::Money(money), Member::Currency) => Cell::Currency(money.currency),
                (Cell::GeoPoint(point), Member::Lat) => Cell::Float(point.lat),
                (Cell::GeoPoint(point), Member::Lon) => Cell::Float(point.lon),
                _ => return None,
            },
            Term::Not(term) => Cell::Boolean(!truth(term.evaluate(operands)?)?),
            Term::And(left, right) => {
                Cell::Boolean(truth(left.evaluate(operands)?)? && truth(right.evaluate(operands)?)?)
            }
            Term::Or(left, right) => {
                Cell::Boolean(truth(left.evaluate(operands)?)? || truth(right.evaluate(operands)?)?)
            }
            Term::Negate(term) => match term.evaluate(operands)? {
                Cell::Int(number) => Cell::Int(number.checked_neg()?),
                Cell::Float(number) => Cell::Float(-number),
                _ => return None,
            },
            Term::Compare(comparison, left, right) => {
                let ordering = left.evaluate(operands)?.compare(right.evaluate(operands)?)?;
                Cell::Boolean(match comparison {
                    Comparison::Equal => ordering == Ordering::Equal,
                    Comparison::NotEqual => ordering != Ordering::Equal,
                    Comparison::Less => ordering == Ordering::Less,
                    Comparison::LessOrEqual => ordering != Ordering::Greater,
                    Comparison::Greater => ordering == Ordering::Greater,
                    Comparison::GreaterOrEqual => ordering != Ordering::Less,
                })
            }
            Term::Arithmetic(operator, left, right) => match (left.evaluate(operands)?, right.evaluate(operands)?) {
                (Cell::Int(a), Cell::Int(b)) => Cell::Int(match operator {
                    Operator::Add => a.checked_add(b)?,
                    Operator::Subtract => a.checked_sub(b)?,
                    Operator::Multiply => a.checked_mul(b)?,
                    Operator::Divide => a.checked_div(b)?,
                    Operator::Remainder => a.checked_rem(b)?,
                }),
                (Cell::Float(a), Cell::Float(b)) => Cell::Float(match operator {
                    Operator::Add => a + b,
                    Operator::Subtract => a - b,
                    Operator::Multiply => a * b,
                    Operator::Divide => a / b,
                    Operator::Remainder => return None,
                }),
                _ => return None,
            },
            Term::Days(from, to) => match (from.evaluate(operands)?, to.evaluate(operands)?) {
                (Cell::Date(from), Cell::Date(to)) => Cell::Int(i64::from(to.0) - i64::from(from.0)),
                _ => return None,
            },
        })
    }
}

fn truth(value: Cell<'_>) -> Option<bool> {
    match value {
        Cell::Boolean(truth) => Some(truth),
        _ => None,
    }
}

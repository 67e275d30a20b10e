//! What a program may take of a machine: steps, stack, and the size of its values. jaq has no such limits, so a program is changed
//! before it is compiled, and asks for them itself: where a definition is called, a fold goes on, a range counts, two values are
//! put together. The limits are the same wherever it runs, and so is what is refused.

use std::cell::Cell;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::native::{Fun, bome, v};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use jaq_core::{Cv, DataT, Error, Exn, Lut, Native, ValX};
use jaq_json::{Num, Val};

use super::regex::{self, Expressions};

/// Calls, rounds of a fold and numbers of a range for one row.
const STEPS_MAX: u64 = 250_000;
/// The stack that a program runs on, mapped for it and touched as far as it needs. A program that hands closures on may hold one in
/// another as often as it takes steps, and dropping them recurses: some hundred bytes each.
pub const STACK_BYTES: usize = 256 << 20;
/// What of that a recursion may take.
const RECURSION_BYTES_MAX: usize = 32 << 20;
/// Parts and bytes of one value, a part counting as 16 bytes: as much as a record may have in JSON, and some.
const VALUE_BYTES_MAX: usize = 16 << 20;
/// How deep a value may be nested.
const DEPTH_MAX: usize = 512;
/// Calls between two looks at a large value, which may double each time.
const LOOKS_SPARED_MAX: u64 = 4;
/// What a step costs that looks at so many parts.
const PARTS_A_STEP: usize = 64;

/// What programs run on.
pub struct Data;

impl DataT for Data {
    type V<'a> = Val;
    type Data<'a> = &'a Run<'a>;
}

/// One run of a program, and what it has taken.
pub struct Run<'a> {
    lut: &'a Lut<Data>,
    pub expressions: &'a Expressions,
    /// Where the stack stood when it began.
    base: usize,
    steps: Cell<u64>,
    /// Calls until a value is looked at again.
    spared: Cell<u64>,
    exceeded: Cell<Option<&'static str>>,
}

impl<'a> jaq_core::data::HasLut<'a, Data> for &'a Run<'a> {
    fn lut(&self) -> &'a Lut<Data> {
        self.lut
    }
}

impl<'a> Run<'a> {
    pub fn new(lut: &'a Lut<Data>, expressions: &'a Expressions) -> Run<'a> {
        let (steps, spared, exceeded) = (Cell::new(0), Cell::new(0), Cell::new(None));
        Run { lut, expressions, base: stack(), steps, spared, exceeded }
    }

    /// Which limit was exceeded, whatever the program made of it.
    pub fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get()
    }

    fn exceed(&self, what: &'static str) -> Error<Val> {
        let what = self.exceeded.get().unwrap_or(what);
        self.exceeded.set(Some(what));
        Error::str(what)
    }

    /// Takes some steps. Once a limit is exceeded each fails, so that a program which catches errors ends too.
    fn step(&self, steps: u64) -> Result<(), Error<Val>> {
        self.steps.set(self.steps.get().saturating_add(steps));
        if self.exceeded.get().is_some() || self.steps.get() > STEPS_MAX {
            return Err(self.exceed("it takes more than 250,000 steps on this row: does it end?"));
        }
        if self.base.abs_diff(stack()) > RECURSION_BYTES_MAX {
            return Err(self.exceed("it recurses too deep on this row: does it end?"));
        }
        Ok(())
    }

    /// Looks at what a program gives.
    pub fn give(&self, value: &Val) -> Result<(), Error<Val>> {
        self.spared.set(0);
        self.step_with(value)
    }

    /// Takes a step with a value in hand, and looks at it now and then.
    fn step_with(&self, value: &Val) -> Result<(), Error<Val>> {
        self.step(1)?;
        let spared = self.spared.get();
        if spared > 0 {
            self.spared.set(spared - 1);
            return Ok(());
        }
        let (mut bytes, mut parts) = (0, 0);
        if !weigh(value, 0, &mut bytes, &mut parts) {
            return Err(self.too_large());
        }
        self.spared.set(LOOKS_SPARED_MAX.min(parts as u64 / 8));
        self.step((parts / PARTS_A_STEP) as u64)
    }

    fn too_large(&self) -> Error<Val> {
        self.exceed("it makes a value on this row that is larger than 16 MiB, or nested more than 512 deep")
    }

    /// Puts two values together, unless that is too much.
    fn calculate(&self, operation: Math, left: Val, right: Val) -> Result<Val, Error<Val>> {
        self.step(1)?;
        let fits = match (operation, &left, &right) {
            (Math::Mul, Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Math::Mul, Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let times = times.as_isize().map_or_else(|| float(times), |times| times as f64);
                times.is_nan() || times * text.len() as f64 <= VALUE_BYTES_MAX as f64
            }
            // The digits of a product are as many as those of both.
            (Math::Mul | Math::Add | Math::Sub, Val::Num(a), Val::Num(b)) => digits(a) + digits(b) <= VALUE_BYTES_MAX,
            (Math::Add, a, b) => size(a) + size(b) <= VALUE_BYTES_MAX,
            _ => true,
        };
        if fits { operation.run(left, right) } else { Err(self.too_large()) }
    }
}

#[inline(never)]
fn stack() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

fn float(number: &Num) -> f64 {
    match number {
        Num::Float(number) => *number,
        other => other.to_string().parse().unwrap_or(f64::INFINITY),
    }
}

fn digits(number: &Num) -> usize {
    match number {
        Num::BigInt(number) => number.bits() as usize / 3,
        Num::Dec(text) => text.len(),
        Num::Int(_) | Num::Float(_) => 20,
    }
}

/// A value's size without that of what it holds.
fn size(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(items) => items.len() * 16,
        Val::Obj(members) => members.len() * 32,
        _ => 16,
    }
}

/// Adds up a value with all that it holds; false where it is too much.
fn weigh(value: &Val, depth: usize, bytes: &mut usize, parts: &mut usize) -> bool {
    *bytes += size(value).max(16);
    *parts += 1;
    if *bytes > VALUE_BYTES_MAX || depth > DEPTH_MAX {
        return false;
    }
    match value {
        Val::Arr(items) => items.iter().all(|item| weigh(item, depth + 1, bytes, parts)),
        Val::Obj(members) => members.values().all(|member| weigh(member, depth + 1, bytes, parts)),
        Val::Num(number) => {
            *bytes += digits(number);
            true
        }
        _ => true,
    }
}

// No program can write such names.
const STEP: &str = "!step";
const IS_NULL: &str = "!is_null";
const LEFT: &str = "$!left";

fn name_of(operation: Math) -> &'static str {
    match operation {
        Math::Add => "!add",
        Math::Sub => "!subtract",
        Math::Mul => "!multiply",
        Math::Div => "!divide",
        Math::Rem => "!remainder",
    }
}

/// What changed programs call.
pub fn functions() -> impl Iterator<Item = Fun<Data>> {
    let step = Native::<Data>::new(|cv: Cv<'_, Data>| {
        let step = cv.0.data().step_with(&cv.1);
        bome(step.map(|()| cv.1))
    });
    let step = step.with_paths(|cv| match cv.0.data().step_with(&cv.1.0) {
        Ok(()) => Box::new(std::iter::once(Ok(cv.1))),
        Err(error) => Box::new(std::iter::once(Err(Exn::from(error)))),
    });
    let step = step.with_update(|cv, update| match cv.0.data().step_with(&cv.1) {
        Ok(()) => update(cv.1),
        Err(error) => Box::new(std::iter::once(Err(Exn::from(error)))),
    });
    macro_rules! operation {
        ($operation:expr) => {
            (
                name_of($operation),
                v(2),
                Native::new(|mut cv| {
                    let right = cv.0.pop_var();
                    let left = cv.0.pop_var();
                    bome(cv.0.data().calculate($operation, left, right))
                }),
            )
        };
    }
    let all: [Fun<Data>; 8] = [
        (STEP, v(0), step),
        (IS_NULL, v(0), Native::new(|cv| bome(Ok(Val::Bool(matches!(cv.1, Val::Null)))))),
        operation!(Math::Add),
        operation!(Math::Sub),
        operation!(Math::Mul),
        operation!(Math::Div),
        operation!(Math::Rem),
        (
            "range",
            v(3),
            Native::new(|mut cv| {
                let by = cv.0.pop_var();
                let to = cv.0.pop_var();
                let from = cv.0.pop_var();
                Box::new(range(cv.0.data(), from, to, by))
            }),
        ),
    ];
    all.into_iter()
}

/// jq's `range/3`: the numbers from one to another, the last left out.
fn range<'a>(run: &'a Run<'a>, from: Val, to: Val, by: Val) -> impl Iterator<Item = ValX<'a, Val>> {
    let (up, down) = (by > Val::from(0usize), by < Val::from(0usize));
    let mut next = Some(from);
    std::iter::from_fn(move || {
        let now = next.take()?;
        let goes_on = if up {
            now < to
        } else if down {
            now > to
        } else {
            now != to
        };
        if !goes_on {
            return None;
        }
        if let Err(error) = run.step(1) {
            return Some(Err(Exn::from(error)));
        }
        match now.clone() + by.clone() {
            Ok(after) => next = Some(after),
            Err(error) => return Some(Err(Exn::from(error))),
        }
        Some(Ok(now))
    })
}

/// Where names are kept that a change makes up.
pub type Names = jaq_core::load::Arena;

/// Changes programs.
pub struct Bounder<'s> {
    names: &'s Names,
    made: Cell<usize>,
    /// What is wrong with the regular expressions that stand in the program, by the part that is wrong.
    pub faults: std::cell::RefCell<Vec<(&'s str, String)>>,
}

impl<'s> Bounder<'s> {
    pub fn new(names: &'s Names) -> Bounder<'s> {
        Bounder { names, made: Cell::new(0), faults: std::cell::RefCell::default() }
    }

    pub fn definition(&self, definition: Def<&'s str>) -> Def<&'s str> {
        let Def { name, args, body } = definition;
        Def { name, args, body: pipe(call(STEP, Vec::new()), self.term(body)) }
    }

    fn boxed(&self, term: Term<&'s str>) -> Box<Term<&'s str>> {
        Box::new(self.term(term))
    }

    pub fn term(&self, term: Term<&'s str>) -> Term<&'s str> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
            Term::Str(format, parts) => {
                let part = |part| match part {
                    StrPart::Term(term) => StrPart::Term(self.term(term)),
                    part => part,
                };
                Term::Str(format, parts.into_iter().map(part).collect())
            }
            Term::Arr(items) => Term::Arr(items.map(|items| self.boxed(*items))),
            Term::Obj(members) => {
                let member = |(name, value): (Term<_>, Option<Term<_>>)| match (name, value) {
                    // `{$x}` and `{a}` are read by the looks of their names.
                    (name, None) => (name, None),
                    (name, Some(value)) => (self.term(name), Some(self.term(value))),
                };
                Term::Obj(members.into_iter().map(member).collect())
            }
            Term::Neg(term) => Term::Neg(self.boxed(*term)),
            Term::BinOp(left, BinaryOp::Math(operation), right) => {
                call(name_of(operation), vec![self.term(*left), self.term(*right)])
            }
            // `l += r` is `r as $x | l |= . + $x`.
            Term::BinOp(left, BinaryOp::UpdateMath(operation), right) => {
                let combined = call(name_of(operation), vec![Term::Id, Term::Var(LEFT)]);
                let update = Term::BinOp(self.boxed(*left), BinaryOp::Update, Box::new(combined));
                bind(self.term(*right), LEFT, update)
            }
            Term::BinOp(left, operation, right) => {
                let operation = match operation {
                    BinaryOp::Pipe(pattern) => BinaryOp::Pipe(pattern.map(|pattern| self.pattern(pattern))),
                    operation => operation,
                };
                Term::BinOp(self.boxed(*left), operation, self.boxed(*right))
            }
            Term::Label(name, term) => Term::Label(name, self.boxed(*term)),
            Term::Fold(name, from, pattern, parts) => {
                let part = |(index, part)| match index {
                    // What a round gives is looked at.
                    1 => pipe(self.term(part), call(STEP, Vec::new())),
                    _ => self.term(part),
                };
                let parts = parts.into_iter().enumerate().map(part).collect();
                Term::Fold(name, self.boxed(*from), self.pattern(pattern), parts)
            }
            Term::TryCatch(tried, caught) => {
                Term::TryCatch(self.boxed(*tried), caught.map(|caught| self.boxed(*caught)))
            }
            Term::IfThenElse(cases, other) => {
                let cases = cases.into_iter().map(|(when, then)| (self.term(when), self.term(then)));
                Term::IfThenElse(cases.collect(), other.map(|other| self.boxed(*other)))
            }
            Term::Def(definitions, term) => {
                let definitions = definitions.into_iter().map(|definition| self.definition(definition));
                Term::Def(definitions.collect(), self.boxed(*term))
            }
            Term::Call(name, arguments) => {
                if let Err(fault) = regex::check(name, &arguments) {
                    self.faults.borrow_mut().push(fault);
                }
                Term::Call(name, arguments.into_iter().map(|argument| self.term(argument)).collect())
            }
            Term::Path(term, path) => self.path(self.term(*term), path),
        }
    }

    fn pattern(&self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(|item| self.pattern(item)).collect()),
            Pattern::Obj(members) => {
                let member = |(name, item)| (self.term(name), self.pattern(item));
                Pattern::Obj(members.into_iter().map(member).collect())
            }
        }
    }

    /// A path. A slice of null is null, as in jq: `x[a:b]` is `a as $a | b as $b | x | if . == null then . else .[$a:$b] end`.
    fn path(&self, start: Term<&'s str>, path: Path<Term<&'s str>>) -> Term<&'s str> {
        let mut bound = Vec::new();
        let mut bind_end = |end: Option<Term<&'s str>>| {
            end.map(|end| {
                let name: &'s str = self.names.alloc(format!("$!end{}", self.made.replace(self.made.get() + 1)));
                bound.push((self.term(end), name));
                Term::Var(name)
            })
        };
        let (mut whole, mut parts) = (start, Vec::new());
        for (part, optional) in path.0 {
            match part {
                Part::Index(index) => parts.push((Part::Index(self.term(index)), optional)),
                Part::Range(None, None) => parts.push((Part::Range(None, None), optional)),
                Part::Range(from, to) => {
                    let slice = Part::Range(bind_end(from), bind_end(to));
                    let slice = Term::Path(Box::new(Term::Id), Path(vec![(slice, optional)]));
                    let before = followed(whole, std::mem::take(&mut parts));
                    let case = (call(IS_NULL, Vec::new()), Term::Id);
                    whole = pipe(before, Term::IfThenElse(vec![case], Some(Box::new(slice))));
                }
            }
        }
        let whole = followed(whole, parts);
        bound.into_iter().rev().fold(whole, |whole, (end, name)| bind(end, name, whole))
    }
}

fn followed<'s>(start: Term<&'s str>, parts: Vec<(Part<Term<&'s str>>, jaq_core::path::Opt)>) -> Term<&'s str> {
    if parts.is_empty() { start } else { Term::Path(Box::new(start), Path(parts)) }
}

fn call<'s>(name: &'s str, arguments: Vec<Term<&'s str>>) -> Term<&'s str> {
    Term::Call(name, arguments)
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bind<'s>(value: Term<&'s str>, name: &'s str, term: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(value), BinaryOp::Pipe(Some(Pattern::Var(name))), Box::new(term))
}

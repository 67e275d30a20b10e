//! Chooses among indexes: which hold a superset of what a filter wants, how many that is, and which of them intersect.
//!
//! A filter is taken apart into conditions that must all hold. Each may have a [`Candidates`]: slots from an index, with
//! their number known before one is read, because an index knows ranks. The fewest are walked; the others are met as
//! sets of bits where they answer their condition whole, and on the record otherwise.

use std::ops::ControlFlow;

use serde_json::{Value as Json, json};

use super::candidates::{Bits, Candidates, From, Tests};
use super::filter::{Filter, Over, passes};
use super::ranged::Ranged;
use super::spans::{self, Spans};
use super::{QueryError, Reading, Sight, Source};
use crate::graph::{Code, cover};
use crate::ids::{EntityId, FieldId, Slot};
use crate::limits::STEPS;
use crate::model::Kind;
use crate::model::value::Value;

/// Targets of a link that are looked up one by one at most.
const TARGETS_MAX: usize = 4096;
/// Targets whose sources are counted one by one at most.
const COUNTED_MAX: usize = 32;
/// Owners whose indexes are walked as one at most.
const OWNERS_MAX: usize = 8;
/// Reading a record costs about as much as putting this many slots into a set of bits.
const RECORD_COST: usize = 12;

/// What a list's filter comes to on one version.
pub struct Plan<'v, 'f> {
    entity: EntityId,
    /// The conditions that must all hold: those by which a node may be seen, then the filter's.
    pub conditions: Vec<&'f Filter>,
    /// Over what they are judged.
    over: Over,
    /// The source first, then what indexes give, fewest first.
    pub candidates: Vec<Candidates<'v>>,
    /// The link that everything in the list has, and the slots that it may name: of a reverse list, those that answer
    /// with its node; of another, the few owners of many that a condition comes to.
    link: Option<(FieldId, Vec<Slot>)>,
    /// Whether what no list holds counts too: a link may name what is deleted, or has no events of its own. Of such an
    /// entity nothing is known but its key.
    unlisted: bool,
}

/// Holds for nothing.
static NOTHING: Filter = Filter::Or(Vec::new());

impl<'v: 'f, 'f> Plan<'v, 'f> {
    /// A plan for what of a list may be seen.
    pub fn new(
        reading: &'v Reading,
        entity: EntityId,
        source: Source,
        filter: Option<&'f Filter>,
    ) -> Result<Plan<'v, 'f>, QueryError> {
        Plan::of(reading, entity, source, filter, (false, Over::Seen))
    }

    fn of(
        reading: &'v Reading,
        entity: EntityId,
        source: Source,
        filter: Option<&'f Filter>,
        (unlisted, over): (bool, Over),
    ) -> Result<Plan<'v, 'f>, QueryError> {
        // By what may be seen first: nothing that is asked is judged of what may not, so that neither time nor an error tells of it.
        let mut conditions = Vec::new();
        match reading.sight(entity) {
            _ if over == Over::Whole => {}
            Sight::All => {}
            Sight::Nothing => conditions.push(&NOTHING),
            Sight::Those(those) => conditions.extend(those),
        }
        flatten(filter, &mut conditions);
        let view = &reading.view;
        let link = match source {
            Source::Reverse { of, reverse } => {
                let field = view.model().entities[of.entity].reverses[reverse].field;
                Some((field, view.merged(of)))
            }
            Source::All if unlisted => None,
            Source::All => owners(reading, entity, &mut conditions, over)?,
        };
        let (from, count) = match &link {
            None => {
                let keys = view.keys(entity);
                (From::All(keys), keys.len())
            }
            Some((field, members)) => {
                let count = members.iter().map(|member| view.degree(entity, *field, *member)).sum();
                (From::Links { field: *field, targets: members.clone() }, count)
            }
        };
        let own = Candidates { from, count, exact: true, counted: true, condition: None, within: true };
        let candidates = if unlisted { Vec::new() } else { vec![own] };
        let mut plan = Plan { entity, conditions, over, candidates, link, unlisted };
        for condition in 0..plan.conditions.len() {
            if let Some(candidates) = plan.candidates_of(reading, condition)? {
                plan.candidates.push(candidates);
            }
        }
        plan.candidates.sort_by_key(|candidates| candidates.count);
        Ok(plan)
    }

    /// The narrowest index over a field, or over keys; and whether it holds the source's alone.
    pub fn index(&self, reading: &'v Reading, field: Option<FieldId>) -> Option<(Ranged<'v>, bool)> {
        let view = &reading.view;
        if let Some((link, members)) = &self.link
            && members.len() <= OWNERS_MAX
            && let Some(owned) = members.iter().map(|owner| view.owned(self.entity, *link, *owner, field)).collect()
        {
            return Some((Ranged::Owned(owned), true));
        }
        let index = match field {
            Some(field) => view.index(self.entity, field)?,
            None => view.keys(self.entity),
        };
        Some((Ranged::Whole(index), self.link.is_none()))
    }

    fn candidates_of(&self, reading: &'v Reading, condition: usize) -> Result<Option<Candidates<'v>>, QueryError> {
        let (view, entity) = (&reading.view, self.entity);
        let fields = &view.model().entities[entity].fields;
        let ranged = |field: FieldId, spans: Spans| {
            let (index, within) = self.index(reading, Some(field))?;
            let count = spans.ranges.iter().map(|range| index.count(*range)).sum();
            let from = From::Range { field, index, ranges: spans.ranges };
            Some(Candidates { from, count, exact: spans.exact, counted: true, condition: Some(condition), within })
        };
        let whole = self.link.is_none();
        let (filter, over) = self.conditions[condition].over(self.over);
        Ok(match filter {
            Filter::Field { field, tests } => {
                spans::of_tests(&fields[*field].kind, tests).and_then(|spans| ranged(*field, spans))
            }
            Filter::Money { field, currency, minor } => {
                spans::of_money(currency, minor).and_then(|spans| ranged(*field, spans))
            }
            Filter::Near { field, center, km } => ranged(*field, Spans { ranges: cover(*center, *km), exact: false }),
            Filter::Key(tests) => {
                let keys: Option<Vec<&str>> = tests.iter().find_map(|test| match test {
                    super::filter::Test::Equal(Value::String(key)) => Some(vec![key.as_ref()]),
                    super::filter::Test::In(keys) => Some(keys.iter().filter_map(text).collect()),
                    _ => None,
                });
                keys.map(|keys| {
                    let found = keys.into_iter().filter_map(|key| view.find_self(entity, key));
                    let mut slots: Vec<Slot> = found.map(|id| id.slot).collect();
                    slots.sort_unstable();
                    slots.dedup();
                    slots.retain(|slot| {
                        let node = view.node(entity.node(*slot));
                        node.is_listed() || self.unlisted && !node.is_alias()
                    });
                    let count = slots.len();
                    Candidates {
                        from: From::Slots(slots),
                        count,
                        exact: false,
                        counted: true,
                        condition: Some(condition),
                        within: whole,
                    }
                })
            }
            Filter::Or(parts) if parts.is_empty() => {
                let from = From::Slots(Vec::new());
                Some(Candidates {
                    from,
                    count: 0,
                    exact: true,
                    counted: true,
                    condition: Some(condition),
                    within: true,
                })
            }
            Filter::Or(parts) => self.union(reading, parts, over)?.map(|slots| {
                let count = slots.len();
                let from = From::Slots(slots);
                Candidates { from, count, exact: true, counted: true, condition: Some(condition), within: whole }
            }),
            Filter::Link { field, entity: target, filter } => targets(reading, *target, filter, over)?.map(|targets| {
                let counted = targets.len() <= COUNTED_MAX;
                let count = if counted {
                    targets.iter().map(|target| view.degree(entity, *field, *target)).sum()
                } else {
                    // As if all had about as many.
                    targets.len() * view.keys(entity).len() / view.keys(*target).len().max(1)
                };
                let from = From::Links { field: *field, targets };
                Candidates { from, count, exact: true, counted, condition: Some(condition), within: whole }
            }),
            _ => None,
        })
    }

    /// The slots that one of some conditions holds for, where indexes give few for each.
    fn union(&self, reading: &'v Reading, parts: &'f [Filter], over: Over) -> Result<Option<Vec<Slot>>, QueryError> {
        let mut branches = Vec::new();
        let mut count = 0;
        for part in parts {
            let branch = Plan::of(reading, self.entity, Source::All, Some(part), (self.unlisted, over))?;
            let Some(fewest) = branch.candidates.first() else { return Ok(None) };
            count += fewest.count;
            if count > TARGETS_MAX || matches!(fewest.from, From::All(_)) {
                return Ok(None);
            }
            branches.push(branch);
        }
        let mut slots = Vec::with_capacity(count);
        for branch in &branches {
            branch.each(reading, |slot| {
                slots.push(slot);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(Some(slots))
    }

    /// The fewest candidates: what a walk without an order starts from.
    pub fn fewest(&self) -> &Candidates<'v> {
        &self.candidates[0]
    }

    /// What each of some candidates must pass, so that what passes is the answer. `count` is how many those are.
    pub fn tests(
        &self,
        reading: &Reading,
        walked: Option<&Candidates<'v>>,
        within: bool,
        count: usize,
    ) -> Result<Tests<'f>, QueryError> {
        let mut tests = Tests { bits: Vec::new(), filters: Vec::new(), links: Vec::new(), over: self.over };
        let is_walked = |candidates: &Candidates<'v>| walked.is_some_and(|walked| std::ptr::eq(walked, candidates));
        let mut met: Vec<Option<usize>> = Vec::new();
        if let Some(walked) = walked.filter(|walked| walked.exact) {
            met.push(walked.condition);
        }
        if within {
            met.push(None);
        }
        for candidates in self.candidates.iter().filter(|candidates| candidates.exact && !is_walked(candidates)) {
            if met.contains(&candidates.condition) {
                continue;
            }
            match &candidates.from {
                // Whom a record names is soon looked up; who names them takes a walk.
                From::Links { field, targets } if candidates.count > count => {
                    let target = reading.view.model().entities[self.entity].fields[*field].kind.link();
                    let mut bits = Bits::new(target.map_or(0, |target| reading.view.slots(target).len()));
                    targets.iter().for_each(|target| bits.insert(*target));
                    tests.links.push((*field, bits));
                }
                _ if candidates.count <= count.saturating_mul(RECORD_COST) => {
                    let mut bits = Bits::new(reading.view.slots(self.entity).len());
                    candidates.each(reading, self.entity, |slot| {
                        bits.insert(slot);
                        Ok(ControlFlow::Continue(()))
                    })?;
                    tests.bits.push(bits);
                }
                _ => continue,
            }
            met.push(candidates.condition);
        }
        let unmet = (0..self.conditions.len()).filter(|condition| !met.contains(&Some(*condition)));
        tests.filters = unmet.map(|condition| self.conditions[condition]).collect();
        Ok(tests)
    }

    /// Shows every slot that the filter holds for, by the fewest candidates.
    pub fn each(
        &self,
        reading: &Reading,
        mut show: impl FnMut(Slot) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<(), QueryError> {
        let fewest = self.fewest();
        let tests = self.tests(reading, Some(fewest), fewest.within, fewest.count)?;
        let field = self.conditions.iter().find_map(|condition| match condition.over(self.over).0 {
            Filter::Field { field, tests } => Some((*field, tests)),
            _ => None,
        });
        if let (From::All(_), Some((field, cells))) = (&fewest.from, field) {
            // No index narrows anything: the cells of one field are looked at, page by page.
            for page in 0..reading.view.pages(self.entity) {
                reading.steps(STEPS)?;
                for slot in reading.view.scan(self.entity, page, field, |cell| passes(cell, cells)) {
                    if tests.pass(reading, self.entity, slot)? && show(slot)?.is_break() {
                        return Ok(());
                    }
                }
            }
            return Ok(());
        }
        fewest.each(reading, self.entity, |slot| {
            if tests.pass(reading, self.entity, slot)? { show(slot) } else { Ok(ControlFlow::Continue(())) }
        })
    }

    /// How many slots the filter holds for.
    pub fn count(&self, reading: &Reading) -> Result<usize, QueryError> {
        let fewest = self.fewest();
        let whole = fewest.exact && fewest.counted && fewest.within && fewest.is_set();
        if whole && self.conditions.iter().enumerate().all(|(condition, _)| fewest.condition == Some(condition)) {
            return Ok(fewest.count);
        }
        let mut count = 0;
        self.each(reading, |_| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    /// Whether its condition is that one of some holds.
    fn is_of_some(&self, candidates: &Candidates<'_>) -> bool {
        let condition = candidates.condition.map(|condition| self.conditions[condition].over(self.over).0);
        matches!(condition, Some(Filter::Or(_)))
    }

    /// The plan in words, for who asked for it.
    pub fn describe(&self, reading: &Reading, order: Option<&str>) -> Json {
        let model = reading.view.model();
        let entity = &model.entities[self.entity];
        let candidates = self.candidates.iter().map(|candidates| {
            let from = match &candidates.from {
                From::All(_) => "all".to_owned(),
                From::Slots(_) if self.is_of_some(candidates) => "union".to_owned(),
                From::Slots(_) => "keys".to_owned(),
                From::Links { field, .. } => format!("links {}", entity.fields[*field].name),
                From::Range { field, index: Ranged::Owned(_), .. } => {
                    format!("owner's index {}", entity.fields[*field].name)
                }
                From::Range { field, .. } => format!("index {}", entity.fields[*field].name),
            };
            json!({ "from": from, "count": candidates.count, "exact": candidates.exact })
        });
        json!({
            "entity": entity.name, "conditions": self.conditions.len(),
            "candidates": candidates.collect::<Vec<_>>(), "order": order,
        })
    }
}

/// The targets, and all that answer with them, of a filter through a link, where they are few.
fn targets(reading: &Reading, entity: EntityId, filter: &Filter, over: Over) -> Result<Option<Vec<Slot>>, QueryError> {
    // Who names nobody, or nobody who may be seen, is among them then.
    if filter.matches_null_link() {
        return Ok(None);
    }
    let plan = Plan::of(reading, entity, Source::All, Some(filter), (true, over))?;
    // Without a condition of its own it would be all.
    if plan.candidates.first().is_none_or(|fewest| fewest.count > TARGETS_MAX) {
        return Ok(None);
    }
    reading.touch(entity);
    let mut targets = Vec::new();
    plan.each(reading, |slot| {
        targets.extend(reading.view.merged(entity.node(slot)));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Some(targets))
}

/// The few owners of many that a condition through a link comes to, and the link: they have indexes of their own over who
/// links to them. The condition is then met by where the list comes from.
fn owners(
    reading: &Reading,
    entity: EntityId,
    conditions: &mut Vec<&Filter>,
    over: Over,
) -> Result<Option<(FieldId, Vec<Slot>)>, QueryError> {
    let view = &reading.view;
    for place in 0..conditions.len() {
        let (condition, over) = conditions[place].over(over);
        if let Filter::Link { field, entity: target, filter } = condition
            && let Some(mut targets) = targets(reading, *target, filter, over)?
            && targets.len() <= COUNTED_MAX
        {
            targets.retain(|target| view.degree(entity, *field, *target) > 0);
            let owns = |owner: &Slot| view.owned(entity, *field, *owner, None).is_some();
            if !targets.is_empty() && targets.len() <= OWNERS_MAX && targets.iter().all(owns) {
                conditions.remove(place);
                return Ok(Some((*field, targets)));
            }
        }
    }
    Ok(None)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn flatten<'f>(filter: Option<&'f Filter>, conditions: &mut Vec<&'f Filter>) {
    match filter {
        Some(Filter::And(parts)) => parts.iter().for_each(|part| flatten(Some(part), conditions)),
        Some(filter) => conditions.push(filter),
        None => {}
    }
}

/// The codes of a value's place in an order: equal ones are told apart by the records.
pub fn order_range(kind: Option<&Kind>, code: Code) -> (Code, Code) {
    match kind {
        Some(Kind::String | Kind::Id) => ([code[0], code[1], 0], [code[0], code[1], u32::MAX]),
        _ => (code, code),
    }
}

//! Pages of a list, by the Relay cursor connections specification: along an index where that is less work, else by
//! sorting what the filter leaves.

use std::ops::ControlFlow;

use serde_json::{Map, Value as Json};

use super::cursor::{self, Seal};
use super::plan::{self, Plan};
use super::{Filter, Order, QueryError, Reading, Sight, input, walk};
use crate::graph::{Code, Node};
use crate::ids::{EntityId, NodeId, Slot};
use crate::model::Model;
use crate::model::cell::Cell;
use crate::rights::Rights;

/// Edges of a page where neither `first` nor `last` is given.
pub const PAGE_DEFAULT: usize = 50;
pub use crate::limits::PAGE_MAX;
/// Neighbours that are sorted without a plan.
const FEW: usize = 128;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All of an entity.
    All,
    /// Who links to a node.
    Reverse { of: NodeId, reverse: usize },
}

/// A connection's arguments, read and checked.
pub struct Arguments {
    pub filter: Option<Filter>,
    /// Whether the filter's top level names `completeness`, and so asks for more than what lists hold.
    widens: bool,
    pub order: Order,
    pub(super) first: Option<usize>,
    pub(super) last: Option<usize>,
    pub(super) after: Option<cursor::Cursor>,
    pub(super) before: Option<cursor::Cursor>,
}

impl Arguments {
    /// Reads them from GraphQL's input, coerced. `rights` say whether personal fields may be filtered and sorted by.
    pub fn read(
        model: &Model,
        entity: EntityId,
        seal: &Seal,
        rights: &Rights,
        given: &Map<String, Json>,
    ) -> Result<Arguments, QueryError> {
        let argument = |name: &str| given.get(name).filter(|value| !value.is_null());
        let filter = argument("filter").map(|filter| input::read(model, entity, filter, rights)).transpose()?;
        let widens = argument("filter").is_some_and(|filter| filter.get("completeness").is_some());
        let order = Order::read(model, entity, argument("orderBy"), rights)?;
        let size = |name: &str| match argument(name) {
            None => Ok(None),
            Some(number) => match number.as_i64() {
                Some(number) if (0..=PAGE_MAX as i64).contains(&number) => Ok(Some(number as usize)),
                _ => Err(QueryError::bad_input(format!("`{name}` is an integer from 0 to {PAGE_MAX}"))),
            },
        };
        let place = |name: &str| {
            let text = argument(name).and_then(Json::as_str);
            text.map(|text| cursor::read(text, &order, seal)).transpose()
        };
        let (first, last) = (size("first")?, size("last")?);
        let (after, before) = (place("after")?, place("before")?);
        Ok(Arguments {
            filter,
            widens,
            first: if last.is_none() { first.or(Some(PAGE_DEFAULT)) } else { first },
            last,
            after,
            before,
            order,
        })
    }
}

/// One page: slots in order, and what lies around them.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub slots: Vec<Slot>,
    /// How many the list has without the window, where that came to be known on the way; [`total`] tells otherwise.
    pub total: Option<usize>,
    pub has_next: bool,
    pub has_previous: bool,
}

/// Lists, filters, sorts and cuts.
pub fn page(reading: &Reading, entity: EntityId, source: Source, arguments: &Arguments) -> Result<Page, QueryError> {
    let page = listed(reading, entity, source, arguments, false)?;
    reading.go_on().map(|()| page)
}

/// The same with the total, which is counted by the same plan.
pub fn page_and_total(
    reading: &Reading,
    entity: EntityId,
    source: Source,
    arguments: &Arguments,
) -> Result<Page, QueryError> {
    let page = listed(reading, entity, source, arguments, true)?;
    reading.go_on().map(|()| page)
}

fn listed(
    reading: &Reading,
    entity: EntityId,
    source: Source,
    arguments: &Arguments,
    counts: bool,
) -> Result<Page, QueryError> {
    reading.touch(entity);
    if let Sight::Nothing = reading.sight(entity) {
        return Ok(Page { total: Some(0), ..Page::default() });
    }
    if let Some(page) = few(reading, entity, source, arguments)? {
        return Ok(page);
    }
    arguments.order.targets().for_each(|target| reading.touch(target));
    if arguments.widens {
        let slots = scan(reading, entity, source, arguments)?;
        reading.planned(|| serde_json::json!({ "entity": reading.view.model().entities[entity].name, "scan": true }));
        return cut(reading, entity, arguments, slots);
    }
    let plan = Plan::new(reading, entity, source, arguments.filter.as_ref())?;
    let walked = walk::page(reading, &plan, entity, arguments)?;
    reading.planned(|| plan.describe(reading, Some(if walked.is_some() { "index" } else { "sort" })));
    if let Some(page) = walked {
        let total = if counts { Some(plan.count(reading)?) } else { page.total };
        return Ok(Page { total, ..page });
    }
    let mut slots = Vec::new();
    plan.each(reading, |slot| {
        slots.push(slot);
        Ok(ControlFlow::Continue(()))
    })?;
    cut(reading, entity, arguments, slots)
}

/// The page of a node's neighbours where they are few and all are wanted in the order of their keys: what nested lists
/// mostly are, and not worth a plan.
fn few(reading: &Reading, entity: EntityId, source: Source, arguments: &Arguments) -> Result<Option<Page>, QueryError> {
    let Source::Reverse { of, reverse } = source else { return Ok(None) };
    let Arguments { filter: None, widens: false, first: Some(first), last: None, after: None, before: None, order } =
        arguments
    else {
        return Ok(None);
    };
    if !order.terms.is_empty() || reading.notes_plans() {
        return Ok(None);
    }
    let view = &reading.view;
    let field = view.model().entities[of.entity].reverses[reverse].field;
    let is_whole = matches!(reading.sight(entity), Sight::All);
    let mut found: Vec<([u8; 32], Slot)> = Vec::new();
    let mut looked = 0;
    for member in view.merged(of) {
        for slot in view.sources(entity, field, member) {
            if looked == FEW {
                return Ok(None);
            }
            looked += 1;
            let id = entity.node(slot);
            if is_whole || reading.shows(id, &view.node(id))? {
                found.push((view.key_start(id), slot));
            }
        }
    }
    reading.steps(found.len() as u64)?;
    let total = found.len();
    let compare = |(a_start, a): &([u8; 32], Slot), (b_start, b): &([u8; 32], Slot)| {
        a_start.cmp(b_start).then_with(|| view.node(entity.node(*a)).key().cmp(view.node(entity.node(*b)).key()))
    };
    if total > *first {
        found.select_nth_unstable_by(*first, compare);
        found.truncate(*first);
    }
    found.sort_unstable_by(compare);
    let slots = found.into_iter().map(|(_, slot)| slot).collect();
    Ok(Some(Page { slots, total: Some(total), has_next: total > *first, has_previous: false }))
}

/// How many a list has, whatever its window.
pub fn total(reading: &Reading, entity: EntityId, source: Source, arguments: &Arguments) -> Result<usize, QueryError> {
    if let Sight::Nothing = reading.sight(entity) {
        return Ok(0);
    }
    if arguments.widens {
        return Ok(scan(reading, entity, source, arguments)?.len());
    }
    Plan::new(reading, entity, source, arguments.filter.as_ref())?.count(reading)
}

/// A slot with its node, and the code of the first term of its place in an order.
struct Ranked<'v> {
    slot: Slot,
    code: Option<Code>,
    node: Node<'v>,
}

/// Cuts the window out of all that a list has.
fn cut(reading: &Reading, entity: EntityId, arguments: &Arguments, slots: Vec<Slot>) -> Result<Page, QueryError> {
    let total = slots.len();
    let (order, term) = (&arguments.order, arguments.order.first());
    let kind = term.kind(reading.model(), entity);
    let (mut cut_before, mut cut_after) = (0, 0);
    let mut window = Vec::with_capacity(slots.len());
    for slot in slots {
        reading.step()?;
        let node = reading.view.node(entity.node(slot));
        let side = |cursor: &cursor::Cursor| order.compare_to(reading, &node, &cursor.values, &cursor.key);
        match (&arguments.after, &arguments.before) {
            (Some(cursor), _) if side(cursor).is_le() => cut_before += 1,
            (_, Some(cursor)) if side(cursor).is_ge() => cut_after += 1,
            _ => {
                let code = term.code(reading, kind, &node).map(|code| plan::order_range(kind, code).0);
                window.push(Ranked { slot, code, node });
            }
        }
    }
    let compare = |a: &Ranked<'_>, b: &Ranked<'_>| {
        let by_code = match (a.code, b.code) {
            (Some(a), Some(b)) if term.descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        by_code.then_with(|| order.compare(reading, &a.node, &b.node))
    };
    if let Some(first) = arguments.first
        && window.len() > first
    {
        cut_after += window.len() - first;
        if first > 0 {
            window.select_nth_unstable_by(first - 1, compare);
        }
        window.truncate(first);
    }
    if let Some(last) = arguments.last
        && window.len() > last
    {
        let surplus = window.len() - last;
        cut_before += surplus;
        if last > 0 {
            window.select_nth_unstable_by(surplus, compare);
        }
        window.drain(..surplus);
    }
    window.sort_unstable_by(compare);
    let slots = window.into_iter().map(|ranked| ranked.slot).collect();
    Ok(Page { slots, total: Some(total), has_next: cut_after > 0, has_previous: cut_before > 0 })
}

/// What a filter holds for that asks for more than lists hold: every node is looked at.
fn scan(reading: &Reading, entity: EntityId, source: Source, arguments: &Arguments) -> Result<Vec<Slot>, QueryError> {
    reading.depend_on_names();
    let view = &reading.view;
    let members = match source {
        Source::All => None,
        Source::Reverse { of, reverse } => {
            Some((view.model().entities[of.entity].reverses[reverse].field, view.merged(of)))
        }
    };
    let mut slots = Vec::new();
    let stopped = view.each(entity, |slot, node| {
        let linked = members
            .as_ref()
            .is_none_or(|(field, members)| members.iter().any(|member| node.value(*field) == Cell::Link(*member)));
        let id = entity.node(slot);
        let matches = || arguments.filter.as_ref().map_or(Ok(true), |filter| filter.matches(reading, id, node));
        let is_listed = || Ok(linked && reading.shows_alone(id, node)? && matches()?);
        match reading.step().and_then(|()| is_listed()) {
            Ok(true) => slots.push(slot),
            Ok(false) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    });
    match stopped {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(slots),
    }
}

impl Page {
    /// The cursor of one of the page's edges.
    pub fn cursor(reading: &Reading, id: NodeId, order: &Order, seal: &Seal) -> String {
        cursor::write(reading, order, &reading.view.node(id), seal)
    }
}

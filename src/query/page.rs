//! Pages of a list, by the Relay cursor connections specification.

use serde_json::Value as Json;

use super::cursor::{self, Seal};
use super::{Filter, Order, QueryError, Reading};

/// Edges of a page where neither `first` nor `last` is given.
pub const PAGE_DEFAULT: usize = 50;
/// The most that may be asked for.
pub const PAGE_MAX: usize = 1000;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All of an entity.
    All,
    /// Who links to a node.
    Reverse { entity: usize, slot: u32, reverse: usize },
}

/// A connection's arguments, read and checked.
pub struct Arguments {
    pub filter: Option<Filter>,
    /// Whether the filter's top level names `completeness`, and so asks for more than what lists hold.
    widens: bool,
    pub order: Order,
    first: Option<usize>,
    last: Option<usize>,
    after: Option<cursor::Cursor>,
    before: Option<cursor::Cursor>,
}

impl Arguments {
    /// Reads them from GraphQL's input, `null` for those that are absent.
    pub fn read(
        reading: &Reading,
        entity: usize,
        seal: &Seal,
        input: impl Fn(&str) -> Json,
    ) -> Result<Arguments, QueryError> {
        let (model, personal) = (reading.view.model(), reading.personal);
        let given = input("filter");
        let filter = if given.is_null() { None } else { Some(Filter::read(model, entity, &given, personal)?) };
        let widens = given.get("completeness").is_some();
        let order = Order::read(model, entity, Some(&input("orderBy")), personal)?;
        let size = |name: &str| match input(name) {
            Json::Null => Ok(None),
            number => match number.as_i64() {
                Some(number) if (0..=PAGE_MAX as i64).contains(&number) => Ok(Some(number as usize)),
                _ => Err(QueryError::bad_input(format!("`{name}` is an integer from 0 to {PAGE_MAX}"))),
            },
        };
        let place = |name: &str| input(name).as_str().map(|text| cursor::read(text, &order, seal)).transpose();
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
#[derive(Clone, Debug)]
pub struct Page {
    pub slots: Vec<u32>,
    pub total: usize,
    pub has_next: bool,
    pub has_previous: bool,
}

/// Lists, filters, sorts and cuts.
pub fn page(reading: &Reading, entity: usize, source: Source, arguments: &Arguments) -> Result<Page, QueryError> {
    reading.touch(entity);
    let mut slots = matching(reading, entity, source, arguments)?;
    let total = slots.len();
    let node = |slot: &u32| reading.view.node(entity, *slot);
    let order = &arguments.order;
    if let Some(after) = &arguments.after {
        slots.retain(|slot| order.compare_to(node(slot), &after.values, &after.key).is_gt());
    }
    let before_window = total - slots.len();
    let mut after_window = slots.len();
    if let Some(before) = &arguments.before {
        slots.retain(|slot| order.compare_to(node(slot), &before.values, &before.key).is_lt());
    }
    after_window -= slots.len();
    let compare = |a: &u32, b: &u32| order.compare(node(a), node(b));
    let (mut cut_before, mut cut_after) = (before_window, after_window);
    if let Some(first) = arguments.first
        && slots.len() > first
    {
        cut_after += slots.len() - first;
        if first > 0 {
            slots.select_nth_unstable_by(first - 1, compare);
        }
        slots.truncate(first);
    }
    if let Some(last) = arguments.last
        && slots.len() > last
    {
        let cut = slots.len() - last;
        cut_before += cut;
        if last > 0 {
            slots.select_nth_unstable_by(cut, compare);
        }
        slots.drain(..cut);
    }
    slots.sort_unstable_by(compare);
    Ok(Page { slots, total, has_next: cut_after > 0, has_previous: cut_before > 0 })
}

fn matching(reading: &Reading, entity: usize, source: Source, arguments: &Arguments) -> Result<Vec<u32>, QueryError> {
    let (filter, widens) = (arguments.filter.as_ref(), arguments.widens);
    let mut slots = Vec::new();
    let mut consider = |slot: u32, node: &crate::graph::Node| {
        reading.step()?;
        if (widens && !node.is_alias() || node.is_listed())
            && filter.map_or(Ok(true), |filter| filter.matches(reading, entity, node))?
        {
            slots.push(slot);
        }
        Ok::<(), QueryError>(())
    };
    match source {
        Source::All => {
            for (slot, node) in reading.view.all(entity) {
                consider(slot, node)?;
            }
        }
        Source::Reverse { entity: target_entity, slot, reverse } => {
            for postings in reading.view.reverse(target_entity, slot, reverse) {
                for slot in postings.iter() {
                    consider(slot, reading.view.node(entity, slot))?;
                }
            }
        }
    }
    Ok(slots)
}

impl Page {
    /// The cursor of one of the page's edges.
    pub fn cursor(reading: &Reading, entity: usize, slot: u32, order: &Order, seal: &Seal) -> String {
        cursor::write(order, reading.view.node(entity, slot), seal)
    }
}

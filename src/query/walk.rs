//! A page along an index: from the cursor's place, in order, until the page is full.

use super::candidates::{Candidates, From, Tests};
use super::cursor::Cursor;
use super::page::{Arguments, Page};
use super::plan::{Plan, order_range};
use super::ranged::Ranged;
use super::{QueryError, Reading};
use crate::graph::{ALL, Code, Node, code_of, key_code};
use crate::ids::{EntityId, Slot};
use crate::model::Kind;

/// So few are sorted without a look at indexes.
const SORTED_AT_ONCE: usize = 128;
/// What a step costs along an index, and in a sort, in the same measure.
const WALK_COST: usize = 2;
const SORT_COST: usize = 3;

/// An index to walk, and how.
struct Walk<'a, 'v, 'f> {
    reading: &'a Reading,
    entity: EntityId,
    arguments: &'a Arguments,
    index: Ranged<'v>,
    /// What of it is walked, ascending.
    ranges: Vec<(Code, Code)>,
    kind: Option<&'a Kind>,
    tests: Tests<'f>,
    /// Whether something of the list may not be in the index, because it has no value there.
    nulls: bool,
}

/// The page, where an index has the order and walking it is less work than sorting; otherwise nothing.
pub fn page<'v>(
    reading: &'v Reading,
    plan: &Plan<'v, '_>,
    entity: EntityId,
    arguments: &Arguments,
) -> Result<Option<Page>, QueryError> {
    let backward = match (arguments.first, arguments.last, &arguments.after, &arguments.before) {
        (Some(_), None, _, None) => false,
        (None, Some(_), None, _) => true,
        _ => return Ok(None),
    };
    let want = arguments.first.or(arguments.last).unwrap_or_default();
    if plan.fewest().count <= SORTED_AT_ONCE {
        return Ok(None);
    }
    let term = arguments.order.first();
    if !term.links.is_empty() {
        return Ok(None);
    }
    let Some((index, within)) = plan.index(reading, term.field) else { return Ok(None) };
    let on_field = |candidates: &&Candidates<'v>| matches!(&candidates.from, From::Range { field, .. } if Some(*field) == term.field);
    let own = plan.candidates.iter().find(on_field);
    let ranges = match own.map(|own| &own.from) {
        Some(From::Range { ranges, .. }) => ranges.clone(),
        _ => vec![ALL],
    };
    let entries = own.map_or_else(|| index.count(ALL), |own| own.count);
    let all = reading.view.keys(entity).len().max(1);
    // As if conditions had nothing to do with each other.
    let others = plan.candidates.iter().filter(|candidates| {
        candidates.condition != own.and_then(|own| own.condition) && !(within && candidates.condition.is_none())
    });
    let share: f64 = others.map(|candidates| (candidates.count as f64 / all as f64).min(1.0)).product();
    let steps = ((want + 1) as f64 / share.max(1e-9)).min(entries as f64) as usize;
    if steps.saturating_mul(WALK_COST) > plan.fewest().count.saturating_mul(SORT_COST) + want {
        return Ok(None);
    }
    let base = if within {
        plan.candidates.iter().find(|own| own.condition.is_none()).map_or(0, |own| own.count)
    } else {
        all
    };
    let kind = term.field.map(|field| &reading.view.model().entities[entity].fields[field].kind);
    let walk = Walk {
        reading,
        entity,
        arguments,
        index,
        ranges,
        kind,
        tests: plan.tests(reading, own, within, steps)?,
        nulls: own.is_none() && entries < base,
    };
    let cursor = arguments.after.as_ref().or(arguments.before.as_ref());
    let Some(mut slots) = walk.run(backward, cursor, false, want + 1)? else { return Ok(None) };
    let beyond = slots.len() > want;
    slots.truncate(want);
    let behind = match cursor {
        Some(_) => match walk.run(!backward, cursor, true, 1)? {
            Some(found) => !found.is_empty(),
            None => return Ok(None),
        },
        None => false,
    };
    if backward {
        slots.reverse();
    }
    let (has_next, has_previous) = if backward { (behind, beyond) } else { (beyond, behind) };
    Ok(Some(Page { slots, total: None, has_next, has_previous }))
}

impl Walk<'_, '_, '_> {
    /// The first slots from a cursor on, or from an end; in order, or against it. Nothing where the index does not hold
    /// what would come.
    fn run(
        &self,
        backward: bool,
        cursor: Option<&Cursor>,
        inclusive: bool,
        want: usize,
    ) -> Result<Option<Vec<Slot>>, QueryError> {
        let term = self.arguments.order.first();
        // Nulls come last, and so first against the order.
        if backward && self.nulls && cursor.is_none() {
            return Ok(None);
        }
        let place = match cursor.map(|cursor| (cursor, cursor.values.first())) {
            None => None,
            Some((cursor, _)) if term.field.is_none() => Some(key_code(&cursor.key)),
            Some((_, value)) => {
                let code = self.kind.zip(value).and_then(|(kind, value)| code_of(kind, value.cell()));
                if code.is_none() {
                    return Ok(None);
                }
                code
            }
        };
        let place = place.map(|code| order_range(self.kind, code));
        let descends = term.descending != backward;
        let mut slots = Vec::new();
        let mut group: Vec<Slot> = Vec::new();
        let mut group_place = None;
        let mut ranges: Vec<(Code, Code)> = self
            .ranges
            .iter()
            .map(|(low, high)| match place {
                Some((from, _)) if !descends => ((*low).max(from), *high),
                Some((_, to)) => (*low, (*high).min(to)),
                None => (*low, *high),
            })
            .filter(|(low, high)| low <= high)
            .collect();
        if descends {
            ranges.reverse();
        }
        for range in ranges {
            for (code, slot) in self.index.range(range, descends) {
                self.reading.step()?;
                let at = order_range(self.kind, code).0;
                if group_place != Some(at) {
                    let touches = place.is_some_and(|(from, _)| group_place == Some(from));
                    self.flush(&mut group, &mut slots, want, backward, cursor.filter(|_| touches), inclusive);
                    if slots.len() >= want {
                        slots.truncate(want);
                        return Ok(Some(slots));
                    }
                    group_place = Some(at);
                }
                if self.tests.pass(self.reading, self.entity, slot)? {
                    group.push(slot);
                }
            }
        }
        let touches = place.is_some_and(|(from, _)| group_place == Some(from));
        self.flush(&mut group, &mut slots, want, backward, cursor.filter(|_| touches), inclusive);
        if slots.len() < want && self.nulls && !backward {
            return Ok(None);
        }
        slots.truncate(want);
        Ok(Some(slots))
    }

    /// Takes the slots of one place in their order, as many as are wanted still, those on the cursor's wrong side left out.
    fn flush(
        &self,
        group: &mut Vec<Slot>,
        slots: &mut Vec<Slot>,
        want: usize,
        backward: bool,
        cursor: Option<&Cursor>,
        inclusive: bool,
    ) {
        let (order, reading) = (&self.arguments.order, self.reading);
        if group.len() > 1 || cursor.is_some() {
            // Where the place says all of the only term, the key decides: its code spares most looks at records.
            let by_key = order.terms.len() <= 1 && self.kind.is_none_or(super::spans::is_exact);
            let mut nodes: Vec<_> = group
                .drain(..)
                .map(|slot| {
                    let node = reading.view.node(self.entity.node(slot));
                    (by_key.then(|| key_code(node.key())), node, slot)
                })
                .collect();
            if let Some(cursor) = cursor {
                nodes.retain(|(_, node, _)| {
                    let side = order.compare_to(reading, node, &cursor.values, &cursor.key);
                    if backward {
                        side.is_lt() || inclusive && side.is_eq()
                    } else {
                        side.is_gt() || inclusive && side.is_eq()
                    }
                });
            }
            let is_key_descending = order.terms.first().is_some_and(|term| term.field.is_none() && term.descending);
            let compare = |(a_code, a, _): &(Option<Code>, Node<'_>, Slot),
                           (b_code, b, _): &(Option<Code>, Node<'_>, Slot)| {
                let by_code = if is_key_descending { b_code.cmp(a_code) } else { a_code.cmp(b_code) };
                let ordering = by_code.then_with(|| order.compare(reading, a, b));
                if backward { ordering.reverse() } else { ordering }
            };
            let left = want.saturating_sub(slots.len());
            if nodes.len() > left {
                if left > 0 {
                    nodes.select_nth_unstable_by(left - 1, compare);
                }
                nodes.truncate(left);
            }
            nodes.sort_unstable_by(compare);
            group.extend(nodes.into_iter().map(|(_, _, slot)| slot));
        }
        slots.append(group);
    }
}

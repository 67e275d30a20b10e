//! Slots that an index gives, and what each must pass before it counts.

use std::ops::ControlFlow;

use super::filter::{Filter, Over};
use super::ranged::Ranged;
use super::{QueryError, Reading};
use crate::graph::{Code, Index};
use crate::ids::{EntityId, FieldId, Slot};
use crate::limits::STEPS;
use crate::model::cell::Cell;

/// Slots that an index gives.
pub struct Candidates<'v> {
    pub from: From<'v>,
    /// How many they are.
    pub count: usize,
    /// Whether they are just those that their condition holds for.
    pub exact: bool,
    /// Whether `count` is their number, and not about their number.
    pub counted: bool,
    /// The condition that they stand for; the list's own source where there is none.
    pub condition: Option<usize>,
    /// Whether they are among the source's alone.
    pub within: bool,
}

/// Where candidates come from.
pub enum From<'v> {
    /// All that an entity lists.
    All(&'v Index),
    /// Known slots.
    Slots(Vec<Slot>),
    /// Who links to any of some targets by a field.
    Links {
        field: FieldId,
        targets: Vec<Slot>,
    },
    Range {
        field: FieldId,
        index: Ranged<'v>,
        ranges: Vec<(Code, Code)>,
    },
}

/// A set of slots as bits.
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn new(slots: usize) -> Bits {
        Bits(vec![0; slots.div_ceil(64)])
    }

    pub fn insert(&mut self, slot: Slot) {
        if let Some(word) = self.0.get_mut(slot.index() / 64) {
            *word |= 1 << (slot.0 % 64);
        }
    }

    pub fn contains(&self, slot: Slot) -> bool {
        self.0.get(slot.index() / 64).is_some_and(|word| word & (1 << (slot.0 % 64)) != 0)
    }
}

/// What a candidate must pass before it counts.
pub struct Tests<'f> {
    pub bits: Vec<Bits>,
    pub filters: Vec<&'f Filter>,
    /// Links, each with the targets that count.
    pub links: Vec<(FieldId, Bits)>,
    /// Over what the filters are judged.
    pub over: Over,
}

impl Candidates<'_> {
    /// Whether no slot comes twice.
    pub fn is_set(&self) -> bool {
        // A node has one value a field, and one target a link.
        !matches!(&self.from, From::Range { ranges, .. } if overlaps(ranges))
    }

    /// Shows each slot, until it is told to stop.
    pub fn each(
        &self,
        reading: &Reading,
        entity: EntityId,
        mut show: impl FnMut(Slot) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<(), QueryError> {
        let mut slots: Box<dyn Iterator<Item = Slot> + '_> = match &self.from {
            From::All(index) => Box::new(index.iter().map(|(_, slot)| slot)),
            From::Slots(slots) => Box::new(slots.iter().copied()),
            From::Links { field, targets } => {
                Box::new(targets.iter().flat_map(move |target| reading.view.sources(entity, *field, *target)))
            }
            From::Range { index, ranges, .. } => {
                Box::new(ranges.iter().flat_map(move |range| index.range(*range, false).map(|(_, slot)| slot)))
            }
        };
        let mut steps = 0;
        slots
            .try_for_each(|slot| {
                steps += 1;
                if steps % STEPS == 0 {
                    reading.steps(STEPS).map_err(Some)?;
                }
                match show(slot).map_err(Some)? {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(None),
                }
            })
            .or_else(|stopped: Option<QueryError>| stopped.map_or(Ok(()), Err))
    }
}

/// Whether a slot can be in two of some sorted ranges.
fn overlaps(ranges: &[(Code, Code)]) -> bool {
    ranges.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}

impl Tests<'_> {
    pub fn pass(&self, reading: &Reading, entity: EntityId, slot: Slot) -> Result<bool, QueryError> {
        if !self.bits.iter().all(|bits| bits.contains(slot)) {
            return Ok(false);
        }
        if self.filters.is_empty() && self.links.is_empty() {
            return Ok(true);
        }
        let id = entity.node(slot);
        let node = reading.view.node(id);
        for (field, targets) in &self.links {
            if !matches!(node.value(*field), Cell::Link(target) if targets.contains(target)) {
                return Ok(false);
            }
        }
        for filter in &self.filters {
            if !filter.holds(reading, id, &node, self.over)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

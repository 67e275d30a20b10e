//! The rules of one entity: what an event changes, told by what the entity's ledger keeps of those before it.
//!
//! No graph, no log and no values: which of two events is greater decides alone. The projector puts the outcome into a graph's
//! record ([`super::apply`]), [`super::Folded`] into plain values.

use super::DomainRules;
use super::ledger::{Ledger, Sources};
use super::seen::{Novelty, fingerprint};
use super::stamp::{Order, Stamp};
use crate::event::{Action, Event, OrderBy};
use crate::ids::FieldId;
use crate::model::Entity;

/// Missing versions that an entity names.
const MISSING_MAX: usize = 100;

/// What an event is to those before it, as far as is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    #[default]
    New,
    Duplicate,
    Conflict,
    /// Its version was seen, and by which event is not remembered: applied again, which changes nothing if it was this one.
    Forgotten,
}

/// What became of a field that an event says something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of somebody who is erased comes back, and who says it does not count.
    Withheld,
    /// Whether it is set, and the setter whose value stood where that was another source's.
    Judged { wins: bool, rival: Option<u32> },
}

/// What one event does to its entity. Its lists are used again for the next.
#[derive(Debug, Default)]
pub struct Effect {
    /// The event's number in the ledger.
    pub setter: u32,
    /// In the order of the event's patch.
    pub fields: Vec<Outcome>,
    /// In the order of the event's attributes: which of them are set.
    pub attributes: Vec<bool>,
    /// Fields that a deletion clears.
    pub cleared: Vec<FieldId>,
    /// Attributes that a deletion clears.
    pub cleared_attributes: Vec<Box<str>>,
    /// Whether it is the greatest deletion so far.
    pub deletes: bool,
    /// Whether its merge is the one that stands from now on.
    pub merges: bool,
    /// Whether a deletion undoes the merge that stood.
    pub unmerges: bool,
    /// Whether it set, cleared or merged anything.
    pub takes: bool,
    /// Whether it is the entity's greatest event, and the source of the one that was.
    pub is_last: bool,
    pub last_source: Option<u32>,
    /// Whether the entity is deleted, all events taken together.
    pub is_deleted: bool,
}

impl Effect {
    fn clear(&mut self) {
        let Effect { fields, attributes, cleared, cleared_attributes, .. } = std::mem::take(self);
        (self.fields, self.attributes, self.cleared) = (fields, attributes, cleared);
        self.cleared_attributes = cleared_attributes;
        self.fields.clear();
        self.attributes.clear();
        self.cleared.clear();
        self.cleared_attributes.clear();
    }

    pub fn wins(&self, place: usize) -> bool {
        matches!(self.fields.get(place), Some(Outcome::Judged { wins: true, .. }))
    }
}

/// Tells an event from those that the entity had, and notes its version. Under `position` its partition remembers ids
/// instead, and says what it is.
pub fn tell(ledger: &mut Ledger, rules: DomainRules, event: &Event<'_>, order: Order<'_>) -> Told {
    let print = || fingerprint((event.envelope.source, event.envelope.id));
    let novelty = match rules.order_by {
        OrderBy::Position => Novelty::New,
        OrderBy::Time => match ledger.novelty(order, print) {
            // Several producers may well agree on a time.
            Novelty::Conflict => Novelty::New,
            novelty => novelty,
        },
        OrderBy::Sequence => {
            // Where gaps are nobody's concern, versions need not be dense: each would be a run of its own.
            let seen = rules.report_gaps && !ledger.runs.see(event.envelope.version.unwrap_or(0));
            match ledger.novelty(order, print) {
                Novelty::New if seen => return Told::Forgotten,
                novelty => novelty,
            }
        }
    };
    match novelty {
        Novelty::New => Told::New,
        Novelty::Duplicate => Told::Duplicate,
        Novelty::Conflict => Told::Conflict,
    }
}

/// Lets an event set what nothing greater has set. `is_erased` is whether the entity is.
pub fn apply(
    ledger: &mut Ledger,
    description: &Entity,
    is_erased: bool,
    event: &Event<'_>,
    order: Order<'_>,
    sources: &impl Sources,
    effect: &mut Effect,
) {
    if let Action::Delete = event.action {
        return delete(ledger, order, sources, effect);
    }
    effect.clear();
    let setter = ledger.enter(order);
    effect.setter = setter;
    ledger.take_change(setter, sources);
    let forgets = is_erased && description.has_personal;
    for (field, _) in event.patch.iter() {
        let outcome = if forgets && description.fields[field].personal {
            Outcome::Withheld
        } else {
            let rival = ledger.rival(setter, field);
            Outcome::Judged { wins: ledger.take_field(setter, field, sources), rival }
        };
        effect.takes |= matches!(outcome, Outcome::Judged { wins: true, .. });
        effect.fields.push(outcome);
    }
    // Of who is erased nothing unknown is kept, not even how it is called.
    for (name, _) in event.attributes.iter() {
        let wins = !forgets && ledger.take_attribute(setter, name, sources);
        effect.takes |= wins;
        effect.attributes.push(wins);
    }
    effect.merges = matches!(event.action, Action::Merge(_)) && ledger.take_merge(setter, sources);
    effect.takes |= effect.merges;
    conclude(ledger, order, sources, effect);
}

/// Deletes what lies below a stamp.
pub fn delete(ledger: &mut Ledger, order: Order<'_>, sources: &impl Sources, effect: &mut Effect) {
    effect.clear();
    effect.setter = ledger.enter(order);
    effect.deletes = ledger.take_deletion(effect.setter, sources);
    effect.takes = effect.deletes;
    if effect.deletes {
        effect.unmerges = ledger.clear_outdated(&mut effect.cleared, &mut effect.cleared_attributes, sources);
    }
    conclude(ledger, order, sources, effect);
}

fn conclude(ledger: &mut Ledger, order: Order<'_>, sources: &impl Sources, effect: &mut Effect) {
    effect.last_source = ledger.last_source();
    effect.is_last = ledger.take_last(effect.setter, sources);
    effect.is_deleted = ledger.is_deleted(sources);
    debug_assert!(!effect.is_last || ledger.last_source() == Some(order.source.0), "the last word is its own");
}

/// The lowest versions that are missing below the greatest seen; versions below a deletion no longer count. None where
/// nobody asks for gaps.
pub fn missing(ledger: &Ledger, rules: DomainRules) -> Option<Vec<u64>> {
    if rules.order_by != OrderBy::Sequence || !rules.report_gaps {
        return None;
    }
    let floor = match ledger.deletion_stamp() {
        Some(Stamp::Sequence(version)) => version,
        _ => 0,
    };
    Some(ledger.runs.missing(floor, MISSING_MAX))
}

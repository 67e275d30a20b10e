//! Where producers that write the same entity disagree: of a field that several set, what each said last.
//!
//! While a legacy system is being strangled, it and the new service both write. The graph holds what wins; this holds what the
//! others said last, for fields that more than one producer set, so that a team sees when they agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::remembered::Crypt;
use super::remembered::{put_node, read_node};
use super::stamp::{Stamp, read_stamp, write_stamp};
use crate::graph::{Reader, put, put_long};
use crate::ids::{EntityId, FieldId, NodeId, Slot};
use crate::limits::CONTESTS_MAX;
use crate::model::cell::Cell;
use crate::model::value::Value;

/// Entities that are shown of a disagreement.
const EXAMPLES_MAX: usize = 5;

/// A node's field.
pub type Attribute = (NodeId, FieldId);

/// What a producer said last of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub source: u32,
    pub stamp: Stamp,
    pub id: Box<str>,
    /// A link's is its target's key.
    pub value: Value,
}

/// A field on which producers disagree.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    pub field: FieldId,
    /// In how many entities.
    pub count: u64,
    pub examples: Vec<Example>,
}

/// An entity that producers say different things of: the one that wins first.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub slot: Slot,
    pub claims: Vec<(Arc<str>, Value)>,
}

/// What stands in the graph, and what the others said last.
#[derive(Clone, Debug)]
struct Contest {
    standing: (u32, Value),
    others: Vec<Word>,
}

impl Contest {
    fn differs(&self) -> bool {
        self.others.iter().any(|word| word.value != self.standing.1)
    }

    fn save(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.standing.0));
        self.standing.1.cell().pack(out);
        for Word { source, stamp, id, value } in &self.others {
            put(out, u64::from(*source));
            write_stamp(out, *stamp);
            put_long(out, id.as_bytes());
            value.cell().pack(out);
        }
    }

    fn restore(plain: &[u8]) -> Option<Contest> {
        let mut reader = Reader(plain);
        let standing = (reader.number() as u32, Cell::unpack(&mut reader.0)?.to_value());
        let mut others = Vec::new();
        while !reader.is_empty() {
            let (source, stamp, id) = (reader.number() as u32, read_stamp(&mut reader), reader.text().into());
            others.push(Word { source, stamp, id, value: Cell::unpack(&mut reader.0)?.to_value() });
        }
        Some(Contest { standing, others })
    }
}

/// The fields that more than one producer set. A copy shares the contests.
#[derive(Clone, Debug, Default)]
pub struct Rivals {
    contests: HashMap<Attribute, Arc<Contest>>,
    /// By entity and field: the slots where they differ.
    differing: BTreeMap<(EntityId, FieldId), BTreeSet<Slot>>,
    /// Entities of which something changed since it was last told.
    changed: BTreeSet<EntityId>,
    /// Words that were not kept, as too many fields had several producers.
    untold: u64,
}

impl Rivals {
    /// A producer's value stands, and what another said of the field is `said`.
    pub fn note(&mut self, attribute: Attribute, standing: (u32, Value), said: Word) {
        if self.contests.len() >= CONTESTS_MAX && !self.contests.contains_key(&attribute) {
            self.untold += 1;
            return;
        }
        let contest = self
            .contests
            .entry(attribute)
            .or_insert_with(|| Contest { standing: (standing.0, Value::Null), others: vec![] }.into());
        let contest = Arc::make_mut(contest);
        contest.others.retain(|word| word.source != standing.0);
        contest.standing = standing;
        match contest.others.iter_mut().find(|word| word.source == said.source) {
            Some(word) if (word.stamp, &word.id) < (said.stamp, &said.id) => *word = said,
            Some(_) => {}
            None => contest.others.push(said),
        }
        self.judge(attribute);
    }

    /// The producer whose value stood says another.
    pub fn stands(&mut self, attribute: Attribute, value: impl FnOnce() -> Value) {
        if let Some(contest) = self.contests.get_mut(&attribute) {
            Arc::make_mut(contest).standing.1 = value();
            self.judge(attribute);
        }
    }

    /// How many words were not kept, as too many fields had several producers.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// Bytes that they take, about: as if two producers said something short of each.
    pub fn size(&self) -> usize {
        let words = self.contests.len() * size_of::<Word>();
        words + self.contests.capacity() * size_of::<(Attribute, Contest)>()
    }

    pub fn is_empty(&self) -> bool {
        self.contests.is_empty()
    }

    /// The field was cleared by a deletion or an erasure: nobody's word counts any more.
    pub fn forget(&mut self, attribute: Attribute) {
        if self.contests.remove(&attribute).is_some() {
            self.judge(attribute);
        }
    }

    fn judge(&mut self, attribute: Attribute) {
        let (NodeId { entity, slot }, field) = attribute;
        let differs = self.contests.get(&attribute).is_some_and(|contest| contest.differs());
        let slots = self.differing.entry((entity, field)).or_default();
        let changes = if differs { slots.insert(slot) } else { slots.remove(&slot) };
        // The values of one that is shown may have changed.
        if changes || slots.range(..=slot).take(EXAMPLES_MAX + 1).count() <= EXAMPLES_MAX {
            self.changed.insert(entity);
        }
    }

    /// The entities whose disagreements changed since this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<EntityId> {
        std::mem::take(&mut self.changed)
    }

    /// Each contest is sealed by its entity's key: what producers say of a person is personal. `seal` gives none where that
    /// key is destroyed.
    pub fn save(&self, out: &mut Vec<u8>, seal: Crypt<'_>) {
        put(out, self.untold);
        let mut plain = Vec::new();
        for ((node, field), contest) in &self.contests {
            plain.clear();
            contest.save(&mut plain);
            if let Some(sealed) = seal(*node, &plain) {
                // As many follow as there is a mark before them.
                out.push(1);
                put_node(out, *node);
                put(out, u64::from(field.0));
                put_long(out, &sealed);
            }
        }
        out.push(0);
    }

    /// `field` says what a field is now.
    pub fn restore(reader: &mut Reader<'_>, field: &dyn Fn(EntityId, FieldId) -> FieldId, open: Crypt<'_>) -> Rivals {
        let mut rivals = Rivals { untold: reader.number(), ..Rivals::default() };
        while reader.number() == 1 {
            let (node, was) = (read_node(reader), FieldId(reader.number() as u16));
            let attribute = (node, field(node.entity, was));
            let sealed = reader.long();
            if let Some(contest) = open(attribute.0, sealed).and_then(|plain| Contest::restore(&plain)) {
                rivals.contests.insert(attribute, contest.into());
                rivals.judge(attribute);
            }
        }
        rivals
    }

    /// An entity's disagreements, by field.
    pub fn of(&self, entity: EntityId, name: impl Fn(u32) -> Arc<str>) -> Vec<Disagreement> {
        let fields = self
            .differing
            .range((entity, FieldId::MIN)..=(entity, FieldId::MAX))
            .filter(|(_, slots)| !slots.is_empty());
        let disagreement = |(&(_, field), slots): (&(EntityId, FieldId), &BTreeSet<Slot>)| {
            let example = |slot: &Slot| {
                let contest = self.contests.get(&(entity.node(*slot), field))?;
                let first = (name(contest.standing.0), contest.standing.1.clone());
                let others = contest.others.iter().map(|word| (name(word.source), word.value.clone()));
                Some(Example { slot: *slot, claims: std::iter::once(first).chain(others).collect() })
            };
            let examples = slots.iter().take(EXAMPLES_MAX).filter_map(example).collect();
            Disagreement { field, count: slots.len() as u64, examples }
        };
        fields.map(disagreement).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(source: u32, version: u64, value: i64) -> Word {
        Word { source, stamp: Stamp::Sequence(version), id: "e".into(), value: Value::Int(value) }
    }

    fn counts(rivals: &Rivals) -> Vec<(u16, u64)> {
        rivals
            .of(EntityId(0), |source| source.to_string().into())
            .into_iter()
            .map(|found| (found.field.0, found.count))
            .collect()
    }

    #[test]
    fn the_last_word_of_each_counts() {
        let mut rivals = Rivals::default();
        let attribute = (EntityId(0).node(Slot(7)), FieldId(3));
        // 1 said 10, then 2 said 20, which stands.
        rivals.note(attribute, (2, Value::Int(20)), word(1, 1, 10));
        assert_eq!(counts(&rivals), [(3, 1)]);
        // An older word of 1 changes nothing; a newer one, that loses, does.
        rivals.note(attribute, (2, Value::Int(20)), word(1, 0, 20));
        assert_eq!(counts(&rivals), [(3, 1)]);
        rivals.note(attribute, (2, Value::Int(20)), word(1, 2, 20));
        assert_eq!(counts(&rivals), []);
        rivals.stands(attribute, || Value::Int(30));
        assert_eq!(counts(&rivals), [(3, 1)]);
        // 1 wins with the same.
        rivals.note(attribute, (1, Value::Int(30)), word(2, 9, 30));
        assert_eq!(counts(&rivals), []);
        rivals.note(attribute, (1, Value::Int(31)), word(2, 9, 30));
        let found = rivals.of(EntityId(0), |source| source.to_string().into());
        let claims = vec![("1".into(), Value::Int(31)), ("2".into(), Value::Int(30))];
        assert_eq!(found[0].examples, [Example { slot: Slot(7), claims }]);
        rivals.forget(attribute);
        assert_eq!(counts(&rivals), []);
    }
}

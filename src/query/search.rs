//! Words: which entities have all the words of a text in their `@search` fields, best first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{QueryError, Reading};
use crate::graph::{prefix_range, text_code, words, words_of};
use crate::ids::{EntityId, FieldId, NodeId, Slot};

/// Words of a question that count; what comes after is ignored.
const WORDS_MAX: usize = 16;

/// An entity that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub node: NodeId,
    /// From 0 to 1: 1 where each word is one of the entity's whole words and it has no others.
    pub score: f64,
    /// The fields in which a word was found.
    pub fields: Vec<FieldId>,
}

/// A hit among the best: the worse is the greater.
struct Ranked {
    hit: Hit,
    key: String,
}

impl Ranked {
    fn rank(&self, score: f64, entity: EntityId, key: &str) -> Ordering {
        let by_score = score.total_cmp(&self.hit.score);
        by_score.then(self.hit.node.entity.cmp(&entity)).then_with(|| self.key.as_str().cmp(key))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        self.rank(other.hit.score, other.hit.node.entity, &other.key)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

/// Entities of some kinds that have every word of a text, the last one also as a beginning. Fields that may not be read
/// are not looked at. By score, then kind, then key; the best `first` of them.
pub fn search(reading: &Reading, text: &str, kinds: &[EntityId], first: usize) -> Result<Vec<Hit>, QueryError> {
    let wanted: Vec<String> = words(text).take(WORDS_MAX).collect();
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    if wanted.is_empty() || first == 0 {
        return Ok(Vec::new());
    }
    for entity in kinds.iter().copied() {
        let fields = &reading.view.model().entities[entity].fields;
        let readable =
            |field: &FieldId| fields[*field].searchable && (reading.rights.sees_personal() || !fields[*field].personal);
        let readable: Vec<FieldId> = fields.ids().filter(readable).collect();
        if readable.is_empty() {
            continue;
        }
        reading.touch(entity);
        // Whichever word is looked up, an entity is judged by all of them, and once: the longest word leads to the fewest.
        let (last, before) = wanted.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        let range = match before.iter().max_by_key(|word| word.len()) {
            Some(word) => (text_code(word), text_code(word)),
            None => prefix_range(last),
        };
        let mut judged = Slots::default();
        for field in &readable {
            let Some(index) = reading.view.words(entity, *field) else { continue };
            for (_, slot) in index.range(range) {
                reading.step()?;
                if !judged.insert(slot) {
                    continue;
                }
                reading.steps(readable.len() as u64)?;
                let id = entity.node(slot);
                let node = reading.view.node(id);
                if !reading.shows(id, &node)? {
                    continue;
                }
                let Some(hit) = judge(reading, id, &readable, &wanted) else { continue };
                let key = node.key();
                if best.len() == first {
                    let is_worse = |worst: &Ranked| worst.rank(hit.score, entity, key) != Ordering::Greater;
                    if best.peek().is_some_and(is_worse) {
                        continue;
                    }
                    best.pop();
                }
                best.push(Ranked { hit, key: key.to_owned() });
            }
        }
    }
    Ok(best.into_sorted_vec().into_iter().map(|ranked| ranked.hit).collect())
}

/// Slots that were seen, a bit each.
#[derive(Default)]
struct Slots(Vec<u64>);

impl Slots {
    /// Whether the slot is new.
    fn insert(&mut self, slot: Slot) -> bool {
        let (word, bit) = (slot.index() / 64, 1 << (slot.0 % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

/// How well an entity answers, if it has all the words.
fn judge(reading: &Reading, id: NodeId, fields: &[FieldId], wanted: &[String]) -> Option<Hit> {
    let node = reading.view.node(id);
    // By word: whether it was found, and as a whole one.
    let (mut found, mut whole) = (vec![false; wanted.len()], vec![false; wanted.len()]);
    let (mut with_words, mut count) = (Vec::new(), 0);
    for field in fields.iter().copied() {
        let known = words_of(node.value(field));
        let mut has_some = false;
        for (place, word) in wanted.iter().enumerate() {
            let is_last = place + 1 == wanted.len();
            let is_whole = known.iter().any(|known| known == word);
            let is_here = is_whole || is_last && known.iter().any(|known| known.starts_with(word.as_str()));
            whole[place] |= is_whole;
            found[place] |= is_here;
            has_some |= is_here;
        }
        if has_some {
            with_words.push(field);
            count += known.len();
        }
    }
    if found.contains(&false) {
        return None;
    }
    let exact = whole.iter().filter(|whole| **whole).count();
    let share = (exact as f64 + 0.5 * (wanted.len() - exact) as f64) / count.max(wanted.len()) as f64;
    Some(Hit { node: id, score: share, fields: with_words })
}

//! Words: which entities have all the words of a text in their `@search` fields, best first.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::{QueryError, Reading};
use crate::graph::{prefix_range, text_code, words, words_of};

/// Words of a question that count; what comes after is ignored.
const WORDS_MAX: usize = 16;

/// An entity that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub entity: usize,
    pub slot: u32,
    /// From 0 to 1: 1 where each word is one of the entity's whole words and it has no others.
    pub score: f64,
    /// The fields in which a word was found.
    pub fields: Vec<usize>,
}

/// How well one entity answers so far.
#[derive(Clone, Default)]
struct Found {
    exact: usize,
    /// In no order.
    fields: Vec<usize>,
}

impl Found {
    fn add(&mut self, field: usize) {
        if !self.fields.contains(&field) {
            self.fields.push(field);
        }
    }
}

/// A hit among the best: the worse is the greater.
struct Ranked {
    hit: Hit,
    key: String,
}

impl Ranked {
    fn rank(&self, score: f64, entity: usize, key: &str) -> Ordering {
        let by_score = score.total_cmp(&self.hit.score);
        by_score.then(self.hit.entity.cmp(&entity)).then_with(|| self.key.as_str().cmp(key))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        self.rank(other.hit.score, other.hit.entity, &other.key)
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
pub fn search(reading: &Reading, text: &str, kinds: &[usize], first: usize) -> Result<Vec<Hit>, QueryError> {
    let wanted: Vec<String> = words(text).take(WORDS_MAX).collect();
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    if wanted.is_empty() || first == 0 {
        return Ok(Vec::new());
    }
    for entity in kinds.iter().copied() {
        let fields = &reading.view.model().entities[entity].fields;
        let readable = |field: &usize| fields[*field].searchable && (reading.personal || !fields[*field].personal);
        let readable: Vec<usize> = (0..fields.len()).filter(readable).collect();
        if readable.is_empty() {
            continue;
        }
        reading.touch(entity);
        for (slot, mut found) in all_words(reading, entity, &readable, &wanted)? {
            reading.step()?;
            let texts = found.fields.iter().map(|field| word_count(reading, entity, slot, *field)).sum::<usize>();
            let score =
                (found.exact as f64 + 0.5 * (wanted.len() - found.exact) as f64) / texts.max(wanted.len()) as f64;
            let node = reading.view.node(entity, slot);
            if best.len() == first {
                let is_worse = |worst: &Ranked| worst.rank(score, entity, node.key()) != Ordering::Greater;
                if best.peek().is_some_and(is_worse) {
                    continue;
                }
                best.pop();
            }
            found.fields.sort_unstable();
            let hit = Hit { entity, slot, score, fields: found.fields };
            best.push(Ranked { hit, key: node.key().to_owned() });
        }
    }
    Ok(best.into_sorted_vec().into_iter().map(|ranked| ranked.hit).collect())
}

/// Whether a word may be the beginning of others. One letter begins too many; a sign of a script that writes ideas or syllables is a
/// word by itself.
fn is_beginning(word: &str) -> bool {
    let is_sign = |sign: char| {
        matches!(sign,
            '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
    };
    let mut letters = word.chars();
    letters.next().is_some_and(is_sign) || letters.next().is_some()
}

/// The slots in which each word is found.
fn all_words(
    reading: &Reading,
    entity: usize,
    fields: &[usize],
    wanted: &[String],
) -> Result<BTreeMap<u32, Found>, QueryError> {
    let mut all: Option<BTreeMap<u32, Found>> = None;
    for (place, word) in wanted.iter().enumerate() {
        let is_last = place + 1 == wanted.len();
        let mut with_word: BTreeMap<u32, Found> = BTreeMap::new();
        for field in fields {
            let Some(index) = reading.view.words(entity, *field) else { continue };
            let exact = text_code(word);
            let is_last = is_last && is_beginning(word);
            let range = if is_last { prefix_range(word) } else { (exact, exact) };
            for (code, slot) in index.range(range) {
                reading.step()?;
                if all.as_ref().is_some_and(|all| !all.contains_key(&slot)) {
                    continue;
                }
                // Eight bytes and a hash do not tell every word from every other.
                let Some(whole) = has_word(reading, (entity, slot, *field), word, code == exact, is_last) else {
                    continue;
                };
                let found = with_word.entry(slot).or_default();
                found.exact = found.exact.max(usize::from(whole));
                found.add(*field);
            }
        }
        all = Some(match all {
            None => with_word,
            Some(before) => with_word
                .into_iter()
                .filter_map(|(slot, found)| {
                    let mut both = before.get(&slot)?.clone();
                    both.exact += found.exact;
                    found.fields.iter().for_each(|field| both.add(*field));
                    Some((slot, both))
                })
                .collect(),
        });
    }
    Ok(all.unwrap_or_default())
}

/// Whether a field has a word: as a whole (true) or, where that may be, as a beginning (false).
fn has_word(
    reading: &Reading,
    (entity, slot, field): (usize, u32, usize),
    word: &str,
    whole: bool,
    beginning: bool,
) -> Option<bool> {
    let known = words_of(reading.view.node(entity, slot).value(field));
    if whole && known.iter().any(|known| known == word) {
        return Some(true);
    }
    (beginning && known.iter().any(|known| known.starts_with(word) && known != word)).then_some(false)
}

fn word_count(reading: &Reading, entity: usize, slot: u32, field: usize) -> usize {
    words_of(reading.view.node(entity, slot).value(field)).len()
}

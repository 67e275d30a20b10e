//! Words: which entities have all the words of a text in their `@search` fields, best first.

use std::collections::{BTreeMap, BTreeSet};

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
    fields: BTreeSet<usize>,
}

/// Entities of some kinds that have every word of a text, the last one also as a beginning. Fields that may not be read
/// are not looked at. By score, then kind, then key.
pub fn search(reading: &Reading, text: &str, kinds: &[usize], first: usize) -> Result<Vec<Hit>, QueryError> {
    let wanted: Vec<String> = words(text).take(WORDS_MAX).collect();
    let mut hits = Vec::new();
    if wanted.is_empty() {
        return Ok(hits);
    }
    for entity in kinds {
        let fields = &reading.view.model().entities[*entity].fields;
        let readable = |field: &usize| fields[*field].searchable && (reading.personal || !fields[*field].personal);
        let readable: Vec<usize> = (0..fields.len()).filter(readable).collect();
        if readable.is_empty() {
            continue;
        }
        reading.touch(*entity);
        let found = all_words(reading, *entity, &readable, &wanted)?;
        for (slot, found) in found {
            let texts = found.fields.iter().map(|field| word_count(reading, *entity, slot, *field)).sum::<usize>();
            let share =
                (found.exact as f64 + 0.5 * (wanted.len() - found.exact) as f64) / texts.max(wanted.len()) as f64;
            hits.push(Hit { entity: *entity, slot, score: share, fields: found.fields.into_iter().collect() });
        }
    }
    let key = |hit: &Hit| reading.view.node(hit.entity, hit.slot).key().to_owned();
    hits.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score).then(a.entity.cmp(&b.entity));
        by_score.then_with(|| key(a).cmp(&key(b)))
    });
    hits.truncate(first);
    Ok(hits)
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
                found.fields.insert(*field);
            }
        }
        all = Some(match all {
            None => with_word,
            Some(before) => with_word
                .into_iter()
                .filter_map(|(slot, found)| {
                    let mut both = before.get(&slot)?.clone();
                    both.exact += found.exact;
                    both.fields.extend(found.fields);
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

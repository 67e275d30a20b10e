//! Dead letters: what could not be applied, kept with its bytes, its position and the reason.

use std::sync::Arc;

use super::pages::Pages;
use crate::event::{Beside, Rejection};
use crate::model::value::Instant;

/// An event that could not be applied.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub domain: Arc<str>,
    pub topic: Arc<str>,
    pub partition: u32,
    pub offset: u64,
    /// When it was appended.
    pub at: Instant,
    /// Its value, as the log has it.
    pub bytes: Arc<[u8]>,
    /// Its key and headers.
    pub beside: Option<Arc<Beside>>,
    pub rejection: Rejection,
    /// The partition's number among those that the projector reads.
    pub place: usize,
}

impl DeadLetter {
    /// Names the letter by its place in the log.
    pub fn id(&self) -> String {
        format!("DeadLetter:{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// The letters in the order in which they came. The newest [`LETTERS_MAX`] are kept whole; of older ones nothing but their
/// count: the log still has their bytes.
#[derive(Clone, Default)]
pub struct DeadLetters {
    letters: Pages<Option<DeadLetter>>,
    first_kept: usize,
    bytes: usize,
}

/// Bounds what a flood of poison costs: at most this many letters,
const LETTERS_MAX: usize = 100_000;
/// and at most this many bytes of theirs.
const BYTES_MAX: usize = 128 << 20;

impl DeadLetters {
    pub fn push(&mut self, letter: DeadLetter) {
        self.bytes += letter.bytes.len();
        self.letters.push(Some(letter));
        while self.letters.len() - self.first_kept > LETTERS_MAX || self.bytes > BYTES_MAX {
            if let Some(oldest) = self.letters.get_mut(self.first_kept) {
                self.bytes -= oldest.take().map_or(0, |letter| letter.bytes.len());
            }
            self.first_kept += 1;
        }
    }

    /// Takes a letter away: it was applied after all, or nobody wants it.
    pub fn remove(&mut self, number: usize) {
        if number >= self.first_kept
            && let Some(letter) = self.letters.get_mut(number).and_then(Option::take)
        {
            self.bytes -= letter.bytes.len();
        }
    }

    /// The letters from a number on, those that are no more left out.
    pub fn since(&self, number: usize) -> impl Iterator<Item = (usize, &DeadLetter)> {
        self.iter().skip_while(move |(known, _)| *known < number)
    }

    /// A letter that is kept.
    pub fn get(&self, number: usize) -> Option<&DeadLetter> {
        Option::as_ref(self.letters.get(number)?)
    }

    /// All that ever came.
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// Those that are kept, oldest first, each with its number from 0.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &DeadLetter)> {
        let all = (self.first_kept..self.letters.len()).filter_map(|index| Some((index, self.letters.get(index)?)));
        all.filter_map(|(index, letter)| Some((index, letter.as_ref().as_ref()?)))
    }
}

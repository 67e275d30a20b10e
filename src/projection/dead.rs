//! Dead letters: what could not be applied, kept with its bytes, its position and the reason.

use std::sync::Arc;

use super::pages::Pages;
use crate::event::{Beside, Rejection};
use crate::ids::{NodeId, PartitionId};
use crate::limits::{LETTER_BYTES_MAX, LETTERS_MAX};
use crate::model::value::Instant;

/// An event that could not be applied.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub domain: Arc<str>,
    pub topic: Arc<str>,
    /// The partition's number in its topic.
    pub partition: u32,
    pub offset: u64,
    /// When it was appended.
    pub at: Instant,
    /// Its value, as the log has it.
    pub bytes: Arc<[u8]>,
    /// Its key and headers.
    pub beside: Option<Arc<Beside>>,
    pub rejection: Rejection,
    pub partition_id: PartitionId,
    /// Whose event it is, where that could be read.
    pub node: Option<NodeId>,
    /// Whether whose event it is was erased: nothing is kept of it but its place and the reason.
    pub is_erased: bool,
}

impl DeadLetter {
    /// Names the letter by its place in the log.
    pub fn id(&self) -> String {
        format!("DeadLetter:{}/{}@{}", self.topic, self.partition, self.offset)
    }

    /// Forgets what it says of somebody.
    pub(super) fn erase(&mut self) {
        (self.bytes, self.beside, self.rejection.subject) = (Arc::default(), None, None);
        self.is_erased = true;
    }

    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let Rejection { field, message, id, kind, subject, .. } = &self.rejection;
        let said = message.len() + [field, id, kind, subject].into_iter().map(text).sum::<usize>();
        let bytes = |bytes: &Option<Box<[u8]>>| bytes.as_ref().map_or(0, |bytes| bytes.len());
        let beside = self.beside.as_ref().map_or(0, |beside| {
            let headers = beside.headers.iter().map(|(name, value)| name.len() + bytes(value));
            bytes(&beside.key) + headers.sum::<usize>() + size_of_val(&*beside.headers)
        });
        size_of::<DeadLetter>() + self.bytes.len() + said + beside
    }
}

/// The letters in the order in which they came. The newest [`LETTERS_MAX`] are kept; of older ones nothing but their
/// count: the log still has their bytes.
#[derive(Clone, Default)]
pub struct DeadLetters {
    letters: Pages<Option<DeadLetter>>,
    first_kept: usize,
    bytes: usize,
}

impl DeadLetters {
    pub fn push(&mut self, letter: DeadLetter) {
        self.bytes += letter.size();
        self.letters.push(Some(letter));
        while self.letters.len() - self.first_kept > LETTERS_MAX || self.bytes > LETTER_BYTES_MAX {
            self.remove(self.first_kept);
            self.first_kept += 1;
        }
        self.letters.drop_before(self.first_kept);
    }

    /// None yet, and the next one has this number.
    pub(super) fn from(number: usize) -> DeadLetters {
        DeadLetters { letters: Pages::from(number), first_kept: number, bytes: 0 }
    }

    /// Puts a letter where it was before; those in between are no more.
    pub(super) fn put(&mut self, number: usize, letter: DeadLetter) {
        self.fill(number);
        self.push(letter);
    }

    /// Says that all before a number came.
    pub(super) fn fill(&mut self, count: usize) {
        while self.letters.len() < count {
            self.letters.push(None);
        }
    }

    pub(super) fn first_kept(&self) -> usize {
        self.first_kept
    }

    /// Takes a letter away: it was applied after all, or nobody wants it.
    pub fn remove(&mut self, number: usize) -> Option<DeadLetter> {
        let letter = self.letters.get_mut(number)?.take()?;
        self.bytes -= letter.size();
        Some(letter)
    }

    /// Has the letters that somebody meant forget what they say. Gives their numbers.
    pub(super) fn erase(&mut self, is_meant: impl Fn(&DeadLetter) -> bool) -> Vec<usize> {
        let meant = self.iter().filter(|(_, letter)| !letter.is_erased && is_meant(letter));
        let meant: Vec<usize> = meant.map(|(number, _)| number).collect();
        for number in &meant {
            if let Some(Some(letter)) = self.letters.get_mut(*number) {
                self.bytes -= letter.size();
                letter.erase();
                self.bytes += letter.size();
            }
        }
        meant
    }

    /// The letters from a number on, those that are no more left out.
    pub fn since(&self, number: usize) -> impl DoubleEndedIterator<Item = (usize, &DeadLetter)> {
        let all = self.first_kept.max(number)..self.letters.len();
        all.filter_map(|number| Some((number, self.get(number)?)))
    }

    /// A letter that is kept.
    pub fn get(&self, number: usize) -> Option<&DeadLetter> {
        Option::as_ref(self.letters.get(number)?)
    }

    /// Bytes of those that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All that ever came.
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// Those that are kept, oldest first, each with its number from 0.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &DeadLetter)> {
        self.since(0)
    }
}

//! Dead letters, read once more or taken away.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::Work;
use super::decode::Translator;
use super::partitions::Partitions;
use crate::event::Batch;
use crate::freshness::Basis;
use crate::ids::PartitionId;
use crate::projection::DeadLetter;
use crate::serving::Generation;
use crate::source::{Outlet, Raw};

/// Which letters are meant; what is left out does not matter, but something must be said.
#[derive(Clone, Debug, Default)]
pub struct Letters {
    pub id: Option<String>,
    pub code: Option<String>,
    pub domain: Option<String>,
}

impl Letters {
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.code.is_none() && self.domain.is_none()
    }

    pub fn hold(&self, letter: &DeadLetter) -> bool {
        self.id.as_ref().is_none_or(|id| *id == letter.id())
            && self.code.as_deref().is_none_or(|code| code == letter.rejection.code.name())
            && self.domain.as_deref().is_none_or(|domain| *domain == *letter.domain)
    }
}

/// Writes a letter to where letters are written beside: what is known of it as headers, then the record's own, and its value.
pub(super) fn put(outlet: &dyn Outlet, letter: &DeadLetter) {
    let rejection = &letter.rejection;
    let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
    let known = [
        ("staygraph.code", Some(rejection.code.name())),
        ("staygraph.message", Some(rejection.message.as_str())),
        ("staygraph.field", rejection.field.as_deref()),
        ("staygraph.domain", Some(&*letter.domain)),
        ("staygraph.topic", Some(&*letter.topic)),
        ("staygraph.partition", Some(partition.as_str())),
        ("staygraph.offset", Some(offset.as_str())),
        ("staygraph.type", rejection.kind.as_deref()),
        ("staygraph.subject", rejection.subject.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, Some(value?.as_bytes()))));
    let mut headers: Vec<(&str, Option<&[u8]>)> = known.collect();
    if let Some(beside) = letter.beside.as_deref() {
        headers.extend(beside.key.as_deref().map(|key| ("staygraph.key", Some(key))));
        let own = beside.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        headers.extend(own.filter(|(name, _)| !name.starts_with("staygraph.") && !name.contains('\0')));
    }
    let has_value = letter.beside.as_deref().is_none_or(|beside| beside.has_value);
    // A letter without a value would be a tombstone: an empty one says that there was none.
    let value: &[u8] = if has_value { &letter.bytes } else { &[] };
    outlet.put(&letter.id(), Some(value), &headers);
}

/// What became of some letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    pub letters: usize,
    /// Events that were made of them and applied.
    pub applied: usize,
    /// Letters that were refused again.
    pub refused: usize,
}

/// Reads letters once more, in the caller's thread, and has the projector apply what they are.
pub struct Retrier {
    translator: Mutex<Translator>,
    partitions: Arc<Partitions>,
    generation: Arc<Generation>,
    /// None once the pipeline stops.
    work: Mutex<Option<SyncSender<Work>>>,
}

/// The service stops, or what is needed to read a letter is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow(pub String);

impl Retrier {
    pub(super) fn new(
        translator: Translator,
        partitions: Arc<Partitions>,
        generation: Arc<Generation>,
        work: SyncSender<Work>,
    ) -> Retrier {
        Retrier { translator: Mutex::new(translator), partitions, generation, work: Mutex::new(Some(work)) }
    }

    /// Reads no more letters; and what is found of partitions, this generation is told no more. Its projector ends once its readers have.
    pub fn close(&self) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.partitions.leave(self.generation.id());
    }

    /// Reads the letters once more with what is known now. Returns when a version has what came of it; blocks.
    pub fn retry(&self, wanted: &Letters) -> Result<Retried, NotNow> {
        let snapshot = self.generation.snapshot();
        let mut batches: BTreeMap<PartitionId, (Batch, Vec<usize>)> = BTreeMap::new();
        let mut retried = Retried::default();
        let mut translator = self.translator.lock().unwrap_or_else(PoisonError::into_inner);
        translator.forget_bad_schemas();
        for (number, letter) in snapshot.dead_letters.iter().filter(|(_, letter)| wanted.hold(letter)) {
            if letter.is_erased {
                // There is nothing to read.
                continue;
            }
            let (batch, letters) =
                batches.entry(letter.partition_id).or_insert_with(|| (Batch::new(letter.partition_id), Vec::new()));
            let beside = letter.beside.as_deref();
            let headers: Vec<(&str, Option<&[u8]>)> = beside
                .map(|beside| beside.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect())
                .unwrap_or_default();
            let raw = Raw {
                offset: letter.offset,
                at: letter.at,
                basis: Basis::Append,
                key: beside.and_then(|beside| beside.key.as_deref()),
                value: beside.is_none_or(|beside| beside.has_value).then_some(&*letter.bytes),
                headers: &headers,
            };
            let topic = self.partitions.topic(letter.partition_id);
            translator.push(topic, &raw, batch).map_err(NotNow)?;
            letters.push(number);
        }
        drop(translator);
        for (batch, letters) in batches.into_values() {
            let refused = batch.items().filter(|item| item.outcome.is_err()).count();
            retried.letters += letters.len();
            retried.refused += refused;
            retried.applied += batch.len() - refused;
            self.send(|done| Work::Again { batch: Box::new(batch), letters, done })?;
        }
        Ok(retried)
    }

    /// Takes the letters away. Gives how many. Returns when a version is without them; blocks.
    pub fn discard(&self, wanted: &Letters) -> Result<usize, NotNow> {
        let snapshot = self.generation.snapshot();
        let held = snapshot.dead_letters.iter().filter(|(_, letter)| wanted.hold(letter));
        let letters: Vec<usize> = held.map(|(number, _)| number).collect();
        let count = letters.len();
        self.send(|done| Work::Discard { letters, done })?;
        Ok(count)
    }

    fn send(&self, work: impl FnOnce(SyncSender<()>) -> Work) -> Result<(), NotNow> {
        let stopping = || NotNow("the service stops".into());
        let sender = self.work.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(stopping)?;
        let (done, published) = sync_channel(1);
        sender.send(work(done)).map_err(|_| stopping())?;
        drop(sender);
        published.recv().map_err(|_| stopping())
    }
}

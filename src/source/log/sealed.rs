//! What of records lies sealed beside their bodies: opened for whoever reads, and sealed anew where others seal than did.

use std::ops::ControlFlow;
use std::sync::Arc;

use fjall::{KeyspaceCreateOptions, PersistMode};

use super::{COMMIT_BYTES_MAX, Log, LogError, LogRecord, Shared, block, read_topic, record_key};

/// Bytes of a journal after which the store begins another at its next flush: 64,000,000, and some more.
const JOURNAL_BYTES: u64 = 72 << 20;

/// What of a record was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The body as it was appended.
    Whole(Vec<u8>),
    /// Its key is destroyed: the body is all that there is.
    Gone,
    /// It has a key, which does not fit.
    Damaged,
}

/// Opens what was sealed of records, and seals. What that is, the log does not know.
pub trait Seals: Send + Sync {
    fn open(&self, key: &[u8], body: &[u8], sealed: &[u8]) -> Opened;

    /// A record as it is to be stored, where that differs from how it is: its body, and what is sealed of it, which is none
    /// where that is gone.
    fn seal_anew(&self, record: &LogRecord<'_>) -> Option<(Vec<u8>, Option<Vec<u8>>)>;
}

impl Shared {
    /// Shows a record with its sealed part opened.
    pub(super) fn open(
        &self,
        record: LogRecord<'_>,
        show: &mut impl FnMut(LogRecord<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, LogError> {
        let (Some(sealed), Some(seals)) = (record.sealed, self.seals.get()) else { return Ok(show(record)) };
        match seals.open(record.key, record.bytes, sealed) {
            Opened::Whole(bytes) => Ok(show(LogRecord { bytes: &bytes, sealed: None, ..record })),
            Opened::Gone => Ok(show(LogRecord { sealed: None, ..record })),
            Opened::Damaged => {
                Err(LogError::Store(format!("the sealed part of the record at offset {} is damaged", record.offset)))
            }
        }
    }
}

impl Log {
    /// Which key file records are sealed with, by the number that it was given; none where nothing was ever sealed.
    pub fn sealed_with(&self) -> Result<Option<u64>, LogError> {
        let damaged = || LogError::Store("what the log keeps of its key file is damaged".into());
        let Some(bytes) = self.shared.meta.get("keys")? else { return Ok(None) };
        Ok(Some(u64::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged())?)))
    }

    /// Has records opened from now on. `keys` is the key file, and `mark` what is sealed: where the log was not sealed under
    /// this mark yet, all its records are sealed anew, and what they were leaves the store's files. To be called once, before
    /// anything is appended. Gives how many records were written anew.
    pub fn seal_with(&self, seals: Arc<dyn Seals>, keys: u64, mark: u64) -> Result<u64, LogError> {
        let Shared { database, meta, .. } = &*self.shared;
        if self.sealed_with()? != Some(keys) {
            // Before anything is: whoever finds something sealed knows by what.
            meta.insert("keys", keys.to_be_bytes())?;
            database.persist(PersistMode::SyncAll)?;
        }
        let mut count = 0;
        if meta.get("sealed")?.as_deref() != Some(&mark.to_be_bytes()[..]) {
            count = self.shared.seal_anew(&*seals)?;
            if count > 0 {
                self.shared.let_go()?;
            }
            meta.insert("sealed", mark.to_be_bytes())?;
            database.persist(PersistMode::SyncAll)?;
        }
        // Nobody else sets it.
        let _ = self.shared.seals.set(seals);
        Ok(count)
    }
}

impl Shared {
    /// Writes all blocks anew that hold something to be sealed. No offset moves.
    fn seal_anew(&self, seals: &dyn Seals) -> Result<u64, LogError> {
        let mut count = 0;
        for entry in self.meta.prefix("topic/") {
            let (key, value) = entry.into_inner()?;
            let name = String::from_utf8_lossy(&key["topic/".len()..]).into_owned();
            let (identity, _) = read_topic(&name, &String::from_utf8_lossy(&value))?;
            let all = record_key(identity, 0, 0)..=record_key(identity, u32::MAX, u64::MAX);
            let (mut batch, mut bytes) = (self.database.batch().durability(Some(PersistMode::SyncAll)), 0);
            for item in self.records.range(all) {
                let (key, block) = item.into_inner()?;
                let records = block::decode(&block).map_err(LogError::Store)?;
                let Some((anew, changed)) = write_anew(&records, seals) else { continue };
                count += changed;
                bytes += anew.len();
                batch.insert(&self.records, &*key, anew);
                if bytes >= COMMIT_BYTES_MAX {
                    self.check_space(bytes as u64)?;
                    batch.commit()?;
                    (batch, bytes) = (self.database.batch().durability(Some(PersistMode::SyncAll)), 0);
                }
            }
            batch.commit()?;
        }
        Ok(count)
    }

    /// Has what was overwritten leave the store's files: its tables by a compaction, its journal by another that takes its
    /// place. The store begins another where one has grown large, and in no other way: so it is made large.
    fn let_go(&self) -> Result<(), LogError> {
        self.check_space(JOURNAL_BYTES)?;
        let filling = self.database.keyspace("filling", KeyspaceCreateOptions::default)?;
        for number in 0..JOURNAL_BYTES / COMMIT_BYTES_MAX as u64 {
            let mut bytes = vec![0; COMMIT_BYTES_MAX];
            getrandom::fill(&mut bytes).map_err(|error| LogError::Store(format!("no randomness: {error}")))?;
            filling.insert(number.to_be_bytes(), bytes)?;
        }
        for keyspace in [&filling, &self.meta, &self.records] {
            keyspace.rotate_memtable_and_wait()?;
        }
        self.records.major_compact()?;
        self.database.delete_keyspace(filling)?;
        // Has the store look for files that nobody needs any more.
        self.meta.insert("keys", &*self.meta.get("keys")?.unwrap_or_default())?;
        self.meta.rotate_memtable_and_wait()?;
        Ok(())
    }
}

/// A block with its records sealed anew, and how many changed; none where none did.
fn write_anew(records: &[LogRecord<'_>], seals: &dyn Seals) -> Option<(Vec<u8>, u64)> {
    let anew: Vec<_> = records.iter().map(|record| seals.seal_anew(record)).collect();
    let changed = anew.iter().flatten().count() as u64;
    let first = records.first().filter(|_| changed > 0)?;
    let mut block = block::begin(0);
    for (record, anew) in records.iter().zip(&anew) {
        match anew {
            None => block::lay(&mut block, record.key, record.bytes, record.sealed),
            Some((body, sealed)) => block::lay(&mut block, record.key, body, sealed.as_deref()),
        }
    }
    block::finish(&mut block, first.appended_at, first.offset, records.len() as u32);
    Some((block, changed))
}

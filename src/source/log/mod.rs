//! The embedded log: durable, partitioned by key, on `fjall`.
//!
//! One thread writes: it takes all appends that wait, stores them as one batch, syncs once, and only then answers them
//! (group commit). What was answered survives a loss of power. Reads go on while writes are refused.
//!
//! Not here: what a record means. Keys and bytes in, keys and bytes out.

mod block;
mod draft;
mod keeping;
mod making;
mod partitioner;
mod retention;
mod sealed;

use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, mpsc};
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

pub use block::LogRecord;
pub use draft::{Appended, Draft, Drafted, Stretch};
pub use partitioner::partition_of;
pub use sealed::{Opened, Seals};

use draft::Part;

use crate::model::value::Instant;
use crate::position::LogId;
use crate::threads::{Lasts, Thread, Threads};

/// The log's format; another is refused.
const FORMAT: &str = "1";
/// Partitions of a topic, fixed when it is made.
pub const PARTITIONS: u32 = 4;
/// The name of how keys are spread, fixed when a topic is made.
const PARTITIONER: &str = "murmur2";
/// Appends that may wait for the writer. More would only wait longer.
const WAITING_MAX: usize = 1024;
/// Bytes that one commit takes together, so that the first to wait does not wait for all.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// How long closing waits for appends under way.
const CLOSE: Duration = Duration::from_secs(10);

/// Why the log does not do what was asked.
#[derive(Clone, Debug)]
pub enum LogError {
    /// Another process has it open.
    Locked(PathBuf),
    /// Less space is left than must be.
    DiskFull {
        available: u64,
        wanted: u64,
    },
    /// The store failed, or holds what this version cannot read.
    Store(String),
    Closed,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Locked(path) => {
                write!(
                    f,
                    "the log in {} is in use by another process: stop it, or append with `--to URL`",
                    path.display()
                )
            }
            LogError::DiskFull { available, wanted } => {
                write!(f, "the disk is full: {available} bytes are free, and {wanted} must stay so; reads go on")
            }
            LogError::Store(reason) => write!(f, "the log's store failed: {reason}"),
            LogError::Closed => f.write_str("the log is closed"),
        }
    }
}

impl std::error::Error for LogError {}

impl From<fjall::Error> for LogError {
    fn from(error: fjall::Error) -> LogError {
        LogError::Store(error.to_string())
    }
}

/// What is appended stays in memory until it comes to so many bytes.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// A topic of the log.
#[derive(Debug)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: LogId,
    pub partitions: u32,
    /// By partition: the offset after the last durable record,
    ends: Vec<AtomicU64>,
    /// and that of the first that is still there.
    starts: Vec<AtomicU64>,
}

impl Topic {
    pub fn end(&self, partition: u32) -> u64 {
        self.ends[partition as usize].load(Ordering::Acquire)
    }

    /// The first record that the log still holds of a partition.
    pub fn start(&self, partition: u32) -> u64 {
        self.starts[partition as usize].load(Ordering::Acquire)
    }
}

struct Shared {
    database: Database,
    records: Keyspace,
    meta: Keyspace,
    cluster: u64,
    path: PathBuf,
    free_bytes_min: u64,
    /// When the newest record of the topics in use was appended, in microseconds.
    last_micros: AtomicI64,
    /// The time of what is being written, in microseconds, where something is.
    writing: Mutex<Option<i64>>,
    topics: RwLock<Vec<Arc<Topic>>>,
    /// By topic: what its blocks are stored under.
    identities: Mutex<Vec<u64>>,
    /// Counts commits, so that a reader can wait for the next.
    commits: Mutex<u64>,
    committed: Condvar,
    clock: fn() -> Instant,
    /// What opens the sealed parts of records, where something does.
    seals: OnceLock<Arc<dyn Seals>>,
}

struct Append {
    draft: Draft,
    answer: mpsc::SyncSender<Result<Appended, LogError>>,
}

/// The log. Dropping it waits for appends under way.
pub struct Log {
    shared: Arc<Shared>,
    appends: Option<mpsc::SyncSender<Append>>,
    writer: Thread,
}

impl Log {
    /// Opens or makes the log in a folder. Appends are refused when fewer than `free_bytes_min` bytes would be left.
    pub fn open(path: &Path, free_bytes_min: u64, clock: fn() -> Instant) -> Result<Log, LogError> {
        Log::open_among(path, free_bytes_min, clock, &Threads::default())
    }

    /// The same, its writer among the threads that somebody looks after.
    pub fn open_among(
        path: &Path,
        free_bytes_min: u64,
        clock: fn() -> Instant,
        threads: &Threads,
    ) -> Result<Log, LogError> {
        let database = making::open(path)?;
        let records =
            database.keyspace("records", || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES))?;
        let meta = database.keyspace("meta", KeyspaceCreateOptions::default)?;
        let cluster = match meta.get("format")? {
            None => {
                let cluster = random()?;
                let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&meta, "format", FORMAT);
                batch.insert(&meta, "cluster", cluster.to_be_bytes());
                batch.commit()?;
                cluster
            }
            Some(format) if &*format == FORMAT.as_bytes() => {
                let bytes = meta.get("cluster")?.ok_or_else(|| LogError::Store("the log has no identity".into()))?;
                u64::from_be_bytes(
                    bytes.as_ref().try_into().map_err(|_| LogError::Store("the log's identity is damaged".into()))?,
                )
            }
            Some(format) => {
                let format = String::from_utf8_lossy(&format).into_owned();
                return Err(LogError::Store(format!(
                    "{} has the log format {format}, and this version reads {FORMAT}",
                    path.display()
                )));
            }
        };
        let shared = Arc::new(Shared {
            database,
            records,
            meta,
            cluster,
            path: path.to_owned(),
            free_bytes_min,
            last_micros: AtomicI64::new(0),
            writing: Mutex::default(),
            topics: RwLock::default(),
            identities: Mutex::default(),
            commits: Mutex::new(0),
            committed: Condvar::new(),
            clock,
            seals: OnceLock::new(),
        });
        let (appends, waiting) = mpsc::sync_channel(WAITING_MAX);
        let writer = threads.spawn("log-writer", Lasts::UntilReleased, {
            let shared = shared.clone();
            move || write(&shared, &waiting)
        });
        let writer = writer.map_err(|error| LogError::Store(format!("no thread for the log's writer: {error}")))?;
        Ok(Log { shared, appends: Some(appends), writer })
    }

    /// The number of a topic, which is made where it is missing.
    pub fn topic(&self, name: &str) -> Result<usize, LogError> {
        let mut topics = self.shared.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = topics.iter().position(|topic| topic.name.as_ref() == name) {
            return Ok(index);
        }
        let key = format!("topic/{name}");
        let (identity, partitions) = match self.shared.meta.get(&key)? {
            Some(bytes) => read_topic(name, &String::from_utf8_lossy(&bytes))?,
            None => {
                let identity = random()?;
                let mut batch = self.shared.database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(
                    &self.shared.meta,
                    key.as_str(),
                    format!("{identity:016x} {PARTITIONS} {PARTITIONER}").as_str(),
                );
                batch.commit()?;
                (identity, PARTITIONS)
            }
        };
        let (mut ends, mut starts) = (Vec::new(), Vec::new());
        for partition in 0..partitions {
            let last = self.shared.end(identity, partition)?;
            if let Some((_, at)) = last {
                self.shared.last_micros.fetch_max(at.micros(), Ordering::AcqRel);
            }
            ends.push(AtomicU64::new(last.map_or(0, |(end, _)| end)));
            starts.push(AtomicU64::new(self.shared.start(identity, partition)?));
        }
        let id = LogId(((self.shared.cluster ^ identity.rotate_left(32)) >> 16) as u32);
        topics.push(Arc::new(Topic { name: name.into(), id, partitions, ends, starts }));
        let mut identities = self.shared.identities();
        identities.push(identity);
        Ok(topics.len() - 1)
    }

    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.shared.topics()
    }

    /// Something to append, of about so many bytes.
    pub fn draft(&self, bytes: usize) -> Draft {
        Draft::new(self.topics(), bytes)
    }

    /// Appends a draft's records and returns when they are durable. Blocks; all or none are written.
    pub fn append(&self, draft: Draft) -> Result<Appended, LogError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let appends = self.appends.as_ref().ok_or(LogError::Closed)?;
        appends.send(Append { draft, answer }).map_err(|_| LogError::Closed)?;
        answered.recv().map_err(|_| LogError::Closed)?
    }

    /// Shows records from an offset on, as they were appended or, where what was sealed of one is gone, without that; about `bytes_max` of them, and at least one where there is one, until it is told to
    /// stop.
    pub fn read(
        &self,
        topic: usize,
        partition: u32,
        from: u64,
        bytes_max: usize,
        mut show: impl FnMut(LogRecord<'_>) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        let identity = self.shared.identities()[topic];
        let end = self.topics()[topic].end(partition);
        let mut bytes = 0;
        for item in
            self.shared.records.range(record_key(identity, partition, from)..=record_key(identity, partition, u64::MAX))
        {
            let (_, block) = item.into_inner()?;
            bytes += block.len();
            let records = block::decode(&block).map_err(LogError::Store)?.into_iter();
            let mut shown = ControlFlow::Continue(());
            for record in records.filter(|record| (from..end).contains(&record.offset)) {
                shown = self.shared.open(record, &mut show)?;
                if shown.is_break() {
                    break;
                }
            }
            if bytes >= bytes_max || shown.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Puts what is no block in the place of one, as a disk may that fails.
    #[cfg(test)]
    pub fn damage(&self, topic: usize, partition: u32, last_offset: u64) {
        let key = record_key(self.shared.identities()[topic], partition, last_offset);
        self.shared.records.insert(key, b"no block").expect("room");
    }

    /// Now, or the time of what is being written: all that has an earlier time lies before the ends that are read next.
    pub fn settled_at(&self) -> Instant {
        let writing = self.shared.writing();
        let now = (self.shared.clock)();
        writing.map_or(now, |micros| now.min(Instant::from_micros(micros)))
    }

    /// Bytes of memory that the store holds of it: what is not in its files yet, and what it keeps of them.
    pub fn memory(&self) -> u64 {
        self.shared.database.write_buffer_size() + self.shared.database.cache_size()
    }

    /// How many commits there were; with [`Log::wait`], a way to sleep until the next.
    pub fn commits(&self) -> u64 {
        *self.shared.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when there were more commits than `seen`, or after `at_most`.
    pub fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        let commits = self.shared.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.committed.wait_timeout_while(commits, at_most, |commits| *commits == seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes everyone in [`Log::wait`], for a shutdown.
    pub fn wake(&self) {
        self.shared.announce();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.writer.release();
        self.appends = None;
        if !self.writer.join(CLOSE) {
            tracing::warn!("the log's writer does not end: its disk does not answer");
        }
    }
}

impl Shared {
    fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn identities(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> std::sync::MutexGuard<'_, Option<i64>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of what is written now.
    fn stamp(&self) -> Instant {
        // Under the lock, so that nobody takes a later time for one that is settled.
        let mut writing = self.writing();
        let now = (self.clock)().micros();
        // Clocks go back; the log's times do not.
        let micros = now.max(self.last_micros.fetch_max(now, Ordering::AcqRel));
        *writing = Some(micros);
        Instant::from_micros(micros)
    }

    fn announce(&self) {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.committed.notify_all();
    }

    /// Where a partition ends, and when its last record was appended; none where it is empty.
    fn end(&self, identity: u64, partition: u32) -> Result<Option<(u64, Instant)>, LogError> {
        let range = record_key(identity, partition, 0)..=record_key(identity, partition, u64::MAX);
        let Some(last) = self.records.range(range).next_back() else { return Ok(None) };
        let (_, block) = last.into_inner()?;
        let records = block::decode(&block).map_err(LogError::Store)?;
        Ok(records.last().map(|record| (record.offset + 1, record.appended_at)))
    }

    fn available(&self) -> Result<u64, LogError> {
        let status = rustix::fs::statvfs(&self.path)
            .map_err(|error| LogError::Store(format!("free space is not known: {error}")))?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    fn check_space(&self, bytes: u64) -> Result<(), LogError> {
        let available = self.available()?;
        let wanted = self.free_bytes_min.saturating_add(bytes);
        if available < wanted { Err(LogError::DiskFull { available, wanted }) } else { Ok(()) }
    }
}

/// The writer's loop: everything that waits, up to a bound, in one synced batch.
fn write(shared: &Shared, waiting: &mpsc::Receiver<Append>) {
    while let Ok(first) = waiting.recv() {
        let mut bytes = first.draft.bytes();
        let (mut drafts, mut answers) = (vec![first.draft], vec![first.answer]);
        while bytes < COMMIT_BYTES_MAX
            && let Ok(next) = waiting.try_recv()
        {
            bytes += next.draft.bytes();
            drafts.push(next.draft);
            answers.push(next.answer);
        }
        let at = shared.stamp();
        let outcome = shared.check_space(bytes as u64).and_then(|()| commit(shared, drafts, at));
        *shared.writing() = None;
        match outcome {
            Ok(appended) => {
                shared.announce();
                for (answer, appended) in answers.into_iter().zip(appended) {
                    let _ = answer.send(Ok(appended));
                }
            }
            Err(error) => answers.into_iter().for_each(|answer| {
                let _ = answer.send(Err(error.clone()));
            }),
        }
    }
}

fn commit(shared: &Shared, drafts: Vec<Draft>, at: Instant) -> Result<Vec<Appended>, LogError> {
    let topics = shared.topics();
    let mut parts: std::collections::BTreeMap<(usize, u32), Part> = Default::default();
    let mut all = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut stretches = Vec::with_capacity(draft.parts.len());
        for part in draft.parts {
            let (topic, partition, count) = (topics[part.topic].clone(), part.partition, part.count);
            let end = topic.end(partition);
            let before = match parts.entry((part.topic, partition)) {
                Entry::Vacant(entry) => {
                    entry.insert(part);
                    0
                }
                Entry::Occupied(mut entry) => {
                    let whole = entry.get_mut();
                    block::join(&mut whole.block, &part.block);
                    whole.count += count;
                    whole.count - count
                }
            };
            stretches.push(Stretch { topic, partition, first: end + u64::from(before), count });
        }
        all.push(Appended { stretches });
    }
    let identities = shared.identities().clone();
    let mut batch = shared.database.batch().durability(Some(PersistMode::SyncAll));
    for ((topic, partition), part) in &mut parts {
        let first = topics[*topic].end(*partition);
        block::finish(&mut part.block, at, first, part.count);
        let last = first + u64::from(part.count) - 1;
        batch.insert(&shared.records, record_key(identities[*topic], *partition, last), part.block.as_slice());
    }
    batch.commit()?;
    for ((topic, partition), part) in &parts {
        topics[*topic].ends[*partition as usize].fetch_add(u64::from(part.count), Ordering::Release);
    }
    Ok(all)
}

/// A block's key: topic, partition, the offset of its last record. So the first key from an offset on is the block that
/// holds it.
fn record_key(identity: u64, partition: u32, last_offset: u64) -> [u8; 20] {
    let mut key = [0; 20];
    key[..8].copy_from_slice(&identity.to_be_bytes());
    key[8..12].copy_from_slice(&partition.to_be_bytes());
    key[12..].copy_from_slice(&last_offset.to_be_bytes());
    key
}

fn read_topic(name: &str, text: &str) -> Result<(u64, u32), LogError> {
    let damaged = || LogError::Store(format!("what the log keeps of topic {name} is not readable: {text}"));
    let [identity, partitions, partitioner] = text.split(' ').collect::<Vec<_>>()[..] else { return Err(damaged()) };
    if partitioner != PARTITIONER {
        return Err(LogError::Store(format!(
            "topic {name} is partitioned by {partitioner}, and this version knows {PARTITIONER}"
        )));
    }
    let identity = u64::from_str_radix(identity, 16).map_err(|_| damaged())?;
    Ok((identity, partitions.parse().map_err(|_| damaged())?))
}

fn random() -> Result<u64, LogError> {
    getrandom::u64().map_err(|error| LogError::Store(format!("no randomness for a new identity: {error}")))
}

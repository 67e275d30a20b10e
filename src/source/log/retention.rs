//! What the log lets go of: whole blocks from a partition's start on, as far as somebody else holds what they came to. No offset
//! begins again: the newest block of a partition always stays.

use std::sync::atomic::Ordering;

use fjall::PersistMode;

use super::{Log, LogError, Shared, block, record_key};
use crate::model::value::Instant;

impl Log {
    /// For tests of what reads there. Drops records of a partition that lie before an offset, by whole blocks, never the newest of them. Gives where the
    /// partition starts then. `topic` is its number in the log.
    #[cfg(test)]
    pub fn drop_before(&self, topic: usize, partition: u32, offset: u64) -> Result<u64, LogError> {
        self.drop_while(topic, partition, |block| block.first + u64::from(block.count) <= offset)
    }

    /// Drops what is older than a moment, and lies before what somebody holds: `floors` gives, by topic and partition, the
    /// first offset that is still needed. A block is as old as its time of appending. Gives how many records went.
    pub fn retain(&self, since: Instant, floors: impl Fn(usize, u32) -> u64) -> Result<u64, LogError> {
        let mut count = 0;
        for (number, topic) in self.topics().iter().enumerate() {
            for partition in 0..topic.partitions {
                let (floor, before) = (floors(number, partition), topic.start(partition));
                let is_old =
                    |block: &block::Head| block.appended_at < since && block.first + u64::from(block.count) <= floor;
                count += self.drop_while(number, partition, is_old)? - before;
            }
        }
        Ok(count)
    }

    fn drop_while(
        &self,
        topic: usize,
        partition: u32,
        is_dropped: impl Fn(&block::Head) -> bool,
    ) -> Result<u64, LogError> {
        let (known, identity) = (self.topics()[topic].clone(), self.shared.identities()[topic]);
        let end = known.end(partition);
        let (mut start, mut batch) = (known.start(partition), None);
        for item in
            self.shared.records.range(record_key(identity, partition, start)..record_key(identity, partition, end))
        {
            let (key, bytes) = item.into_inner()?;
            let head = block::head(&bytes).map_err(LogError::Store)?;
            let next = head.first + u64::from(head.count);
            // The newest says where the next one begins.
            if next >= end || !is_dropped(&head) {
                break;
            }
            let new = || self.shared.database.batch().durability(Some(PersistMode::SyncAll));
            batch.get_or_insert_with(new).remove(&self.shared.records, &*key);
            start = next;
        }
        if let Some(batch) = batch {
            // Before the records go: whoever reads there is told rather than finding nothing.
            known.starts[partition as usize].store(start, Ordering::Release);
            batch.commit()?;
        }
        Ok(start)
    }
}

impl Shared {
    /// Where a partition starts: later than at 0 where the log let go of records.
    pub(super) fn start(&self, identity: u64, partition: u32) -> Result<u64, LogError> {
        let range = record_key(identity, partition, 0)..=record_key(identity, partition, u64::MAX);
        let Some(first) = self.records.range(range).next() else { return Ok(0) };
        Ok(block::head(&first.into_inner()?.1).map_err(LogError::Store)?.first)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::AtomicI64;

    use super::*;

    static NOW: AtomicI64 = AtomicI64::new(0);

    fn now() -> Instant {
        Instant::from_micros(NOW.load(Ordering::Relaxed))
    }

    fn held(log: &Log, partition: u32) -> Vec<u64> {
        let mut offsets = Vec::new();
        let show = |record: super::super::LogRecord<'_>| {
            offsets.push(record.offset);
            ControlFlow::Continue(())
        };
        log.read(0, partition, 0, usize::MAX, show).expect("a log");
        offsets
    }

    #[test]
    fn old_blocks_go_as_far_as_somebody_holds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let partition = super::super::partition_of(b"one", super::super::PARTITIONS);
        let open = || {
            let log = Log::open(folder.path(), 0, now).expect("a log");
            log.topic("people").expect("a topic");
            log
        };
        let append = |log: &Log, at, count| {
            NOW.store(at, Ordering::Relaxed);
            let mut draft = log.draft(0);
            for _ in 0..count {
                let _ = draft.push(0, b"one", b"{}");
            }
            log.append(draft).expect("room");
        };
        let log = open();
        for (at, count) in [(10, 2), (20, 3), (30, 1), (40, 1)] {
            append(&log, at, count);
        }
        let retain = |log: &Log, since, floor| log.retain(Instant::from_micros(since), |_, _| floor).expect("a log");
        // Nobody holds anything; a block of which a part is needed; one that is young.
        assert_eq!((retain(&log, 100, 0), retain(&log, 100, 1), retain(&log, 10, 7)), (0, 0, 0));
        assert_eq!(held(&log, partition), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((retain(&log, 21, 4), log.topics()[0].start(partition)), (2, 2));
        assert_eq!((retain(&log, 21, 7), held(&log, partition)), (3, vec![5, 6]));
        assert_eq!(log.drop_before(0, partition, 6).expect("a log"), 6);
        // The newest stays, so that no offset begins again.
        assert_eq!((retain(&log, 100, 7), log.drop_before(0, partition, 9).expect("a log")), (0, 6));
        drop(log);
        let log = open();
        append(&log, 50, 1);
        assert_eq!((log.topics()[0].start(partition), held(&log, partition)), (6, vec![6, 7]));
        assert_eq!((retain(&log, 100, 9), held(&log, partition)), (1, vec![7]));
    }
}

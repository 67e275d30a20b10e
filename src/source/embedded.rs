//! The embedded log as a source: its topics' partitions in turn, its commits as the clock.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::log::{Log, LogError};
use super::{Asked, Extent, Found, HEARTBEAT, Raw, Registrar, Sink, Source, Taken};
use crate::freshness::Basis;
use crate::ids::{PartitionId, TopicId};
use crate::model::value::Instant;
use crate::position::LogId;

/// Bytes of a partition that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// A topic to read.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub topic: TopicId,
    /// Its number in the log.
    pub place: usize,
    /// Records appended after the start are handed on this much later.
    pub late_ms: i64,
}

/// A partition, found.
#[derive(Clone, Copy, Debug)]
struct Feed {
    partition: PartitionId,
    place: usize,
    number: u32,
    log: LogId,
    late_ms: i64,
    /// The end at the start: before it nothing is late.
    hydrated: u64,
}

/// The log, read.
pub struct Embedded {
    log: Arc<Log>,
    subscriptions: Vec<Subscription>,
    feeds: Mutex<Vec<Feed>>,
    clock: fn() -> Instant,
}

impl Embedded {
    pub fn new(log: Arc<Log>, subscriptions: Vec<Subscription>, clock: fn() -> Instant) -> Embedded {
        Embedded { log, subscriptions, feeds: Mutex::default(), clock }
    }

    fn feeds(&self) -> Vec<Feed> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands on what a partition holds from `next` on, and moves it past each record that was taken, whatever becomes of the
    /// rest: none is taken twice. What lies before it is not flushed.
    fn hand_on(&self, feed: &Feed, next: &mut u64, due_ms: &mut i64, sink: &mut dyn Sink) -> Result<(), LogError> {
        let topic = self.log.topics()[feed.place].clone();
        let start = topic.start(feed.number);
        if start > *next {
            let lost = start - *next;
            let why =
                format!("the log starts at {start}: {lost} offsets from {next} on were gone before they were read");
            tracing::error!(
                topic = topic.name.as_ref(),
                partition = feed.number,
                from = next,
                to = start,
                "records are lost"
            );
            if sink.lose(feed.partition, start, why) != Taken::Yes {
                return Ok(());
            }
            *next = start;
        }
        if topic.end(feed.number) <= *next {
            return Ok(());
        }
        let limit = (self.clock)().minus_millis(feed.late_ms);
        self.log.read(feed.place, feed.number, *next, READ_BYTES, |record| {
            let (offset, at) = (record.offset, record.appended_at);
            if feed.late_ms > 0 && offset >= feed.hydrated && at > limit {
                *due_ms = (*due_ms).min(at.millis_since(limit));
                sink.holds(feed.partition, offset, at, Basis::Append);
                return ControlFlow::Break(());
            }
            let (key, value) = (Some(record.key), Some(record.bytes));
            let raw = Raw { offset, at, basis: Basis::Append, key, value, headers: &[] };
            match sink.take(feed.partition, &raw) {
                Taken::Yes => {
                    *next = offset + 1;
                    ControlFlow::Continue(())
                }
                Taken::Blocked | Taken::Full | Taken::Closed => ControlFlow::Break(()),
            }
        })
    }
}

impl Source for Embedded {
    fn read(&self, sink: &mut dyn Sink) {
        let mut next: Vec<u64> = Vec::new();
        while !sink.is_closed() {
            let seen = self.log.commits();
            let feeds = self.feeds();
            for feed in &feeds[next.len()..] {
                next.push(sink.begin(feed.partition, feed.log, feed.log, 0));
                sink.reads(feed.partition, true);
            }
            let (mut moved, mut due_ms) = (Vec::new(), HEARTBEAT.as_millis() as i64);
            for (feed, next) in feeds.iter().zip(&mut next) {
                let from = *next;
                // Said each time it is tried, a heartbeat apart; the partition's lag says the rest.
                if let Err(error) = self.hand_on(feed, next, &mut due_ms, sink) {
                    tracing::error!(partition = feed.partition.0, %error, "the log cannot be read");
                }
                moved.extend((*next > from).then_some((feed.partition, *next)));
                if sink.is_closed() {
                    return;
                }
            }
            // One after another, so that what was committed together is seen together: a version costs less the more is in it.
            for (partition, next) in &moved {
                sink.flush(*partition, *next);
            }
            if moved.is_empty() {
                self.log.wait(seen, Duration::from_millis(due_ms.max(1) as u64));
            }
        }
    }

    fn watch(&self, registrar: &dyn Registrar) {
        let topics = self.log.topics();
        let mut feeds = Vec::new();
        for subscription in &self.subscriptions {
            let topic = &topics[subscription.place];
            for number in 0..topic.partitions {
                // What it let go of before its start is lost to who comes without a checkpoint: reading says so.
                let found = Found { topic: subscription.topic, number, log: topic.id, start: 0 };
                let (placed, hydrated) = (registrar.find(found), topic.end(number));
                feeds.push(Feed {
                    partition: placed.partition,
                    place: subscription.place,
                    number,
                    log: placed.log,
                    late_ms: subscription.late_ms,
                    hydrated,
                });
            }
        }
        let contact = || {
            let extent = |feed: &Feed| {
                let topic = &topics[feed.place];
                Extent::committed(feed.partition, topic.start(feed.number), topic.end(feed.number))
            };
            // What is being written has its time already.
            let asked = registrar.asked();
            let asked = Asked { moment: asked.moment.at_most(self.log.settled_at()), ..asked };
            self.subscriptions.iter().for_each(|subscription| registrar.listed(&asked, subscription.topic, Vec::new()));
            registrar.contact(&asked, &feeds.iter().map(extent).collect::<Vec<_>>());
        };
        // Before anything is read, so that hydration has its end.
        contact();
        registrar.answered();
        *self.feeds.lock().unwrap_or_else(PoisonError::into_inner) = feeds.clone();
        self.log.wake();
        let mut seen = self.log.commits();
        while !registrar.is_closed() {
            contact();
            seen = self.log.wait(seen, HEARTBEAT);
        }
    }

    fn wake(&self) {
        self.log.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes which offsets it is given.
    #[derive(Default)]
    struct Taker {
        taken: Vec<u64>,
        lost: Vec<u64>,
        blocks_at: Option<u64>,
    }

    impl Sink for Taker {
        fn is_closed(&self) -> bool {
            false
        }

        fn is_paused(&self, _: PartitionId) -> bool {
            false
        }

        fn take(&mut self, _: PartitionId, raw: &Raw<'_>) -> Taken {
            if self.blocks_at == Some(raw.offset) {
                return Taken::Blocked;
            }
            self.taken.push(raw.offset);
            Taken::Yes
        }

        fn begin(&mut self, _: PartitionId, _: LogId, _: LogId, _: u64) -> u64 {
            0
        }

        fn reads(&mut self, _: PartitionId, _: bool) {}

        fn holds(&mut self, _: PartitionId, _: u64, _: Instant, _: Basis) {}

        fn flush(&mut self, _: PartitionId, _: u64) -> Taken {
            Taken::Yes
        }

        fn lose(&mut self, _: PartitionId, next: u64, _: String) -> Taken {
            self.lost.push(next);
            Taken::Yes
        }

        fn restart(&mut self, _: PartitionId, _: LogId, _: LogId, _: u64, _: String) -> Taken {
            Taken::Yes
        }
    }

    /// Two blocks of two records, the second of which may be damaged. Reads again and again; each record is taken once.
    fn check(is_damaged: bool, blocks_at: Option<u64>, expected: &[u64]) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(folder.path(), 0, || Instant::EPOCH).expect("a log");
        let place = log.topic("people").expect("a topic");
        for _ in 0..2 {
            let mut draft = log.draft(0);
            for _ in 0..2 {
                let _ = draft.push(place, b"one", b"{}");
            }
            log.append(draft).expect("room");
        }
        let topic = log.topics()[place].clone();
        let number = (0..topic.partitions).find(|number| topic.end(*number) > 0).expect("where the key goes");
        if is_damaged {
            log.damage(place, number, 3);
        }
        let source = Embedded::new(Arc::new(log), Vec::new(), || Instant::EPOCH);
        let feed = Feed { partition: PartitionId(0), place, number, log: LogId(0), late_ms: 0, hydrated: 0 };
        let (mut next, mut taker) = (0, Taker { blocks_at, ..Taker::default() });
        for _ in 0..3 {
            let read = source.hand_on(&feed, &mut next, &mut 0, &mut taker);
            assert_eq!(read.is_err(), is_damaged && blocks_at.is_none(), "{is_damaged} {blocks_at:?}: {read:?}");
        }
        assert_eq!((taker.taken.as_slice(), next), (expected, expected.len() as u64), "{is_damaged} {blocks_at:?}");
    }

    #[test]
    fn what_the_log_let_go_of_is_said_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(folder.path(), 0, || Instant::EPOCH).expect("a log");
        let place = log.topic("people").expect("a topic");
        for _ in 0..3 {
            let mut draft = log.draft(0);
            let _ = draft.push(place, b"one", b"{}");
            log.append(draft).expect("room");
        }
        let topic = log.topics()[place].clone();
        let number = (0..topic.partitions).find(|number| topic.end(*number) > 0).expect("where the key goes");
        log.drop_before(place, number, 2).expect("a log");
        let source = Embedded::new(Arc::new(log), Vec::new(), || Instant::EPOCH);
        let feed = Feed { partition: PartitionId(0), place, number, log: LogId(0), late_ms: 0, hydrated: 0 };
        // From the beginning, and from where a reader stands that has what is gone.
        for (from, lost) in [(0, &[2][..]), (1, &[2]), (2, &[]), (3, &[])] {
            let (mut next, mut taker) = (from, Taker::default());
            for _ in 0..2 {
                source.hand_on(&feed, &mut next, &mut 0, &mut taker).expect("a log");
            }
            let taken: &[u64] = if from < 3 { &[2] } else { &[] };
            assert_eq!((taker.lost.as_slice(), taker.taken.as_slice(), next), (lost, taken, 3), "from {from}");
        }
    }

    #[test]
    fn nothing_is_taken_twice_whatever_ends_the_reading() {
        check(false, None, &[0, 1, 2, 3]);
        check(false, Some(1), &[0]);
        check(false, Some(3), &[0, 1, 2]);
        check(true, None, &[0, 1]);
        check(true, Some(1), &[0]);
    }
}

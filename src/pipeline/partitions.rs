//! The partitions that there are, numbered as they are found, and from where each generation reads them.

use std::collections::HashSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Work;
use crate::ids::{By, GenerationId, PartitionId, TopicId};
use crate::position::LogId;
use crate::projection::{Partition, Projector};
use crate::source::{Found, Placed};

/// Gives partitions their ids: every projector hears of them in that order. Those that the first one knows from a checkpoint have theirs.
#[derive(Default)]
pub struct Partitions(Mutex<Registry>);

#[derive(Default)]
struct Registry {
    known: By<PartitionId, Known>,
    /// Topics with partitions that are there, and are not found.
    unlisted: HashSet<TopicId>,
    lines: Vec<Line>,
}

/// A partition with an id.
struct Known {
    topic: TopicId,
    number: u32,
    log: LogId,
    origin: LogId,
    /// Where its log began when it was found.
    start: u64,
    /// Whether its source has found it,
    is_found: bool,
    /// or has told that it is not there.
    is_gone: bool,
}

/// A generation's projector, as partitions are told to it.
struct Line {
    generation: GenerationId,
    work: SyncSender<Work>,
    from: By<PartitionId, From>,
}

/// From where a generation reads a partition: where an earlier run came to, or from the start of its log.
struct From {
    log: LogId,
    origin: LogId,
    offset: u64,
}

impl Known {
    /// What a projector hears of it, and from where it is read.
    fn found(&self) -> (Work, From) {
        let Known { topic, number, log, origin, start, .. } = *self;
        let found = Work::Found { partition: Partition { topic, log, origin, number, lost: None }, start };
        (found, From { log, origin, offset: start })
    }
}

impl Line {
    fn send(&self, work: Work) {
        // Nobody takes it once the projector has ended.
        let _ = self.work.send(work);
    }

    fn restart(&mut self, partition: PartitionId, log: LogId, origin: LogId, start: u64, why: &str) {
        self.from[partition] = From { log, origin, offset: start };
        self.send(Work::Restarted { partition, log, origin, start, why: why.into() });
    }
}

impl Partitions {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A generation begins. Its projector is to hear what this gives, before anything that is sent to it: all partitions that it
    /// does not know. What it knows has the numbers that they have here.
    pub fn join(&self, generation: GenerationId, projector: &Projector, work: SyncSender<Work>) -> Vec<Work> {
        let Registry { known: all, unlisted, lines } = &mut *self.registry();
        let mut from: By<PartitionId, From> = By::default();
        for (id, partition) in projector.partitions().entries() {
            let Partition { topic, log, origin, number, lost: _ } = *partition;
            from.push(From { log, origin, offset: projector.position(id) });
            if all.get(id).is_none() {
                all.push(Known { topic, number, log, origin, start: 0, is_found: false, is_gone: false });
            }
        }
        let mut told = Vec::new();
        for known in all.iter().skip(from.len()) {
            let (found, begins) = known.found();
            told.push(found);
            from.push(begins);
        }
        told.extend(unlisted.iter().map(|topic| Work::Listed { topic: *topic, has_more: true }));
        lines.push(Line { generation, work, from });
        told
    }

    /// A generation is told no more: its projector may end.
    pub fn leave(&self, generation: GenerationId) {
        self.registry().lines.retain(|line| line.generation != generation);
    }

    /// A source has found a partition.
    pub fn find(&self, found: Found) -> Placed {
        let Found { topic, number, log, start } = found;
        // Held to the end, so that every projector hears of partitions in the order of their numbers.
        let Registry { known: all, lines, .. } = &mut *self.registry();
        let Some(id) = all.find(|known| (known.topic, known.number) == (topic, number)) else {
            let id = all.push(Known { topic, number, log, origin: log, start, is_found: true, is_gone: false });
            for line in lines {
                let (found, from) = all[id].found();
                line.from.push(from);
                line.send(found);
            }
            return Placed { partition: id, log, is_new: true };
        };
        let known = &mut all[id];
        (known.is_found, known.start) = (true, start);
        if known.origin != log {
            (known.log, known.origin) = (log, log);
        }
        for line in lines {
            let from = &mut line.from[id];
            if from.origin != log {
                let why = "its topic was made anew while the service did not run: what its old log held beyond the checkpoint was not applied";
                line.restart(id, log, log, start, why);
            } else if from.offset < start {
                let why = format!(
                    "the log begins at {start}, and the checkpoint ends at {}: what lay between was not applied",
                    from.offset
                );
                from.offset = start;
                line.send(Work::Lost { partition: id, next: start, why });
            }
        }
        Placed { partition: id, log: all[id].log, is_new: false }
    }

    /// From where a generation reads a partition. What its log and its topic are called by now may be news; then `start` is where
    /// who read the log before it goes on.
    pub fn begin(
        &self,
        generation: GenerationId,
        partition: PartitionId,
        (log, origin): (LogId, LogId),
        start: u64,
    ) -> u64 {
        let Registry { lines, .. } = &mut *self.registry();
        let Some(line) = lines.iter_mut().find(|line| line.generation == generation) else { return 0 };
        let From { log: known, offset, .. } = line.from[partition];
        if known == log {
            return offset;
        }
        let start = offset.min(start);
        line.restart(partition, log, origin, start, "its log was made anew, or lost records, before it was read");
        start
    }

    /// A generation reads another log of the same topic from now on.
    pub fn restarted(&self, generation: GenerationId, partition: PartitionId, log: LogId, origin: LogId) {
        let Registry { known, lines, .. } = &mut *self.registry();
        let known = &mut known[partition];
        if known.origin != origin {
            known.start = 0;
        }
        (known.log, known.origin) = (log, origin);
        if let Some(line) = lines.iter_mut().find(|line| line.generation == generation) {
            (line.from[partition].log, line.from[partition].origin) = (log, origin);
        }
    }

    /// A topic's partitions that an earlier run read and its source does not have: its topic was made anew with fewer.
    pub fn gone(&self, topic: TopicId, unfound: &[u32]) -> Vec<PartitionId> {
        let Registry { known: all, lines, .. } = &mut *self.registry();
        let mut gone = Vec::new();
        for (id, known) in all.entries_mut() {
            if known.topic != topic || known.is_found || unfound.contains(&known.number) {
                continue;
            }
            gone.push(id);
            if !std::mem::replace(&mut known.is_gone, true) {
                let why = "its topic was made anew with fewer partitions while the service did not run";
                lines.iter_mut().for_each(|line| line.restart(id, known.log, known.origin, 0, why));
            }
        }
        gone
    }

    /// Says whether a topic has partitions that are not found, where that is news.
    pub fn list(&self, topic: TopicId, has_more: bool) {
        let Registry { unlisted, lines, .. } = &mut *self.registry();
        let is_news = if has_more { unlisted.insert(topic) } else { unlisted.remove(&topic) };
        if is_news {
            lines.iter().for_each(|line| line.send(Work::Listed { topic, has_more }));
        }
    }

    pub fn topic(&self, partition: PartitionId) -> TopicId {
        self.place(partition).0
    }

    /// A partition's topic, and its number there.
    pub fn place(&self, partition: PartitionId) -> (TopicId, u32) {
        let Known { topic, number, .. } = self.registry().known[partition];
        (topic, number)
    }
}

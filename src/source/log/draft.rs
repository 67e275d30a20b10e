//! Records on their way into the log, laid by who appends them as blocks hold them: the writer, of which there is one, only
//! puts a head before them.

use std::sync::Arc;

use super::partitioner::partition_of;
use super::{Topic, block};

/// Most bytes that are taken for a part before it is known how much comes.
const PART_BYTES: usize = 1 << 18;

/// Records to append together.
pub struct Draft {
    pub(super) topics: Vec<Arc<Topic>>,
    pub(super) parts: Vec<Part>,
    /// What a part takes at first.
    part_bytes: usize,
}

/// Those of one partition, in their order.
pub(super) struct Part {
    pub topic: usize,
    pub partition: u32,
    pub count: u32,
    /// With room for the head.
    pub block: Vec<u8>,
}

/// Which of a draft's records one is.
#[derive(Clone, Copy, Debug)]
pub struct Drafted {
    part: usize,
    /// Its place in the part.
    index: u32,
}

/// Where a draft's records came to lie.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// By part.
    pub(super) stretches: Vec<Stretch>,
}

/// Offsets of a partition, one after another.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub topic: Arc<Topic>,
    pub partition: u32,
    pub first: u64,
    pub count: u32,
}

impl Draft {
    /// `bytes` is about what will come, of all partitions.
    pub(super) fn new(topics: Vec<Arc<Topic>>, bytes: usize) -> Draft {
        Draft { topics, parts: Vec::new(), part_bytes: (bytes / 3).min(PART_BYTES) }
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds a record of a topic, by the topic's number.
    pub fn push(&mut self, topic: usize, key: &[u8], bytes: &[u8]) -> Drafted {
        self.push_sealed(topic, key, bytes, None)
    }

    /// The same, with what was taken out of it.
    pub fn push_sealed(&mut self, topic: usize, key: &[u8], bytes: &[u8], sealed: Option<&[u8]>) -> Drafted {
        let partition = partition_of(key, self.topics[topic].partitions);
        let known = self.parts.iter().position(|part| (part.topic, part.partition) == (topic, partition));
        let place = known.unwrap_or_else(|| {
            let block = block::begin(self.part_bytes);
            self.parts.push(Part { topic, partition, count: 0, block });
            self.parts.len() - 1
        });
        let part = &mut self.parts[place];
        block::lay(&mut part.block, key, bytes, sealed);
        part.count += 1;
        Drafted { part: place, index: part.count - 1 }
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.block.len()).sum()
    }
}

impl Appended {
    /// By partition of the draft.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The stretch that a record lies in, and its offset.
    pub fn place(&self, drafted: Drafted) -> (usize, u64) {
        (drafted.part, self.stretches[drafted.part].first + u64::from(drafted.index))
    }
}

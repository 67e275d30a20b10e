//! What the rules remember beside the records: in one place, with a size, and as bytes for a checkpoint.
//!
//! All of it is bounded: groups by the merges that were ever named, the others by `limits` and the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use super::catalogue::LastWords;
use super::groups::Groups;
use super::rivals::Rivals;
use super::seen::{Order, Recent};
use super::stamp::{Stamp, read_stamp, write_stamp};
use super::truncate::Heard;
use crate::event::{Commit, Truncation};
use crate::graph::{Reader, put, put_instant, put_long};
use crate::ids::{By, EntityId, FieldId, NodeId, PartitionId, Slot};
use crate::model::Model;

/// Seals what is a node's own, or opens it; none where its key is destroyed.
pub type Crypt<'a> = &'a dyn Fn(NodeId, &[u8]) -> Option<Vec<u8>>;

/// By producer: the truncations of its table.
pub type Truncations = HashMap<u32, Vec<Heard>>;

#[derive(Default)]
pub struct Remembered {
    pub groups: Groups,
    /// The ids that tell duplicates under `position`.
    pub recent: By<PartitionId, Recent>,
    /// What a partition's offsets are raised by as stamps. A log that was made anew comes after the old one.
    pub raised: By<PartitionId, u64>,
    pub truncations: Truncations,
    pub rivals: Rivals,
    pub last_words: LastWords,
    /// How many events of an entity were refused, and neither applied since nor discarded. Those that are too many to be kept
    /// count too.
    pub rejected: HashMap<NodeId, u32>,
}

/// A copy of it at one version, which shares what is large.
pub struct Copied {
    groups: Groups,
    recent: By<PartitionId, Order>,
    raised: By<PartitionId, u64>,
    truncations: Truncations,
    rivals: Rivals,
    last_words: LastWords,
    rejected: HashMap<NodeId, u32>,
}

impl Remembered {
    pub fn new(model: &Model) -> Remembered {
        Remembered { last_words: LastWords::new(model), ..Remembered::default() }
    }

    /// Bytes that it takes, about.
    pub fn size(&self) -> usize {
        let recent = self.recent.iter().map(Recent::size).sum::<usize>();
        let rejected = self.rejected.capacity() * size_of::<(NodeId, u32)>();
        self.groups.size() + self.rivals.size() + recent + rejected
    }

    pub fn copy(&self) -> Copied {
        Copied {
            groups: self.groups.clone(),
            recent: self.recent.iter().map(|recent| recent.order().clone()).collect(),
            raised: self.raised.clone(),
            truncations: self.truncations.clone(),
            rivals: self.rivals.clone(),
            last_words: self.last_words.clone(),
            rejected: self.rejected.clone(),
        }
    }

    /// Reads what [`Copied::save`] wrote. Of each partition no more than `ids_remembered` ids are remembered. `open` opens what is sealed; none
    /// where its key is destroyed.
    pub fn restore(
        reader: &mut Reader<'_>,
        ids_remembered: usize,
        field: &dyn Fn(EntityId, FieldId) -> FieldId,
        open: Crypt<'_>,
    ) -> Remembered {
        let groups = Groups::restore(reader);
        let partitions = reader.number();
        let recent = (0..partitions).map(|_| Recent::restore(reader, ids_remembered)).collect();
        let raised = (0..partitions).map(|_| reader.number()).collect();
        let truncations = read_truncations(reader);
        let rivals = Rivals::restore(reader, field, open);
        let last_words = LastWords::restore(reader);
        let rejected = (0..reader.number()).map(|_| (read_node(reader), reader.number() as u32)).collect();
        Remembered { groups, recent, raised, truncations, rivals, last_words, rejected }
    }
}

impl Copied {
    /// `seal` seals what belongs to an entity alone; none where its key is destroyed.
    pub fn save(&self, out: &mut Vec<u8>, seal: Crypt<'_>) {
        self.groups.save(out);
        put(out, self.recent.len() as u64);
        self.recent.iter().for_each(|order| order.save(out));
        self.raised.iter().for_each(|raised| put(out, *raised));
        write_truncations(&self.truncations, out);
        self.rivals.save(out, seal);
        self.last_words.save(out);
        put(out, self.rejected.len() as u64);
        for (node, count) in &self.rejected {
            put_node(out, *node);
            put(out, u64::from(*count));
        }
    }
}

pub fn put_node(out: &mut Vec<u8>, node: NodeId) {
    put(out, u64::from(node.entity.0));
    put(out, u64::from(node.slot.0));
}

pub fn read_node(reader: &mut Reader<'_>) -> NodeId {
    EntityId(reader.number() as u16).node(Slot(reader.number() as u32))
}

fn write_truncations(truncations: &Truncations, out: &mut Vec<u8>) {
    put(out, truncations.len() as u64);
    for (source, all) in truncations {
        put(out, u64::from(*source));
        put(out, all.len() as u64);
        for Heard { truncation, partition, offset, appended_at } in all {
            put_long(out, truncation.source.as_bytes());
            put_long(out, truncation.id.as_bytes());
            put_instant(out, truncation.time);
            write_stamp(out, Stamp::Commit(truncation.commit));
            put(out, u64::from(partition.0));
            put(out, *offset);
            put_instant(out, *appended_at);
        }
    }
}

fn read_truncations(reader: &mut Reader<'_>) -> Truncations {
    let heard = |reader: &mut Reader<'_>| {
        let (source, id) = (reader.text().to_owned(), reader.text().to_owned());
        let time = reader.instant();
        let commit = match read_stamp(reader) {
            Stamp::Commit(commit) => commit,
            _ => Commit::default(),
        };
        let truncation = Truncation { source, id, time, commit };
        let (partition, offset) = (PartitionId(reader.number() as u32), reader.number());
        Heard { truncation, partition, offset, appended_at: reader.instant() }
    };
    let of_source = |reader: &mut Reader<'_>| {
        let source = reader.number() as u32;
        (source, (0..reader.number()).map(|_| heard(reader)).collect())
    };
    (0..reader.number()).map(|_| of_source(reader)).collect()
}

/// A text that many hold.
pub fn read_shared(reader: &mut Reader<'_>) -> Arc<str> {
    reader.text().into()
}

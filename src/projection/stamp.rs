//! What orders the events of an entity.

use crate::event::{Commit, Envelope, OrderBy};
use crate::graph::{Reader, put, put_instant};
use crate::model::value::Instant;

/// What a domain orders its events by. Under `position` a database's row lies below every event that has a place in the
/// log alone: there is no truth to that, but one order for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    Sequence(u64),
    Commit(Commit),
    Position { offset: u64, topic: u64, partition: u32 },
    Time(Instant),
}

/// Orders the events of an entity: by stamp, then source, then id.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub stamp: Stamp,
    /// The source's number, and its text, which orders.
    pub source: (u32, &'a str),
    pub id: &'a str,
}

/// Where an event is: in the log, as its topic's rank and its partition's number order what has one offset; and in a database's
/// order, which counts instead.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub offset: u64,
    pub topic: u64,
    pub partition: u32,
    pub commit: Option<Commit>,
}

impl Stamp {
    pub fn of(order_by: OrderBy, envelope: &Envelope<'_>, place: Place) -> Stamp {
        match (order_by, place) {
            (OrderBy::Sequence, _) => Stamp::Sequence(envelope.version.unwrap_or(0)),
            (OrderBy::Time, _) => Stamp::Time(envelope.time),
            (OrderBy::Position, Place { commit: Some(commit), .. }) => Stamp::Commit(commit),
            (OrderBy::Position, Place { offset, topic, partition, .. }) => Stamp::Position { offset, topic, partition },
        }
    }
}

pub fn write_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    match stamp {
        Stamp::Sequence(version) => {
            out.push(0);
            put(out, version);
        }
        Stamp::Position { offset, topic, partition } => {
            out.push(1);
            put(out, offset);
            put(out, topic);
            put(out, u64::from(partition));
        }
        Stamp::Time(at) => {
            out.push(2);
            put_instant(out, at);
        }
        Stamp::Commit(Commit { is_change, place, is_late, offset, ordinal }) => {
            out.push(3 + u8::from(is_change));
            place.iter().for_each(|number| put(out, *number));
            put(out, u64::from(ordinal) << 1 | u64::from(is_late));
            put(out, offset);
        }
    }
}

pub fn read_stamp(reader: &mut Reader<'_>) -> Stamp {
    match reader.number() {
        0 => Stamp::Sequence(reader.number()),
        1 => Stamp::Position { offset: reader.number(), topic: reader.number(), partition: reader.number() as u32 },
        2 => Stamp::Time(reader.instant()),
        tag => {
            let place = [(); 3].map(|()| reader.number());
            let (last, offset) = (reader.number(), reader.number());
            let (is_late, ordinal) = (last & 1 == 1, (last >> 1) as u32);
            Stamp::Commit(Commit { is_change: tag != 3, place, is_late, offset, ordinal })
        }
    }
}

//! The embedded log drops what its retention says and every checkpoint holds that is kept: a start that has to take the oldest of
//! them still finds the rest.

use std::collections::HashMap;
use std::sync::Arc;

use super::EmbeddedStore;
use crate::clock;
use crate::config::Retention;
use crate::pipeline::Kept;
use crate::position::{LogId, Position};
use crate::source::log::Topic;

/// What is done when it is known which checkpoints there are; none where all is kept.
pub fn keeper(retention: Retention, embedded: Option<&EmbeddedStore>) -> Option<Kept> {
    let Retention::Millis(ms) = retention else { return None };
    let log = embedded?.log.clone();
    let drop_old = move |positions: &[Position]| {
        let topics = log.topics();
        let floor = floors(positions);
        let floor = |topic: usize, partition: u32| floor(&topics[topic], partition);
        match log.retain(clock::now().minus_millis(ms), floor) {
            Ok(0) => {}
            Ok(records) => tracing::info!(records, "the log drops what is older than its retention"),
            Err(error) => tracing::error!(%error, "the log cannot drop what is older than its retention"),
        }
    };
    Some(Box::new(drop_old))
}

/// The first offset of a partition that some position does not hold.
fn floors(positions: &[Position]) -> impl Fn(&Topic, u32) -> u64 {
    let held = |position: &Position| -> HashMap<(Arc<str>, Option<LogId>, u32), u64> {
        position.entries().map(|entry| ((entry.topic, entry.log, entry.partition), entry.offset)).collect()
    };
    let all: Vec<_> = positions.iter().map(held).collect();
    move |topic, partition| {
        let place = (topic.name.clone(), Some(topic.id), partition);
        all.iter().map(|held| held.get(&place).copied().unwrap_or(0)).min().unwrap_or(0)
    }
}

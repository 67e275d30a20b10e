//! The process's resident memory by part. What can be counted is; the rest is what remains, so that the sum is what the system
//! says.

use prometheus::Registry;
use tikv_jemalloc_ctl::{background_thread, epoch, stats};

use super::metrics::gauges;
use crate::graph::Memory;
use crate::projection::Snapshot;

/// The parts, in the order of docs/service.md: those that are counted, and what remains.
pub const PARTS: [&str; 14] = [
    "records",
    "pages",
    "keys",
    "links",
    "indexes",
    "owners",
    "writer",
    "rules",
    "dead_letters",
    "batches",
    "log",
    "other",
    "program",
    "free",
];

/// Has the allocator give back what is free by a thread of its own, ten seconds after it came free.
pub fn give_back() -> Result<(), String> {
    background_thread::write(true).map_err(|error| error.to_string())
}

/// Bytes by part.
pub fn parts(registry: &Registry, snapshot: &Snapshot, batches: usize, log: u64) -> Result<(), prometheus::Error> {
    let help = "Resident memory by part; the sum is the process's.";
    let gauge = gauges(registry, "memory_bytes", help, &["part"])?;
    let graph: Vec<_> = (0..snapshot.catalogue.len()).map(|entity| snapshot.graph.memory(entity)).collect();
    let sum = |of: fn(&Memory) -> usize| graph.iter().map(of).sum::<usize>();
    let counted = [
        sum(|memory| memory.records),
        sum(|memory| memory.pages),
        sum(|memory| memory.keys),
        sum(|memory| memory.links),
        sum(|memory| memory.indexes),
        sum(|memory| memory.owned),
        snapshot.memory.writer,
        snapshot.memory.rules,
        snapshot.dead_letters.bytes(),
        batches,
        log as usize,
    ];
    // Where another allocator is the program's, as in tests, nothing but the counted parts is known.
    let used = epoch::advance().and_then(|_| stats::allocated::read()).unwrap_or(0);
    let other = used.saturating_sub(counted.iter().sum());
    let Some((all, program)) = resident() else { return Ok(()) };
    let free = all as f64 - (program as usize + other + counted.iter().sum::<usize>()) as f64;
    let remaining = [other as f64, program as f64, free];
    for (part, bytes) in PARTS.iter().zip(counted.into_iter().map(|bytes| bytes as f64).chain(remaining)) {
        gauge.with_label_values(&[part]).set(bytes);
    }
    Ok(())
}

/// Resident bytes in all, and those of them that are files': the program's own. None where the system does not tell.
fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some((kib("VmRSS:")? << 10, (kib("RssFile:")? + kib("RssShmem:")?) << 10))
}

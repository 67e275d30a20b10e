//! The process's resident memory by part. What can be counted is; the rest is what remains, so that the sum is what the system
//! says.

use prometheus::Registry;

use super::metrics::gauges;
use crate::projection::Snapshot;

/// The parts, in the order of docs/service.md.
pub const PARTS: [&str; 12] = [
    "records", "pages", "keys", "links", "indexes", "owners", "writer", "rules", "dead_letters", "batches", "log", "program",
];

/// What remains: memory that the allocator has free, libraries' buffers, stacks, answers under way.
pub const REST: &str = "rest";

/// Bytes by part.
pub fn parts(registry: &Registry, snapshot: &Snapshot, batches: usize, log: u64) -> Result<(), prometheus::Error> {
    let help = "Resident memory by part; the sum is the process's.";
    let gauge = gauges(registry, "memory_bytes", help, &["part"])?;
    let graph: Vec<_> = (0..snapshot.catalogue.len()).map(|entity| snapshot.graph.memory(entity)).collect();
    let sum = |of: fn(&crate::graph::Memory) -> usize| graph.iter().map(of).sum::<usize>() as f64;
    let resident = resident();
    let counted = [
        sum(|memory| memory.records),
        sum(|memory| memory.pages),
        sum(|memory| memory.keys),
        sum(|memory| memory.links),
        sum(|memory| memory.indexes),
        sum(|memory| memory.owned),
        snapshot.memory.writer as f64,
        snapshot.memory.rules as f64,
        snapshot.dead_letters.bytes() as f64,
        batches as f64,
        log as f64,
        resident.map_or(0.0, |(_, program)| program as f64),
    ];
    for (part, bytes) in PARTS.iter().zip(counted) {
        gauge.with_label_values(&[part]).set(bytes);
    }
    if let Some((all, _)) = resident {
        gauge.with_label_values(&[REST]).set(all as f64 - counted.iter().sum::<f64>());
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

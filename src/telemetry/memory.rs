//! The process's resident memory by part. What can be counted is; the rest is what remains, so that the sum is what the system
//! says.

use prometheus::Registry;
use tikv_jemalloc_ctl::{background_thread, epoch, stats};

use super::metrics::gauges;
use crate::graph::Memory;
use crate::projection::Snapshot;

/// Has the allocator give back what is free by a thread of its own, ten seconds after it came free.
pub fn give_back() -> Result<(), String> {
    background_thread::write(true).map_err(|error| error.to_string())
}

/// Bytes by part, in the order of docs/service.md.
pub fn parts(
    registry: &Registry,
    snapshot: &Snapshot,
    batches: usize,
    versions: usize,
    log: u64,
) -> Result<(), prometheus::Error> {
    let help = "Resident memory by part; the sum is the process's.";
    let gauge = gauges(registry, "memory_bytes", help, &["part"])?;
    let graph: Vec<_> = snapshot.catalogue.ids().map(|entity| snapshot.graph.memory(entity)).collect();
    let sum = |of: fn(&Memory) -> usize| graph.iter().map(of).sum::<usize>();
    let counted = [
        ("records", sum(|memory| memory.records)),
        ("pages", sum(|memory| memory.pages)),
        ("keys", sum(|memory| memory.keys)),
        ("links", sum(|memory| memory.links)),
        ("indexes", sum(|memory| memory.indexes)),
        ("owners", sum(|memory| memory.owned)),
        ("writer", snapshot.memory.writer),
        ("rules", snapshot.memory.rules),
        ("dead_letters", snapshot.dead_letters.bytes()),
        ("batches", batches),
        ("versions", versions),
        ("log", log as usize),
    ];
    let sum: usize = counted.iter().map(|(_, bytes)| bytes).sum();
    // Where another allocator is the program's, as in tests, nothing but the counted parts is known.
    let used = epoch::advance().and_then(|_| stats::allocated::read()).unwrap_or(0);
    let other = used.saturating_sub(sum);
    let Some((all, program)) = resident() else { return Ok(()) };
    let free = all as f64 - (program as usize + other + sum) as f64;
    let remaining = [("other", other as f64), ("program", program as f64), ("free", free)];
    for (part, bytes) in counted.map(|(part, bytes)| (part, bytes as f64)).into_iter().chain(remaining) {
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

//! The process's resident memory by part. What can be counted is; the rest is what remains, so that the sum is what the system
//! says.

use std::path::Path;

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

/// What the process takes. None where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    resident().map(|(all, _)| all)
}

/// What the machine has, or as much of it as the control groups of this process leave it. None where the system does not tell.
pub fn machine_bytes() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let all = kib(&all, "MemTotal:")? << 10;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(|line| limits_of(Path::new("/sys/fs/cgroup"), line));
    limits.min().map_or(Some(all), |least| Some(least.min(all)))
}

/// The limits of a control group, a line of `/proc/self/cgroup`, and of those around it: of version 2, or of version 1's `memory`. "max" is none.
fn limits_of(mounted: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (root, file) = match controllers {
        "" => (mounted.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => (mounted.join("memory"), "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let inside = Path::new(path.trim_start_matches('/'));
    let read = |group: &Path| std::fs::read_to_string(root.join(group).join(file)).ok()?.trim().parse().ok();
    inside.ancestors().filter_map(read).collect()
}

/// Resident bytes in all, and those of them that are files': the program's own. None where the system does not tell.
fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| kib(&status, name);
    Some((kib("VmRSS:")? << 10, (kib("RssFile:")? + kib("RssShmem:")?) << 10))
}

/// A number of the system's, by its name.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let mounted = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = mounted.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        };
        write("a/memory.max", "4096\n");
        write("a/b/memory.max", "max\n");
        write("a/b/c/memory.max", "8192\n");
        write("memory/x/memory.limit_in_bytes", "1000\n");
        let check = |line: &str, expected: &[u64]| assert_eq!(limits_of(mounted.path(), line), expected, "{line}");
        check("0::/a/b/c", &[8192, 4096]);
        check("0::/a/b", &[4096]);
        check("0::/", &[]);
        check("0::/elsewhere", &[]);
        check("5:cpu,memory:/x/y", &[1000]);
        check("5:cpu:/x", &[]);
        check("", &[]);
    }

    #[test]
    fn this_machine_has_memory_and_this_process_some_of_it() {
        let (machine, process) = (machine_bytes(), resident_bytes());
        assert_eq!(machine.is_some(), cfg!(target_os = "linux"));
        assert!(process < machine || machine.is_none(), "{process:?} of {machine:?}");
    }
}

//! What docs/performance.md reports. `cargo bench` runs all of it; `cargo bench -- core 1000000`, `-- peers`, `-- way`, `-- answers`, `-- rows`, `-- posts`, `-- crowd`, `-- starts`, `-- kafka` a part.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod answers;
mod core;
mod crowd;
mod kafka;
mod peers;
mod plain;
mod posts;
mod rows;
mod starts;
mod support;
mod way;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<tikv_jemallocator::Jemalloc> =
    zeroizing_alloc::ZeroAlloc(tikv_jemallocator::Jemalloc);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [command, way, recorded] = &arguments[..]
        && command == "serve"
    {
        return plain::serve(way, recorded);
    }
    let sizes: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let wanted = |name: &str| {
        arguments.iter().all(|argument| argument.parse::<u64>().is_ok())
            || arguments.iter().any(|argument| argument == name)
    };
    if wanted("peers") {
        peers::run();
    }
    if wanted("answers") {
        answers::run();
    }
    if wanted("rows") {
        rows::run();
    }
    if wanted("core") {
        core::run(if sizes.is_empty() { &[1_000_000, 5_000_000] } else { &sizes });
    }
    if wanted("kafka") {
        kafka::run(sizes.first().copied().unwrap_or(500_000));
    }
    if wanted("posts") {
        posts::run(sizes.first().copied().unwrap_or(200_000));
    }
    if wanted("crowd") {
        crowd::run(sizes.first().copied().unwrap_or(30));
    }
    if wanted("starts") {
        starts::run(sizes.first().copied().unwrap_or(5_000_000));
    }
    if wanted("way") {
        way::run(sizes.first().copied().unwrap_or(1_000_000));
    }
}

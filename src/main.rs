//! Arguments in, exit code out.

use std::process::ExitCode;

/// The graph is many small pieces, made on one thread and freed on others, which mimalloc is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    staygraph::cli::run()
}

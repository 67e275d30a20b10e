//! Arguments in, exit code out.

use std::process::ExitCode;

/// glibc's allocator costs the projection a quarter and more (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    staygraph::cli::run()
}

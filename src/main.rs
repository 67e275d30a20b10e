//! Arguments in, exit code out.

use std::process::ExitCode;

/// Tells how much of its memory is used, and gives the rest back in the background. docs/performance.md has what it was
/// chosen by.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    staygraph::cli::run()
}

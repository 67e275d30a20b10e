//! Arguments in, exit code out.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use zeroizing_alloc::ZeroAlloc;

/// Tells how much of its memory is used, and gives the rest back in the background. docs/performance.md has what it was
/// chosen by. What is freed is wiped: of somebody who was erased nothing stays behind in memory that nobody uses.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    staygraph::cli::run()
}

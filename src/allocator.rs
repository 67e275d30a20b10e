//! The allocator's one call that Rust has no name for.

/// Gives back to the system what this thread's memory has free. Hydration leaves much of it: every version copies a part of the
/// trees, and nothing asks for that memory afterwards. Takes time by how much this thread ever took; meant for once.
#[allow(unsafe_code, reason = "docs/performance.md, \"Memory by part\": what it gives back at a million entities; no safe way is there")]
pub fn give_back() {
    // SAFETY: it takes no pointer, and may be called from any thread at any time; where another allocator is the program's,
    // as in tests, there is nothing for it to give back.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

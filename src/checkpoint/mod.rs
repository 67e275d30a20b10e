//! A version of everything as bytes, and everything made of them again: the graph's records, what the rules remember, positions,
//! dead letters, the catalogue.
//!
//! A checkpoint is a text that says what it is ([`Head`]), and data: chunks, each with its length and a checksum, the last of which
//! says how many there are. What is personal is sealed by its entity's key; those keys are in no checkpoint.
//!
//! Not here: where the bytes lie, who takes a checkpoint and when, and the keys.

mod chunk;
mod head;
mod model;
mod read;
mod write;

pub use chunk::{Chunk, Chunks, Fault};
pub use head::{Differs, FORMAT, Head, Rules};
pub use read::{Part, Restoring, Unpacker};
pub use write::write;

/// Pages of records that a chunk holds: about a megabyte.
const CHUNK_PAGES: usize = 64;

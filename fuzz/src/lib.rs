//! What the targets call. The bodies are the tests' own, which run them on stable over the corpora and what is like them.

pub mod event;
pub mod reference;
#[allow(dead_code, reason = "other tests tell more")]
#[path = "../../tests/it/teller.rs"]
mod teller;

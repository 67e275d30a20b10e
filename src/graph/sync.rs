//! What slots lock with. It has a place of its own so that `tests/slots.rs` can put a model checker's in its stead.

pub use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

//! Where events come from. One source so far: the embedded log, for one machine and for tests.

pub mod log;

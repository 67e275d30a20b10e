//! The room `event` has no public door to its tape: here are its files.
#![allow(dead_code, reason = "the room uses what is not used here")]

#[path = "../agree.rs"]
pub mod agree;
#[path = "../../../src/event/numerals.rs"]
mod numerals;
#[path = "../../../src/event/scan.rs"]
mod scan;
#[path = "../../../src/event/strict.rs"]
mod strict;
#[path = "../../../src/event/tape.rs"]
mod tape;

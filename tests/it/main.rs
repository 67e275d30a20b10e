//! The tests of the whole: laws of the projection, and the real binary as its users meet it.

mod answers;
mod golden;
mod lifecycle;
mod messages;
mod queries;
mod support;
mod write;

//! The tests of the whole: laws of the projection, and the real binary as its users meet it.

mod answers;
mod attacks;
mod cdc;
mod concurrency;
mod conformance;
mod demo;
mod durability;
mod golden;
mod importers;
mod laws;
mod letters;
mod lifecycle;
mod messages;
mod operating;
mod oracle;
mod plans;
mod queries;
mod registry;
mod rows;
mod soak;
mod starts;
mod strangler;
mod support;
mod transactions;
mod walks;
mod write;

#![forbid(unsafe_code)]
pub mod event;
pub mod graph;
pub mod model;
pub mod position;
pub mod projection;
pub mod source;

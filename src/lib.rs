#![forbid(unsafe_code)]
pub mod event;
pub mod freshness;
pub mod graph;
pub mod model;
pub mod position;
pub mod projection;
pub mod query;
pub mod source;

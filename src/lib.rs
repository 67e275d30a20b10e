#![forbid(unsafe_code)]
pub mod api;
pub mod clock;
pub mod event;
pub mod freshness;
pub mod graph;
pub mod http;
pub mod intake;
pub mod model;
pub mod pipeline;
pub mod position;
pub mod projection;
pub mod query;
pub mod serving;
pub mod source;
pub mod telemetry;

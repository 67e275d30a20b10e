//! The GraphQL API, made from the model: its schema, its limits, its execution, and the freshness of every answer.
//!
//! `apollo-compiler` reads and validates each document before `async-graphql` sees a byte, because of what the latter's
//! defaults get wrong (docs/adr/0002). No HTTP here: requests and answers are values.

mod document;
mod entity;
mod error;
mod execute;
mod explore;
mod freshness;
mod inputs;
mod mending;
mod operations;
mod schema;
mod types;
mod written;

pub use document::Limits;
pub use error::ApiError;
pub use execute::{Answer, Api, Outcome, Request};
pub use schema::{Schema, make};

use std::sync::Arc;

use crate::query::{Reading, Seal};
use crate::serving::Serving;

/// What resolvers find beside their parent: one request's version, rights and clock.
pub struct Context {
    pub reading: Reading,
    pub snapshot: Arc<crate::projection::Snapshot>,
    pub serving: Arc<Serving>,
    pub seal: Seal,
    pub now: crate::model::value::Instant,
    /// Entities that a search for paths visits at most.
    pub visited_max: usize,
    mending: mending::Mending,
}

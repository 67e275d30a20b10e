//! The GraphQL API, made from the model: its schema, its limits, its execution, and the freshness of every answer.
//!
//! `apollo-compiler` reads and validates each document before `async-graphql` sees a byte, because of what the latter's
//! defaults get wrong (docs/adr/0002). No HTTP here: requests and answers are values.

mod admission;
mod document;
mod entity;
mod error;
mod execute;
mod explore;
mod fixed;
mod freshness;
mod inputs;
mod mending;
mod operations;
mod schema;
mod types;
mod words;
mod written;

pub use admission::Admission;
pub use error::ApiError;
pub use execute::{Answer, Api, Outcome, Request};
pub use schema::{Schema, make};

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

use crate::projection::DeadLetter;
use crate::query::{Reading, Seal};
use crate::serving::{Pinned, Serving};

/// What resolvers find beside their parent: one request's version, rights and clock.
pub struct Context {
    pub reading: Reading,
    pub pinned: Arc<Pinned>,
    pub serving: Arc<Serving>,
    pub seal: Seal,
    /// Entities that a search for paths visits at most.
    pub visited_max: usize,
    mending: mending::Mending,
    /// By entity and slot: the numbers of its dead letters. Made when it is first asked for.
    rejected: OnceLock<HashMap<(usize, u32), Vec<usize>>>,
    /// The catalogue, and of how many values it is. Made when it is first asked for.
    catalog: OnceLock<(Json, usize)>,
}

impl Context {
    /// The dead letters of a node, oldest first.
    fn rejected(&self, entity: usize, slot: u32) -> impl Iterator<Item = &DeadLetter> {
        let letters = &self.pinned.snapshot.dead_letters;
        let by_node = self.rejected.get_or_init(|| {
            let mut by_node: HashMap<_, Vec<usize>> = HashMap::new();
            for (number, node) in letters.iter().filter_map(|(number, letter)| Some((number, letter.node?))) {
                by_node.entry(node).or_default().push(number);
            }
            by_node
        });
        by_node.get(&(entity, slot)).into_iter().flatten().filter_map(|number| letters.get(*number))
    }
}

//! The GraphQL API, made from the model: its schema, its limits, its execution, and the freshness of every answer.
//!
//! A document is read once: parsed and validated with apollo-compiler, compiled into a plan, and run into the answer's bytes
//! (docs/adr/0012). No HTTP here: requests and answers are values.

mod access;
mod admission;
mod check;
mod coerce;
mod colons;
mod compile;
mod denial;
mod document;
mod documents;
mod error;
mod execute;
mod freshness;
mod introspect;
mod json;
mod operations;
mod plan;
mod reach;
mod run;
mod schema;
mod weigh;

pub use access::Access;
pub use admission::Admission;
pub use document::is_mutation;
pub use documents::{Documents, Source, Trusted};
pub use error::ApiError;
pub use execute::{Answer, Api, Outcome, Request};
pub use operations::checkpoint;
pub use run::OnError;
pub use schema::{Schema, make};

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::ids::NodeId;
use crate::projection::DeadLetter;
use crate::query::{Reading, Seal};
use crate::serving::{Generation, Pinned};

/// What a plan is run over: one request's version, rights and clock.
pub struct Context {
    pub reading: Reading,
    pub pinned: Arc<Pinned>,
    pub generation: Arc<Generation>,
    pub seal: Seal,
    /// Entities that a search for paths visits at most.
    pub visited_max: usize,
    /// By node: the numbers of its dead letters. Made when it is first asked for.
    rejected: OnceCell<HashMap<NodeId, Vec<usize>>>,
    /// The catalogue, and of how many values it is. Made when it is first asked for.
    catalog: OnceCell<(Json, usize)>,
}

impl Context {
    /// The dead letters of a node, oldest first.
    fn rejected(&self, id: NodeId) -> impl Iterator<Item = &DeadLetter> {
        let letters = &self.pinned.snapshot.dead_letters;
        let by_node = self.rejected.get_or_init(|| {
            let mut by_node: HashMap<_, Vec<usize>> = HashMap::new();
            for (number, node) in letters.iter().filter_map(|(number, letter)| Some((number, letter.node?))) {
                by_node.entry(node).or_default().push(number);
            }
            by_node
        });
        by_node.get(&id).into_iter().flatten().filter_map(|number| letters.get(*number))
    }
}

//! How many of each, kept with every write so that the catalogue never walks the graph.

use super::node::{Node, State};
use crate::model::Entity;

/// Counts of one entity's nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// What lists hold.
    pub listed: i64,
    pub references: i64,
    pub incomplete: i64,
    pub deleted: i64,
    pub erased: i64,
    /// By field: how many listed nodes have a value.
    pub filled: Vec<i64>,
    /// By check: how many listed nodes break it.
    pub breaches: Vec<i64>,
}

impl Counts {
    pub fn new(entity: &Entity) -> Counts {
        Counts {
            listed: 0,
            references: 0,
            incomplete: 0,
            deleted: 0,
            erased: 0,
            filled: vec![0; entity.fields.len()],
            breaches: vec![0; entity.checks.len()],
        }
    }

    /// Adds a node `sign` times: 1, or −1 before it changes.
    pub fn count(&mut self, entity: &Entity, node: &Node, sign: i64) {
        if node.is_alias() || !node.exists() {
            return;
        }
        match node.state {
            State::Reference => self.references += sign,
            State::Deleted => self.deleted += sign,
            State::Present => {
                self.listed += sign;
                if node.missing.is_some() {
                    self.incomplete += sign;
                }
                for (filled, value) in self.filled.iter_mut().zip(node.fields.iter()) {
                    if !value.is_null() {
                        *filled += sign;
                    }
                }
                for check in node.breaches(entity) {
                    self.breaches[check] += sign;
                }
            }
        }
        if node.erased && node.state != State::Reference {
            self.erased += sign;
        }
    }
}

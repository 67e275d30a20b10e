//! Which of the graph's rows one who asks may see. What may not be seen is as if it were not there.
//!
//! A rule is a filter, judged over the whole graph: no rule holds inside a rule. Everything else that is asked passes
//! through a [`super::Reading`], which leaves out what its [`Rows`] do not show.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Filter;
use crate::ids::{By, EntityId};

/// What of an entity's nodes may be seen.
#[derive(Clone, Debug)]
pub enum Sight {
    All,
    Nothing,
    /// Those for which it holds: conditions that must all hold, each a [`Filter::Whole`].
    Those(Vec<Filter>),
}

impl Sight {
    /// Those for which a filter holds.
    pub fn those(filter: Filter) -> Sight {
        let mut conditions = Vec::new();
        flatten(filter, &mut conditions);
        if conditions.is_empty() { Sight::All } else { Sight::Those(conditions) }
    }
}

fn flatten(filter: Filter, conditions: &mut Vec<Filter>) {
    match filter {
        Filter::And(parts) => parts.into_iter().for_each(|part| flatten(part, conditions)),
        part => conditions.push(Filter::Whole(Box::new(part))),
    }
}

/// What one who asks may see, by entity.
#[derive(Clone, Debug)]
pub struct Rows(pub By<EntityId, Sight>);

impl Rows {
    /// Tells what is shown to one from what is shown to another. Made for who keeps an answer.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.0).hash(&mut hasher);
        hasher.finish()
    }

    pub fn sight(&self, entity: EntityId) -> &Sight {
        &self.0[entity]
    }
}

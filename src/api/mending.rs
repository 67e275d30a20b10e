//! What the executor cannot say for itself: errors that null no more than they must, and nulls in a list of interfaces.
//!
//! `async_graphql::dynamic` nulls the whole answer at any error and reports only the first. So resolvers keep what they
//! refuse here, answer with a stand-in, and the response is mended afterwards, by the specification's rule: null goes up
//! to the nearest field that may be null.

use std::sync::{Mutex, PoisonError};

use async_graphql::{Pos, Value};
use serde_json::Value as Json;

use super::error::ApiError;
use crate::query::QueryError;

/// One step into a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Name(String),
    Index(usize),
}

pub type Path = Vec<Segment>;

struct Refusal {
    path: Path,
    place: Pos,
    error: QueryError,
}

/// What a response must be mended by.
#[derive(Default)]
pub struct Mending {
    refusals: Mutex<Vec<Refusal>>,
    gaps: Mutex<Vec<(Path, Vec<bool>)>>,
}

impl Mending {
    pub fn refuse(&self, path: Path, place: Pos, error: QueryError) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(Refusal { path, place, error });
    }

    /// A list was answered without its nulls: `found` says which items are there.
    pub fn leave_out(&self, path: Path, found: Vec<bool>) {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).push((path, found));
    }

    /// Mends a response. `null_at` says how much of a path stays when its end is null: `None` where nothing does.
    pub fn mend(&self, data: &mut Value, null_at: impl Fn(&Path) -> Option<usize>) -> Vec<ApiError> {
        let gaps = std::mem::take(&mut *self.gaps.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, found) in &gaps {
            if let Some(Value::List(items)) = find(data, path) {
                let mut there = std::mem::take(items).into_iter();
                *items = found
                    .iter()
                    .map(|found| if *found { there.next().unwrap_or_default() } else { Value::Null })
                    .collect();
            }
        }
        let mut refusals = std::mem::take(&mut *self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        for refusal in &mut refusals {
            for (path, found) in &gaps {
                move_index(&mut refusal.path, path, found);
            }
        }
        for refusal in &refusals {
            match null_at(&refusal.path) {
                Some(length) => {
                    if let Some(place) = find(data, &refusal.path[..length]) {
                        *place = Value::Null;
                    }
                }
                None => *data = Value::Null,
            }
        }
        refusals.iter().map(shown).collect()
    }
}

/// An item of a list without its nulls has another index in the list with them.
fn move_index(path: &mut Path, list: &Path, found: &[bool]) {
    if path.len() > list.len()
        && path.starts_with(list)
        && let Segment::Index(index) = &mut path[list.len()]
    {
        let places = found.iter().enumerate().filter(|(_, found)| **found);
        *index = places.map(|(place, _)| place).nth(*index).unwrap_or(*index);
    }
}

fn find<'a>(data: &'a mut Value, path: &[Segment]) -> Option<&'a mut Value> {
    path.iter().try_fold(data, |value, segment| match (value, segment) {
        (Value::Object(members), Segment::Name(name)) => members.get_mut(name.as_str()),
        (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
        _ => None,
    })
}

fn shown(refusal: &Refusal) -> ApiError {
    let mut error = ApiError::new(refusal.error.code, refusal.error.message.clone());
    error.locations = vec![(refusal.place.line, refusal.place.column)];
    let path = refusal.path.iter().map(|segment| match segment {
        Segment::Name(name) => Json::from(name.as_str()),
        Segment::Index(index) => Json::from(*index),
    });
    error.path = Some(path.collect());
    error
}

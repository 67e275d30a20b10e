//! The one door to the graph: every read of a request goes through its [`Reading`], which knows the version, the rights, the
//! time that is left, and notes which domains the answer depends on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::filter::Over;
use super::{QUERY_TIMEOUT, QUERY_TOO_COMPLEX, QueryError, Rows, Sight};
use crate::graph::{Bounds, Completeness, Counts, Halt, Node, Path, View, Walker, paths};
use crate::ids::{By, DomainId, EntityId, FieldId, NodeId};
use crate::limits::{ANSWER_BYTES_MAX, SEEN_MAX, STEPS};
use crate::model::Model;
use crate::rights::Rights;

/// A request's, on its way from node to node.
struct Eyes<'r>(&'r Reading);

impl Walker for Eyes<'_> {
    type Error = QueryError;

    fn step(&mut self, _: EntityId) -> Result<(), QueryError> {
        self.0.step()
    }

    fn shows(&self, id: NodeId) -> Result<bool, QueryError> {
        self.0.shows(id, &self.0.view.node(id))
    }

    fn shows_all(&self, entity: EntityId) -> bool {
        matches!(self.0.sight(entity), Sight::All)
    }
}

/// What a request reads with. It belongs to one thread at a time.
pub struct Reading {
    pub(super) view: View,
    pub rights: Arc<Rights>,
    /// What of the graph may be seen; none where that is all.
    rows: Option<Arc<Rows>>,
    /// Whether rules hold for nodes that were judged, as links lead to the same ones again and again.
    judged: RefCell<HashMap<NodeId, bool>>,
    /// Why the work ended where that could not be said at once.
    ended: RefCell<Option<QueryError>>,
    touched: By<DomainId, Cell<bool>>,
    /// Whether the answer depends on who names what, which any domain may change.
    by_name: Cell<bool>,
    steps: Cell<u64>,
    /// Steps after which the work is given up, to be begun anew where it holds up no one.
    steps_max: u64,
    /// How each list was answered, where that was asked for.
    plans: Option<RefCell<Vec<Json>>>,
    /// Says whether the request's time is over.
    over: Box<dyn Fn() -> bool + Send>,
}

impl Reading {
    pub fn new(view: View, rights: Arc<Rights>, over: Box<dyn Fn() -> bool + Send>) -> Reading {
        let touched = view.model().domains.iter().map(|_| Cell::new(false)).collect();
        Reading {
            view,
            rights,
            rows: None,
            judged: RefCell::default(),
            ended: RefCell::default(),
            touched,
            by_name: Cell::new(false),
            steps: Cell::new(0),
            steps_max: u64::MAX,
            plans: None,
            over,
        }
    }

    /// Shows no more than what somebody may see.
    pub fn showing(mut self, rows: Option<Arc<Rows>>) -> Reading {
        self.rows = rows;
        self
    }

    /// Gives the work up after so many steps.
    pub fn at_most(mut self, steps: u64) -> Reading {
        self.steps_max = steps;
        self
    }

    /// Whether the work was given up for its length.
    pub fn is_given_up(&self) -> bool {
        self.steps.get() > self.steps_max
    }

    /// Notes from now on how lists are answered.
    pub fn note_plans(mut self) -> Reading {
        self.plans = Some(RefCell::default());
        self
    }

    /// Whether it does.
    pub fn notes_plans(&self) -> bool {
        self.plans.is_some()
    }

    /// Notes how a list was answered, where that was asked for.
    pub fn planned(&self, plan: impl FnOnce() -> Json) {
        if let Some(plans) = &self.plans {
            plans.borrow_mut().push(plan());
        }
    }

    /// What was noted; `None` where nobody asked.
    pub fn plans(&self) -> Option<Vec<Json>> {
        self.plans.as_ref().map(|plans| plans.borrow().clone())
    }

    pub fn model(&self) -> &Arc<Model> {
        self.view.model()
    }

    /// Numbers of an entity's nodes, by what they are.
    pub fn counts(&self, entity: EntityId) -> &Counts {
        self.touch(entity);
        self.view.counts(entity)
    }

    /// The answer depends on this entity's domain, whether or not anything was found there.
    pub fn touch(&self, entity: EntityId) {
        self.touched[self.view.model().entities[entity].domain].set(true);
    }

    /// What of an entity may be seen.
    pub fn sight(&self, entity: EntityId) -> &Sight {
        self.rows.as_ref().map_or(&Sight::All, |rows| rows.sight(entity))
    }

    /// Whether the rules show a node of whom something that may be seen tells.
    pub(super) fn shows(&self, id: NodeId, node: &Node<'_>) -> Result<bool, QueryError> {
        let conditions = match self.sight(id.entity) {
            Sight::All => return Ok(true),
            Sight::Nothing => return self.step().map(|()| false),
            Sight::Those(conditions) => conditions,
        };
        // What is left out is work too, however often it was judged.
        self.step()?;
        if let Some(known) = self.judged.borrow().get(&id) {
            return Ok(*known);
        }
        let mut shows = true;
        for condition in conditions {
            shows = shows && condition.holds(self, id, node, Over::Whole)?;
        }
        let mut judged = self.judged.borrow_mut();
        if judged.len() < SEEN_MAX {
            judged.insert(id, shows);
        }
        Ok(shows)
    }

    /// The same where nothing can be refused: once the time is over nothing is shown, and [`Reading::go_on`] says so.
    pub(super) fn shows_or_ends(&self, id: NodeId, node: &Node<'_>) -> bool {
        self.shows(id, node).unwrap_or_else(|error| {
            self.ended.borrow_mut().get_or_insert(error);
            false
        })
    }

    /// Whether a node that something else tells of may be seen.
    pub fn sees(&self, id: NodeId) -> Result<bool, QueryError> {
        self.shows_alone(id, &self.node(id))
    }

    /// An error where the work ended and that could not be said.
    pub fn go_on(&self) -> Result<(), QueryError> {
        self.ended.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Whether a node may be seen on its own: one that has no events is there as long as something names it that may be seen.
    pub(super) fn shows_alone(&self, id: NodeId, node: &Node<'_>) -> Result<bool, QueryError> {
        if !self.shows(id, node)? {
            return Ok(false);
        }
        if self.rows.is_none() || node.completeness() != Completeness::Reference || node.rejected() {
            return Ok(true);
        }
        for member in self.view.merged(id) {
            // Whoever merged into it is seen as it.
            if member != id.slot {
                return Ok(true);
            }
            for (source, described) in self.model().entities.entries() {
                for (field, link) in described.fields.entries() {
                    if link.kind.link() != Some(id.entity) {
                        continue;
                    }
                    for slot in self.view.sources(source, field, member) {
                        self.step()?;
                        let source = source.node(slot);
                        if self.shows(source, &self.view.node(source))? {
                            return Ok(true);
                        }
                    }
                }
            }
        }
        Ok(false)
    }

    /// The node of a key, its domain touched. One that has no events of its own is there as long as others name it.
    pub fn find(&self, entity: EntityId, key: &str) -> Result<Option<NodeId>, QueryError> {
        self.touch(entity);
        let found = self.view.find(entity, key);
        let Some(id) = found else {
            self.depend_on_names();
            return Ok(None);
        };
        let node = self.view.node(id);
        if node.completeness() == Completeness::Reference {
            self.depend_on_names();
        }
        Ok(self.shows_alone(id, &node)?.then_some(id))
    }

    /// The node that a link field names, or its survivor.
    pub fn follow(&self, node: &Node<'_>, field: FieldId, target: EntityId) -> Result<Option<NodeId>, QueryError> {
        let Some(id) = self.view.follow(node, field, target) else { return Ok(None) };
        self.touch(target);
        Ok(self.shows(id, &self.view.node(id))?.then_some(id))
    }

    /// All paths of the least length between two nodes.
    pub fn paths(&self, from: NodeId, to: NodeId, bounds: &Bounds<'_>) -> Result<Vec<Path>, QueryError> {
        // Whatever is found depends on who may stand in between.
        for (entity, field) in bounds.via {
            self.touch(*entity);
            self.model().entities[*entity].fields[*field].kind.link().into_iter().for_each(|target| self.touch(target));
        }
        paths(&self.view, from, to, bounds, Eyes(self)).map_err(|halt| match halt {
            Halt::Stopped(error) => error,
            Halt::Visited => QueryError {
                code: QUERY_TIMEOUT,
                message: format!(
                    "the search visited {} entities, which is the most that it may: ask for fewer hops, or name links by `via`",
                    bounds.visited_max
                ),
            },
        })
    }

    /// The answer depends on who names what.
    pub fn depend_on_names(&self) {
        self.by_name.set(true);
    }

    /// Whether it does.
    pub fn depends_on_names(&self) -> bool {
        self.by_name.get()
    }

    /// The domains touched so far. Where not all may be seen, they tell of what may not: `api` does not pass them on.
    pub fn touched(&self) -> Vec<DomainId> {
        self.touched.ids().filter(|domain| self.touched[*domain].get()).collect()
    }

    /// A node, its domain touched. It holds its record: its fields are read without the graph.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        self.touch(id.entity);
        self.view.node(id)
    }

    /// Judges the bytes that an answer has so far.
    pub fn bytes(&self, written: usize) -> Result<(), QueryError> {
        match written <= ANSWER_BYTES_MAX {
            true => Ok(()),
            false => {
                let message = format!("the answer has more than {} MiB: ask for shorter pages", ANSWER_BYTES_MAX >> 20);
                Err(QueryError { code: QUERY_TOO_COMPLEX, message })
            }
        }
    }

    /// Counts one step of work; an error once the request's time is over.
    pub fn step(&self) -> Result<(), QueryError> {
        self.steps(1)
    }

    /// Counts some steps at once.
    pub fn steps(&self, count: u64) -> Result<(), QueryError> {
        let (before, after) = (self.steps.get(), self.steps.get() + count);
        self.steps.set(after);
        let is_over = after > self.steps_max || before / STEPS != after / STEPS && (self.over)();
        match is_over {
            true => Err(QueryError { code: QUERY_TIMEOUT, message: "the query took longer than a query may".into() }),
            false => Ok(()),
        }
    }
}

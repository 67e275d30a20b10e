//! One request's reading: of which version, with what rights, for how long, and which domains it touched.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{QUERY_TIMEOUT, QueryError};
use crate::graph::{Completeness, Node, View};
use crate::limits::STEPS;

/// What a request reads with.
pub struct Reading {
    pub view: View,
    /// Whether personal data may be read.
    pub personal: bool,
    touched: Vec<AtomicBool>,
    /// Whether the answer depends on who names what, which any domain may change.
    by_name: AtomicBool,
    steps: AtomicU64,
    /// How each list was answered, where that was asked for.
    plans: Option<Mutex<Vec<serde_json::Value>>>,
    /// Says whether the request's time is over.
    over: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Reading {
    pub fn new(view: View, personal: bool, over: Box<dyn Fn() -> bool + Send + Sync>) -> Reading {
        let touched = view.model().domains.iter().map(|_| AtomicBool::new(false)).collect();
        Reading {
            view,
            personal,
            touched,
            by_name: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            plans: None,
            over,
        }
    }

    /// Notes from now on how lists are answered.
    pub fn note_plans(mut self) -> Reading {
        self.plans = Some(Mutex::default());
        self
    }

    /// Notes how a list was answered, where that was asked for.
    pub fn planned(&self, plan: impl FnOnce() -> serde_json::Value) {
        if let Some(plans) = &self.plans {
            plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan());
        }
    }

    /// What was noted; `None` where nobody asked.
    pub fn plans(&self) -> Option<Vec<serde_json::Value>> {
        self.plans.as_ref().map(|plans| plans.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The answer depends on this entity's domain, whether or not anything was found there.
    pub fn touch(&self, entity: usize) {
        self.touched[self.view.model().entities[entity].domain].store(true, Ordering::Relaxed);
    }

    /// The entity of a key, its domain touched. One that has no events of its own is there as long as others name it.
    pub fn find(&self, entity: usize, key: &str) -> Option<u32> {
        self.touch(entity);
        let slot = self.view.find(entity, key);
        if slot.is_none_or(|slot| self.view.node(entity, slot).completeness() == Completeness::Reference) {
            self.depend_on_names();
        }
        slot
    }

    /// The answer depends on who names what.
    pub fn depend_on_names(&self) {
        self.by_name.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn depends_on_names(&self) -> bool {
        self.by_name.load(Ordering::Relaxed)
    }

    /// The domains touched so far.
    pub fn touched(&self) -> Vec<usize> {
        (0..self.touched.len()).filter(|domain| self.touched[*domain].load(Ordering::Relaxed)).collect()
    }

    /// A node, its domain touched.
    pub fn node(&self, entity: usize, slot: u32) -> Node<'_> {
        self.touch(entity);
        self.view.node(entity, slot)
    }

    /// Counts one step of work; an error once the request's time is over.
    pub fn step(&self) -> Result<(), QueryError> {
        self.steps(1)
    }

    /// Counts some steps at once.
    pub fn steps(&self, count: u64) -> Result<(), QueryError> {
        let before = self.steps.fetch_add(count, Ordering::Relaxed);
        if before / STEPS != (before + count) / STEPS && (self.over)() {
            return Err(QueryError { code: QUERY_TIMEOUT, message: "the query took longer than a query may".into() });
        }
        Ok(())
    }
}

//! Who may run now. Queries take turns on the cores; a large one leaves room for small ones, and nobody waits long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{Limits, MEMORY_TIGHT_PERCENT, QUEUE_MS_MAX, SMALL_COST_MAX};

/// The turns that there are.
#[derive(Clone)]
pub struct Admission {
    all: Arc<Semaphore>,
    /// Those of all that large queries may take.
    large: Arc<Semaphore>,
    queue: Arc<AtomicUsize>,
    queue_max: usize,
    /// Bytes of the process from which on large queries are refused, and how many it has; none where nobody can tell.
    tight_bytes: u64,
    resident: fn() -> Option<u64>,
}

/// A turn, until it is dropped.
pub struct Turn {
    _large: Option<OwnedSemaphorePermit>,
    _one: OwnedSemaphorePermit,
}

/// Nobody can be let in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Admission {
    /// `resident` says how many bytes the process takes. It is asked for large queries alone.
    pub fn new(limits: &Limits, resident: fn() -> Option<u64>) -> Admission {
        Admission {
            all: Arc::new(Semaphore::new(limits.queries_max)),
            large: Arc::new(Semaphore::new((limits.queries_max / 2).max(1))),
            queue: Arc::default(),
            queue_max: limits.queue_max,
            tight_bytes: limits.memory_max / 100 * MEMORY_TIGHT_PERCENT,
            resident,
        }
    }

    /// Waits for a turn for a query that can give so many fields.
    pub async fn turn(&self, cost: u64) -> Result<Turn, Overloaded> {
        if cost > SMALL_COST_MAX && (self.resident)().is_some_and(|bytes| bytes >= self.tight_bytes) {
            return Err(Overloaded);
        }
        let _queued = Queued::enter(&self.queue, self.queue_max)?;
        let turn = async {
            let large = match cost > SMALL_COST_MAX {
                true => Some(self.large.clone().acquire_owned().await.ok()?),
                false => None,
            };
            Some(Turn { _large: large, _one: self.all.clone().acquire_owned().await.ok()? })
        };
        tokio::time::timeout(Duration::from_millis(QUEUE_MS_MAX), turn).await.ok().flatten().ok_or(Overloaded)
    }
}

/// A place in the queue.
struct Queued<'a>(&'a AtomicUsize);

impl Queued<'_> {
    fn enter(queue: &AtomicUsize, most: usize) -> Result<Queued<'_>, Overloaded> {
        let place = Queued(queue);
        if queue.fetch_add(1, Ordering::AcqRel) < most { Ok(place) } else { Err(Overloaded) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Tells the work for an answer that nobody waits for it any more.
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// The teller, which tells when it is dropped, and what the work looks at.
    pub fn new() -> (GivenUp, Arc<AtomicBool>) {
        let told = Arc::new(AtomicBool::new(false));
        (GivenUp(told.clone()), told)
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn small_ones_pass_while_large_ones_wait() {
        let limits = Limits { queries_max: 4, queue_max: 3, ..Limits::default() };
        let admission = Admission::new(&limits, || None);
        let large = SMALL_COST_MAX + 1;
        let held = (admission.turn(large).await.unwrap(), admission.turn(large).await.unwrap());
        assert!(admission.turn(large).await.is_err(), "it waits, and not for ever");
        let small = (admission.turn(1).await.unwrap(), admission.turn(1).await.unwrap());
        assert!(admission.turn(1).await.is_err());
        // As many wait as may: the next is sent away at once.
        let waiting = [admission.clone(), admission.clone(), admission.clone()]
            .map(|admission| tokio::spawn(async move { admission.turn(1).await.is_ok() }));
        tokio::task::yield_now().await;
        let asked = tokio::time::Instant::now();
        assert!(admission.turn(1).await.is_err());
        assert!(asked.elapsed() < Duration::from_millis(QUEUE_MS_MAX));
        drop((held, small));
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
    }

    #[tokio::test]
    async fn large_ones_are_refused_where_memory_is_tight() {
        for (memory_max, large) in [(1_000, false), (1_100, false), (1_200, true), (u64::MAX, true)] {
            let admission = Admission::new(&Limits { memory_max, ..Limits::default() }, || Some(1_000));
            assert!(admission.turn(SMALL_COST_MAX).await.is_ok(), "{memory_max}");
            assert_eq!(admission.turn(SMALL_COST_MAX + 1).await.is_ok(), large, "{memory_max}");
        }
    }
}

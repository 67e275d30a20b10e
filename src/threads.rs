//! Threads that are looked after: each has a name, one that dies is known by it, and waiting for their end has an end.
//!
//! Not here: what dies with the process, and how. `app` decides that.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock;

/// A thread that ended though nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    pub thread: String,
    /// `panicked` or `ended unasked`.
    pub how: &'static str,
}

/// How long a thread is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Its end before [`Thread::release`] is a death.
    UntilReleased,
    /// It may end when it has done its work; only a panic is a death.
    UntilDone,
}

/// Starts threads, and knows the first that died.
#[derive(Clone)]
pub struct Threads {
    death: watch::Sender<Option<Death>>,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads { death: watch::Sender::new(None) }
    }
}

#[derive(Debug, Default)]
struct Life {
    may_end: bool,
    has_ended: bool,
}

/// A thread that runs. Dropping it neither ends it nor waits for it.
#[derive(Clone)]
pub struct Thread {
    name: Arc<str>,
    life: Arc<(Mutex<Life>, Condvar)>,
}

impl Threads {
    /// Starts a thread. The error is the operating system's.
    pub fn spawn(&self, name: &str, lasts: Lasts, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let life = Life { may_end: lasts == Lasts::UntilDone, has_ended: false };
        let thread = Thread { name: name.into(), life: Arc::new((Mutex::new(life), Condvar::new())) };
        let (own, death) = (thread.clone(), self.death.clone());
        let run = move || {
            // What the work shared is either dropped with it or behind locks that outlive a panic.
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let how = match outcome {
                Err(_) => Some("panicked"),
                Ok(()) if !own.life().may_end => Some("ended unasked"),
                Ok(()) => None,
            };
            if let Some(how) = how {
                tracing::error!(thread = own.name.as_ref(), "a thread {how}: the service ends");
                let first = Death { thread: own.name.to_string(), how };
                death.send_if_modified(|known| known.is_none() && known.replace(first).is_none());
            }
            own.life().has_ended = true;
            own.life.1.notify_all();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(thread)
    }

    /// The first that died.
    pub fn death(&self) -> Option<Death> {
        self.death.borrow().clone()
    }

    /// Waits for the first that dies; for ever where none does.
    pub async fn died(&self) -> Death {
        let mut told = self.death.subscribe();
        let death = told.wait_for(Option::is_some).await.ok().and_then(|death| death.clone());
        match death {
            Some(death) => death,
            None => std::future::pending().await,
        }
    }
}

impl Thread {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It may end from now on.
    pub fn release(&self) {
        self.life().may_end = true;
    }

    /// Waits for its end, at most so long. Gives whether it came.
    pub fn join(&self, at_most: Duration) -> bool {
        let waited = self.life.1.wait_timeout_while(self.life(), at_most, |life| !life.has_ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.has_ended
    }
}

/// Waits for the end of all, at most so long for them together. Gives the names of those that still run.
pub fn join_all(threads: &[Thread], at_most: Duration) -> Vec<String> {
    let until = clock::tick() + at_most;
    let runs = |thread: &&Thread| !thread.join(until.saturating_sub(clock::tick()));
    threads.iter().filter(runs).map(|thread| thread.name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_thread_that_dies_is_named() {
        for (lasts, panics, expected) in [
            (Lasts::UntilReleased, false, Some("ended unasked")),
            (Lasts::UntilReleased, true, Some("panicked")),
            (Lasts::UntilDone, false, None),
            (Lasts::UntilDone, true, Some("panicked")),
        ] {
            let threads = Threads::default();
            let thread = threads.spawn("one", lasts, move || assert!(!panics, "on purpose"));
            assert!(thread.expect("a thread").join(SOON));
            assert_eq!(threads.death().map(|death| death.how), expected, "{lasts:?} {panics}");
        }
    }

    #[test]
    fn the_first_death_is_told_and_others_go_on() {
        let threads = Threads::default();
        let (go, wait) = channel::<()>();
        let living = threads
            .spawn("living", Lasts::UntilReleased, move || {
                let _ = wait.recv();
            })
            .expect("a thread");
        let dying = threads.spawn("dying", Lasts::UntilReleased, || panic!("on purpose")).expect("a thread");
        assert!(dying.join(SOON));
        assert_eq!(threads.death().map(|death| death.thread).as_deref(), Some("dying"));
        assert_eq!(join_all(&[living.clone(), dying], Duration::from_millis(20)), ["living"], "it has a deadline");
        living.release();
        drop(go);
        assert!(join_all(&[living], SOON).is_empty());
        assert_eq!(threads.death().map(|death| death.thread).as_deref(), Some("dying"));
    }
}

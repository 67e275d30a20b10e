//! What was kept back, event by event.

use std::io::BufRead;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{State, TRICKLE, take, unpack};
use crate::intake::Intake;
use crate::threads::{Lasts, Thread, Threads};

/// How long all of it lasts.
const LASTS: Duration = Duration::from_secs(8 * 3600);
/// How long stopping waits for the event under way.
const STOP: Duration = Duration::from_secs(5);

/// The running trickle; dropping it stops it.
pub struct Trickle {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Thread,
}

impl Trickle {
    /// Goes on where the state says.
    pub fn start(intake: Intake, mut state: State, threads: &Threads) -> Result<Trickle, String> {
        let lines = unpack(TRICKLE)?.split(b'\n').skip(state.trickle_appended as usize);
        let pause = LASTS.div_f64(State::trickle_events().max(1) as f64);
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let run = move || {
            for line in lines {
                let (flag, signal) = &*stopped;
                let flag = flag.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = signal.wait_timeout_while(flag, pause, |stop| !*stop);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
                let appended = line.map_err(|error| error.to_string()).and_then(|line| take(&intake, &line));
                state.trickle_appended += 1;
                if let Err(error) = appended.and_then(|()| state.save()) {
                    tracing::error!(%error, "the trickle stops");
                    return;
                }
            }
            tracing::info!("the trickle is over: everything is in the log");
        };
        let thread = threads.spawn("trickle", Lasts::UntilDone, run);
        Ok(Trickle { stop, thread: thread.map_err(|error| format!("no thread for the trickle: {error}"))? })
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if !self.thread.join(STOP) {
            tracing::warn!("the trickle does not end: its log does not answer");
        }
    }
}

//! Ctrl-C and SIGTERM, heard from the first moment on, on a thread of their own: whatever the rest does, the first asks for
//! an end and the second is one.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Failure, one};

/// Exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// Whether somebody asked for an end.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Hears signals from now on.
    pub fn listen() -> Result<Stop, Failure> {
        let failed = |error: std::io::Error| one(format!("signals cannot be heard: {error}"));
        let (asked, told) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            let both = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
            both.map_err(failed)?
        };
        let hear = async move {
            for is_first in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if is_first {
                    tracing::info!("stopping; once more to stop at once");
                    asked.send_replace(true);
                }
            }
            std::process::exit(INTERRUPTED)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(hear)).map_err(failed)?;
        Ok(Stop(told))
    }

    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when somebody asks.
    pub async fn asked(mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Nobody hears signals any more: then nobody asks.
            std::future::pending().await
        }
    }
}

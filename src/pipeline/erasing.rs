//! Destroys the keys of whom erasures reach, beside the projector: that waits for the disk.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::wired::Erasures;
use crate::keys::Keys;
use crate::model::Model;

/// After what time it is tried again where it fails: the disk is full, say.
const AGAIN: Duration = Duration::from_secs(1);

/// Destroys what it is told to, all that waits together, until nobody tells more. What fails is tried again; what is not done
/// when the process ends is done after the next start, which reads the erasures again.
pub fn destroy(keys: &Keys, model: &Model, reached: &Receiver<Erasures>) {
    let mut all = Erasures::new();
    loop {
        let more = match all.is_empty() {
            true => reached.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => reached.recv_timeout(AGAIN),
        };
        if more == Err(RecvTimeoutError::Disconnected) && all.is_empty() {
            return;
        }
        let is_last = more == Err(RecvTimeoutError::Disconnected);
        all.extend(more.into_iter().flatten());
        all.extend(reached.try_iter().flatten());
        let named = all.iter().map(|(entity, subject)| (model.entities[*entity].event.as_str(), subject.as_str()));
        match keys.destroy(named) {
            Ok(count) => {
                if count > 0 {
                    tracing::info!(keys = count, "the keys of the erased are destroyed");
                }
                all.clear();
            }
            Err(error) => tracing::error!(%error, "the keys of the erased cannot be destroyed yet"),
        }
        if is_last {
            return;
        }
    }
}

//! An issuer's keys, kept: fetched at the start, anew for a key that is not known, and now and then; the last ones stay while the issuer is away.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::jwt::Signed;
use super::keys::{Found, Keys};
use super::{IssuerConfig, Refusal};

/// How often keys are fetched at most, once there are any: whoever makes up names of keys asks for no more.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// How often keys are fetched though nobody asks: one that was withdrawn has to go.
const RENEWED_EVERY: Duration = Duration::from_secs(600);
/// How soon a fetch is tried again where there are no keys yet; then twice as late each time, [`ASKED_EVERY`] at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a request waits for keys that are being fetched.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// An issuer and its keys.
pub struct Issuer {
    pub config: IssuerConfig,
    state: watch::Sender<State>,
    /// Woken when a key is asked for that is not known.
    asked: Notify,
}

#[derive(Clone)]
struct State {
    keys: Option<Arc<Keys>>,
    fetched_at: Option<Instant>,
    /// Fetches that ended, and those of them that failed.
    rounds: u64,
    failures: u64,
    /// Whether the last one did.
    is_away: bool,
    /// From when on a key that is not known is asked for. None while keys are being fetched.
    open_from: Option<Instant>,
}

/// How an issuer's keys are, for the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct KeysStatus {
    pub keys: usize,
    /// Since they were fetched; none where they never were.
    pub age: Option<Duration>,
    pub failures: u64,
}

impl Issuer {
    pub fn new(config: IssuerConfig) -> Issuer {
        let state = State { keys: None, fetched_at: None, rounds: 0, failures: 0, is_away: false, open_from: None };
        Issuer { config, state: watch::Sender::new(state), asked: Notify::new() }
    }

    pub fn status(&self) -> KeysStatus {
        let state = self.state.borrow();
        KeysStatus {
            keys: state.keys.as_ref().map_or(0, |keys| keys.len()),
            age: state.fetched_at.map(|at| at.elapsed()),
            failures: state.failures,
        }
    }

    /// The key that a token is to be verified by. One that is not known is asked for, if that may be now, and waited for.
    pub async fn key(&self, header: &Signed) -> Result<DecodingKey, Refusal> {
        let mut news = self.state.subscribe();
        let state = news.borrow_and_update().clone();
        if let Some(key) = state.look_up(header)? {
            return Ok(key);
        }
        if state.open_from.is_some_and(|from| Instant::now() < from) {
            return Err(self.unknown(&state));
        }
        self.asked.notify_one();
        let ended = news.wait_for(|now| now.rounds > state.rounds);
        let now = match timeout_at(Instant::now() + WAIT_MAX, ended).await {
            Ok(Ok(now)) => now.clone(),
            // It may be there, and the issuer is slow.
            _ => return Err(Refusal::KeysAway(self.config.issuer.clone())),
        };
        now.look_up(header)?.ok_or_else(|| self.unknown(&now))
    }

    fn unknown(&self, state: &State) -> Refusal {
        match state.keys {
            Some(_) => Refusal::Bad("the token's signature is by a key that is not known"),
            None => Refusal::KeysAway(self.config.issuer.clone()),
        }
    }

    /// Keeps the keys, for ever.
    pub async fn keep(self: Arc<Issuer>) {
        let mut pause = FIRST_PAUSE;
        loop {
            self.state.send_modify(|state| state.open_from = None);
            let source = self.config.keys.clone();
            let fetched = tokio::task::spawn_blocking(move || source.fetch()).await;
            let fetched = fetched.unwrap_or_else(|_| Err("the fetch panicked: the line above says where".into()));
            self.tell(&fetched);
            let (is_here, at) = (fetched.is_ok(), Instant::now());
            let mut open_from = at + ASKED_EVERY;
            self.state.send_modify(|state| {
                match fetched {
                    Ok(keys) => (state.keys, state.fetched_at) = (Some(Arc::new(keys)), Some(at)),
                    Err(_) => state.failures += 1,
                }
                if state.keys.is_none() {
                    open_from = at + pause;
                    pause = (pause * 2).min(ASKED_EVERY);
                }
                state.rounds += 1;
                state.is_away = !is_here;
                state.open_from = Some(open_from);
            });
            let until = if is_here { at + RENEWED_EVERY } else { open_from };
            // Who asks sooner than it is open has been told no, and is not heard.
            while timeout_at(until, self.asked.notified()).await.is_ok() && Instant::now() < open_from {}
        }
    }

    /// Says in the log what has changed.
    fn tell(&self, fetched: &Result<Keys, String>) {
        let (is_first, was_away) = {
            let state = self.state.borrow();
            (state.keys.is_none(), state.is_away)
        };
        let issuer = &*self.config.issuer;
        match fetched {
            Ok(keys) if is_first || was_away => tracing::info!(issuer, keys = keys.len(), "the issuer's keys are here"),
            Ok(keys) => tracing::debug!(issuer, keys = keys.len(), "the issuer's keys are fetched anew"),
            Err(why) if was_away => tracing::debug!(issuer, why, "the issuer's keys cannot be had still"),
            Err(why) if is_first => {
                tracing::warn!(issuer, why, "the issuer's keys cannot be had: its tokens are answered with 503");
            }
            Err(why) => tracing::warn!(issuer, why, "the issuer's keys cannot be had: the last ones stay in use"),
        }
    }
}

impl State {
    /// The key of a header; none where a newer set may have it.
    fn look_up(&self, header: &Signed) -> Result<Option<DecodingKey>, Refusal> {
        match self.keys.as_ref().map(|keys| keys.find(header)) {
            Some(Found::Key(key)) => Ok(Some(key)),
            Some(Found::Unfit) => Err(Refusal::Bad("the token's key is not for its algorithm")),
            Some(Found::Unknown) | None => Ok(None),
        }
    }
}

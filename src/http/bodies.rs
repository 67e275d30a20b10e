//! Bodies of requests: read within a bound of each and of all together, so that nobody fills the memory or holds up the others
//! by sending slowly.

use std::error::Error;
use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Service;
use super::problem::problem;
use super::server::TookTooLong;
use crate::limits::{BODIES_BYTES_MAX, BODIES_WORK_MAX, OPS_REQUEST_BYTES_MAX, RETRY_AFTER_S, SMALL_BODY_BYTES_MAX};

/// The bytes that are counted together.
const UNIT: usize = 1 << 10;

/// The room for large bodies, in memory and at work.
#[derive(Clone)]
pub struct Room {
    units: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Room {
        let units = Semaphore::new(BODIES_BYTES_MAX / UNIT);
        Room { units: Arc::new(units), work: Arc::new(Semaphore::new(BODIES_WORK_MAX)) }
    }
}

/// A body, and its share of the room for as long as it is here.
pub struct Held {
    pub bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Reads a body of at most so many bytes. What has too many is said before it is read, where it says so itself: a client
    /// that waits for leave to send sends nothing.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body, what: &str, most: usize) -> Result<Held, Response> {
        let length = headers.get(header::CONTENT_LENGTH);
        if length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok()).is_some_and(|length| length > most) {
            return Err(too_large(what, most));
        }
        let mut held = Held { bytes: Vec::new(), share: None };
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| broken(&error))?;
            let Some(bytes) = frame.data_ref() else { continue };
            if held.bytes.len() + bytes.len() > most {
                return Err(too_large(what, most));
            }
            self.reserve(&mut held, bytes.len())?;
            held.bytes.extend_from_slice(bytes);
        }
        Ok(held)
    }

    /// Unpacks gzip into at most so many bytes.
    pub fn unpack(&self, packed: &Held, what: &str, most: usize) -> Result<Held, Response> {
        let mut held = Held { bytes: Vec::new(), share: None };
        self.reserve(&mut held, most)?;
        let read = flate2::read::MultiGzDecoder::new(&packed.bytes[..])
            .take(most as u64 + 1)
            .read_to_end(&mut held.bytes)
            .map_err(|_| problem(StatusCode::BAD_REQUEST, "the body is no gzip, though `Content-Encoding` says so"))?;
        if read > most {
            return Err(too_large(what, most));
        }
        // What it did not come to is free for others again.
        let unused = held.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits).saturating_sub(units(read));
        drop(held.share.as_mut().and_then(|share| share.split(unused)));
        Ok(held)
    }

    /// Waits for a large body's turn to be worked at, one that is packed included. Who has one waits for no peer.
    pub async fn turn(&self, held: &Held, is_packed: bool) -> Option<OwnedSemaphorePermit> {
        if held.share.is_some() || is_packed { self.work.clone().acquire_owned().await.ok() } else { None }
    }

    /// Makes room for more bytes of a body that is no small one, or turns it away.
    fn reserve(&self, held: &mut Held, more: usize) -> Result<(), Response> {
        let wanted = held.bytes.len() + more;
        let has = held.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = units(wanted).saturating_sub(has);
        if wanted <= SMALL_BODY_BYTES_MAX || lacking == 0 {
            return Ok(());
        }
        let Ok(more) = self.units.clone().try_acquire_many_owned(lacking as u32) else { return Err(no_room()) };
        match &mut held.share {
            Some(share) => share.merge(more),
            share => *share = Some(more),
        }
        Ok(())
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

fn no_room() -> Response {
    let mut response = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "the service holds as many bodies of requests as it may: send this one again later",
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    response
}

/// Answers for a body of too many bytes.
fn too_large(what: &str, most: usize) -> Response {
    problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("{what} has at most {most} bytes"))
}

/// Answers for a body that did not come.
fn broken(error: &axum::Error) -> Response {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TookTooLong>() {
            return problem(StatusCode::REQUEST_TIMEOUT, "the body took too long: `body_time_max` is how long it may");
        }
        cause = error.source();
    }
    problem(StatusCode::BAD_REQUEST, "the body broke off")
}

/// What a request of an operator's asks for: an object in JSON. `what` is a name of it, `members` what it has.
pub async fn object<T: DeserializeOwned>(
    service: &Service,
    request: Request,
    what: &str,
    members: &str,
) -> Result<T, Response> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Another type would let any page of a browser ask without being asked itself.
    if content_type.split(';').next().is_none_or(|name| !name.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "the body's `Content-Type` must be application/json";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = service.room.read(&headers, body, what, OPS_REQUEST_BYTES_MAX).await?;
    serde_json::from_slice(&body.bytes)
        .map_err(|error| problem(StatusCode::BAD_REQUEST, &format!("the body is no object of {members}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(room: &Room, bytes: usize, most: usize) -> Result<Held, Response> {
        room.read(&HeaderMap::new(), Body::from(vec![0; bytes]), "a body", most).await
    }

    #[tokio::test]
    async fn bodies_together_have_a_bound_and_small_ones_none() {
        let room = Room::default();
        let (large, most) = (BODIES_BYTES_MAX / 4, BODIES_BYTES_MAX);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(read(&room, large, most).await.ok().unwrap());
        }
        let refused = read(&room, SMALL_BODY_BYTES_MAX + 1, most).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        assert!(read(&room, SMALL_BODY_BYTES_MAX, most).await.is_ok());
        held.pop();
        assert!(read(&room, large, most).await.is_ok());
        drop(held);
        assert_eq!(room.units.available_permits(), BODIES_BYTES_MAX / UNIT);
        let refused = read(&room, 11, 10).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}

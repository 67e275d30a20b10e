//! Bodies of requests: how many large ones are read at once, and what one that does not come is answered with.

use std::error::Error;
use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::problem::problem;
use super::server::TookTooLong;

/// Bodies of more bytes, and those that do not say how many they have, are large.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// Large bodies that are read, and what comes of them, at once: what they take of the memory together.
pub const LARGE_MAX: usize = 32;

/// Lets a large body wait until there is room for it.
pub async fn hold(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let is_large = is_large(request.headers());
    let _place = if is_large { room.acquire_owned().await.ok() } else { None };
    next.run(request).await
}

fn is_large(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // A body that is packed does not say how large it is either.
    let unsaid = [header::TRANSFER_ENCODING, header::CONTENT_ENCODING].iter().any(|name| headers.contains_key(name));
    unsaid || length.is_some_and(|length| length > SMALL_BYTES_MAX)
}

/// Answers for a body of too many bytes.
pub fn too_large(what: &str, most: usize) -> Response {
    problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("{what} has at most {most} bytes"))
}

/// Answers for a body that did not come. `most` is how many bytes it may have.
pub fn refusal(rejection: &BytesRejection, what: &str, most: usize) -> Response {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(what, most);
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if error.is::<TookTooLong>() {
            return problem(StatusCode::REQUEST_TIMEOUT, "the body took too long: `body_time_max` is how long it may");
        }
        cause = error.source();
    }
    problem(StatusCode::BAD_REQUEST, "the body broke off")
}

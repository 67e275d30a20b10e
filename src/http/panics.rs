//! A request that panics: it alone fails, with a 500. Where it panicked is logged by the panic's hook, without what it held.

use std::any::Any;

use axum::http::StatusCode;
use axum::response::Response;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

use super::problem::problem;

#[derive(Clone)]
pub struct Failed;

impl ResponseForPanic for Failed {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send + 'static>) -> Response {
        problem(StatusCode::INTERNAL_SERVER_ERROR, "the request failed inside the service; its log says where")
    }
}

/// Turns a panic into an answer.
pub fn guard() -> CatchPanicLayer<Failed> {
    CatchPanicLayer::custom(Failed)
}

/// Does what may block on a thread that may. A panic there is this request's alone.
pub async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        tracing::error!("{what} panicked: the line above says where");
        problem(StatusCode::INTERNAL_SERVER_ERROR, "it failed inside the service; its log says why")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::io::{Read, Write};

    #[test]
    fn a_panic_is_a_500_and_the_next_request_an_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        async fn panics() -> &'static str {
            panic!("on purpose")
        }
        let routes: Router = Router::new().route("/panics", get(panics)).route("/well", get(|| async { "well" }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a listener");
        let asks = std::thread::spawn(move || {
            // One connection: a panic does not take it from the client either.
            let mut stream = std::net::TcpStream::connect(address).expect("a connection");
            ["/panics", "/well"].map(|path| {
                let close = if path == "/well" { "connection: close\r\n" } else { "" };
                write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{close}\r\n").expect("a request");
                let mut answer = [0; 4096];
                let length = stream.read(&mut answer).expect("an answer");
                String::from_utf8_lossy(&answer[..length]).into_owned()
            })
        });
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let joined = std::thread::spawn(move || {
            let answers = asks.join();
            drop(done);
            answers
        });
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let served = axum::serve(listener, routes.layer(guard())).with_graceful_shutdown(async {
                let _ = ended.await;
            });
            served.await.expect("it serves");
        });
        let [failed, well] = joined.join().expect("a thread").expect("answers");
        assert!(failed.starts_with("HTTP/1.1 500") && failed.contains("application/problem+json"), "{failed}");
        assert!(!failed.contains("on purpose"), "{failed}");
        assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    }
}

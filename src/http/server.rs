//! Connections: how many there may be, and how long each may keep others waiting.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::Request;
use dashmap::DashMap;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;
use tower::ServiceExt;

use super::tls::Tls;
use crate::limits::Limits;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long an answer may lie unread before its connection is given up, in milliseconds.
const UNREAD_MS_MAX: u32 = 30_000;
/// How long no connection is taken where the process has no file left for one.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `stop` ends, over TLS where there is one; then takes no more connections, and gives those that are open `grace`. Says whether all of
/// them ended by themselves.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Arc<Limits>,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let peers: Arc<DashMap<IpAddr, usize>> = Arc::default();
    let graceful = GracefulShutdown::new();
    // Dropped when the end begins: who is in the middle of a handshake then is not waited for.
    let (going_on, goes_on) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // One that broke off is its own trouble; without a file for another, some has to end first.
                tracing::debug!(%error, "no connection");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // Who is turned away hears nothing: an answer would cost what there is too little of.
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let Some(seat) = Seat::take(&peers, peer.ip(), limits.peer_connections_max) else { continue };
        let (watcher, router, limits) = (graceful.watcher(), router.clone(), limits.clone());
        let (tls, mut goes_on) = (tls.clone(), goes_on.clone());
        tokio::spawn(async move {
            let _held = (permit, seat);
            let _ = stream.set_nodelay(true);
            let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MS_MAX);
            let ended = match tls {
                None => watcher.watch(connection(stream, peer, router, &limits)).await,
                Some(tls) => {
                    let shaken = tokio::select! {
                        shaken = tls.accept(stream) => shaken,
                        _ = goes_on.changed() => None,
                    };
                    let Some(stream) = shaken else { return };
                    watcher.watch(connection(stream, peer, router, &limits)).await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    drop(going_on);
    tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    limits: &Limits,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + use<S> {
    let body_time_max = Duration::from_millis(limits.body_time_max_ms);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            let request = request.map(|body| Body::new(Timed::new(body, body_time_max)));
            Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.idle_max_ms))
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
}

/// One of an address's connections.
struct Seat {
    peers: Arc<DashMap<IpAddr, usize>>,
    peer: IpAddr,
}

impl Seat {
    fn take(peers: &Arc<DashMap<IpAddr, usize>>, peer: IpAddr, most: usize) -> Option<Seat> {
        let mut count = peers.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { peers: peers.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut count) = self.peers.get_mut(&self.peer) {
            *count -= 1;
        }
        self.peers.remove_if(&self.peer, |_, count| *count == 0);
    }
}

/// A body took longer than a body may.
#[derive(Debug)]
pub struct TookTooLong;

impl std::fmt::Display for TookTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body took too long")
    }
}

impl std::error::Error for TookTooLong {}

/// A body that has to come within a time.
struct Timed {
    body: Incoming,
    time: Duration,
    /// From when it is first asked for.
    over: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(body: Incoming, time: Duration) -> Timed {
        Timed { body, time, over: None }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let time = self.time;
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        over.as_mut().poll(context).map(|()| Some(Err(TookTooLong.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

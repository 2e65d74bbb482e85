//! Listeners and connections. No client can hold the server: each connection has bounds on the time for
//! a request's head and for a stalled answer, and when too many are open the one that has been silent
//! longest makes room.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// From a connection's opening, or its last answer, to the end of the next request's head. Longer than
/// most scrape intervals, so that Prometheus keeps its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may make no progress because the client does not read.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Open connections of all listeners; half of the usual limit of 1,024 descriptors.
const MAX_CONNECTIONS: usize = 512;
/// For requests in flight when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// After `accept` failed, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Sockets that listen but do not yet answer.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl Listeners {
    /// Listens on every address; port 0 takes a free one.
    ///
    /// # Errors
    /// The first address that cannot be had; none is left open then.
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|source| BindError { address, source })?);
        }
        Ok(Self(listeners))
    }

    /// The addresses as they are bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// Answers on every listener until `shutdown`, then finishes the requests in flight and returns, after
/// 3 s at the latest.
pub async fn serve(listeners: Listeners, router: Router, shutdown: CancellationToken) {
    let connections = Arc::new(Connections::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    for listener in listeners.0 {
        let server = Server {
            router: router.clone(),
            connections: connections.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            cut: cut.clone(),
        };
        tasks.spawn(server.accept(listener));
    }
    shutdown.cancelled().await;
    tasks.close();
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, tasks.wait()).await.is_err() {
        cut.cancel();
        tasks.wait().await;
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    /// Finish, then close.
    shutdown: CancellationToken,
    /// Close at once.
    cut: CancellationToken,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let seat = self.connections.enter(&self.cut);
                    self.tasks.spawn(self.clone().connection(stream, seat));
                }
                // One client that gave up is no reason to pause.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, seat: Seat) {
        // Without it small answers may wait for an acknowledgement; a failure costs only that.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let service = service_fn(|request: Request<Incoming>| {
            seat.touch();
            let answer = self.router.clone().call(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(Impatient::new(stream)), service);
        tokio::pin!(connection);
        let mut finishing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = self.shutdown.cancelled(), if !finishing => {
                    finishing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = seat.leave.cancelled() => return,
            }
        }
    }
}

/// The open connections, at most `room`.
#[derive(Debug)]
struct Connections {
    room: usize,
    /// Counts events: a larger number is a later one.
    sequence: AtomicU64,
    open: Mutex<HashMap<u64, (Arc<AtomicU64>, CancellationToken)>>,
}

/// A connection's place among the open ones; dropping it gives it back.
#[derive(Debug)]
struct Seat {
    id: u64,
    /// Sequence number of the last request, or of the opening.
    active: Arc<AtomicU64>,
    /// Cancelled when the connection has to close at once.
    leave: CancellationToken,
    connections: Arc<Connections>,
}

impl Connections {
    fn new(room: usize) -> Self {
        Self { room, sequence: AtomicU64::new(0), open: Mutex::default() }
    }

    /// Takes a seat; if there is none, whoever has been silent longest loses his.
    fn enter(self: &Arc<Self>, cut: &CancellationToken) -> Seat {
        let id = self.next();
        let seat = Seat {
            id,
            active: Arc::new(AtomicU64::new(id)),
            leave: cut.child_token(),
            connections: self.clone(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.room {
            let oldest = open.iter().min_by_key(|(_, (active, _))| active.load(Ordering::Relaxed));
            if let Some((_, leave)) = oldest.map(|(id, _)| *id).and_then(|id| open.remove(&id)) {
                leave.cancel();
            }
        }
        open.insert(id, (seat.active.clone(), seat.leave.clone()));
        seat
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

impl Seat {
    /// A request has come.
    fn touch(&self) {
        self.active.store(self.connections.next(), Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// A stream whose writes fail once one of them has made no progress for [`STALL_TIMEOUT`].
#[derive(Debug)]
struct Impatient<S> {
    stream: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S) -> Self {
        Self { stream, stalled: None }
    }

    /// Passes a write's result on; starts, stops or obeys the clock.
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL_TIMEOUT)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

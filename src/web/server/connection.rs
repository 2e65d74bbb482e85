//! One connection: TLS if it is on, then HTTP/1.1, or HTTP/2 where a TLS client chose it.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::Server;
use super::body::Timely;
use super::impatient::Impatient;
use super::seats::Seat;

/// From a connection's opening, or its last answer, to the end of the next request's head. Longer than
/// most scrape intervals, so that Prometheus keeps its connection.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and of what is read and written at a time.
pub(super) const BUFFER: usize = 32 * 1024;
/// For a TLS handshake, the look at the certificate files included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests at once on one HTTP/2 connection; what is more waits at the client.
const STREAMS: u32 = 32;
/// From the head of a request on HTTP/2 to the last byte of its answer. A client that does not take its
/// answer stalls only its stream there, which the bound on stalled writes does not see.
const STREAM_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// What Go's server says to whoever speaks plain HTTP to it.
const WRONG_SCHEME: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

impl Server {
    pub(super) async fn connection(self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        // Without it small answers may wait for an acknowledgement; a failure costs only that.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        tokio::select! {
            () = self.clone().serve(stream, peer, &seat) => {}
            () = seat.leave.cancelled() => {}
        }
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr, seat: &Seat) {
        let Some(access) = &self.access else { return self.plain(Impatient::new(stream), peer, seat).await };
        let opening = async {
            match access.tls(self.door).await {
                Ok(None) => Some(Opened::Plain(stream)),
                Ok(Some(config)) => handshake(stream, config).await.map(Opened::Tls),
                Err(reason) => {
                    tracing::debug!(reason, "a TLS connection was refused");
                    None
                }
            }
        };
        let opened = tokio::select! {
            opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opening) => opened.ok().flatten(),
            () = self.shutdown.cancelled() => None,
        };
        match opened {
            None => {}
            Some(Opened::Plain(stream)) => self.plain(Impatient::new(stream), peer, seat).await,
            Some(Opened::Tls(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let stream = Impatient::new(*stream);
                if http2 {
                    self.http2(stream, peer, seat).await
                } else {
                    self.plain(stream, peer, seat).await
                }
            }
        }
    }

    /// HTTP/1.1.
    async fn plain<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
        stream: Impatient<S>,
        peer: SocketAddr,
        seat: &Seat,
    ) {
        let service = service_fn(|request| self.answer(request, peer, seat.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        self.run(connection).await;
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
        stream: Impatient<S>,
        peer: SocketAddr,
        seat: &Seat,
    ) {
        let service = service_fn(|request| self.answer(request, peer, seat.clone()));
        let streams = Streams { tasks: self.tasks.clone(), leave: seat.leave.clone() };
        let connection = http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(BUFFER as u32)
            .max_send_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        self.run(connection).await;
    }

    fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        seat: Seat,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        seat.touch();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = self.router.clone().call(request.map(Timely::new));
        async move {
            // The seat is kept while its request is worked on.
            let _seat = seat;
            answer.await
        }
    }

    async fn run<C>(&self, connection: C)
    where
        C: GracefulConnection,
        C::Error: Display,
    {
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
            }
        }
    }
}

/// A connection that is ready for HTTP.
enum Opened {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Shakes hands; whoever speaks plain HTTP is told so, as Go's servers do.
async fn handshake(mut stream: TcpStream, config: Arc<ServerConfig>) -> Option<Box<TlsStream<TcpStream>>> {
    let mut first = [0; 1];
    match stream.peek(&mut first).await {
        Ok(1) if first[0] != HANDSHAKE && first[0].is_ascii_uppercase() => {
            // Unread bytes would turn the close into a reset that takes the answer along.
            stream.try_read(&mut [0; 4096]).ok();
            stream.write_all(WRONG_SCHEME).await.ok()?;
            stream.shutdown().await.ok();
            return None;
        }
        _ => {}
    }
    match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => Some(Box::new(stream)),
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// Runs the requests of one HTTP/2 connection, each within its time, and none longer than the connection.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    leave: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, request: F) {
        let leave = self.leave.clone();
        let task = self.tasks.spawn(async move {
            tokio::select! {
                _ = tokio::time::timeout(STREAM_TIMEOUT, request) => {}
                () = leave.cancelled() => {}
            }
        });
        // Owned by the tracker, which the server waits for.
        drop(task);
    }
}

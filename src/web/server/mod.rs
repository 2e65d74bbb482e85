//! Listeners and connections. No client can hold the server: each connection has bounds on the time for
//! a handshake, a request's head, its body and a stalled answer, and when too many are open, one of
//! whoever holds the most makes room: the one that has been silent longest.

mod activation;
mod body;
mod connection;
mod impatient;
mod seats;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::seats::Seats;
use super::access::{Door, WebConfig};

pub use self::activation::{ActivationError, activated};

/// Open connections of all listeners; half of the usual limit of 1,024 descriptors. Where webhooks have
/// listeners of their own, pages and webhooks have half of them each: neither can keep the other out.
const MAX_CONNECTIONS: usize = 512;
/// For requests in flight when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// After `accept` failed, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Sockets that listen but do not yet answer.
#[derive(Debug)]
pub struct Listeners(Vec<(TcpListener, Door)>);

/// What is served.
#[derive(Clone, Debug)]
pub struct Sites {
    /// On `web.listen`.
    pub pages: Router,
    /// On `web.webhook_listen`.
    pub webhooks: Router,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
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
    pub async fn bind(pages: &[SocketAddr], webhooks: &[SocketAddr]) -> Result<Self, BindError> {
        let mut listeners = Self(Vec::with_capacity(pages.len() + webhooks.len()));
        for (addresses, door) in [(pages, Door::Pages), (webhooks, Door::Webhooks)] {
            for &address in addresses {
                let bound = TcpListener::bind(address).await;
                listeners.0.push((bound.map_err(|source| BindError { address, source })?, door));
            }
        }
        Ok(listeners)
    }

    /// The addresses of pages and metrics, as they are bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Door::Pages)
    }

    /// The addresses of webhooks alone, as they are bound.
    pub fn webhook_addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Door::Webhooks)
    }

    fn addresses_of(&self, wanted: Door) -> Vec<SocketAddr> {
        let listeners = self.0.iter().filter(|(_, door)| *door == wanted);
        listeners.filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }
}

/// Answers on every listener until `shutdown`, then finishes the requests in flight and returns, after
/// 3 s at the latest. Dropped, it stops as well.
pub async fn serve(
    listeners: Listeners,
    sites: Sites,
    access: Option<WebConfig>,
    shutdown: CancellationToken,
) {
    serve_with_room(listeners, sites, access, shutdown, MAX_CONNECTIONS).await;
}

async fn serve_with_room(
    listeners: Listeners,
    sites: Sites,
    access: Option<WebConfig>,
    shutdown: CancellationToken,
    room: usize,
) {
    let shutdown = shutdown.child_token();
    let _stop = shutdown.clone().drop_guard();
    let room = if listeners.0.iter().any(|(_, door)| *door == Door::Webhooks) { room / 2 } else { room };
    let (pages, webhooks) = (Arc::new(Seats::new(room)), Arc::new(Seats::new(room)));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    for (listener, door) in listeners.0 {
        let (router, seats) = match door {
            Door::Pages => (&sites.pages, &pages),
            Door::Webhooks => (&sites.webhooks, &webhooks),
        };
        let server = Server {
            router: router.clone(),
            door,
            access: access.clone(),
            seats: seats.clone(),
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
    door: Door,
    access: Option<WebConfig>,
    seats: Arc<Seats>,
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
                Ok((stream, peer)) => {
                    let seat = self.seats.enter(peer.ip(), &self.cut);
                    self.tasks.spawn(self.clone().connection(stream, peer, seat));
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
}

#[cfg(test)]
mod tests {
    use super::connection::{BUFFER, HEAD_TIMEOUT};
    use super::*;
    use axum::routing::get;
    use bytes::Bytes;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    struct Running {
        address: SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    }

    /// Connections in these tests.
    const ROOM: usize = 8;

    async fn start(router: Router) -> Running {
        let listeners = Listeners::bind(&[LOCALHOST], &[]).await.unwrap();
        let address = listeners.addresses()[0];
        let shutdown = CancellationToken::new();
        let sites = Sites { pages: router, webhooks: Router::new() };
        let task = tokio::spawn(serve_with_room(listeners, sites, None, shutdown.clone(), ROOM));
        Running { address, shutdown, task }
    }

    fn hello() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                break;
            }
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_connection_serves_many_requests() {
        let running = start(hello()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        for _ in 0..3 {
            assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let first = Listeners::bind(&[LOCALHOST], &[]).await.unwrap();
        let taken = first.addresses()[0];
        let error = Listeners::bind(&[LOCALHOST, taken], &[]).await.unwrap_err();
        assert_eq!(error.address, taken);
        assert_eq!(error.to_string(), format!("cannot listen on {taken}"));
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn silent_clients_keep_nobody_out() {
        let running = start(hello()).await;
        let mut silent = Vec::new();
        for _ in 0..ROOM {
            silent.push(TcpStream::connect(running.address).await.unwrap());
        }
        let mut honest = TcpStream::connect(running.address).await.unwrap();
        assert!(ask(&mut honest).await.ends_with("hello"));
        // The one that came first had to go; the one that asked since stays.
        assert_eq!(silent[0].read(&mut [0; 8]).await.unwrap_or(0), 0);
        silent.push(TcpStream::connect(running.address).await.unwrap());
        assert!(ask(&mut honest).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_flood_of_webhooks_keeps_no_page_waiting() {
        let listeners = Listeners::bind(&[LOCALHOST], &[LOCALHOST]).await.unwrap();
        let (pages, webhooks) = (listeners.addresses()[0], listeners.webhook_addresses()[0]);
        let sites = Sites { pages: hello(), webhooks: Router::new() };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve_with_room(listeners, sites, None, shutdown.clone(), ROOM));
        let mut scraper = TcpStream::connect(pages).await.unwrap();
        let mut flood = Vec::new();
        for _ in 0..3 * ROOM {
            flood.push(TcpStream::connect(webhooks).await.unwrap());
        }
        assert!(ask(&mut scraper).await.ends_with("hello"), "its connection is still the one from before");
        let mut webhook = TcpStream::connect(webhooks).await.unwrap();
        webhook.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        webhook.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "pages are not served there: {answer}");
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_before_the_server_ends() {
        let (started, begun) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (go, begin) = (started.clone(), begun.clone());
        let slow = get(move || async move {
            begin.notify_one();
            go.notified().await;
            "hello"
        });
        let running = start(Router::new().route("/", slow)).await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let answer = tokio::spawn(async move { ask(&mut stream).await });
        begun.notified().await;
        running.shutdown.cancel();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection closes at once");
        started.notify_one();
        assert!(answer.await.unwrap().ends_with("hello"));
        running.task.await.unwrap();
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_keep_the_server() {
        let never = get(|| async {
            std::future::pending::<()>().await;
        });
        let running = start(Router::new().route("/", never)).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Time may only be stopped once the request is in.
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::time::pause();
        let before = Instant::now();
        running.shutdown.cancel();
        running.task.await.unwrap();
        assert!(before.elapsed() < SHUTDOWN_TIMEOUT);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn a_server_that_is_dropped_listens_no_more() {
        let running = start(hello()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        assert!(ask(&mut stream).await.ends_with("hello"));
        running.task.abort();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        // The listener's task and the connection's end in any order.
        while TcpStream::connect(running.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn half_a_head_is_cut_off_in_time() {
        let running = start(hello()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        let waited = start.elapsed();
        assert!(waited >= HEAD_TIMEOUT - Duration::from_secs(1) && waited <= HEAD_TIMEOUT, "{waited:?}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let running = start(hello()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let long = Bytes::from(format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(4 * BUFFER)));
        // The server may close before all of it is sent.
        let sent = stream.write_all(&long).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        assert!(sent.is_err() || read.is_err() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    }
}

//! Slow clients cannot hold the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::curl::curl;
use super::{guarded, https, quiet, start, tls, trusting};
use crate::support::http;

/// More connections than the server has room for.
const FLOOD: usize = 700;

/// Opens connections from another loopback address than the one an honest client has, and begins a
/// request on each.
fn flood(agent: &str, begun: &'static [u8]) -> Vec<TcpStream> {
    let address: SocketAddr = agent.replace("http://", "").parse().unwrap();
    http::runtime().block_on(async {
        let mut open = Vec::with_capacity(FLOOD);
        for _ in 0..FLOOD {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.66:0".parse().unwrap()).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            // The server may have closed it already.
            stream.write_all(begun).await.ok();
            open.push(stream);
        }
        open
    })
}

#[track_caller]
fn at_once(what: &str, ask: impl Fn() -> u16) {
    for _ in 0..5 {
        let start = Instant::now();
        assert_eq!(ask(), 200, "{what}");
        assert!(start.elapsed() < Duration::from_secs(3), "{what}: {:?}", start.elapsed());
    }
}

#[test]
fn half_requests_without_number_keep_nobody_waiting() {
    let agent = start(&quiet());
    let metrics = format!("{}/metrics", agent.base);
    let open = flood(&agent.base, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    at_once("half a head", || curl(&["--output", "/dev/null", &metrics]).status);
    let bodies = flood(&agent.base, b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    at_once("half a body", || curl(&["--output", "/dev/null", &metrics]).status);
    drop((open, bodies));
}

#[test]
fn half_handshakes_without_number_keep_nobody_waiting() {
    let (setup, made) = guarded(&tls(&[]));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    // The beginning of a handshake, of which the rest never comes.
    let open = flood(&agent.base, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
    let silent = flood(&agent.base, b"");
    at_once("half a handshake", || trusting(&made, &["--output", "/dev/null", &metrics]).status);
    drop((open, silent));
}

#[test]
fn a_handshake_that_does_not_go_on_is_cut_off_in_time() {
    use std::io::{Read, Write};
    let (setup, _) = guarded(&tls(&[]));
    let agent = start(&setup);
    let mut stream = std::net::TcpStream::connect(agent.base.replace("http://", "")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let start = Instant::now();
    stream.write_all(&[0x16, 0x03, 0x01]).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
    let waited = start.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
}

#[test]
fn a_head_without_end_is_refused_and_costs_nobody_else() {
    let agent = start(&quiet());
    let metrics = format!("{}/metrics", agent.base);
    let seen = curl(&["--header", &format!("X-Long: {}", "x".repeat(100_000)), &metrics]);
    assert!([0, 431].contains(&seen.status), "{seen:?}");
    at_once("a long head", || curl(&["--output", "/dev/null", &metrics]).status);
}

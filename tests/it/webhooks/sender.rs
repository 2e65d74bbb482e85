//! A sender of callbacks on a bare socket, so that it can do what no HTTP library does.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;

/// The secret of the account in these tests.
pub(super) const SECRET: &str = "an-integration-secret";
/// A body of the usual sort.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// An account that takes webhooks, of a fake Exotel without calls.
pub(super) fn setup() -> (Fake, Setup) {
    let exotel = Fake::start();
    let mut acme = account("acme", &exotel.base);
    acme["webhook_secrets"] = json!(["the-secret-before-it", SECRET]);
    let setup = Setup::new(&[acme]);
    (exotel, setup)
}

/// The path of a kind.
pub(super) fn path(kind: &str) -> String {
    format!("/webhooks/acme/{SECRET}/{kind}")
}

/// An open connection.
pub(super) struct Sender(TcpStream);

impl Sender {
    /// Connects to an agent's address, `http://127.0.0.1:PORT`.
    pub(super) fn to(base: &str) -> Self {
        let stream = TcpStream::connect(base.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        Self(stream)
    }

    /// Sends the head of a request.
    pub(super) fn head(mut self, method: &str, path: &str, headers: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n{headers}\r\n");
        self.0.write_all(head.as_bytes()).expect("a head that is taken");
        self
    }

    /// Sends a part of the body; the agent may have closed by then.
    pub(super) fn body(mut self, bytes: &[u8]) -> Self {
        self.0.write_all(bytes).ok();
        self
    }

    /// Sends no more.
    pub(super) fn end(self) -> Self {
        self.0.shutdown(std::net::Shutdown::Write).ok();
        self
    }

    /// Reads the answer: status and body. Status 0 if there is none.
    pub(super) fn answer(mut self) -> (u16, String) {
        let mut bytes = Vec::new();
        if let Err(fault) = self.0.read_to_end(&mut bytes) {
            assert_ne!(fault.kind(), ErrorKind::WouldBlock, "no answer in 20 s");
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }
}

/// Sends a whole callback.
pub(crate) fn post(base: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let headers = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
    Sender::to(base).head("POST", path, &headers).body(body).answer()
}

/// Sends a whole callback to an agent that may be gone, or go before it answers: the status, if one came.
pub(super) fn attempt(base: &str, path: &str, content_type: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// What was counted for a kind and outcome of an account.
#[track_caller]
pub(super) fn counted(agent: &Agent, account: &str, kind: &str, outcome: &str) -> f64 {
    let scrape = agent.scrape();
    let requests = scrape.metric("exotel_webhook_requests_total");
    requests.label("account", account).label("kind", kind).label("outcome", outcome).value()
}

/// A configured list of one address.
pub(super) fn listen(port: u16) -> Value {
    json!([format!("127.0.0.1:{port}")])
}

//! The harness: processes, HTTP, strict readers of both exposition formats, real Prometheus servers.

pub(crate) mod agent;
pub(crate) mod alerting;
pub(crate) mod browser;
pub(crate) mod exposition;
pub(crate) mod fake;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod promql;
pub(crate) mod rehearsal;
pub(crate) mod scrape;
pub(crate) mod simulator;
pub(crate) mod tools;

use std::fmt::Display;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Seconds, for short call sites.
pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks again and again until `attempt` succeeds, and gives what it gave.
///
/// # Panics
/// When it has not succeeded within `timeout`, with what it last said.
#[track_caller]
pub(crate) fn eventually<T, E: Display>(
    timeout: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        let fault = match attempt() {
            Ok(value) => return value,
            Err(fault) => fault,
        };
        assert!(start.elapsed() < timeout, "not within {timeout:?}: {what}; at last: {fault}");
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}

/// `Ok` when the condition holds, else what was wrong; for use inside [`eventually`].
pub(crate) fn ensure(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// A loopback port that was free a moment ago and that a process can be told to listen on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Writes a line past the test runner's capture, for what a reader of a green run should see too: skipped parts, figures.
pub(crate) fn note(text: &str) {
    let mut line = text.to_owned();
    line.push('\n');
    std::io::stderr().write_all(line.as_bytes()).ok();
}

//! A small client: asks a list of paths in turn over connections that stay open, and notes how long each answer took.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// An open connection.
pub struct Asker {
    stream: BufReader<TcpStream>,
    head: String,
}

/// What the answers took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Answers.
    pub answers: usize,
    /// Median in milliseconds.
    pub p50: f64,
    /// 99th percentile in milliseconds.
    pub p99: f64,
    /// Bytes of the largest body.
    pub bytes: usize,
}

impl Asker {
    /// Connects; `token` goes with each request.
    pub fn new(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let head = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// Asks for a path and gives the body.
    ///
    /// # Errors
    /// For every status but 200.
    pub fn ask(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\n{}", self.head);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let good = line.starts_with("HTTP/1.1 200");
        let status = line.trim().to_owned();
        let mut length: Option<usize> = None;
        loop {
            line.clear();
            anyhow::ensure!(self.stream.read_line(&mut line)? > 0, "{path}: the connection ended");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.with_context(|| format!("{path}: {status} without a length"))?];
        self.stream.read_exact(&mut body)?;
        anyhow::ensure!(good, "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// Asks for these paths in turn, over so many connections at once, for so long.
pub fn ask_for(
    address: SocketAddr,
    token: &str,
    paths: &[String],
    connections: usize,
    length: Duration,
) -> anyhow::Result<Taken> {
    let began = Instant::now();
    let gone = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|thread| {
                let on = move || began.elapsed() < length;
                scope.spawn(move || ask_while(address, token, paths, thread * 7, on, Duration::ZERO))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that asks")).collect::<Vec<_>>()
    });
    let (mut times, mut bytes) = (Vec::new(), 0);
    for of_one in gone {
        let (some, largest) = of_one?;
        times.extend(some);
        bytes = bytes.max(largest);
    }
    Ok(taken(times, bytes))
}

/// Asks for one path ten times a second until told to stop.
pub fn ask_until(address: SocketAddr, token: &str, path: &str, stop: &AtomicBool) -> anyhow::Result<Taken> {
    let on = || !stop.load(Ordering::Relaxed);
    let (times, bytes) = ask_while(address, token, &[path.to_owned()], 0, on, Duration::from_millis(100))?;
    Ok(taken(times, bytes))
}

/// Milliseconds of each answer, and the length of the largest body.
fn ask_while(
    address: SocketAddr,
    token: &str,
    paths: &[String],
    from: usize,
    on: impl Fn() -> bool,
    pause: Duration,
) -> anyhow::Result<(Vec<f64>, usize)> {
    let mut asker = Asker::new(address, token)?;
    let (mut times, mut largest) = (Vec::new(), 0);
    let mut paths = paths.iter().cycle().skip(from);
    while on() {
        let path = paths.next().context("a path")?;
        let began = Instant::now();
        let body = asker.ask(path)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        largest = largest.max(body.len());
        std::thread::sleep(pause);
    }
    Ok((times, largest))
}

fn taken(mut times: Vec<f64>, bytes: usize) -> Taken {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = times.len().saturating_sub(1);
        times.get(((times.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last))
    };
    let of = |share| at(share).copied().unwrap_or(f64::NAN);
    Taken { answers: times.len(), p50: of(0.5), p99: of(0.99), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_answers_one_may_be_slower_than_the_99th_percentile() {
        let taken = taken((1..=100).rev().map(f64::from).collect(), 5);
        assert_eq!((taken.answers, taken.p50, taken.p99, taken.bytes), (100, 50.0, 99.0, 5));
        assert!(super::taken(Vec::new(), 0).p99.is_nan());
    }
}

//! wrk, and what it says.

use std::process::Command;

use anyhow::Context as _;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Requests that were answered.
    pub requests: f64,
    /// The same, a second.
    pub rate: f64,
    /// Median latency in milliseconds.
    pub p50: f64,
    /// 99th percentile in milliseconds.
    pub p99: f64,
}

/// Runs it with one thread for so many seconds; `more` stands before the URL, `script` after it.
///
/// # Errors
/// When it cannot be run, a request failed, or an answer was none of success.
pub fn run(connections: u32, seconds: u32, more: &[&str], url: &str, script: &[&str]) -> anyhow::Result<Run> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency"]);
    command.args(more).arg(url).args(script);
    let output = command.output().context("wrk cannot be run")?;
    let text = String::from_utf8(output.stdout)?;
    anyhow::ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let after = |name: &str| {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(name));
        line.map(|l| l.trim().to_owned()).with_context(|| format!("{name} in what wrk says: {text}"))
    };
    let requests = text.lines().find_map(|l| l.trim().split_once(" requests in ")?.0.parse().ok());
    Ok(Run {
        requests: requests.with_context(|| format!("a number of requests: {text}"))?,
        rate: after("Requests/sec:")?.parse()?,
        p50: milliseconds(&after("50%")?)?,
        p99: milliseconds(&after("99%")?)?,
    })
}

/// `812.00us`, `4.20ms`, `1.02s`.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).context("a unit")?;
    let factor = match &text[unit..] {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        other => anyhow::bail!("unit {other}"),
    };
    Ok(text[..unit].parse::<f64>()? * factor)
}

//! The largest heartbeat costs little memory.

use super::sender::{path, post, setup};
use crate::support::agent::Agent;
use crate::support::note;

/// Resident memory at its highest, in bytes.
fn highest(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.process.id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line of the highest");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("kilobytes") * 1024
}

#[test]
fn a_heartbeat_of_11_mb_raises_resident_memory_by_less_than_40_mb() {
    let (_exotel, setup) = setup();
    let agent = setup.start();
    // A status that no version knows is kept without further work, so the figure is that of receiving and reading.
    let mut body = String::from(
        r#"{"timestamp": "2026-03-02T13:25:00Z", "status_type": "MAINTENANCE", "incoming_affected": ["a"], "data": {"#,
    );
    for n in 0.. {
        let block = format!(
            r#""{n:032x}": {{"incoming_call": {{"status": "major_outage", "last_check_time": "2026-03-02T13:20:00Z"}}}},"#
        );
        if body.len() + block.len() > 11 * 1024 * 1024 - 10 {
            break;
        }
        body.push_str(&block);
    }
    body.pop();
    body.push_str("}}");
    let before = highest(&agent);
    for _ in 0..3 {
        assert_eq!(
            post(&agent.base, &path("heartbeat"), "application/json", body.as_bytes()),
            (200, String::new())
        );
    }
    let rise = highest(&agent) - before;
    note(&format!("three heartbeats of {} bytes raised resident memory by {} bytes", body.len(), rise));
    assert!(rise < 40_000_000, "resident memory rose by {rise} bytes");
}

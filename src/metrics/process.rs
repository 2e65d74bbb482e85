//! The standard process metrics, named as the Go client names them.
//!
//! Read from `/proc/self` at each scrape; that file system is memory. What cannot be read is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};

use super::catalogue::{self, Family};

/// Reads the process's figures when it is asked.
#[derive(Debug)]
pub(crate) struct Process {
    /// Never changes, so it is read once.
    start_time: Option<f64>,
}

impl Default for Process {
    fn default() -> Self {
        Self { start_time: start_time() }
    }
}

/// Fields of `/proc/self/stat` that we use.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Clock ticks from boot to the start of the process.
    start_ticks: u64,
    /// Bytes.
    virtual_memory: u64,
    /// Pages.
    resident_pages: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = ConstCounter::new(cpu_seconds());
        cpu.encode(catalogue::PROCESS_CPU.describe(&mut encoder)?)?;
        let mut gauge = |family: &Family, value: Option<f64>| match value {
            Some(value) => ConstGauge::new(value).encode(family.describe(&mut encoder)?),
            None => Ok(()),
        };
        gauge(&catalogue::PROCESS_OPEN_FDS, open_fds())?;
        gauge(&catalogue::PROCESS_MAX_FDS, Some(limit(Resource::Nofile)))?;
        let stat = stat();
        gauge(&catalogue::PROCESS_VIRTUAL_MEMORY, stat.as_ref().map(|s| s.virtual_memory as f64))?;
        gauge(&catalogue::PROCESS_VIRTUAL_MEMORY_MAX, Some(limit(Resource::As)))?;
        let page = rustix::param::page_size() as f64;
        gauge(&catalogue::PROCESS_RESIDENT_MEMORY, stat.as_ref().map(|s| s.resident_pages as f64 * page))?;
        gauge(&catalogue::PROCESS_START_TIME, self.start_time)
    }
}

/// User and system time of all threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A soft limit; like the Go client, the largest integer where there is none.
fn limit(resource: Resource) -> f64 {
    getrlimit(resource).current.unwrap_or(u64::MAX) as f64
}

fn open_fds() -> Option<f64> {
    // Reading the folder opens one itself.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

/// Seconds since the Unix epoch.
fn start_time() -> Option<f64> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + stat()?.start_ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn stat() -> Option<Stat> {
    parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// `4711 (a name) S 1 …`: the name may hold spaces and parentheses, so fields count from the last `)`.
fn parse_stat(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the first two fields are cut off.
    let field = |number: usize| fields.get(number - 3)?.parse().ok();
    Some(Stat { start_ticks: field(22)?, virtual_memory: field(23)?, resident_pages: field(24)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read_over() {
        let line = "1 (a) b (c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4242 1048576 77 184467";
        let expected = Stat { start_ticks: 4242, virtual_memory: 1_048_576, resident_pages: 77 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("1 (a) S 0"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_figures_of_this_process_are_plausible() {
        let now = crate::model::Clock::system().now().0 as f64;
        let start = start_time().unwrap();
        assert!(start <= now + 1.0 && start > now - 3600.0, "{start} {now}");
        let stat = stat().unwrap();
        assert!(stat.resident_pages > 100 && stat.virtual_memory > stat.resident_pages);
        assert!(open_fds().unwrap() >= 3.0);
        assert!(limit(Resource::Nofile) >= open_fds().unwrap());
        assert!(cpu_seconds() > 0.0);
    }
}

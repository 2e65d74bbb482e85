//! What the figures were measured on, and what the system knows of a process.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use crate::figures::median;

/// Prints the machine.
pub fn print(folder: &Path) -> anyhow::Result<()> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let cpu = line(&cpu, "model name").unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism()?;
    let memory: u64 = number(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let sync = sync_time(folder)?;
    println!(
        "Machine: {cpu}, {cores} cores, {:.0} GiB, Linux {}",
        memory as f64 / 1_048_576.0,
        kernel.trim()
    );
    println!("Disk under {}: a write of 4 KiB with fdatasync takes {:.2} ms", folder.display(), sync * 1e3);
    println!("Load at the start: {}", load()?);
    Ok(())
}

/// The load averages.
pub fn load() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// Median seconds of an appended, synced page.
fn sync_time(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64());
    }
    fs::remove_file(&path)?;
    Ok(median(&times))
}

/// What the system knows of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident bytes now.
    pub resident: f64,
    /// The most resident bytes so far.
    pub peak: f64,
    /// Bytes that it gave the system to write. Its `write_bytes` would say more than reaches the disk: it counts
    /// the whole folio of the page cache, up to 2 MiB, in which a page of 4 KiB was changed.
    pub written: f64,
    /// Seconds of processor time.
    pub cpu: f64,
}

/// Of the process with this id.
pub fn usage(process: u32) -> anyhow::Result<Usage> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{process}/{name}"))
            .with_context(|| format!("process {process} is gone"))
    };
    let status = read("status")?;
    let kilobytes = |name| number(&status, name).map_or(f64::NAN, |n: u64| n as f64 * 1024.0);
    let written: u64 = number(&read("io")?, "wchar").unwrap_or(0);
    let stat = read("stat")?;
    // After the name, which may hold blanks: state is the first field, utime and stime the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Ok(Usage {
        resident: kilobytes("VmRSS"),
        peak: kilobytes("VmHWM"),
        written: written as f64,
        cpu: (ticks(11) + ticks(12)) / rustix::param::clock_ticks_per_second() as f64,
    })
}

fn line<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim()))
}

fn number<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    line(text, name)?.split(' ').next()?.parse().ok()
}

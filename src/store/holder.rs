//! A note beside the store that says who holds it, for the message of whoever is refused.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

fn place(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pid");
    PathBuf::from(name)
}

/// Notes that this process holds the store.
pub(super) fn note(path: &Path) {
    let note = format!("{}\n", std::process::id());
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(place(path))
        .and_then(|mut file| file.write_all(note.as_bytes()));
    if let Err(error) = written {
        tracing::debug!(reason = %error, "the pid file beside the store was not written");
        // Better nobody than the one before us.
        drop(fs::remove_file(place(path)));
    }
}

/// ` (pid 4711)`; empty where it is not known, or has ended.
pub(super) fn named(path: &Path) -> String {
    let note = fs::read_to_string(place(path)).unwrap_or_default();
    let pid = note.trim().parse().ok().and_then(Pid::from_raw).filter(|pid| is_running(*pid));
    pid.map_or(String::new(), |pid| format!(" (pid {})", pid.as_raw_pid()))
}

fn is_running(pid: Pid) -> bool {
    // Anything but "no such process" is a process, if one of somebody else.
    test_kill_process(pid) != Err(Errno::SRCH)
}

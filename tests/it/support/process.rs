//! Child processes: output kept, killed when the test lets go of them.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A started process. Its standard output and error are kept together, in the order they came.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a command that ended by itself left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// A command of the built binary that knows nothing of the machine it runs on: no inherited variables but `PATH`,
/// the home folder and the working folder in `folder`.
pub(crate) fn exotel_exporter(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exotel-exporter"));
    command.env_clear().env("HOME", folder).env("RUST_BACKTRACE", "1").current_dir(folder);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

impl Process {
    /// Starts it, with no standard input.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|fault| panic!("{name} could not be started: {fault}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            keep(child.stdout.take().expect("a piped stdout"), &log),
            keep(child.stderr.take().expect("a piped stderr"), &log),
        ];
        Self { name: name.to_owned(), child, log, readers }
    }

    /// Asserts that it is running; a test that waits for something of it asks this first, so that it fails at once when the
    /// process is gone.
    ///
    /// # Panics
    /// With what it wrote, when it ended.
    #[track_caller]
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended ({status}) and wrote:\n{}", self.name, self.log());
        }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child to wait for")
    }

    /// Ends it as a crash would: `kill -9`, and waits until it is gone.
    pub(crate) fn kill_9(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("a process to wait for");
    }

    /// Asks it to stop with SIGTERM and gives how it ended.
    ///
    /// # Panics
    /// When it has not ended within `deadline`.
    pub(crate) fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(deadline)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process to signal");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within `deadline`.
    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                start.elapsed() < deadline,
                "{} did not end within {deadline:?}; it wrote:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("an unbroken log")).into_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
        for reader in self.readers.drain(..) {
            reader.join().ok();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("---- the last lines of {} ----", self.name);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

fn keep(mut from: impl Read + Send + 'static, log: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            log.lock().expect("an unbroken log").extend_from_slice(&chunk[..length]);
        }
    })
}

/// Runs a command to its end.
///
/// # Panics
/// When it has not ended within 30 s.
pub(crate) fn run(mut command: Command) -> Finished {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("{name} could not be started: {fault}"));
    let (out, err) = (Arc::default(), Arc::default());
    let readers = [
        keep(child.stdout.take().expect("a piped stdout"), &out),
        keep(child.stderr.take().expect("a piped stderr"), &err),
    ];
    let text = |kept: &Arc<Mutex<Vec<u8>>>| {
        String::from_utf8_lossy(&kept.lock().expect("an unbroken log")).into_owned()
    };
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().ok();
            child.wait().ok();
            panic!("{name} did not end within 30 s; it wrote:\n{}{}", text(&out), text(&err));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    for reader in readers {
        reader.join().expect("a reader");
    }
    Finished { code: status.code(), stdout: text(&out), stderr: text(&err) }
}

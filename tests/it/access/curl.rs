//! curl: a client that shares nothing with ours.

use std::process::Command;

use crate::support::process::run;

/// What curl saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Status of the last answer; 0 without one.
    pub(super) status: u16,
    /// `1.1`, `2`; `0` without an answer.
    pub(super) version: String,
    /// Head of the answer.
    pub(super) head: String,
    /// Body of the answer.
    pub(super) body: String,
    /// What curl complained about.
    #[allow(dead_code, reason = "told by assertions that fail")]
    pub(super) fault: String,
}

/// Between the answer and what curl says about it.
const MARK: &str = "\n---- curl ----";

/// Runs curl; no proxy, no configuration of the user.
pub(super) fn curl(arguments: &[&str]) -> Seen {
    let mut command = Command::new("curl");
    command.args([
        "-q",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "20",
        "--dump-header",
        "-",
    ]);
    command.args(["--write-out", &format!("{MARK}%{{http_code}} %{{http_version}}")]).args(arguments);
    let finished = run(command);
    let (answer, figures) = finished.stdout.rsplit_once(MARK).unwrap_or_default();
    let (status, version) = figures.split_once(' ').unwrap_or_default();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Seen {
        status: status.parse().unwrap_or_default(),
        version: version.to_owned(),
        head: head.to_owned(),
        body: body.to_owned(),
        fault: finished.stderr,
    }
}

impl Seen {
    /// The value of a header, its name in small letters; empty without one.
    pub(super) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
            .unwrap_or("")
    }
}

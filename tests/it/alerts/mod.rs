//! Alerts: rules, Alertmanager's configuration, messages and runbooks, run through the real tools and held against the code.

mod alertmanager;
mod lint;
mod names;
mod outages;
mod paging;
mod rules;
mod runbooks;
mod templates;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tools::Version;

/// A file or folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the repository.
#[track_caller]
fn text_of(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The files of a folder of the repository that end so, in order.
#[track_caller]
fn files_of(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository(folder)).unwrap_or_else(|fault| panic!("{folder}: {fault}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(end)))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no *{end} in {folder}");
    files
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// Runs `promtool` or `amtool` in `alerts/`; what it wrote is the result or the fault, by its exit code.
fn tool<S: AsRef<std::ffi::OsStr>>(version: Version, name: &str, arguments: &[S]) -> Result<String, String> {
    let mut command = Command::new(version.bin(name)?);
    // amtool looks for a configuration of its own in the home folder.
    command.args(arguments).current_dir(repository("alerts")).env("HOME", "/nonexistent");
    let output = command.output().map_err(|fault| format!("{name}: {fault}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.into_owned()) } else { Err(format!("{out}{err}")) }
}

/// Holds a text against a file of the repository; with `BLESS=1` writes the file instead.
#[track_caller]
fn golden(path: &str, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(repository(path), text).unwrap();
    }
    let kept = std::fs::read_to_string(repository(path)).unwrap_or_default();
    assert_eq!(kept, text, "{path} differs (run the test with BLESS=1, then look at the change)");
}

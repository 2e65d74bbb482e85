//! The web configuration is judged as promtool judges it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificates;
use crate::support::agent::{Setup, account};
use crate::support::process::run;
use crate::support::tools::Version;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web-config").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 4);
    files
}

/// Whether a program finds the file good, and what it says.
fn judge(command: Command) -> (bool, String) {
    let finished = run(command);
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    (finished.code == Some(0), finished.stdout + &finished.stderr)
}

fn compare(folder: &str, promtool_takes: bool, we_take: bool) {
    let work = TempDir::new().unwrap();
    Certificates::make(work.path());
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9")]);
    let file = work.path().join("web.yml");
    for fixture in fixtures(folder) {
        let name = fixture.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&fixture).unwrap();
        std::fs::write(&file, &text).unwrap();
        let (taken, said) =
            judge(setup.command(&["check-config", &format!("--web.config.file={}", file.display())]));
        assert_eq!(taken, we_take, "{folder}/{name}: {said}");
        if !we_take {
            assert!(said.contains("web.yml: "), "the fault names the file: {said}");
        }
        for version in Version::here() {
            // Keys that Debian's release does not know yet.
            if text.starts_with("# since 3") && version == Version::Debian {
                continue;
            }
            let mut promtool = Command::new(version.bin("promtool").unwrap());
            promtool.args(["check", "web-config"]).arg(&file);
            let (taken, said) = judge(promtool);
            assert_eq!(taken, promtool_takes, "promtool {version:?} on {folder}/{name}: {said}");
        }
    }
}

#[test]
fn good_files_are_taken_by_promtool_and_by_us() {
    compare("good", true, true);
}

#[test]
fn bad_files_are_refused_by_promtool_and_by_us() {
    compare("bad", false, false);
}

/// Each says in its first line why.
#[test]
fn what_we_alone_refuse_is_listed_with_its_reason() {
    compare("stricter", true, false);
}

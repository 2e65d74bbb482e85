//! `tests/fixtures/config`: each bad file with its faults beside it, each good one with its warnings.

use std::path::{Path, PathBuf};

use super::load;
use crate::config::{PageExophones, Privacy};
use crate::model::Direction;
use crate::test_files;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/fixtures/config").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yml"))
        .collect();
    files.sort();
    assert!(files.len() > 5, "{folder:?} has its files");
    files
}

/// Messages as they are kept: without the folder, which is where the tests run.
fn relative(text: &str) -> String {
    text.replace("tests/fixtures/config/bad/", "").replace("tests/fixtures/config/good/", "")
}

#[test]
fn every_bad_file_is_refused_with_its_faults() {
    for file in files("bad") {
        let Err(faults) = load(Some(&file), &[]) else { panic!("{} was taken", file.display()) };
        let text = format!("{}\n", relative(&faults.to_string()));
        test_files::check(&file.with_extension("txt"), &text);
        let many = file.ends_with("many-faults.yml");
        assert_eq!(faults.0.len() == 1, !many, "{}: {text}", file.display());
        assert_eq!(text.lines().count(), faults.0.len(), "one line for each fault");
        let secrets = ["hush", "8000000011", "8000000012"];
        assert!(!secrets.iter().any(|s| text.contains(s)), "a secret or a number in: {text}");
    }
}

#[test]
fn every_good_file_is_taken_with_its_warnings() {
    for file in files("good") {
        let loaded = load(Some(&file), &[]).unwrap_or_else(|faults| panic!("{}: {faults}", file.display()));
        let text: String = loaded.warnings.iter().map(|w| format!("{}\n", relative(w))).collect();
        test_files::check(&file.with_extension("txt"), &text);
        loaded.config.budget_report();
    }
}

#[test]
fn every_key_reaches_its_field() {
    let file = Path::new("tests/fixtures/config/good/everything.yml");
    let config = load(Some(file), &[]).unwrap().config;
    assert!(!format!("{config:?}").contains("-from-file"), "secrets are hidden");

    let account = &config.accounts[0];
    assert_eq!(account.api_key.expose(), "key-from-file");
    assert_eq!(account.api_token.expose(), "token-from-file");
    assert_eq!(account.webhook_secrets.len(), 2);
    assert_eq!(account.expected_callbacks, [Direction::Inbound, Direction::OutboundApi]);
    assert_eq!(account.exophones["+918000000011"], "sales");
    assert_eq!(config.accounts[1].name, "acme2");
    assert_eq!(config.accounts[1].page_exophones, PageExophones::None);
    assert_eq!(config.privacy, Privacy::Hashed);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere.yml");
    let faults = load(Some(&missing), &[]).unwrap_err().to_string();
    assert!(faults.contains("nowhere.yml: cannot be read: No such file"), "{faults}");

    let faults = load(Some(folder.path()), &[]).unwrap_err().to_string();
    assert!(faults.contains("cannot be read"), "{faults}");

    let binary = folder.path().join("binary.yml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let faults = load(Some(&binary), &[]).unwrap_err().to_string();
    assert!(faults.contains("binary.yml: expected UTF-8 text"), "{faults}");

    let large = folder.path().join("large.yml");
    std::fs::write(&large, vec![b'#'; (4 << 20) + 1]).unwrap();
    let faults = load(Some(&large), &[]).unwrap_err().to_string();
    assert!(faults.contains("at most 4 MiB"), "{faults}");
}

#[test]
fn the_example_loads_without_a_word() {
    let loaded = load(Some(Path::new("exotel-exporter.yml")), &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.accounts.len(), 1);
}

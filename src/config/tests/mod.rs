//! Behaviour of whole loads: fixtures, precedence, and documents that must not drift.

mod documents;
mod environment;
mod fixtures;
mod hostile;
mod precedence;

use std::ffi::OsString;
use std::path::Path;

use super::{Accounts, Config, Faults, Loaded, Overrides, Sources};

/// Loads a file with an environment and without flags.
fn load(file: Option<&Path>, env: &[(&str, &str)]) -> Result<Loaded, Faults> {
    load_with(file, env, &Overrides::default())
}

fn load_with(file: Option<&Path>, env: &[(&str, &str)], flags: &Overrides) -> Result<Loaded, Faults> {
    let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
    Config::load(&Sources { file, env: &lookup, flags, accounts: Accounts::Required })
}

/// Loads a text as if it were a file.
fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Loaded, Faults> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file), env)
}

//! Puts the sources together: flag, environment, file, default.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::env::{self, Environment};
use super::fault::{Faults, Findings};
use super::node::Node;
use super::section::Reader;
use super::{Config, LogFormat, Sockets, check, file, keys};

/// Where settings come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The configuration file; without one the environment and defaults are all there is.
    pub file: Option<&'a Path>,
    /// Looks up a variable; the program passes `std::env::var_os`.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// What the command line said.
    pub flags: &'a Overrides,
    /// Whether an account must be named.
    pub accounts: Accounts,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file).field("flags", self.flags).finish_non_exhaustive()
    }
}

/// Whether a load without any account is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// It is: for `run` and `check-config`.
    Required,
    /// It is not: for `token`, which needs the API's key alone.
    Optional,
    /// It is not, and neither the environment nor a file with a secret of theirs is read: for `demo`, which
    /// an account that is half set up must not stop.
    Unused,
    /// As [`Self::Unused`], and the API's key is not read from its file either: for `simulate` and the care
    /// of the store. Where secrets are handed over to a service they are there only while it runs.
    Unauthenticated,
}

/// Settings that flags gave; they win over all other sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--web.listen-address`; empty = not given.
    pub listen: Vec<SocketAddr>,
    /// `--web.telemetry-path`.
    pub telemetry_path: Option<String>,
    /// `--web.config.file`, relative to the current directory.
    pub web_config_file: Option<PathBuf>,
    /// `--web.enable-lifecycle`.
    pub enable_lifecycle: bool,
    /// `--web.systemd-socket`.
    pub sockets: Sockets,
    /// `--store.path`, relative to the current directory.
    pub store_path: Option<PathBuf>,
    /// `--log.level`.
    pub log_level: Option<tracing::Level>,
    /// `--log.format`.
    pub log_format: Option<LogFormat>,
}

/// Settings without fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What is to be used.
    pub config: Config,
    /// What a person should know, one line each; to be logged at the start and after each reload.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// Every fault of every source at once.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, Faults> {
        let findings = Findings::default();
        let mut config = Self::default();
        let mut given = BTreeSet::new();
        let mut origin = check::Origin { file: None, accounts_from_environment: true };
        if let Some(path) = sources.file {
            origin.file = Some(path.display().to_string());
            let named = read_file(path, sources.accounts, &mut config, &mut given, &findings);
            origin.accounts_from_environment = named == file::AccountsNamed::No;
        }
        let environment = Environment::new(sources.env, &findings);
        if matches!(sources.accounts, Accounts::Unused | Accounts::Unauthenticated) {
            // Neither used nor worth a warning.
        } else if origin.accounts_from_environment {
            env::read(&environment, &mut config);
            given.extend(environment.given());
        } else if let Some(names) = some_list(&environment.names_set()) {
            findings.warn(env::SOURCE, &names, "not used, since the configuration file names accounts");
        }
        sources.flags.apply(&mut config, &mut given);
        config.store.path = followed(&config.store.path);
        if let Some(list) = some_list(&keys::without_effect(&given)) {
            findings.warn("settings", &list, "read and checked, but without effect in this version");
        }
        check::all(&config, &origin, sources.accounts, &findings);
        Ok(Loaded { config, warnings: findings.into_result()? })
    }

    /// What differs from `new` and can only change with a restart: keys, for a message.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (&self.web, &new.web);
        let pairs = [
            ("store.path", self.store.path != new.store.path),
            ("web.listen", ours.listen != theirs.listen),
            ("web.webhook_listen", ours.webhook_listen != theirs.webhook_listen),
            ("web.config_file", ours.config_file != theirs.config_file),
            ("web.telemetry_path", ours.telemetry_path != theirs.telemetry_path),
            ("log.format", self.log.format != new.log.format),
        ];
        pairs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// Takes what can only change with a restart from the settings that are in force.
    pub fn keep_until_restart(&mut self, in_force: &Self) {
        self.store.path.clone_from(&in_force.store.path);
        self.web.clone_from(&in_force.web);
        self.log.format = in_force.log.format;
    }
}

impl Overrides {
    fn apply(&self, config: &mut Config, given: &mut BTreeSet<String>) {
        if !self.listen.is_empty() {
            config.web.listen.clone_from(&self.listen);
        }
        if let Some(path) = &self.telemetry_path {
            config.web.telemetry_path.clone_from(path);
        }
        if let Some(path) = &self.web_config_file {
            config.web.config_file = Some(path.clone());
            given.insert("web.config_file".to_owned());
        }
        config.web.enable_lifecycle = self.enable_lifecycle;
        config.web.sockets = self.sockets;
        if let Some(path) = &self.store_path {
            config.store.path.clone_from(path);
        }
        config.log.level = self.log_level.unwrap_or(config.log.level);
        config.log.format = self.log_format.unwrap_or(config.log.format);
    }
}

/// What a symbolic link names: what belongs to a store stands beside the file itself, under its own name, whatever
/// way leads to it.
fn followed(path: &Path) -> PathBuf {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink());
    let real = is_link.then(|| std::fs::canonicalize(path).ok()).flatten();
    real.unwrap_or_else(|| path.to_owned())
}

/// Far above thousands of accounts; keeps a wrong path out of memory.
const MAX_FILE: u64 = 4 << 20;

fn read_file(
    path: &Path,
    accounts: Accounts,
    config: &mut Config,
    given: &mut BTreeSet<String>,
    findings: &Findings,
) -> file::AccountsNamed {
    let reader = Reader::of(path, accounts, findings);
    match text_of(path).and_then(|text| Node::parse(&text)) {
        Ok(node) => {
            file::read(reader.root(&node), config);
            given.extend(reader.given());
            file::accounts_named(&node)
        }
        Err(reason) => {
            findings.fault(&reader.source, "", reason);
            // Nobody knows; to ask the environment for an account would be a second fault for the first.
            file::AccountsNamed::Yes
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("expected a file of at most 4 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "expected UTF-8 text".to_owned())
}

/// The names as one text; nothing if there are none.
fn some_list<T: AsRef<str>>(names: &[T]) -> Option<String> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

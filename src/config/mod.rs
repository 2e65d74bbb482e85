//! Settings: what the configuration file, the environment and the flags say, checked.
//!
//! Every default stands beside its field with its reason. [`Config::load`] puts the sources together
//! and reports all their faults at once; nothing else in the crate reads the environment. The way
//! through the folder: `node` (YAML as a tree) -> `section` (typed getters) -> `file` and `env` ->
//! `check` (what must fit together). `keys` lists every key and variable for the documentation.

mod account;
mod budget;
mod check;
mod credentials;
mod env;
mod fault;
mod file;
pub mod keys;
mod load;
mod node;
mod secret;
mod section;
#[cfg(test)]
mod tests;
pub mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub(crate) use fault::Findings;
pub(crate) use node::Node;
pub(crate) use section::{Reader, Section};

pub use account::{Account, Balance, PageExophones, RateLimits, Region};
pub use fault::{Fault, Faults};
pub use load::{Accounts, Loaded, Overrides, Sources};
pub use secret::{ApiKey, Secret};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The accounts to watch; at least one for `run`.
    pub accounts: Vec<Account>,
    /// Polling of ExoPhone connectivity.
    pub heartbeat: Heartbeat,
    /// Reading of calls.
    pub sync: Sync,
    /// Receiving of webhooks.
    pub webhooks: Webhooks,
    /// Retrying of failed reads.
    pub retry: Retry,
    /// The embedded store.
    pub store: Store,
    /// The monitoring API.
    pub api: Api,
    /// Placing calls and sending messages.
    pub outbound: Outbound,
    /// Listeners.
    pub web: Web,
    /// How customer and agent numbers are shown.
    pub privacy: Privacy,
    /// Bounds on label values.
    pub limits: Limits,
    /// Ages at which records other than calls go.
    pub retention: Retention,
    /// Logging.
    pub log: Log,
}

/// Polling of ExoPhone connectivity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Default on.
    pub enabled: bool,
    /// Default 1 minute.
    pub interval: Duration,
}

/// Reading of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Default on.
    pub enabled: bool,
    /// Default 15 minutes.
    pub interval: Duration,
    /// How far back an ended call may have begun; default 4 h 20 min: Exotel's longest call plus the delay of its index.
    pub lookback: Duration,
    /// How far behind now big accounts are read first; `None` = auto, two thirds of `settle_after`.
    pub lag: Option<Duration>,
    /// When a call counts even if something about it is still unknown; default 30 minutes.
    pub settle_after: Duration,
    /// Answered calls with less talk than this are short; default 10 seconds.
    pub short_call: Duration,
}

/// Receiving of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// Age at which a call that the API knows and no callback announced is a missed webhook; default 25
    /// minutes: Exotel's last retry comes after 15.
    pub missed_after: Duration,
    /// Networks that webhooks may come from; default none named = all.
    pub allow_from: Vec<IpNet>,
}

/// The monitoring API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// What tokens are checked with; default none = the API is off.
    pub key: Option<ApiKey>,
    /// Whether a shared secret of fewer than 32 bytes is taken; default not, it can be guessed from one token.
    pub allow_short_secret: bool,
    /// Who must have issued a token (claim `iss`); default none = anybody who has the key.
    pub issuer: Option<String>,
    /// Whom a token must be for (claim `aud`); default none = it is not looked at.
    pub audience: Option<String>,
    /// Browser origins that may ask, such as `https://ops.example.com`; default none.
    pub cors_origins: Vec<String>,
}

/// Placing calls and sending messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Default off: an exporter reads.
    pub enabled: bool,
}

/// Retrying of failed reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Retries after the first try; default 3.
    pub attempts: u32,
    /// First wait, doubled each time, with jitter; default 2 seconds.
    pub initial_backoff: Duration,
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Default `data/exotel-exporter.redb`.
    pub path: PathBuf,
    /// Age at which calls go; default 190 days: what Exotel keeps plus a margin.
    pub retention: Duration,
    /// Size in bytes that alerts measure against; default none.
    pub max_size: Option<u64>,
}

/// Listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Default `127.0.0.1:10043`.
    pub listen: Vec<SocketAddr>,
    /// Default `/metrics`.
    pub telemetry_path: String,
    /// TLS, passwords and headers of the listeners, in the format of the Prometheus exporter toolkit.
    pub config_file: Option<PathBuf>,
    /// Whether `POST /-/reload` works; only the flag `--web.enable-lifecycle` turns it on.
    pub enable_lifecycle: bool,
    /// Extra addresses that serve only webhooks.
    pub webhook_listen: Vec<SocketAddr>,
    /// Where the sockets come from; only the flag `--web.systemd-socket` changes it.
    pub sockets: Sockets,
}

/// Where the listening sockets come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sockets {
    /// We open those that `web.listen` and `web.webhook_listen` name.
    #[default]
    Own,
    /// systemd opened them before the start.
    Systemd,
}

/// How customer and agent numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// `******0001`.
    Masked,
    /// Keyed hash.
    Hashed,
    /// As they are.
    Plain,
}

/// Bounds on label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// ExoPhones per account with a label of their own; default 500.
    pub exophones: usize,
}

/// Ages at which records other than calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Hourly summaries of health checks; default 90 days.
    pub health_checks: Duration,
    /// Raw health checks; default 7 days.
    pub health_checks_raw: Duration,
    /// Records of sync runs; default 365 days.
    pub sync_runs: Duration,
}

/// Logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Default info.
    pub level: tracing::Level,
    /// Default logfmt.
    pub format: LogFormat,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=info msg=…`
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl Sync {
    /// How far behind now big accounts are read first.
    pub fn lag(&self) -> Duration {
        self.lag.unwrap_or(self.settle_after * 2 / 3)
    }
}

impl Default for Config {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            accounts: Vec::new(),
            heartbeat: Heartbeat { enabled: true, interval: Duration::from_secs(60) },
            sync: Sync {
                enabled: true,
                interval: Duration::from_secs(15 * 60),
                lookback: Duration::from_secs(4 * 3600 + 20 * 60),
                lag: None,
                settle_after: Duration::from_secs(30 * 60),
                short_call: Duration::from_secs(10),
            },
            webhooks: Webhooks { missed_after: Duration::from_secs(25 * 60), allow_from: Vec::new() },
            retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
            store: Store {
                path: PathBuf::from("data/exotel-exporter.redb"),
                retention: Duration::from_secs(190 * DAY),
                max_size: None,
            },
            api: Api::default(),
            outbound: Outbound::default(),
            web: Web {
                listen: vec![SocketAddr::from(([127, 0, 0, 1], 10043))],
                telemetry_path: "/metrics".to_owned(),
                config_file: None,
                enable_lifecycle: false,
                webhook_listen: Vec::new(),
                sockets: Sockets::default(),
            },
            privacy: Privacy::Masked,
            limits: Limits { exophones: 500 },
            retention: Retention {
                health_checks: Duration::from_secs(90 * DAY),
                health_checks_raw: Duration::from_secs(7 * DAY),
                sync_runs: Duration::from_secs(365 * DAY),
            },
            log: Log { level: tracing::Level::INFO, format: LogFormat::Logfmt },
        }
    }
}

//! Settings: what the configuration file, the environment and the flags say, checked.
//!
//! Every default stands beside its field with its reason. Reading and checking is in [`file`] and
//! [`env`]; nothing else in the crate reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::UtcOffset;

/// A secret text: an API token, a webhook secret. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; never for a log, an error, a label or a page.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The accounts to watch; at least one for `run`.
    pub accounts: Vec<Account>,
    /// Polling of ExoPhone connectivity.
    pub heartbeat: Heartbeat,
    /// Reading of calls.
    pub sync: Sync,
    /// Retrying of failed reads.
    pub retry: Retry,
    /// The embedded store.
    pub store: Store,
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

/// One Exotel account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Value of the `account` label; default the sid.
    pub name: String,
    /// Account sid.
    pub sid: String,
    /// API key, the user of Basic auth.
    pub api_key: Secret,
    /// API token, the password of Basic auth.
    pub api_token: Secret,
    /// Region, for the hosts.
    pub region: Region,
    /// Base of the API, by region or as configured; no trailing slash.
    pub base_url: String,
    /// Base of the CCM API, by region or as configured.
    pub ccm_base_url: String,
    /// Offset of Exotel's zone-less times.
    pub utc_offset: UtcOffset,
    /// Currency of prices.
    pub currency: String,
    /// Concurrent calls bought.
    pub channel_limit: Option<u32>,
    /// Secrets that webhooks of this account may carry; none = takes no webhooks.
    pub webhook_secrets: Vec<Secret>,
    /// Kinds of webhook whose silence alarms: heartbeat, calls, sms, passthru.
    pub expected_webhooks: Vec<String>,
    /// How often Exotel's dashboard is set to push heartbeats.
    pub heartbeat_expected_every: Duration,
    /// Number -> alias for the `exophone` label.
    pub exophones: BTreeMap<String, String>,
    /// Whose outage pages.
    pub page_exophones: PageExophones,
    /// Hard ceilings in requests per minute.
    pub rate_limits: RateLimits,
    /// Part of a ceiling that background work may use, above 0 and at most 1.
    pub background_share: f64,
    /// Balance poll.
    pub balance: Balance,
}

/// Exotel's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// `api.exotel.com`.
    Singapore,
    /// `api.in.exotel.com`.
    Mumbai,
}

/// Numbers whose outage is to page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageExophones {
    /// Every number.
    All,
    /// No number.
    None,
    /// These.
    Only(Vec<String>),
}

/// Requests per minute for each pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Voice APIs; Exotel publishes 200.
    pub voice: u32,
    /// ExoPhone APIs; Exotel publishes 50, we stay below.
    pub exophones: u32,
    /// SMS APIs; Exotel publishes 200.
    pub sms: u32,
}

/// Balance poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Off by default: the endpoint is confirmed by no capture.
    pub enabled: bool,
    /// Default 15 minutes; Exotel allows one a minute.
    pub interval: Duration,
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
    /// Size that alerts measure against; default none.
    pub max_size: Option<u64>,
}

/// Listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Default `127.0.0.1:10043`.
    pub listen: Vec<SocketAddr>,
    /// Default `/metrics`.
    pub telemetry_path: String,
    /// Extra addresses that serve only webhooks.
    pub webhook_listen: Vec<SocketAddr>,
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

/// Hidden secrets, offsets and defaults are used by tests and by `demo`.
impl Account {
    /// An account with every default, for these credentials.
    pub fn new(sid: &str, api_key: &str, api_token: &str) -> Self {
        Self {
            name: sid.to_owned(),
            sid: sid.to_owned(),
            api_key: Secret::new(api_key),
            api_token: Secret::new(api_token),
            region: Region::Singapore,
            base_url: Region::Singapore.base_url().to_owned(),
            ccm_base_url: Region::Singapore.ccm_base_url().to_owned(),
            utc_offset: UtcOffset::default(),
            currency: "INR".to_owned(),
            channel_limit: None,
            webhook_secrets: Vec::new(),
            expected_webhooks: Vec::new(),
            heartbeat_expected_every: Duration::from_secs(300),
            exophones: BTreeMap::new(),
            page_exophones: PageExophones::All,
            rate_limits: RateLimits { voice: 200, exophones: 40, sms: 120 },
            background_share: 0.3,
            balance: Balance { enabled: false, interval: Duration::from_secs(900) },
        }
    }
}

impl Region {
    /// Host of the voice, ExoPhone, SMS and balance APIs.
    pub fn base_url(self) -> &'static str {
        match self {
            Self::Singapore => "https://api.exotel.com",
            Self::Mumbai => "https://api.in.exotel.com",
        }
    }

    /// Host of the v2 (CCM) and v3 call APIs.
    pub fn ccm_base_url(self) -> &'static str {
        match self {
            Self::Singapore => "https://ccm-api.exotel.com",
            Self::Mumbai => "https://ccm-api.in.exotel.com",
        }
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
            retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
            store: Store {
                path: PathBuf::from("data/exotel-exporter.redb"),
                retention: Duration::from_secs(190 * DAY),
                max_size: None,
            },
            web: Web {
                listen: vec![SocketAddr::from(([127, 0, 0, 1], 10043))],
                telemetry_path: "/metrics".to_owned(),
                webhook_listen: Vec::new(),
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

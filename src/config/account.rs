//! One Exotel account: credentials, hosts, numbers and limits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Secret;
use crate::model::{Direction, UtcOffset};

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
    /// Directions of calls that a final callback should announce.
    pub expected_callbacks: Vec<Direction>,
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
    /// Number that outbound calls come from where a request names none.
    pub from_number: Option<Secret>,
    /// Caller id of outbound calls; an ExoPhone of the account.
    pub caller_id: Option<Secret>,
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

impl Balance {
    /// How often it is asked for: as configured, but at most once a minute, which is all that Exotel allows.
    /// With a `settle_after` below a minute, which only a test or demo has, a minute would never pass.
    pub fn every(&self, settle_after: Duration) -> Duration {
        let shortest = if settle_after < Self::SHORTEST { settle_after / 30 } else { Self::SHORTEST };
        self.interval.max(shortest)
    }

    /// Exotel wants to be asked once a minute at most.
    pub const SHORTEST: Duration = Duration::from_secs(60);
}

impl Account {
    /// An account with every default, for these credentials; where reading starts, and what tests and
    /// `demo` use.
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
            expected_callbacks: vec![Direction::OutboundApi],
            heartbeat_expected_every: Duration::from_secs(300),
            exophones: BTreeMap::new(),
            page_exophones: PageExophones::All,
            rate_limits: RateLimits { voice: 200, exophones: 40, sms: 120 },
            background_share: 0.3,
            balance: Balance { enabled: false, interval: Duration::from_secs(900) },
            from_number: None,
            caller_id: None,
        }
    }
}

impl Region {
    /// The region that one of Exotel's own hosts belongs to.
    pub fn of_host(host: &str) -> Option<Self> {
        match host {
            "api.exotel.com" | "ccm-api.exotel.com" => Some(Self::Singapore),
            "api.in.exotel.com" | "ccm-api.in.exotel.com" => Some(Self::Mumbai),
            _ => None,
        }
    }

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Singapore => "singapore",
            Self::Mumbai => "mumbai",
        }
    }

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

impl RateLimits {
    /// What Exotel publishes for each pool, in requests per minute.
    pub const PUBLISHED: Self = Self { voice: 200, exophones: 50, sms: 200 };
}

impl Account {
    /// Sets both hosts from what was configured, after the region.
    ///
    /// An own host (a simulator, a staging system) gets the CCM requests too, so that its credentials
    /// never go to Exotel, nor Exotel's to it.
    pub(super) fn set_hosts(&mut self, base: Option<String>, ccm_base: Option<String>) {
        let own = base.as_ref().filter(|url| {
            let url = reqwest::Url::parse(url).ok();
            url.as_ref().and_then(|url| url.host_str()).and_then(Region::of_host).is_none()
        });
        self.ccm_base_url =
            ccm_base.or_else(|| own.cloned()).unwrap_or_else(|| self.region.ccm_base_url().to_owned());
        self.base_url = base.unwrap_or_else(|| self.region.base_url().to_owned());
    }
}

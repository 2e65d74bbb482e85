//! What can be asked of the simulated Exotel.
//!
//! The defaults are a calm account with the delays that Exotel shows in the field, without oddities,
//! outages, webhooks and faults. Shares are probabilities from 0 to 1.

mod calls;
mod messages;
mod newer;
mod outages;
mod webhooks;
mod wire;

use std::time::Duration;

pub use self::calls::{Delay, Delays, Durations, History, Oddities, Planted, Profile, Traffic};
pub use self::messages::{Balance, Messages, WhenEmpty};
pub use self::newer::{Newer, NewerAccess, NewerKeys};
pub use self::outages::{Alternate, Lines, Outage, OutageState, Outages, PlannedOutage};
pub use self::webhooks::{
    AgentEvents, Body, CallCallbacks, CallKeys, Events, HeartbeatShape, Heartbeats, NoneAffected, Passthru,
    PassthruMethod, Reach, ReportForm, Reports, Webhooks,
};
pub use self::wire::{
    Absent, BulkDetails, Cursor, ExoPhoneKey, ExtraKey, LastPage, Numbers, Sids, Unauthorized, Wire,
};
use super::faults::{Faults, RetryAfter};
use crate::model::UtcOffset;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Same seed and options, same calls, counted from the start of the simulator.
    pub seed: u64,
    /// The accounts, each with calls of its own.
    pub accounts: Vec<Account>,
    /// Offset of the zone-less times in answers and filters.
    pub utc_offset: UtcOffset,
    /// The accounts' own numbers.
    pub exophones: ExoPhones,
    /// Which calls there are.
    pub traffic: Traffic,
    /// How long calls last.
    pub durations: Durations,
    /// What is known when.
    pub delays: Delays,
    /// Rows that are not as one would wish.
    pub oddities: Oddities,
    /// How things are spelled.
    pub wire: Wire,
    /// v2 and v3 of the call API.
    pub newer: Newer,
    /// When numbers cannot be reached.
    pub outages: Outages,
    /// What Exotel sends by itself.
    pub webhooks: Webhooks,
    /// Text messages.
    pub messages: Messages,
    /// The account's money.
    pub balance: Balance,
    /// Exotel's own rate limits.
    pub limits: Limits,
    /// Requests that go wrong; may be changed while the simulator runs.
    pub faults: Faults,
    /// Time that each answer takes.
    pub latency: Delay,
    /// The keys are refused from this long after the start.
    pub revoked_after: Option<Duration>,
    /// Seconds by which the `Date` header is wrong.
    pub date_skew: i64,
}

/// One account and its credentials; all made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Account sid, as in the paths.
    pub sid: String,
    /// User of Basic auth.
    pub api_key: String,
    /// Password of Basic auth.
    pub api_token: String,
}

/// The accounts' own numbers.
#[derive(Clone, Debug)]
pub struct ExoPhones {
    /// Numbers that the list names.
    pub listed: u16,
    /// Numbers that calls use though no list names them.
    pub unlisted: u16,
    /// Share of calls that use one of those.
    pub unlisted_share: f64,
    /// Which list there is; the others are 404.
    pub lists: ExoPhoneLists,
    /// Form of the answer about the health of one number.
    pub envelope: Envelope,
    /// Whether there is such an answer.
    pub health: ExoPhoneHealth,
}

/// The answer about the health of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExoPhoneHealth {
    /// Both lines.
    Whole,
    /// Without `outgoing_call`.
    IncomingOnly,
    /// 404.
    Missing,
}

/// Where the ExoPhones are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExoPhoneLists {
    /// Under `v2_beta` and `v1`.
    Both,
    /// Under `v1` alone.
    V1,
    /// Nowhere.
    Nowhere,
}

/// Form of the answer about the health of one number; which of them is real is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// The object alone.
    Bare,
    /// Under `response.data`, as in other answers of v2.
    Wrapped,
}

/// Exotel's own rate limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests for calls in any 60 s for each account; no limit if none.
    pub voice: Option<u32>,
    /// Requests for ExoPhones likewise.
    pub exophones: Option<u32>,
    /// Requests for messages likewise.
    pub sms: Option<u32>,
    /// How a breach of that limit is answered.
    pub sms_breach: SmsBreach,
    /// Requests for the balance likewise.
    pub balance: Option<u32>,
    /// What a 429 says of the time to wait.
    pub retry_after: RetryAfter,
    /// Whether `X-RateLimit-*` headers are sent.
    pub headers: RateHeaders,
}

/// Answer to a breach of the limit for messages; pages disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsBreach {
    /// 503.
    Unavailable,
    /// 429.
    TooManyRequests,
}

/// `X-RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// On every answer.
    Sent,
    /// Never, as in all captured traffic.
    Missing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: vec![Account::default()],
            utc_offset: UtcOffset::default(),
            exophones: ExoPhones::default(),
            traffic: Traffic::default(),
            durations: Durations::default(),
            delays: Delays::default(),
            oddities: Oddities::default(),
            wire: Wire::default(),
            newer: Newer::default(),
            outages: Outages::default(),
            webhooks: Webhooks::default(),
            messages: Messages::default(),
            balance: Balance::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            latency: Delay::none(),
            revoked_after: None,
            date_skew: 0,
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            sid: "exampleacct1".to_owned(),
            api_key: "simkey".to_owned(),
            api_token: "simtoken".to_owned(),
        }
    }
}

impl Default for ExoPhones {
    fn default() -> Self {
        Self {
            listed: 3,
            unlisted: 0,
            unlisted_share: 0.0,
            lists: ExoPhoneLists::Both,
            envelope: Envelope::Bare,
            health: ExoPhoneHealth::Whole,
        }
    }
}

impl Default for Limits {
    /// The published limits.
    fn default() -> Self {
        Self {
            voice: Some(200),
            exophones: Some(50),
            sms: Some(200),
            sms_breach: SmsBreach::Unavailable,
            balance: Some(1),
            retry_after: RetryAfter::Seconds(30),
            headers: RateHeaders::Sent,
        }
    }
}

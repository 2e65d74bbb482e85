//! What the status page shows, as plain data. Whoever knows the accounts fills it from memory, anew for
//! each request; the page knows nothing else.

use std::time::Duration;

use crate::metrics::BuildInfo;
use crate::model::callback::{Kind, SmsStatus};
use crate::model::health::{State, Verdict};
use crate::model::{Direction, Outcome, Timestamp, UtcOffset};

/// The program and its accounts at one instant.
#[derive(Clone, Debug)]
pub struct StatusSnapshot {
    /// When this was taken.
    pub now: Timestamp,
    /// When the program started.
    pub started: Timestamp,
    /// Which program this is.
    pub build: BuildInfo,
    /// Calls in the store, of all accounts and ages.
    pub stored_calls: u64,
    /// Size of the store file in bytes, where known.
    pub store_bytes: Option<u64>,
    /// One for each configured account, in the order of the configuration.
    pub accounts: Vec<AccountStatus>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountStatus {
    /// Configured name.
    pub name: String,
    /// Base URL of the API it is read from.
    pub base_url: String,
    /// Offset of Exotel's clock; the page shows times on that clock.
    pub utc_offset: UtcOffset,
    /// Whether reading works.
    pub state: AccountState,
    /// Reading of calls; none when it is disabled.
    pub sync: Option<SyncStatus>,
    /// Calls, one entry for each direction and outcome that occurred.
    pub calls: Vec<CallCount>,
    /// Those of today that began before the first start: they are shown, and counted in no metric.
    pub history_today: u64,
    /// Calls by hour of their start, oldest first, the running hour last; at most 48 are drawn.
    pub hours: Vec<HourCount>,
    /// Request budget, one entry for each pool in use.
    pub budget: Vec<PoolStatus>,
    /// Health of its ExoPhones.
    pub health: HealthStatus,
    /// Callbacks; none for an account that takes none.
    pub callbacks: Option<CallbacksStatus>,
    /// Messages that ended since the first start, by final status; empty where none ever did.
    pub messages: Vec<(SmsStatus, u64)>,
    /// The balance as last read; none where it is not read, or was not yet.
    pub balance: Option<BalanceStatus>,
    /// The last request that failed, of whatever kind, and why; holds no secret and no number.
    pub last_error: Option<(Timestamp, String)>,
}

/// Callbacks of one account.
#[derive(Clone, Debug)]
pub struct CallbacksStatus {
    /// Each kind that is expected or came, and when the last one came; none while none did.
    pub last: Vec<(Kind, Option<Timestamp>)>,
    /// Callbacks about calls; none where none are expected.
    pub calls: Option<CallbackLoss>,
}

/// Whether callbacks come for the calls that should bring one.
#[derive(Clone, Copy, Debug)]
pub struct CallbackLoss {
    /// Counted calls for which one is expected, since the first start.
    pub expected: u64,
    /// Those of them whose callback never came.
    pub missed: u64,
}

/// Balance of one account.
#[derive(Clone, Debug)]
pub struct BalanceStatus {
    /// In millionths of the currency's unit; may be below 0.
    pub micros: i64,
    /// `INR`.
    pub currency: String,
    /// When it was read.
    pub read: Timestamp,
}

/// Health of an account's ExoPhones, by poll and by push.
#[derive(Clone, Debug)]
pub struct HealthStatus {
    /// Polls; none when they are off.
    pub poll: Option<PollStatus>,
    /// The heartbeat in force; none where none came, or it is too old.
    pub heartbeat: Option<HeartbeatStatus>,
    /// How often heartbeats should come; none where none are expected.
    pub heartbeat_every: Option<Duration>,
    /// Every known ExoPhone.
    pub numbers: Vec<NumberStatus>,
}

/// Polls of one account.
#[derive(Clone, Debug)]
pub struct PollStatus {
    /// Time between rounds.
    pub interval: Duration,
    /// The round that ended last.
    pub last: Option<PollRound>,
}

/// One finished round.
#[derive(Clone, Debug)]
pub struct PollRound {
    /// When it ended.
    pub at: Timestamp,
    /// What it found.
    pub verdict: Verdict,
    /// What went wrong, or is not known; holds no secret and no number.
    pub error: Option<String>,
}

/// A heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatStatus {
    /// Exotel's time of it.
    pub at: Timestamp,
    /// What it says.
    pub status: Verdict,
    /// Since when heartbeats say so.
    pub since: Timestamp,
}

/// One ExoPhone. Pairs are incoming and outgoing calls.
#[derive(Clone, Debug)]
pub struct NumberStatus {
    /// Alias or number.
    pub label: String,
    /// By poll: state, and since when; none while there is no answer, or it is too old.
    pub poll: [Option<(State, Timestamp)>; 2],
    /// By push: whether it is affected; none while no heartbeat says.
    pub push: [Option<bool>; 2],
    /// What Exotel names to use meanwhile, by poll or else by push; none where it names nothing, and while the
    /// number is not out.
    pub instead: [Option<Instead>; 2],
}

/// The number to use while another one is out.
#[derive(Clone, Debug)]
pub enum Instead {
    /// One of the account's, by its alias or number.
    Number(String),
    /// One that is on no list of the account's: it may be anybody's and is not shown.
    NotListed,
}

/// Whether an account can be read.
#[derive(Clone, Debug)]
pub enum AccountState {
    /// No cycle has ended yet.
    Starting,
    /// The newest cycle of some enabled kind succeeded.
    Up,
    /// The newest cycle of every enabled kind failed.
    Failing(Failure),
}

/// Why an account cannot be read.
#[derive(Clone, Debug)]
pub struct Failure {
    /// First failure since the last success.
    pub since: Timestamp,
    /// Reason as in the metrics: `auth`, `timeout`, …
    pub reason: &'static str,
    /// What was asked and what came; holds no secret and no number.
    pub message: String,
}

/// Reading of calls.
#[derive(Clone, Debug)]
pub struct SyncStatus {
    /// Time between runs.
    pub interval: Duration,
    /// Every call created before this is read and final.
    pub watermark: Option<Timestamp>,
    /// Every call visible up to this creation time is read.
    pub head: Option<Timestamp>,
    /// The run that goes on now.
    pub running_since: Option<Timestamp>,
    /// The run that ended last.
    pub last_run: Option<SyncRun>,
    /// Ended calls not yet counted.
    pub unsettled: u64,
    /// Completed calls without a price.
    pub unpriced: u64,
    /// Rows that could not be read.
    pub set_aside: u64,
}

/// One finished run.
#[derive(Clone, Debug)]
pub struct SyncRun {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Rows that brought a new call.
    pub new: u64,
    /// Rows that changed a known call.
    pub updated: u64,
    /// Rows that said nothing new.
    pub unchanged: u64,
    /// Rows that could not be read.
    pub rejected: u64,
    /// What went wrong; holds no secret and no number.
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Everything was read.
    Success,
    /// Everything was read, some rows were set aside.
    Partial,
    /// A page failed or was refused.
    Failure,
}

/// Calls of one direction and outcome.
#[derive(Clone, Copy, Debug)]
pub struct CallCount {
    /// Direction.
    pub direction: Direction,
    /// Outcome.
    pub outcome: Outcome,
    /// Started since midnight on Exotel's clock, whether counted or history.
    pub today: u64,
    /// Counted since the first start.
    pub total: u64,
}

/// Calls that started in one hour.
#[derive(Clone, Copy, Debug)]
pub struct HourCount {
    /// Start of the hour.
    pub start: Timestamp,
    /// Calls.
    pub calls: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// Those that did not come about: failed, or not connected.
    pub failed: u64,
    /// Those of which it is not known.
    pub unknown: u64,
}

/// Use of one of Exotel's request limits.
#[derive(Clone, Copy, Debug)]
pub struct PoolStatus {
    /// `voice`, `exophones`, `sms`.
    pub pool: &'static str,
    /// Requests per minute allowed now.
    pub limit: u32,
    /// Requests of the last minute.
    pub used: u32,
    /// Requests that wait.
    pub queued: u32,
    /// What Exotel last said was left, where it says so.
    pub remaining: Option<u64>,
}

//! What the families of calls and of sync are rendered from: one picture, taken at each scrape from memory.

use std::fmt;
use std::sync::Arc;

use crate::model::callback::HeartbeatStatus;
use crate::model::health::NumberHealth;
use crate::model::series::Totals;
use crate::model::{AccountId, ExoPhoneId, Timestamp};

/// Takes the picture. Must not wait for network, disk, or a lock that is held across either.
pub type Source = Arc<dyn Fn() -> View + Send + Sync>;

/// Everything that the families of calls and of sync show.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Persisted numbers.
    pub totals: Totals,
    /// Configured accounts.
    pub accounts: Vec<AccountView>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// Its number in the store.
    pub id: AccountId,
    /// Label `account`.
    pub name: String,
    /// Label `currency`.
    pub currency: String,
    /// Numbers with a label of their own, `unknown` and, where it is in use, `_other`.
    pub exophones: Vec<ExoPhoneView>,
    /// How many numbers are known.
    pub known_exophones: u64,
    /// Concurrent calls bought.
    pub channel_limit: Option<u32>,
    /// Reading of calls; none when it is off.
    pub sync: Option<SyncView>,
    /// Whether delivery reports of messages are expected.
    pub expects_sms: bool,
    /// The balance as last read; none where it is not read, or was not yet.
    pub balance: Option<BalanceView>,
    /// Health polls; none when they are off.
    pub health_poll: Option<HealthPollView>,
    /// Status of the heartbeat in force; none while there is none, or it is too old.
    pub heartbeat: Option<HeartbeatStatus>,
    /// How often heartbeats come, in seconds; none where none are expected.
    pub heartbeat_expected_every: Option<f64>,
    /// Callbacks; none for an account that takes none.
    pub callbacks: Option<CallbacksView>,
}

/// Balance of one account.
#[derive(Clone, Debug)]
pub struct BalanceView {
    /// In units of the currency.
    pub amount: f64,
    /// Label `currency`.
    pub currency: String,
    /// When it was read.
    pub read: Timestamp,
}

/// Health polls of one account.
#[derive(Clone, Debug)]
pub struct HealthPollView {
    /// Configured, in seconds.
    pub interval: f64,
    /// End of the last whole poll; first start before any.
    pub last_success: Option<Timestamp>,
}

/// What the last poll of a number found.
#[derive(Clone, Debug)]
pub struct PolledNumber {
    /// What it found.
    pub health: NumberHealth,
    /// Whether it still says how things are.
    pub fresh: bool,
}

/// Callbacks about calls of one account.
#[derive(Clone, Copy, Debug)]
pub struct CallbacksView {
    /// Estimate of the calls in progress, by code of their direction.
    pub in_progress: [u64; 4],
    /// Whether callbacks are expected for some of its calls.
    pub expected: bool,
}

/// One value of the label `exophone`.
#[derive(Clone, Debug)]
pub struct ExoPhoneView {
    /// Id within the account.
    pub id: ExoPhoneId,
    /// Alias, number in E.164 form, `unknown` or `_other`.
    pub label: String,
    /// Exotel's sid; none for `unknown` and `_other`.
    pub sid: Option<String>,
    /// Whether its outage pages.
    pub paging: bool,
    /// Its last poll; none before one, for a number that left the list, and when polls are off.
    pub polled: Option<PolledNumber>,
    /// Whether heartbeats name it as affected, in the order of [`crate::model::health::Way::ALL`]; none
    /// while none is in force that says.
    pub affected: [Option<bool>; 2],
}

/// Reading of calls of one account.
#[derive(Clone, Debug)]
pub struct SyncView {
    /// Configured, in seconds.
    pub interval: f64,
    /// Configured, in seconds.
    pub lookback: f64,
    /// How far behind now big accounts are read first, in seconds.
    pub lag: f64,
    /// End of the last successful run; first start before any.
    pub last_success: Option<Timestamp>,
    /// Length of the last run in seconds.
    pub last_duration: Option<f64>,
    /// Everything before is read and final.
    pub watermark: Option<Timestamp>,
    /// Everything visible up to here is read.
    pub head: Option<Timestamp>,
    /// Rows set aside.
    pub set_aside: u64,
    /// Ended calls that are not counted.
    pub unsettled: u64,
    /// End of the oldest of them.
    pub oldest_unsettled: Option<Timestamp>,
    /// Completed calls without a price.
    pub unpriced: u64,
}

#[cfg(test)]
impl SyncView {
    /// Of an account that was not read yet, with the default settings.
    pub(crate) fn unread() -> Self {
        Self {
            interval: 900.0,
            lookback: 15_600.0,
            lag: 1_200.0,
            last_success: None,
            last_duration: None,
            watermark: None,
            head: None,
            set_aside: 0,
            unsettled: 0,
            oldest_unsettled: None,
            unpriced: 0,
        }
    }
}

/// A [`Source`] that can be put into a collector.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Source);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

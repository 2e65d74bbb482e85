//! What the families of calls and of sync are rendered from: one picture, taken at each scrape from memory.

use std::fmt;
use std::sync::Arc;

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

/// A [`Source`] that can be put into a collector.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Source);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

//! What the API asks for, as plain data: whoever holds accounts and store answers it.

use std::pin::Pin;

use crate::model::health::{CheckCounts, CheckSource, HealthCheck, NumberHealth, Verdict};
use crate::model::{
    AccountId, CallRecord, Direction, HourTotals, KnownExoPhone, SetAside, Sid, SyncRun, Timestamp,
    UtcOffset, WallTime,
};
use crate::web::access::Refusal;

/// An answer that takes a while, or a refusal in words for the caller.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Answers what the API asks. Accounts are named by [`Who::account`].
pub trait Desk: Send + Sync {
    /// The account with this name or sid; the first one without. None if there is none.
    fn account(&self, wanted: Option<&str>) -> Option<Who>;

    /// Every account, in the order of the configuration.
    fn accounts(&self) -> Vec<AccountView>;

    /// Now, UTC.
    fn now(&self) -> Timestamp;

    /// Health checks in `[from, to)`, newest first.
    fn checks(
        &self,
        account: AccountId,
        source: CheckSource,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, Vec<HealthCheck>>;

    /// How many checks of polls were made in `[from, to)`, those among them that are kept as sums alone.
    fn check_counts(&self, account: AccountId, range: (Timestamp, Timestamp)) -> Reply<'_, CheckCounts>;

    /// Polls now and waits for the verdict.
    fn check_now(&self, account: AccountId) -> Reply<'_, Verdict>;

    /// Runs of the sync, newest first.
    fn runs(&self, account: AccountId, limit: usize) -> Reply<'_, Vec<SyncRun>>;

    /// Runs that began in `[from, to)`: sums of all, and the newest.
    fn runs_between(
        &self,
        account: AccountId,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, RunsBetween>;

    /// Starts a sync; refuses with 409 if one is under way.
    fn sync_now(&self, account: AccountId) -> Reply<'_, ()>;

    /// The account's numbers, in the order in which they became known.
    fn exophones(&self, account: AccountId) -> Vec<ExoPhoneView>;

    /// The last ten digits of one of the account's numbers by number or label, or of any number.
    fn exophone_digits(&self, account: AccountId, name: &str) -> Option<u64>;

    /// Calls that fit, newest first.
    fn calls(&self, account: AccountId, wanted: CallsWanted) -> Reply<'_, CallsFound>;

    /// One call.
    fn call(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<CallRecord>>;

    /// Asks Exotel for one call, stores what it says, and gives what is known then; none where that is older
    /// than what is kept.
    fn refresh(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<Refreshed>>;

    /// Roll-ups of the hours `[from, to)` of Exotel's wall clock.
    fn hours(&self, account: AccountId, range: (u32, u32)) -> Reply<'_, Vec<(u32, Direction, HourTotals)>>;

    /// What came by webhook.
    fn webhooks(&self, account: AccountId) -> Reply<'_, WebhooksView>;

    /// Calls whose callback was missed, the last created first, below a place.
    fn missed(
        &self,
        account: AccountId,
        below: Option<(WallTime, Sid)>,
        limit: usize,
    ) -> Reply<'_, Vec<CallRecord>>;

    /// Rows that were set aside.
    fn set_aside(&self, account: AccountId) -> Reply<'_, Vec<SetAside>>;
}

/// An account as the API must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its number in the store.
    pub account: AccountId,
    /// Sid.
    pub sid: String,
    /// Offset of its days and of Exotel's times.
    pub offset: UtcOffset,
    /// Currency of its prices.
    pub currency: String,
    /// The last ten digits of its own numbers.
    pub own_numbers: std::sync::Arc<std::collections::HashSet<u64>>,
}

/// Runs of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsBetween {
    /// All.
    pub total: u64,
    /// Those that succeeded.
    pub successful: u64,
    /// Those that failed.
    pub failed: u64,
    /// Rows that all of them stored.
    pub stored: u64,
    /// The newest of them.
    pub newest: Vec<SyncRun>,
}

/// Which calls are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallsWanted {
    /// Created in `[from, to)`, UTC.
    pub range: (Timestamp, Timestamp),
    /// Only those before this place, where an earlier page ended.
    pub below: Option<(WallTime, Sid)>,
    /// Only those of this kind.
    pub filter: CallFilter,
    /// At most so many.
    pub limit: usize,
}

/// What calls must be like; none = whatever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Status.
    pub status: Option<crate::model::Status>,
    /// Direction.
    pub direction: Option<Direction>,
    /// Outcome.
    pub outcome: Option<crate::model::Outcome>,
    /// Our number in the call: the last ten digits.
    pub exophone: Option<u64>,
}

/// A page of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsFound {
    /// The calls.
    pub calls: Vec<CallRecord>,
    /// Where the next page begins; none at the end of the range.
    pub next: Option<(WallTime, Sid)>,
}

/// A call that Exotel was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// What is known of it now.
    pub record: CallRecord,
    /// Version of Exotel's API that answered: `v1`, `v2`, `v3`.
    pub api_version: &'static str,
}

/// A number and its health.
#[derive(Clone, Debug, PartialEq)]
pub struct ExoPhoneView {
    /// What the list of ExoPhones says.
    pub phone: KnownExoPhone,
    /// Alias, else the number.
    pub label: String,
    /// Whether the list still has it.
    pub listed: bool,
    /// Whether its outage is to page.
    pub paging: bool,
    /// What the last poll found, and whether that still says how things are.
    pub polled: Option<(NumberHealth, bool)>,
    /// Whether the heartbeat in force names it as affected: inbound, outbound. None without one.
    pub pushed: [Option<bool>; 2],
    /// What that poll names to use instead: inbound, outbound.
    pub polled_alternates: [Option<AlternateView>; 2],
    /// What that heartbeat names to use instead.
    pub pushed_alternates: [Option<AlternateView>; 2],
}

/// A number that Exotel names to use instead of one that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateView {
    /// As Exotel names it: a number or a sid.
    pub named: String,
    /// Alias, else the number, if it is one of the account's.
    pub label: Option<String>,
}

/// An account at work.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Name.
    pub name: String,
    /// Sid.
    pub sid: String,
    /// Base of the API that is asked.
    pub base_url: String,
    /// Offset of its clock.
    pub offset: UtcOffset,
    /// Currency.
    pub currency: String,
    /// `up`, `starting` or `failing`.
    pub state: &'static str,
    /// First start for this account.
    pub first_start: Timestamp,
    /// Requests by pool.
    pub pools: Vec<PoolView>,
    /// The last failure, in words.
    pub last_error: Option<(Timestamp, String)>,
    /// Since when every sync has failed, and what the newest said.
    pub sync_failing: Option<(Timestamp, String)>,
    /// End of the last successful sync.
    pub last_sync: Option<Timestamp>,
    /// Everything created before this is read and final.
    pub watermark: Option<Timestamp>,
    /// When a poll of health last succeeded.
    pub last_health: Option<Timestamp>,
    /// Calls that are not counted yet, have no price yet, rows set aside.
    pub waiting: [u64; 3],
    /// Balance in millionths, its currency, when it was read.
    pub balance: Option<(i64, String, Timestamp)>,
}

/// What a pool of requests may do and does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolView {
    /// `voice`, `exophones`, `sms`.
    pub pool: &'static str,
    /// Requests in any minute.
    pub per_minute: u64,
    /// Those of them for work in the background.
    pub background_per_minute: u64,
    /// Of the last minute.
    pub used: u64,
    /// That wait for their turn.
    pub waiting: u64,
    /// What Exotel last said is left.
    pub remaining: Option<u64>,
}

/// What came by webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhooksView {
    /// Whether the account takes webhooks.
    pub enabled: bool,
    /// By kind.
    pub kinds: Vec<WebhookKind>,
    /// Calls that a callback should have announced, since the first start.
    pub expected: u64,
    /// Those of them whose callback did not come in time.
    pub missed: u64,
    /// Calls that callbacks named and Exotel's API never did.
    pub unconfirmed: u64,
}

/// Webhooks of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookKind {
    /// `heartbeat`, `calls`, `sms`, `passthru`.
    pub kind: &'static str,
    /// Whether their silence alarms.
    pub expected: bool,
    /// When one last came that was new; of an earlier start, to the minute.
    pub last_received: Option<Timestamp>,
    /// Requests by outcome since this process started.
    pub requests: Vec<(&'static str, u64)>,
}

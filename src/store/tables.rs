//! Every table of the store on one page.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | bytes: layout, histogram edges, marks |
//! | `accounts` | account sid | [`crate::model::AccountRow`] |
//! | `exophones` | account, id | [`crate::model::KnownExoPhone`] |
//! | `calls` | account, creation time, Sid | compact call |
//! | `sid_index` | hash of account and Sid | creation time |
//! | `sid_recent` | number of the batch | entries that wait to be merged into `sid_index` |
//! | `agenda` | account, task, due, creation time, Sid | nothing |
//! | `totals` | account, ExoPhone | its [`crate::model::Series`]: counts, seconds or millionths since the first start |
//! | `base` | the same | what the totals were when this copy was restored; the scrape shows the difference |
//! | `hours` | account, hour, direction | [`crate::model::HourTotals`] |
//! | `sync` | account | [`crate::model::SyncState`] |
//! | `runs` | account, number | [`crate::model::SyncRun`] |
//! | `set_aside` | account, id | [`crate::model::SetAside`] |
//! | `messages` | account, Sid | [`crate::model::Message`] |
//! | `messages_due` | account, what for, when, Sid | nothing |
//! | `kept` | account, number | [`crate::model::callback::Kept`] |
//! | `kept_by_hash` | account, hash of kind and text | number |
//! | `received` | account, kind of callback | when a new one last came |
//! | `health` | account | when a poll last succeeded, the heartbeat in force, the last number of a check |
//! | `exophone_health` | account, id | [`crate::model::health::NumberHealth`] |
//! | `health_checks` | account, source, time, number | [`crate::model::health::HealthCheck`] |
//! | `health_hours` | account, source, hour | [`crate::model::health::CheckCounts`] |
//! | `inbox` | account, time of first hearing, Sid | [`crate::model::Unlisted`]: a call that only callbacks named |
//! | `missed` | account, creation time, Sid | nothing: a list of calls whose callback did not come |
//! | `erased` | keyed hash of a number | when its personal data was erased, UTC |
//!
//! Keys of several parts are their big-endian bytes in a row, so that ranges work. Every value carries a
//! checksum over itself, its table and its key, but for the index, the agenda and the list of missed
//! callbacks: what these say is only believed where the record of the call agrees.
//!
//! A value that is damaged is treated by what it is worth. A call is read anew, and counts if the agenda
//! says that it had not. What callbacks said of it is gone. A roll-up is summed again. A row that was set aside, a run and the state of
//! reading are read again or left out, with an error in log and metrics. Without its accounts, numbers or
//! totals no store is opened.

use redb::TableDefinition;

use super::seal::SealedNumber;
use crate::model::callback::Kind;
use crate::model::health::CheckSource;
use crate::model::{AccountId, HourKey, Timestamp};

/// Layout of the tables. A store with a higher number is refused, untouched.
pub const LAYOUT: u64 = 1;

/// Names: `layout`, `tables`, `restored`, `edges/<family>`, `privacy_key`.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Accounts by sid.
pub(super) const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
/// ExoPhones: account << 16 | id.
pub(super) const EXOPHONES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("exophones");
/// Calls.
pub(super) const CALLS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("calls");
/// Where a Sid is filed.
pub(super) const SID_INDEX: TableDefinition<'_, u64, u32> = TableDefinition::new("sid_index");
/// What is not merged into [`SID_INDEX`] yet, in order of arrival: 12 bytes an entry.
pub(super) const SID_RECENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sid_recent");
/// What is to be done about calls, by time.
pub(super) const AGENDA: TableDefinition<'_, &[u8], ()> = TableDefinition::new("agenda");
/// Totals: account << 16 | ExoPhone.
pub(super) const TOTALS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("totals");
/// Totals at the moment of a restore.
pub(super) const BASE: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("base");
/// Roll-ups: account << 48 | hour << 8 | direction.
pub(super) const HOURS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("hours");
/// State of reading.
pub(super) const SYNC: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("sync");
/// Runs of the sync: account << 48 | number.
pub(super) const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");
/// Rows set aside.
pub(super) const SET_ASIDE: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("set_aside");

/// Messages: account, Sid.
pub(super) const MESSAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("messages");
/// When messages are asked for, and when they were first heard of.
pub(super) const MESSAGES_DUE: TableDefinition<'_, &[u8], ()> = TableDefinition::new("messages_due");

/// Callbacks that are nothing we know.
pub(super) const KEPT: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("kept");
/// The same by their hash, so that a repeat is not kept twice.
pub(super) const KEPT_BY_HASH: TableDefinition<'_, (u16, u64), u64> = TableDefinition::new("kept_by_hash");
/// When a new callback last came: account << 8 | kind.
pub(super) const RECEIVED: TableDefinition<'_, u32, SealedNumber> = TableDefinition::new("received");

/// Health of each account.
pub(super) const HEALTH: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("health");
/// Health of each number, under the key of the number.
pub(super) const EXOPHONE_HEALTH: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("exophone_health");
/// Health checks: see [`check_key`].
pub(super) const HEALTH_CHECKS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("health_checks");
/// Health checks by hour: see [`check_hour_key`].
pub(super) const HEALTH_HOURS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("health_hours");

/// What callbacks said of calls that the API has not named.
pub(super) const INBOX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("inbox");
/// Calls whose callback was missed.
pub(super) const MISSED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("missed");
/// Numbers whose personal data was erased.
pub(super) const ERASED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("erased");

/// Every table.
pub(super) const TABLES: [&str; 25] = [
    "meta",
    "accounts",
    "exophones",
    "calls",
    "sid_index",
    "sid_recent",
    "agenda",
    "totals",
    "base",
    "hours",
    "sync",
    "runs",
    "set_aside",
    "messages",
    "messages_due",
    "kept",
    "kept_by_hash",
    "received",
    "health",
    "exophone_health",
    "health_checks",
    "health_hours",
    "inbox",
    "missed",
    "erased",
];

/// Tables whose rows are exported as `exotel_store_records`.
pub const COUNTED: [&str; 11] = [
    "calls",
    "exophones",
    "hours",
    "kept",
    "runs",
    "set_aside",
    "messages",
    "health_checks",
    "health_hours",
    "inbox",
    "missed",
];

/// Key of an ExoPhone.
pub(super) fn exophone_key(account: AccountId, id: u16) -> u32 {
    (u32::from(account.0) << 16) | u32::from(id)
}

/// Key of a roll-up.
pub(super) fn hour_key(account: AccountId, (hour, direction): HourKey) -> u64 {
    (u64::from(account.0) << 48) | (u64::from(hour) << 8) | u64::from(direction.code())
}

/// Key of a run.
pub(super) fn run_key(account: AccountId, number: u64) -> u64 {
    (u64::from(account.0) << 48) | (number & MOST_RUNS)
}

/// The highest number of a run.
pub(super) const MOST_RUNS: u64 = (1 << 48) - 1;

/// Key of a kind's last callback.
pub(super) fn received_key(account: AccountId, kind: Kind) -> u32 {
    (u32::from(account.0) << 8) | u32::from(kind.code())
}

/// The bytes of a kept callback's key, for its checksum.
pub(super) fn kept_bytes(key: (u16, u64)) -> Vec<u8> {
    set_aside_bytes(key)
}

/// Key of a health check: account << 112 | source << 104 | seconds << 64 | number.
pub(super) fn check_key(account: AccountId, source: CheckSource, at: Timestamp, number: u64) -> u128 {
    (u128::from(account.0) << 112)
        | (u128::from(source.code()) << 104)
        | (u128::from(check_seconds(at)) << 64)
        | u128::from(number)
}

/// Key of an hour of health checks: account << 48 | source << 40 | hours since the epoch.
pub(super) fn check_hour_key(account: AccountId, source: CheckSource, at: Timestamp) -> u64 {
    (u64::from(account.0) << 48) | (u64::from(source.code()) << 40) | (check_seconds(at) / 3600)
}

/// Seconds since the epoch as they fit into a key.
fn check_seconds(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).min((1 << 40) - 1)
}

/// The bytes of a set-aside row's key, for its checksum.
pub(super) fn set_aside_bytes((account, id): (u16, u64)) -> Vec<u8> {
    [&account.to_be_bytes()[..], &id.to_be_bytes()].concat()
}

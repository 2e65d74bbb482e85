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
//!
//! Keys of several parts are their big-endian bytes in a row, so that ranges work. Every value carries a
//! checksum over itself, its table and its key, but for the index and the agenda: what these say is only
//! believed where the record of the call agrees.
//!
//! A value that is damaged is treated by what it is worth. A call is read anew, and counts if the agenda
//! says that it had not. A roll-up is summed again. A row that was set aside, a run and the state of
//! reading are read again or left out, with an error in log and metrics. Without its accounts, numbers or
//! totals no store is opened.

use redb::TableDefinition;

use crate::model::{AccountId, HourKey};

/// Layout of the tables. A store with a higher number is refused, untouched.
pub const LAYOUT: u64 = 1;

/// Names: `layout`, `restored`, `edges/<family>`.
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

/// Every table.
pub(super) const TABLES: [&str; 13] = [
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
];

/// Tables whose rows are exported as `exotel_store_records`.
pub const COUNTED: [&str; 5] = ["calls", "exophones", "hours", "runs", "set_aside"];

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

/// The bytes of a set-aside row's key, for its checksum.
pub(super) fn set_aside_bytes((account, id): (u16, u64)) -> Vec<u8> {
    [&account.to_be_bytes()[..], &id.to_be_bytes()].concat()
}

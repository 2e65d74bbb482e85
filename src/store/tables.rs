//! Every table of the store on one page.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | bytes: layout, histogram edges, marks |
//! | `accounts` | account sid | [`crate::model::AccountRow`], checksummed |
//! | `exophones` | account, id | [`crate::model::KnownExoPhone`] |
//! | `calls` | account, creation time, Sid | compact call, checksummed with its key |
//! | `sid_index` | hash of account and Sid | creation time |
//! | `sid_recent` | number of the batch | entries that wait to be merged into `sid_index` |
//! | `agenda` | account, task, due, creation time, Sid | nothing |
//! | `totals` | [`crate::model::Series`] | count, seconds or millionths since the first start |
//! | `base` | the same | what the totals were when this copy was restored; the scrape shows the difference |
//! | `hours` | account, hour, direction | [`crate::model::HourTotals`] |
//! | `sync` | account | [`crate::model::SyncState`], checksummed |
//! | `runs` | account, number | [`crate::model::SyncRun`] |
//! | `set_aside` | account, id | [`crate::model::SetAside`] |
//!
//! Keys of several parts are their big-endian bytes in a row, so that ranges work.

use redb::TableDefinition;

/// Layout of the tables. A store with a higher number is refused, untouched.
pub const LAYOUT: u64 = 1;

/// Names: `layout`, `restored`, `edges/<family>`, `phone_key`.
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
/// Totals.
pub(super) const TOTALS: TableDefinition<'_, u64, u64> = TableDefinition::new("totals");
/// Totals at the moment of a restore.
pub(super) const BASE: TableDefinition<'_, u64, u64> = TableDefinition::new("base");
/// Roll-ups: account << 48 | hour << 8 | direction.
pub(super) const HOURS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("hours");
/// State of reading.
pub(super) const SYNC: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("sync");
/// Runs of the sync: account << 48 | number.
pub(super) const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");
/// Rows set aside.
pub(super) const SET_ASIDE: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("set_aside");

/// Tables whose rows are exported as `exotel_store_records`.
pub const COUNTED: [&str; 5] = ["calls", "exophones", "hours", "runs", "set_aside"];

/// A stored structure with the checksum of its bytes and of a word for its place.
pub(super) fn seal<T: serde::Serialize>(place: &str, value: &T) -> Vec<u8> {
    let mut bytes = postcard::to_allocvec(value).expect("plain structures can be encoded");
    bytes.extend_from_slice(&checksum(place, &bytes));
    bytes
}

/// Reads what [`seal`] wrote.
///
/// # Errors
/// [`super::Error::Damaged`] if the checksum does not fit.
pub(super) fn unseal<T: serde::de::DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<T, super::Error> {
    let damaged = || super::Error::Damaged(format!("a record of {place} does not fit its checksum"));
    let split = bytes.len().checked_sub(4).ok_or_else(damaged)?;
    let (body, sum) = bytes.split_at(split);
    if checksum(place, body) != sum {
        return Err(damaged());
    }
    Ok(postcard::from_bytes(body)?)
}

fn checksum(place: &str, body: &[u8]) -> [u8; 4] {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(place.as_bytes());
    hasher.update(body);
    let sum = hasher.digest().to_le_bytes();
    [sum[0], sum[1], sum[2], sum[3]]
}

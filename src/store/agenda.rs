//! The agenda: what is to be done about calls, by account, task and time.
//!
//! It is an index. The record of a call lists the same entries, and an entry that its record does not list
//! is dropped when somebody comes across it.

use redb::ReadableTable;

use super::Error;
use super::bytes::{Malformed, Reader};
use super::codec::{push_sid, read_sid, stored_time};
use super::redo::Table;
use crate::model::{AccountId, Sid, Task, Timestamp, WallTime};

/// The table within a write transaction.
pub(super) type Agenda<'txn> = Table<'txn, &'static [u8], ()>;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) task: Task,
    /// Seconds since the epoch, UTC.
    pub(super) due: u32,
    pub(super) created: WallTime,
    pub(super) sid: Sid,
}

/// A due time as keys hold it.
pub(super) fn due_seconds(due: Timestamp) -> u32 {
    u32::try_from(due.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

fn head(account: AccountId, task: u8, due: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(29);
    key.extend_from_slice(&account.0.to_be_bytes());
    key.push(task);
    key.extend_from_slice(&due.to_be_bytes());
    key
}

/// The key of an entry.
pub(super) fn key(account: AccountId, entry: &Entry) -> Vec<u8> {
    let mut key = head(account, entry.task as u8, entry.due);
    key.extend_from_slice(&stored_time(entry.created).to_be_bytes());
    push_sid(&mut key, &entry.sid);
    key
}

/// Reads a key back.
///
/// # Errors
/// [`Malformed`] for bytes that [`key`] does not make.
pub(super) fn read(key: &[u8]) -> Result<Entry, Malformed> {
    let mut r = Reader(key);
    r.bytes(2)?;
    let task = Task::from_code(r.byte()?).ok_or(Malformed)?;
    let mut seconds = || Ok(u32::from_be_bytes(r.bytes(4)?.try_into().map_err(|_| Malformed)?));
    let (due, created) = (seconds()?, seconds()?);
    Ok(Entry { task, due, created: WallTime(i64::from(created)), sid: read_sid(r.0)? })
}

/// Creation time alone, for who goes through many keys.
pub(super) fn created(key: &[u8]) -> u32 {
    key.get(7..11).and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_be_bytes)
}

/// Bounds of a task's keys due at or before `now`.
pub(super) fn until(account: AccountId, task: Task, now: Timestamp) -> (Vec<u8>, Vec<u8>) {
    let first = head(account, task as u8, 0);
    let last = match due_seconds(now).checked_add(1) {
        Some(after) => head(account, task as u8, after),
        None => head(account, task as u8 + 1, 0),
    };
    (first, last)
}

/// Bounds of all of a task's keys.
pub(super) fn whole(account: AccountId, task: Task) -> (Vec<u8>, Vec<u8>) {
    until(account, task, Timestamp(i64::MAX))
}

/// A key of the agenda and what it says; nothing for one that cannot be read.
pub(super) type Selected = (Vec<u8>, Option<Entry>);

/// Entries of an account that fit, by key; what cannot be read fits. Looks at every entry of the account.
pub(super) fn select(
    table: &impl ReadableTable<&'static [u8], ()>,
    account: AccountId,
    fits: impl Fn(Option<&Entry>) -> bool,
) -> Result<Vec<Selected>, Error> {
    let (first, last) = (head(account, 0, 0), head(account, u8::MAX, u32::MAX));
    let mut found = Vec::new();
    for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())? {
        let (key, _) = row?;
        let entry = read(key.value()).ok();
        if fits(entry.as_ref()) {
            found.push((key.value().to_vec(), entry));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(task: Task, due: u32) -> Entry {
        Entry { task, due, created: WallTime(1_772_457_400), sid: Sid::parse("c1").expect("a sid") }
    }

    #[test]
    fn keys_are_read_back_and_sort_by_task_and_time() {
        let account = AccountId(7);
        for task in Task::ALL {
            for due in [0, 1, 1_772_457_400, u32::MAX] {
                let bytes = key(account, &entry(task, due));
                assert_eq!(read(&bytes), Ok(entry(task, due)));
                let (first, last) = whole(account, task);
                assert!(first <= bytes && bytes < last, "{task:?} {due}");
                let inside = |now: i64| {
                    let (first, last) = until(account, task, Timestamp(now));
                    first <= bytes && bytes < last
                };
                assert!(inside(i64::from(due)));
                assert!(due == 0 || !inside(i64::from(due) - 1));
            }
        }
        assert_eq!(read(b"short"), Err(Malformed));
    }
}

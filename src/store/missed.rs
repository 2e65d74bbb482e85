//! The list of calls whose callback was missed: an index by creation time. The record says the same, and is
//! believed.

use redb::{ReadableTable, WriteTransaction};

use super::codec::{call_key, decode_call, read_call_key, time_key};
use super::redo::Txn;
use super::tables::{CALLS, MISSED};
use super::{Error, Store};
use crate::model::{AccountId, Awaited, CallRecord, Sid, WallTime};

fn is_missed(record: &CallRecord) -> bool {
    record.book.awaited == Awaited::Missed
}

/// Keys of an account below a place; all of them without one.
pub(super) fn bounds(account: AccountId, below: Option<&(WallTime, Sid)>) -> (Vec<u8>, Vec<u8>) {
    let first = time_key(account, WallTime(0)).to_vec();
    match below {
        Some((at, sid)) => (first, call_key(account, *at, sid)),
        None => {
            let mut last = time_key(account, WallTime(i64::MAX)).to_vec();
            // Above the tag of every Sid.
            last.push(u8::MAX);
            (first, last)
        }
    }
}

/// Brings the list up to date with a record that changes.
pub(super) fn note(
    txn: &Txn<'_>,
    account: AccountId,
    before: Option<&CallRecord>,
    record: &CallRecord,
) -> Result<(), Error> {
    let place = |of: &CallRecord| is_missed(of).then(|| call_key(account, of.call.created, &of.call.sid));
    let (was, is) = (before.and_then(place), place(record));
    if was == is {
        return Ok(());
    }
    let mut table = txn.open_table(MISSED)?;
    if let Some(key) = was {
        table.remove(key.as_slice())?;
    }
    if let Some(key) = is {
        table.insert(key.as_slice(), ())?;
    }
    Ok(())
}

/// Takes a call off the list whose record was lost and is read anew.
pub(super) fn unlist(txn: &Txn<'_>, key: &[u8]) -> Result<(), Error> {
    txn.open_table(MISSED)?.remove(key)?;
    Ok(())
}

/// Removes the entries of calls created before `floor`.
pub(super) fn forget(txn: &WriteTransaction, account: AccountId, floor: WallTime) -> Result<(), Error> {
    let (first, last) = (time_key(account, WallTime(0)), time_key(account, floor));
    txn.open_table(MISSED)?.retain_in::<&[u8], _>(first.as_slice()..last.as_slice(), |_, ()| false)?;
    Ok(())
}

impl Store {
    /// Calls whose callback was missed, the last created first: from `below` on, the creation time and Sid
    /// that an earlier answer ended with. [`crate::model::Heard::end`] tells whether and when one came after
    /// all.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn missed(
        &self,
        account: AccountId,
        account_sid: String,
        below: Option<(WallTime, Sid)>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, Error> {
        self.view(move |at| {
            let (table, calls) = (at.txn.open_table(MISSED)?, at.txn.open_table(CALLS)?);
            let (first, last) = bounds(account, below.as_ref());
            let mut missed = Vec::new();
            for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())?.rev() {
                if missed.len() == limit {
                    break;
                }
                let (key, ()) = {
                    let (key, value) = row?;
                    (key.value().to_vec(), value.value())
                };
                let Some(value) = calls.get(key.as_slice())? else { continue };
                // One that is damaged is read anew and counts no more.
                let record = decode_call(&key, value.value(), &account_sid).ok();
                missed.extend(record.filter(is_missed));
            }
            Ok(missed)
        })
        .await
    }
}

/// Entries of the list whose record says otherwise or cannot be read, for `store check`.
pub(super) fn strays(
    table: &impl ReadableTable<&'static [u8], ()>,
    calls: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<u64, Error> {
    let mut strays = 0;
    for row in table.iter()? {
        let key = row?.0.value().to_vec();
        let sound = read_call_key(&key).is_ok()
            && calls
                .get(key.as_slice())?
                .is_some_and(|value| decode_call(&key, value.value(), "").is_ok_and(|r| is_missed(&r)));
        strays += u64::from(!sound);
    }
    Ok(strays)
}

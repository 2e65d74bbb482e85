//! Reads beside the writer: each sees one committed state and blocks nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::codec::{decode_call, read_call_key, time_key};
use super::engine::{agenda_range, hour_key, read_agenda_key};
use super::tables::{AGENDA, CALLS, EXOPHONES, HOURS, RUNS, SET_ASIDE, SYNC, unseal};
use super::{Error, Store, writer};
use crate::metrics::StoreOp;
use crate::model::{
    AccountId, AccountRow, CallRecord, Direction, HourTotals, KnownExoPhone, SetAside, Sid, SyncRun,
    SyncState, Task, Timestamp, WallTime,
};

/// What of an account waits, for gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Ended calls that are not counted yet.
    pub unsettled: u64,
    /// End of the oldest of them on Exotel's wall clock; its creation where the end is not known.
    pub oldest_unsettled: Option<WallTime>,
    /// Completed calls of the last days without a price.
    pub unpriced: u64,
    /// Rows set aside.
    pub set_aside: u64,
}

impl Store {
    async fn view<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let db: Arc<Database> = self
            .shared
            .db
            .load_full()
            .ok_or(Error::Unavailable { action: "read", reason: "it is being opened again".into() })?;
        let metrics = self.shared.metrics.clone();
        let done = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let result = db.begin_read().map_err(Error::from).and_then(|txn| read(&txn));
            metrics.observe(StoreOp::Read, began.elapsed());
            if let Err(error) = &result {
                metrics.failed(StoreOp::Read);
                tracing::error!(reason = %error, "the store could not be read");
            }
            result
        })
        .await;
        done.unwrap_or_else(|_| {
            self.shared.metrics.failed(StoreOp::Read);
            Err(Error::Damaged("its pages contradict each other".into()))
        })
    }

    /// The account with this sid, made at its first start (`now`).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn account(&self, sid: &str, now: Timestamp) -> Result<(AccountId, AccountRow), Error> {
        let (found, answer) = (Arc::new(std::sync::Mutex::new(None)), sid.to_owned());
        let slot = Arc::clone(&found);
        writer::with_engine(&self.queue, move |engine| {
            let row = engine.account(&answer, now)?;
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(row);
            Ok(())
        })
        .await?;
        let row = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        row.map(|row| (AccountId(row.id), row)).ok_or(Error::Closed)
    }

    /// The numbers of an account, in the order in which they became known.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn exophones(&self, account: AccountId) -> Result<Vec<KnownExoPhone>, Error> {
        self.view(move |txn| {
            let first = u32::from(account.0) << 16;
            let table = txn.open_table(EXOPHONES)?;
            table.range(first..=first | 0xffff)?.map(|row| unseal("exophones", row?.1.value())).collect()
        })
        .await
    }

    /// The state of reading an account, none before its first sync.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sync_state(&self, account: AccountId) -> Result<Option<SyncState>, Error> {
        self.view(move |txn| {
            let row = txn.open_table(SYNC)?.get(account.0)?;
            row.map(|value| unseal("sync", value.value())).transpose()
        })
        .await
    }

    /// The newest runs of the sync, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn runs(&self, account: AccountId, limit: usize) -> Result<Vec<SyncRun>, Error> {
        self.view(move |txn| {
            let first = u64::from(account.0) << 48;
            let table = txn.open_table(RUNS)?;
            let range = table.range(first..=first | 0xffff_ffff_ffff)?;
            range.rev().take(limit).map(|row| unseal("runs", row?.1.value())).collect()
        })
        .await
    }

    /// Rows created in `[from, to)` that the store holds, those set aside and legs included; counts no
    /// further than `cap`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn count_rows(
        &self,
        account: AccountId,
        from: WallTime,
        to: WallTime,
        cap: u64,
    ) -> Result<u64, Error> {
        self.view(move |txn| {
            let calls = txn.open_table(CALLS)?;
            let (first, last) = (time_key(account, from), time_key(account, to));
            let mut rows = 0;
            for row in calls.range::<&[u8]>(first.as_slice()..last.as_slice())? {
                row?;
                rows += 1;
                if rows >= cap {
                    return Ok(rows);
                }
            }
            for row in all_set_aside(txn, account)? {
                if from.0 <= row.after && row.after < to.0 {
                    rows += 1;
                }
            }
            Ok(rows)
        })
        .await
    }

    /// Sids of the calls created in `[from, to)`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sids(
        &self,
        account: AccountId,
        from: WallTime,
        to: WallTime,
    ) -> Result<HashSet<Sid>, Error> {
        self.view(move |txn| {
            let calls = txn.open_table(CALLS)?;
            let (first, last) = (time_key(account, from), time_key(account, to));
            let range = calls.range::<&[u8]>(first.as_slice()..last.as_slice())?;
            range.map(|row| Ok(read_call_key(row?.0.value())?.2)).collect()
        })
        .await
    }

    /// Calls with a task that is due, newest due first: their Sid, where they are filed, and since when.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn due(
        &self,
        account: AccountId,
        task: Task,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Sid, WallTime)>, Error> {
        self.view(move |txn| {
            let agenda = txn.open_table(AGENDA)?;
            let (first, last) = agenda_range(account, task, now);
            let range = agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?;
            range
                .rev()
                .take(limit)
                .map(|row| {
                    let (created, sid) = read_agenda_key(row?.0.value())?;
                    Ok((sid, created))
                })
                .collect()
        })
        .await
    }

    /// When the first task of this kind is due.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next_due(&self, account: AccountId, task: Task) -> Result<Option<Timestamp>, Error> {
        self.view(move |txn| {
            let agenda = txn.open_table(AGENDA)?;
            let (first, last) = agenda_range(account, task, Timestamp(i64::from(u32::MAX) - 1));
            let mut range = agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?;
            let Some(entry) = range.next() else { return Ok(None) };
            let entry = entry?;
            let due = entry.0.value().get(3..7).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
            Ok(due.map(|due| Timestamp(i64::from(due))))
        })
        .await
    }

    /// What of an account waits.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn summary(&self, account: AccountId, sid: String) -> Result<Summary, Error> {
        self.view(move |txn| {
            let agenda = txn.open_table(AGENDA)?;
            let calls = txn.open_table(CALLS)?;
            let count = |task| -> Result<u64, Error> {
                let (first, last) = agenda_range(account, task, Timestamp(i64::from(u32::MAX) - 1));
                let mut rows = 0;
                for row in agenda.range::<&[u8]>(first.as_slice()..last.as_slice())? {
                    row?;
                    rows += 1;
                }
                Ok(rows)
            };
            let (first, last) = agenda_range(account, Task::Settle, Timestamp(i64::from(u32::MAX) - 1));
            let oldest = match agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?.next() {
                Some(entry) => {
                    let (created, call) = read_agenda_key(entry?.0.value())?;
                    let key = super::codec::call_key(account, created, &call);
                    let record = calls.get(key.as_slice())?;
                    let end = record.and_then(|v| decode_call(&key, v.value(), &sid).ok()?.call.end);
                    Some(end.unwrap_or(created))
                }
                None => None,
            };
            Ok(Summary {
                unsettled: count(Task::Settle)?,
                oldest_unsettled: oldest,
                unpriced: count(Task::Price)?,
                set_aside: all_set_aside(txn, account)?.len() as u64,
            })
        })
        .await
    }

    /// Roll-ups of the hours `[from, to)` of Exotel's wall clock, by hour and direction.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn hours(
        &self,
        account: AccountId,
        from: u32,
        to: u32,
    ) -> Result<Vec<(u32, Direction, HourTotals)>, Error> {
        self.view(move |txn| {
            let table = txn.open_table(HOURS)?;
            let mut all = Vec::new();
            for row in table.range(hour_key(account, from, 0)..hour_key(account, to, 0))? {
                let (key, value) = row?;
                let key = key.value();
                let direction = Direction::from_code(key as u8).ok_or(super::bytes::Malformed)?;
                all.push(((key >> 8) as u32, direction, unseal("hours", value.value())?));
            }
            Ok(all)
        })
        .await
    }

    /// Rows set aside.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_aside(&self, account: AccountId) -> Result<Vec<SetAside>, Error> {
        self.view(move |txn| all_set_aside(txn, account)).await
    }

    /// One call by where it is filed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call_at(
        &self,
        account: AccountId,
        account_sid: String,
        sid: Sid,
        created: WallTime,
    ) -> Result<Option<CallRecord>, Error> {
        self.view(move |txn| {
            let key = super::codec::call_key(account, created, &sid);
            let value = txn.open_table(CALLS)?.get(key.as_slice())?;
            Ok(value.map(|v| decode_call(&key, v.value(), &account_sid)).transpose()?)
        })
        .await
    }

    /// Rows of the tables named in [`super::COUNTED`], in that order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn table_rows(&self) -> Result<[u64; 5], Error> {
        self.view(|txn| {
            Ok([
                txn.open_table(CALLS)?.len()?,
                txn.open_table(EXOPHONES)?.len()?,
                txn.open_table(HOURS)?.len()?,
                txn.open_table(RUNS)?.len()?,
                txn.open_table(SET_ASIDE)?.len()?,
            ])
        })
        .await
    }

    /// Checks the checksums of up to `limit` calls from a place on; gives the place to go on from, none at
    /// the end, and how many were damaged. For a slow check in the background.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn scrub(&self, from: Vec<u8>, limit: usize) -> Result<(Option<Vec<u8>>, u64), Error> {
        self.view(move |txn| {
            let calls = txn.open_table(CALLS)?;
            let mut damaged = 0;
            let mut last = None;
            let range = calls
                .range::<&[u8]>((std::ops::Bound::Excluded(from.as_slice()), std::ops::Bound::Unbounded))?;
            let mut rows = 0;
            for row in range.take(limit) {
                let (key, value) = row?;
                rows += 1;
                // Texts that name the account decode to something else without its sid; only the checksum
                // matters here.
                if decode_call(key.value(), value.value(), "").is_err() {
                    damaged += 1;
                }
                last = Some(key.value().to_vec());
            }
            Ok((if rows == limit { last } else { None }, damaged))
        })
        .await
    }
}

fn all_set_aside(txn: &ReadTransaction, account: AccountId) -> Result<Vec<SetAside>, Error> {
    let table = txn.open_table(SET_ASIDE)?;
    let range = table.range((account.0, 0)..=(account.0, u64::MAX))?;
    range.map(|row| unseal("set_aside", row?.1.value())).collect()
}

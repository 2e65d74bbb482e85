//! Reads beside the writer: each sees one committed state and blocks nobody.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::agenda;
use super::codec::{call_key, decode_call, is_listed, read_call_key, time_key};
use super::error::intact;
use super::open::CONTRADICTION;
use super::seal::unseal;
use super::tables::{
    AGENDA, CALLS, COUNTED, EXOPHONES, HEALTH_CHECKS, HEALTH_HOURS, HOURS, INBOX, KEPT, MESSAGES, MISSED,
    MOST_RUNS, RUNS, SET_ASIDE, SYNC, exophone_key, hour_key, run_key, set_aside_bytes,
};
use super::{Error, Store, writer};
use crate::metrics::{StoreMetrics, StoreOp};
use crate::model::{
    AccountId, AccountRow, CallRecord, Direction, HourTotals, KnownExoPhone, SetAside, Sid, SyncRun,
    SyncState, Task, Timestamp, WallTime,
};

/// One committed state of the store.
pub(super) struct Reading {
    pub(super) txn: ReadTransaction,
    pub(super) metrics: StoreMetrics,
}

impl Store {
    /// Runs a read on one committed state, away from the async threads: at least the one of everything that was
    /// answered before.
    pub(super) async fn view<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reading) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.checkpoint().await;
        let db = self.shared.db.load_full();
        let db: Arc<Database> =
            db.ok_or(Error::Unavailable { action: "read", reason: "it is being opened again".into() })?;
        let metrics = self.shared.metrics.clone();
        let done = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let result = db
                .begin_read()
                .map_err(Error::from)
                .and_then(|txn| read(&Reading { txn, metrics: metrics.clone() }));
            metrics.observe(StoreOp::Read, began.elapsed());
            result.map_err(Error::while_reading)
        })
        .await;
        let result = done.unwrap_or_else(|_| Err(Error::Damaged(CONTRADICTION.into())));
        if let Err(error) = &result {
            self.shared.metrics.failed(StoreOp::Read);
            tracing::error!(reason = %error, "the store could not be read");
        }
        result
    }

    /// The account with this sid, made at its first start (`now`).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn account(&self, sid: &str, now: Timestamp) -> Result<(AccountId, AccountRow), Error> {
        let (found, sid) = (Arc::new(Mutex::new(None)), sid.to_owned());
        let slot = Arc::clone(&found);
        writer::with_engine(&self.queue, move |engine| {
            let row = engine.account(&sid, now)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(row);
            Ok(())
        })
        .await?;
        let row = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        row.map(|row| (AccountId(row.id), row)).ok_or(Error::Closed)
    }

    /// The numbers of an account, in the order in which they became known.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn exophones(&self, account: AccountId) -> Result<Vec<KnownExoPhone>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(EXOPHONES)?;
            let range = table.range(exophone_key(account, 0)..=exophone_key(account, u16::MAX))?;
            range
                .map(|row| {
                    let (key, value) = row?;
                    unseal("exophones", &key.value().to_be_bytes(), value.value())
                })
                .collect()
        })
        .await
    }

    /// The state of reading an account, none before its first sync. Should it be damaged, none too: then
    /// everything since the first start is read again, which changes nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sync_state(&self, account: AccountId) -> Result<Option<SyncState>, Error> {
        self.view(move |at| {
            let Some(value) = at.txn.open_table(SYNC)?.get(account.0)? else { return Ok(None) };
            intact(unseal("sync", &account.0.to_be_bytes(), value.value()), &at.metrics)
        })
        .await
    }

    /// The newest runs of the sync, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn runs(&self, account: AccountId, limit: usize) -> Result<Vec<SyncRun>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(RUNS)?;
            let mut runs = Vec::new();
            for row in table.range(run_key(account, 0)..=run_key(account, MOST_RUNS))?.rev() {
                if runs.len() == limit {
                    break;
                }
                let (key, value) = row?;
                runs.extend(intact(unseal("runs", &key.value().to_be_bytes(), value.value()), &at.metrics)?);
            }
            Ok(runs)
        })
        .await
    }

    /// Rows created in `[from, to)` that the store holds, those set aside and legs included, as v1 of
    /// Exotel's API lists them: without the calls that a newer version alone has told of. Counts no further
    /// than `cap`.
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
        self.view(move |at| {
            let calls = at.txn.open_table(CALLS)?;
            let (first, last) = (time_key(account, from), time_key(account, to));
            let mut rows = 0;
            for row in calls.range::<&[u8]>(first.as_slice()..last.as_slice())? {
                rows += u64::from(is_listed(row?.1.value()));
                if rows >= cap {
                    return Ok(rows);
                }
            }
            for row in at.set_aside(account)? {
                if from.0 <= row.after && row.after < to.0 {
                    // A call that is stored is a row of the list once, whatever else is kept of it.
                    let sid = row.sid.as_deref().and_then(Sid::parse);
                    let key = sid.map(|sid| call_key(account, WallTime(row.after), &sid));
                    let call = key.map(|key| calls.get(key.as_slice())).transpose()?.flatten();
                    rows += u64::from(!call.is_some_and(|call| is_listed(call.value())));
                }
            }
            Ok(rows.min(cap))
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
        self.view(move |at| {
            let calls = at.txn.open_table(CALLS)?;
            let (first, last) = (time_key(account, from), time_key(account, to));
            let mut sids = HashSet::new();
            for row in calls.range::<&[u8]>(first.as_slice()..last.as_slice())? {
                // A key that is damaged names no call.
                sids.extend(read_call_key(row?.0.value()).ok().map(|(_, _, sid)| sid));
            }
            Ok(sids)
        })
        .await
    }

    /// Calls with a task that is due, newest due first: their Sid and where they are filed.
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
        self.view(move |at| {
            let agenda = at.txn.open_table(AGENDA)?;
            let (first, last) = agenda::until(account, task, now);
            let mut due = Vec::new();
            for row in agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?.rev() {
                if due.len() == limit {
                    break;
                }
                due.extend(agenda::read(row?.0.value()).ok().map(|entry| (entry.sid, entry.created)));
            }
            Ok(due)
        })
        .await
    }

    /// When the first task of this kind is due.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next_due(&self, account: AccountId, task: Task) -> Result<Option<Timestamp>, Error> {
        self.view(move |at| {
            let agenda = at.txn.open_table(AGENDA)?;
            let (first, last) = agenda::whole(account, task);
            let Some(row) = agenda.range::<&[u8]>(first.as_slice()..last.as_slice())?.next() else {
                return Ok(None);
            };
            Ok(agenda::read(row?.0.value()).ok().map(|entry| Timestamp(i64::from(entry.due))))
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
        self.view(move |at| {
            let table = at.txn.open_table(HOURS)?;
            let first = Direction::ALL[0];
            let mut all = Vec::new();
            for row in table.range(hour_key(account, (from, first))..hour_key(account, (to, first)))? {
                let (key, value) = row?;
                let key = key.value();
                let direction = Direction::from_code(key as u8).ok_or(super::bytes::Malformed)?;
                let totals = unseal("hours", &key.to_be_bytes(), value.value());
                let hour = (key >> 8) as u32;
                all.extend(intact(totals, &at.metrics)?.map(|totals| (hour, direction, totals)));
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
        self.view(move |at| at.set_aside(account)).await
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
        self.view(move |at| {
            let key = call_key(account, created, &sid);
            let value = at.txn.open_table(CALLS)?.get(key.as_slice())?;
            Ok(value.map(|v| decode_call(&key, v.value(), &account_sid)).transpose()?)
        })
        .await
    }

    /// Rows of the tables named in [`super::COUNTED`], in that order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn table_rows(&self) -> Result<[u64; COUNTED.len()], Error> {
        self.view(|at| {
            Ok([
                at.txn.open_table(CALLS)?.len()?,
                at.txn.open_table(EXOPHONES)?.len()?,
                at.txn.open_table(HOURS)?.len()?,
                at.txn.open_table(KEPT)?.len()?,
                at.txn.open_table(RUNS)?.len()?,
                at.txn.open_table(SET_ASIDE)?.len()?,
                at.txn.open_table(MESSAGES)?.len()?,
                at.txn.open_table(HEALTH_CHECKS)?.len()?,
                at.txn.open_table(HEALTH_HOURS)?.len()?,
                at.txn.open_table(INBOX)?.len()?,
                at.txn.open_table(MISSED)?.len()?,
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
        self.view(move |at| {
            let calls = at.txn.open_table(CALLS)?;
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

impl Reading {
    /// Rows set aside. One that is damaged is left out: the audit misses it and reads it again.
    pub(super) fn set_aside(&self, account: AccountId) -> Result<Vec<SetAside>, Error> {
        let table = self.txn.open_table(SET_ASIDE)?;
        let mut rows = Vec::new();
        for row in table.range((account.0, 0)..=(account.0, u64::MAX))? {
            let (key, value) = row?;
            let row = unseal("set_aside", &set_aside_bytes(key.value()), value.value());
            rows.extend(intact(row, &self.metrics)?);
        }
        Ok(rows)
    }
}

//! Reads for people: calls by time with filters, one call by its Sid.

use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableDatabase;

use super::codec::{call_key, decode_call, read_call_key, sid_hash, skim_call, time_key};
use super::error::intact;
use super::tables::{CALLS, SID_INDEX};
use super::{Error, Store, writer};
use crate::model::{AccountId, CallRecord, Sid, WallTime};

/// Where a list of calls goes on: below the creation time and Sid of the last one.
pub type Place = (WallTime, Sid);

/// A stretch of an account's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Account.
    pub account: AccountId,
    /// Its sid at Exotel.
    pub account_sid: String,
    /// First second of creation.
    pub from: WallTime,
    /// First second that is no longer in it.
    pub to: WallTime,
    /// Only calls before this place.
    pub below: Option<Place>,
    /// Calls that are given at most.
    pub limit: usize,
    /// Calls that are looked at at most.
    pub most_read: usize,
}

impl Store {
    /// Calls of a stretch that are wanted, newest first, and the place to go on from; none at its end. One
    /// that is damaged is left out. `wanted` is asked with everything but the numbers of the parties, names,
    /// texts and URLs: most calls are looked at to be left out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn calls(
        &self,
        stretch: Stretch,
        wanted: impl Fn(&CallRecord) -> bool + Send + 'static,
    ) -> Result<(Vec<CallRecord>, Option<Place>), Error> {
        self.view(move |at| {
            let first = time_key(stretch.account, stretch.from).to_vec();
            let end = time_key(stretch.account, stretch.to).to_vec();
            let last = match &stretch.below {
                Some((created, sid)) => call_key(stretch.account, *created, sid).min(end),
                None => end,
            };
            let mut found = Vec::new();
            if first >= last {
                return Ok((found, None));
            }
            let calls = at.txn.open_table(CALLS)?;
            let mut next = None;
            let range = calls.range::<&[u8]>(first.as_slice()..last.as_slice())?;
            for (read, row) in range.rev().enumerate() {
                if found.len() == stretch.limit || read == stretch.most_read {
                    return Ok((found, next));
                }
                let (key, value) = row?;
                let (key, value) = (key.value(), value.value());
                let Ok(skimmed) = skim_call(key, value) else {
                    next = read_call_key(key).map(|(_, created, sid)| (created, sid)).ok().or(next);
                    continue;
                };
                if wanted(&skimmed) {
                    found.extend(decode_call(key, value, &stretch.account_sid).ok());
                }
                next = Some((skimmed.call.created, skimmed.call.sid));
            }
            Ok((found, None))
        })
        .await
    }

    /// One call by its Sid; none that is not there or damaged.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call(
        &self,
        account: AccountId,
        account_sid: String,
        sid: Sid,
    ) -> Result<Option<CallRecord>, Error> {
        // Where a new call is filed stands in the writer's memory before it stands in a table.
        let place = Arc::new(Mutex::new(None));
        let (slot, hash) = (Arc::clone(&place), sid_hash(account, &sid));
        writer::with_engine(&self.queue, move |engine| {
            let txn = engine.db.begin_read()?;
            let found = engine.recent.find(hash, None, &txn.open_table(SID_INDEX)?)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = found;
            Ok(())
        })
        .await?;
        let place = *place.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(created) = place else { return Ok(None) };
        self.view(move |at| {
            let key = call_key(account, created, &sid);
            let value = at.txn.open_table(CALLS)?.get(key.as_slice())?;
            let record =
                value.map(|value| decode_call(&key, value.value(), &account_sid).map_err(Error::from));
            Ok(match record {
                Some(record) => intact(record, &at.metrics)?,
                None => None,
            })
        })
        .await
    }
}

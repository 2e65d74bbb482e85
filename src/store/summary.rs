//! What waits, for gauges.

use std::time::{Duration, Instant};

use redb::ReadableTable;

use super::agenda::{self, Entry};
use super::codec::{call_key, decode_call};
use super::tables::{AGENDA, CALLS, SET_ASIDE};
use super::{Error, Store};
use crate::model::{AccountId, Task, WallTime};

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

/// A summary that was made, and what it cost.
#[derive(Debug)]
pub(super) struct Known {
    summary: Summary,
    at: Instant,
    took: Duration,
}

impl Known {
    /// Below this, counting is no matter.
    const CHEAP: Duration = Duration::from_millis(10);

    fn is_fresh(&self) -> bool {
        self.took > Self::CHEAP && self.at.elapsed() < self.took * 20
    }
}

impl Store {
    /// What of an account waits. Where much does, counting takes its time: then the answer may be as old as
    /// keeps it within a twentieth of all time.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn summary(&self, account: AccountId, sid: String) -> Result<Summary, Error> {
        if let Some(known) = self.shared.summaries().get(&account).filter(|known| known.is_fresh()) {
            return Ok(known.summary.clone());
        }
        let began = Instant::now();
        let summary = self.count_what_waits(account, sid).await?;
        let known = Known { summary: summary.clone(), at: Instant::now(), took: began.elapsed() };
        self.shared.summaries().insert(account, known);
        Ok(summary)
    }

    async fn count_what_waits(&self, account: AccountId, sid: String) -> Result<Summary, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(AGENDA)?;
            let (unsettled, oldest) = count(&table, account, Task::Settle)?;
            let (unpriced, _) = count(&table, account, Task::Price)?;
            let oldest_unsettled = match oldest {
                Some(entry) => {
                    let key = call_key(account, entry.created, &entry.sid);
                    let record = at.txn.open_table(CALLS)?.get(key.as_slice())?;
                    let end = record.and_then(|v| decode_call(&key, v.value(), &sid).ok()?.call.end);
                    Some(end.unwrap_or(entry.created))
                }
                None => None,
            };
            let rows = at.txn.open_table(SET_ASIDE)?;
            let mut set_aside = 0;
            for row in rows.range((account.0, 0)..=(account.0, u64::MAX))? {
                row?;
                set_aside += 1;
            }
            Ok(Summary { unsettled, oldest_unsettled, unpriced, set_aside })
        })
        .await
    }
}

/// Entries of a task, and the one whose call was created first.
fn count(
    table: &impl ReadableTable<&'static [u8], ()>,
    account: AccountId,
    task: Task,
) -> Result<(u64, Option<Entry>), Error> {
    let (first, last) = agenda::whole(account, task);
    let (mut count, mut oldest) = (0, None::<(u32, Vec<u8>)>);
    for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())? {
        let (key, _) = row?;
        count += 1;
        let created = agenda::created(key.value());
        if oldest.as_ref().is_none_or(|(oldest, _)| created < *oldest) {
            oldest = Some((created, key.value().to_vec()));
        }
    }
    Ok((count, oldest.and_then(|(_, key)| agenda::read(&key).ok())))
}

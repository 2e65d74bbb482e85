//! Messages by Sid, and by the time at which something is due about them.
//!
//! A Sid is random, so each new message dirties a page of its own: about 6 KB written. Messages come by
//! callback alone, one by one, and far fewer than calls are read.

use redb::{ReadableTable, Table};

use super::error::intact;
use super::prune::PIECE;
use super::redo::Txn;
use super::seal::{seal, unseal};
use super::tables::{MESSAGES, MESSAGES_DUE};
use super::{Error, Store, writer};
use crate::metrics::StoreMetrics;
use crate::model::{AccountId, Message, Timestamp};

/// What stands under a time in `messages_due`.
#[derive(Clone, Copy)]
enum Due {
    /// The message is asked for.
    Ask = 1,
    /// It was first heard of: retention goes by this.
    Seen = 2,
}

/// Account, Sid.
pub(super) fn key(account: AccountId, sid: &str) -> Vec<u8> {
    [&account.0.to_be_bytes()[..], sid.as_bytes()].concat()
}

/// Account, what for, seconds since 1970, Sid.
fn due_key(account: AccountId, due: Due, at: Timestamp, sid: &str) -> Vec<u8> {
    let at = u64::try_from(at.0).unwrap_or(0);
    [&account.0.to_be_bytes()[..], &[due as u8], &at.to_be_bytes(), sid.as_bytes()].concat()
}

/// Bytes before the Sid in a key of `messages_due`.
const BEFORE_SID: usize = 2 + 1 + 8;

/// Reads one message; one that is damaged is heard of anew.
pub(super) fn read(
    txn: &Txn<'_>,
    metrics: &StoreMetrics,
    account: AccountId,
    sid: &str,
) -> Result<Option<Message>, Error> {
    let table = txn.open_table(MESSAGES)?;
    let key = key(account, sid);
    let Some(value) = table.get(key.as_slice())? else { return Ok(None) };
    intact(unseal("messages", &key, value.value()), metrics)
}

/// Writes messages as they are now; each with what it was.
pub(super) fn write(
    txn: &Txn<'_>,
    account: AccountId,
    messages: &[(String, Option<Message>, Message)],
) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(MESSAGES)?;
    let mut due = txn.open_table(MESSAGES_DUE)?;
    for (sid, before, now) in messages {
        let key = key(account, sid);
        table.insert(key.as_slice(), seal("messages", &key, now).as_slice())?;
        let was = before.as_ref().and_then(|m| m.due);
        if was != now.due {
            if let Some(at) = was {
                due.remove(due_key(account, Due::Ask, at, sid).as_slice())?;
            }
            if let Some(at) = now.due {
                due.insert(due_key(account, Due::Ask, at, sid).as_slice(), ())?;
            }
        }
        if before.is_none() {
            due.insert(due_key(account, Due::Seen, now.first_seen, sid).as_slice(), ())?;
        }
    }
    Ok(())
}

impl Store {
    /// Sids of messages that are to be asked for at or before `now`, soonest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn messages_due(
        &self,
        account: AccountId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(MESSAGES_DUE)?;
            let (first, last) =
                (due_key(account, Due::Ask, Timestamp(0), ""), due_key(account, Due::Ask, now.plus(1), ""));
            let mut sids = Vec::new();
            for row in table.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(limit) {
                let key = row?.0;
                let sid = key.value().get(BEFORE_SID..).unwrap_or_default();
                sids.extend(std::str::from_utf8(sid).ok().map(str::to_owned));
            }
            Ok(sids)
        })
        .await
    }

    /// One message.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Damaged`] if it does not fit its checksum.
    pub async fn message(&self, account: AccountId, sid: String) -> Result<Option<Message>, Error> {
        self.view(move |at| {
            let key = key(account, &sid);
            let value = at.txn.open_table(MESSAGES)?.get(key.as_slice())?;
            value.map(|value| unseal("messages", &key, value.value())).transpose()
        })
        .await
    }

    /// Removes the messages of an account that were first heard of before a time.
    ///
    /// # Errors
    /// [`Error`]; what was removed until then stays removed.
    pub async fn prune_messages(&self, account: AccountId, before: Timestamp) -> Result<(), Error> {
        loop {
            let (count, counted) = std::sync::mpsc::channel();
            writer::with_engine(&self.queue, move |engine| {
                let txn = engine.begin_act()?;
                let removed = {
                    let mut due = txn.open_table(MESSAGES_DUE)?;
                    let mut table = txn.open_table(MESSAGES)?;
                    remove(&mut due, &mut table, account, before)?
                };
                if removed > 0 {
                    engine.commit_act(txn)?
                } else {
                    txn.abort()?
                }
                // The receiver waits below, so this cannot fail.
                count.send(removed).map_err(|_| Error::Closed)
            })
            .await?;
            let Ok(removed) = counted.recv() else { return Err(Error::Closed) };
            self.shared.metrics.pruned("messages", removed as u64);
            if removed < PIECE {
                return Ok(());
            }
        }
    }
}

fn remove(
    due: &mut Table<'_, &'static [u8], ()>,
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    account: AccountId,
    before: Timestamp,
) -> Result<usize, Error> {
    let (first, last) =
        (due_key(account, Due::Seen, Timestamp(0), ""), due_key(account, Due::Seen, before, ""));
    let mut keys = Vec::new();
    for row in due.range::<&[u8]>(first.as_slice()..last.as_slice())?.take(PIECE) {
        keys.push(row?.0.value().to_vec());
    }
    for seen in &keys {
        due.remove(seen.as_slice())?;
        let Some(Ok(sid)) = seen.get(BEFORE_SID..).map(std::str::from_utf8) else { continue };
        let key = key(account, sid);
        let asked = match table.remove(key.as_slice())? {
            // What is damaged has no time that could be believed; its entry is skipped when it is due.
            Some(value) => unseal::<Message>("messages", &key, value.value()).ok().and_then(|m| m.due),
            None => None,
        };
        if let Some(at) = asked {
            due.remove(due_key(account, Due::Ask, at, sid).as_slice())?;
        }
    }
    Ok(keys.len())
}

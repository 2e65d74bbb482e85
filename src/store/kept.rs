//! Callbacks that are nothing we know, the newest of each account, and when each kind last came.

use redb::ReadableTable;
use xxhash_rust::xxh3::Xxh3;

use super::engine::Engine;
use super::error::intact;
use super::redo::Txn;
use super::seal::{seal, seal_number, unseal, unseal_number};
use super::tables::{KEPT, KEPT_BY_HASH, RECEIVED, kept_bytes, received_key};
use super::{Error, Store, WriteSet};
use crate::metrics::StoreMetrics;
use crate::model::callback::{Kept, Kind};
use crate::model::{AccountId, Timestamp};

/// Callbacks kept of an account; the oldest makes room.
const MOST: u64 = if cfg!(test) { 5 } else { 1000 };

/// Writes what an operation says of callbacks as such.
pub(super) fn write(
    txn: &Txn<'_>,
    engine: &Engine,
    account: AccountId,
    writes: &WriteSet,
) -> Result<(), Error> {
    let metrics = &engine.metrics;
    for kept in &writes.kept {
        let kept = Kept { raw: engine.erased.text(&kept.raw), ..kept.clone() };
        keep(txn, metrics, account, &kept)?;
    }
    if !writes.received.is_empty() {
        let mut table = txn.open_table(RECEIVED)?;
        for (kind, at) in &writes.received {
            let key = received_key(account, *kind);
            let seconds = u64::try_from(at.0).unwrap_or(0);
            let known = match table.get(key)? {
                Some(value) => {
                    let known = unseal_number("received", &key.to_be_bytes(), &value.value());
                    intact(known, metrics)?.unwrap_or(0)
                }
                None => 0,
            };
            let newest = seconds.max(known);
            table.insert(key, seal_number("received", &key.to_be_bytes(), newest))?;
        }
    }
    Ok(())
}

/// Keeps a callback under the next number, unless the same is kept already.
fn keep(txn: &Txn<'_>, metrics: &StoreMetrics, account: AccountId, kept: &Kept) -> Result<(), Error> {
    let (mut table, mut hashes) = (txn.open_table(KEPT)?, txn.open_table(KEPT_BY_HASH)?);
    let hash = (account.0, hash(kept));
    if let Some(number) = hashes.get(hash)?.map(|number| number.value())
        && table.get((account.0, number))?.is_some()
    {
        return Ok(());
    }
    let last = table.range((account.0, 0)..=(account.0, u64::MAX))?.next_back().transpose()?;
    let id = last.map_or(1, |(key, _)| key.value().1.saturating_add(1));
    let key = (account.0, id);
    let row = Kept { id, ..kept.clone() };
    table.insert(key, seal("kept", &kept_bytes(key), &row).as_slice())?;
    hashes.insert(hash, id)?;
    let floor = id.saturating_sub(MOST);
    loop {
        let oldest = match table.range((account.0, 0)..=(account.0, floor))?.next().transpose()? {
            Some((key, value)) => {
                let key = key.value();
                (key, intact(unseal::<Kept>("kept", &kept_bytes(key), value.value()), metrics)?)
            }
            None => return Ok(()),
        };
        table.remove(oldest.0)?;
        if let Some(gone) = oldest.1 {
            hashes.remove((account.0, self::hash(&gone)))?;
        }
    }
}

/// Under which a callback is found again.
pub(super) fn hash(kept: &Kept) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&[kept.kind.code()]);
    hasher.update(kept.raw.as_bytes());
    hasher.digest()
}

impl Store {
    /// Callbacks of an account that are nothing we know, newest first; at most 1,000 are kept. One that is
    /// damaged is left out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn kept(&self, account: AccountId, limit: usize) -> Result<Vec<Kept>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(KEPT)?;
            let mut rows = Vec::new();
            for row in table.range((account.0, 0)..=(account.0, u64::MAX))?.rev().take(limit) {
                let (key, value) = row?;
                let row = unseal("kept", &kept_bytes(key.value()), value.value());
                rows.extend(intact(row, &at.metrics)?);
            }
            Ok(rows)
        })
        .await
    }

    /// When a new callback of each kind last came, to about a minute; only kinds that ever came.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn received(&self, account: AccountId) -> Result<Vec<(Kind, Timestamp)>, Error> {
        self.view(move |at| {
            let table = at.txn.open_table(RECEIVED)?;
            let mut seen = Vec::new();
            for kind in Kind::ALL {
                let key = received_key(account, kind);
                let Some(value) = table.get(key)? else { continue };
                let seconds = unseal_number("received", &key.to_be_bytes(), &value.value());
                let seconds = intact(seconds, &at.metrics)?.and_then(|s| i64::try_from(s).ok());
                seen.extend(seconds.map(|seconds| (kind, Timestamp(seconds))));
            }
            Ok(seen)
        })
        .await
    }
}

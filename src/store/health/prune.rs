//! Removing checks that are too old, a bounded piece at a time.

use redb::ReadableTable;

use super::HOUR;
use crate::model::health::CheckSource;
use crate::model::{AccountId, Timestamp};
use crate::store::engine::Engine;
use crate::store::tables::{HEALTH_CHECKS, HEALTH_HOURS, check_hour_key, check_key};
use crate::store::{Error, Store, writer};

/// Rows removed in one transaction.
const PIECE: usize = if cfg!(test) { 7 } else { 2_000 };

impl Store {
    /// Removes the raw checks of whole hours before `raw_before`, and the summaries of hours before
    /// `hours_before`.
    ///
    /// # Errors
    /// [`Error`]; what was removed until then stays removed, the next call goes on.
    pub async fn prune_health_checks(
        &self,
        account: AccountId,
        raw_before: Timestamp,
        hours_before: Timestamp,
    ) -> Result<(), Error> {
        loop {
            let (count, counted) = std::sync::mpsc::channel();
            writer::with_engine(&self.queue, move |engine| {
                let removed = engine.prune_checks(account, raw_before, hours_before)?;
                // The receiver waits below, so this cannot fail.
                count.send(removed).map_err(|_| Error::Closed)
            })
            .await?;
            let Ok((checks, hours)) = counted.recv() else { return Err(Error::Closed) };
            self.shared.metrics.pruned("health_checks", checks as u64);
            self.shared.metrics.pruned("health_hours", hours as u64);
            if checks + hours < PIECE {
                return Ok(());
            }
        }
    }
}

impl Engine {
    fn prune_checks(
        &mut self,
        account: AccountId,
        raw_before: Timestamp,
        hours_before: Timestamp,
    ) -> Result<(usize, usize), Error> {
        let (mut old_checks, mut old_hours) = (Vec::new(), Vec::new());
        let txn = self.begin_act()?;
        {
            let mut checks = txn.open_table(HEALTH_CHECKS)?;
            let mut hours = txn.open_table(HEALTH_HOURS)?;
            for source in [CheckSource::Poll, CheckSource::Push] {
                // Whole hours, so that an hour has either all its raw checks or none.
                let hour = (check_hour_key(account, source, raw_before) & HOUR) as i64;
                let last = check_key(account, source, Timestamp(hour * 3600), 0);
                let room = PIECE - old_checks.len();
                for row in checks.range(check_key(account, source, Timestamp(0), 0)..last)?.take(room) {
                    old_checks.push(row?.0.value());
                }
                let room = PIECE - old_hours.len();
                let first = check_hour_key(account, source, Timestamp(0));
                let last = check_hour_key(account, source, hours_before);
                for row in hours.range(first..last)?.take(room) {
                    old_hours.push(row?.0.value());
                }
            }
            for key in &old_checks {
                checks.remove(*key)?;
            }
            for key in &old_hours {
                hours.remove(*key)?;
            }
        }
        if old_checks.is_empty() && old_hours.is_empty() {
            txn.abort()?;
        } else {
            self.commit_act(txn)?;
        }
        Ok((old_checks.len(), old_hours.len()))
    }
}

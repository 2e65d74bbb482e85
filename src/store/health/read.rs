//! What is known of health, and checks by time.

use super::{count_range, read_check, read_number, read_row};
use crate::model::health::{CheckCounts, CheckSource, HealthCheck, KnownHealth};
use crate::model::{AccountId, Timestamp};
use crate::store::error::intact;
use crate::store::tables::{EXOPHONE_HEALTH, HEALTH, HEALTH_CHECKS, HEALTH_HOURS, check_key, exophone_key};
use crate::store::{Error, Store};

impl Store {
    /// What polls and heartbeats found last. What is damaged is left out: the next poll finds it again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn known_health(&self, account: AccountId) -> Result<KnownHealth, Error> {
        self.view(move |at| {
            let mut known = KnownHealth::default();
            let numbers = at.txn.open_table(EXOPHONE_HEALTH)?;
            for row in numbers.range(exophone_key(account, 0)..=exophone_key(account, u16::MAX))? {
                let (key, value) = row?;
                let health = intact(read_number(key.value(), value.value()), &at.metrics)?;
                known.numbers.extend(health.map(|health| (key.value() as u16, health)));
            }
            if let Some(value) = at.txn.open_table(HEALTH)?.get(account.0)?
                && let Some(row) = intact(read_row(account, value.value()), &at.metrics)?
            {
                known.heartbeat = row.heartbeat;
                known.last_success = row.last_success;
            }
            Ok(known)
        })
        .await
    }

    /// Checks made in `[from, to)`, newest first, at most `limit`; those that are gone by their age are not
    /// among them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn health_checks(
        &self,
        account: AccountId,
        source: CheckSource,
        (from, to): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<HealthCheck>, Error> {
        self.view(move |at| {
            let (first, last) = (check_key(account, source, from, 0), check_key(account, source, to, 0));
            let mut checks = Vec::new();
            if first >= last {
                return Ok(checks);
            }
            let table = at.txn.open_table(HEALTH_CHECKS)?;
            for row in table.range(first..last)?.rev() {
                if checks.len() == limit {
                    break;
                }
                let (key, value) = row?;
                checks.extend(intact(read_check(key.value(), value.value()), &at.metrics)?);
            }
            Ok(checks)
        })
        .await
    }

    /// The newest check, none before the first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn newest_health_check(
        &self,
        account: AccountId,
        source: CheckSource,
    ) -> Result<Option<HealthCheck>, Error> {
        let always = (Timestamp(0), Timestamp(i64::MAX));
        Ok(self.health_checks(account, source, always, 1).await?.pop())
    }

    /// How many checks were made in `[from, to)`, by verdict. Of an hour of which only the summary is left,
    /// all belong to the range that holds its beginning.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn health_check_counts(
        &self,
        account: AccountId,
        source: CheckSource,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<CheckCounts, Error> {
        self.view(move |at| {
            let (hours, checks) = (at.txn.open_table(HEALTH_HOURS)?, at.txn.open_table(HEALTH_CHECKS)?);
            count_range(&hours, &checks, (account, source), (from, to), &at.metrics)
        })
        .await
    }
}

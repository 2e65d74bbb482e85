//! Health of numbers: what polls and heartbeats found last, the checks, and the checks by hour.
//!
//! A check is counted in its hour in the transaction that stores it, so nothing is summed up later: when
//! raw checks go, their hours are there already.

mod prune;
mod read;
#[cfg(test)]
mod tests;

use redb::{ReadTransaction, ReadableTable, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::Error;
use super::error::intact;
use super::redo::{Table, Txn};
use super::seal::{seal, unseal};
use super::tables::{
    EXOPHONE_HEALTH, HEALTH, HEALTH_CHECKS, HEALTH_HOURS, check_hour_key, check_key, exophone_key,
};
use crate::metrics::StoreMetrics;
use crate::model::health::{CheckCounts, CheckSource, HealthCheck, HeardHeartbeat, NumberHealth};
use crate::model::{AccountId, Timestamp};

/// What became known of the health of an account's numbers.
#[derive(Clone, Debug, Default)]
pub struct HealthWrites {
    /// Numbers that were polled, by their id within the account.
    pub numbers: Vec<(u16, NumberHealth)>,
    /// The heartbeat that is in force now.
    pub heartbeat: Option<HeardHeartbeat>,
    /// When a poll succeeded whole.
    pub succeeded: Option<Timestamp>,
    /// A check; its number is given here.
    pub check: Option<HealthCheck>,
}

/// The row of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct HealthRow {
    last_check: u64,
    last_success: Option<Timestamp>,
    heartbeat: Option<HeardHeartbeat>,
}

impl HealthWrites {
    /// Writes it all into a transaction.
    pub(super) fn write(
        &self,
        txn: &Txn<'_>,
        account: AccountId,
        metrics: &StoreMetrics,
    ) -> Result<(), Error> {
        let mut numbers = txn.open_table(EXOPHONE_HEALTH)?;
        for (id, health) in &self.numbers {
            let key = exophone_key(account, *id);
            numbers.insert(key, seal("exophone_health", &key.to_be_bytes(), health).as_slice())?;
        }
        let mut rows = txn.open_table(HEALTH)?;
        let mut row = match rows.get(account.0)? {
            Some(value) => intact(read_row(account, value.value()), metrics)?,
            None => Some(HealthRow::default()),
        };
        let mut checks = txn.open_table(HEALTH_CHECKS)?;
        if row.is_none() {
            // Damaged: all but the last number comes back by itself.
            row = Some(HealthRow { last_check: last_number(&*checks, account)?, ..HealthRow::default() });
        }
        let mut row = row.unwrap_or_default();
        row.last_success = self.succeeded.or(row.last_success);
        if let Some(heard) = &self.heartbeat {
            row.heartbeat = Some(heard.clone());
        }
        if let Some(check) = &self.check {
            row.last_check += 1;
            let check = HealthCheck { id: row.last_check, ..check.clone() };
            let key = check_key(account, check.source, check.at, check.id);
            checks.insert(key, seal("health_checks", &key.to_be_bytes(), &check).as_slice())?;
            count(&mut txn.open_table(HEALTH_HOURS)?, &*checks, account, &check, metrics)?;
        }
        rows.insert(account.0, seal("health", &account.0.to_be_bytes(), &row).as_slice())?;
        Ok(())
    }
}

/// Adds a check that is stored already to its hour; an hour that is damaged is counted again.
fn count(
    hours: &mut Table<'_, u64, &'static [u8]>,
    checks: &impl ReadableTable<u128, &'static [u8]>,
    account: AccountId,
    check: &HealthCheck,
    metrics: &StoreMetrics,
) -> Result<(), Error> {
    let key = check_hour_key(account, check.source, check.at);
    let held = match hours.get(key)? {
        Some(value) => intact(read_hour(key, value.value()), metrics)?,
        None => Some(CheckCounts::default()),
    };
    let counts = match held {
        Some(mut counts) => {
            counts.add(check.verdict);
            counts
        }
        None => {
            let begin = Timestamp(check.at.0 - check.at.0.rem_euclid(3600));
            sum(checks, account, check.source, begin, begin.plus(3600))?
        }
    };
    hours.insert(key, seal("health_hours", &key.to_be_bytes(), &counts).as_slice())?;
    Ok(())
}

/// Counts the raw checks of `[from, to)`. One that is damaged is left out.
fn sum(
    checks: &impl ReadableTable<u128, &'static [u8]>,
    account: AccountId,
    source: CheckSource,
    from: Timestamp,
    to: Timestamp,
) -> Result<CheckCounts, Error> {
    let mut counts = CheckCounts::default();
    for row in checks.range(check_key(account, source, from, 0)..check_key(account, source, to, 0))? {
        let (key, value) = row?;
        if let Ok(check) = read_check(key.value(), value.value()) {
            counts.add(check.verdict);
        }
    }
    Ok(counts)
}

/// The highest number of a check that an account has.
fn last_number(checks: &impl ReadableTable<u128, &'static [u8]>, account: AccountId) -> Result<u64, Error> {
    let (first, last) = (u128::from(account.0) << 112, (u128::from(account.0) + 1) << 112);
    let mut number = 0;
    for row in checks.range(first..last)? {
        number = number.max(row?.0.value() as u64);
    }
    Ok(number)
}

fn read_row(account: AccountId, value: &[u8]) -> Result<HealthRow, Error> {
    unseal("health", &account.0.to_be_bytes(), value)
}

fn read_number(key: u32, value: &[u8]) -> Result<NumberHealth, Error> {
    unseal("exophone_health", &key.to_be_bytes(), value)
}

fn read_check(key: u128, value: &[u8]) -> Result<HealthCheck, Error> {
    unseal("health_checks", &key.to_be_bytes(), value)
}

fn read_hour(key: u64, value: &[u8]) -> Result<CheckCounts, Error> {
    unseal("health_hours", &key.to_be_bytes(), value)
}

/// Makes the tables.
pub(super) fn make(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(HEALTH)?;
    txn.open_table(EXOPHONE_HEALTH)?;
    txn.open_table(HEALTH_CHECKS)?;
    txn.open_table(HEALTH_HOURS)?;
    Ok(())
}

/// Every record fits its checksum; tables that a former version did not make are empty.
pub(super) fn check(txn: &ReadTransaction) -> Result<(), Error> {
    /// Reads every row of a table.
    macro_rules! every {
        ($table:expr, |$key:ident, $value:ident| $read:expr) => {
            match txn.open_table($table) {
                Ok(table) => {
                    for row in table.iter()? {
                        let (key, value) = row?;
                        let ($key, $value) = (key.value(), value.value());
                        $read?;
                    }
                }
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
        };
    }
    every!(HEALTH, |key, value| read_row(AccountId(key), value));
    every!(EXOPHONE_HEALTH, |key, value| read_number(key, value));
    every!(HEALTH_CHECKS, |key, value| read_check(key, value));
    every!(HEALTH_HOURS, |key, value| read_hour(key, value));
    Ok(())
}

/// Counts the checks of `[from, to)`: whole hours by their summary, the hours at both ends by their raw
/// checks while these are there.
fn count_range(
    hours: &impl ReadableTable<u64, &'static [u8]>,
    checks: &impl ReadableTable<u128, &'static [u8]>,
    (account, source): (AccountId, CheckSource),
    (from, to): (Timestamp, Timestamp),
    metrics: &StoreMetrics,
) -> Result<CheckCounts, Error> {
    let mut counts = CheckCounts::default();
    if from >= to {
        return Ok(counts);
    }
    let (first, last) =
        (check_hour_key(account, source, from), check_hour_key(account, source, Timestamp(to.0 - 1)));
    for row in hours.range(first..=last)? {
        let (key, value) = row?;
        let key = key.value();
        let begin = Timestamp((key & HOUR) as i64 * 3600);
        let end = begin.plus(3600);
        let of_hour = intact(read_hour(key, value.value()), metrics)?;
        let whole = from <= begin && end <= to;
        counts.merge(&match of_hour {
            Some(of_hour) if whole => of_hour,
            Some(of_hour) if sum(checks, account, source, begin, end)?.total() < of_hour.total() => {
                if from <= begin { of_hour } else { CheckCounts::default() }
            }
            _ => sum(checks, account, source, begin.max(from), end.min(to))?,
        });
    }
    Ok(counts)
}

/// The hour in the key of a summary.
const HOUR: u64 = (1 << 40) - 1;

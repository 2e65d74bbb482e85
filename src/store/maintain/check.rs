//! `store check`: reads every record and holds it against its checksum and against the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redb::{DatabaseError, ReadTransaction, ReadableTable, ReadableTableMetadata, StorageError, TableError};

use super::careful;
use crate::model::callback::Kept;
use crate::model::{AccountRow, HourTotals, KnownExoPhone, Message, SetAside, SyncRun, SyncState};
use crate::store::codec::{decode_call, read_call_key, sid_hash};
use crate::store::group::entries;
use crate::store::index::Recent;
use crate::store::journal::Rest;
use crate::store::numbers::Numbers;
use crate::store::open::{
    CONTRADICTION, ForReading, Hold, Signature, guarded, is_written_to, open_behind_glass, open_held,
};
use crate::store::redo;
use crate::store::seal::{unseal, unseal_bytes, unseal_number};
use crate::store::tables::{
    ACCOUNTS, AGENDA, BASE, CALLS, EXOPHONES, HOURS, INBOX, KEPT, MESSAGES, META, MISSED, RECEIVED, RUNS,
    SET_ASIDE, SID_INDEX, SID_RECENT, SYNC, TOTALS, kept_bytes, set_aside_bytes,
};
use crate::store::{Error, OpenError, agenda, erased, health, inbox, missed};

/// What `store check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Calls that were read.
    pub calls: u64,
    /// Whether the pages of the file were held against their checksums too: not beside an agent.
    pub pages: Pages,
    /// What is wrong, one sentence each; empty = sound.
    pub faults: Vec<String>,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStep {
    /// So many calls are read.
    Calls {
        /// Read.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// The pages of the file are being verified.
    Pages,
}

/// Whether the checksums of the file's pages were verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// Every page that is in use.
    Verified,
    /// None: an agent changes them.
    #[default]
    Skipped,
}

/// Reads every record and verifies checksums and cross references; works beside an agent. While none runs,
/// the pages of the file are verified too: they hold what no record tells, which tables there are and where
/// they begin. Nothing is written to the file. `progress` is told how far it is.
///
/// # Errors
/// [`OpenError`] if the file cannot be opened at all.
pub fn check(path: &Path, progress: &mut dyn FnMut(CheckStep)) -> Result<CheckReport, OpenError> {
    let before = Signature::of(path)?;
    let db = open_held(path, Hold::Free)?;
    let mut report = CheckReport::default();
    // What one table hides must not hide the others.
    for part in [calls, agenda_entries, structures, callbacks, numbers] {
        if let Err(error) = careful(|| part(&db.begin_read()?, &mut report, progress)) {
            report.fault(error);
        }
    }
    if is_journal_damaged(&db, path) {
        report
            .faults
            .push("the journal beside the store is damaged; what it holds behind the damage is lost".into());
    }
    let is_shared = matches!(db, ForReading::Shared(_));
    drop(db);
    if !is_shared && Signature::of(path)? != before {
        // Read as a kill had left it, and an agent has taken it up meanwhile.
        let reason = "an agent started and wrote to it while it was read; check again".into();
        return Err(OpenError::Io { path: path.to_owned(), action: "checked", reason });
    }
    if !is_written_to(path) {
        pages(path, &mut report, progress)?;
    }
    Ok(report)
}

impl CheckReport {
    fn fault(&mut self, error: Error) {
        let fault = match error {
            Error::Damaged(reason) => reason,
            Error::Unavailable { reason, .. } => format!("the file cannot be read: {reason}"),
            other => other.to_string(),
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// Whether the disk damaged the journal. A writer may change it while it is read, but not three times so that it
/// looks damaged.
fn is_journal_damaged(db: &ForReading, path: &Path) -> bool {
    (0..3).all(|n| {
        if n > 0 {
            std::thread::sleep(LOOK_AGAIN);
        }
        let found = careful(|| Ok(redo::pending(&db.begin_read()?, path)?.1));
        found.is_ok_and(|found| found.rest == Rest::Damaged)
    })
}

/// Looks at the journal of a running agent are so far apart.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Every page fits the checksum that the page above it holds.
fn pages(
    path: &Path,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(CheckStep),
) -> Result<(), OpenError> {
    let before = Signature::of(path)?;
    let outcome = guarded(
        || {
            let mut db = open_behind_glass(path, Hold::Free)?;
            progress(CheckStep::Pages);
            db.check_integrity()
        },
        || DatabaseError::Storage(StorageError::Corrupted(CONTRADICTION.into())),
    );
    if Signature::of(path)? != before {
        // An agent was started, which nobody keeps waiting; what was seen is of no state at all.
        return Ok(());
    }
    report.pages = Pages::Verified;
    match outcome {
        Ok(true) => {}
        Ok(false) => report.fault(Error::Damaged("pages of the file do not fit their checksums".into())),
        Err(DatabaseError::Storage(StorageError::Corrupted(reason))) => report.fault(Error::Damaged(reason)),
        Err(error) => report.fault(Error::Damaged(error.to_string())),
    }
    Ok(())
}

fn account_sids(txn: &ReadTransaction) -> Result<BTreeMap<u16, String>, Error> {
    let mut sids = BTreeMap::new();
    for row in txn.open_table(ACCOUNTS)?.iter()? {
        let (sid, value) = row?;
        let row: AccountRow = unseal("accounts", sid.value().as_bytes(), value.value())?;
        sids.insert(row.id, sid.value().to_owned());
    }
    Ok(sids)
}

/// Every call: its checksum, its place in the index, its entries on the agenda.
fn calls(
    txn: &ReadTransaction,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(CheckStep),
) -> Result<(), Error> {
    let sids = account_sids(txn)?;
    let table = txn.open_table(CALLS)?;
    let agenda = txn.open_table(AGENDA)?;
    let tree = txn.open_table(SID_INDEX)?;
    let recent = Recent::load(&txn.open_table(SID_RECENT)?)?;
    let total = table.len()?;
    let (mut damaged, mut strangers, mut unindexed, mut forgotten, mut listed) =
        (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut last: Option<Vec<u8>> = None;
    let mut disorder = 0u64;
    for row in table.iter()? {
        let (key, value) = row?;
        report.calls += 1;
        if report.calls.is_multiple_of(10_000) {
            progress(CheckStep::Calls { done: report.calls, total });
        }
        // In a tree whose order is broken, records cannot be found though they are sound.
        disorder += u64::from(last.as_deref().is_some_and(|last| last >= key.value()));
        last = Some(key.value().to_vec());
        let Ok((account, created, sid)) = read_call_key(key.value()) else {
            damaged += 1;
            continue;
        };
        let account_sid = sids.get(&account.0).map_or("", String::as_str);
        strangers += u64::from(account_sid.is_empty());
        let Ok(record) = decode_call(key.value(), value.value(), account_sid) else {
            damaged += 1;
            continue;
        };
        let place = recent.find(sid_hash(account, &sid), None, &tree)?;
        unindexed += u64::from(place != Some(created));
        for entry in entries(&record) {
            listed += 1;
            forgotten += u64::from(agenda.get(agenda::key(account, &entry).as_slice())?.is_none());
        }
    }
    progress(CheckStep::Calls { done: report.calls, total });
    // A copy of a store that an older version made has neither.
    let (inbox, missed) = (older(txn.open_table(INBOX))?, older(txn.open_table(MISSED))?);
    let mut unread = 0u64;
    for row in inbox.iter().flat_map(ReadableTable::iter).flatten() {
        let (key, value) = row?;
        let Ok((account, sid, call)) = inbox::read(key.value(), value.value()) else {
            unread += 1;
            continue;
        };
        if let Some(entry) = inbox::entry(&sid, &call) {
            listed += 1;
            forgotten += u64::from(agenda.get(agenda::key(account, &entry).as_slice())?.is_none());
        }
    }
    let strays = missed.map_or(Ok(0), |missed| missed::strays(&missed, &table))?;
    let mut fault = |count: u64, what: &str| {
        if count > 0 {
            report.faults.push(format!("{count} {what}"));
        }
    };
    fault(damaged, "calls do not fit their checksum");
    fault(disorder, "calls stand out of order");
    fault(report.calls.abs_diff(total), "calls more or fewer than the table says");
    fault(strangers, "calls belong to an account that is not known");
    fault(unindexed, "calls cannot be found by their Sid");
    fault(forgotten, "tasks of calls are missing on the agenda");
    fault(unread, "calls that only callbacks named do not fit their checksum");
    fault(strays, "calls are listed as without callback and are not");
    if damaged == 0 && unread == 0 && forgotten == 0 {
        fault(agenda.len()?.saturating_sub(listed), "tasks on the agenda belong to no call");
    }
    Ok(())
}

/// A table that stores of an older version lack.
fn older<T>(table: Result<T, TableError>) -> Result<Option<T>, Error> {
    match table {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

/// Every entry of the agenda can be read.
fn agenda_entries(
    txn: &ReadTransaction,
    report: &mut CheckReport,
    _: &mut dyn FnMut(CheckStep),
) -> Result<(), Error> {
    let mut unreadable = 0u64;
    for row in txn.open_table(AGENDA)?.iter()? {
        unreadable += u64::from(agenda::read(row?.0.value()).is_err());
    }
    if unreadable > 0 {
        report.faults.push(format!("{unreadable} tasks on the agenda cannot be read"));
    }
    Ok(())
}

/// Every other record fits its checksum.
fn structures(txn: &ReadTransaction, _: &mut CheckReport, _: &mut dyn FnMut(CheckStep)) -> Result<(), Error> {
    for row in txn.open_table(EXOPHONES)?.iter()? {
        let (key, value) = row?;
        unseal::<KnownExoPhone>("exophones", &key.value().to_be_bytes(), value.value())?;
    }
    for row in txn.open_table(SYNC)?.iter()? {
        let (key, value) = row?;
        unseal::<SyncState>("sync", &key.value().to_be_bytes(), value.value())?;
    }
    for row in txn.open_table(HOURS)?.iter()? {
        let (key, value) = row?;
        unseal::<HourTotals>("hours", &key.value().to_be_bytes(), value.value())?;
    }
    for row in txn.open_table(SET_ASIDE)?.iter()? {
        let (key, value) = row?;
        unseal::<SetAside>("set_aside", &set_aside_bytes(key.value()), value.value())?;
    }
    for row in txn.open_table(RUNS)?.iter()? {
        let (key, value) = row?;
        unseal::<SyncRun>("runs", &key.value().to_be_bytes(), value.value())?;
    }
    // A store of before the first message has no such table.
    if let Ok(table) = txn.open_table(MESSAGES) {
        for row in table.iter()? {
            let (key, value) = row?;
            unseal::<Message>("messages", key.value(), value.value())?;
        }
    }
    Ok(())
}

/// What is kept of callbacks. A store that no version with webhooks has opened yet has no such tables.
fn callbacks(txn: &ReadTransaction, _: &mut CheckReport, _: &mut dyn FnMut(CheckStep)) -> Result<(), Error> {
    let (kept, received) = match (txn.open_table(KEPT), txn.open_table(RECEIVED)) {
        (Err(TableError::TableDoesNotExist(_)), _) | (_, Err(TableError::TableDoesNotExist(_))) => {
            return Ok(());
        }
        (kept, received) => (kept?, received?),
    };
    for row in kept.iter()? {
        let (key, value) = row?;
        unseal::<Kept>("kept", &kept_bytes(key.value()), value.value())?;
    }
    for row in received.iter()? {
        let (key, value) = row?;
        unseal_number("received", &key.value().to_be_bytes(), &value.value())?;
    }
    health::check(txn)?;
    erased::check(txn)
}

fn numbers(txn: &ReadTransaction, _: &mut CheckReport, _: &mut dyn FnMut(CheckStep)) -> Result<(), Error> {
    for (name, table) in [("totals", TOTALS), ("base", BASE)] {
        Numbers::load(name, &txn.open_table(table)?)?;
    }
    for row in txn.open_table(META)?.iter()? {
        let (name, value) = row?;
        if name.value() != "restored" {
            unseal_bytes("meta", name.value().as_bytes(), value.value())?;
        }
    }
    Ok(())
}

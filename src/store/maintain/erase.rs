//! `store erase`: what is stored of one person goes; calls, counters and roll-ups stay.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableError, WriteTransaction};

use super::{careful, of_file};
use crate::model::callback::Kept;
use crate::model::identity::{self, Identity};
use crate::model::{AccountRow, KnownExoPhone, SetAside, Timestamp, last_ten_digits};
use crate::store::codec::{decode_call, encode_call, read_call_key};
use crate::store::erased::{ERASED_TEXT, note};
use crate::store::kept;
use crate::store::open::open;
use crate::store::prepare::layout;
use crate::store::seal::{seal, unseal};
use crate::store::tables::{
    ACCOUNTS, CALLS, EXOPHONES, KEPT, KEPT_BY_HASH, SET_ASIDE, kept_bytes, set_aside_bytes,
};
use crate::store::{Error, OpenError};

/// Calls looked at between two transactions: bounds memory, and what a crash leaves to be done again.
const PIECE: usize = if cfg!(test) { 7 } else { 20_000 };

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Calls from which something was taken.
    pub calls: u64,
    /// Rows that were set aside, whose text was taken.
    pub set_aside: u64,
    /// Unknown callbacks whose text was taken.
    pub kept: u64,
    /// Rows that are damaged, so that nobody can say what is in them.
    pub unread: u64,
    /// Whether the number is told from others from now on, and was not before.
    pub is_new: bool,
}

/// Why nothing was erased, or not all.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The file.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is nothing in it to look for.
    #[error("the number is empty; give a phone number, or the address of an agent's app (`sip:…`)")]
    Empty,
    /// It is on the account's list of numbers.
    #[error("that is one of your own ExoPhones: no personal data, and calls are counted by it")]
    Own,
}

/// Takes the personal data of one number out of calls, rows set aside and unknown callbacks, and notes the
/// number's keyed hash, so that what Exotel shows again is not stored again. Records, their prices and
/// outcomes, totals and roll-ups stay as they are. To run it twice does no harm; an interrupted run is
/// finished by the next. Refuses while an agent holds the store.
///
/// `progress` is told how many of how many calls are done.
///
/// # Errors
/// [`EraseError`]; what was erased until then stays erased.
pub fn erase(
    path: &Path,
    number: &str,
    now: Timestamp,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Erasure, EraseError> {
    let who = Identity::of(number).ok_or(EraseError::Empty)?;
    if !path.exists() {
        let reason = "no such file".into();
        return Err(OpenError::Io { path: path.to_owned(), action: "opened", reason }.into());
    }
    let db = open(path)?;
    let failed = |error| EraseError::Store(of_file(path, "written", error));
    if careful(|| layout(&db)).map_err(failed)?.is_none() {
        return Err(OpenError::Damaged { path: path.to_owned(), reason: "it is empty".into() }.into());
    }
    if careful(|| is_own(&db, who)).map_err(failed)? {
        return Err(EraseError::Own);
    }
    careful(|| everywhere(&db, who, now, progress)).map_err(failed)
}

fn everywhere(
    db: &Database,
    who: Identity<'_>,
    now: Timestamp,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Erasure, Error> {
    let is_meant = |other: Identity<'_>| other == who;
    let mut erasure = Erasure::default();
    // First of all: whatever happens then, the number is not stored again.
    write(db, |txn| {
        erasure.is_new = note(txn, who, now)?;
        Ok(())
    })?;
    write(db, |txn| {
        set_aside(txn, &is_meant, &mut erasure)?;
        callbacks(txn, &is_meant, &mut erasure)
    })?;
    calls(db, &is_meant, &mut erasure, progress)?;
    Ok(erasure)
}

fn write(db: &Database, act: impl FnOnce(&WriteTransaction) -> Result<(), Error>) -> Result<(), Error> {
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    act(&txn)?;
    Ok(txn.commit()?)
}

fn is_own(db: &Database, who: Identity<'_>) -> Result<bool, Error> {
    let Identity::Digits(digits) = who else { return Ok(false) };
    let txn = db.begin_read()?;
    let table = match txn.open_table(EXOPHONES) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(false),
        table => table?,
    };
    for row in table.iter()? {
        let (key, value) = row?;
        let phone: KnownExoPhone = unseal("exophones", &key.value().to_be_bytes(), value.value())?;
        if last_ten_digits(&phone.number) == Some(digits) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn set_aside(
    txn: &WriteTransaction,
    is_meant: &dyn Fn(Identity<'_>) -> bool,
    erasure: &mut Erasure,
) -> Result<(), Error> {
    let mut table = txn.open_table(SET_ASIDE)?;
    let mut changed = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        match unseal::<SetAside>("set_aside", &set_aside_bytes(key.value()), value.value()) {
            Ok(row) if identity::names(&row.raw, is_meant) => {
                changed.push((key.value(), SetAside { raw: ERASED_TEXT.to_owned(), ..row }));
            }
            Ok(_) => {}
            Err(_) => erasure.unread += 1,
        }
    }
    for (key, row) in changed {
        table.insert(key, seal("set_aside", &set_aside_bytes(key), &row).as_slice())?;
        erasure.set_aside += 1;
    }
    Ok(())
}

fn callbacks(
    txn: &WriteTransaction,
    is_meant: &dyn Fn(Identity<'_>) -> bool,
    erasure: &mut Erasure,
) -> Result<(), Error> {
    let (mut table, mut hashes) = (txn.open_table(KEPT)?, txn.open_table(KEPT_BY_HASH)?);
    let mut changed = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        match unseal::<Kept>("kept", &kept_bytes(key.value()), value.value()) {
            Ok(row) if identity::names(&row.raw, is_meant) => changed.push((key.value(), row)),
            Ok(_) => {}
            Err(_) => erasure.unread += 1,
        }
    }
    for (key, row) in changed {
        // A hash of the text would let numbers be tried out.
        hashes.remove((key.0, kept::hash(&row)))?;
        let row = Kept { raw: ERASED_TEXT.to_owned(), ..row };
        hashes.insert((key.0, kept::hash(&row)), key.1)?;
        table.insert(key, seal("kept", &kept_bytes(key), &row).as_slice())?;
        erasure.kept += 1;
    }
    Ok(())
}

fn calls(
    db: &Database,
    is_meant: &dyn Fn(Identity<'_>) -> bool,
    erasure: &mut Erasure,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let mut sids = BTreeMap::new();
    for row in db.begin_read()?.open_table(ACCOUNTS)?.iter()? {
        let (sid, value) = row?;
        let row: AccountRow = unseal("accounts", sid.value().as_bytes(), value.value())?;
        sids.insert(row.id, sid.value().to_owned());
    }
    let total = db.begin_read()?.open_table(CALLS)?.len()?;
    let (mut done, mut after) = (0, Vec::new());
    loop {
        let mut changed = Vec::new();
        let before = done;
        // A reader for each piece: one for all would keep every page that is rewritten.
        for row in db.begin_read()?.open_table(CALLS)?.range::<&[u8]>(after.as_slice()..)?.take(PIECE) {
            let (key, value) = row?;
            done += 1;
            let key = key.value();
            // The next key in order.
            after = [key, &[0]].concat();
            let account = read_call_key(key).map(|(account, _, _)| account.0).unwrap_or_default();
            let account_sid = sids.get(&account).map_or("", String::as_str);
            let Ok(mut record) = decode_call(key, value.value(), account_sid) else {
                erasure.unread += 1;
                continue;
            };
            if identity::erase(&mut record.call, is_meant) {
                changed.push((key.to_vec(), encode_call(&record, key, account_sid)));
            }
        }
        if done == before {
            return Ok(());
        }
        if !changed.is_empty() {
            erasure.calls += changed.len() as u64;
            write(db, |txn| {
                let mut table = txn.open_table(CALLS)?;
                for (key, value) in &changed {
                    table.insert(key.as_slice(), value.as_slice())?;
                }
                Ok(())
            })?;
        }
        progress(done, total);
    }
}

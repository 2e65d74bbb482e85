//! Rows that name a person: found a piece at a time in what is committed, and written anew.
//!
//! Between the two others may write. So a row is read again where it is rewritten, and whoever writes
//! meanwhile holds what it takes in against the erased numbers.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::Erasure;
use crate::model::callback::Kept;
use crate::model::identity::{self, Identity};
use crate::model::{AccountRow, CallRecord, SetAside};
use crate::store::codec::{decode_call, encode_call, read_call_key};
use crate::store::erased::ERASED_TEXT;
use crate::store::seal::{seal, unseal};
use crate::store::tables::{ACCOUNTS, CALLS, KEPT, KEPT_BY_HASH, SET_ASIDE, kept_bytes, set_aside_bytes};
use crate::store::{Error, kept};

/// Rows looked at in one piece: some 20 ms, in which pages that others free are kept.
const LOOKED_AT: usize = if cfg!(test) { 7 } else { 20_000 };
/// Rows rewritten in one transaction: bounds its memory, and how long others wait for their turn.
const REWRITTEN: usize = if cfg!(test) { 3 } else { 1_000 };

/// Where looking goes on: the next row of a table.
pub(super) enum From {
    SetAside((u16, u64)),
    Kept((u16, u64)),
    Calls(Vec<u8>),
}

impl From {
    /// Few texts first, then many calls.
    pub(super) const START: Self = Self::SetAside((0, 0));
}

/// Rows of one table that name the person.
pub(super) enum Rows {
    SetAside(Vec<(u16, u64)>),
    Kept(Vec<(u16, u64)>),
    Calls(Vec<Vec<u8>>),
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::SetAside(keys) | Self::Kept(keys) => keys.is_empty(),
            Self::Calls(keys) => keys.is_empty(),
        }
    }
}

/// What one look found.
pub(super) struct Piece {
    pub(super) rows: Rows,
    /// Calls that were looked at.
    pub(super) calls: u64,
    /// Rows that are damaged.
    pub(super) unread: u64,
    /// None at the end of everything.
    pub(super) next: Option<From>,
}

/// Calls that are stored.
pub(super) fn calls(txn: &ReadTransaction) -> Result<u64, Error> {
    Ok(txn.open_table(CALLS)?.len()?)
}

/// Looks for rows that name a person.
pub(super) fn find(txn: &ReadTransaction, who: Identity<'_>, from: From) -> Result<Piece, Error> {
    let names = |raw: &str| identity::names(raw, &|other| other == who);
    let mut look = Look::default();
    match from {
        From::SetAside(from) => {
            for row in txn.open_table(SET_ASIDE)?.range(from..)? {
                let (key, value) = row?;
                if look.is_full() {
                    return Ok(look.until(Rows::SetAside, From::SetAside(key.value())));
                }
                let row = unseal::<SetAside>("set_aside", &set_aside_bytes(key.value()), value.value());
                look.at(key.value(), row.ok().map(|row| names(&row.raw)));
            }
            Ok(look.until(Rows::SetAside, From::Kept((0, 0))))
        }
        From::Kept(from) => {
            for row in txn.open_table(KEPT)?.range(from..)? {
                let (key, value) = row?;
                if look.is_full() {
                    return Ok(look.until(Rows::Kept, From::Kept(key.value())));
                }
                let row = unseal::<Kept>("kept", &kept_bytes(key.value()), value.value());
                look.at(key.value(), row.ok().map(|row| names(&row.raw)));
            }
            Ok(look.until(Rows::Kept, From::Calls(Vec::new())))
        }
        From::Calls(from) => find_calls(txn, who, &from),
    }
}

fn find_calls(txn: &ReadTransaction, who: Identity<'_>, from: &[u8]) -> Result<Piece, Error> {
    let sids = sids(&txn.open_table(ACCOUNTS)?)?;
    let mut look = Look::default();
    for row in txn.open_table(CALLS)?.range::<&[u8]>(from..)? {
        let (key, value) = row?;
        let key = key.value();
        if look.is_full() {
            let calls = look.rows as u64;
            return Ok(Piece { calls, ..look.until(Rows::Calls, From::Calls(key.to_vec())) });
        }
        let named = read_call(key, value.value(), &sids).ok().map(|(mut record, _)| take(&mut record, who));
        look.at(key.to_vec(), named);
    }
    let Look { rows, found, unread } = look;
    Ok(Piece { rows: Rows::Calls(found), calls: rows as u64, unread, next: None })
}

/// A look at the rows of a table.
struct Look<K> {
    rows: usize,
    found: Vec<K>,
    unread: u64,
}

impl<K> Default for Look<K> {
    fn default() -> Self {
        Self { rows: 0, found: Vec::new(), unread: 0 }
    }
}

impl<K> Look<K> {
    fn is_full(&self) -> bool {
        self.rows == LOOKED_AT || self.found.len() == REWRITTEN
    }

    /// Notes a row; none for what a damaged one names.
    fn at(&mut self, key: K, named: Option<bool>) {
        self.rows += 1;
        match named {
            Some(true) => self.found.push(key),
            Some(false) => {}
            None => self.unread += 1,
        }
    }

    fn until(self, rows: impl FnOnce(Vec<K>) -> Rows, next: From) -> Piece {
        Piece { rows: rows(self.found), calls: 0, unread: self.unread, next: Some(next) }
    }
}

/// Writes rows anew without what belongs to the person, and counts those that still named them.
pub(super) fn rewrite(
    txn: &WriteTransaction,
    who: Identity<'_>,
    rows: &Rows,
    erasure: &mut Erasure,
) -> Result<(), Error> {
    let names = |raw: &str| identity::names(raw, &|other| other == who);
    match rows {
        Rows::SetAside(keys) => {
            let mut table = txn.open_table(SET_ASIDE)?;
            for &key in keys {
                let bytes = set_aside_bytes(key);
                // Between finding and rewriting a row may have gone, or changed.
                let row = table.get(key)?.map(|row| unseal::<SetAside>("set_aside", &bytes, row.value()));
                let Some(Ok(row)) = row.filter(|row| row.as_ref().is_ok_and(|row| names(&row.raw))) else {
                    continue;
                };
                let row = SetAside { raw: ERASED_TEXT.to_owned(), ..row };
                table.insert(key, seal("set_aside", &bytes, &row).as_slice())?;
                erasure.set_aside += 1;
            }
        }
        Rows::Kept(keys) => {
            let (mut table, mut hashes) = (txn.open_table(KEPT)?, txn.open_table(KEPT_BY_HASH)?);
            for &key in keys {
                let bytes = kept_bytes(key);
                let row = table.get(key)?.map(|row| unseal::<Kept>("kept", &bytes, row.value()));
                let Some(Ok(row)) = row.filter(|row| row.as_ref().is_ok_and(|row| names(&row.raw))) else {
                    continue;
                };
                // A hash of the text would let numbers be tried out.
                hashes.remove((key.0, kept::hash(&row)))?;
                let row = Kept { raw: ERASED_TEXT.to_owned(), ..row };
                hashes.insert((key.0, kept::hash(&row)), key.1)?;
                table.insert(key, seal("kept", &bytes, &row).as_slice())?;
                erasure.kept += 1;
            }
        }
        Rows::Calls(keys) => {
            let sids = sids(&txn.open_table(ACCOUNTS)?)?;
            let mut table = txn.open_table(CALLS)?;
            for key in keys {
                let key = key.as_slice();
                let call = table.get(key)?.and_then(|value| read_call(key, value.value(), &sids).ok());
                let Some((mut record, sid)) = call else { continue };
                if take(&mut record, who) {
                    table.insert(key, encode_call(&record, key, sid).as_slice())?;
                    erasure.calls += 1;
                }
            }
        }
    }
    Ok(())
}

/// Takes out of a record what belongs to a person; whether anything did.
fn take(record: &mut CallRecord, who: Identity<'_>) -> bool {
    identity::erase(&mut record.call, &|other| other == who)
}

fn read_call<'s>(
    key: &[u8],
    value: &[u8],
    sids: &'s BTreeMap<u16, String>,
) -> Result<(CallRecord, &'s str), Error> {
    let (account, ..) = read_call_key(key)?;
    let sid = sids.get(&account.0).map_or("", String::as_str);
    Ok((decode_call(key, value, sid)?, sid))
}

fn sids(accounts: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<BTreeMap<u16, String>, Error> {
    let mut sids = BTreeMap::new();
    for row in accounts.iter()? {
        let (sid, value) = row?;
        let row: AccountRow = unseal("accounts", sid.value().as_bytes(), value.value())?;
        sids.insert(row.id, sid.value().to_owned());
    }
    Ok(sids)
}

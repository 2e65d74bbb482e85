//! `store erase`: what is stored of one person goes; calls, counters and roll-ups stay.
//!
//! The number is noted first, so that from then on nothing brings it back. Then all rows are looked at, a
//! bounded piece at a time, and those that name the person are written anew: by whoever holds the file, so
//! alone, or in an agent between two commits of its own.

mod live;
mod pieces;

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};

use self::pieces::From;
use super::erased::note;
use super::maintain::{careful, of_file};
use super::open::{io, open};
use super::prepare::layout;
use super::seal::unseal;
use super::tables::EXOPHONES;
use super::{Error, OpenError, journal, redo};
use crate::model::identity::Identity;
use crate::model::{KnownExoPhone, Timestamp, last_ten_digits};

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why nothing was erased, or not all. What was erased until then stays erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The file.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store of a running agent.
    #[error("not everything was erased; erase again when the store works: {0}")]
    Live(#[from] Error),
    /// There is nothing in it to look for.
    #[error("the number is empty; give a phone number, or the address of an agent's app (`sip:…`)")]
    Empty,
    /// Whatever it is, no call can have it as a number.
    #[error("that is no number; give a phone number, or the address of an agent's app (`sip:…`)")]
    NoNumber,
    /// It is on the account's list of numbers.
    #[error("that is one of your own ExoPhones: no personal data, and calls are counted by it")]
    Own,
}

/// Takes the personal data of one number out of calls, rows set aside and unknown callbacks, and notes the
/// number's keyed hash, so that what Exotel shows again is not stored again. Records, their prices and
/// outcomes, totals and roll-ups stay as they are. To run it twice does no harm; an interrupted run is
/// finished by the next. Refuses while an agent holds the store, which does the same by
/// [`super::Store::erase`].
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
    let who = person(number)?;
    if !path.exists() {
        let reason = "no such file".into();
        return Err(OpenError::Io { path: path.to_owned(), action: "opened", reason }.into());
    }
    let db = open(path)?;
    let failed = |error| EraseError::Store(of_file(path, "written", error));
    if careful(|| layout(&db)).map_err(failed)?.is_none() {
        return Err(OpenError::Damaged { path: path.to_owned(), reason: "it is empty".into() }.into());
    }
    if careful(|| is_own(&db.begin_read()?, who)).map_err(failed)? {
        return Err(EraseError::Own);
    }
    careful(|| redo::disown(&db)).map_err(failed)?;
    let erasure = careful(|| everywhere(&db, who, now, progress)).map_err(failed)?;
    // It may hold records of calls.
    journal::forget_unread(path).map_err(|error| io(&journal::unread_place(path), "removed", &error))?;
    Ok(erasure)
}

/// The shortest numbers that people dial.
const FEWEST_DIGITS: usize = 3;

/// Whose data is to go. What a slip of the hand made is refused: it would find nothing, say that all is
/// done, and stay noted for good.
fn person(number: &str) -> Result<Identity<'_>, EraseError> {
    let who = Identity::of(number).ok_or(EraseError::Empty)?;
    let is_number = match who {
        Identity::Digits(_) => true,
        Identity::Text(text) => match text.strip_prefix("sip:") {
            Some(user) => !user.is_empty(),
            None => {
                text.bytes().all(|c| c.is_ascii_digit() || b"+ -().".contains(&c))
                    && text.bytes().filter(u8::is_ascii_digit).count() >= FEWEST_DIGITS
            }
        },
    };
    if is_number { Ok(who) } else { Err(EraseError::NoNumber) }
}

fn everywhere(
    db: &Database,
    who: Identity<'_>,
    now: Timestamp,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Erasure, Error> {
    let is_new = write(db, |txn| note(txn, who, now))?;
    let mut erasure = Erasure { is_new, ..Erasure::default() };
    let total = pieces::calls(&db.begin_read()?)?;
    let (mut from, mut done) = (Some(From::START), 0);
    while let Some(place) = from {
        // A reader for each piece: one for all would keep every page that is rewritten.
        let piece = pieces::find(&db.begin_read()?, who, place)?;
        erasure.unread += piece.unread;
        if !piece.rows.is_empty() {
            write(db, |txn| pieces::rewrite(txn, who, &piece.rows, &mut erasure))?;
        }
        done += piece.calls;
        progress(done, total);
        from = piece.next;
    }
    Ok(erasure)
}

fn write<T>(db: &Database, act: impl FnOnce(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    let done = act(&txn)?;
    txn.commit()?;
    Ok(done)
}

fn is_own(txn: &ReadTransaction, who: Identity<'_>) -> Result<bool, Error> {
    let Identity::Digits(digits) = who else { return Ok(false) };
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

//! Numbers whose personal data was erased, so that it is not stored again: keyed hashes, never numbers.
//!
//! Exotel goes on to show a person's calls for six months, and pages are read more than once. What is
//! taken in is therefore held against the erased numbers first; where there are none, that is one look at
//! an empty set. The key lies beside them, so whoever has the file can try numbers out: the hashes keep
//! numbers out of sight, they are no lock. What they give away is that a number was erased.

use std::collections::HashSet;
use std::sync::mpsc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::engine::Engine;
use super::error::intact;
use super::seal::{seal, seal_bytes, unseal, unseal_bytes};
use super::tables::{ERASED, META};
use super::{Error, Store, writer};
use crate::metrics::StoreMetrics;
use crate::model::identity::{self, Identity};
use crate::model::{Observation, Timestamp};

/// Name of the key in `meta`.
const KEY: &str = "privacy_key";
/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Bytes of a tag: two numbers share one as good as never.
const TAG_BYTES: usize = 16;
/// What stands where a text was that named an erased number.
pub(super) const ERASED_TEXT: &str = "(erased)";

type Tag = [u8; TAG_BYTES];

/// The numbers that were erased.
#[derive(Default)]
pub struct Erased {
    /// None while no number was erased.
    key: Option<hmac::Key>,
    tags: HashSet<Tag>,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erased").field("numbers", &self.tags.len()).finish_non_exhaustive()
    }
}

impl Erased {
    /// Reads what is there. If the key is lost to damage, which is reported, nothing is recognised any
    /// more: a store that is not opened would lose more.
    pub(super) fn load(txn: &ReadTransaction, metrics: &StoreMetrics) -> Result<Self, Error> {
        let mut tags = HashSet::new();
        for row in txn.open_table(ERASED)?.iter()? {
            // The key of the row is all that counts; when it was written is for people.
            tags.extend(Tag::try_from(row?.0.value()));
        }
        if tags.is_empty() {
            return Ok(Self::default());
        }
        let key = intact(read_key(&txn.open_table(META)?), metrics)?.flatten();
        Ok(Self { key: key.map(|key| hmac_key(&key)), tags })
    }

    /// Whether no number was erased.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// A call as it may be stored, where that is less than what was said of it.
    pub fn less(&self, said: &Observation) -> Option<Observation> {
        if self.is_empty() {
            return None;
        }
        let mut call = said.clone();
        identity::erase(&mut call, &|who| self.has(who)).then_some(call)
    }

    /// A text as it may be stored.
    pub(super) fn text(&self, text: &str) -> String {
        let named = !self.is_empty() && identity::names(text, &|who| self.has(who));
        if named { ERASED_TEXT } else { text }.to_owned()
    }

    fn has(&self, who: Identity<'_>) -> bool {
        self.key.as_ref().is_some_and(|key| self.tags.contains(&tag(key, who)))
    }
}

/// Notes that a number was erased; whether that is new.
pub(super) fn note(txn: &WriteTransaction, who: Identity<'_>, now: Timestamp) -> Result<bool, Error> {
    let tag = tag(&hmac_key(&make_key(txn)?), who);
    let mut table = txn.open_table(ERASED)?;
    if table.get(tag.as_slice())?.is_some() {
        return Ok(false);
    }
    table.insert(tag.as_slice(), seal("erased", &tag, &now.0).as_slice())?;
    Ok(true)
}

/// Every row of the table fits its checksum.
pub(super) fn check(txn: &ReadTransaction) -> Result<(), Error> {
    let table = match txn.open_table(ERASED) {
        // A store that no version with erasure has opened yet.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        table => table?,
    };
    for row in table.iter()? {
        let (key, value) = row?;
        unseal::<i64>("erased", key.value(), value.value())?;
    }
    Ok(())
}

/// Hashes for people (`privacy.phone_numbers: hashed`) and these must not be comparable.
fn tag(key: &hmac::Key, who: Identity<'_>) -> Tag {
    let mut context = hmac::Context::with_key(key);
    match who {
        Identity::Digits(digits) => {
            context.update(b"erased digits\0");
            context.update(&digits.to_be_bytes());
        }
        Identity::Text(text) => {
            context.update(b"erased text\0");
            context.update(text.as_bytes());
        }
    }
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
    tag
}

fn hmac_key(key: &[u8; KEY_BYTES]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

fn read_key(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<[u8; KEY_BYTES]>, Error> {
    let Some(value) = meta.get(KEY)? else { return Ok(None) };
    let key = unseal_bytes("meta", KEY.as_bytes(), value.value())?.try_into();
    key.map(Some).map_err(|_| Error::Damaged("the key for numbers has another length".into()))
}

fn make_key(txn: &WriteTransaction) -> Result<[u8; KEY_BYTES], Error> {
    let mut meta = txn.open_table(META)?;
    if let Some(key) = read_key(&meta)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| Error::Unavailable {
        action: "written",
        reason: "the system has no random numbers".into(),
    })?;
    meta.insert(KEY, seal_bytes("meta", KEY.as_bytes(), &key).as_slice())?;
    Ok(key)
}

impl Store {
    /// The key under which numbers are hashed for people (HMAC-SHA256), made when it is first asked for. It
    /// stays with the store and its backups, so a number has the same hash after a restart. A secret.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn privacy_key(&self) -> Result<[u8; 32], Error> {
        let (send, made) = mpsc::channel();
        writer::with_engine(&self.queue, move |engine| {
            // The receiver waits below, so this cannot fail.
            send.send(engine.privacy_key()?).map_err(|_| Error::Closed)
        })
        .await?;
        made.recv().map_err(|_| Error::Closed)
    }
}

impl Engine {
    fn privacy_key(&mut self) -> Result<[u8; KEY_BYTES], Error> {
        let txn = self.begin_act()?;
        let key = make_key(&txn)?;
        self.commit_act(txn)?;
        Ok(key)
    }
}

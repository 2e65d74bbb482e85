//! Durable changes that redb has not written to its file yet: a second file beside the store.
//!
//! A commit of redb writes every page that changed, and what a repair in milliseconds needs, and syncs twice.
//! A group of operations is made durable by one record here instead, written and synced once, and redb commits
//! it in memory. Every few seconds, or when this file is long enough, redb commits for good, a checkpoint, and
//! the file is written from its beginning again. What a checkpoint does not hold after a kill is applied when
//! the store is opened next.
//!
//! A record: length of its payload (4 bytes, little endian), number (8), checksum (8), payload. Numbers go up by
//! one, so that what an earlier round left behind the last record is told from it. The checksum is over number
//! and payload and begins with the store's own id: the journal of another store is none.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::redo::Mark;

/// Bytes before the payload.
const HEAD: usize = 20;
/// The file grows by so much at once: a write within its length needs no news about the file itself, which
/// would cost a sync more.
const GROWTH: usize = 512 * 1024;
/// Beyond this a checkpoint is due. A hundred pages of calls; applied in less than 100 ms.
const LONG: u64 = if cfg!(test) { 64 * 1024 } else { 4 * 1024 * 1024 };

/// Changes of this size pay for a commit by redb themselves.
const MANY: usize = if cfg!(test) { 32 * 1024 } else { 512 * 1024 };

/// The end of the file that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// None until the first record.
    file: Option<File>,
    id: u64,
    /// Number of the last record that a checkpoint holds.
    applied: u64,
    /// Number of the next record.
    next: u64,
    /// Where it goes.
    at: u64,
    /// Length of the file.
    len: u64,
}

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) payload: Vec<u8>,
}

/// What is in a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Those that the store does not hold, in order and without a gap between them.
    pub(super) records: Vec<Record>,
    /// Whether a sound record stands behind one that is not: then the disk damaged it, and no kill did.
    pub(super) damaged: bool,
}

/// The journal of a store.
pub(super) fn place(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

fn checksum(id: u64, number: u64, payload: &[u8]) -> u64 {
    let mut hasher = Xxh3::with_seed(id);
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    hasher.digest()
}

impl Journal {
    /// The journal of a store that holds everything up to this mark: nothing in the file is needed any more.
    pub(super) fn new(store: &Path, mark: Mark) -> Self {
        let (applied, next) = (mark.applied, mark.applied + 1);
        Self { path: place(store), file: None, id: mark.id, applied, next, at: 0, len: 0 }
    }

    /// The mark of a store that holds every record there is.
    pub(super) fn mark(&self) -> Mark {
        Mark { id: self.id, applied: self.next - 1 }
    }

    /// The records that no checkpoint holds.
    ///
    /// # Errors
    /// Those of the file; and if a record is not there any more.
    pub(super) fn read(&self) -> io::Result<Vec<Record>> {
        let records = read(&self.path, Mark { id: self.id, applied: self.applied })?.records;
        let whole = records.last().is_some_and(|last| last.number + 1 == self.next);
        if whole { Ok(records) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// Whether there is a record that no checkpoint holds.
    pub(super) fn is_pending(&self) -> bool {
        self.at > 0
    }

    /// Whether redb had better commit these changes for good: the file is long, or they are many.
    pub(super) fn is_enough(&self, payload: &[u8]) -> bool {
        self.at >= LONG || payload.len() >= MANY
    }

    /// Appends a record; when this returns it is durable.
    ///
    /// # Errors
    /// Those of the file. Whether the record is there is not known then: the store must be opened again.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(HEAD + payload.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&self.next.to_le_bytes());
        record.extend_from_slice(&checksum(self.id, self.next, payload).to_le_bytes());
        record.extend_from_slice(payload);
        let end = self.at + record.len() as u64;
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        let Some(file) = &self.file else { return Err(ErrorKind::NotFound.into()) };
        if end > self.len {
            let grown = vec![0; usize::try_from(end - self.len).map_or(GROWTH, |more| more + GROWTH)];
            file.write_all_at(&grown, self.len)?;
            self.len += grown.len() as u64;
        }
        file.write_all_at(&record, self.at)?;
        file.sync_data()?;
        self.at = end;
        self.next += 1;
        Ok(())
    }

    fn open(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        self.len = file.metadata()?.len();
        // The name must outlive a loss of power, as the records do.
        let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(file)
    }

    /// Redb has written everything: the next record begins the file.
    pub(super) fn restart(&mut self) {
        self.applied = self.next - 1;
        self.at = 0;
    }

    /// The same, and leaves nothing of what was in the file.
    ///
    /// # Errors
    /// Those of the file, which may still hold old records then.
    pub(super) fn wipe(&mut self) -> io::Result<()> {
        self.restart();
        self.len = 0;
        self.file = None;
        wipe(&self.path)
    }
}

/// Empties the file, if there is one.
///
/// # Errors
/// Those of the file.
pub(super) fn wipe(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) if file.metadata()?.len() > 0 => file.set_len(0),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a journal holds beyond the mark of its store.
///
/// # Errors
/// Those of the file; that there is none is no error.
pub(super) fn read(path: &Path, Mark { id, applied }: Mark) -> io::Result<Found> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(error),
    };
    let mut found = Found::default();
    let mut rest = bytes.as_slice();
    let mut last = None;
    while let Some((record, behind)) = split(rest, id) {
        if last.is_some_and(|last| last + 1 != record.number) {
            // Left over from an earlier round.
            return Ok(found);
        }
        last = Some(record.number);
        rest = behind;
        if record.number > applied {
            found.records.push(record);
        }
    }
    // A record is begun when the one before it is durable: one that is not sound, with a later one behind it,
    // was sound once.
    let behind = length(rest).and_then(|length| split(rest.get(HEAD.checked_add(length)?..)?, id));
    found.damaged = behind.is_some_and(|(next, _)| next.number > last.unwrap_or(applied).max(applied) + 1);
    Ok(found)
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    usize::try_from(length).ok()
}

/// The record with which these bytes begin, and what is behind it.
fn split(bytes: &[u8], id: u64) -> Option<(Record, &[u8])> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (first, sum) = (number(4)?, number(12)?);
    let end = HEAD.checked_add(length(bytes)?)?;
    let payload = bytes.get(HEAD..end)?;
    if first == 0 || checksum(id, first, payload) != sum {
        return None;
    }
    Some((Record { number: first, payload: payload.to_vec() }, &bytes[end..]))
}

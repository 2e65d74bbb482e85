//! Durable changes that redb has not written to its file yet: a second file beside the store.
//!
//! A commit of redb writes every page that changed, and what a repair in milliseconds needs, and syncs twice.
//! A group of operations is made durable by one record here instead, written and synced once, and redb commits
//! it in memory. Every few seconds, or when this file is long enough, redb commits for good, a checkpoint, and
//! the file is written from its beginning again. What a checkpoint does not hold after a kill is applied when
//! the store is opened next.
//!
//! A record: length of its payload (4 bytes, little endian), number (8), checksum of these two (4), checksum of
//! number and payload (8), payload. Numbers go up by one, so that what an earlier round left behind the last record
//! is told from it. Checksums begin with an id that the store draws anew each time it is opened and written to:
//! the journal of another store is none, nor is one that stood beside this file before it was changed elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::redo::Mark;

/// Bytes before the payload.
const HEAD: usize = 24;
/// The file grows by so much at once: a write within its length needs no news about the file itself, which
/// would cost a sync more.
const GROWTH: usize = 512 * 1024;
/// What it grows by.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// Beyond this a checkpoint is due. Two hundred pages of calls.
const LONG: u64 = if cfg!(test) { 64 * 1024 } else { 8 * 1024 * 1024 };

/// The longest payload. Changes of this size pay for a commit by redb themselves.
pub(super) const MOST: usize = if cfg!(test) { 32 * 1024 } else { 512 * 1024 };

/// The end of the file that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    unread: PathBuf,
    file: Open,
    /// Whether its folder was synced since it was opened.
    is_named: bool,
    /// Who writes beside us; none until that is wanted.
    hand: Option<Hand>,
    is_writing: bool,
    id: u64,
    /// Whether the store holds this id. Until then there may be no record.
    is_own: bool,
    /// Number of the last record that a checkpoint holds.
    applied: u64,
    /// Number of the next record.
    next: u64,
    /// Where it goes.
    at: u64,
    since: Option<Instant>,
    /// Length of the file.
    len: u64,
}

#[derive(Debug)]
struct Open(File);

/// A record, and where it goes.
#[derive(Debug)]
struct Write {
    at: u64,
    record: Vec<u8>,
    /// From where on the file grows, and by how much.
    grown: Option<(u64, usize)>,
}

/// A thread that writes records.
#[derive(Debug)]
struct Hand {
    work: mpsc::SyncSender<Write>,
    done: mpsc::Receiver<io::Result<Write>>,
}

impl Open {
    fn write(&self, write: &Write) -> io::Result<()> {
        if let Some((from, more)) = write.grown {
            for at in (0..more).step_by(ZEROS.len()) {
                let count = ZEROS.len().min(more - at);
                self.0.write_all_at(&ZEROS[..count], from + at as u64)?;
            }
        }
        self.0.write_all_at(&write.record, write.at)?;
        self.0.sync_data()
    }
}

impl Hand {
    fn new(file: File) -> io::Result<Self> {
        let (work, orders) = mpsc::sync_channel::<Write>(1);
        let (report, done) = mpsc::sync_channel(1);
        let file = Open(file);
        let write = move || {
            for write in orders {
                let written = file.write(&write).map(|()| write);
                if report.send(written).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("journal".to_owned()).spawn(write)?;
        Ok(Self { work, done })
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes the journal is gone")
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
    /// What else is in it.
    pub(super) rest: Rest,
}

/// What stands behind the last sound record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing, what an earlier round left, or what a kill cut short.
    #[default]
    Nothing,
    /// A later record: what is between was durable once, and the disk damaged it.
    Damaged,
    /// There is no record of this store at all, but something.
    Foreign,
}

/// The journal of a store.
pub(super) fn place(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// Where one is kept that was damaged, or was none of its store.
pub(super) fn unread_place(store: &Path) -> PathBuf {
    let mut name = place(store).into_os_string();
    name.push(".unread");
    PathBuf::from(name)
}

/// Checksum of the first twelve bytes of a head.
fn head_checksum(id: u64, first: &[u8]) -> [u8; 4] {
    let mut hasher = Xxh3::with_seed(id);
    hasher.update(first);
    let [a, b, c, d, ..] = hasher.digest().to_le_bytes();
    [a, b, c, d]
}

fn checksum(id: u64, number: u64, payload: &[u8]) -> u64 {
    let mut hasher = Xxh3::with_seed(id);
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    hasher.digest()
}

/// A record as it stands in the file. Its payload is shorter than 4 GiB.
pub(super) fn record(id: u64, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + payload.len());
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(&number.to_le_bytes());
    record.extend_from_slice(&head_checksum(id, &record));
    record.extend_from_slice(&checksum(id, number, payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}

impl Journal {
    /// The journal of a store that holds everything up to this mark: nothing in the file is needed any more.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn open(store: &Path, mark: Mark) -> io::Result<Self> {
        let path = place(store);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        Ok(Self {
            len: file.metadata()?.len(),
            file: Open(file),
            is_named: false,
            hand: None,
            is_writing: false,
            id: Mark::new().id,
            is_own: false,
            applied: mark.applied,
            next: mark.applied + 1,
            at: 0,
            since: None,
            unread: unread_place(store),
            path,
        })
    }

    /// Whether the store holds this journal's id, so that records may be written.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    /// The store holds [`Self::mark`].
    pub(super) fn owned(&mut self) {
        self.is_own = true;
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

    /// When the first record was written that no checkpoint holds.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether a checkpoint is due for its length.
    pub(super) fn is_long(&self) -> bool {
        self.at >= LONG
    }

    /// Appends a record; when this returns it is durable.
    ///
    /// # Errors
    /// Those of the file. The record is taken back, but whether the disk has it is not known: the store must be
    /// opened again.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.finish()?;
        let write = self.next_write(payload)?;
        if let Err(error) = self.file.write(&write) {
            self.cut();
            return Err(error);
        }
        self.wrote(&write);
        Ok(())
    }

    /// Begins to append a record on a thread of its own; it is durable when [`Self::finish`] returns.
    ///
    /// # Errors
    /// As above.
    pub(super) fn begin(&mut self, payload: Vec<u8>) -> io::Result<()> {
        self.finish()?;
        let write = self.next_write(&payload)?;
        let hand = match self.hand.take() {
            Some(hand) => hand,
            None => Hand::new(self.file.0.try_clone()?)?,
        };
        let hand = self.hand.insert(hand);
        hand.work.send(write).map_err(|_| gone())?;
        self.is_writing = true;
        Ok(())
    }

    /// Waits for what was begun.
    ///
    /// # Errors
    /// As above.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_writing) {
            let hand = self.hand.as_ref().ok_or_else(gone)?;
            match hand.done.recv().map_err(|_| gone()).and_then(|written| written) {
                Ok(write) => self.wrote(&write),
                Err(error) => {
                    self.cut();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes back a record whose operations are answered with an error: it may stand in the file all the same, and
    /// whoever was refused asks again. What fails here was failing already.
    fn cut(&mut self) {
        drop(self.file.0.set_len(self.at).and_then(|()| self.file.0.sync_all()));
        self.len = self.at;
    }

    fn next_write(&mut self, payload: &[u8]) -> io::Result<Write> {
        if !self.is_own {
            return Err(io::Error::other("the store does not hold the journal's id yet"));
        }
        self.name()?;
        if u32::try_from(payload.len()).is_err() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let record = record(self.id, self.next, payload);
        let end = self.at + record.len() as u64;
        let grown =
            (end > self.len).then(|| (self.len, usize::try_from(end - self.len).unwrap_or(0) + GROWTH));
        Ok(Write { at: self.at, record, grown })
    }

    fn wrote(&mut self, Write { at, record, grown }: &Write) {
        self.at = at + record.len() as u64;
        self.len += grown.map_or(0, |(_, more)| more as u64);
        self.next += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    /// The name must outlive a loss of power, as the records do.
    fn name(&mut self) -> io::Result<()> {
        if !self.is_named {
            let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            self.is_named = true;
        }
        Ok(())
    }

    /// Removes what was put aside of this store's journals, if anything was.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn forget_unread(&self) -> io::Result<()> {
        forget(&self.unread)
    }

    /// Redb has written everything: the next record begins the file. Nothing may be under way.
    pub(super) fn restart(&mut self) {
        self.since = None;
        self.applied = self.next - 1;
        self.at = 0;
    }

    /// The same, and leaves nothing of what was in the file.
    ///
    /// # Errors
    /// Those of the file, which may still hold old records then.
    pub(super) fn wipe(&mut self) -> io::Result<()> {
        self.restart();
        if self.len > 0 {
            self.file.0.set_len(0)?;
            self.file.0.sync_all()?;
            self.len = 0;
        }
        Ok(())
    }
}

impl Drop for Journal {
    /// After a panic a record may be under way still. Nobody is answered by it any more.
    fn drop(&mut self) {
        if std::mem::take(&mut self.is_writing) {
            drop(self.hand.as_ref().map(|hand| hand.done.recv()));
            self.cut();
        }
    }
}

/// Puts a journal that cannot be read where nobody writes over it.
///
/// # Errors
/// Those of the file.
pub(super) fn put_aside(store: &Path) -> io::Result<()> {
    std::fs::rename(place(store), unread_place(store))
}

/// Removes what was put aside, if anything was.
///
/// # Errors
/// Those of the file.
pub(super) fn forget_unread(store: &Path) -> io::Result<()> {
    forget(&unread_place(store))
}

fn forget(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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
    let (mut at, mut last) = (0, None);
    while let Some(record) = record_at(&bytes, at, id) {
        if last.is_some_and(|last| last + 1 != record.number) {
            // Left over from an earlier round.
            return Ok(found);
        }
        last = Some(record.number);
        at += HEAD + record.payload.len();
        if record.number > applied {
            found.records.push(record);
        }
    }
    // A record is begun when the one before it is durable: one that is not sound, with a later one behind it, was
    // sound once.
    let missing = last.unwrap_or(applied).max(applied) + 1;
    let is_later = |at: usize| {
        number_at(&bytes, at).is_some_and(|number| {
            (missing + 1..missing + MANY).contains(&number) && record_at(&bytes, at, id).is_some()
        })
    };
    found.rest = if (at..bytes.len().saturating_sub(HEAD)).any(is_later) {
        Rest::Damaged
    } else if at == 0 && bytes.iter().take(HEAD).any(|byte| *byte != 0) && head_at(&bytes, 0, id).is_none() {
        Rest::Foreign
    } else {
        Rest::Nothing
    };
    Ok(found)
}

/// More records than a journal holds.
const MANY: u64 = 1 << 24;

fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at + 4..at + 12)?.try_into().ok()?))
}

/// Length and number in a sound head.
fn head_at(bytes: &[u8], at: usize, id: u64) -> Option<(usize, u64)> {
    let head = bytes.get(at..at + HEAD)?;
    let (first, sum) = (&head[..12], &head[12..16]);
    let length = u32::from_le_bytes(first[..4].try_into().ok()?);
    let number = number_at(head, 0)?;
    (number > 0 && head_checksum(id, first) == sum).then_some((usize::try_from(length).ok()?, number))
}

/// The sound record that begins here.
fn record_at(bytes: &[u8], at: usize, id: u64) -> Option<Record> {
    let (length, number) = head_at(bytes, at, id)?;
    let sum = u64::from_le_bytes(bytes.get(at + 16..at + HEAD)?.try_into().ok()?);
    let payload = bytes.get(at + HEAD..(at + HEAD).checked_add(length)?)?;
    (checksum(id, number, payload) == sum).then(|| Record { number, payload: payload.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_may_stand_in_the_file_though_writing_it_failed_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.redb");
        let mut journal = Journal::open(&store, Mark::new()).expect("a journal");
        assert!(journal.append(b"early").is_err(), "not before the store holds the id");
        journal.owned();
        let mark = journal.mark();
        journal.append(b"one").expect("written");
        // As if the sync had failed when every byte was in the file.
        let write = journal.next_write(b"two").expect("a record");
        journal.file.write(&write).expect("written");
        assert_eq!(read(&place(&store), mark).expect("read").records.len(), 2);
        journal.cut();
        assert_eq!(read(&place(&store), mark).expect("read").records.len(), 1);
        // After a panic one may be under way.
        journal.begin(b"three".to_vec()).expect("begun");
        drop(journal);
        let found = read(&place(&store), mark).expect("read");
        assert_eq!((found.records.len(), found.rest), (1, Rest::Nothing));
    }
}

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
use std::sync::mpsc;

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::redo::Mark;

/// Bytes before the payload.
const HEAD: usize = 20;
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
    file: Open,
    /// Whether its folder was synced since it was opened.
    is_named: bool,
    /// Who writes beside us; none until that is wanted.
    hand: Option<Hand>,
    is_writing: bool,
    id: u64,
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
            id: mark.id,
            applied: mark.applied,
            next: mark.applied + 1,
            at: 0,
            since: None,
            path,
        })
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
    /// Those of the file. Whether the record is there is not known then: the store must be opened again.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.finish()?;
        let write = self.next_write(payload)?;
        self.file.write(&write)?;
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
            let write = hand.done.recv().map_err(|_| gone())??;
            self.wrote(&write);
        }
        Ok(())
    }

    fn next_write(&mut self, payload: &[u8]) -> io::Result<Write> {
        self.name()?;
        let length = u32::try_from(payload.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(HEAD + payload.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&self.next.to_le_bytes());
        record.extend_from_slice(&checksum(self.id, self.next, payload).to_le_bytes());
        record.extend_from_slice(payload);
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
        self.file.0.set_len(0)?;
        self.len = 0;
        Ok(())
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

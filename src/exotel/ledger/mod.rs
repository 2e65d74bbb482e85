//! What keeps the limit across restarts: every slot on disk before its request is sent.
//!
//! One small file beside the store, `<store path>.slots`, for all accounts and pools of the process. It
//! is changed in place and never grows beyond the sum of the ceilings, 64 bytes for each slot. What
//! cannot be read counts as taken for a minute, never as free.

#[cfg(test)]
pub(crate) mod image;
mod journal;
mod record;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

pub(crate) use journal::{Inherited, Journal, Taken, Unwritable};
use record::Header;
use restore::Restored;

use super::Pool;
use super::limiter::{Allowance, Limiter};
use crate::model::Clock;

/// Most bytes read of an existing file: a million slots. A larger one is none of ours.
const MAX_FILE: u64 = 64 << 20;

/// The slots of all accounts and pools of this process. Cheap to clone.
///
/// Whoever asks twice for a pool, after a reload of the configuration for example, gets the same slots.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    journal: Option<Arc<Journal>>,
    limiters: Mutex<HashMap<u64, Arc<Limiter>>>,
}

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it.
    #[error("{} is in use by another process; two agents on one account would break its limit", .0.display())]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

impl Ledger {
    /// Opens `<store path>.slots`, makes it if it is missing (mode 0600), and locks it.
    ///
    /// A file that cannot be read is not an error: it is reported as a warning, and every slot counts as
    /// taken for a minute.
    ///
    /// # Errors
    /// When another process has the file, or it can be neither read nor written.
    pub fn beside_store(store: &Path, clock: &Clock) -> Result<Self, LedgerError> {
        let mut path = store.as_os_str().to_owned();
        path.push(".slots");
        Self::open(Path::new(&path), boot_id(), clock.monotonic_millis())
    }

    /// Slots that end with this process: for tests and measurements.
    pub fn in_memory() -> Self {
        Self::with(None)
    }

    fn with(journal: Option<Journal>) -> Self {
        Self(Arc::new(Inner { journal: journal.map(Arc::new), limiters: Mutex::default() }))
    }

    fn open(path: &Path, boot: u64, now: u64) -> Result<Self, LedgerError> {
        let fault = |error| LedgerError::Io { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let (file, is_new) = match options.clone().create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => (options.open(path).map_err(fault)?, false),
            Err(e) => return Err(fault(e)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse(path.to_owned())),
            // A file system without locks; the store's own lock is left.
            Err(TryLockError::Error(error)) => tracing::warn!(%error, "the slots file cannot be locked"),
        }
        let found = if is_new {
            Header { capacity: 0, held_slots: 0, held_until: 0, boot }.encode().to_vec()
        } else {
            read(&file).map_err(fault)?
        };
        let restored = Restored::of(&found, boot, now);
        report(path, &restored);
        let journal = Journal::begin(file, restored, boot).map_err(fault)?;
        if is_new {
            sync_folder(path).map_err(fault)?;
        }
        Ok(Self::with(Some(journal)))
    }

    /// The limiter of one pool of one account, with this allowance from now on.
    pub(crate) fn limiter(
        &self,
        account_sid: &str,
        pool: Pool,
        allowance: Allowance,
        clock: &Clock,
    ) -> Arc<Limiter> {
        let key = xxh3_64(format!("{account_sid}\0{}", pool.as_str()).as_bytes());
        let mut limiters = self.lock();
        let limiter = limiters
            .entry(key)
            .or_insert_with(|| Arc::new(Limiter::new(key, allowance, clock.clone(), self.0.journal.clone())));
        limiter.configure(allowance);
        let limiter = Arc::clone(limiter);
        if let Some(journal) = &self.0.journal {
            journal.reserve(limiters.values().map(|l| l.places()).sum(), limiters.len());
        }
        limiter
    }

    /// For tests: a disk that takes nothing.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self, refuse: bool) {
        if let Some(journal) = &self.0.journal {
            journal.faults.refuse.store(refuse, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Limiter>>> {
        self.0.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn report(path: &Path, restored: &Restored) {
    let path = path.display();
    match restored.unreadable {
        0 => {}
        restore::ALL_SLOTS => tracing::warn!(
            %path,
            "the slots file cannot be read and is made anew; every request waits for a minute, to be on the safe side"
        ),
        records => tracing::warn!(
            %path, records,
            "records of the slots file cannot be read; as many slots of every pool are held for a minute"
        ),
    }
    let slots: usize = restored.slots.values().map(Vec::len).sum();
    if slots > 0 {
        tracing::info!(slots, pools = restore::pools(restored), "slots of a former process are still taken");
    }
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Hash of the kernel's boot id. Where there is none, every start counts as another boot: the safe side.
fn boot_id() -> u64 {
    match std::fs::read("/proc/sys/kernel/random/boot_id") {
        Ok(id) if !id.is_empty() => xxh3_64(&id),
        _ => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            xxh3_64(format!("{} {}", std::process::id(), now.as_nanos()).as_bytes())
        }
    }
}

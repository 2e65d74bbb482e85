//! The embedded store: calls, totals, roll-ups and the state of reading, in one redb file.
//!
//! Promises: an operation's reply comes after its commit is durable; an operation is stored whole or not
//! at all; one that fails does not take its neighbours along; a flipped bit is never read as data; after a
//! fault of the disk the file is opened again by itself. It must not know Exotel, HTTP or why anything is
//! stored. Its surface is a few typed operations over whole batches ([`Operation`], and the reads in
//! `read.rs`), so that another backend can take its place.

mod agenda;
mod batch;
mod browse;
pub mod bytes;
pub mod codec;
mod engine;
mod erase;
mod erased;
mod error;
mod group;
mod health;
mod holder;
mod inbox;
mod index;
mod journal;
mod kept;
mod line;
mod maintain;
mod messages;
mod missed;
mod numbers;
mod open;
mod prepare;
mod prune;
mod read;
mod redo;
mod runs;
mod seal;
mod summary;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod untouched;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use redb::Database;
use tokio::sync::mpsc;

pub use batch::{Due, Held, LONGEST_CHAIN, Lost, Operation, Wants, WriteSet};
pub use browse::{Place, Stretch};
pub use erase::{EraseError, Erasure, erase};
pub use erased::Erased;
pub use error::{Error, OpenError};
pub use health::HealthWrites;
pub use maintain::{
    CheckReport, CheckStep, Pages, Stats, TableStats, backup, check, compact, restore, stats,
};
pub use runs::RunSums;
pub use summary::Summary;
pub use tables::{COUNTED, LAYOUT};

use crate::metrics::StoreMetrics;
use crate::model::AccountId;
use crate::model::series::Totals;

/// Cache of redb. The default of 1 GiB would fill with pages that are read once; 8 MiB hold the hot part of
/// the trees at 50 million calls, and the system's own cache is behind it.
const CACHE: usize = 8 * 1024 * 1024;

/// Operations that may wait for a commit; beyond, callers wait for a place.
const QUEUE: usize = 1024;

/// An open store. Cheap to clone; closed when [`Store::close`] is called or the last clone is gone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    queue: mpsc::Sender<writer::Message>,
}

struct Shared {
    path: PathBuf,
    /// None while it is opened again after a fault.
    db: ArcSwapOption<Database>,
    /// Whether the journal holds what a reader of the file would miss.
    is_pending: AtomicBool,
    /// What `/metrics` shows of the persisted totals: replaced piecemeal after each commit.
    totals: Mutex<Arc<BTreeMap<u64, u64>>>,
    /// Totals at the moment of a restore; taken off what is shown.
    base: BTreeMap<u64, u64>,
    /// What waited when somebody last asked.
    summaries: Mutex<BTreeMap<AccountId, summary::Known>>,
    /// What is kept of runs, for sums.
    runs: Arc<runs::KeptRuns>,
    /// Calls in progress, as the engine in force counts them.
    live: ArcSwap<inbox::Live>,
    metrics: StoreMetrics,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file; its folder is made if missing.
    pub path: PathBuf,
    /// Where the store counts what it does.
    pub metrics: StoreMetrics,
}

impl Store {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs an operation in a transaction, which it may share with others, and waits for the commit.
    ///
    /// # Errors
    /// [`Error`]; nothing of the operation was stored then.
    pub async fn transact<O: Operation>(&self, operation: O) -> Result<O::Reply, Error> {
        writer::transact(&self.queue, operation).await
    }

    /// The persisted totals as of the last durable commit, less what a restored copy began with.
    pub fn totals(&self) -> Totals {
        Totals::new(Arc::clone(&self.shared.totals()))
    }

    /// Lets whoever reads the file from now on, from within or beside this program, see everything that was
    /// answered before. Without it a reader beside us sees a state that is a few seconds old.
    pub async fn checkpoint(&self) {
        if self.shared.is_pending.load(Ordering::Acquire) {
            // Should it fail, the file is opened again, and what the journal holds is in it then.
            drop(writer::checkpoint(&self.queue).await);
        }
    }

    /// Waits for what is queued, then closes the file.
    pub async fn close(&self) {
        writer::close(&self.queue).await;
    }
}

impl Shared {
    /// Held for map look-ups only, never across I/O or an await.
    fn totals(&self) -> MutexGuard<'_, Arc<BTreeMap<u64, u64>>> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Likewise.
    fn summaries(&self) -> MutexGuard<'_, BTreeMap<AccountId, summary::Known>> {
        self.summaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the journal holds what a reader of the file would miss.
    fn set_pending(&self, pending: bool) {
        self.is_pending.store(pending, Ordering::Release);
    }

    fn show(&self, changed: &[(u64, u64)]) {
        let mut totals = self.totals();
        // In place, unless a scrape is reading the map at this very moment.
        let map = Arc::make_mut(&mut totals);
        for (key, value) in changed {
            map.insert(*key, value.saturating_sub(self.base.get(key).copied().unwrap_or(0)));
        }
    }
}

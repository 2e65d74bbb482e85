//! A file behind glass: redb repairs and reads it, and what it writes stays in memory.
//!
//! A file that a crash left behind cannot be opened without being repaired, that is, written to. Who only
//! wants to know its layout, or to check it, must not change it: a store of a newer version is not ours to
//! repair.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

const BLOCK: u64 = 4096;

/// The file and what was written over it.
#[derive(Debug)]
pub(super) struct Untouched {
    file: Below,
    over: Mutex<Over>,
}

/// What lies below.
#[derive(Debug)]
enum Below {
    /// Locked as redb wants it.
    Locked(FileBackend),
    /// Others may write to it.
    Free(File),
}

#[derive(Debug)]
struct Over {
    len: u64,
    /// The file counts up to here; beyond are zeros.
    from_file: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Untouched {
    /// Takes a file that is open for reading and writing: locks for writing need that.
    pub(super) fn new(file: File) -> Result<Self, DatabaseError> {
        let file = FileBackend::new(file)?;
        let len = file.len()?;
        Ok(Self::over(Below::Locked(file), len))
    }

    /// Takes a file that is open for reading, and keeps nobody from writing to it.
    pub(super) fn free(file: File) -> Result<Self, DatabaseError> {
        let len = file.metadata()?.len();
        Ok(Self::over(Below::Free(file), len))
    }

    fn over(file: Below, len: u64) -> Self {
        Self { file, over: Mutex::new(Over { len, from_file: len, blocks: BTreeMap::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of the file at this place, zeros beyond its end.
    fn below(&self, over: &Over, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let there = over.from_file.saturating_sub(offset).min(out.len() as u64) as usize;
        let (file, rest) = out.split_at_mut(there);
        rest.fill(0);
        match &self.file {
            _ if file.is_empty() => Ok(()),
            Below::Locked(below) => below.read(offset, file),
            Below::Free(below) => below.read_exact_at(file, offset),
        }
    }
}

/// Cuts `[offset, offset + len)` into parts that lie in one block each: place in the block, range of bytes.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let inside = (at % BLOCK) as usize;
        let count = (BLOCK as usize - inside).min(len - done);
        done += count;
        Some((at / BLOCK, inside, done - count..done))
    })
}

impl StorageBackend for Untouched {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let over = self.state();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > over.len) {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        self.below(&over, offset, out)?;
        for (block, inside, range) in parts(offset, out.len()) {
            if let Some(bytes) = over.blocks.get(&block) {
                let count = range.len();
                out[range].copy_from_slice(&bytes[inside..inside + count]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut over = self.state();
        if len < over.len {
            over.from_file = over.from_file.min(len);
            over.blocks.split_off(&len.div_ceil(BLOCK));
            if let Some(last) = over.blocks.get_mut(&(len / BLOCK)) {
                last[(len % BLOCK) as usize..].fill(0);
            }
        }
        over.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut over = self.state();
        for (block, inside, range) in parts(offset, data.len()) {
            if !over.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK as usize];
                self.below(&over, block * BLOCK, &mut bytes)?;
                over.blocks.insert(block, bytes);
            }
            if let Some(bytes) = over.blocks.get_mut(&block) {
                bytes[inside..inside + range.len()].copy_from_slice(&data[range]);
            }
        }
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        match &self.file {
            Below::Locked(below) => below.close(),
            Below::Free(_) => Ok(()),
        }
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match &self.file {
            Below::Locked(below) => below.try_lock_range(start, end),
            Below::Free(_) => Ok(true),
        }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match &self.file {
            Below::Locked(below) => below.try_lock_shared_range(start, end),
            Below::Free(_) => Ok(true),
        }
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match &self.file {
            Below::Locked(below) => below.lock_range(start, end),
            Below::Free(_) => Ok(()),
        }
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match &self.file {
            Below::Locked(below) => below.lock_shared_range(start, end),
            Below::Free(_) => Ok(()),
        }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match &self.file {
            Below::Locked(below) => below.unlock_range(start, end),
            Below::Free(_) => Ok(()),
        }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match &self.file {
            Below::Locked(below) => below.query_lock_range(start, end),
            Below::Free(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_behaves_like_a_file_and_leaves_the_file_alone(
            before in proptest::collection::vec(any::<u8>(), 0..9_000),
            steps in proptest::collection::vec((0..3u8, 0..12_000_usize, 1..6_000_usize, any::<u8>()), 1..12),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("file");
            std::fs::write(&path, &before).expect("a file");
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the file");
            let glass = Untouched::new(file).expect("a backend");
            let mut model = before.clone();
            for (what, at, count, fill) in steps {
                match what {
                    0 => {
                        model.resize(at, 0);
                        glass.set_len(at as u64).expect("a length");
                    }
                    1 if at + count <= model.len() => {
                        model[at..at + count].fill(fill);
                        glass.write(at as u64, &vec![fill; count]).expect("a write");
                    }
                    _ => {
                        let mut out = vec![0; count];
                        let read = glass.read(at as u64, &mut out);
                        prop_assert_eq!(read.is_ok(), at + count <= model.len());
                        if read.is_ok() {
                            prop_assert_eq!(&out, &model[at..at + count]);
                        }
                    }
                }
                prop_assert_eq!(glass.len().expect("a length"), model.len() as u64);
            }
            let mut all = vec![0; model.len()];
            glass.read(0, &mut all).expect("all of it");
            prop_assert_eq!(all, model);
            prop_assert_eq!(std::fs::read(&path).expect("the file"), before);
        }
    }
}

//! Erasing in a running agent: rows are looked for beside the writer and rewritten in turns with it, so that
//! pages, callbacks and scrapes go on meanwhile.

use std::sync::{Arc, mpsc};

use super::pieces::{self, From, Rows};
use super::{EraseError, Erasure, is_own, person};
use crate::model::Timestamp;
use crate::model::identity::Identity;
use crate::store::engine::Engine;
use crate::store::erased::{Erased, note};
use crate::store::error::io_reason;
use crate::store::{Error, Store, writer};

impl Store {
    /// What [`super::erase`] does, on an open store. From the first step on nothing of the number is taken
    /// in any more, so that whatever is written meanwhile does not bring it back. Dropped, it stops between
    /// two pieces, and the next run goes over everything once more.
    ///
    /// `progress` is told how many of how many calls are done.
    ///
    /// # Errors
    /// [`EraseError`]; what was erased until then stays erased.
    pub async fn erase(
        &self,
        number: &str,
        now: Timestamp,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Erasure, EraseError> {
        let number: Arc<str> = number.into();
        let who = Arc::clone(&number);
        person(&number)?;
        let look = move |at: &crate::store::read::Reading| {
            Ok((is_own(&at.txn, identity(&who)?)?, pieces::calls(&at.txn)?))
        };
        let (is_own, total) = self.view(look).await?;
        if is_own {
            return Err(EraseError::Own);
        }
        let who = Arc::clone(&number);
        let is_new = self.in_turn(move |engine| engine.note_erased(identity(&who)?, now)).await?;
        let mut erasure = Erasure { is_new, ..Erasure::default() };
        let (mut from, mut done) = (Some(From::START), 0);
        while let Some(place) = from {
            let who = Arc::clone(&number);
            let piece = self.view(move |at| pieces::find(&at.txn, identity(&who)?, place)).await?;
            erasure.unread += piece.unread;
            if !piece.rows.is_empty() {
                let (who, rows, so_far) = (Arc::clone(&number), piece.rows, erasure);
                erasure = self.in_turn(move |engine| engine.rewrite(identity(&who)?, &rows, so_far)).await?;
            }
            done += piece.calls;
            // Calls come in meanwhile.
            progress(done, total.max(done));
            from = piece.next;
        }
        // What was written meanwhile stands in the journal until it is emptied, as it is before each act.
        self.in_turn(|engine| engine.forget_unread()).await?;
        Ok(erasure)
    }

    /// Runs something between two groups of operations.
    async fn in_turn<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (send, made) = mpsc::channel();
        writer::with_engine(&self.queue, move |engine| {
            // The receiver waits below; whoever gave up does not ask.
            drop(send.send(act(engine)?));
            Ok(())
        })
        .await?;
        made.recv().map_err(|_| Error::Closed)
    }
}

/// The caller has looked that there is one.
fn identity(number: &str) -> Result<Identity<'_>, Error> {
    Identity::of(number).ok_or(Error::Fault)
}

impl Engine {
    fn forget_unread(&self) -> Result<(), Error> {
        let unwritten =
            |error: std::io::Error| Error::Unavailable { action: "written", reason: io_reason(&error) };
        self.journal.forget_unread().map_err(unwritten)
    }

    /// Notes the number, in the file and in memory.
    fn note_erased(&mut self, who: Identity<'_>, now: Timestamp) -> Result<bool, Error> {
        let txn = self.begin_act()?;
        let is_new = note(&txn, who, now)?;
        self.commit_act(txn)?;
        let txn = redb::ReadableDatabase::begin_read(&*self.db)?;
        self.erased = Arc::new(Erased::load(&txn, &self.metrics)?);
        Ok(is_new)
    }

    fn rewrite(&mut self, who: Identity<'_>, rows: &Rows, so_far: Erasure) -> Result<Erasure, Error> {
        let mut erasure = so_far;
        let txn = self.begin_act()?;
        pieces::rewrite(&txn, who, rows, &mut erasure)?;
        self.commit_act(txn)?;
        Ok(erasure)
    }
}

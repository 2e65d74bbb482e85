//! What is done with an answer: stored with the state after it, or noted as a failure.

use super::super::plan::{self, Job};
use super::Reader;
use super::mode::details_shown;
use super::reading::{Onward, Reading, Stop};
use crate::exotel::{CallsPage, CallsQuery, Error, Priority};
use crate::ingest::Page;
use crate::model::{Family, Series, SyncState};
use crate::reconcile::Origin;

/// Exotel refuses windows near six months back with 400; the edge is not documented.
const EDGE: i64 = 170 * 86_400;

impl Reader {
    pub(super) async fn page(&mut self, slice: i64, result: Result<CallsPage, Error>) {
        let Some(mut reading) = self.readings.remove(&slice) else { return };
        let page = match result {
            Ok(page) => page,
            Err(error) => return self.page_failed(reading, error).await,
        };
        let onward = reading.take(&page);
        let mut state = self.state.clone();
        if reading.ordered {
            plan::progress(&mut state, slice, reading.last);
        }
        if matches!(onward, Onward::Done | Onward::Short(_)) {
            plan::end_pass(&mut state, slice, self.account.wall_now());
        }
        if self.account.details_refused() {
            state.details_inline = Some(false);
        } else if state.details_inline.is_none() {
            state.details_inline = details_shown(&page.rows);
        }
        if let Err(error) = self.store_page(&reading.job, page, state).await {
            return self.failed(reading.job, error).await;
        }
        let query = match onward {
            Onward::Done => return self.end_if_done().await,
            Onward::Short(missing) => {
                let window = reading.job.window;
                tracing::warn!(account = self.account.config.name, from = %window.from, to = %window.to, missing, "Exotel counts more calls in a window than it lists; what it lists is read");
                return self.end_if_done().await;
            }
            Onward::Next(uri) => CallsQuery::Next(uri),
            Onward::Afresh => self.query(&reading.job, reading.anchor),
            Onward::Stop(stop) => {
                if matches!(stop, Stop::Circle | Stop::Crowded) {
                    self.count_cut().await;
                }
                return self.failed(reading.job, stop.message(reading.anchor)).await;
            }
        };
        let priority = reading.job.priority;
        self.readings.insert(slice, reading);
        self.ask(slice, query, priority);
    }

    /// Stores a page with the state after it and the record of its run, in one transaction.
    async fn store_page(&mut self, job: &Job, page: CallsPage, state: SyncState) -> Result<(), String> {
        let is_gap = job.priority == Priority::Heal;
        let mut record = if is_gap { self.gap.clone() } else { self.live.clone() };
        if let Some(record) = &mut record {
            record.pages += 1;
        }
        let mut batch = Page::new(self.account.context(), page.rows, Origin::Page);
        batch.window = Some(job.window);
        batch.sync = Some(state.clone());
        batch.run.clone_from(&record);
        let summary = self.account.take_in(batch).await.map_err(|error| error.to_string())?;
        self.state = state;
        if let Some(record) = &mut record {
            record.rows += summary.new + summary.updated + summary.unchanged + summary.rejected;
            record.new += summary.new;
            record.stored += summary.new + summary.updated;
            record.set_aside += summary.rejected;
        }
        if is_gap {
            self.gap = record;
        } else {
            self.live = record;
        }
        self.show();
        Ok(())
    }

    async fn page_failed(&mut self, reading: Reading, error: Error) {
        let job = reading.job;
        let age = self.account.wall_now() - job.window.from;
        if error.status == Some(400) && age > EDGE {
            tracing::warn!(from = %job.window.from, "Exotel does not show calls that old any more; they are left out");
            plan::end_pass(&mut self.state, job.slice, self.account.wall_now());
            let record = if job.priority == Priority::Heal { &mut self.gap } else { &mut self.live };
            if let Some(record) = record {
                let message = || {
                    format!("calls created before {} are too old for Exotel and were left out", job.window.to)
                };
                record.error.get_or_insert_with(message);
            }
            self.count_cut().await;
            return self.end_if_done().await;
        }
        self.failed(job, error.message).await;
    }

    /// A reading failed: its run is noted as failed, and goes on with what else there is to read.
    pub(super) async fn failed(&mut self, job: Job, message: String) {
        tracing::warn!(account = self.account.config.name, from = %job.window.from, to = %job.window.to, reason = message, "a window of calls could not be read to its end");
        self.account.failed(&message);
        let record = if job.priority == Priority::Heal { &mut self.gap } else { &mut self.live };
        if let Some(record) = record {
            record.error.get_or_insert(message);
        }
        self.end_if_done().await;
    }

    async fn count_cut(&mut self) {
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        page.deltas.add(Series::new(self.account.id, Family::WindowsCut, 0, 0), 1);
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            self.account.failed(&error.to_string());
        }
    }
}

//! Records of runs: begun, ended, stored, counted.

use super::super::account::Account;
use super::super::run;
use super::Reader;
use crate::exotel::Priority;
use crate::ingest::Page;
use crate::model::{RunStatus, SyncRun};
use crate::reconcile::Origin;
use crate::store;

/// Runs that can have been under way at once when the program was killed, and some more.
const RECENT_RUNS: usize = 32;

/// Ends the records of runs that were under way when the program was last stopped, or other settings took effect; gives the last regular
/// run that ended.
pub(super) async fn take_over(account: &Account) -> Result<Option<SyncRun>, store::Error> {
    let mut last = None;
    for mut record in account.store.runs(account.id, RECENT_RUNS).await? {
        if record.status == RunStatus::InProgress {
            let error = "the program was stopped, or a setting changed, before this run ended; its windows are read again";
            run::end(&mut record, account.clock.now(), Some(error.to_owned()));
            let mut page = Page::new(account.context(), Vec::new(), Origin::Page);
            page.deltas = run::count(account.id, &record);
            page.run = Some(record.clone());
            account.take_in(page).await?;
        }
        if last.is_none() && record.trigger != "heal" {
            last = Some(record);
        }
    }
    Ok(last)
}

impl Reader {
    pub(super) async fn end_if_done(&mut self) {
        let rest = |gap: bool| {
            self.queue
                .iter()
                .chain(self.readings.values().map(|r| &r.job))
                .any(|job| (job.priority == Priority::Heal) == gap)
        };
        let (live, gap) = (rest(false), rest(true));
        if !live && self.live.is_some() {
            self.end_live(None).await;
        }
        if !gap && let Some(mut record) = self.gap.take() {
            let error = record.error.take();
            run::end(&mut record, self.account.clock.now(), error);
            self.store_run(record).await;
        }
    }

    pub(super) async fn end_live(&mut self, error: Option<String>) {
        let Some(mut record) = self.live.take() else { return };
        let error = error.or_else(|| record.error.take());
        let now = self.account.clock.now();
        run::end(&mut record, now, error.clone());
        if error.is_none() {
            self.state.last_success = Some(now.0);
        }
        // Stored before it is shown as ended: sums over stored runs then hold every run that has ended.
        self.store_run(record.clone()).await;
        {
            let mut status = self.account.status();
            status.first_sync_done = true;
            status.sync_ended(now, error.as_deref());
            status.running_since = None;
            status.last_duration = Some(self.began.elapsed());
            status.last_run = Some(record.clone());
            status.newest_run = Some(record.clone());
        }
        if let Some(reason) = &error {
            self.account.failed(reason);
            tracing::warn!(account = self.account.config.name, reason, "a run of the sync failed");
        }
        tracing::debug!(
            account = self.account.config.name,
            pages = record.pages,
            rows = record.rows,
            "a run of the sync ended"
        );
        self.show();
    }

    async fn store_run(&mut self, record: SyncRun) {
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        page.deltas = run::count(self.account.id, &record);
        page.run = Some(record);
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            self.account.failed(&error.to_string());
        }
    }
}

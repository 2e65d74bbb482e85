//! Whether a run reads the whole look-back or by bands, and whether bulk rows carry leg details.

use super::super::plan::{self, Mode};
use super::Reader;
use crate::exotel::{CallsQuery, Priority, Row, Window};
use crate::ingest::Page;
use crate::model::WallTime;
use crate::model::series::Trigger;
use crate::reconcile::Origin;
use crate::settle::needs_details;

/// Looks at the look-back for one run at most: three until the time is known, and one at the right window.
const MOST_LOOKS: u32 = 4;

impl Reader {
    /// Whether the whole look-back is a few pages: by what the store holds, or, when it does not know the
    /// last hours, by asking for one page. No run begins before an answer has told the time: by a clock of
    /// ours that is wrong it would read other windows than there are.
    pub(super) async fn choose_mode(&mut self, trigger: Trigger) -> Result<Mode, String> {
        let mut rows = None;
        for _ in 0..MOST_LOOKS {
            let now = self.account.wall_now();
            let few = self.rows_before(now).await?;
            // Another time than before: that was another window.
            let moved = (self.account.wall_now() - now).abs() > self.settings.lookback / 2;
            if self.account.client.knows_the_time() {
                rows = Some(few);
                if !moved {
                    break;
                }
            }
        }
        let rows =
            rows.ok_or("Exotel's clock and this machine's disagree, and no three answers in a row agree")?;
        Ok(match trigger {
            _ if rows <= plan::FEW_ROWS => Mode::Whole,
            Trigger::Manual => Mode::Now,
            _ => Mode::Bands,
        })
    }

    /// Rows created in the look-back before `now`: by the store, or by the first page's total.
    async fn rows_before(&mut self, now: WallTime) -> Result<u64, String> {
        let from = now.plus(-self.settings.lookback);
        let fresh = self.settings.lag + 4 * self.settings.interval;
        let knows = self.account.client.knows_the_time()
            && self.state.slices.last().is_some_and(|s| s.seen.is_some() && now.0 - s.to <= fresh);
        if knows {
            let few = plan::FEW_ROWS + 1;
            return self
                .account
                .store
                .count_rows(self.account.id, from, now, few)
                .await
                .map_err(|e| e.to_string());
        }
        let window = Window { from, to: now };
        let details = self.account.asks_details();
        let query = CallsQuery::Window { window, duration: None, details };
        let page = self.account.calls(&query, Priority::Sync).await.map_err(|e| e.message)?;
        // Without a total, a further page is all that is known of the rest.
        let total = page.total.unwrap_or(if page.next.is_some() { u64::MAX } else { 0 });
        let mut batch = Page::new(self.account.context(), page.rows, Origin::Page);
        batch.window = Some(window);
        let read = self.account.take_in(batch).await.map_err(|e| e.to_string())?;
        if let Some(run) = &mut self.live {
            // What it brings is new here alone: the readings that follow find it known. Rows that cannot
            // be read they find once more, and count them.
            run.pages += 1;
            run.rows += read.new + read.updated + read.unchanged + read.rejected;
            run.new += read.new;
            run.stored += read.new + read.updated;
        }
        Ok(total)
    }
}

/// Whether bulk rows carry leg details: none while no row could tell.
pub(super) fn details_shown(rows: &[Row]) -> Option<bool> {
    let calls = || {
        rows.iter().filter_map(|row| match row {
            Row::Call(call) => Some(call),
            Row::Unreadable(_) => None,
        })
    };
    if calls().any(|call| call.details.is_some()) {
        return Some(true);
    }
    // Details may come later than the row: only a call about which all else is known can tell.
    calls()
        .any(|call| {
            needs_details(call) && call.end.is_some() && call.duration.is_some() && call.price.is_some()
        })
        .then_some(false)
}

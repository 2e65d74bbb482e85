//! Whether a run reads the whole look-back or by bands, and whether bulk rows carry leg details.

use super::super::plan::{self, Mode};
use super::Reader;
use crate::exotel::{CallsQuery, Priority, Row, Window};
use crate::ingest::Page;
use crate::model::WallTime;
use crate::model::series::Trigger;
use crate::reconcile::Origin;
use crate::settle::needs_details;

impl Reader {
    /// Whether the whole look-back is a few pages: by what the store holds, or, when it does not know the
    /// last hours, by asking for one page.
    pub(super) async fn choose_mode(&mut self, trigger: Trigger, now: WallTime) -> Result<Mode, String> {
        let from = now.plus(-self.settings.lookback);
        let fresh = self.settings.lag + 4 * self.settings.interval;
        let knows = self.state.slices.last().is_some_and(|s| s.seen.is_some() && now.0 - s.to <= fresh);
        let rows = if knows {
            let few = plan::FEW_ROWS + 1;
            self.account.store.count_rows(self.account.id, from, now, few).await.map_err(|e| e.to_string())?
        } else {
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
            total
        };
        Ok(match trigger {
            _ if rows <= plan::FEW_ROWS => Mode::Whole,
            Trigger::Manual => Mode::Now,
            _ => Mode::Bands,
        })
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

//! Which closed window is compared with Exotel's own total next, and what came of it.

use tokio::time::Instant;

use super::super::audit::{Audited, NotAudited};
use super::super::plan;
use super::{Reader, Round};
use crate::ingest::Page;
use crate::model::series::AuditResult;
use crate::model::{Family, Series, WallTime};
use crate::reconcile::Origin;
use crate::settle::Deltas;

impl Reader {
    /// The next window to audit: closed, wholly read, above the prune floor, while nothing is unread.
    pub(super) fn audit_due(&self) -> Option<(i64, Round)> {
        if self.live.is_some() || self.state.slices.iter().any(|s| s.seen.is_none()) {
            return None;
        }
        let unit = self.settings.audit_unit();
        let now = self.account.wall_now().0;
        let floor = self.account.row().prune_floor.max(now - plan::REACH);
        let above = |at: i64| if at < floor { floor + (-floor).rem_euclid(unit) } else { at };
        let (first, second) = (above(self.state.audited), above(self.state.audited_again));
        let watermark = self.state.watermark().0;
        if first + unit <= watermark && first + unit + self.settings.audit_after() <= now {
            return Some((first, Round::First));
        }
        (second + unit <= first && second + unit + 86_400 <= now).then_some((second, Round::Second))
    }

    pub(super) async fn audited(&mut self, unit: i64, round: Round, result: Result<Audited, NotAudited>) {
        self.auditing = false;
        let audited = match result {
            Ok(audited) => audited,
            Err(NotAudited::Exotel(error)) if error.status == Some(400) => {
                // It will not be answered any better: near six months back Exotel shows nothing any more.
                self.account.failed(&error.message);
                Audited { result: AuditResult::Failed, found: 0 }
            }
            Err(NotAudited::Exotel(error)) => {
                self.audit_at = Instant::now() + self.account.beat(10);
                self.account.failed(&error.message);
                return;
            }
            Err(NotAudited::Store(error)) => {
                self.audit_at = Instant::now() + self.account.beat(10);
                self.account.failed(&error.to_string());
                return;
            }
        };
        if audited.result != AuditResult::Equal {
            tracing::warn!(account = self.account.config.name, from = %WallTime(unit), found = audited.found, result = audited.result.as_str(), "an audit found a difference");
        }
        let end = unit + self.settings.audit_unit();
        match round {
            Round::First => self.state.audited = end,
            Round::Second => self.state.audited_again = end,
        }
        let mut page = Page::new(self.account.context(), Vec::new(), Origin::Page);
        let mut deltas = Deltas::default();
        deltas.add(Series::new(self.account.id, Family::Audited, audited.result.code(), 0), 1);
        page.deltas = deltas;
        page.sync = Some(self.state.clone());
        if let Err(error) = self.account.take_in(page).await {
            // The state in memory is ahead of the store: at worst the window is audited once more.
            self.account.failed(&error.to_string());
        }
    }
}

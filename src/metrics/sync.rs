//! Families of reading: runs, rows, windows, how far we are.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::calls::{counter, gauge, syncing};
use super::catalogue as c;
use super::view::{Shared, Source, SyncView};
use crate::model::series::{AuditResult, RowResult, RunOutcome, Trigger};
use crate::model::{Family, Series, Timestamp};

/// Renders the families of reading.
#[derive(Debug)]
pub struct Sync(Shared);

impl Sync {
    /// From this picture.
    pub fn new(source: Source) -> Self {
        Self(Shared(source))
    }
}

impl Collector for Sync {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = (self.0.0)();
        let encoder = &mut encoder;
        let accounts = || view.accounts.iter().filter(|a| a.sync.is_some());
        let total = |account, family, a, b| view.totals.get(Series::new(account, family, a, b));
        let mut m = c::SYNC_RUNS.describe(encoder)?;
        for account in accounts() {
            for trigger in Trigger::ALL {
                for outcome in RunOutcome::ALL {
                    let labels = [
                        ("account", account.name.as_str()),
                        ("trigger", trigger.as_str()),
                        ("outcome", outcome.as_str()),
                    ];
                    let value = total(account.id, Family::SyncRuns, trigger.code(), outcome.code());
                    counter(&mut m, &labels, value)?;
                }
            }
        }
        let mut m = c::SYNC_RECORDS.describe(encoder)?;
        for account in accounts() {
            for result in RowResult::ALL {
                let labels = [("account", account.name.as_str()), ("result", result.as_str())];
                counter(&mut m, &labels, total(account.id, Family::SyncRecords, result.code(), 0))?;
            }
        }
        let mut m = c::SYNC_AUDITED_WINDOWS.describe(encoder)?;
        for account in accounts() {
            for result in AuditResult::ALL {
                let labels = [("account", account.name.as_str()), ("result", result.as_str())];
                counter(&mut m, &labels, total(account.id, Family::Audited, result.code(), 0))?;
            }
        }
        for (described, family) in
            [(&c::SYNC_WINDOWS_CUT, Family::WindowsCut), (&c::SYNC_AUDIT_FOUND, Family::AuditFound)]
        {
            let mut m = described.describe(encoder)?;
            for account in accounts() {
                counter(&mut m, &[("account", account.name.as_str())], total(account.id, family, 0, 0))?;
            }
        }
        let instant = |t: Option<Timestamp>| t.map(|t| t.0 as f64);
        type Read = fn(&SyncView) -> Option<f64>;
        let plain: [(&c::Family, Read); 5] = [
            (&c::SYNC_INTERVAL, |s| Some(s.interval)),
            (&c::SYNC_LOOKBACK, |s| Some(s.lookback)),
            (&c::SYNC_LAG, |s| Some(s.lag)),
            (&c::SYNC_LAST_RUN_DURATION, |s| s.last_duration),
            (&c::SYNC_ROWS_SET_ASIDE, |s| Some(s.set_aside as f64)),
        ];
        for (described, read) in plain {
            let mut m = described.describe(encoder)?;
            for (account, sync) in syncing(&view) {
                if let Some(value) = read(sync) {
                    gauge(&mut m, &[("account", account)], value)?;
                }
            }
        }
        type Instant = fn(&SyncView) -> Option<Timestamp>;
        let instants: [(&c::Family, Instant); 3] = [
            (&c::SYNC_LAST_SUCCESS, |s| s.last_success),
            (&c::SYNC_WATERMARK, |s| s.watermark),
            (&c::SYNC_HEAD, |s| s.head),
        ];
        for (described, read) in instants {
            let mut m = described.describe(encoder)?;
            for (account, sync) in syncing(&view) {
                if let Some(value) = instant(read(sync)) {
                    gauge(&mut m, &[("account", account)], value)?;
                }
            }
        }
        Ok(())
    }
}

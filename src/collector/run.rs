//! The record of a run of the sync, and how it is counted.

use crate::model::series::{RunOutcome, Trigger};
use crate::model::{AccountId, Family, RunStatus, Series, SyncRun, Timestamp};
use crate::settle::Deltas;

/// A run that begins.
pub fn begin(id: u64, trigger: Trigger, now: Timestamp) -> SyncRun {
    SyncRun {
        id,
        trigger: trigger.as_str().to_owned(),
        started: now.0,
        ended: None,
        status: RunStatus::InProgress,
        pages: 0,
        new: 0,
        stored: 0,
        rows: 0,
        set_aside: 0,
        error: None,
    }
}

/// Ends a run: well, or with what went wrong.
pub fn end(run: &mut SyncRun, now: Timestamp, error: Option<String>) {
    run.ended = Some(now.0);
    run.status = if error.is_some() { RunStatus::Failed } else { RunStatus::Success };
    run.error = error.or_else(|| match run.set_aside {
        0 => None,
        rows => Some(format!("{rows} rows could not be read and were set aside")),
    });
}

/// The addition to the totals for a run that ended.
pub fn count(account: AccountId, run: &SyncRun) -> Deltas {
    let trigger =
        Trigger::ALL.iter().find(|t| t.as_str() == run.trigger).copied().unwrap_or(Trigger::Schedule);
    let outcome = match run.status {
        RunStatus::Failed => RunOutcome::Failure,
        _ if run.set_aside > 0 => RunOutcome::Partial,
        _ => RunOutcome::Success,
    };
    let mut deltas = Deltas::default();
    deltas.add(Series::new(account, Family::SyncRuns, trigger.code(), outcome.code()), 1);
    deltas
}

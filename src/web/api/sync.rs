//! Runs of the sync: the newest, a list, sums, and one started now.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Shared;
use super::ask::{Ask, DAY, MOST};
use super::figures::percent;
use super::health::Done;
use super::schema::Time;
use crate::model::{RunStatus, SyncRun};
use crate::web::access::Refusal;

/// The one kind of sync there is, under the name that clients know.
const TYPE: &str = "bulk_call_details";

/// Words of `type`.
pub(super) fn types() -> Vec<&'static str> {
    vec![TYPE]
}

answer! {
    /// A run of the sync.
    Run {
        /// Number within the account, rising.
        id: u64,
        /// bulk_call_details.
        sync_type: &'static str,
        /// When it ended; while it is in progress, when it began.
        last_sync_time: Time,
        /// success, failed or in_progress.
        status: &'static str,
        /// Rows that brought something new and were stored.
        records_synced: u64,
        /// What went wrong, or how many rows were set aside; else null.
        error_message: Option<String>,
        /// When it began.
        created_at: Time,
        /// When its record last changed.
        updated_at: Time,
        /// What started it: schedule, manual, heal or backfill.
        trigger: String,
        /// Pages read.
        pages: u64,
        /// Rows read.
        rows: u64,
        /// Rows that could not be read and were set aside.
        set_aside: u64,
    }
}

impl From<SyncRun> for Run {
    fn from(run: SyncRun) -> Self {
        let last = run.ended.unwrap_or(run.started);
        let aside = (run.set_aside > 0 && run.status == RunStatus::Success)
            .then(|| format!("{} rows could not be read and were set aside", run.set_aside));
        Self {
            id: run.id,
            sync_type: TYPE,
            last_sync_time: Time::seconds(last),
            status: match run.status {
                RunStatus::InProgress => "in_progress",
                RunStatus::Success => "success",
                RunStatus::Failed => "failed",
            },
            records_synced: run.stored,
            error_message: run.error.or(aside),
            created_at: Time::seconds(run.started),
            updated_at: Time::seconds(last),
            trigger: run.trigger,
            pages: run.pages,
            rows: run.rows,
            set_aside: run.set_aside,
        }
    }
}

answer! {
    /// Sums of the runs that began in a range.
    Stats {
        /// Runs.
        total: u64,
        /// Runs that succeeded.
        successful: u64,
        /// Runs that failed.
        failed: u64,
        /// Succeeded of those that ended, in percent; null if none has.
        success_rate: Option<f64>,
        /// Rows that all of them stored.
        total_records_synced: u64,
        /// The newest of them, at most 1,000.
        syncs: Vec<Run>,
    }
}

/// Newest run.
pub(super) async fn status(State(shared): State<Shared>, ask: Ask) -> Result<Json<Option<Run>>, Refusal> {
    let newest = shared.desk.runs(ask.who.account, 1).await?;
    Ok(Json(newest.into_iter().next().map(Run::from)))
}

/// Runs, newest first.
pub(super) async fn history(State(shared): State<Shared>, ask: Ask) -> Result<Json<Vec<Run>>, Refusal> {
    let runs = shared.desk.runs(ask.who.account, ask.limit(50)).await?;
    Ok(Json(runs.into_iter().map(Run::from).collect()))
}

/// Sums of a range.
pub(super) async fn stats(State(shared): State<Shared>, ask: Ask) -> Result<Json<Stats>, Refusal> {
    let range = ask.range(("startDate", "endDate"), shared.desk.now(), DAY)?;
    let runs = shared.desk.runs_between(ask.who.account, range, MOST).await?;
    Ok(Json(Stats {
        total: runs.total,
        successful: runs.successful,
        failed: runs.failed,
        success_rate: percent(runs.successful, runs.successful + runs.failed),
        total_records_synced: runs.stored,
        syncs: runs.newest.into_iter().map(Run::from).collect(),
    }))
}

/// Starts a run and does not wait for it.
pub(super) async fn trigger(
    State(shared): State<Shared>,
    ask: Ask,
) -> Result<(StatusCode, Json<Done>), Refusal> {
    shared.desk.sync_now(ask.who.account).await?;
    Ok((StatusCode::CREATED, Json(Done { message: "The sync was started.".to_owned() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: RunStatus) -> SyncRun {
        SyncRun {
            id: 7,
            trigger: "schedule".to_owned(),
            started: 1_772_457_600,
            ended: Some(1_772_457_605),
            status,
            pages: 2,
            new: 3,
            stored: 5,
            rows: 120,
            set_aside: 0,
            error: None,
        }
    }

    #[test]
    fn a_run_is_told_in_the_words_that_clients_know() {
        let shown = serde_json::to_value(Run::from(run(RunStatus::Success))).unwrap();
        for (field, value) in [
            ("id", serde_json::json!(7)),
            ("syncType", "bulk_call_details".into()),
            ("lastSyncTime", "2026-03-02T13:20:05Z".into()),
            ("status", "success".into()),
            ("recordsSynced", 5.into()),
            ("errorMessage", serde_json::Value::Null),
            ("createdAt", "2026-03-02T13:20:00Z".into()),
            ("updatedAt", "2026-03-02T13:20:05Z".into()),
        ] {
            assert_eq!(shown[field], value, "{field}");
        }
        let going = Run::from(SyncRun { ended: None, ..run(RunStatus::InProgress) });
        assert_eq!((going.status, going.updated_at), ("in_progress", going.created_at));
    }

    #[test]
    fn a_run_with_rows_set_aside_is_a_success_that_says_so() {
        let shown = Run::from(SyncRun { set_aside: 3, ..run(RunStatus::Success) });
        assert_eq!(shown.status, "success");
        assert!(shown.error_message.unwrap().contains("3 rows"));
        let failed = SyncRun { set_aside: 3, error: Some("timeout".into()), ..run(RunStatus::Failed) };
        assert_eq!(Run::from(failed).error_message.as_deref(), Some("timeout"));
    }
}

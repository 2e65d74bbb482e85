//! Health checks: the newest, a list, sums, and one made now.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Shared;
use super::ask::{Ask, DAY, MOST};
use super::figures::percent;
use super::schema::Time;
use crate::model::Timestamp;
use crate::model::health::{CheckCounts, CheckSource, HealthCheck, Verdict};
use crate::web::access::Refusal;

/// Every check there can be.
const ALWAYS: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(i64::MAX));

/// Words of `source`.
pub(super) fn sources() -> Vec<&'static str> {
    vec!["poll", "push"]
}

answer! {
    /// What a check rests on.
    Raw {
        /// poll or push.
        source: &'static str,
        /// Numbers with their states that the verdict rests on; of a push those that it names.
        numbers: u64,
        /// Why it failed or knows only a part; null if it did not.
        error: Option<String>,
    }
}

answer! {
    /// A health check of the account's ExoPhones.
    Check {
        /// Number within the account, rising.
        id: u64,
        /// When it was made.
        timestamp: Time,
        /// OK, WARNING, CRITICAL, ERROR; of pushes PAYLOAD_TOO_LARGE too.
        status_type: &'static str,
        /// Sids of the ExoPhones that cannot be called; null where that is not known.
        incoming_affected: Option<Vec<String>>,
        /// Sids of the ExoPhones that cannot call; null where that is not known.
        outgoing_affected: Option<Vec<String>>,
        /// Where it comes from, the numbers it rests on, and why it failed, if it did.
        raw_data: Raw,
        /// When it was stored.
        created_at: Time,
    }
}

impl From<HealthCheck> for Check {
    fn from(check: HealthCheck) -> Self {
        let source = match check.source {
            CheckSource::Poll => "poll",
            CheckSource::Push => "push",
        };
        Self {
            id: check.id,
            timestamp: Time(check.at),
            status_type: check.verdict.as_str(),
            incoming_affected: check.incoming,
            outgoing_affected: check.outgoing,
            raw_data: Raw { source, numbers: u64::from(check.numbers), error: check.error },
            created_at: Time(check.stored),
        }
    }
}

answer! {
    /// Sums of the health checks of a range.
    Stats {
        /// Checks.
        total: u64,
        /// Checks that found all numbers well.
        ok: u64,
        /// Checks that were CRITICAL or ERROR.
        errors: u64,
        /// Checks that were WARNING.
        warnings: u64,
        /// OK of those that could find out (all but ERROR), in percent; null if there were none.
        uptime: Option<f64>,
        /// ERROR of all: how much of the time nothing was known, in percent; null if there were none.
        blind: Option<f64>,
        /// The newest of them, at most 1,000; older ones are kept as sums alone.
        checks: Vec<Check>,
    }
}

answer! {
    /// What was done.
    Done {
        /// In words.
        message: String,
    }
}

/// Newest check of a poll.
pub(super) async fn current(State(shared): State<Shared>, ask: Ask) -> Result<Json<Option<Check>>, Refusal> {
    let newest = shared.desk.checks(ask.who.account, CheckSource::Poll, ALWAYS, 1).await?;
    Ok(Json(newest.into_iter().next().map(Check::from)))
}

/// Checks, newest first.
pub(super) async fn history(State(shared): State<Shared>, ask: Ask) -> Result<Json<Vec<Check>>, Refusal> {
    let source = match ask.text("source") {
        Some("push") => CheckSource::Push,
        _ => CheckSource::Poll,
    };
    let checks = shared.desk.checks(ask.who.account, source, ALWAYS, ask.limit(100)).await?;
    Ok(Json(checks.into_iter().map(Check::from).collect()))
}

/// Sums of a range.
pub(super) async fn stats(State(shared): State<Shared>, ask: Ask) -> Result<Json<Stats>, Refusal> {
    let range = ask.range(("startDate", "endDate"), shared.desk.now(), DAY)?;
    let counts = shared.desk.check_counts(ask.who.account, range).await?;
    let checks = shared.desk.checks(ask.who.account, CheckSource::Poll, range, MOST).await?;
    Ok(Json(summed(&counts, checks)))
}

fn summed(counts: &CheckCounts, checks: Vec<HealthCheck>) -> Stats {
    let (total, ok, failed) = (counts.total(), counts.of(Verdict::Ok), counts.of(Verdict::Error));
    Stats {
        total,
        ok,
        errors: counts.of(Verdict::Critical) + failed,
        warnings: counts.of(Verdict::Warning) + counts.of(Verdict::PayloadTooLarge),
        uptime: percent(ok, total - failed),
        blind: percent(failed, total),
        checks: checks.into_iter().map(Check::from).collect(),
    }
}

/// Polls now; the verdict is stored when the answer comes.
pub(super) async fn check(
    State(shared): State<Shared>,
    ask: Ask,
) -> Result<(StatusCode, Json<Done>), Refusal> {
    let verdict = shared.desk.check_now(ask.who.account).await?;
    let message = format!("The health check is done: {}.", verdict.as_str());
    Ok((StatusCode::CREATED, Json(Done { message })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_leaves_out_what_could_not_be_found_out() {
        let mut counts = CheckCounts::default();
        for (verdict, times) in
            [(Verdict::Ok, 5), (Verdict::Warning, 1), (Verdict::Critical, 1), (Verdict::Error, 3)]
        {
            (0..times).for_each(|_| counts.add(verdict));
        }
        let stats = summed(&counts, Vec::new());
        assert_eq!((stats.total, stats.ok, stats.errors, stats.warnings), (10, 5, 4, 1));
        assert_eq!((stats.uptime, stats.blind), (Some(71.43), Some(30.0)));
        let nothing = summed(&CheckCounts::default(), Vec::new());
        assert_eq!((nothing.total, nothing.uptime, nothing.blind), (0, None, None));
        let mut blind = CheckCounts::default();
        blind.add(Verdict::Error);
        assert_eq!(summed(&blind, Vec::new()).uptime, None);
    }
}

//! Rows that could not be read.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::ask::Ask;
use super::schema::Time;
use crate::model::WallTime;
use crate::web::access::Refusal;

answer! {
    /// A row of Exotel's call list that lacks a readable Sid, DateCreated or Status.
    SetAside {
        /// Identifies the row, as a text: it needs 64 bits.
        id: String,
        /// Sid, where it could be read.
        sid: Option<String>,
        /// What was expected and what came.
        reason: String,
        /// The row's text; numbers in it are shown as privacy.phone_numbers says.
        raw: String,
        /// It was created at this time or later.
        created_after: Time,
        /// It was created at this time or earlier.
        created_before: Time,
        /// When it was first read.
        first_seen: Time,
        /// When it is to be read again.
        retry_at: Time,
        /// Times it was read again in vain.
        tries: u64,
    }
}

/// Rows that wait to become readable, newest first.
pub(super) async fn set_aside(
    State(shared): State<Shared>,
    ask: Ask,
) -> Result<Json<Vec<SetAside>>, Refusal> {
    let mut rows = shared.desk.set_aside(ask.who.account).await?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.first_seen, row.id)));
    let wall = |seconds| Time(WallTime(seconds).to_timestamp(ask.who.offset));
    let rows = rows.into_iter().take(ask.limit(100)).map(|row| SetAside {
        id: format!("{:016x}", row.id),
        sid: row.sid,
        reason: row.reason,
        raw: shared.manner.numbers().show_text(&row.raw),
        created_after: wall(row.after),
        created_before: wall(row.before),
        first_seen: Time::seconds(row.first_seen),
        retry_at: Time::seconds(row.retry_at),
        tries: u64::from(row.tries),
    });
    Ok(Json(rows.collect()))
}

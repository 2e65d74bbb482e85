//! Rows that could not be read: kept as they came, with the bounds of where they belong.

use super::Context;
use crate::exotel::{Row, Window};
use crate::model::{SetAside, Sid, UnreadableRow, WallTime};

/// Rows that could not be read, each with the bounds of its creation time: its own where that can be read,
/// else those of its neighbours in the page, else those of the window.
pub(super) fn of_page(context: &Context, rows: &[Row], window: Option<Window>) -> Vec<SetAside> {
    let created = |row: &Row| match row {
        Row::Call(call) => Some(call.created),
        Row::Unreadable(row) => row.created,
    };
    let first = window.map_or(WallTime(0), |w| w.from);
    let last = window.map_or(context.now.to_wall(context.rules.offset), |w| w.to.plus(-1));
    let mut all = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let Row::Unreadable(unreadable) = row else { continue };
        let (after, before) = match unreadable.created {
            Some(created) => (created, created),
            None => (
                rows[..place].iter().rev().find_map(created).unwrap_or(first),
                rows[place + 1..].iter().find_map(created).unwrap_or(last),
            ),
        };
        all.push(SetAside::of(unreadable, after.min(before), before.max(after), context));
    }
    all
}

impl SetAside {
    fn of(row: &UnreadableRow, after: WallTime, before: WallTime, context: &Context) -> Self {
        Self {
            id: set_aside_id(row.sid.as_ref(), &row.raw),
            raw: row.raw.clone(),
            reason: row.reason.clone(),
            sid: row.sid.as_ref().map(ToString::to_string),
            after: after.0,
            before: before.0,
            first_seen: context.now.0,
            retry_at: context.now.plus(context.rules.part(6)).0,
            tries: 0,
        }
    }
}

/// Identifies a row that was set aside: by its Sid where that can be read, so that it is found when the row
/// can be; by its text otherwise.
pub fn set_aside_id(sid: Option<&Sid>, raw: &str) -> u64 {
    match sid {
        Some(sid) => xxhash_rust::xxh3::xxh3_64_with_seed(sid.as_str().as_bytes(), 1),
        None => xxhash_rust::xxh3::xxh3_64_with_seed(raw.as_bytes(), 2),
    }
}

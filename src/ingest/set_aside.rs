//! Rows that could not be read: kept as they came, with the bounds of where they belong.

use super::{Context, Page};
use crate::exotel::Row;
use crate::model::{SetAside, Sid, SidMap, Task, UnreadableRow, WallTime};

/// Rows that could not be read, each with the bounds of its creation time: its own where that can be read,
/// else that under which its call is filed already, else those of its neighbours in the page, else those
/// of what was asked for.
pub(super) fn of_page(page: &Page, filed: &SidMap<WallTime>) -> Vec<SetAside> {
    let Page { context, rows, .. } = page;
    let created = |row: &Row| match row {
        Row::Call(call) => Some(call.created),
        Row::Unreadable(row) => row.created,
    };
    let (first, last) = asked_for(page);
    // Whichever of the calls asked for by name it is: they are stored, and asked for again.
    let is_stored = page.asked.as_ref().is_some_and(|(task, _)| *task != Task::Confirm);
    let mut all = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let Row::Unreadable(unreadable) = row else { continue };
        if is_stored && unreadable.sid.is_none() {
            continue;
        }
        let known = unreadable.created.or_else(|| filed.get(unreadable.sid.as_ref()?).copied());
        let (after, before) = match known {
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

/// First and last second in which the calls asked for began. One that callbacks named was heard of while it
/// ran, or a little later.
fn asked_for(Page { context, window, asked, .. }: &Page) -> (WallTime, WallTime) {
    if let Some(window) = window {
        return (window.from, window.to.plus(-1));
    }
    let now = context.now.to_wall(context.rules.offset);
    let times = || asked.iter().flat_map(|(_, calls)| calls.iter().map(|(_, created)| *created));
    let first = times().min().unwrap_or(now).plus(-context.rules.lookback);
    (first, times().max().unwrap_or(now))
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

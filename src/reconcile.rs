//! `merge(existing, observation) -> Merged`: what we believe of a call after being told something.
//!
//! Pure: no clock, no store, no runtime. The rules, in the order in which they decide:
//! a final status beats one that is not, a value beats an absent one, of two values the one with the
//! newer `DateUpdated` wins, and at a tie a later reading wins over an earlier one. So the same final
//! answer of the API ends in the same record, whatever came before it.
//!
//! What v2 and v3 of the call API say comes after all that: it fills what v1 has not said, and v1 wins over it
//! whenever it comes, with one exception, a call that goes on in v1 and is over elsewhere is over.
//!
//! Callbacks are not merged into the record: what they say is kept beside it by [`hear`], so that their
//! order, repetition or loss can neither change what the API says nor reopen a finished call.

mod heard;

pub use heard::{Hearing, hear, join, mismatches};

use crate::model::{
    Book, CallRecord, Details, DetailsState, LegStatus, Observation, Status, Timestamp, WallTime,
};

/// From where an observation comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A row of a bulk page.
    Page,
    /// An answer for this one call, asked for with its details.
    Single,
    /// An answer for this one call by v2 or v3 of the call API.
    Newer,
}

/// The record after an observation.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What we now believe. Its bookkeeping has what the merge alone decides; settling is not part of it.
    pub record: CallRecord,
    /// How it differs from before.
    pub effect: Effect,
}

/// What an observation did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call was not known.
    New,
    /// Something about it changed.
    Updated,
    /// Nothing changed.
    Unchanged,
    /// It is filed under another creation time than before.
    Moved {
        /// Where it was.
        from: WallTime,
    },
}

/// Merges what was just said into what was known. `live_from` decides, for a call that the API names
/// for the first time, whether it is counted.
pub fn merge(
    existing: Option<&CallRecord>,
    said: &Observation,
    origin: Origin,
    live_from: WallTime,
    now: Timestamp,
) -> Merged {
    let mut record = match existing {
        Some(record) => record.clone(),
        None => {
            CallRecord { call: bare(said), book: Book { live: said.created >= live_from, ..Book::new(now) } }
        }
    };
    let newer = takes_precedence(&record, said, origin);
    fields(&mut record.call, said, newer);
    let book = &mut record.book;
    // Noted by a clock that ran ahead: what waits on it would wait for as long as that was wrong.
    book.first_seen = book.first_seen.min(now);
    book.over_seen = book.over_seen.map(|seen| seen.min(now));
    book.by_api |= origin != Origin::Newer;
    if let Some(details) = said.details {
        merge_details(&mut record.call.details, details, newer);
        if !book.details.is_known() && details_are_final(&record.call) {
            book.details = match origin {
                Origin::Page => DetailsState::Inline,
                Origin::Single | Origin::Newer => DetailsState::Fetched,
            };
        }
    }
    if book.over_seen.is_none() && record.call.is_over() {
        book.over_seen = Some(now);
        // It was asked for while it ran; what is asked now is another question.
        book.asks = 0;
    }
    let effect = match existing {
        None => Effect::New,
        Some(old) if old.call.created != record.call.created => Effect::Moved { from: old.call.created },
        Some(old) if *old == record => Effect::Unchanged,
        Some(_) => Effect::Updated,
    };
    Merged { record, effect }
}

fn details_are_final(call: &Observation) -> bool {
    call.details
        .is_some_and(|d| d.leg1 != Some(LegStatus::InProgress) && d.leg2 != Some(LegStatus::InProgress))
        && call.is_over()
}

/// An observation with the identity of `said` and nothing else, so that merging fills it.
fn bare(said: &Observation) -> Observation {
    Observation::new(said.sid.clone(), said.created, said.status)
}

/// Whether the values of `said` win over those we hold.
fn takes_precedence(record: &CallRecord, said: &Observation, origin: Origin) -> bool {
    match (record.book.by_api, origin) {
        (true, Origin::Newer) => return false,
        // Only v2 or v3 has spoken so far, by another record than the one that DateUpdated is of.
        (false, Origin::Page | Origin::Single) => return true,
        _ => {}
    }
    match (said.updated, record.call.updated) {
        (Some(new), Some(old)) if new != old => new > old,
        (None, Some(_)) => false,
        (Some(_), None) => true,
        _ => true,
    }
}

fn fields(held: &mut Observation, said: &Observation, newer: bool) {
    let over = held.is_over();
    if (newer && (!over || said.is_over())) || (!over && said.is_over()) {
        held.status = said.status;
    }
    if newer {
        held.created = said.created;
    }
    /// A value beats an absent one; of two values the newer one wins.
    fn take<T: Clone>(held: &mut Option<T>, said: &Option<T>, newer: bool) {
        if said.is_some() && (newer || held.is_none()) {
            held.clone_from(said);
        }
    }
    take(&mut held.updated, &said.updated, newer);
    take(&mut held.parent, &said.parent, newer);
    take(&mut held.direction, &said.direction, newer);
    take(&mut held.start, &said.start, newer);
    take(&mut held.end, &said.end, newer);
    take(&mut held.duration, &said.duration, newer);
    take(&mut held.price, &said.price, newer);
    take(&mut held.to, &said.to, newer);
    take(&mut held.from, &said.from, newer);
    take(&mut held.exophone, &said.exophone, newer);
    take(&mut held.answered_by, &said.answered_by, newer);
    take(&mut held.forwarded_from, &said.forwarded_from, newer);
    take(&mut held.caller_name, &said.caller_name, newer);
    take(&mut held.custom_field, &said.custom_field, newer);
    take(&mut held.uri, &said.uri, newer);
    take(&mut held.recording_url, &said.recording_url, newer);
    merge_odd(held, said, newer);
}

/// Most entries and bytes of oddities kept of one call, whatever its rows bring: as much as of one row.
const MAX_ODD: usize = 32;
const MAX_ODD_BYTES: usize = 4096;
/// Name of the entry that says how many were left out; sorts after every key of Exotel's.
const LEFT_OUT: &str = "~left_out";

/// Oddities by name: the newer text wins, and one is dropped once its field can be read.
fn merge_odd(held: &mut Observation, said: &Observation, newer: bool) {
    if held.odd == said.odd {
        return;
    }
    let still_odd = |name: &str| said.odd.iter().any(|(other, _)| other == name);
    held.odd.retain(|(name, _)| !(newer && is_readable(said, name) && !still_odd(name)));
    for (name, raw) in &said.odd {
        match held.odd.iter_mut().find(|(other, _)| other == name) {
            Some(entry) if newer => entry.1.clone_from(raw),
            Some(_) => {}
            None => held.odd.push((name.clone(), raw.clone())),
        }
    }
    held.odd.sort();
    bound_odd(&mut held.odd);
}

/// Whether `said` gives a value for the field of this name.
fn is_readable(said: &Observation, name: &str) -> bool {
    match name {
        "DateUpdated" => said.updated.is_some(),
        "ParentCallSid" => said.parent.is_some(),
        "StartTime" => said.start.is_some(),
        "EndTime" => said.end.is_some(),
        "Duration" => said.duration.is_some(),
        "Price" => said.price.is_some(),
        "Direction" => said.direction.is_some(),
        "Status" => said.status != Status::Other,
        "To" => said.to.is_some(),
        "From" => said.from.is_some(),
        "PhoneNumber" | "PhoneNumberSid" => said.exophone.is_some(),
        "AnsweredBy" => said.answered_by.is_some(),
        "ForwardedFrom" => said.forwarded_from.is_some(),
        "CallerName" => said.caller_name.is_some(),
        "CustomField" => said.custom_field.is_some(),
        "Uri" => said.uri.is_some(),
        "RecordingUrl" => said.recording_url.is_some(),
        "Details" => said.details.is_some(),
        "ConversationDuration" | "Details.ConversationDuration" => {
            said.details.is_some_and(|d| d.conversation.is_some())
        }
        "Leg1Status" | "Details.Leg1Status" => said.details.is_some_and(|d| d.leg1.is_some()),
        "Leg2Status" | "Details.Leg2Status" => said.details.is_some_and(|d| d.leg2.is_some()),
        _ => false,
    }
}

/// Rows that each bring other names must not make a record grow without end.
fn bound_odd(odd: &mut Vec<(String, String)>) {
    let (mut count, mut bytes, mut left_out) = (0, 0, 0_usize);
    odd.retain(|(name, raw)| {
        if name == LEFT_OUT {
            return true;
        }
        let fits = count < MAX_ODD && bytes + name.len() + raw.len() <= MAX_ODD_BYTES;
        if fits {
            (count, bytes) = (count + 1, bytes + name.len() + raw.len());
        } else {
            left_out += 1;
        }
        fits
    });
    if left_out > 0 {
        odd.retain(|(name, _)| name != LEFT_OUT);
        odd.push((LEFT_OUT.to_owned(), left_out.to_string()));
        odd.sort();
    }
}

fn merge_details(held: &mut Option<Details>, said: Details, newer: bool) {
    let Some(held) = held else {
        *held = Some(said);
        return;
    };
    fn take<T: Copy>(held: &mut Option<T>, said: Option<T>, newer: bool) {
        if said.is_some() && (newer || held.is_none()) {
            *held = said;
        }
    }
    take(&mut held.conversation, said.conversation, newer);
    take(&mut held.leg1, said.leg1, newer);
    take(&mut held.leg2, said.leg2, newer);
    take(&mut held.leg1_seconds, said.leg1_seconds, newer);
    take(&mut held.leg2_seconds, said.leg2_seconds, newer);
}

#[cfg(test)]
mod versions;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sid;

    const NOW: Timestamp = Timestamp(1_772_457_400);
    const EPOCH: WallTime = WallTime(0);

    fn said(status: Status, updated: i64) -> Observation {
        let mut call = Observation::new(Sid::parse("c1").expect("a sid"), WallTime(1_000), status);
        call.updated = Some(WallTime(updated));
        call
    }

    fn fold(all: &[Observation]) -> CallRecord {
        let mut held: Option<CallRecord> = None;
        for said in all {
            held = Some(merge(held.as_ref(), said, Origin::Page, EPOCH, NOW).record);
        }
        held.expect("at least one observation")
    }

    #[test]
    fn a_late_row_does_not_reopen_a_finished_call() {
        let record = fold(&[said(Status::Completed, 10), said(Status::InProgress, 20)]);
        assert_eq!(record.call.status, Status::Completed);
        let record = fold(&[said(Status::InProgress, 20), said(Status::Completed, 10)]);
        assert_eq!(record.call.status, Status::Completed);
    }

    #[test]
    fn a_value_beats_absence_and_the_newer_value_beats_the_older() {
        let mut first = said(Status::Completed, 10);
        first.duration = Some(17);
        first.price = Some(1_500_000);
        let mut second = said(Status::Completed, 20);
        second.duration = Some(21);
        for order in [[first.clone(), second.clone()], [second, first]] {
            let record = fold(&order);
            assert_eq!(record.call.duration, Some(21));
            assert_eq!(record.call.price, Some(1_500_000));
        }
    }

    #[test]
    fn the_same_row_again_changes_nothing() {
        let row = said(Status::Completed, 10);
        let first = merge(None, &row, Origin::Page, EPOCH, NOW);
        assert_eq!(first.effect, Effect::New);
        let again = merge(Some(&first.record), &row, Origin::Page, EPOCH, NOW.plus(60));
        assert_eq!(again.effect, Effect::Unchanged);
        assert_eq!(again.record, first.record);
    }

    #[test]
    fn another_creation_time_is_a_move_only_if_the_row_is_not_older() {
        let first = merge(None, &said(Status::Completed, 10), Origin::Page, EPOCH, NOW).record;
        let mut row = said(Status::Completed, 20);
        row.created = WallTime(2_000);
        let moved = merge(Some(&first), &row, Origin::Page, EPOCH, NOW);
        assert_eq!(moved.effect, Effect::Moved { from: WallTime(1_000) });
        row.updated = Some(WallTime(5));
        let stale = merge(Some(&first), &row, Origin::Page, EPOCH, NOW);
        assert_eq!(stale.effect, Effect::Unchanged);
    }

    #[test]
    fn an_oddity_goes_once_the_field_can_be_read() {
        let mut odd = said(Status::Completed, 10);
        odd.odd = vec![("Duration".into(), "\"soon\"".into()), ("Extra".into(), "1".into())];
        let mut good = said(Status::Completed, 20);
        good.duration = Some(17);
        let record = fold(&[odd, good]);
        assert_eq!(record.call.odd, vec![("Extra".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn oddities_of_many_rows_stay_within_the_bounds_of_one() {
        let odd = |n: i64| {
            let mut row = said(Status::Completed, 10 + n);
            row.odd = (0..30).map(|i| (format!("Key{:03}", (n * 7 + i) % 400), "x".repeat(40))).collect();
            row.odd.push(("Price".into(), "\"much\"".into()));
            row.odd.sort();
            row
        };
        let rows: Vec<Observation> = (0..100).map(odd).collect();
        let record = fold(&rows);
        let bytes: usize = record.call.odd.iter().map(|(name, raw)| name.len() + raw.len()).sum();
        assert!(record.call.odd.len() <= MAX_ODD + 1 && bytes <= MAX_ODD_BYTES + 20, "{bytes}");
        assert!(record.call.odd.iter().any(|(name, _)| name == LEFT_OUT));
        // What was left out once does not make the same rows say something new for ever.
        let mut held = record;
        for _ in 0..3 {
            for row in &rows[98..] {
                held = merge(Some(&held), row, Origin::Page, EPOCH, NOW).record;
            }
        }
        for row in &rows[98..] {
            assert_eq!(merge(Some(&held), row, Origin::Page, EPOCH, NOW).effect, Effect::Unchanged);
        }
    }

    #[test]
    fn an_oddity_of_any_field_goes_once_it_can_be_read() {
        let mut odd = said(Status::Other, 10);
        let names =
            ["AnsweredBy", "From", "Leg1Status", "ParentCallSid", "PhoneNumberSid", "Status", "To", "Uri"];
        odd.odd = names.iter().map(|name| ((*name).to_owned(), "[]".to_owned())).collect();
        let mut good = said(Status::Completed, 20);
        good.answered_by = Some(crate::model::AnsweredBy::Human);
        (good.to, good.from, good.uri) = (Some("1".into()), Some("2".into()), Some("/".into()));
        (good.parent, good.exophone) = (Sid::parse("p"), Some("3".into()));
        good.details = Some(Details { leg1: Some(LegStatus::Busy), ..Details::default() });
        assert_eq!(fold(&[odd, good]).call.odd, []);
    }

    #[test]
    fn details_of_a_running_call_are_not_taken_for_final() {
        let mut row = said(Status::InProgress, 10);
        row.details = Some(Details { leg1: Some(LegStatus::InProgress), ..Details::default() });
        let record = merge(None, &row, Origin::Single, EPOCH, NOW).record;
        assert_eq!(record.book.details, DetailsState::Missing);
        let mut done = said(Status::Completed, 20);
        done.details = Some(Details { leg1: Some(LegStatus::Completed), ..Details::default() });
        let record = merge(Some(&record), &done, Origin::Single, EPOCH, NOW).record;
        assert_eq!(record.book.details, DetailsState::Fetched);
        assert_eq!(record.book.over_seen, Some(NOW));
    }

    #[test]
    fn a_call_that_a_clock_ahead_noted_is_seen_now_when_it_is_told_of_again() {
        let ahead = merge(None, &said(Status::Completed, 10), Origin::Page, EPOCH, NOW.plus(86_400)).record;
        let again = merge(Some(&ahead), &said(Status::Completed, 10), Origin::Page, EPOCH, NOW);
        assert_eq!((again.record.book.first_seen, again.record.book.over_seen), (NOW, Some(NOW)));
        assert_eq!(again.effect, Effect::Updated, "so that its agenda is made anew");
        let later =
            merge(Some(&again.record), &said(Status::Completed, 10), Origin::Page, EPOCH, NOW.plus(60));
        assert_eq!(later.effect, Effect::Unchanged);
    }

    #[test]
    fn liveness_is_decided_once() {
        let row = said(Status::Completed, 10);
        let old = merge(None, &row, Origin::Page, WallTime(1_001), NOW).record;
        assert!(!old.book.live);
        let again = merge(Some(&old), &said(Status::Completed, 20), Origin::Page, EPOCH, NOW).record;
        assert!(!again.book.live);
    }
}

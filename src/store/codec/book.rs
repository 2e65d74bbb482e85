//! The part of a value that is our own bookkeeping, and the numbers that both parts use.

use super::heard::{read_heard, write_heard};
use super::{
    AGENDA, AWAITED, BY_API, DECIDED, HEARD, LIVE, OVER_AT_FIRST, OVER_SEEN, READ_FINAL, SETTLED, TRIES,
};
use crate::model::{
    Awaited, Book, CallRecord, Details, DetailsState, Direction, ExoPhoneId, LegStatus, Observation, Outcome,
    Settled, SettledKind, Status, Task, Timestamp, WallTime,
};
use crate::store::bytes::{Malformed, Reader, Writer};

/// `created` is the creation time as the key gives it. Differences wrap, so that any time is kept.
pub(super) fn write_book(w: &mut Writer, CallRecord { call, book }: &CallRecord, created: WallTime) {
    let since = |time: Timestamp| time.0.wrapping_sub(book.first_seen.0);
    w.int(book.first_seen.0.wrapping_sub(created.0));
    if let Some(over) = book.over_seen
        && over != book.first_seen
    {
        w.int(since(over));
    }
    if book.details_tries | book.asks | book.price_asks != 0 {
        w.0.extend_from_slice(&[book.details_tries, book.asks, book.price_asks]);
    }
    if let Some(settled) = &book.settled {
        let same_direction = call.direction == Some(settled.direction);
        let same_status = call.status == settled.status;
        let same_seconds = settled.seconds == call.duration.unwrap_or(0);
        let same_cost = settled.cost == call.price.unwrap_or(0);
        let talk = call.details.and_then(|d| d.conversation);
        let same_talk = settled.conversation.is_some() && settled.conversation == talk;
        let bit = |set: bool, place: u8| u8::from(set) << place;
        w.byte(settled.kind as u8 | (settled.outcome.code() << 2));
        w.byte(
            bit(same_direction, 0)
                | bit(same_status, 1)
                | bit(same_seconds, 2)
                | bit(same_cost, 3)
                | bit(same_talk, 4)
                | bit(settled.conversation.is_none(), 5),
        );
        w.int(since(settled.at));
        w.uint(u64::from(settled.exophone.0));
        if !same_direction {
            w.byte(settled.direction.code());
        }
        if !same_status {
            w.byte(settled.status.code());
        }
        if !same_seconds {
            w.uint(u64::from(settled.seconds));
        }
        if !same_cost {
            write_money(w, settled.cost);
        }
        if let Some(talk) = settled.conversation.filter(|_| !same_talk) {
            w.uint(u64::from(talk));
        }
    }
    if !book.agenda.is_empty() {
        w.byte(book.agenda.len() as u8);
        for (task, due) in &book.agenda {
            w.byte(*task as u8);
            w.int(since(*due));
        }
    }
    if let Some(heard) = &book.heard {
        write_heard(w, heard, book.first_seen);
    }
}

pub(super) fn read_book(
    r: &mut Reader<'_>,
    call: &Observation,
    flags: u32,
    details: DetailsState,
) -> Result<Book, Malformed> {
    let has = |bit: u32| flags & bit != 0;
    let first_seen = Timestamp(call.created.0.wrapping_add(r.int()?));
    let after = |seconds: i64| Timestamp(first_seen.0.wrapping_add(seconds));
    let mut book = Book { details, ..Book::new(first_seen) };
    if has(OVER_SEEN) {
        let over = if has(OVER_AT_FIRST) { first_seen } else { after(r.int()?) };
        book.over_seen = Some(over);
    }
    book.by_api = has(BY_API);
    book.live = has(LIVE);
    book.read_final = has(READ_FINAL);
    if has(TRIES) {
        let tries = r.bytes(3)?;
        (book.details_tries, book.asks, book.price_asks) = (tries[0], tries[1], tries[2]);
    }
    if has(SETTLED) {
        let packed = r.byte()?;
        let same = r.byte()?;
        let is_same = |place: u8| same & (1 << place) != 0;
        let at = after(r.int()?);
        let exophone = ExoPhoneId(r.small()?);
        let direction = match call.direction {
            Some(direction) if is_same(0) => direction,
            _ => Direction::from_code(r.byte()?).ok_or(Malformed)?,
        };
        let status = if is_same(1) { call.status } else { Status::from_code(r.byte()?).ok_or(Malformed)? };
        let seconds = if is_same(2) { call.duration.unwrap_or(0) } else { r.small()? };
        let cost = if is_same(3) { call.price.unwrap_or(0) } else { read_money(r)? };
        let conversation = match (is_same(4), is_same(5)) {
            (true, _) => call.details.and_then(|d| d.conversation),
            (false, true) => None,
            (false, false) => Some(r.small()?),
        };
        book.settled = Some(Settled {
            at,
            kind: SettledKind::from_code(packed & 3).ok_or(Malformed)?,
            exophone,
            direction,
            status,
            outcome: Outcome::from_code(packed >> 2).ok_or(Malformed)?,
            seconds,
            cost,
            conversation,
        });
    }
    if has(AGENDA) {
        for _ in 0..r.byte()? {
            let task = Task::from_code(r.byte()?).ok_or(Malformed)?;
            book.agenda.push((task, after(r.int()?)));
        }
    }
    if has(HEARD) {
        book.heard = Some(Box::new(read_heard(r, first_seen)?));
    }
    book.awaited = match (has(AWAITED), has(DECIDED)) {
        (false, false) => Awaited::No,
        (true, false) => Awaited::Yes,
        (false, true) => Awaited::Came,
        (true, true) => Awaited::Missed,
    };
    Ok(book)
}

/// Prices mostly have three decimals: whole thousandths take a byte less. Even numbers are thousandths,
/// odd ones millionths; what fits neither follows whole after a mark.
pub(super) fn write_money(w: &mut Writer, micros: i64) {
    let doubled = micros.checked_mul(2);
    match doubled {
        _ if micros % 1000 == 0 => w.int(micros / 1000 * 2),
        Some(doubled) => w.int(doubled | 1),
        None => {
            w.int(WHOLE);
            w.0.extend_from_slice(&micros.to_le_bytes());
        }
    }
}

/// As thousandths it would be more than a number can hold.
const WHOLE: i64 = i64::MIN;

pub(super) fn read_money(r: &mut Reader<'_>) -> Result<i64, Malformed> {
    match r.int()? {
        WHOLE => Ok(i64::from_le_bytes(r.bytes(8)?.try_into().map_err(|_| Malformed)?)),
        value if value & 1 == 0 => (value / 2).checked_mul(1000).ok_or(Malformed),
        value => Ok(value >> 1),
    }
}

pub(super) fn write_details(w: &mut Writer, details: Details) {
    let leg = |leg: Option<LegStatus>| leg.map_or(0, |l| l.code() + 1);
    w.byte(leg(details.leg1) | leg(details.leg2) << 4);
    let values = [details.conversation, details.leg1_seconds, details.leg2_seconds];
    // Present values are written as one more than they are, so that 0 means absent.
    for value in values {
        w.uint(value.map_or(0, |v| u64::from(v) + 1));
    }
}

pub(super) fn read_details(r: &mut Reader<'_>) -> Result<Details, Malformed> {
    let legs = r.byte()?;
    let leg = |code: u8| match code {
        0 => Ok(None),
        code => LegStatus::from_code(code - 1).map(Some).ok_or(Malformed),
    };
    let mut value = || -> Result<Option<u32>, Malformed> {
        match r.uint()? {
            0 => Ok(None),
            more => u32::try_from(more - 1).map(Some).map_err(|_| Malformed),
        }
    };
    Ok(Details {
        leg1: leg(legs & 15)?,
        leg2: leg(legs >> 4)?,
        conversation: value()?,
        leg1_seconds: value()?,
        leg2_seconds: value()?,
    })
}

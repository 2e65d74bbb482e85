//! The bytes of what callbacks said: the tail of a call's value, and a value of its own while the API has
//! not named the call.

use super::book::{read_details, read_money, write_details, write_money};
use crate::model::callback::CallEvent;
use crate::model::series::EventStatus;
use crate::model::{Answered, Direction, Final, Heard, Status, Timestamp, Unlisted, WallTime};
use crate::store::bytes::{Malformed, Reader, Writer};

/// Version of the layout of an [`Unlisted`].
const VERSION: u8 = 1;

/// Declares bits from 0 on. Append only.
macro_rules! bits {
    ($($name:ident)+) => { bits!(@ 0u16; $($name)+); };
    (@ $n:expr; $name:ident $($rest:ident)*) => { const $name: u16 = 1 << ($n); bits!(@ $n + 1; $($rest)*); };
    (@ $n:expr;) => {};
}

bits! {
    DIRECTION START ANSWERED COUNTED PASSTHRU DIFFERS END UPDATED STATUS DURATION PRICE DETAILS FLOW_ENDED
}

/// Writes what was heard. Times are differences to `base`, which wrap, so that any time is kept.
pub(super) fn write_heard(w: &mut Writer, heard: &Heard, base: Timestamp) {
    let end = heard.end.as_ref();
    let bits = [
        (heard.direction.is_some(), DIRECTION),
        (heard.start.is_some(), START),
        (matches!(heard.answered, Answered::At(_)), ANSWERED),
        (heard.answered == Answered::Counted, COUNTED),
        (heard.passthru.is_some(), PASSTHRU),
        (heard.differs != 0, DIFFERS),
        (end.is_some(), END),
        (end.is_some_and(|e| e.updated.is_some()), UPDATED),
        (end.is_some_and(|e| e.status.is_some()), STATUS),
        (end.is_some_and(|e| e.duration.is_some()), DURATION),
        (end.is_some_and(|e| e.price.is_some()), PRICE),
        (end.is_some_and(|e| e.details.is_some()), DETAILS),
        (heard.flow_ended, FLOW_ENDED),
    ];
    let flags = bits.into_iter().fold(0, |all, (set, bit)| if set { all | bit } else { all });
    w.0.extend_from_slice(&flags.to_le_bytes());
    let first = heard.first;
    let since = |w: &mut Writer, time: i64| w.int(time.wrapping_sub(first.0));
    w.int(first.0.wrapping_sub(base.0));
    since(w, heard.last.0);
    w.uint(heard.said.len() as u64);
    for (event, status) in &heard.said {
        w.0.extend_from_slice(&[event.code(), status.code()]);
    }
    w.uint(heard.same.len() as u64);
    for hash in &heard.same {
        w.0.extend_from_slice(&hash.to_le_bytes());
    }
    if let Some(direction) = heard.direction {
        w.byte(direction.code());
    }
    if let Some(start) = heard.start {
        since(w, start.0);
    }
    if let Answered::At(at) = heard.answered {
        since(w, at.0);
    }
    if let Some(at) = heard.passthru {
        since(w, at.0);
    }
    if heard.differs != 0 {
        w.byte(heard.differs);
    }
    let Some(end) = end else { return };
    since(w, end.at.0);
    if let Some(updated) = end.updated {
        since(w, updated.0);
    }
    if let Some(status) = end.status {
        w.byte(status.code());
    }
    if let Some(duration) = end.duration {
        w.uint(u64::from(duration));
    }
    if let Some(price) = end.price {
        write_money(w, price);
    }
    if let Some(details) = end.details {
        write_details(w, details);
    }
}

pub(super) fn read_heard(r: &mut Reader<'_>, base: Timestamp) -> Result<Heard, Malformed> {
    let flags = u16::from_le_bytes(r.bytes(2)?.try_into().map_err(|_| Malformed)?);
    let has = |bit: u16| flags & bit != 0;
    let first = Timestamp(base.0.wrapping_add(r.int()?));
    let mut heard = Heard::new(first);
    let after = |seconds: i64| first.0.wrapping_add(seconds);
    heard.last = Timestamp(after(r.int()?));
    for _ in 0..r.small::<usize>()? {
        let (event, status) = (usize::from(r.byte()?), usize::from(r.byte()?));
        let event = CallEvent::ALL.get(event).ok_or(Malformed)?;
        heard.said.push((*event, *EventStatus::ALL.get(status).ok_or(Malformed)?));
    }
    for _ in 0..r.small::<usize>()? {
        heard.same.push(u64::from_le_bytes(r.bytes(8)?.try_into().map_err(|_| Malformed)?));
    }
    if has(DIRECTION) {
        heard.direction = Some(Direction::from_code(r.byte()?).ok_or(Malformed)?);
    }
    if has(START) {
        heard.start = Some(WallTime(after(r.int()?)));
    }
    if has(ANSWERED) {
        heard.answered = Answered::At(Timestamp(after(r.int()?)));
    } else if has(COUNTED) {
        heard.answered = Answered::Counted;
    }
    if has(PASSTHRU) {
        heard.passthru = Some(Timestamp(after(r.int()?)));
    }
    heard.flow_ended = has(FLOW_ENDED);
    if has(DIFFERS) {
        heard.differs = r.byte()?;
    }
    if has(END) {
        heard.end = Some(Final {
            at: Timestamp(after(r.int()?)),
            updated: if has(UPDATED) { Some(WallTime(after(r.int()?))) } else { None },
            status: if has(STATUS) { Some(Status::from_code(r.byte()?).ok_or(Malformed)?) } else { None },
            duration: if has(DURATION) { Some(r.small()?) } else { None },
            price: if has(PRICE) { Some(read_money(r)?) } else { None },
            details: if has(DETAILS) { Some(read_details(r)?) } else { None },
        });
    }
    Ok(heard)
}

/// The value of a call that only callbacks named, without its checksum.
pub(in crate::store) fn encode_unlisted(call: &Unlisted) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(64));
    w.byte(VERSION);
    // One more than it is, so that 0 means none.
    w.uint(call.ask_at.map_or(0, |at| at.0.max(0).unsigned_abs() + 1));
    write_heard(&mut w, &call.heard, Timestamp(call.filed.0));
    w.0
}

/// Reads it back; `filed` stands in its key.
///
/// # Errors
/// [`Malformed`] for bytes that [`encode_unlisted`] does not make.
pub(in crate::store) fn decode_unlisted(filed: WallTime, bytes: &[u8]) -> Result<Unlisted, Malformed> {
    let mut r = Reader(bytes);
    if r.byte()? != VERSION {
        return Err(Malformed);
    }
    let ask_at = match r.uint()? {
        0 => None,
        more => Some(Timestamp(i64::try_from(more - 1).map_err(|_| Malformed)?)),
    };
    let heard = read_heard(&mut r, Timestamp(filed.0))?;
    if r.0.is_empty() { Ok(Unlisted { filed, heard, ask_at }) } else { Err(Malformed) }
}

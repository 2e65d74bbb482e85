//! The bytes of a call: key and value.
//!
//! Key: account (2 bytes, big endian), creation time on Exotel's wall clock (4, big endian), Sid (17 in
//! every form seen, its text otherwise). Ordered by time within an account, which keeps new rows on few
//! pages of the tree.
//!
//! Value: version, flags, the fields that are present, then a checksum over key and value: a flipped bit,
//! or a value under another key, is an error and never data. Nothing is lost: what does not fit the
//! compact form of a field is kept as its text.

mod book;
mod heard;
mod sid;
#[cfg(test)]
mod tests;

pub(super) use heard::{decode_unlisted, encode_unlisted};
pub use sid::sid_hash;
pub(super) use sid::{push_sid, read_sid};

use self::book::{read_book, read_details, read_money, write_book, write_details, write_money};
use super::bytes::{Malformed, Reader, Writer};
use super::seal::sum_of;
use crate::model::{
    AccountId, AnsweredBy, Awaited, CallRecord, DetailsState, Direction, Observation, Sid, Status, WallTime,
};

/// Version of the value's layout.
const VERSION: u8 = 1;
/// Bytes of the checksum at the end of a value.
const CHECKSUM: usize = 4;

/// The key of a call.
pub fn call_key(account: AccountId, created: WallTime, sid: &Sid) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.extend_from_slice(&time_key(account, created));
    push_sid(&mut key, sid);
    key
}

/// The first bytes of every key of this account and second; times outside 1970 to 2106 are clamped.
pub fn time_key(account: AccountId, created: WallTime) -> [u8; 6] {
    let mut key = [0; 6];
    key[..2].copy_from_slice(&account.0.to_be_bytes());
    key[2..].copy_from_slice(&stored_time(created).to_be_bytes());
    key
}

/// A creation time as keys hold it.
pub(super) fn stored_time(created: WallTime) -> u32 {
    u32::try_from(created.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// Reads a key back.
///
/// # Errors
/// [`Malformed`] for bytes that [`call_key`] does not make.
pub fn read_call_key(key: &[u8]) -> Result<(AccountId, WallTime, Sid), Malformed> {
    let mut r = Reader(key);
    let account = AccountId(u16::from_be_bytes(r.bytes(2)?.try_into().map_err(|_| Malformed)?));
    let seconds = u32::from_be_bytes(r.bytes(4)?.try_into().map_err(|_| Malformed)?);
    Ok((account, WallTime(i64::from(seconds)), read_sid(r.0)?))
}

/// Declares the flag bits of a value, from 0 on. Append only.
macro_rules! flags {
    ($($name:ident)+) => { flags!(@ 0u32; $($name)+); };
    (@ $n:expr; $name:ident $($rest:ident)*) => { const $name: u32 = 1 << ($n); flags!(@ $n + 1; $($rest)*); };
    (@ $n:expr;) => {};
}

flags! {
    UPDATED PARENT DIRECTION START END DURATION PRICE TO FROM EXOPHONE ANSWERED_BY FORWARDED_FROM
    CALLER_NAME CUSTOM_FIELD URI RECORDING DETAILS ODD OVER_SEEN OVER_AT_FIRST BY_API HEARD LIVE
    TRIES SETTLED AGENDA AWAITED DECIDED READ_FINAL
}

/// Texts that are the same for every call but for its Sid (`\u{1}`) and the account's (`\u{2}`). Append only.
const TEMPLATES: [&str; 6] = [
    "/v1/Accounts/\u{2}/Calls.json/\u{1}",
    "/v1/Accounts/\u{2}/Calls/\u{1}",
    "/v1/Accounts/\u{2}/Calls/\u{1}.json",
    "https://recordings.exotel.com/exotelrecordings/\u{2}/\u{1}.mp3",
    "https://s3-ap-southeast-1.amazonaws.com/exotelrecordings/\u{2}/\u{1}.mp3",
    "/v1/Accounts/\u{2}/Calls/\u{1}/",
];

/// The value of a call under its key. `account_sid` only shortens texts that contain it.
pub fn encode_call(record: &CallRecord, key: &[u8], account_sid: &str) -> Vec<u8> {
    let CallRecord { call, book } = record;
    let mut w = Writer(Vec::with_capacity(112));
    w.byte(VERSION);
    w.0.extend_from_slice(&flags_of(record).to_le_bytes());
    w.byte(call.status.code() | ((book.details as u8) << 4));
    // As the key gives it, which is what the reader has; differences wrap, so that any time is kept.
    let created = WallTime(i64::from(stored_time(call.created)));
    let since = |w: &mut Writer, time: Option<WallTime>| {
        if let Some(time) = time {
            w.int(time.0.wrapping_sub(created.0));
        }
    };
    since(&mut w, call.updated);
    since(&mut w, call.start);
    since(&mut w, call.end);
    if let Some(parent) = &call.parent {
        let mut sid = Vec::with_capacity(18);
        push_sid(&mut sid, parent);
        w.uint(sid.len() as u64);
        w.0.extend_from_slice(&sid);
    }
    if let Some(direction) = call.direction {
        w.byte(direction.code());
    }
    if let Some(duration) = call.duration {
        w.uint(u64::from(duration));
    }
    if let Some(price) = call.price {
        write_money(&mut w, price);
    }
    for number in [&call.to, &call.from, &call.exophone, &call.forwarded_from].into_iter().flatten() {
        w.number(number);
    }
    if let Some(answered_by) = call.answered_by {
        w.byte(answered_by.code());
    }
    for text in [&call.caller_name, &call.custom_field].into_iter().flatten() {
        w.text(text);
    }
    for text in [&call.uri, &call.recording_url].into_iter().flatten() {
        write_template(&mut w, text, call.sid.as_str(), account_sid);
    }
    if let Some(details) = call.details {
        write_details(&mut w, details);
    }
    if !call.odd.is_empty() {
        w.uint(call.odd.len() as u64);
        for (name, raw) in &call.odd {
            w.text(name);
            w.text(raw);
        }
    }
    write_book(&mut w, record, created);
    let sum = checksum(key, &w.0);
    w.0.extend_from_slice(&sum);
    w.0
}

/// Reads a value back.
///
/// # Errors
/// [`Malformed`] if the checksum over key and value does not fit, or the version is not known.
pub fn decode_call(key: &[u8], value: &[u8], account_sid: &str) -> Result<CallRecord, Malformed> {
    read_call(key, value, Texts::Read { account_sid })
}

/// The same without what no filter asks for: the numbers of the parties, names, texts and URLs are left out.
///
/// # Errors
/// As [`decode_call`].
pub(super) fn skim_call(key: &[u8], value: &[u8]) -> Result<CallRecord, Malformed> {
    read_call(key, value, Texts::LeftOut)
}

/// Whether texts are read.
#[derive(Clone, Copy)]
enum Texts<'a> {
    Read { account_sid: &'a str },
    LeftOut,
}

fn read_call(key: &[u8], value: &[u8], texts: Texts<'_>) -> Result<CallRecord, Malformed> {
    let (_, created, sid) = read_call_key(key)?;
    let split = value.len().checked_sub(CHECKSUM).ok_or(Malformed)?;
    let (body, sum) = value.split_at(split);
    if checksum(key, body) != sum {
        return Err(Malformed);
    }
    let mut r = Reader(body);
    if r.byte()? != VERSION {
        return Err(Malformed);
    }
    let flags = u32::from_le_bytes(r.bytes(4)?.try_into().map_err(|_| Malformed)?);
    let has = |bit: u32| flags & bit != 0;
    let packed = r.byte()?;
    let status = Status::from_code(packed & 15).ok_or(Malformed)?;
    let mut call = Observation::new(sid, created, status);
    let since = |r: &mut Reader<'_>, bit| -> Result<Option<WallTime>, Malformed> {
        if has(bit) { Ok(Some(WallTime(created.0.wrapping_add(r.int()?)))) } else { Ok(None) }
    };
    call.updated = since(&mut r, UPDATED)?;
    call.start = since(&mut r, START)?;
    call.end = since(&mut r, END)?;
    if has(PARENT) {
        let length = r.small::<usize>()?;
        call.parent = Some(read_sid(r.bytes(length)?)?);
    }
    if has(DIRECTION) {
        call.direction = Some(Direction::from_code(r.byte()?).ok_or(Malformed)?);
    }
    if has(DURATION) {
        call.duration = Some(r.small()?);
    }
    if has(PRICE) {
        call.price = Some(read_money(&mut r)?);
    }
    let number = |r: &mut Reader<'_>, bit| -> Result<Option<String>, Malformed> {
        match texts {
            _ if !has(bit) => Ok(None),
            Texts::LeftOut if bit != EXOPHONE => r.skip_number().map(|()| None),
            _ => r.number().map(Some),
        }
    };
    call.to = number(&mut r, TO)?;
    call.from = number(&mut r, FROM)?;
    call.exophone = number(&mut r, EXOPHONE)?;
    call.forwarded_from = number(&mut r, FORWARDED_FROM)?;
    if has(ANSWERED_BY) {
        call.answered_by = Some(AnsweredBy::from_code(r.byte()?).ok_or(Malformed)?);
    }
    let text = |r: &mut Reader<'_>, bit| -> Result<Option<String>, Malformed> {
        match texts {
            _ if !has(bit) => Ok(None),
            Texts::LeftOut => r.skip_text().map(|()| None),
            Texts::Read { .. } => r.text().map(Some),
        }
    };
    call.caller_name = text(&mut r, CALLER_NAME)?;
    call.custom_field = text(&mut r, CUSTOM_FIELD)?;
    let template = |r: &mut Reader<'_>, bit, sid: &str| -> Result<Option<String>, Malformed> {
        match texts {
            _ if !has(bit) => Ok(None),
            Texts::LeftOut => skip_template(r).map(|()| None),
            Texts::Read { account_sid } => read_template(r, sid, account_sid).map(Some),
        }
    };
    call.uri = template(&mut r, URI, call.sid.as_str())?;
    call.recording_url = template(&mut r, RECORDING, call.sid.as_str())?;
    if has(DETAILS) {
        call.details = Some(read_details(&mut r)?);
    }
    if has(ODD) {
        let count = r.small::<usize>()?;
        for _ in 0..count {
            call.odd.push((r.text()?, r.text()?));
        }
    }
    let details = DetailsState::from_code(packed >> 4).ok_or(Malformed)?;
    let book = read_book(&mut r, &call, flags, details)?;
    if !r.0.is_empty() {
        return Err(Malformed);
    }
    Ok(CallRecord { call, book })
}

fn flags_of(CallRecord { call, book }: &CallRecord) -> u32 {
    let bits = [
        (call.updated.is_some(), UPDATED),
        (call.parent.is_some(), PARENT),
        (call.direction.is_some(), DIRECTION),
        (call.start.is_some(), START),
        (call.end.is_some(), END),
        (call.duration.is_some(), DURATION),
        (call.price.is_some(), PRICE),
        (call.to.is_some(), TO),
        (call.from.is_some(), FROM),
        (call.exophone.is_some(), EXOPHONE),
        (call.answered_by.is_some(), ANSWERED_BY),
        (call.forwarded_from.is_some(), FORWARDED_FROM),
        (call.caller_name.is_some(), CALLER_NAME),
        (call.custom_field.is_some(), CUSTOM_FIELD),
        (call.uri.is_some(), URI),
        (call.recording_url.is_some(), RECORDING),
        (call.details.is_some(), DETAILS),
        (!call.odd.is_empty(), ODD),
        (book.over_seen.is_some(), OVER_SEEN),
        (book.over_seen == Some(book.first_seen), OVER_AT_FIRST),
        (book.by_api, BY_API),
        (book.heard.is_some(), HEARD),
        (book.live, LIVE),
        (book.details_tries | book.asks | book.price_asks != 0, TRIES),
        (book.settled.is_some(), SETTLED),
        (!book.agenda.is_empty(), AGENDA),
        (matches!(book.awaited, Awaited::Yes | Awaited::Missed), AWAITED),
        (matches!(book.awaited, Awaited::Came | Awaited::Missed), DECIDED),
        (book.read_final, READ_FINAL),
    ];
    bits.into_iter().fold(0, |all, (set, bit)| if set { all | bit } else { all })
}

/// Whether v1 of Exotel's API has told of the call with this value, without reading it whole; true of one
/// that cannot be read.
pub(super) fn is_listed(value: &[u8]) -> bool {
    let flags = value.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    flags.is_none_or(|flags| flags & BY_API != 0)
}

/// One byte for a text we expect; 255 and the text otherwise, shortened where it names the call or the
/// account; 254 and the plain text where it holds the marks that shortening uses.
fn write_template(w: &mut Writer, text: &str, sid: &str, account_sid: &str) {
    if text.contains(['\u{1}', '\u{2}']) || account_sid.is_empty() {
        w.byte(254);
        w.text(text);
        return;
    }
    match TEMPLATES.iter().position(|template| fits(template, text, sid, account_sid)) {
        Some(n) => w.byte(n as u8),
        None => {
            w.byte(255);
            w.text(&text.replace(sid, "\u{1}").replace(account_sid, "\u{2}"));
        }
    }
}

/// Whether a template is this text once the names are put in.
fn fits(template: &str, text: &str, sid: &str, account_sid: &str) -> bool {
    let rest = template.split_inclusive(['\u{1}', '\u{2}']).try_fold(text, |rest, part| {
        let (literal, name) = match part.strip_suffix('\u{1}') {
            Some(literal) => (literal, sid),
            None => part.strip_suffix('\u{2}').map_or((part, ""), |literal| (literal, account_sid)),
        };
        rest.strip_prefix(literal)?.strip_prefix(name)
    });
    rest == Some("")
}

fn read_template(r: &mut Reader<'_>, sid: &str, account_sid: &str) -> Result<String, Malformed> {
    let short = match r.byte()? {
        254 => return r.text(),
        255 => r.text()?,
        n => (*TEMPLATES.get(usize::from(n)).ok_or(Malformed)?).to_owned(),
    };
    // Account first: it was put in last.
    Ok(short.replace('\u{2}', account_sid).replace('\u{1}', sid))
}

fn skip_template(r: &mut Reader<'_>) -> Result<(), Malformed> {
    match r.byte()? {
        254 | 255 => r.skip_text(),
        _ => Ok(()),
    }
}

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    sum_of(&[key, body])
}

//! The bytes of a call: key and value.
//!
//! Key: account (2 bytes, big endian), creation time on Exotel's wall clock (4, big endian), Sid (17 in
//! every form seen, its text otherwise). Ordered by time within an account, which keeps new rows on few
//! pages of the tree.
//!
//! Value: version, flags, the fields that are present, then a checksum over key and value: a flipped bit,
//! or a value under another key, is an error and never data. Nothing is lost: what does not fit the
//! compact form of a field is kept as its text.

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{Malformed, Reader, Writer};
use crate::model::{
    AccountId, AnsweredBy, Book, CallRecord, Details, DetailsState, Direction, ExoPhoneId, LegStatus,
    Observation, Outcome, Settled, SettledKind, Sid, Status, Task, Timestamp, WallTime,
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
    let seconds = u32::try_from(created.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
    key[2..].copy_from_slice(&seconds.to_be_bytes());
    key
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

/// A hash that stands for a Sid within the store; 64 bits, so that two of 50 million calls share one
/// with a probability of one in fifteen thousand. A look-up always checks the record behind it.
pub fn sid_hash(account: AccountId, sid: &Sid) -> u64 {
    let mut bytes = Vec::with_capacity(2 + sid.as_str().len());
    bytes.extend_from_slice(&account.0.to_be_bytes());
    bytes.extend_from_slice(sid.as_str().as_bytes());
    xxh3_64(&bytes)
}

const RAW_SID: u8 = 0;
const HEX_SID: u8 = 1;
const DATED_SID: u8 = 2;

/// 32 hex digits take 16 bytes; 28 of them and four of base 36, as real ones have, 17.
pub(super) fn push_sid(out: &mut Vec<u8>, sid: &Sid) {
    let text = sid.as_str().as_bytes();
    if text.len() == 32
        && let Some(head) = unhex(&text[..28])
    {
        if let Some(tail) = unhex(&text[28..]) {
            out.push(HEX_SID);
            out.extend_from_slice(&head);
            out.extend_from_slice(&tail);
            return;
        }
        if let Some(tail) = base36(&text[28..]) {
            out.push(DATED_SID);
            out.extend_from_slice(&head);
            out.extend_from_slice(&tail.to_be_bytes()[1..]);
            return;
        }
    }
    out.push(RAW_SID);
    out.extend_from_slice(text);
}

pub(super) fn read_sid(bytes: &[u8]) -> Result<Sid, Malformed> {
    let (tag, rest) = bytes.split_first().ok_or(Malformed)?;
    let text = match (*tag, rest.len()) {
        (RAW_SID, _) => String::from_utf8(rest.to_vec()).map_err(|_| Malformed)?,
        (HEX_SID, 16) => hex(rest),
        (DATED_SID, 17) => {
            let mut n = u32::from_be_bytes([0, rest[14], rest[15], rest[16]]);
            let mut tail = [0u8; 4];
            for place in tail.iter_mut().rev() {
                *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[(n % 36) as usize];
                n /= 36;
            }
            let mut text = hex(&rest[..14]);
            text.extend(tail.iter().map(|b| char::from(*b)));
            text
        }
        _ => return Err(Malformed),
    };
    Sid::parse(&text).ok_or(Malformed)
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let nibble = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    text.chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn base36(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'z' => b - b'a' + 10,
            _ => return None,
        };
        Some(n * 36 + u32::from(digit))
    })
}

/// Declares the flag bits of a value, from 0 on. Append only.
macro_rules! flags {
    ($($name:ident)+) => { flags!(@ 0u32; $($name)+); };
    (@ $n:expr; $name:ident $($rest:ident)*) => { const $name: u32 = 1 << ($n); flags!(@ $n + 1; $($rest)*); };
    (@ $n:expr;) => {};
}

flags! {
    UPDATED PARENT DIRECTION START END DURATION PRICE TO FROM EXOPHONE ANSWERED_BY FORWARDED_FROM
    CALLER_NAME CUSTOM_FIELD URI RECORDING DETAILS ODD OVER_SEEN OVER_AT_FIRST BY_API BY_WEBHOOK LIVE
    TRIES SETTLED AGENDA
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
    w.byte(call.status.code() | (book.details as u8) << 4);
    let since = |w: &mut Writer, time: Option<WallTime>| {
        if let Some(time) = time {
            w.int(time - call.created);
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
    write_book(&mut w, record);
    let sum = checksum(key, &w.0);
    w.0.extend_from_slice(&sum);
    w.0
}

/// Reads a value back.
///
/// # Errors
/// [`Malformed`] if the checksum over key and value does not fit, or the version is not known.
pub fn decode_call(key: &[u8], value: &[u8], account_sid: &str) -> Result<CallRecord, Malformed> {
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
        if has(bit) { Ok(Some(created + r.int()?)) } else { Ok(None) }
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
        if has(bit) { r.number().map(Some) } else { Ok(None) }
    };
    call.to = number(&mut r, TO)?;
    call.from = number(&mut r, FROM)?;
    call.exophone = number(&mut r, EXOPHONE)?;
    call.forwarded_from = number(&mut r, FORWARDED_FROM)?;
    if has(ANSWERED_BY) {
        call.answered_by = Some(AnsweredBy::from_code(r.byte()?).ok_or(Malformed)?);
    }
    let text = |r: &mut Reader<'_>, bit| -> Result<Option<String>, Malformed> {
        if has(bit) { r.text().map(Some) } else { Ok(None) }
    };
    call.caller_name = text(&mut r, CALLER_NAME)?;
    call.custom_field = text(&mut r, CUSTOM_FIELD)?;
    if has(URI) {
        call.uri = Some(read_template(&mut r, call.sid.as_str(), account_sid)?);
    }
    if has(RECORDING) {
        call.recording_url = Some(read_template(&mut r, call.sid.as_str(), account_sid)?);
    }
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
        (book.by_webhook, BY_WEBHOOK),
        (book.live, LIVE),
        (book.details_tries | book.asks | book.price_asks != 0, TRIES),
        (book.settled.is_some(), SETTLED),
        (!book.agenda.is_empty(), AGENDA),
    ];
    bits.into_iter().fold(0, |all, (set, bit)| if set { all | bit } else { all })
}

fn write_book(w: &mut Writer, CallRecord { call, book }: &CallRecord) {
    w.int(book.first_seen.0 - call.created.0);
    if let Some(over) = book.over_seen
        && over != book.first_seen
    {
        w.int(over - book.first_seen);
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
        w.byte(settled.kind as u8 | settled.outcome.code() << 2);
        w.byte(
            bit(same_direction, 0)
                | bit(same_status, 1)
                | bit(same_seconds, 2)
                | bit(same_cost, 3)
                | bit(same_talk, 4)
                | bit(settled.conversation.is_none(), 5),
        );
        w.int(settled.at - book.first_seen);
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
            w.int(*due - book.first_seen);
        }
    }
}

fn read_book(
    r: &mut Reader<'_>,
    call: &Observation,
    flags: u32,
    details: DetailsState,
) -> Result<Book, Malformed> {
    let has = |bit: u32| flags & bit != 0;
    let first_seen = Timestamp(call.created.0.checked_add(r.int()?).ok_or(Malformed)?);
    let mut book = Book { details, ..Book::new(first_seen) };
    if has(OVER_SEEN) {
        let over = if has(OVER_AT_FIRST) { first_seen } else { first_seen.plus(r.int()?) };
        book.over_seen = Some(over);
    }
    book.by_api = has(BY_API);
    book.by_webhook = has(BY_WEBHOOK);
    book.live = has(LIVE);
    if has(TRIES) {
        let tries = r.bytes(3)?;
        (book.details_tries, book.asks, book.price_asks) = (tries[0], tries[1], tries[2]);
    }
    if has(SETTLED) {
        let packed = r.byte()?;
        let same = r.byte()?;
        let is_same = |place: u8| same & (1 << place) != 0;
        let at = first_seen.plus(r.int()?);
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
            book.agenda.push((task, first_seen.plus(r.int()?)));
        }
    }
    Ok(book)
}

fn write_money(w: &mut Writer, micros: i64) {
    // Prices mostly have three decimals: whole thousandths take a byte less.
    if micros % 1000 == 0 { w.int(micros / 1000 * 2) } else { w.int((micros << 1) | 1) }
}

fn read_money(r: &mut Reader<'_>) -> Result<i64, Malformed> {
    let value = r.int()?;
    if value & 1 == 0 { (value / 2).checked_mul(1000).ok_or(Malformed) } else { Ok(value >> 1) }
}

fn write_details(w: &mut Writer, details: Details) {
    let leg = |leg: Option<LegStatus>| leg.map_or(0, |l| l.code() + 1);
    w.byte(leg(details.leg1) | leg(details.leg2) << 4);
    let values = [details.conversation, details.leg1_seconds, details.leg2_seconds];
    // Present values are written as one more than they are, so that 0 means absent.
    for value in values {
        w.uint(value.map_or(0, |v| u64::from(v) + 1));
    }
}

fn read_details(r: &mut Reader<'_>) -> Result<Details, Malformed> {
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

/// One byte for a text we expect; 255 and the text otherwise, shortened where it names the call or the
/// account; 254 and the plain text where it holds the marks that shortening uses.
fn write_template(w: &mut Writer, text: &str, sid: &str, account_sid: &str) {
    if text.contains(['\u{1}', '\u{2}']) || account_sid.is_empty() {
        w.byte(254);
        w.text(text);
        return;
    }
    let short = text.replace(sid, "\u{1}").replace(account_sid, "\u{2}");
    match TEMPLATES.iter().position(|t| *t == short) {
        Some(n) => w.byte(n as u8),
        None => {
            w.byte(255);
            w.text(&short);
        }
    }
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

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(key);
    hasher.update(body);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hasher.digest().to_le_bytes()[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ACCOUNT: AccountId = AccountId(3);

    fn sid() -> BoxedStrategy<Sid> {
        prop_oneof!["[0-9a-f]{32}", "[0-9a-f]{28}[0-9a-z]{4}", "[0-9a-zA-Z_-]{1,64}"]
            .prop_filter_map("a sid", |text| Sid::parse(&text))
            .boxed()
    }

    fn text() -> BoxedStrategy<Option<String>> {
        proptest::option::of(prop_oneof!["0[0-9]{10}", "\\+91[0-9]{10}", "sip:[a-z]{3}", ".{0,20}"]).boxed()
    }

    fn details() -> impl Strategy<Value = Details> {
        let leg = || proptest::option::of((0..7u8).prop_filter_map("a leg", LegStatus::from_code));
        (any::<Option<u32>>(), leg(), leg(), any::<Option<u32>>(), any::<Option<u32>>()).prop_map(
            |(conversation, leg1, leg2, leg1_seconds, leg2_seconds)| Details {
                conversation,
                leg1,
                leg2,
                leg1_seconds,
                leg2_seconds,
            },
        )
    }

    prop_compose! {
        fn call()(
            sid in sid(), created in 0..u32::MAX, status in 0..9u8, direction in proptest::option::of(0..4u8),
            updated in any::<Option<i32>>(), start in any::<Option<i32>>(), end in any::<Option<i32>>(), duration in any::<Option<u32>>(), price in any::<Option<i32>>(),
            parent in proptest::option::of(sid()),
        )(
            to in text(), from in text(), exophone in text(), forwarded in text(), caller in text(),
            custom in text(), uri in text(), own_uri in any::<bool>(), recording in text(), details in proptest::option::of(details()),
            odd in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..3),
            sid in Just(sid), created in Just(created), status in Just(status), direction in Just(direction),
            updated in Just(updated), start in Just(start), end in Just(end), duration in Just(duration),
            price in Just(price), parent in Just(parent),
        ) -> Observation {
            let created = WallTime(i64::from(created));
            let at = |t: Option<i32>| t.map(|t| created + i64::from(t));
            let uri = if own_uri { Some(format!("/v1/Accounts/exampleacct1/Calls.json/{sid}")) } else { uri };
            Observation {
                updated: at(updated), start: at(start), end: at(end), duration, price: price.map(i64::from), parent,
                direction: direction.and_then(Direction::from_code), to, from, exophone,
                forwarded_from: forwarded, caller_name: caller, custom_field: custom, uri,
                recording_url: recording, details, odd, answered_by: AnsweredBy::from_code(status),
                ..Observation::new(sid, created, Status::from_code(status).expect("a status"))
            }
        }
    }

    prop_compose! {
        fn record()(
            call in call().boxed(), first in 0..u32::MAX, over in any::<Option<i16>>(), flags in any::<[bool; 3]>(), details in 0..5u8,
            tries in any::<[u8; 3]>(), settled in any::<bool>(), exophone in any::<u16>(), seconds in any::<u32>(), cost in any::<i32>(), talk in any::<Option<u32>>(),
            outcome in 0..10u8, kind in 0..3u8, same in any::<bool>(), tasks in proptest::collection::vec((1..7u8, any::<i32>()), 0..4),
        ) -> CallRecord {
            let first_seen = Timestamp(i64::from(first));
            let settled = settled.then(|| Settled {
                at: first_seen.plus(i64::from(exophone)),
                kind: SettledKind::from_code(kind).expect("a kind"),
                exophone: ExoPhoneId(exophone),
                direction: call.direction.unwrap_or(Direction::Other),
                status: if same { call.status } else { Status::Busy },
                outcome: Outcome::from_code(outcome).expect("an outcome"),
                seconds: if same { call.duration.unwrap_or(0) } else { seconds },
                cost: if same { call.price.unwrap_or(0) } else { i64::from(cost) },
                conversation: if same { call.details.and_then(|d| d.conversation) } else { talk },
            });
            let book = Book {
                over_seen: over.map(|o| first_seen.plus(i64::from(o))),
                by_api: flags[0], by_webhook: flags[1], live: flags[2],
                details: DetailsState::from_code(details).expect("a state"),
                details_tries: tries[0], asks: tries[1], price_asks: tries[2], settled,
                agenda: tasks.into_iter()
                    .filter_map(|(t, due)| Some((Task::from_code(t)?, first_seen.plus(i64::from(due)))))
                    .collect(),
                ..Book::new(first_seen)
            };
            CallRecord { call, book }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_stored_is_read_back(record in record().boxed()) {
            let key = call_key(ACCOUNT, record.call.created, &record.call.sid);
            let value = encode_call(&record, &key, "exampleacct1");
            prop_assert_eq!(decode_call(&key, &value, "exampleacct1"), Ok(record));
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_data(record in record().boxed(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut key = call_key(ACCOUNT, record.call.created, &record.call.sid);
            let mut value = encode_call(&record, &key, "exampleacct1");
            let place = at.index(key.len() + value.len());
            if place < key.len() { key[place] ^= 1 << bit } else { value[place - key.len()] ^= 1 << bit }
            prop_assert_eq!(decode_call(&key, &value, "exampleacct1"), Err(Malformed));
        }

        #[test]
        fn keys_sort_by_account_and_time(a in sid(), b in sid(), s in 0..u32::MAX - 1, t in 0..u32::MAX - 1) {
            let key = |at: u32, sid: &Sid| call_key(ACCOUNT, WallTime(i64::from(at)), sid);
            if s != t {
                prop_assert_eq!(key(s, &a) < key(t, &b), s < t);
            }
            prop_assert_eq!(read_call_key(&key(s, &a)), Ok((ACCOUNT, WallTime(i64::from(s)), a)));
        }
    }
}

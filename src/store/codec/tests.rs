//! Whatever is stored is read back, and nothing else is.

use super::*;
use crate::model::callback::CallEvent;
use crate::model::series::EventStatus;
use crate::model::{
    Answered, Book, Details, ExoPhoneId, Final, Heard, LegStatus, Outcome, Settled, SettledKind, Task,
    Timestamp, Unlisted,
};
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

/// Prices as they are, and as they never should be.
fn money() -> BoxedStrategy<i64> {
    prop_oneof![
        0..3_000_000_i64,
        (0..3_000_i64).prop_map(|n| n * 1000),
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN)
    ]
    .boxed()
}

/// Seconds near those of the call, and anywhere.
fn time() -> BoxedStrategy<Option<i64>> {
    proptest::option::of(prop_oneof![0..4_102_444_800_i64, any::<i64>()]).boxed()
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
        updated in time(), start in time(), end in time(), duration in any::<Option<u32>>(), price in proptest::option::of(money()),
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
        let at = |t: Option<i64>| t.map(WallTime);
        let uri = if own_uri { Some(format!("/v1/Accounts/exampleacct1/Calls.json/{sid}")) } else { uri };
        Observation {
            updated: at(updated), start: at(start), end: at(end), duration, price, parent,
            direction: direction.and_then(Direction::from_code), to, from, exophone,
            forwarded_from: forwarded, caller_name: caller, custom_field: custom, uri,
            recording_url: recording, details, odd, answered_by: AnsweredBy::from_code(status),
            ..Observation::new(sid, created, Status::from_code(status).expect("a status"))
        }
    }
}

prop_compose! {
    fn heard()(
        times in any::<[i64; 4]>(), said in proptest::collection::vec((0..8usize, 0..7usize), 0..6),
        same in proptest::collection::vec(any::<u64>(), 0..Heard::MOST_SAME),
        direction in proptest::option::of(0..4u8), start in any::<Option<i64>>(), passthru in any::<Option<i64>>(),
        answered in 0..3usize, differs in any::<u8>(), [ended, flow_ended] in any::<[bool; 2]>(), updated in any::<Option<i64>>(),
        status in proptest::option::of(0..9u8), duration in any::<Option<u32>>(), price in proptest::option::of(money()), details in proptest::option::of(details()),
    ) -> Heard {
        let end = Final {
            at: Timestamp(times[2]), updated: updated.map(WallTime), status: status.and_then(Status::from_code),
            duration, price, details,
        };
        Heard {
            first: Timestamp(times[0]), last: Timestamp(times[1]),
            said: said.into_iter().map(|(e, s)| (CallEvent::ALL[e], EventStatus::ALL[s])).collect(),
            same, direction: direction.and_then(Direction::from_code), start: start.map(WallTime),
            answered: [Answered::No, Answered::At(Timestamp(times[3])), Answered::Counted][answered],
            passthru: passthru.map(Timestamp), end: ended.then_some(end), differs, flow_ended,
        }
    }
}

prop_compose! {
    fn record()(
        call in call().boxed(), first in prop_oneof![(0..u32::MAX).prop_map(i64::from), any::<i64>()], over in any::<Option<i64>>(), flags in any::<[bool; 4]>(), details in 0..5u8,
        heard in heard().boxed(),
        tries in any::<[u8; 3]>(), settled in any::<bool>(), exophone in any::<u16>(), seconds in any::<u32>(), cost in money(), talk in any::<Option<u32>>(),
        outcome in 0..10u8, kind in 0..3u8, same in any::<bool>(), tasks in proptest::collection::vec((1..7u8, any::<i64>()), 0..4),
    ) -> CallRecord {
        let first_seen = Timestamp(first);
        let settled = settled.then(|| Settled {
            at: first_seen.plus(i64::from(exophone)),
            kind: SettledKind::from_code(kind).expect("a kind"),
            exophone: ExoPhoneId(exophone),
            direction: call.direction.unwrap_or(Direction::Other),
            status: if same { call.status } else { Status::Busy },
            outcome: Outcome::from_code(outcome).expect("an outcome"),
            seconds: if same { call.duration.unwrap_or(0) } else { seconds },
            cost: if same { call.price.unwrap_or(0) } else { cost },
            conversation: if same { call.details.and_then(|d| d.conversation) } else { talk },
        });
        let book = Book {
            over_seen: over.map(Timestamp),
            by_api: flags[0], live: flags[2], read_final: flags[3],
            heard: flags[1].then(|| Box::new(heard)),
            awaited: [Awaited::No, Awaited::Yes, Awaited::Came, Awaited::Missed][usize::from(kind)],
            details: DetailsState::from_code(details).expect("a state"),
            details_tries: tries[0], asks: tries[1], price_asks: tries[2], settled,
            agenda: tasks.into_iter()
                .filter_map(|(t, due)| Some((Task::from_code(t)?, Timestamp(due))))
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
        let read = decode_call(&key, &value, "exampleacct1");
        prop_assert_eq!(read.as_ref(), Ok(&record));
        let call = Observation {
            to: None, from: None, forwarded_from: None, caller_name: None, custom_field: None, uri: None, recording_url: None,
            ..record.call
        };
        prop_assert_eq!(skim_call(&key, &value), Ok(CallRecord { call, ..record }));
    }

    #[test]
    fn a_call_that_only_callbacks_named_is_read_back(filed in any::<i64>(), ask in proptest::option::of(0..i64::MAX), heard in heard().boxed()) {
        let call = Unlisted { filed: WallTime(filed), heard, ask_at: ask.map(Timestamp) };
        prop_assert_eq!(decode_unlisted(call.filed, &encode_unlisted(&call)), Ok(call));
    }

    #[test]
    fn any_bytes_of_the_inbox_are_read_without_panic(bytes: Vec<u8>) {
        drop(decode_unlisted(WallTime(0), &bytes));
    }

    #[test]
    fn a_flipped_bit_is_never_read_as_data(record in record().boxed(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut key = call_key(ACCOUNT, record.call.created, &record.call.sid);
        let mut value = encode_call(&record, &key, "exampleacct1");
        let place = at.index(key.len() + value.len());
        if place < key.len() { key[place] ^= 1 << bit } else { value[place - key.len()] ^= 1 << bit }
        prop_assert_eq!(decode_call(&key, &value, "exampleacct1"), Err(Malformed));
        prop_assert_eq!(skim_call(&key, &value), Err(Malformed));
    }

    #[test]
    fn texts_of_a_known_form_take_one_byte(n in 0..TEMPLATES.len(), sid in sid(), account in "[0-9a-z]{1,12}", more in "[/.0-9a-z]{0,3}") {
        let known = TEMPLATES[n].replace('\u{1}', sid.as_str()).replace('\u{2}', &account);
        for text in [format!("{known}{more}"), format!("{more}{known}"), known] {
            let mut w = Writer::default();
            write_template(&mut w, &text, sid.as_str(), &account);
            prop_assert!(!more.is_empty() || w.0 == [n as u8]);
            let mut r = Reader(&w.0);
            prop_assert_eq!(read_template(&mut r, sid.as_str(), &account), Ok(text));
            prop_assert!(r.0.is_empty());
        }
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

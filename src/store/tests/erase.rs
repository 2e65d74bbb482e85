//! Erasing one person's data.

use super::*;
use crate::model::callback::{Kept, Kind};
use crate::model::{HourTotals, SetAside, UnreadableRow};

const NUMBER: &str = "09900000001";
/// What people type by mistake.
const NO_NUMBERS: [&str; 6] = ["abc", "12", "--", "+", "sip:", "room 214"];
const TRACE: &str = "Canary Name";

fn erase_it(path: &Path, number: &str) -> Erasure {
    erase(path, number, START.plus(900), &mut |_, _| {}).expect("erased")
}

/// A call of the person, with everything that a row can say of them.
fn theirs(name: &str, at: i64) -> Observation {
    let mut call = missed(name, at);
    call.to = Some("+919900000001".into());
    call.caller_name = Some(TRACE.into());
    call.custom_field = Some("order of 99000 00001".into());
    call.recording_url = Some(format!("https://recordings.example/{name}.mp3"));
    call.odd = vec![("Mood".into(), format!("\"{TRACE}\""))];
    call
}

fn aside(raw: &str) -> crate::exotel::Row {
    let row = UnreadableRow { raw: raw.into(), reason: "Status is absent".into(), sid: None, created: None };
    crate::exotel::Row::Unreadable(row)
}

fn row_of_theirs() -> crate::exotel::Row {
    aside(&format!(r#"{{"From":"{NUMBER}","CallerName":"{TRACE}"}}"#))
}

async fn keep(store: &Store, account: AccountId, raw: &str) {
    let kept = Kept { id: 0, kind: Kind::Calls, received: START, reason: "new".into(), raw: raw.into() };
    let write = act(account, move |_| WriteSet { kept: vec![kept.clone()], ..WriteSet::default() });
    store.transact(write).await.expect("stored");
}

async fn hours(store: &Store) -> Vec<(u64, HourTotals)> {
    let hours = store.view(|at| {
        let mut all = Vec::new();
        for row in redb::ReadableTable::iter(&at.txn.open_table(tables::HOURS)?)? {
            let (key, value) = row?;
            let bytes = key.value().to_be_bytes();
            all.push((key.value(), seal::unseal("hours", &bytes, value.value())?));
        }
        Ok(all)
    });
    hours.await.expect("roll-ups")
}

async fn set_aside(store: &Store) -> Vec<SetAside> {
    let rows = store.view(|at| {
        let mut all = Vec::new();
        for row in redb::ReadableTable::iter(&at.txn.open_table(tables::SET_ASIDE)?)? {
            let (key, value) = row?;
            all.push(seal::unseal("set_aside", &tables::set_aside_bytes(key.value()), value.value())?);
        }
        Ok(all)
    });
    rows.await.expect("rows")
}

/// Two pages: 20 calls of which every fourth is theirs, a row set aside and an unknown callback, each of
/// theirs and of another person.
async fn filled(store: &Store) -> AccountId {
    let (account, _) = store.account(SID, START).await.expect("an account");
    let calls = (0..20).map(|n| match n % 4 {
        0 => theirs(&format!("c{n}"), n),
        _ => missed(&format!("c{n}"), n),
    });
    store.transact(page(account, 300, calls.collect())).await.expect("stored");
    let mut broken = page(account, 301, Vec::new());
    broken.rows = vec![row_of_theirs(), aside(r#"{"From":"09900000002"}"#)];
    store.transact(broken).await.expect("stored");
    keep(store, account, &format!("CallFrom={NUMBER}&Name=Canary+Name")).await;
    keep(store, account, "CallFrom=09900000002").await;
    account
}

/// Everything that the store says, as one text.
async fn said(store: &Store, account: AccountId) -> String {
    let calls = all_calls(store, account).await;
    let kept = store.kept(account, 100).await.expect("read");
    format!("{calls:?} {kept:?} {:?}", set_aside(store).await)
}

/// Puts other bytes in the place of a call of theirs.
async fn damage_one(store: &Store) {
    let damage = |engine: &mut engine::Engine| {
        let txn = engine.db.begin_write()?;
        let key = codec::call_key(AccountId(1), wall(0), &sid("c0"));
        txn.open_table(tables::CALLS)?.insert(key.as_slice(), [1, 2, 3].as_slice())?;
        Ok(txn.commit()?)
    };
    writer::with_engine(&store.queue, damage).await.expect("damaged");
}

/// Makes 08000000099 a number of the account.
async fn own(store: &Store, account: AccountId) {
    let phone = crate::model::KnownExoPhone {
        id: 1,
        sid: "x1".into(),
        number: "+918000000099".into(),
        friendly_name: None,
        countable_from: 0,
    };
    let write = act(account, move |_| WriteSet { exophones: vec![phone.clone()], ..WriteSet::default() });
    store.transact(write).await.expect("stored");
}

#[tokio::test]
async fn what_is_known_of_a_person_goes_and_every_count_stays() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    let (totals, rolled_up) = (store.totals().iter().collect::<Vec<_>>(), hours(&store).await);
    let before = all_calls(&store, account).await;
    assert!(said(&store, account).await.contains(TRACE));
    store.close().await;

    let erasure = erase_it(&path, "9900000001");
    assert_eq!(erasure, Erasure { calls: 5, set_aside: 1, kept: 1, unread: 0, is_new: true });
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());

    let store = open_at(&path).expect("the store again");
    let after = said(&store, account).await;
    for trace in [TRACE, "9900000001", "99000 00001", "Canary"] {
        assert!(!after.contains(trace), "{trace}: {after}");
    }
    assert!(after.contains("09900000002") && after.contains("08000000099"), "others are still there");
    assert_eq!((store.totals().iter().collect::<Vec<_>>(), hours(&store).await), (totals, rolled_up));
    for (was, is) in before.iter().zip(all_calls(&store, account).await) {
        assert_eq!(was.book, is.book);
        assert_eq!((was.call.price, was.call.status), (is.call.price, is.call.status));
        assert_eq!((&was.call.from, was.call.duration), (&is.call.from, is.call.duration), "the other side");
    }
    store.close().await;
    let again = erase_it(&path, "+91 99000 00001");
    assert_eq!(again, Erasure::default(), "twice is once");
}

#[tokio::test]
async fn what_was_erased_does_not_come_back_with_the_next_page() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    store.close().await;
    erase_it(&path, NUMBER);

    let store = open_at(&path).expect("the store again");
    let erased = all_calls(&store, account).await;
    let rows = vec![theirs("c0", 0), theirs("new", 60), missed("other", 61)];
    let summary = store.transact(page(account, 400, rows)).await.expect("stored");
    assert_eq!((summary.unchanged, summary.updated, summary.new), (1, 0, 2));
    let mut later = theirs("c4", 4);
    later.price = Some(700_000);
    later.updated = Some(wall(500));
    let summary = store.transact(page(account, 600, vec![later])).await.expect("stored");
    assert_eq!(summary.updated, 1, "what is not personal is still learnt");
    let mut broken = page(account, 601, Vec::new());
    broken.rows = vec![row_of_theirs()];
    store.transact(broken).await.expect("stored");
    keep(&store, account, &format!("CallFrom={NUMBER}&Name=Canary+Name")).await;

    let after = said(&store, account).await;
    for trace in [TRACE, "9900000001", "99000 00001", "Canary"] {
        assert!(!after.contains(trace), "{trace}: {after}");
    }
    let calls = all_calls(&store, account).await;
    assert_eq!(calls.len(), erased.len() + 2);
    assert!(calls.iter().any(|record| record.call.price == Some(700_000)));
    assert_eq!(set_aside(&store).await.len(), 2, "the same row is not set aside twice");
    assert_eq!(store.kept(account, 100).await.expect("read").len(), 2, "nor the same callback");
    store.close().await;

    // A copy remembers it too.
    let copy = folder.path().join("copy.redb");
    backup(&path, &copy, &mut |_, _| {}).expect("a copy");
    let store = open_at(&copy).expect("the copy");
    store.transact(page(account, 700, vec![theirs("newer", 80)])).await.expect("stored");
    assert!(!said(&store, account).await.contains(TRACE));
    store.close().await;
}

#[tokio::test]
async fn the_file_holds_a_hash_of_the_number_and_not_the_number() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    open_at(&path).expect("a new store").close().await;
    erase_it(&path, NUMBER);
    let copy = folder.path().join("copy.redb");
    backup(&path, &copy, &mut |_, _| {}).expect("a copy");
    let packed = 9_900_000_001_u64.to_be_bytes();
    for file in [&path, &copy] {
        let bytes = std::fs::read(file).expect("the file");
        for trace in [&b"9900000001"[..], &packed[3..], &9_900_000_001_u64.to_le_bytes()[..5]] {
            assert!(!bytes.windows(trace.len()).any(|part| part == trace), "{trace:?}");
        }
    }
}

#[tokio::test]
async fn an_own_number_an_empty_one_and_a_missing_store_are_refused_without_naming_it() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    own(&store, account).await;
    let refused = |path: &Path, number: &str| {
        let error = erase(path, number, START, &mut |_, _| {}).expect_err("refused");
        assert!(!error.to_string().contains("8000000099"), "{error}");
        error
    };
    assert!(matches!(refused(&path, "08000000099"), EraseError::Store(OpenError::InUse { .. })));
    store.close().await;
    assert!(matches!(refused(&path, "08000000099"), EraseError::Own));
    assert!(matches!(refused(&path, " "), EraseError::Empty));
    for slip in NO_NUMBERS {
        assert!(matches!(refused(&path, slip), EraseError::NoNumber), "{slip}");
    }
    assert!(matches!(refused(&folder.path().join("no"), NUMBER), EraseError::Store(OpenError::Io { .. })));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, b"").expect("a file");
    assert!(matches!(refused(&empty, NUMBER), EraseError::Store(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_damaged_call_is_told_of_and_the_others_are_erased() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    filled(&store).await;
    damage_one(&store).await;
    store.close().await;
    let erasure = erase_it(&path, NUMBER);
    assert_eq!((erasure.calls, erasure.unread), (4, 1));
}

#[tokio::test]
async fn the_key_for_hashes_is_made_once_and_stays() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let key = store.privacy_key().await.expect("a key");
    assert_ne!(key, [0; 32]);
    assert_eq!(store.privacy_key().await.expect("the key"), key);
    store.close().await;
    erase_it(&path, NUMBER);
    let store = open_at(&path).expect("the store again");
    assert_eq!(store.privacy_key().await.expect("the key"), key);
    store.close().await;
    let other = open_at(&folder.path().join("other.redb")).expect("another store");
    assert_ne!(other.privacy_key().await.expect("its key"), key);
    other.close().await;
}

/// Erases beside an open store; after each piece `meanwhile` may do what others do.
async fn erase_live(store: &Store, mut meanwhile: impl FnMut(u64) + Send) -> Erasure {
    store.erase(NUMBER, START.plus(900), |done, _| meanwhile(done)).await.expect("erased")
}

#[tokio::test]
async fn an_open_store_erases_as_a_closed_one_does() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    let (totals, rolled_up) = (store.totals().iter().collect::<Vec<_>>(), hours(&store).await);
    let mut told = Vec::new();
    let erasure = erase_live(&store, |done| told.push(done)).await;
    assert_eq!(erasure, Erasure { calls: 5, set_aside: 1, kept: 1, unread: 0, is_new: true });
    assert!(told.is_sorted() && told.len() > 3 && told.last() == Some(&20), "piece by piece: {told:?}");
    let after = said(&store, account).await;
    for trace in [TRACE, "9900000001", "99000 00001", "Canary"] {
        assert!(!after.contains(trace), "{trace}: {after}");
    }
    assert!(after.contains("09900000002") && after.contains("08000000099"), "others are still there");
    assert_eq!((store.totals().iter().collect::<Vec<_>>(), hours(&store).await), (totals, rolled_up));
    // What comes now is taken in without them, before the next start too.
    store.transact(page(account, 400, vec![theirs("new", 60), theirs("c0", 0)])).await.expect("stored");
    keep(&store, account, &format!("CallFrom={NUMBER}&Name=Canary+Name")).await;
    assert!(!said(&store, account).await.contains("Canary"));
    assert_eq!(erase_live(&store, |_| {}).await, Erasure::default(), "twice is once");
    store.close().await;
    assert_eq!(erase_it(&path, NUMBER), Erasure::default(), "alone there is nothing left to do");
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_between_two_pieces_brings_nothing_back() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    let counted = total(&store, Family::Calls);
    let (runtime, mut rounds) = (tokio::runtime::Handle::current(), 0);
    let erasure = erase_live(&store, |done| {
        rounds += 1;
        let round = rounds;
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                // New calls before and behind the place that is looked at, rows that are known already, one
                // that says something new, and one that moves to the end, and from there behind that place.
                let mut rows = vec![theirs(&format!("early{round}"), 1), theirs("c16", 16)];
                rows.push(theirs(&format!("late{round}"), 600 + round));
                let mut later = theirs("c12", 12);
                later.price = Some(500_000 + round);
                later.updated = Some(wall(500 + round));
                rows.push(later);
                let mut moving = theirs("c8", if done == 0 { 500 } else { 0 });
                moving.updated = Some(wall(500 + round));
                rows.push(moving);
                let mut batch = page(account, 700 + round, rows);
                batch.rows.push(row_of_theirs());
                store.transact(batch).await.expect("stored");
                keep(&store, account, &format!("CallFrom={NUMBER}&Name=Canary+Name&n={round}")).await;
            });
        });
    })
    .await;
    assert!(rounds > 3 && erasure.is_new, "{rounds} {erasure:?}");
    let after = said(&store, account).await;
    for trace in [TRACE, "9900000001", "99000 00001", "Canary"] {
        assert!(!after.contains(trace), "{trace}: {after}");
    }
    let calls = all_calls(&store, account).await;
    assert_eq!(calls.len() as i64, 20 + 2 * rounds, "every call is there once");
    assert_eq!(total(&store, Family::Calls), counted + 2 * u64::try_from(rounds).expect("some"));
    assert!(calls.iter().any(|record| record.call.price == Some(500_000 + rounds)));
    assert_eq!(erase_live(&store, |_| {}).await, Erasure::default(), "nothing was left");
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());
}

#[tokio::test]
async fn an_open_store_refuses_own_numbers_and_empty_ones_and_says_what_is_damaged() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    own(&store, account).await;
    let own = store.erase("08000000099", START, |_, _| {}).await.expect_err("refused");
    assert!(matches!(own, EraseError::Own), "{own}");
    assert!(matches!(store.erase(" ", START, |_, _| {}).await, Err(EraseError::Empty)));
    for slip in NO_NUMBERS {
        assert!(matches!(store.erase(slip, START, |_, _| {}).await, Err(EraseError::NoNumber)), "{slip}");
    }
    for short in ["198", "sip:ravi"] {
        assert!(store.erase(short, START, |_, _| {}).await.expect("a number").is_new, "{short}");
    }
    damage_one(&store).await;
    let erasure = erase_live(&store, |_| {}).await;
    assert_eq!((erasure.calls, erasure.unread), (4, 1));
    store.close().await;
    let closed = store.erase(NUMBER, START, |_, _| {}).await.expect_err("closed");
    assert!(matches!(closed, EraseError::Live(_)), "{closed}");
}

/// A test that does nothing, unless it runs in a child: it erases, and stops in the middle for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_never_ends_erasing() {
    let Some(path) = processes::told() else { return };
    let store = open_at(&path).expect("the store");
    erase_live(&store, |done| {
        if done > 7 {
            println!("\nmidway");
            loop {
                std::thread::park();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_erasure_that_was_killed_midway_is_finished_by_the_next() {
    use std::io::BufRead;
    let folder = folder();
    let path = folder.path().join("store.redb");
    let store = open_at(&path).expect("a new store");
    let account = filled(&store).await;
    store.close().await;
    let mut child = processes::child("erase::child_that_never_ends_erasing", &path);
    let output = std::io::BufReader::new(child.stdout.take().expect("its output"));
    assert!(output.lines().any(|line| line.expect("a line") == "midway"), "it got there");
    child.kill().expect("killed");
    child.wait().expect("its end");

    let store = open_at(&path).expect("a killed store opens");
    let midway = said(&store, account).await;
    assert!(midway.contains(TRACE), "not all of it is done");
    // What was noted first holds already.
    store.transact(page(account, 400, vec![theirs("new", 60)])).await.expect("stored");
    let erasure = erase_live(&store, |_| {}).await;
    assert!(!erasure.is_new && (1..5).contains(&erasure.calls), "{erasure:?}");
    assert!(!said(&store, account).await.contains("Canary"));
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("it can be checked").faults, Vec::<String>::new());
}

//! The file itself: what a restart finds, and what becomes of a file that cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::record::{Kind, Place, Record, SIZE};
use super::*;
use crate::exotel::Priority;
use crate::exotel::limiter::{HOLD_MS, Held, Share};
use crate::model::Timestamp;

const BOOT: u64 = 1;

struct Folder {
    _dir: TempDir,
    path: PathBuf,
}

fn folder() -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb.slots");
    Folder { _dir: dir, path }
}

impl Folder {
    fn open(&self, boot: u64, now: u64) -> Ledger {
        Ledger::open(&self.path, boot, now).unwrap()
    }

    /// What a pool finds at a start.
    fn inherited(&self, boot: u64, now: u64) -> Inherited {
        self.open(boot, now).journal().inherit(key(Pool::Voice))
    }

    fn places(&self) -> Vec<Place> {
        let bytes = fs::read(&self.path).unwrap();
        (0..).zip(bytes[SIZE..].chunks(SIZE)).map(|(n, chunk)| Place::decode(chunk, n)).collect()
    }
}

impl Ledger {
    fn journal(&self) -> &Arc<Journal> {
        self.0.journal.as_ref().unwrap()
    }
}

fn key(pool: Pool) -> u64 {
    xxh3_64(format!("acct\0{}", pool.as_str()).as_bytes())
}

fn allowance(ceiling: u32) -> Allowance {
    Allowance { ceiling, background_share: 0.5 }
}

fn clock() -> Clock {
    Clock::following_tokio(Timestamp(1_772_459_700))
}

/// Waits until nothing is left to write.
async fn written(journal: &Arc<Journal>) {
    while journal.is_writing() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_file_is_private_locked_and_beside_the_store() {
    let folder = folder();
    let store = folder.path.with_extension("");
    let ledger = Ledger::beside_store(&store, &Clock::system()).unwrap();
    assert_eq!(fs::metadata(&folder.path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Ledger::beside_store(&store, &Clock::system()).unwrap_err();
    assert!(matches!(second, LedgerError::InUse(_)), "{second}");
    drop(ledger);
    Ledger::beside_store(&store, &Clock::system()).unwrap();
    let missing = Ledger::beside_store(&folder.path.join("no/such/folder"), &Clock::system()).unwrap_err();
    assert!(matches!(missing, LedgerError::Io { .. }), "{missing}");
}

#[test]
fn a_first_start_holds_nothing() {
    assert_eq!(folder().inherited(BOOT, 5), Inherited::default());
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_on_the_disk_before_its_request_and_its_answer_follows() {
    let folder = folder();
    let clock = clock();
    let now = clock.monotonic_millis();
    let ledger = folder.open(BOOT, now);
    let limiter = ledger.limiter("acct", Pool::Voice, allowance(10), &clock);
    let mut permit = limiter.acquire(Priority::Sync).await;
    assert_eq!(folder.places().len(), 0, "a grant alone is not written");
    permit.record().await.unwrap();
    let taken = Record {
        kind: Kind::Slot(Share::Background),
        pool: key(Pool::Voice),
        boot: BOOT,
        taken: now,
        answered: 0,
        number: 1,
    };
    assert_eq!(folder.places()[0], Place::Record(taken));
    // 10 slots and a pause.
    assert_eq!(folder.places().len(), 11);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(permit);
    written(ledger.journal()).await;
    assert_eq!(folder.places()[0], Place::Record(Record { answered: now + 300, ..taken }));
}

#[tokio::test(start_paused = true)]
async fn a_restart_knows_what_was_answered_and_holds_what_was_not() {
    let folder = folder();
    let clock = clock();
    let now = clock.monotonic_millis();
    {
        let ledger = folder.open(BOOT, now);
        let limiter = ledger.limiter("acct", Pool::Voice, allowance(10), &clock);
        let mut answered = limiter.acquire(Priority::Health).await;
        answered.record().await.unwrap();
        drop(answered);
        let mut in_flight = limiter.acquire(Priority::Sync).await;
        in_flight.record().await.unwrap();
        written(ledger.journal()).await;
        // A kill: no answer is written any more.
        std::mem::forget(in_flight);
        fs::copy(&folder.path, folder.path.with_extension("killed")).unwrap();
    }
    let killed = Folder { path: folder.path.with_extension("killed"), _dir: folder._dir };
    let later = now + 20_000;
    let held = |free_at, share, place| Held { free_at, share, place: Some(place) };
    let expected = [held(now + HOLD_MS, Share::Foreground, 0), held(later + HOLD_MS, Share::Background, 1)];
    assert_eq!(killed.inherited(BOOT, later).slots, expected);
    // The next restart does not begin the minute of the second one anew.
    assert_eq!(killed.inherited(BOOT, later + 30_000).slots, expected);
    assert_eq!(killed.inherited(BOOT, later + HOLD_MS).slots, []);
    assert!(killed.places().iter().all(|p| *p == Place::Empty));
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_what_was_in_use_is_held_for_a_minute() {
    let folder = folder();
    let clock = clock();
    let now = clock.monotonic_millis();
    let ledger = folder.open(BOOT, now);
    let limiter = ledger.limiter("acct", Pool::Voice, allowance(600), &clock);
    for _ in 0..3 {
        let mut permit = limiter.acquire(Priority::Health).await;
        permit.record().await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    written(ledger.journal()).await;
    drop((limiter, ledger));
    // The first was over when the last began, the boot clock begins again.
    let slots = folder.inherited(BOOT + 1, 7_000).slots;
    let free: Vec<u64> = slots.iter().map(|s| s.free_at).collect();
    assert_eq!(free, [7_000 + HOLD_MS, 7_000 + HOLD_MS]);
    // And the next start counts on.
    assert_eq!(folder.inherited(BOOT + 1, 50_000).slots, slots);
    assert_eq!(folder.inherited(BOOT + 1, 7_000 + HOLD_MS).slots, []);
}

#[test]
fn a_file_that_cannot_be_read_holds_everything_for_a_minute_over_restarts_too() {
    for garbage in [&b""[..], b"x", b"EXOSLOT1 but no more", &[0; 640], &[0xff; 4096]] {
        let folder = folder();
        fs::write(&folder.path, garbage).unwrap();
        let everything = Inherited { unknown: (restore::ALL_SLOTS, 1_000 + HOLD_MS), ..Inherited::default() };
        assert_eq!(folder.inherited(BOOT, 1_000), everything, "{garbage:?}");
        assert_eq!(folder.inherited(BOOT, 31_000), everything, "it was killed before the minute was over");
        assert_eq!(folder.inherited(BOOT, 1_000 + HOLD_MS), Inherited::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_holds_one_slot_of_every_pool() {
    let folder = folder();
    let clock = clock();
    let now = clock.monotonic_millis();
    let ledger = folder.open(BOOT, now);
    let limiter = ledger.limiter("acct", Pool::Voice, allowance(10), &clock);
    let mut permit = limiter.acquire(Priority::Health).await;
    permit.record().await.unwrap();
    drop(permit);
    written(ledger.journal()).await;
    drop((limiter, ledger));
    let mut bytes = fs::read(&folder.path).unwrap();
    bytes[SIZE + 20] ^= 1;
    fs::write(&folder.path, &bytes).unwrap();
    let inherited = folder.inherited(BOOT, now + 1000);
    assert_eq!((inherited.slots, inherited.unknown), (vec![], (1, now + 1000 + HOLD_MS)));
    // A file that lost its end may have lost slots.
    fs::write(&folder.path, &bytes[..SIZE * 4]).unwrap();
    assert_eq!(folder.inherited(BOOT, now).unknown.0, restore::ALL_SLOTS);
}

#[tokio::test(start_paused = true)]
async fn a_held_pool_sends_nothing_for_a_minute_and_then_goes_on() {
    let folder = folder();
    fs::write(&folder.path, b"garbage").unwrap();
    let clock = clock();
    let ledger = folder.open(BOOT, clock.monotonic_millis());
    let limiter = ledger.limiter("acct", Pool::Exophones, allowance(5), &clock);
    let begun = tokio::time::Instant::now();
    let mut permit = limiter.acquire(Priority::Health).await;
    permit.record().await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), u128::from(HOLD_MS));
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_a_restart() {
    let folder = folder();
    let clock = clock();
    let now = clock.monotonic_millis();
    let ledger = folder.open(BOOT, now);
    let limiter = ledger.limiter("acct", Pool::Voice, allowance(10), &clock);
    limiter.pause(Duration::from_secs(300));
    written(ledger.journal()).await;
    drop((limiter, ledger));
    assert_eq!(folder.inherited(BOOT, now + 1000).paused_until, now + 300_000);
    // How long the reboot took is not known: what was left is waited for.
    assert_eq!(folder.inherited(BOOT + 1, 500).paused_until, 500 + 300_000);
    assert_eq!(folder.inherited(BOOT + 1, 300_500).paused_until, 0);
}

#[tokio::test]
async fn takes_that_wait_together_share_one_sync() {
    let folder = folder();
    let clock = Clock::system();
    let ledger = folder.open(BOOT, clock.monotonic_millis());
    let journal = Arc::clone(ledger.journal());
    journal.reserve(200, 1);
    let mut waits = Vec::new();
    for n in 0..200 {
        waits.push(journal.take(key(Pool::Voice), Share::Foreground, n + 1).unwrap());
    }
    for (_, durable) in waits {
        durable.await.unwrap().unwrap();
    }
    let syncs = journal.faults.syncs.load(Ordering::Relaxed);
    assert!((1..100).contains(&syncs), "{syncs}");
    let records = folder.places().into_iter().filter(|p| matches!(p, Place::Record(_))).count();
    assert_eq!(records, 200);
}

#[tokio::test(start_paused = true)]
async fn while_the_disk_refuses_nothing_is_sent_and_no_slot_is_lost() {
    let folder = folder();
    let clock = clock();
    let ledger = folder.open(BOOT, clock.monotonic_millis());
    let limiter = ledger.limiter("acct", Pool::Voice, allowance(2), &clock);
    ledger.journal().faults.refuse.store(true, Ordering::Relaxed);
    for _ in 0..5 {
        let mut permit = limiter.acquire(Priority::Health).await;
        permit.record().await.unwrap_err();
    }
    ledger.journal().faults.refuse.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        let mut permit = limiter.acquire(Priority::Health).await;
        permit.record().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_grows_finds_room_and_places_are_used_again() {
    let folder = folder();
    let clock = clock();
    let ledger = folder.open(BOOT, clock.monotonic_millis());
    for ceiling in [3, 40] {
        let limiter = ledger.limiter("acct", Pool::Voice, allowance(ceiling), &clock);
        for _ in 0..2 * ceiling {
            let mut permit = limiter.acquire(Priority::Health).await;
            permit.record().await.unwrap();
        }
    }
    written(ledger.journal()).await;
    assert_eq!(folder.places().len(), 41);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_a_start_panic_and_a_second_look_agrees(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        with_header in any::<bool>(),
        boot in 0_u64..3,
        now in any::<u32>(),
    ) {
        if with_header && bytes.len() >= SIZE {
            let header = Header { capacity: 2, held_slots: 1, held_until: 5, boot: 1 };
            bytes[..SIZE].copy_from_slice(&header.encode());
        }
        let now = u64::from(now);
        let restored = Restored::of(&bytes, boot, now);
        prop_assert!(restored.header.held_until <= now + HOLD_MS);
        prop_assert!(restored.free.len() <= restored.places as usize);
    }
}

//! Files in which bits were flipped, pages zeroed, ends cut off, or that hold something else: a clear error
//! or damage that is noticed, never a panic and never wrong data.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::exotel::Row;
use crate::model::{HourTotals, KnownExoPhone, Task};

const TRIALS: u64 = 200;

/// What a sound store answers.
struct Truth {
    bytes: Vec<u8>,
    account: AccountId,
    calls: BTreeMap<Sid, CallRecord>,
    totals: BTreeMap<Series, u64>,
    hours: BTreeMap<(u32, u8), HourTotals>,
    rows: Vec<Observation>,
    table_rows: Vec<(String, u64)>,
}

/// How many rows each table has.
fn table_rows(path: &Path) -> Option<Vec<(String, u64)>> {
    let stats = stats(path).ok()?;
    Some(stats.tables.iter().map(|table| (table.name.to_string(), table.rows)).collect())
}

fn rows() -> Vec<Observation> {
    (0..260)
        .map(|n: i64| {
            let mut call =
                missed(&format!("{:032x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)), n * 11);
            match n % 8 {
                // One that waits for its details, one that runs, one without a price, a leg without a root.
                0 => call.status = Status::Completed,
                1 => (call.status, call.end) = (Status::InProgress, None),
                2 => call.price = None,
                3 => call.parent = Some(sid("nobody")),
                _ => {}
            }
            call
        })
        .collect()
}

/// Seconds after the start at which everything was read.
const READ: i64 = 3_000;

async fn truth(folder: &Path) -> Truth {
    let path = folder.join("sound.redb");
    let store = open_at(&path).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let rows = rows();
    for (n, part) in rows.chunks(40).enumerate() {
        let mut page = page(account, READ, part.to_vec());
        page.sync = Some(crate::model::SyncState { watermark: n as i64, ..Default::default() });
        page.rows.push(Row::Unreadable(crate::model::UnreadableRow {
            raw: format!("{{{n}}}"),
            reason: "Sid is absent".into(),
            sid: None,
            created: Some(wall(n as i64)),
        }));
        store.transact(page).await.expect("stored");
    }
    let phone = KnownExoPhone {
        id: 2,
        sid: "s2".into(),
        number: "08000000011".into(),
        friendly_name: None,
        countable_from: 0,
    };
    let phones = act(account, move |_| WriteSet { exophones: vec![phone.clone()], ..WriteSet::default() });
    store.transact(phones).await.expect("stored");
    let calls = all_calls(&store, account).await.into_iter().map(|c| (c.call.sid.clone(), c)).collect();
    let totals = store.totals().iter().collect();
    let hours = hours(&store, account).await.expect("hours");
    store.close().await;
    // Without the pages that are free, most of what is damaged matters.
    compact(&path).expect("compacted");
    assert_eq!(check(&path, &mut |_| {}).expect("a check").faults, Vec::<String>::new());
    let table_rows = table_rows(&path).expect("stats");
    Truth { bytes: fs::read(&path).expect("bytes"), account, calls, totals, hours, rows, table_rows }
}

async fn hours(store: &Store, account: AccountId) -> Result<BTreeMap<(u32, u8), HourTotals>, Error> {
    let all = store.hours(account, 0, u32::MAX).await?;
    Ok(all.into_iter().map(|(hour, direction, totals)| ((hour, direction.code()), totals)).collect())
}

/// What came of the trials.
#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    noticed: u32,
    harmless: u32,
}

/// Opens a damaged file, reads and writes it, and holds every answer against the truth.
async fn trial(truth: &Truth, path: &Path, what: &str, tally: &mut Tally) {
    let checked = check(path, &mut |_| {});
    let noticed = checked.as_ref().map_or(true, |report| !report.faults.is_empty());
    // These may fail; they may not panic.
    let rows = table_rows(path).unwrap_or_default();
    let copy = path.with_extension("copy");
    if backup(path, &copy, &mut |_, _| {}).is_ok() {
        drop(fs::remove_file(&copy));
    }
    let store = match open_at(path) {
        Ok(store) => store,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            tally.refused += 1;
            return;
        }
    };
    let account = truth.account;
    let calls = all_calls(&store, account).await;
    for call in &calls {
        assert_eq!(Some(call), truth.calls.get(&call.call.sid), "{what}: a record is not what was written");
    }
    let totals: BTreeMap<Series, u64> = store.totals().iter().collect();
    assert_eq!(totals, truth.totals, "{what}: a total is not what was counted");
    if let Ok(hours) = hours(&store, account).await {
        for (key, hour) in &hours {
            assert_eq!(Some(hour), truth.hours.get(key), "{what}: a roll-up is not what was summed");
        }
    }
    if !noticed {
        assert_eq!(calls.len(), truth.calls.len(), "{what}: calls are missing and the check says nothing");
        assert_eq!(rows, truth.table_rows, "{what}: rows are missing and the check says nothing");
    }
    drop(store.summary(account, SID.into()).await);
    drop(store.due(account, Task::Settle, Timestamp(i64::MAX), 1000).await);
    drop(store.set_aside(account).await);
    drop(store.count_rows(account, wall(0), wall(10_000), u64::MAX).await);
    // Everything is read again: nothing counts twice.
    let mut stored = true;
    for rows in truth.rows.chunks(40) {
        stored &= store.transact(page(account, READ, rows.to_vec())).await.is_ok();
    }
    let (now, before) = (total(&store, Family::Calls), sum(&truth.totals, Family::Calls));
    assert!(now <= before, "{what}: {now} calls are counted, of {before}");
    let tasks =
        crate::ingest::Tasks { context: context(account, START.plus(READ)), task: Task::Settle, limit: 500 };
    drop(store.transact(tasks).await);
    if stored {
        assert!(total(&store, Family::Calls) <= before, "{what}: a task counted a call twice");
    }
    store.close().await;
    if noticed { tally.noticed += 1 } else { tally.harmless += 1 }
}

fn sum(totals: &BTreeMap<Series, u64>, family: Family) -> u64 {
    totals.iter().filter(|(s, _)| s.family == family).map(|(_, n)| n).sum()
}

/// Makes a trial of each file that `harm` makes of the sound one.
fn trials(name: &str, mut harm: impl FnMut(u64, &Truth) -> Option<(String, Vec<u8>)>) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let folder = folder();
    let truth = runtime.block_on(truth(folder.path()));
    let mut tally = Tally::default();
    for n in 0..TRIALS {
        let Some((what, bytes)) = harm(n, &truth) else { break };
        let path: PathBuf = folder.path().join("damaged.redb");
        fs::write(&path, bytes).expect("a file");
        runtime.block_on(trial(&truth, &path, &format!("{name} {n}: {what}"), &mut tally));
        drop(fs::remove_file(&path));
    }
    tally
}

fn random(n: u64, below: usize) -> usize {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) % below as u64) as usize
}

/// Bytes that hold something, so that trials are not spent on empty pages.
fn used(truth: &Truth) -> Vec<usize> {
    truth.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect()
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let mut used_bytes = Vec::new();
    let tally = trials("bit", |n, truth| {
        if used_bytes.is_empty() {
            used_bytes = used(truth);
        }
        let at = used_bytes[random(n, used_bytes.len())];
        let mut bytes = truth.bytes.clone();
        bytes[at] ^= 1 << (n % 8);
        Some((format!("at {at}"), bytes))
    });
    // The rest lies in pages that are free, or is a part of the tree's own bookkeeping.
    assert!(tally.refused + tally.noticed > 20, "{tally:?}");
}

/// Where the file says which tables there are and where each begins, no record tells of it: a table of
/// another name, or without its root, is one without rows to whoever reads only records.
#[test]
fn a_flipped_bit_in_the_list_of_tables_is_found_by_the_check() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let folder = folder();
    let truth = runtime.block_on(truth(folder.path()));
    let path = folder.path().join("damaged.redb");
    let name = b"health_hours";
    let places: Vec<usize> =
        (0..truth.bytes.len() - name.len()).filter(|at| truth.bytes[*at..].starts_with(name)).collect();
    let mut renamed = 0;
    for place in &places {
        let page = place / 4096 * 4096;
        for at in page..page + 4096 {
            let in_name = (*place..place + name.len()).contains(&at);
            // Of the rest of the page a sample.
            if truth.bytes[at] == 0 || !(in_name || at % 5 == 0) {
                continue;
            }
            let mut bytes = truth.bytes.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("a file");
            let before = fs::read(&path).expect("the file");
            let noticed = check(&path, &mut |_| {}).map_or(true, |report| !report.faults.is_empty());
            if !noticed {
                assert_eq!(table_rows(&path).as_ref(), Some(&truth.table_rows), "byte {at} of the file");
            }
            assert_eq!(fs::read(&path).expect("the file"), before, "the check wrote to the file");
            if in_name && noticed {
                // The program does not begin with an empty one.
                let opened = runtime.block_on(async { open_at(&path).map(drop) });
                assert!(opened.is_err(), "byte {at} of the file");
                renamed += 1;
            }
        }
    }
    assert!(renamed >= name.len(), "{renamed} letters of the name, places {places:?}");
}

#[test]
fn a_zeroed_page_is_noticed_or_harmless() {
    let mut pages = Vec::new();
    let tally = trials("page", |n, truth| {
        if pages.is_empty() {
            pages = used(truth).into_iter().map(|at| at / 4096 * 4096).collect();
            pages.dedup();
        }
        let at = *pages.get(n as usize)?;
        let mut bytes = truth.bytes.clone();
        let end = (at + 4096).min(bytes.len());
        bytes[at..end].fill(0);
        Some((format!("at {at}"), bytes))
    });
    assert!(tally.refused + tally.noticed > 10, "{tally:?}");
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let tally = trials("cut", |n, truth| {
        let length = 1 + random(n, truth.bytes.len() - 1);
        Some((format!("to {length}"), truth.bytes[..length].to_vec()))
    });
    assert_eq!((tally.harmless, tally.refused), (0, TRIALS as u32), "{tally:?}");
}

#[test]
fn garbage_is_refused_and_left_alone() {
    let tally = trials("garbage", |n, truth| {
        let length = 1 + random(n, 50_000);
        let mut bytes: Vec<u8> = (0..length).map(|i| random(n * 100_000 + i as u64, 256) as u8).collect();
        match n % 4 {
            0 => bytes.splice(..0, truth.bytes[..9].iter().copied()).for_each(drop),
            1 => bytes.splice(..0, truth.bytes[..512].iter().copied()).for_each(drop),
            2 => bytes = b"SQLite format 3\0".iter().copied().chain(bytes).collect(),
            _ => {}
        }
        Some((format!("{length} bytes"), bytes))
    });
    assert_eq!(tally.refused, TRIALS as u32, "{tally:?}");
}

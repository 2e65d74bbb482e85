//! Random histories of random calls: the store's totals are those of a naive fold, whatever the order.

use proptest::prelude::*;

use super::naive::Naive;
use super::scenario::{Dice, Legs, Script, calls};
use super::*;

/// One history: pages in any order with repeats and stale rows, answers for single calls, refusals, time
/// that passes, and a store that is closed and opened again.
async fn history(seed: u64) {
    let dice = &mut Dice::new(seed);
    let scripts = calls(dice);
    let mut bench = Bench::new().await;
    let mut naive = Naive { account: bench.account, calls: BTreeMap::new() };
    for _ in 0..25 {
        bench.now = bench.now.plus(dice.roll(25 * 60) as i64);
        for _ in 0..dice.roll(3) {
            let rows: Vec<Observation> = (0..1 + dice.roll(6)).map(|_| row(dice, &scripts)).collect();
            naive.page(&rows, false, &[], &[], bench.now);
            bench.page(rows, Origin::Page).await;
        }
        ask_for_details(dice, &scripts, &mut bench, &mut naive).await;
        bench.tasks().await;
        naive.tick(bench.now);
        if dice.one_in(12) {
            bench.reopen().await;
        }
        // When exactly a leg finds its root is nobody's business: its price is compared at the end.
        let timely = |s: &Series| s.family != Family::Cost;
        equal(bench.totals(), naive.totals(), timely, &format!("{} minutes", (bench.now - START) / 60));
    }
    for _ in 0..12 {
        bench.now = bench.now.plus(2 * HOUR);
        bench.tasks().await;
        naive.tick(bench.now);
    }
    bench.reopen().await;
    equal(bench.totals(), naive.totals(), |_| true, "the end");
    assert_eq!(bench.hours().await, naive.hours());
    for name in naive.calls.keys() {
        let counted = naive.calls[name].settled.is_some();
        let at = naive.calls[name].created();
        let record = bench.store.call_at(bench.account, SID.into(), sid(name), at).await.expect("a read");
        assert_eq!(record.expect("each call is filed where it belongs").book.settled.is_some(), counted);
    }
    bench.check();
}

/// The same totals, but for the rows read, of which the naive fold knows nothing.
#[track_caller]
fn equal(
    ours: BTreeMap<Series, u64>,
    naive: BTreeMap<Series, u64>,
    which: impl Fn(&Series) -> bool,
    when: &str,
) {
    let value = |of: &BTreeMap<Series, u64>, series: &Series| of.get(series).copied().unwrap_or(0);
    let wrong: Vec<String> = ours
        .keys()
        .chain(naive.keys())
        .filter(|series| series.family != Family::SyncRecords && which(series))
        .filter(|series| value(&ours, series) != value(&naive, series))
        .map(|series| format!("{series:?}: {}, not {}", value(&ours, series), value(&naive, series)))
        .collect();
    assert!(wrong.is_empty(), "after {when}: {wrong:#?}");
}

/// Some version of some call, as a bulk row shows it.
fn row(dice: &mut Dice, scripts: &[Script]) -> Observation {
    let script = &scripts[dice.roll(scripts.len() as u64) as usize];
    let mut call = dice.pick(&script.versions);
    if script.legs != Legs::Inline {
        call.details = None;
    }
    call
}

/// Asks about some of the calls whose details are due: answered with or without them, not answered
/// although others are, or refused.
async fn ask_for_details(dice: &mut Dice, scripts: &[Script], bench: &mut Bench, naive: &mut Naive) {
    for task in [Task::DetailsFirst, Task::Details] {
        let due = bench.store.due(bench.account, task, bench.now, 100).await.expect("a read");
        for (sid, created) in due {
            if dice.one_in(2) {
                continue;
            }
            let name = sid.to_string();
            let script = scripts.iter().find(|s| s.versions[0].sid == sid).expect("one of ours");
            let mut page = Page::new(bench.context(), Vec::new(), Origin::Single);
            if dice.one_in(6) {
                page.refused = vec![(sid, created)];
                naive.page(&[], true, &[], &[&name], bench.now);
            } else {
                page.asked = Some((task, vec![(sid, created)]));
                let mut call = dice.pick(&script.versions);
                if script.legs == Legs::Never {
                    call.details = None;
                }
                let rows = if dice.one_in(4) { Vec::new() } else { vec![call] };
                naive.page(&rows, true, &[&name], &[], bench.now);
                page.rows = rows.into_iter().map(|call| Row::Call(Box::new(call))).collect();
            }
            bench.take(page).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_totals_are_those_of_a_naive_fold_whatever_the_order(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(history(seed));
    }
}

//! The limiter among tasks, under paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Allowance, HOLD_MS, Limiter};
use crate::exotel::Priority;
use crate::exotel::ledger::Ledger;
use crate::model::{Clock, Timestamp};

fn limiter(ceiling: u32, background_share: f64) -> Arc<Limiter> {
    let clock = Clock::following_tokio(Timestamp(1_772_459_700));
    let allowance = Allowance { ceiling, background_share };
    Ledger::in_memory().limiter("acct", crate::exotel::Pool::Voice, allowance, &clock)
}

async fn sent(limiter: &Arc<Limiter>, priority: Priority) -> super::shell::Permit {
    let mut permit = limiter.acquire(priority).await;
    permit.record().await.unwrap();
    permit
}

#[tokio::test(start_paused = true)]
async fn a_slot_frees_a_minute_after_its_answer_and_not_after_its_request() {
    let limiter = limiter(1, 1.0);
    let permit = sent(&limiter, Priority::Sync).await;
    sleep(Duration::from_secs(25)).await;
    drop(permit);
    let answered = Instant::now();
    sent(&limiter, Priority::Sync).await;
    assert_eq!(answered.elapsed().as_millis(), u128::from(HOLD_MS));
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_leaves_the_queue_to_the_others() {
    let limiter = limiter(1, 1.0);
    let permit = sent(&limiter, Priority::Sync).await;
    let first = timeout(Duration::from_secs(5), limiter.acquire(Priority::Health));
    let second = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { sent(&limiter, Priority::Backfill).await }
    });
    assert!(first.await.is_err());
    assert_eq!(limiter.gauges().queue(), 1);
    drop(permit);
    drop(timeout(Duration::from_secs(120), second).await.unwrap().unwrap());
    assert_eq!(limiter.gauges().queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_sent_nothing_costs_no_slot() {
    let limiter = limiter(2, 1.0);
    for _ in 0..5 {
        drop(limiter.acquire(Priority::Sync).await);
    }
    let begun = Instant::now();
    drop((sent(&limiter, Priority::Sync).await, sent(&limiter, Priority::Sync).await));
    // Paced, but not a minute late.
    assert!(begun.elapsed() <= Duration::from_secs(61), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn background_work_waits_for_its_share_while_health_goes_on() {
    let limiter = limiter(100, 0.01);
    let background = sent(&limiter, Priority::Sync).await;
    assert!(timeout(Duration::from_secs(600), limiter.acquire(Priority::Settle)).await.is_err());
    drop(timeout(Duration::from_secs(2), sent(&limiter, Priority::Health)).await.unwrap());
    drop(timeout(Duration::from_secs(2), sent(&limiter, Priority::Interactive)).await.unwrap());
    drop(background);
}

#[tokio::test(start_paused = true)]
async fn workers_with_a_backlog_use_what_they_may() {
    for (ceiling, workers) in [(200, 6), (6000, 150)] {
        let limiter = limiter(ceiling, 1.0);
        let done = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..workers)
            .map(|n| {
                let (limiter, done) = (Arc::clone(&limiter), Arc::clone(&done));
                tokio::spawn(async move {
                    loop {
                        let permit = sent(&limiter, Priority::Sync).await;
                        if begun.elapsed() >= Duration::from_secs(2) {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        sleep(Duration::from_millis(100 + 10 * (n % 90))).await;
                        drop(permit);
                    }
                })
            })
            .collect();
        sleep(Duration::from_secs(302)).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let share = done.load(Ordering::Relaxed) as f64 / (f64::from(ceiling) * 5.0);
        assert!((0.97..=1.0).contains(&share), "{share:.4} of {ceiling}/min");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_with_each_answer_does_not_end_the_spacing() {
    for (limits, background_share, least) in
        [([100, 101], 1.0, 594), ([190, 200], 0.3, 1_000), ([60, 200], 1.0, 300)]
    {
        let limiter = limiter(240, background_share);
        let mut before = None;
        for n in 0..60 {
            let permit = sent(&limiter, Priority::Sync).await;
            let now = Instant::now();
            // The first two may be a burst.
            if let Some(before) = before.replace(now).filter(|_| n > 2) {
                let apart = now.duration_since(before).as_millis();
                assert!(apart >= least, "{limits:?}: {apart} ms between {} and {n}", n - 1);
            }
            limiter.learn(limits[n % 2]);
            drop(permit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_the_limit_the_next_request_waits_no_longer_than_the_new_spacing() {
    let limiter = limiter(1_000, 1.0);
    drop(sent(&limiter, Priority::Sync).await);
    limiter.learn(6);
    limiter.learn(60);
    let begun = Instant::now();
    drop(sent(&limiter, Priority::Sync).await);
    assert_eq!(begun.elapsed().as_secs(), 1);
    sleep(Duration::from_secs(30)).await;
    limiter.learn(30);
    let begun = Instant::now();
    drop(sent(&limiter, Priority::Sync).await);
    assert_eq!(begun.elapsed(), Duration::ZERO, "it was due long ago");
}

#[test]
fn another_runtime_takes_over_those_who_wait() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    let clock = Clock::system();
    let allowance = Allowance { ceiling: 1, background_share: 1.0 };
    let limiter = Ledger::in_memory().limiter("acct", crate::exotel::Pool::Voice, allowance, &clock);
    let permit = first.block_on(sent(&limiter, Priority::Sync));
    // A driver waits in the first runtime when it ends.
    let gave_up =
        first.block_on(async { timeout(Duration::from_millis(5), limiter.acquire(Priority::Sync)).await });
    assert!(gave_up.is_err());
    drop(first);
    limiter.configure(Allowance { ceiling: 100, background_share: 1.0 });
    let second = runtime();
    let granted =
        second.block_on(async { timeout(Duration::from_secs(5), limiter.acquire(Priority::Sync)).await });
    assert!(granted.is_ok());
    drop(permit);
}

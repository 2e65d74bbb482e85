//! Polls over an Exotel in this process, under paused time.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::collector::trial::{START, Trial, minutely};
use crate::config;
use crate::model::health::{CheckSource, State, Way};

const ALWAYS: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(i64::MAX));

impl Trial {
    async fn checks(&self) -> Vec<HealthCheck> {
        let id = self.account.id;
        self.store.health_checks(id, CheckSource::Poll, ALWAYS, 1000).await.unwrap()
    }

    fn state(&self, number: u16) -> Option<[State; 2]> {
        let health = self.account.status().health.numbers.get(&(number + ExoPhoneId::FIRST)).cloned()?;
        Some(Way::ALL.map(|way| health.reachability.state(way)))
    }

    fn verdicts(&self) -> [u64; 4] {
        let series = |v: Verdict| Series::new(self.account.id, Family::HealthChecks, v.code(), 0);
        Verdict::POLLED.map(|verdict| self.total(series(verdict)))
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_known_within_one_interval_and_counted_once() {
    let mut trial = Trial::new(3).await;
    trial.start();
    sleep(Duration::from_secs(50)).await;
    assert_eq!(trial.verdicts(), [1, 0, 0, 0]);
    trial.set(1, ["major_outage", "partial_network_outage"]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(trial.state(1), Some([State::Outage, State::Partial]));
    assert_eq!(trial.state(0), Some([State::Active; 2]));
    assert_eq!(trial.verdicts(), [1, 1, 0, 0]);
    let newest = &trial.checks().await[0];
    assert_eq!((newest.id, newest.verdict, newest.numbers), (2, Verdict::Warning, 3));
    assert_eq!(
        (&newest.incoming, &newest.outgoing),
        (&Some(vec!["sid1".into()]), &Some(vec!["sid1".into()]))
    );
    assert_eq!(newest.error, None);
    for number in [0, 2] {
        trial.set(number, ["major_outage", "active"]);
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(trial.checks().await[0].verdict, Verdict::Critical);
    sleep(Duration::from_secs(600)).await;
    let changes = |number: u16, way: Way| {
        let exophone = ExoPhoneId(number + ExoPhoneId::FIRST);
        let series = Series::new(trial.account.id, Family::StateChanges, way.code(), 0);
        trial.total(Series { exophone, ..series })
    };
    assert_eq!([0, 1, 2].map(|n| changes(n, Way::Inbound)), [1, 1, 1]);
    assert_eq!([0, 1, 2].map(|n| changes(n, Way::Outbound)), [0, 1, 0]);
    let status = trial.account.status().clone();
    assert!(status.health.first_done && !status.health.failed);
    let last = status.health.last_success.unwrap();
    assert!(trial.account.clock.now() - last <= 60);
    assert_eq!(trial.exotel().listed.len(), 1, "the list is read hourly");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_an_error_and_no_success_and_does_not_hold_up_the_others() {
    let mut trial = Trial::new(3).await;
    trial.start();
    sleep(Duration::from_secs(50)).await;
    let before = trial.account.status().health.last_success;
    trial.exotel().numbers[0].status = Some(500);
    trial.exotel().numbers[1].takes = Duration::from_secs(10_000);
    trial.set(2, ["active", "major_outage"]);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(trial.state(2), Some([State::Active, State::Outage]), "the third one is asked as ever");
    let newest = &trial.checks().await[0];
    assert_eq!(newest.verdict, Verdict::Warning);
    assert!(newest.error.as_ref().unwrap().contains("ExoPhones did not answer"), "{newest:?}");
    assert_eq!(trial.account.status().health.last_success, before);
    trial.set(2, ["active", "active"]);
    sleep(Duration::from_secs(180)).await;
    let newest = &trial.checks().await[0];
    assert_eq!(newest.verdict, Verdict::Error);
    assert!(trial.account.status().health.failed);
    // All is well again.
    trial.exotel().numbers[0].status = None;
    trial.exotel().numbers[1].takes = Duration::from_millis(300);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(trial.checks().await[0].verdict, Verdict::Ok);
    assert!(!trial.account.status().health.failed);
}

#[tokio::test(start_paused = true)]
async fn while_the_only_number_hangs_no_round_is_a_success() {
    let mut trial = Trial::new(1).await;
    trial.exotel().numbers[0].takes = Duration::from_secs(10_000);
    trial.start();
    sleep(Duration::from_secs(1000)).await;
    let [ok, warning, critical, error] = trial.verdicts();
    assert_eq!((ok, warning, critical), (0, 0, 0));
    assert!((14..=17).contains(&error), "{error} rounds");
    assert_eq!(trial.account.status().health.last_success, Some(START), "the first start");
    assert!(trial.exotel().asked.len() < 35, "a retry in half a minute, and none beside it");
}

#[tokio::test(start_paused = true)]
async fn without_a_list_the_check_says_so_and_with_none_all_is_well() {
    let mut trial = Trial::new(0).await;
    trial.exotel().list_status = Some(403);
    trial.start();
    sleep(Duration::from_secs(30)).await;
    let check = trial.checks().await.remove(0);
    assert_eq!((check.verdict, check.incoming), (Verdict::Error, None));
    assert!(check.error.unwrap().starts_with("the list of ExoPhones could not be read: "));
    trial.exotel().list_status = None;
    sleep(Duration::from_secs(700)).await;
    let check = trial.checks().await.remove(0);
    assert_eq!((check.verdict, check.incoming, check.error), (Verdict::Ok, Some(Vec::new()), None));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_gone_is_unknown_and_the_list_is_read_again() {
    let mut trial = Trial::new(3).await;
    trial.start();
    sleep(Duration::from_secs(50)).await;
    let gone = trial.exotel().numbers.remove(0);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(trial.state(0), Some([State::Unknown; 2]));
    assert_eq!(trial.checks().await[0].verdict, Verdict::Ok, "the others are well");
    sleep(Duration::from_secs(400)).await;
    assert_eq!(trial.exotel().listed.len(), 2);
    let asked = trial.exotel().asked.iter().filter(|(sid, _)| *sid == gone.sid).count();
    sleep(Duration::from_secs(300)).await;
    let later = trial.exotel().asked.iter().filter(|(sid, _)| *sid == gone.sid).count();
    assert_eq!(asked, later, "one that left the list is not asked any more");
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_check_now_gets_one_now() {
    let heartbeat = config::Heartbeat { interval: Duration::from_secs(3600), ..minutely() };
    let mut trial = Trial::with(2, config::Account::new("exampleacct1", "k", "t"), heartbeat).await;
    trial.start();
    sleep(Duration::from_secs(60)).await;
    trial.set(0, ["major_outage"; 2]);
    let began = Instant::now();
    let (one, two) = tokio::join!(trial.account.check_now(), trial.account.check_now());
    assert_eq!((one, two), (Ok(Verdict::Warning), Ok(Verdict::Warning)));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(trial.checks().await.len(), 2, "one check serves both");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(trial.checks().await.len(), 2);

    let off = config::Heartbeat { enabled: false, ..heartbeat };
    let trial = Trial::with(2, config::Account::new("exampleacct1", "k", "t"), off).await;
    assert_eq!(trial.account.check_now().await, Err(NotChecked::Disabled));
}

#[tokio::test(start_paused = true)]
async fn states_are_known_again_after_a_restart_and_a_change_meanwhile_is_seen() {
    let mut trial = Trial::new(2).await;
    trial.set(0, ["major_outage", "active"]);
    trial.start();
    sleep(Duration::from_secs(100)).await;
    let before = trial.account.status().health.clone();
    trial.restart().await;
    let after = trial.account.status().health.clone();
    assert_eq!((&after.numbers, after.last_success), (&before.numbers, before.last_success));
    trial.set(0, ["active", "active"]);
    trial.start();
    sleep(Duration::from_secs(40)).await;
    assert_eq!(trial.state(0), Some([State::Active; 2]));
    let series = Series::new(trial.account.id, Family::StateChanges, Way::Inbound.code(), 0);
    assert_eq!(trial.total(Series { exophone: ExoPhoneId(ExoPhoneId::FIRST), ..series }), 1);
    assert_eq!(trial.checks().await[0].id, 3, "numbers go on");
}

/// 500 numbers within the published limit, some of them affected all the time: no answer is ever older than
/// 15 minutes, and no minute sees more requests than it may.
#[tokio::test(start_paused = true)]
async fn five_hundred_numbers_take_turns_within_the_limit() {
    let mut trial = Trial::new(500).await;
    for number in (0..500).step_by(25) {
        trial.set(number, ["major_outage", "active"]);
    }
    trial.start();
    let begun = Instant::now();
    let mut oldest = 0;
    for minute in 17..=60 {
        sleep_until(begun + Duration::from_secs(minute * 60)).await;
        let now = trial.account.clock.now();
        let status = trial.account.status();
        assert_eq!(status.health.numbers.len(), 500, "minute {minute}");
        oldest = oldest.max(status.health.numbers.values().map(|n| now - n.answered).max().unwrap());
    }
    println!("500 ExoPhones at 40 requests a minute: the oldest answer is {oldest} s old");
    assert!(oldest < 900, "{oldest} s");
    let mut times: Vec<Instant> = trial.exotel().asked.iter().map(|(_, at)| *at).collect();
    times.extend(trial.exotel().listed.iter());
    times.sort_unstable();
    for (n, time) in times.iter().enumerate() {
        let in_minute = times[n..].iter().take_while(|t| **t - *time < Duration::from_secs(60)).count();
        assert!(in_minute <= 40, "{in_minute} requests in a minute");
    }
    let turns = |sid: &str| trial.exotel().asked.iter().filter(|(s, _)| s == sid).count();
    assert!(turns("sid25") > turns("sid26"), "{} and {}", turns("sid25"), turns("sid26"));
    let check = &trial.checks().await[0];
    assert_eq!((check.verdict, check.numbers, check.error.clone()), (Verdict::Warning, 500, None));
    assert_eq!(trial.checks().await.len() as u64, trial.verdicts().iter().sum::<u64>());
    assert!(trial.account.clock.now() - START >= 3600);
}

/// As a reload does: what was shown by then is counted, once, whoever polls on.
#[tokio::test(start_paused = true)]
async fn a_poll_that_is_stopped_in_the_middle_of_a_round_loses_no_change() {
    let mut trial = Trial::new(2).await;
    trial.start();
    sleep(Duration::from_secs(50)).await;
    trial.set(0, ["major_outage", "active"]);
    trial.exotel().numbers[1].takes = Duration::from_secs(40);
    sleep(Duration::from_secs(25)).await;
    assert_eq!(trial.state(0), Some([State::Outage, State::Active]), "shown while the round goes on");
    let begun = Instant::now();
    trial.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(trial.verdicts(), [1, 0, 0, 0], "half a round is no check");
    let series = Series::new(trial.account.id, Family::StateChanges, Way::Inbound.code(), 0);
    let changes = Series { exophone: ExoPhoneId(ExoPhoneId::FIRST), ..series };
    assert_eq!(trial.total(changes), 1);
    trial.exotel().numbers[1].takes = Duration::from_millis(300);
    trial.start();
    sleep(Duration::from_secs(60)).await;
    assert_eq!((trial.total(changes), trial.verdicts()), (1, [1, 1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_check_is_told_when_polls_end() {
    let mut trial = Trial::new(1).await;
    trial.exotel().numbers[0].takes = Duration::from_secs(40);
    trial.start();
    sleep(Duration::from_secs(5)).await;
    let account = Arc::clone(&trial.account);
    let waiting = tokio::spawn(async move { account.check_now().await });
    sleep(Duration::from_secs(1)).await;
    trial.stop().await;
    trial.account.polls_ended();
    assert_eq!(waiting.await.unwrap(), Err(NotChecked::NotStored));
    assert_eq!(trial.account.check_now().await, Err(NotChecked::Disabled));
    trial.exotel().numbers[0].takes = Duration::from_millis(300);
    trial.start();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(trial.account.check_now().await, Ok(Verdict::Ok));
}

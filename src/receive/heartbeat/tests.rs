//! Heartbeats in any order, and what they set off.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use super::*;
use crate::collector::trial::{START, Trial, minutely};
use crate::config;
use crate::model::health::Verdict;

fn heartbeat(at: i64, status: HeartbeatStatus, incoming: &[&str], content: u64) -> Heartbeat {
    Heartbeat {
        at: START.plus(at),
        status,
        incoming: incoming.iter().map(|sid| (*sid).to_owned()).collect(),
        outgoing: Vec::new(),
        alternates: Vec::new(),
        content,
    }
}

impl Trial {
    async fn hear(&self, heartbeat: Heartbeat) -> Taken {
        take(&self.account, heartbeat, self.account.clock.now()).await.unwrap()
    }

    fn heard(&self) -> HeardHeartbeat {
        HeardHeartbeat::clone(self.account.status().health.heartbeat.as_ref().unwrap())
    }

    async fn pushed(&self) -> Vec<HealthCheck> {
        let always = (Timestamp(0), Timestamp(i64::MAX));
        self.store.health_checks(self.account.id, CheckSource::Push, always, 100).await.unwrap()
    }
}

use HeartbeatStatus::{Critical, Ok as Well, PayloadTooLarge, Warning};

#[tokio::test(start_paused = true)]
async fn older_ones_are_stale_repeats_are_duplicates_and_the_same_second_can_be_put_right() {
    let mut trial = Trial::new(2).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(trial.hear(heartbeat(300, Warning, &["sid0"], 1)).await, Taken::Accepted);
    assert_eq!(trial.hear(heartbeat(240, Well, &[], 2)).await, Taken::Stale);
    assert_eq!(trial.hear(heartbeat(300, Warning, &["sid0"], 1)).await, Taken::Duplicate);
    assert_eq!(trial.heard().heartbeat.status, Warning);
    assert_eq!(trial.hear(heartbeat(300, Critical, &["sid0", "sid1"], 3)).await, Taken::Accepted);
    assert_eq!(trial.hear(heartbeat(360, Critical, &["sid0", "sid1"], 3)).await, Taken::Accepted);
    let heard = trial.heard();
    assert_eq!((heard.heartbeat.at, heard.since), (START.plus(360), START.plus(300)));
    let checks = trial.pushed().await;
    assert_eq!(
        checks.iter().map(|c| c.verdict).collect::<Vec<_>>(),
        [Verdict::Critical, Verdict::Critical, Verdict::Warning]
    );
    assert_eq!((checks[0].at, checks[0].stored, checks[0].numbers), (START.plus(360), START.plus(600), 2));
    assert_eq!(checks[2].incoming, Some(vec!["sid0".to_owned()]));
    assert_eq!(checks[2].outgoing, Some(Vec::new()));

    trial.restart().await;
    assert_eq!(trial.heard(), heard, "it is in force again after a restart");
    assert_eq!(trial.hear(heartbeat(360, Critical, &["sid0", "sid1"], 3)).await, Taken::Duplicate);
}

#[tokio::test(start_paused = true)]
async fn one_from_the_future_does_not_silence_those_that_follow() {
    let trial = Trial::new(1).await;
    assert_eq!(trial.hear(heartbeat(1_000_000_000, Critical, &["sid0"], 1)).await, Taken::Accepted);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(trial.hear(heartbeat(200, Well, &[], 2)).await, Taken::Stale);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(trial.hear(heartbeat(400, Well, &[], 3)).await, Taken::Accepted);
    assert_eq!(trial.pushed().await[0].verdict, Verdict::Ok);
}

#[tokio::test(start_paused = true)]
async fn one_without_details_leads_to_a_poll_of_every_number_at_once() {
    let often = config::Heartbeat { interval: Duration::from_secs(3600), ..minutely() };
    let settings = config::Account {
        rate_limits: config::RateLimits { voice: 200, exophones: 1, sms: 120 },
        ..config::Account::new("exampleacct1", "k", "t")
    };
    let mut trial = Trial::with(100, settings, often).await;
    trial.start();
    sleep(Duration::from_secs(3 * 3600)).await;
    let before = trial.exotel().asked.len();
    let at = trial.account.clock.now() - START;
    assert_eq!(trial.hear(heartbeat(at, PayloadTooLarge, &[], 1)).await, Taken::Accepted);
    assert_eq!(trial.pushed().await[0].incoming, None, "which numbers is not known");
    sleep(Duration::from_secs(110 * 60)).await;
    let asked: std::collections::BTreeSet<String> =
        trial.exotel().asked[before..].iter().map(|(sid, _)| sid.clone()).collect();
    assert_eq!(asked.len(), 100, "more than the hour's round has room for");
}

#[tokio::test(start_paused = true)]
async fn one_that_names_a_stranger_leads_to_a_reading_of_the_list() {
    let mut trial = Trial::new(2).await;
    trial.start();
    sleep(Duration::from_secs(600)).await;
    trial.hear(heartbeat(500, Warning, &["sid0", "+918000000001"], 1)).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(trial.exotel().listed.len(), 1, "a sid and a number that are known");
    trial.hear(heartbeat(1100, Warning, &["sid0", "stranger"], 2)).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(trial.exotel().listed.len(), 2);
}

/// The rule, spelt out without an order of arrival: the newest time wins; within it the content that was
/// heard last.
fn in_force(told: &[(i64, u64)]) -> (i64, u64) {
    let newest = told.iter().map(|(at, _)| *at).max().unwrap();
    *told.iter().rev().find(|(at, _)| *at == newest).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// In any order, each any number of times: the state is that of the newest, nothing is kept twice in a
    /// row, and a restart changes nothing.
    #[test]
    fn the_newest_is_in_force_whatever_the_order(
        told in proptest::collection::vec((0i64..20, 0u64..3), 1..40),
        restart_after in 0usize..40,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut trial = Trial::new(1).await;
            sleep(Duration::from_secs(3600)).await;
            let mut accepted = 0;
            let mut newest: Option<(i64, u64)> = None;
            for (n, (at, content)) in told.iter().enumerate() {
                if n == restart_after {
                    trial.restart().await;
                }
                let expected = match newest {
                    Some((newest, _)) if *at < newest => Taken::Stale,
                    Some(same) if same == (*at, *content) => Taken::Duplicate,
                    _ => Taken::Accepted,
                };
                prop_assert_eq!(trial.hear(heartbeat(at * 60, Warning, &["sid0"], *content)).await, expected);
                if expected == Taken::Accepted {
                    accepted += 1;
                    newest = Some((*at, *content));
                }
                let heard = trial.heard().heartbeat;
                let (at, content) = in_force(&told[..=n]);
                prop_assert_eq!((heard.at, heard.content), (START.plus(at * 60), content));
            }
            prop_assert_eq!(trial.pushed().await.len(), accepted);
            Ok(())
        })?;
    }
}

//! What a scrape shows of callbacks.

use super::*;
use crate::metrics::rendered::{self, has};

fn rendered(act: impl FnOnce(&WebhookMetrics)) -> String {
    let mut registry = Registry::default();
    act(&WebhookMetrics::register(&mut registry));
    rendered::text(&registry)
}

#[test]
fn without_an_account_that_takes_webhooks_there_is_no_series() {
    assert!(!rendered(|_| {}).contains("exotel_webhook"));
}

fn taking(id: u16, name: &str, expected: &[Kind]) -> TakesWebhooks {
    TakesWebhooks { id: AccountId(id), name: name.to_owned(), expected: expected.to_vec(), seen: Vec::new() }
}

const ACME: AccountId = AccountId(1);
const NOW: Timestamp = Timestamp(1_772_477_100);

#[test]
fn what_can_happen_is_there_before_it_happens() {
    let text = rendered(|metrics| metrics.arrange(vec![taking(1, "acme", &[])], NOW));
    for line in [
        r#"exotel_webhook_requests_total{account="acme",kind="calls",outcome="accepted"} 0"#,
        r#"exotel_webhook_requests_total{account="acme",kind="heartbeat",outcome="stale"} 0"#,
        r#"exotel_webhook_requests_total{account="acme",kind="other",outcome="invalid"} 0"#,
        r#"exotel_webhook_requests_total{account="unknown",kind="other",outcome="unauthorized"} 0"#,
        r#"exotel_webhook_handling_duration_seconds_count{kind="other"} 0"#,
    ] {
        has(&text, line);
    }
    assert!(!text.contains("last_received"), "nothing is expected and nothing came: {text}");
    assert_eq!(text.lines().filter(|l| l.starts_with("exotel_webhook_requests_total")).count(), 41);
}

#[test]
fn what_happens_shows() {
    let text = rendered(|metrics| {
        metrics.arrange(vec![taking(1, "acme", &[])], NOW);
        metrics.answered(Some(ACME), Some(Kind::Sms), Taken::Duplicate.into());
        metrics.answered(None, None, WebhookOutcome::Unauthorized);
        metrics.handled(Some(Kind::Sms), Duration::from_millis(20));
        metrics.received(ACME, Kind::Heartbeat, Timestamp(1_772_477_110));
    });
    for line in [
        r#"exotel_webhook_requests_total{account="acme",kind="sms",outcome="duplicate"} 1"#,
        r#"exotel_webhook_requests_total{account="unknown",kind="other",outcome="unauthorized"} 1"#,
        r#"exotel_webhook_handling_duration_seconds_sum{kind="sms"} 0.02"#,
        r#"exotel_webhook_last_received_timestamp_seconds{account="acme",kind="heartbeat"} 1772477110"#,
    ] {
        has(&text, line);
    }
}

#[test]
fn a_renamed_account_keeps_its_counts_and_one_that_left_has_none() {
    let text = rendered(|metrics| {
        metrics.arrange(vec![taking(1, "acme", &[Kind::Sms]), taking(2, "gone", &[Kind::Sms])], NOW);
        for id in [1, 2] {
            metrics.answered(Some(AccountId(id)), Some(Kind::Sms), WebhookOutcome::Accepted);
            metrics.received(AccountId(id), Kind::Heartbeat, NOW);
        }
        metrics.arrange(vec![taking(1, "renamed", &[Kind::Calls])], NOW.plus(60));
        metrics.answered(Some(AccountId(2)), Some(Kind::Sms), WebhookOutcome::Accepted);
        metrics.answered(Some(ACME), Some(Kind::Sms), WebhookOutcome::Accepted);
    });
    has(&text, r#"exotel_webhook_requests_total{account="renamed",kind="sms",outcome="accepted"} 2"#);
    for line in [
        r#"exotel_webhook_last_received_timestamp_seconds{account="renamed",kind="heartbeat"} 1772477100"#,
        r#"exotel_webhook_last_received_timestamp_seconds{account="renamed",kind="calls"} 1772477160"#,
    ] {
        has(&text, line);
    }
    assert_eq!(text.matches("last_received_timestamp_seconds{").count(), 2, "sms is awaited no more: {text}");
    assert!(!text.contains("acme") && !text.contains("gone"), "{text}");
}

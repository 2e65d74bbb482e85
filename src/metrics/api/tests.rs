//! What a scrape shows of requests.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use super::*;
use crate::metrics::rendered::{has, text as scrape};

#[test]
fn every_reason_and_endpoint_is_zero_from_the_start() {
    let mut registry = Registry::default();
    let metrics = ApiMetrics::new(&mut registry);
    assert_eq!(scrape(&registry), "# EOF\n", "no account, no series");
    metrics.for_account("sid1", "main");
    let text = scrape(&registry);
    has(&text, r#"exotel_api_requests_total{account="main",endpoint="calls",code="200"} 0"#);
    for reason in ErrorKind::REASONS {
        has(
            &text,
            &format!(
                r#"exotel_api_request_failures_total{{account="main",endpoint="call",reason="{reason}"}} 0"#
            ),
        );
    }
    has(&text, r#"exotel_api_operations_abandoned_total{account="main",endpoint="exophones"} 0"#);
    has(&text, r#"exotel_api_request_duration_seconds_count{account="main",endpoint="calls"} 0"#);
    has(&text, r#"exotel_api_throttle_wait_seconds_count{account="main",pool="voice",priority="settle"} 0"#);
    has(&text, r#"exotel_api_auth_ok{account="main"} 1"#);
    // What is not known is absent.
    assert!(!text.contains("clock_offset_seconds{") && !text.contains("queue_length{"));
    assert!(
        text.contains("# HELP exotel_api_clock_offset_seconds Exotel's Date header minus the local clock.")
    );
}

#[test]
fn what_happened_is_counted_and_state_is_shown() {
    let mut registry = Registry::default();
    let metrics = ApiMetrics::new(&mut registry);
    let account = metrics.for_account("sid1", "main");
    account.attempt(Endpoint::Calls, Some(200), Duration::from_millis(80));
    account.attempt(Endpoint::Calls, Some(429), Duration::from_millis(20));
    account.attempt(Endpoint::Calls, Some(418), Duration::ZERO);
    account.attempt(Endpoint::Calls, Some(999), Duration::ZERO);
    account.attempt(Endpoint::Call, None, Duration::from_secs(30));
    account.failure(Endpoint::Calls, ErrorKind::Throttled { retry_after: None });
    account.abandoned(Endpoint::Calls);
    account.waited(Pool::Voice, Priority::Backfill, Duration::from_secs(2));
    account.set_auth_ok(false);
    account.set_clock_offset(-3);
    let pool = Arc::new(PoolGauges::default());
    account.show_pool(Pool::Voice, Arc::clone(&pool));
    pool.set_queue(4);
    pool.set_quota(150);
    let text = scrape(&registry);
    for code in ["200", "429", "4xx", "other"] {
        has(
            &text,
            &format!(r#"exotel_api_requests_total{{account="main",endpoint="calls",code="{code}"}} 1"#),
        );
    }
    has(&text, r#"exotel_api_requests_total{account="main",endpoint="call",code="none"} 1"#);
    has(&text, r#"exotel_api_request_failures_total{account="main",endpoint="calls",reason="throttled"} 1"#);
    has(&text, r#"exotel_api_operations_abandoned_total{account="main",endpoint="calls"} 1"#);
    has(
        &text,
        r#"exotel_api_throttle_wait_seconds_sum{account="main",pool="voice",priority="backfill"} 2.0"#,
    );
    has(&text, r#"exotel_api_auth_ok{account="main"} 0"#);
    has(&text, r#"exotel_api_clock_offset_seconds{account="main"} -3"#);
    has(&text, r#"exotel_api_queue_length{account="main",pool="voice"} 4"#);
    has(&text, r#"exotel_api_quota_requests{account="main",pool="voice"} 150"#);
    assert!(!text.contains("quota_remaining_requests{"));
    pool.set_remaining(0);
    has(&scrape(&registry), r#"exotel_api_quota_remaining_requests{account="main",pool="voice"} 0"#);
}

#[test]
fn a_rename_keeps_the_counters_and_an_account_that_left_goes() {
    let mut registry = Registry::default();
    let metrics = ApiMetrics::new(&mut registry);
    let account = metrics.for_account("sid1", "old");
    account.abandoned(Endpoint::Calls);
    let renamed = metrics.for_account("sid1", "new");
    renamed.abandoned(Endpoint::Calls);
    let text = scrape(&registry);
    has(&text, r#"exotel_api_operations_abandoned_total{account="new",endpoint="calls"} 2"#);
    assert!(!text.contains("\"old\""));
    metrics.for_account("sid2", "other");
    // Each takes the other's name: no scrape may show one name twice.
    metrics.arrange(&[("sid1", "other"), ("sid2", "new")].into());
    let text = scrape(&registry);
    has(&text, r#"exotel_api_operations_abandoned_total{account="other",endpoint="calls"} 2"#);
    has(&text, r#"exotel_api_operations_abandoned_total{account="new",endpoint="calls"} 0"#);
    metrics.arrange(&[("sid3", "not asked for yet")].into());
    assert_eq!(scrape(&registry), "# EOF\n");
}

//! What `/metrics` promises whoever reads it: names, types, labels, formats, and that it is always there.

use std::collections::BTreeSet;

use crate::support::agent::{Setup, account};
use crate::support::exposition::Family;
use crate::support::fake::Fake;
use crate::support::scrape::{ACCEPT_OPENMETRICS, OPENMETRICS_TYPE, TEXT_TYPE};
use crate::support::{http, secs};

/// Name, type and labels of every family of the contract that a running agent with a counted call has. A rename here is
/// a breaking change for dashboards and alerts.
const FAMILIES: &[(&str, &str, &[&str])] = &[
    ("exotel_exporter_build_info", "gauge", &["version", "revision"]),
    ("exotel_exporter_ready", "gauge", &[]),
    ("exotel_exporter_first_cycle_done", "gauge", &["account"]),
    ("exotel_exporter_task_restarts_total", "counter", &["task"]),
    ("exotel_exporter_config_last_reload_successful", "gauge", &[]),
    ("exotel_exporter_config_last_reload_success_timestamp_seconds", "gauge", &[]),
    ("exotel_exporter_label_overflows_total", "counter", &["label"]),
    ("exotel_up", "gauge", &["account"]),
    ("exotel_api_requests_total", "counter", &["account", "endpoint", "code"]),
    ("exotel_api_request_failures_total", "counter", &["account", "endpoint", "reason"]),
    ("exotel_api_operations_abandoned_total", "counter", &["account", "endpoint"]),
    ("exotel_api_request_duration_seconds", "histogram", &["account", "endpoint"]),
    ("exotel_api_auth_ok", "gauge", &["account"]),
    ("exotel_api_clock_offset_seconds", "gauge", &["account"]),
    ("exotel_api_throttle_wait_seconds", "histogram", &["account", "pool", "priority"]),
    ("exotel_api_queue_length", "gauge", &["account", "pool"]),
    ("exotel_api_quota_requests", "gauge", &["account", "pool"]),
    ("exotel_exophones", "gauge", &["account"]),
    ("exotel_exophone_up", "gauge", &["account", "exophone", "direction"]),
    ("exotel_exophone_state", "gauge", &["account", "exophone", "direction", "state"]),
    ("exotel_exophone_last_check_timestamp_seconds", "gauge", &["account", "exophone", "direction"]),
    ("exotel_exophone_state_changes_total", "counter", &["account", "exophone", "direction"]),
    ("exotel_exophone_paging", "gauge", &["account", "exophone"]),
    ("exotel_health_checks_total", "counter", &["account", "status"]),
    ("exotel_health_poll_interval_seconds", "gauge", &["account"]),
    ("exotel_health_poll_last_success_timestamp_seconds", "gauge", &["account"]),
    ("exotel_sync_runs_total", "counter", &["account", "trigger", "outcome"]),
    ("exotel_sync_interval_seconds", "gauge", &["account"]),
    ("exotel_sync_lookback_seconds", "gauge", &["account"]),
    ("exotel_sync_lag_seconds", "gauge", &["account"]),
    ("exotel_sync_last_success_timestamp_seconds", "gauge", &["account"]),
    ("exotel_sync_last_run_duration_seconds", "gauge", &["account"]),
    ("exotel_sync_watermark_timestamp_seconds", "gauge", &["account"]),
    ("exotel_sync_head_timestamp_seconds", "gauge", &["account"]),
    ("exotel_sync_records_total", "counter", &["account", "result"]),
    ("exotel_sync_rows_set_aside", "gauge", &["account"]),
    ("exotel_sync_windows_cut_total", "counter", &["account"]),
    ("exotel_sync_audited_windows_total", "counter", &["account", "result"]),
    ("exotel_sync_audit_found_calls_total", "counter", &["account"]),
    ("exotel_calls_unsettled", "gauge", &["account"]),
    ("exotel_calls_unpriced", "gauge", &["account"]),
    ("exotel_call_settle_delay_seconds", "histogram", &["account"]),
    ("exotel_call_details_total", "counter", &["account", "result"]),
    ("exotel_call_corrections_total", "counter", &["account", "field"]),
    ("exotel_calls_total", "counter", &["account", "exophone", "direction", "status"]),
    ("exotel_call_outcomes_total", "counter", &["account", "exophone", "direction", "outcome"]),
    ("exotel_calls_short_total", "counter", &["account", "exophone", "direction"]),
    ("exotel_call_legs_total", "counter", &["account", "leg", "status"]),
    ("exotel_call_seconds_total", "counter", &["account", "exophone", "direction"]),
    ("exotel_call_conversation_seconds_total", "counter", &["account", "exophone", "direction"]),
    ("exotel_call_conversation_duration_seconds", "histogram", &["account", "direction"]),
    ("exotel_call_setup_duration_seconds", "histogram", &["account", "direction"]),
    ("exotel_call_cost_total", "counter", &["account", "exophone", "direction", "currency"]),
    ("exotel_call_cost_refunds_total", "counter", &["account", "currency"]),
    ("exotel_store_size_bytes", "gauge", &[]),
    ("exotel_store_filesystem_avail_bytes", "gauge", &[]),
    ("exotel_store_filesystem_size_bytes", "gauge", &[]),
    ("exotel_store_records", "gauge", &["table"]),
    ("exotel_store_errors_total", "counter", &["op"]),
    ("exotel_store_operation_duration_seconds", "histogram", &["op"]),
    ("exotel_store_pruned_records_total", "counter", &["table"]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
];

#[test]
fn every_metric_of_the_contract_is_there_with_its_type_and_labels() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    let mut agent = setup.start();
    exotel.add_call("one");
    let scrape = agent.scrape_until(secs(30), "a call is counted", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(1.0)
    });
    let mut faults = Vec::new();
    for (name, kind, labels) in FAMILIES {
        let Some(family) = scrape.families.iter().find(|family| family.name == *name) else {
            faults.push(format!("{name} is missing"));
            continue;
        };
        if family.kind != *kind {
            faults.push(format!("{name} is a {}, not a {kind}", family.kind));
        }
        if family.samples.is_empty() {
            faults.push(format!("{name} has no series"));
        }
        let wanted: BTreeSet<&str> = labels.iter().copied().collect();
        if let Some(found) = label_sets(family).into_iter().find(|found| *found != wanted) {
            faults.push(format!("{name} has the labels {found:?}, not {wanted:?}"));
        }
    }
    for family in &scrape.families {
        if !family.name.starts_with("exotel_") && !family.name.starts_with("process_") {
            faults.push(format!("{} has a foreign prefix", family.name));
        }
    }
    assert!(faults.is_empty(), "{}\n\n{}", faults.join("\n"), scrape.text);
}

/// The different sets of label names that its series carry, `le` left out.
fn label_sets(family: &Family) -> BTreeSet<BTreeSet<&str>> {
    let mut sets = BTreeSet::new();
    for sample in &family.samples {
        sets.insert(sample.labels.keys().map(String::as_str).filter(|name| *name != "le").collect());
    }
    sets
}

#[test]
fn a_scrape_answers_in_the_format_that_was_asked_for() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    let agent = setup.start();
    for (accept, expected) in [
        (ACCEPT_OPENMETRICS, OPENMETRICS_TYPE),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS_TYPE),
        ("text/plain;version=0.0.4", TEXT_TYPE),
        ("text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.1", TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("application/json", TEXT_TYPE),
        ("", TEXT_TYPE),
    ] {
        let answer = http::get_with(&agent.metrics_url(), &[("Accept", accept)]).unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, expected), "Accept: {accept}");
    }
    let packed = http::get_with(&agent.metrics_url(), &[("Accept-Encoding", "gzip")]).unwrap();
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.body[..2], [0x1f, 0x8b], "gzip's first bytes");
}

#[test]
fn a_scrape_is_whole_before_exotel_ever_answered() {
    // Nothing listens there.
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9")]);
    let mut agent = setup.start();
    let scrape = agent.scrape();
    scrape.metric("exotel_exporter_ready").is(1);
    // Every counter that a call can reach is there as 0, under the number that stands for those nobody knows yet.
    let calls = scrape.metric("exotel_calls_total").label("account", "acme");
    assert!(calls.count() > 0, "{}", scrape.text);
    calls.sums_to(0.0).unwrap();
    agent.scrape_until(secs(20), "Exotel is seen to be unreachable", |scrape| {
        scrape.metric("exotel_up").sums_to(0.0)?;
        scrape.metric("exotel_api_request_failures_total").label("reason", "connect").at_least(1.0)?;
        scrape.metric("exotel_exporter_first_cycle_done").sums_to(1.0)
    });
    assert_eq!(agent.get("/-/healthy").unwrap().status, 200);
    assert_eq!(agent.get("/-/ready").unwrap().status, 200);
}

//! What a scrape shows of a picture.

use std::sync::Arc;

use super::*;
use crate::metrics::view::{HealthPollView, View};
use crate::model::health::{Connectivity, NumberHealth, Reachability};
use crate::model::series::Totals;
use crate::model::{AccountId, Timestamp};

fn polled(inbound: State, fresh: bool) -> PolledNumber {
    let side = |state, at| Some(Connectivity { checked: Some(Timestamp(at)), ..Connectivity::of(state) });
    PolledNumber {
        health: NumberHealth {
            reachability: Reachability { inbound: side(inbound, 90), outbound: None },
            answered: Timestamp(100),
            since: [Timestamp(50); 2],
            changed: None,
        },
        fresh,
    }
}

fn phone(id: u16, polled: Option<PolledNumber>, affected: [Option<bool>; 2]) -> ExoPhoneView {
    ExoPhoneView {
        id: ExoPhoneId(id),
        label: format!("line-{id}"),
        sid: Some(format!("sid{id}")),
        paging: id == 2,
        polled,
        affected,
    }
}

fn account() -> AccountView {
    AccountView {
        id: AccountId(1),
        name: "acme".into(),
        currency: "INR".into(),
        exophones: vec![
            phone(2, Some(polled(State::Outage, true)), [Some(true), Some(false)]),
            phone(3, Some(polled(State::Partial, true)), [Some(false); 2]),
            phone(4, Some(polled(State::Active, false)), [None; 2]),
            ExoPhoneView {
                id: ExoPhoneId::UNKNOWN,
                label: "unknown".into(),
                sid: None,
                ..phone(5, None, [None; 2])
            },
        ],
        known_exophones: 3,
        channel_limit: None,
        callbacks: None,
        expects_sms: false,
        balance: None,
        sync: None,
        health_poll: Some(HealthPollView { interval: 60.0, last_success: Some(Timestamp(120)) }),
        heartbeat: Some(HeartbeatStatus::Warning),
        heartbeat_expected_every: Some(300.0),
    }
}

fn scrape(account: AccountView) -> String {
    let mut totals = std::collections::BTreeMap::new();
    let changes = Series::new(AccountId(1), Family::StateChanges, Way::Inbound.code(), 0);
    totals.insert(Series { exophone: ExoPhoneId(2), ..changes }.to_key(), 3);
    totals.insert(Series::new(AccountId(1), Family::HealthChecks, Verdict::Warning.code(), 0).to_key(), 7);
    let view = View { totals: Totals::new(Arc::new(totals)), accounts: vec![account] };
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Health::new(Arc::new(move || view.clone()))));
    crate::metrics::rendered::text(&registry)
}

#[track_caller]
fn series(text: &str, name: &str, expected: &[&str]) {
    let found: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix(&format!("{name}{{account=\"acme\""))).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn states_by_poll_and_by_push_stand_apart() {
    let text = scrape(account());
    series(
        &text,
        "exotel_exophone_up",
        &[r#",exophone="line-2",direction="inbound"} 0.0"#, r#",exophone="line-3",direction="inbound"} 1.0"#],
    );
    let of_one = |line: &&str| line.contains("exotel_exophone_state{") && line.contains("line-3");
    let states: Vec<&str> = text.lines().filter(of_one).filter(|l| l.ends_with(" 1.0")).collect();
    assert_eq!(
        states,
        [
            r#"exotel_exophone_state{account="acme",exophone="line-3",direction="inbound",state="partial"} 1.0"#,
            r#"exotel_exophone_state{account="acme",exophone="line-3",direction="outbound",state="unknown"} 1.0"#,
        ]
    );
    assert_eq!(text.lines().filter(of_one).count(), 8, "every state, in both directions");
    series(
        &text,
        "exotel_heartbeat_exophone_affected",
        &[
            r#",exophone="line-2",direction="inbound"} 1.0"#,
            r#",exophone="line-2",direction="outbound"} 0.0"#,
            r#",exophone="line-3",direction="inbound"} 0.0"#,
            r#",exophone="line-3",direction="outbound"} 0.0"#,
        ],
    );
    series(
        &text,
        "exotel_heartbeat_status",
        &[
            r#",status="OK"} 0.0"#,
            r#",status="WARNING"} 1.0"#,
            r#",status="CRITICAL"} 0.0"#,
            r#",status="PAYLOAD_TOO_LARGE"} 0.0"#,
        ],
    );
    series(&text, "exotel_heartbeat_expected_interval_seconds", &["} 300.0"]);
}

#[test]
fn an_answer_that_is_too_old_shows_its_age_alone() {
    let text = scrape(account());
    assert!(!text.contains(r#"exotel_exophone_up{account="acme",exophone="line-4""#), "{text}");
    assert!(!text.contains(r#"exotel_exophone_state{account="acme",exophone="line-4""#));
    assert!(text.contains(
        r#"exotel_exophone_last_check_timestamp_seconds{account="acme",exophone="line-4",direction="inbound"} 90.0"#
    ));
    assert!(text.contains(
        r#"exotel_exophone_last_answer_timestamp_seconds{account="acme",exophone="line-4"} 100.0"#
    ));
}

#[test]
fn counters_are_there_as_0_before_anything_happens() {
    let text = scrape(account());
    series(
        &text,
        "exotel_health_checks_total",
        &[
            r#",status="OK"} 0"#,
            r#",status="WARNING"} 7"#,
            r#",status="CRITICAL"} 0"#,
            r#",status="ERROR"} 0"#,
        ],
    );
    let changes: Vec<&str> =
        text.lines().filter(|l| l.starts_with("exotel_exophone_state_changes_total{")).collect();
    assert_eq!(changes.len(), 6, "{changes:?}");
    assert!(changes[0].ends_with(r#"exophone="line-2",direction="inbound"} 3"#), "{changes:?}");
    series(&text, "exotel_health_poll_last_success_timestamp_seconds", &["} 120.0"]);
    series(
        &text,
        "exotel_exophone_paging",
        &[r#",exophone="line-2"} 1.0"#, r#",exophone="line-3"} 0.0"#, r#",exophone="line-4"} 0.0"#],
    );
}

#[test]
fn what_is_off_or_unknown_exports_nothing() {
    let mut off = account();
    (off.health_poll, off.heartbeat, off.heartbeat_expected_every) = (None, None, None);
    for phone in &mut off.exophones {
        (phone.polled, phone.affected) = (None, [None; 2]);
    }
    let text = scrape(off);
    let names: std::collections::BTreeSet<&str> =
        text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split('{').next()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["exotel_exophone_paging"]);
}

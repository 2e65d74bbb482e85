//! A day of callbacks in seconds, with the waits of the field: what was lost, contradicted or about no call at all is found,
//! and nothing else.

use std::collections::BTreeSet;

use exotel_exporter::config::Secret;
use exotel_exporter::model::{Clock, Direction};
use exotel_exporter::simulator::{
    AgentEvents, Body, LegsKnown, Messages, Options, PassthruMethod, ReportForm, Reports, Simulator, Webhooks,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::rehearsal::{MIDNIGHT, Running, SID, field, hours, settled, sum};

/// Callbacks in every form, a tenth lost, a tenth doubled, a fifth minutes late and so behind later ones.
fn hostile() -> Options {
    let mut webhooks = Webhooks {
        base: Some("http://agent.simulated/webhooks/{account}/a-secret-of-the-day".to_owned()),
        lost_share: 0.1,
        doubled_share: 0.1,
        disordered_share: 0.2,
        ..Webhooks::default()
    };
    webhooks.calls.body = Body::Mixed;
    webhooks.calls.ccm_share = 0.2;
    webhooks.calls.contradicted_share = 0.05;
    webhooks.calls.phantom_share = 0.05;
    webhooks.passthru.method = PassthruMethod::Mixed;
    webhooks.passthru.insights_share = 0.5;
    webhooks.passthru.agent_events = AgentEvents::Sent;
    webhooks.reports = Reports { form: ReportForm::Mixed, pending_share: 0.5 };
    let messages = Messages { per_second: 0.02, ..Messages::default() };
    Options { webhooks, messages, ..field(4_000.0) }
}

#[tokio::test]
async fn lost_contradicting_and_invented_callbacks_are_told_as_the_simulator_knows_them() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following_tokio(MIDNIGHT);
    let simulator = Simulator::new(hostile(), clock.clone());
    let running = Running::start(&simulator, &clock, folder.path(), |config| {
        let account = &mut config.accounts[0];
        account.webhook_secrets = vec![Secret::new("a-secret-of-the-day")];
        account.expected_webhooks = ["heartbeat", "calls", "sms"].map(str::to_owned).to_vec();
    })
    .await;
    let (postman, stop) = (running.postman.clone(), CancellationToken::new());
    let sending = tokio::spawn({
        let (simulator, stop) = (simulator.clone(), stop.clone());
        async move { simulator.send_webhooks(postman, stop).await }
    });
    sleep(hours(3)).await;
    simulator.stop_traffic();
    // Callbacks change nothing of what counts.
    settled(&running, &simulator, MIDNIGHT, LegsKnown::All, hours(12)).await;
    // What only callbacks named is unconfirmed 6 h after it was heard of; the last report of a message that is asked
    // for comes sooner.
    sleep(hours(8)).await;

    let truth = simulator.webhook_truth(SID, MIDNIGHT).unwrap();
    assert_eq!(truth.pending, 0);
    for (name, some) in [
        ("lost callbacks", truth.calls.lost.len()),
        ("lost reports", truth.sms.lost.len()),
        ("phantoms", truth.phantoms.len()),
        ("contradictions", truth.contradicted as usize),
    ] {
        assert!(some >= 3, "{name}: {some}");
    }
    let refused = truth.deliveries.values().map(|kind| kind.given_up).sum::<u64>();
    assert_eq!(refused, 0, "{:?}", truth.deliveries);

    let scrape = running.scrape();
    let total = |family: &str, labels: &[(&str, &str)]| sum(&scrape, family, labels);
    assert_eq!(total("exotel_webhook_calls_expected_total", &[]), truth.calls.expected as f64);
    assert_eq!(total("exotel_webhook_calls_missed_total", &[]), truth.calls.lost.len() as f64);
    assert_eq!(total("exotel_webhook_calls_unconfirmed_total", &[]), truth.phantoms.len() as f64);
    let mismatches = |field| total("exotel_reconcile_mismatches_total", &[("field", field)]);
    assert_eq!(mismatches("status"), truth.contradicted as f64);
    for field in ["duration", "price", "leg"] {
        assert_eq!(mismatches(field), 0.0, "{field}");
    }
    let roots = total("exotel_calls_total", &[]);
    assert_eq!(total("exotel_reconcile_calls_total", &[]), roots, "each call by who had told of it");
    assert_eq!(total("exotel_calls_in_progress", &[]), 0.0, "every call is over");
    for (status, reported) in &truth.messages_reported {
        assert_eq!(total("exotel_sms_messages_total", &[("status", status)]), *reported as f64, "{status}");
    }
    let reported: u64 = truth.messages_reported.values().sum();
    assert_eq!(total("exotel_sms_messages_total", &[]), reported as f64);

    let account = &running.account;
    let missed = account.store.missed(account.id, SID.to_owned(), None, 10_000).await.unwrap();
    assert!(missed.iter().all(|record| record.call.direction == Some(Direction::OutboundApi)));
    let listed: BTreeSet<String> = missed.iter().map(|record| record.call.sid.to_string()).collect();
    assert_eq!(listed, truth.calls.lost.iter().cloned().collect(), "the list names each of them");
    stop.cancel();
    sending.await.unwrap();
    running.stop().await;
}

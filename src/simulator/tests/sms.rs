//! Messages, their reports, and the balance.

use std::collections::BTreeMap;

use serde_json::json;

use super::mailbox::{BASE, Mailbox, assert_same_shape, fixture, form, quiet, truth};
use super::*;
use crate::simulator::{Numbers, ReportForm, Scenario, SmsBreach, WebhookKind, WhenEmpty};

fn options() -> Options {
    let mut options = plain(0.0);
    options.messages.per_second = 1.0;
    options.messages.submit = Delay::seconds(2.0, 4.0);
    options.messages.deliver = Delay::seconds(5.0, 20.0);
    options.limits.sms = None;
    options.webhooks.base = Some(BASE.to_owned());
    options
}

fn sid(bench: &Bench, n: u32) -> String {
    crate::simulator::lock(&bench.simulator.inner.accounts[0].world).faces.message_sid(n)
}

async fn message(bench: &Bench, sid: &str) -> Value {
    bench.get(&format!("/v1/Accounts/exampleacct1/SMS/Messages/{sid}.json")).await.json()
}

fn theirs(name: &str) -> Value {
    serde_json::from_str(&fixture(name)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_from_queued_over_pending_to_its_end() {
    let bench = Bench::new(options());
    pass(30).await;
    bench.simulator.stop_traffic();
    let (mut stories, mut n) = (Vec::new(), 0);
    // The youngest message is still on its way.
    while message(&bench, &sid(&bench, n)).await.get("SMSMessage").is_some() {
        n += 1;
    }
    for _ in 0..40 {
        let told = message(&bench, &sid(&bench, n - 1)).await["SMSMessage"].clone();
        let code = told["DetailedStatusCode"].as_u64().unwrap();
        let over = !(21_000..22_000).contains(&code);
        assert_eq!(told["Price"].is_null(), !over, "{told}");
        assert_eq!(told["SmsUnits"].is_null(), !over, "{told}");
        stories.push(code);
        pass(1).await;
    }
    stories.dedup();
    assert!(stories.len() >= 2, "{stories:?}");
    assert!(
        stories[..stories.len() - 1].iter().all(|code| [21010, 21015, 21020].contains(code)),
        "{stories:?}"
    );
    assert!(stories.is_sorted_by_key(|code| if *code / 1000 == 21 { *code } else { 99_999 }), "{stories:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_told_by_its_sid_as_the_fixtures_have_it() {
    let mut options = options();
    for numbers in [Numbers::Texts, Numbers::Numbers] {
        options.wire.numbers = numbers;
        let bench = Bench::new(options.clone());
        pass(300).await;
        let mut seen = HashSet::new();
        for n in 0..200 {
            let told = message(&bench, &sid(&bench, n)).await;
            let status = told["SMSMessage"]["Status"].as_str().unwrap().to_owned();
            if numbers == Numbers::Texts && status == "sent" {
                assert_same_shape(&told, &theirs("sms-details.json"), "");
                assert_eq!(told["SMSMessage"]["Price"], "0.180000");
            }
            if numbers == Numbers::Texts && status == "failed-dnd" {
                assert_same_shape(&told, &theirs("sms-details-failed-dnd.json"), "");
                assert_eq!(told["SMSMessage"]["DateSent"], Value::Null);
                assert_eq!(told["SMSMessage"]["Price"], "0.000000");
            }
            if numbers == Numbers::Numbers && status == "sent" {
                assert_eq!(told["SMSMessage"]["Price"], 0.18);
            }
            seen.insert(status);
        }
        for status in ["sent", "failed", "failed-dnd"] {
            assert!(seen.contains(status), "{seen:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_message_is_answered_with_200_and_no_result() {
    let bench = Bench::new(options());
    for sid in ["ffffffffffffffffffffffffffffffff", "x", &sid(&bench, 4_000_000)] {
        let answer = bench.get(&format!("/v1/Accounts/exampleacct1/SMS/Messages/{sid}.json")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), theirs("sms-not-found-200.json"));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_have_their_own_limit_with_503_or_429() {
    for (breach, status, name) in [
        (SmsBreach::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "error-503-sms.json"),
        (SmsBreach::TooManyRequests, StatusCode::TOO_MANY_REQUESTS, "error-429-sms.json"),
    ] {
        let mut options = options();
        options.limits.sms = Some(3);
        options.limits.sms_breach = breach;
        let bench = Bench::new(options);
        let path = "/v1/Accounts/exampleacct1/SMS/Messages/x.json";
        for _ in 0..3 {
            assert_eq!(bench.get(path).await.status, StatusCode::OK);
        }
        let refused = bench.get(path).await;
        assert_eq!(refused.status, status);
        assert_same_shape(&refused.json(), &theirs(name), "");
        assert_eq!(bench.bulk("").await.status, StatusCode::OK);
        assert_eq!(bench.get("/_sim/arrivals").await.json()["pools"]["sms"]["count"], 4);
    }
}

#[tokio::test(start_paused = true)]
async fn each_end_is_reported_once_and_agrees_with_the_message_and_the_truth() {
    let bench = Bench::new(options());
    let mailbox = Mailbox::open(&bench);
    tokio::time::sleep(Duration::from_secs(300)).await;
    quiet(&bench).await;
    let reports = mailbox.of(WebhookKind::Sms);
    let mut by_status = BTreeMap::new();
    let usual: Vec<String> = form(&fixture("sms-callback.txt")).into_keys().collect();
    for report in &reports {
        let fields = report.fields();
        assert_eq!(fields.keys().cloned().collect::<Vec<_>>(), usual);
        let told = message(&bench, &fields["SmsSid"]).await["SMSMessage"].clone();
        assert_eq!(told["Status"].as_str().unwrap().replace('-', "_"), fields["Status"]);
        assert_eq!(told["DetailedStatusCode"].to_string(), fields["DetailedStatusCode"]);
        assert_eq!(told["DateSent"].as_str().unwrap_or(""), fields["DateSent"]);
        *by_status.entry(fields["Status"].clone()).or_insert(0) += 1;
    }
    let truth = truth(&bench);
    assert_eq!(truth.messages, by_status);
    assert_eq!(truth.messages_reported, by_status);
    assert_eq!((truth.sms.expected, truth.sms.lost.len()), (reports.len() as u64, 0));
    assert!(by_status["failed_dnd"] > 0 && by_status["sent"] > 200, "{by_status:?}");
}

#[tokio::test(start_paused = true)]
async fn lost_reports_are_in_the_truth_and_pending_ones_name_some_of_their_messages() {
    let mut options = options();
    options.webhooks.lost_share = 0.2;
    options.webhooks.reports.pending_share = 0.5;
    options.webhooks.reports.form = ReportForm::Mixed;
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    tokio::time::sleep(Duration::from_secs(400)).await;
    quiet(&bench).await;
    let mut last = BTreeMap::new();
    let mut keys = HashSet::new();
    for report in mailbox.of(WebhookKind::Sms) {
        let fields = report.fields();
        keys.insert(fields.keys().cloned().collect::<Vec<_>>());
        let over = fields["Status"] != "submitted";
        let known = last.entry(fields["SmsSid"].clone()).or_insert(false);
        *known |= over;
    }
    let truth = truth(&bench);
    assert_eq!(truth.messages_reported.values().sum::<u64>(), last.len() as u64);
    let ended = last.values().filter(|over| **over).count() as u64;
    assert_eq!(truth.sms.expected - truth.sms.lost.len() as u64, ended);
    assert!(truth.sms.lost.iter().all(|sid| last.get(sid) != Some(&true)));
    assert!(last.len() as u64 > ended && truth.sms.lost.len() > 40, "{truth:?}");
    let legacy: Vec<String> = form(&fixture("sms-callback-legacy.txt")).into_keys().collect();
    assert!(keys.len() == 3 && keys.contains(&legacy), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn the_balance_falls_with_calls_and_messages_and_is_told_once_a_minute() {
    let mut options = plain(2.0);
    options.messages.per_second = 1.0;
    options.balance.start_micros = 500_000_000;
    let bench = Bench::new(options);
    let path = "/v1/Accounts/exampleacct1/Balance.json";
    let first = bench.get(path).await.json();
    assert_same_shape(&first, &theirs("balance.json"), "");
    assert_eq!(first["Account"]["BalanceData"]["Balance"], "500.00");
    assert_eq!(bench.get(path).await.status, StatusCode::TOO_MANY_REQUESTS);
    let mut last = 500.0;
    for _ in 0..5 {
        pass(60).await;
        let told = bench.get(path).await.json();
        let left: f64 = told["Account"]["BalanceData"]["Balance"].as_str().unwrap().parse().unwrap();
        assert!(left < last, "{left} after {last}");
        last = left;
    }
    assert_eq!(bench.bulk("").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_empty_balance_is_told_or_refused() {
    let mut options = plain(0.0);
    options.limits.balance = None;
    options.balance.start_micros = -1_500_000;
    let bench = Bench::new(options.clone());
    let path = "/v1/Accounts/exampleacct1/Balance.json";
    let told = bench.get(path).await.json();
    assert_eq!(told["Account"]["BalanceData"]["Balance"], "-1.50");
    options.balance.when_empty = WhenEmpty::Refused;
    let bench = Bench::new(options);
    let refused = bench.get(path).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.json()["RestException"]["Status"], json!(402));
}

#[tokio::test(start_paused = true)]
async fn the_sms_scenario_has_every_end_and_loses_reports() {
    let mut options = Scenario::Sms.options();
    options.webhooks.base = Some(BASE.to_owned());
    let bench = Bench::new(options);
    let mailbox = Mailbox::open(&bench);
    tokio::time::sleep(Duration::from_secs(120)).await;
    quiet(&bench).await;
    let truth = truth(&bench);
    assert_eq!(truth.messages.keys().collect::<Vec<_>>(), ["failed", "failed_dnd", "sent"]);
    assert!(!truth.sms.lost.is_empty() && !mailbox.of(WebhookKind::Sms).is_empty());
}

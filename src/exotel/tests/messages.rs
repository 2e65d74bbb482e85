//! Messages and the balance.

use super::*;
use crate::config::{Balance as BalancePoll, Secret};
use crate::model::callback::SmsStatus;

const SENT: &str = fixture!("sms-details.json");
const SID: &str = "8899aabbccddeeff0011223344556677";

/// An account that takes callbacks, and so knows messages.
fn with_callbacks() -> Account {
    Account { webhook_secrets: vec![Secret::new("hook-secret-0123456789")], ..account() }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_asked_for_by_its_sid_in_the_pool_of_messages() {
    let server = Server::new(|_, _| SENT);
    let bench = Bench::with(&server, &with_callbacks());
    let report = bench.client.message(SID, Priority::Settle).await.unwrap();
    assert_eq!((report.status, report.code), (SmsStatus::Sent, Some(20_005)));
    assert_eq!(server.seen()[0].uri.path(), format!("/v1/Accounts/exampleacct1/SMS/Messages/{SID}.json"));
    assert_eq!(bench.client.quota(Pool::Sms).unwrap().used, 1);
    assert_eq!(bench.client.quota(Pool::Voice).unwrap().used, 0);
}

#[tokio::test(start_paused = true)]
async fn no_matching_results_with_200_is_not_found_and_not_asked_again() {
    let server = Server::new(|_, _| fixture!("sms-not-found-200.json"));
    let error =
        Bench::with(&server, &with_callbacks()).client.message(SID, Priority::Settle).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, Some(200)));
    assert_eq!(server.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn both_ways_to_say_that_the_limit_of_messages_is_broken_pause_the_pool() {
    for (status, body) in [
        (StatusCode::TOO_MANY_REQUESTS, fixture!("error-429-sms.json")),
        (StatusCode::SERVICE_UNAVAILABLE, fixture!("error-503-sms.json")),
    ] {
        let server = Server::new(move |n, _| match n {
            0 => (status, body).into_response(),
            _ => SENT.into_response(),
        });
        let bench = Bench::with(&server, &with_callbacks());
        bench.client.message(SID, Priority::Settle).await.unwrap();
        assert_eq!(server.seconds(), [0, 30], "{status}");
        bench.has(r#"exotel_api_request_failures_total{account="exampleacct1",endpoint="sms",reason="throttled"} 1"#);
    }
}

#[tokio::test(start_paused = true)]
async fn without_callbacks_no_message_is_asked_for_and_nothing_of_messages_exported() {
    let server = Server::new(|_, _| SENT);
    let bench = Bench::new(&server);
    let error = bench.client.message(SID, Priority::Settle).await.unwrap_err();
    assert_eq!((error.kind, server.count()), (ErrorKind::Client, 0));
    let text = crate::metrics::rendered::text(&bench.registry);
    assert!(!text.contains("endpoint=\"sms\"") && !text.contains("endpoint=\"balance\""), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_balance_is_read_in_the_voice_pool_and_an_empty_account_is_a_kind_of_its_own() {
    let server = Server::new(|n, _| match n {
        0 => fixture!("balance.json").into_response(),
        _ => StatusCode::PAYMENT_REQUIRED.into_response(),
    });
    let interval = Duration::from_secs(900);
    let account = Account { balance: BalancePoll { enabled: true, interval }, ..account() };
    let bench = Bench::with(&server, &account);
    let balance = bench.client.balance(Priority::Sync).await.unwrap();
    assert_eq!((balance.micros, balance.currency.as_deref()), (1_543_750_000, Some("INR")));
    assert_eq!(server.seen()[0].uri.path(), "/v1/Accounts/exampleacct1/Balance.json");
    assert_eq!(bench.client.quota(Pool::Voice).unwrap().used, 1);
    let error = bench.client.balance(Priority::Sync).await.unwrap_err();
    assert_eq!((error.kind, server.count()), (ErrorKind::Payment, 2));
    bench.has(
        r#"exotel_api_request_failures_total{account="exampleacct1",endpoint="balance",reason="payment"} 1"#,
    );
}

fn with_balance() -> Account {
    let interval = Duration::from_secs(60);
    Account { balance: BalancePoll { enabled: true, interval }, ..account() }
}

#[tokio::test(start_paused = true)]
async fn the_quota_of_the_balance_is_its_own_and_holds_up_nothing_else() {
    let server = Server::new(|_, uri| {
        if !uri.path().ends_with("Balance.json") {
            return EMPTY.into_response();
        }
        let reset = (START.0 + 60).to_string();
        let headers =
            [("x-ratelimit-limit", "1"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)];
        (headers, fixture!("balance.json")).into_response()
    });
    let bench = Bench::with(&server, &with_balance());
    bench.client.balance(Priority::Sync).await.unwrap();
    bench.calls().await.unwrap();
    let quota = bench.client.quota(Pool::Voice).unwrap();
    assert_eq!((quota.per_minute, quota.remaining, quota.used), (6000, None, 2));
    bench.client.balance(Priority::Sync).await.unwrap();
    assert_eq!(server.seconds(), [0, 0, 60], "the balance waits for its reset");
}

#[tokio::test(start_paused = true)]
async fn a_balance_that_is_refused_with_429_rests_alone() {
    let server = Server::new(|n, uri| match (n, uri.path().ends_with("Balance.json")) {
        (0, _) => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "300")], "").into_response(),
        (_, true) => fixture!("balance.json").into_response(),
        (_, false) => EMPTY.into_response(),
    });
    let bench = Bench::with(&server, &with_balance());
    let (balance, calls) = tokio::join!(bench.client.balance(Priority::Sync), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        bench.calls().await
    });
    balance.unwrap();
    calls.unwrap();
    assert_eq!(server.seconds(), [0, 5, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_balance_that_fails_is_asked_for_again_after_a_minute_or_more() {
    let server = Server::new(|n, _| match n {
        0 => StatusCode::BAD_GATEWAY.into_response(),
        _ => fixture!("balance.json").into_response(),
    });
    let bench = Bench::with(&server, &with_balance());
    bench.client.balance(Priority::Sync).await.unwrap();
    assert!((60..=121).contains(&server.seconds()[1]), "{:?}", server.seconds());
}

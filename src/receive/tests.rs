//! What the receiver stores, and what it shows after a restart.

use std::path::Path;
use std::time::Duration;

use prometheus_client::registry::Registry;

use super::*;
use crate::app::App;
use crate::config::{self, Config, Secret};
use crate::exotel::{Transport, TransportOptions};
use crate::model::Clock;
use crate::model::callback::{Heartbeat, HeartbeatStatus, Unknown};
use crate::store::tests::folder;
use crate::web::api::Desk;

const NOW: Timestamp = Timestamp(1_772_457_400);

/// An agent that is built and does not run; no request leaves it.
async fn agent(folder: &Path) -> App {
    let mut acme = config::Account::new("exampleacct1", "key", "token");
    acme.name = "acme".to_owned();
    acme.webhook_secrets = vec![Secret::new("a-secret-for-webhooks")];
    acme.expected_webhooks = vec!["sms".to_owned()];
    let silent = config::Account::new("silent1", "key", "token");
    let mut config = Config { accounts: vec![acme, silent], ..Config::default() };
    config.store.path = folder.join("store.redb");
    config.web.listen = Vec::new();
    let transport = Transport::in_process(axum::Router::new(), TransportOptions::default());
    App::build(config, Clock::system(), transport).await.unwrap()
}

fn receiver(app: &App) -> Arc<Receiver> {
    Receiver::new(app.roster())
}

fn seeded(receiver: &Receiver) -> String {
    let mut registry = Registry::default();
    receiver.seed(&WebhookMetrics::register(&mut registry), NOW);
    crate::metrics::rendered::text(&registry)
}

fn last_received(text: &str) -> Vec<&str> {
    let shown = |line: &&str| line.starts_with("exotel_webhook_last_received_timestamp_seconds{");
    let mut lines: Vec<&str> = text.lines().filter(shown).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn what_is_nothing_we_know_is_kept_for_its_account() {
    let folder = folder();
    let app = agent(folder.path()).await;
    let receiver = receiver(&app);
    let told = Told::Unknown(Unknown { raw: "a=1".to_owned(), reason: "it is new".to_owned() });
    let accounts = receiver.roster.accounts();
    let [acme, silent] = accounts.as_slice() else { panic!("two accounts") };
    let delivery = Delivery { account: acme.id, kind: Kind::Sms, told, received: NOW };
    for _ in 0..2 {
        assert_eq!((receiver.sink())(delivery.clone()).await, Ok(Taken::Accepted));
    }
    let kept = acme.store.kept(acme.id, 10).await.unwrap();
    let reason = "it is new".to_owned();
    assert_eq!(kept, [Kept { id: 1, kind: Kind::Sms, received: NOW, reason, raw: "a=1".to_owned() }]);
    assert_eq!(silent.store.kept(silent.id, 10).await.unwrap(), []);
    // It says nothing of the kind that its address names.
    assert_eq!(acme.store.received(acme.id).await.unwrap(), []);
    assert_eq!((receiver.sink())(Delivery { account: AccountId(700), ..delivery }).await, Err(NotKept));
}

#[tokio::test]
async fn that_a_kind_came_is_written_down_once_a_minute_and_shown_after_a_restart() {
    let folder = folder();
    let app = agent(folder.path()).await;
    let receiver = receiver(&app);
    let acme = Arc::clone(&receiver.roster.accounts()[0]);
    let expected = r#"exotel_webhook_last_received_timestamp_seconds{account="acme",kind="sms"} 1772457400"#;
    let text = seeded(&receiver);
    assert_eq!(last_received(&text), [expected]);
    assert!(!text.contains("silent1"), "{text}");
    // A clock that was set back does not make the last one older.
    for (at, newest) in [(0, 0), (59, 0), (60, 60), (-30, 60)] {
        receiver.note(&acme, Kind::Heartbeat, NOW.plus(at)).await;
        assert_eq!(
            acme.store.received(acme.id).await.unwrap(),
            [(Kind::Heartbeat, NOW.plus(newest))],
            "{at}"
        );
    }
    acme.store.close().await;
    drop((acme, receiver, app));
    let app = agent(folder.path()).await;
    let again = seeded(&Receiver::new(app.roster()));
    let seen =
        r#"exotel_webhook_last_received_timestamp_seconds{account="acme",kind="heartbeat"} 1772457400"#;
    assert_eq!(last_received(&again), [seen, expected]);
}

#[tokio::test]
async fn the_api_says_to_the_second_when_the_last_one_came() {
    let folder = folder();
    let app = agent(folder.path()).await;
    let receiver = receiver(&app);
    let acme = receiver.roster.accounts()[0].id;
    let webhooks = WebhookMetrics::register(&mut Registry::default());
    let desk = crate::desk::Accounts { roster: app.roster(), webhooks, clock: Clock::system() };
    for after in [0, 59] {
        let at = NOW.plus(after);
        let heartbeat = Heartbeat {
            at,
            status: HeartbeatStatus::Ok,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            alternates: Vec::new(),
            content: 1,
        };
        let told = Told::Heartbeat(heartbeat);
        let delivery = Delivery { account: acme, kind: Kind::Heartbeat, told, received: at };
        assert_eq!((receiver.sink())(delivery).await, Ok(Taken::Accepted));
        let seen = desk.webhooks(acme).await.unwrap().kinds;
        let last = |word: &str| seen.iter().find(|kind| kind.kind == word).unwrap().last_received;
        assert_eq!((last("heartbeat"), last("sms")), (Some(at), None));
    }
}

#[tokio::test]
async fn what_a_sender_does_not_wait_for_is_taken_in_all_the_same() {
    let folder = folder();
    let app = agent(folder.path()).await;
    let receiver = receiver(&app);
    let acme = Arc::clone(&receiver.roster.accounts()[0]);
    let heartbeat = Heartbeat {
        at: NOW,
        status: HeartbeatStatus::Warning,
        incoming: vec!["number1".to_owned()],
        outgoing: Vec::new(),
        alternates: Vec::new(),
        content: 1,
    };
    let told = Told::Heartbeat(heartbeat);
    let keeping =
        (receiver.sink())(Delivery { account: acme.id, kind: Kind::Heartbeat, told, received: NOW });
    // The sender hangs up before the commit: once begun, it is waited for no longer.
    tokio::select! {
        biased;
        _ = keeping => panic!("nothing is stored that soon"),
        () = std::future::ready(()) => {}
    }
    let shown = async {
        while acme.status().health.heartbeat.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shown).await.unwrap();
}

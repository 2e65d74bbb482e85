//! From a fault to a phone that rings: the built binary, our rules in a real Prometheus, our configuration in a real
//! Alertmanager, and receivers on loopback. Only times are made shorter.

use tempfile::TempDir;

use super::{file_name, files_of, repository};
use crate::support::agent::{Setup, account};
use crate::support::alerting::{Alertmanager, Receivers};
use crate::support::fake::{Fake, Health, Reply};
use crate::support::prometheus::Prometheus;
use crate::support::tools::Version;
use crate::support::{ensure, eventually, note, secs};

/// The rules with every `for` of 3 s, every `keep_firing_for` of 1 s, and 3 s for the age of a scrape. Only
/// `ExotelExporterAbsent` keeps its own: a Prometheus that has just started has seen nothing for 5 s.
pub(super) fn hurried_rules() -> TempDir {
    let folder = TempDir::new().unwrap();
    for path in files_of("alerts/rules", ".rules.yml") {
        let mut alert = String::new();
        let mut hurried = String::new();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some((_, name)) = line.split_once("- alert: ") {
                name.clone_into(&mut alert);
            }
            let line = line.replace("interval_seconds + 60)", "interval_seconds + 3)");
            hurried += match line.trim_start().split_once(": ") {
                Some(("for", _)) if alert != "ExotelExporterAbsent" => "        for: 3s",
                Some(("keep_firing_for", _)) => "        keep_firing_for: 1s",
                _ => &line,
            };
            hurried.push('\n');
        }
        std::fs::write(folder.path().join(file_name(&path)), hurried).unwrap();
    }
    folder
}

fn refusing(status: u16) -> impl Fn(usize, Reply) -> Reply + Send + 'static {
    move |_, truth| Reply { status, body: "{}".to_owned(), ..truth }
}

#[test]
fn faults_reach_those_who_are_to_know_once_and_with_their_links() {
    faults_are_told(Version::Debian);
}

#[test]
fn the_same_with_prometheus_3_and_its_alertmanager() {
    if Version::here().contains(&Version::Three) {
        faults_are_told(Version::Three);
    }
}

#[track_caller]
fn faults_are_told(version: Version) {
    let (acme, beta) = (Fake::start(), Fake::start());
    let setup = Setup::new(&[account("acme", &acme.base), account("beta", &beta.base)])
        .with("accounts.1.sid", "exampleacct2")
        // Three of these are missing before it is an alarm; a busy machine must not miss them by itself.
        .with("sync.interval", "3s");
    let mut agent = setup.start();
    let receivers = Receivers::start();
    let mut alertmanager = Alertmanager::start(version, &repository("alerts"), &receivers);
    let rules = hurried_rules();
    let prometheus =
        Prometheus::start_alerting(version, &[&agent.metrics_url()], rules.path(), &alertmanager.address);

    // All is well: the dead-man service hears of it, nobody else hears anything.
    let beat = receivers.wait("dead-man", "ExotelWatchdog");
    assert_eq!(beat.authorization, "Bearer dead-man-token");
    for to in ["slack", "pagerduty", "mail"] {
        let said = receivers.got(to, "");
        assert!(said.is_empty(), "{said:?}");
    }

    // One key is revoked; at the other account only the list of calls fails.
    acme.twist(refusing(401));
    acme.set_health(Health::Refused);
    beta.twist(refusing(503));
    agent.scrape_until(secs(30), "the key is refused", |scrape| {
        let ok = scrape.metric("exotel_api_auth_ok").label("account", "acme");
        ok.sums_to(0.0)
    });
    let refused = std::time::Instant::now();

    let page = receivers.wait("pagerduty", "Exotel refuses the API key of acme");
    let took = page.at.saturating_duration_since(refused);
    note(&format!("a page {:.1} s after the key was refused, 3 s of them `for`", took.as_secs_f64()));
    // 3 s of `for`, two scrapes and evaluations of 1 s, 1 s for the group; the rest is for a busy machine.
    assert!(took < secs(20), "{took:?}");
    let event = page.json();
    assert_eq!(event["event_action"], "trigger", "{event}");
    assert_eq!(event["routing_key"], "routing-key");
    assert_eq!(event["payload"]["severity"], "critical");
    assert_eq!(event["payload"]["component"], "exotel-exporter");
    assert_eq!(event["links"][0]["text"], "Runbook");
    let runbook = "https://runbooks.example/exotel-exporter/ExotelAuthFailing.md";
    assert_eq!(event["links"][0]["href"], runbook);

    let chat = receivers.wait("slack", "Exotel refuses the API key of acme").json();
    let attachment = &chat["attachments"][0];
    assert_eq!(attachment["title"], "CRITICAL: Exotel refuses the API key of acme");
    assert_eq!(attachment["color"], "danger");
    assert_eq!(attachment["actions"][0]["url"], runbook);
    assert!(attachment["text"].as_str().unwrap().contains("Exotel answers 401 for account acme"), "{chat}");

    let mail = receivers.wait("mail", "Exotel refuses the API key of acme").body;
    assert!(mail.contains("Subject: CRITICAL: Exotel refuses the API key of acme"), "{mail}");
    assert!(mail.contains(runbook) && mail.contains("Since: "), "{mail}");

    // Late reading follows from the key at one account and is said at the other.
    receivers.wait("pagerduty", "Calls of beta are not read any more");
    eventually(secs(60), "the late reading of acme is known and silent", || {
        let alerts = alertmanager.alerts("ExotelSyncStalled", "acme")?;
        let silent = |alert: &serde_json::Value| alert["status"]["state"] == "suppressed";
        ensure(alerts.len() == 1 && alerts.iter().all(silent), || format!("{alerts:?}"))
    });
    for to in ["pagerduty", "slack", "mail"] {
        assert!(receivers.got(to, "Calls of acme are not read any more").is_empty(), "{to}");
    }

    // The key works again.
    acme.behave();
    acme.set_health(Health::Active);
    eventually(secs(60), "PagerDuty hears that it is over", || {
        let over = receivers.got("pagerduty", "OVER: Exotel refuses the API key of acme");
        ensure(over.iter().any(|message| message.json()["event_action"] == "resolve"), || format!("{over:?}"))
    });
    receivers.wait("slack", "OVER: Exotel refuses the API key of acme");
    receivers.wait("mail", "Subject: OVER: Exotel refuses the API key of acme");
    // Each was said once, however often it was evaluated.
    for to in ["pagerduty", "slack", "mail"] {
        let said = receivers.got(to, "CRITICAL: Exotel refuses the API key of acme");
        // A mail says the severity in its text, too, when it is over.
        let said = said.iter().filter(|message| !message.body.contains("OVER: Exotel")).count();
        assert_eq!(said, 1, "{to}");
    }

    // The exporter is killed: it is said, and the dead-man service goes on hearing.
    agent.process.kill_9();
    receivers.wait("pagerduty", "cannot be scraped");
    let heard = receivers.got("dead-man", "ExotelWatchdog").len();
    eventually(secs(30), "the dead-man service goes on hearing", || {
        let now = receivers.got("dead-man", "ExotelWatchdog").len();
        ensure(now > heard + 1, || format!("{now} times"))
    });

    // Without Prometheus Alertmanager has nothing to send any more, and the service outside notices.
    drop(prometheus);
    alertmanager.process.must_run();
    eventually(secs(60), "the dead-man service hears nothing for 5 s", || {
        let last = receivers.got("dead-man", "").last().map(|message| message.at.elapsed());
        ensure(last.is_some_and(|silence| silence > secs(5)), || format!("{last:?}"))
    });
}

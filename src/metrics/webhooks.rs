//! Metrics of the receiver of webhooks: what came, what became of it, how long the answer took.
//!
//! No text of a request becomes a label: kinds and outcomes are closed sets, an account that is not ours
//! is `unknown`. Only accounts that take webhooks have series.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

use super::{catalogue, seed};
use crate::model::Timestamp;
use crate::model::callback::{Kind, Taken};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// It said something new, and that is stored.
    Accepted,
    /// It was known.
    Duplicate,
    /// Something newer was known.
    Stale,
    /// It could not be read, or its kind is none.
    Invalid,
    /// Wrong secret, unknown account, or an address that may not send.
    Unauthorized,
    /// Its body was too large.
    TooLarge,
    /// There was no room for it.
    Overloaded,
    /// It could not be stored.
    Error,
}

impl WebhookOutcome {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Stale,
        Self::Invalid,
        Self::Unauthorized,
        Self::TooLarge,
        Self::Overloaded,
        Self::Error,
    ];

    /// Those that a callback of no known kind can have: it is kept, or its address ends in no kind.
    const OF_OTHER: [Self; 4] = [Self::Accepted, Self::Invalid, Self::Unauthorized, Self::Error];

    /// The `outcome` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
            Self::Error => "error",
        }
    }
}

impl From<Taken> for WebhookOutcome {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Accepted => Self::Accepted,
            Taken::Duplicate => Self::Duplicate,
            Taken::Stale => Self::Stale,
        }
    }
}

/// The `account` label of an account that is not ours; no account may be called so.
const UNKNOWN: &str = "unknown";

/// Seconds; a commit takes milliseconds, and Exotel gives up after 15.
const EDGES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0, 15.0];

type ByOutcome = [(&'static str, String); 3];
type ByAccount = [(&'static str, String); 2];
type ByKind = [(&'static str, &'static str); 1];

/// The receiver's metrics. Cheap to clone; all clones count into the same values.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    requests: Family<ByOutcome, Counter>,
    handling: Family<ByKind, Histogram>,
    last_received: Family<ByAccount, Gauge>,
}

impl WebhookMetrics {
    /// Registers the families, without any series.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            handling: Family::new_with_constructor(|| Histogram::new(EDGES)),
            last_received: Family::default(),
        };
        catalogue::WEBHOOK_REQUESTS.register(registry, metrics.requests.clone());
        catalogue::WEBHOOK_HANDLING_DURATION.register(registry, metrics.handling.clone());
        catalogue::WEBHOOK_LAST_RECEIVED.register(registry, metrics.last_received.clone());
        metrics
    }

    /// Seeds the series of an account that takes webhooks.
    pub fn add_account(&self, account: &str) {
        for kind in Kind::ALL {
            for outcome in WebhookOutcome::ALL {
                seed(&self.requests, &by_outcome(account, Some(kind), outcome));
            }
            seed(&self.handling, &[("kind", word(Some(kind)))]);
        }
        for outcome in WebhookOutcome::OF_OTHER {
            seed(&self.requests, &by_outcome(account, None, outcome));
        }
        seed(&self.handling, &[("kind", word(None))]);
        for kind in Kind::ALL.into_iter().map(Some).chain([None]) {
            seed(&self.requests, &by_outcome(UNKNOWN, kind, WebhookOutcome::Unauthorized));
        }
    }

    /// A request was answered. `account` is none for one that is not ours, `kind` for a callback of no
    /// kind that we know.
    pub fn answered(&self, account: Option<&str>, kind: Option<Kind>, outcome: WebhookOutcome) {
        self.requests.get_or_create(&by_outcome(account.unwrap_or(UNKNOWN), kind, outcome)).inc();
    }

    /// Requests of one kind by outcome since the start; outcomes that did not occur are left out.
    pub fn counts(&self, account: &str, kind: Kind) -> Vec<(&'static str, u64)> {
        let count =
            |outcome| self.requests.get(&by_outcome(account, Some(kind), outcome)).map_or(0, |n| n.get());
        let counts = WebhookOutcome::ALL.into_iter().map(|outcome| (outcome.as_str(), count(outcome)));
        counts.filter(|(_, n)| *n > 0).collect()
    }

    /// The answer to a request that was let in took so long.
    pub fn handled(&self, kind: Option<Kind>, took: Duration) {
        self.handling.get_or_create(&[("kind", word(kind))]).observe(took.as_secs_f64());
    }

    /// A callback of this kind came and was new; or at the start, when this process began to listen for
    /// one that is expected or was seen before.
    pub fn received(&self, account: &str, kind: Kind, at: Timestamp) {
        let labels = [("account", account.to_owned()), ("kind", kind.as_str().to_owned())];
        self.last_received.get_or_create(&labels).set(at.0);
    }
}

fn by_outcome(account: &str, kind: Option<Kind>, outcome: WebhookOutcome) -> ByOutcome {
    [
        ("account", account.to_owned()),
        ("kind", word(kind).to_owned()),
        ("outcome", outcome.as_str().to_owned()),
    ]
}

fn word(kind: Option<Kind>) -> &'static str {
    kind.map_or("other", Kind::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(act: impl FnOnce(&WebhookMetrics)) -> String {
        let mut registry = Registry::default();
        act(&WebhookMetrics::register(&mut registry));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[track_caller]
    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "{line}\nnot in\n{text}");
    }

    #[test]
    fn without_an_account_that_takes_webhooks_there_is_no_series() {
        assert!(!rendered(|_| {}).contains("exotel_webhook"));
    }

    #[test]
    fn what_can_happen_is_there_before_it_happens() {
        let text = rendered(|metrics| metrics.add_account("acme"));
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
            metrics.answered(Some("acme"), Some(Kind::Sms), Taken::Duplicate.into());
            metrics.answered(None, None, WebhookOutcome::Unauthorized);
            metrics.handled(Some(Kind::Sms), Duration::from_millis(20));
            metrics.received("acme", Kind::Heartbeat, Timestamp(1_772_477_110));
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
}

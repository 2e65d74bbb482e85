//! Metrics of the receiver of webhooks: what came, what became of it, how long the answer took.
//!
//! No text of a request becomes a label: kinds and outcomes are closed sets, an account that is not ours
//! is `unknown`. Only accounts that take webhooks have series.

#[cfg(test)]
mod tests;

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::calls::counter;
use super::{catalogue, seed};
use crate::model::callback::{Kind, Taken};
use crate::model::{AccountId, Timestamp};

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

/// A kind, or none that we know, as a callback is counted; [`place`] gives the index.
const KINDS: usize = Kind::ALL.len() + 1;

const NEVER: i64 = i64::MIN;

type ByKind = [(&'static str, &'static str); 1];

/// An account that takes webhooks, for [`WebhookMetrics::arrange`].
#[derive(Clone, Debug)]
pub struct TakesWebhooks {
    /// Its number in the store: what is counted stays with it when it is renamed.
    pub id: AccountId,
    /// Label `account`.
    pub name: String,
    /// Kinds that are expected.
    pub expected: Vec<Kind>,
    /// Kinds that came before, in this process or another.
    pub seen: Vec<Kind>,
}

/// The receiver's metrics. Cheap to clone; all clones count into the same values.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    handling: Family<ByKind, Histogram>,
    door: Arc<Door>,
}

/// What a scrape reads: replaced as a whole, so that no scrape shows two accounts under one name.
#[derive(Debug, Default)]
struct Door {
    accounts: ArcSwap<Vec<Taking>>,
    unknown: Requests,
}

#[derive(Clone, Debug)]
struct Taking {
    id: AccountId,
    name: String,
    expected: Vec<Kind>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    requests: Requests,
    /// When the last callback of each kind came, or since when one is awaited.
    last: [AtomicI64; Kind::ALL.len()],
    came: [AtomicBool; Kind::ALL.len()],
}

/// Requests by kind and outcome.
#[derive(Debug, Default)]
struct Requests([[Counter; WebhookOutcome::ALL.len()]; KINDS]);

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: Requests::default(),
            last: std::array::from_fn(|_| AtomicI64::new(NEVER)),
            came: Default::default(),
        }
    }
}

impl Counts {
    /// Callbacks of this kind are awaited from now on, unless they were before.
    fn await_from(&self, kind: Kind, now: Timestamp) {
        let last = &self.last[place(Some(kind))];
        // Whoever was first has said it.
        last.compare_exchange(NEVER, now.0, Ordering::Relaxed, Ordering::Relaxed).unwrap_or_default();
    }
}

impl Taking {
    /// Its name, and when callbacks last came: of kinds that are expected or came once.
    fn last_received(&self) -> impl Iterator<Item = (&str, Kind, i64)> {
        Kind::ALL.into_iter().filter_map(|kind| {
            let at = place(Some(kind));
            let last = self.counts.last[at].load(Ordering::Relaxed);
            let shown = self.expected.contains(&kind) || self.counts.came[at].load(Ordering::Relaxed);
            (shown && last != NEVER).then_some((self.name.as_str(), kind, last))
        })
    }
}

impl WebhookMetrics {
    /// Registers the families, without any series.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { handling: Family::new_with_constructor(|| Histogram::new(EDGES)), door: Arc::default() };
        catalogue::WEBHOOK_HANDLING_DURATION.register(registry, metrics.handling.clone());
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    /// These accounts take webhooks from now on, and no others. An account that did before keeps its counts,
    /// under its new name too. A kind that is expected, or came before, counts as awaited from `now` at the
    /// latest: while we did not listen none could come.
    pub fn arrange(&self, accounts: Vec<TakesWebhooks>, now: Timestamp) {
        let known = self.door.accounts.load_full();
        let mut arranged = Vec::with_capacity(accounts.len());
        for TakesWebhooks { id, name, expected, seen } in accounts {
            let counts = known.iter().find(|taking| taking.id == id).map(|taking| Arc::clone(&taking.counts));
            let counts = counts.unwrap_or_default();
            for kind in &seen {
                counts.await_from(*kind, now);
                counts.came[place(Some(*kind))].store(true, Ordering::Relaxed);
            }
            for kind in &expected {
                counts.await_from(*kind, now);
            }
            arranged.push(Taking { id, name, expected, counts });
        }
        if !arranged.is_empty() {
            for kind in Kind::ALL.into_iter().map(Some).chain([None]) {
                seed(&self.handling, &[("kind", word(kind))]);
            }
        }
        self.door.accounts.store(Arc::new(arranged));
    }

    fn counts(&self, account: AccountId) -> Option<Arc<Counts>> {
        let accounts = self.door.accounts.load();
        accounts.iter().find(|taking| taking.id == account).map(|taking| Arc::clone(&taking.counts))
    }

    /// A request was answered. `account` is none for one that is not ours, `kind` for a callback of no
    /// kind that we know.
    pub fn answered(&self, account: Option<AccountId>, kind: Option<Kind>, outcome: WebhookOutcome) {
        match account {
            None => self.door.unknown.count(kind, outcome),
            // An account that left while the request was under way has no series any more.
            Some(account) => {
                if let Some(counts) = self.counts(account) {
                    counts.requests.count(kind, outcome);
                }
            }
        }
    }

    /// Requests of one kind by outcome since the start; outcomes that did not occur are left out.
    pub fn requests(&self, account: AccountId, kind: Kind) -> Vec<(&'static str, u64)> {
        let Some(counts) = self.counts(account) else { return Vec::new() };
        let all = WebhookOutcome::ALL.into_iter();
        all.map(|outcome| (outcome.as_str(), counts.requests.of(Some(kind), outcome)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// The answer to a request that was let in took so long.
    pub fn handled(&self, kind: Option<Kind>, took: Duration) {
        self.handling.get_or_create(&[("kind", word(kind))]).observe(took.as_secs_f64());
    }

    /// A callback of this kind came and was new.
    pub fn received(&self, account: AccountId, kind: Kind, at: Timestamp) {
        if let Some(counts) = self.counts(account) {
            counts.last[place(Some(kind))].store(at.0, Ordering::Relaxed);
            counts.came[place(Some(kind))].store(true, Ordering::Relaxed);
        }
    }
}

impl Requests {
    fn count(&self, kind: Option<Kind>, outcome: WebhookOutcome) {
        self.0[place(kind)][outcome as usize].inc();
    }

    fn of(&self, kind: Option<Kind>, outcome: WebhookOutcome) -> u64 {
        self.0[place(kind)][outcome as usize].get()
    }

    /// Writes those that occurred, and those that `seeded` names.
    fn encode(
        &self,
        metric: &mut MetricEncoder<'_>,
        account: &str,
        seeded: impl Fn(Option<Kind>, WebhookOutcome) -> bool,
    ) -> Result<(), Error> {
        for kind in Kind::ALL.into_iter().map(Some).chain([None]) {
            for outcome in WebhookOutcome::ALL {
                let requests = self.of(kind, outcome);
                if requests > 0 || seeded(kind, outcome) {
                    let labels = [("account", account), ("kind", word(kind)), ("outcome", outcome.as_str())];
                    counter(metric, &labels, requests)?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for WebhookMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let accounts = self.door.accounts.load_full();
        if accounts.is_empty() {
            return Ok(());
        }
        let mut m = catalogue::WEBHOOK_REQUESTS.describe(&mut encoder)?;
        for taking in accounts.iter() {
            taking.counts.requests.encode(&mut m, &taking.name, |kind, outcome| {
                kind.is_some() || WebhookOutcome::OF_OTHER.contains(&outcome)
            })?;
        }
        self.door.unknown.encode(&mut m, UNKNOWN, |_, outcome| outcome == WebhookOutcome::Unauthorized)?;
        let last: Vec<(&str, Kind, i64)> = accounts.iter().flat_map(Taking::last_received).collect();
        if last.is_empty() {
            return Ok(());
        }
        let mut m = catalogue::WEBHOOK_LAST_RECEIVED.describe(&mut encoder)?;
        for (account, kind, at) in last {
            let labels = [("account", account), ("kind", kind.as_str())];
            ConstGauge::new(at).encode(m.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn place(kind: Option<Kind>) -> usize {
    let known = kind.and_then(|kind| Kind::ALL.iter().position(|known| *known == kind));
    known.unwrap_or(Kind::ALL.len())
}

fn word(kind: Option<Kind>) -> &'static str {
    kind.map_or("other", Kind::as_str)
}

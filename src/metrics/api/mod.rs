//! The `exotel_api_*` families: what we ask of Exotel, how it answers, how long our own limiter held us back.
//!
//! Everything is kept under the account's sid; the account's name is put on when a scrape is rendered, so
//! that a rename keeps the counters. A scrape reads atomics and never waits for a request.

mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::exotel::{ErrorKind, Pool, Priority};

/// What is asked of Exotel: the `endpoint` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The call list.
    Calls,
    /// One call.
    Call,
    /// One call of the v2 API.
    CallV2,
    /// One call of the v3 API.
    CallV3,
    /// The legs of one call of the v3 API.
    LegsV3,
    /// The list of ExoPhones.
    Exophones,
    /// One ExoPhone with its health.
    Exophone,
    /// One message.
    Sms,
    /// The balance.
    Balance,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 9] = [
        Self::Calls,
        Self::Call,
        Self::CallV2,
        Self::CallV3,
        Self::LegsV3,
        Self::Exophones,
        Self::Exophone,
        Self::Sms,
        Self::Balance,
    ];

    /// Whether every account asks for it; the counters of others exist once the account is known to.
    fn is_common(self) -> bool {
        matches!(self, Self::Calls | Self::Call | Self::Exophones | Self::Exophone)
    }

    /// The `endpoint` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Call => "call",
            Self::CallV2 => "call_v2",
            Self::CallV3 => "call_v3",
            Self::LegsV3 => "legs_v3",
            Self::Exophones => "exophones",
            Self::Sms => "sms",
            Self::Balance => "balance",
            Self::Exophone => "exophone",
        }
    }
}

/// Codes with a label of their own; any other is counted by its class, so that no server can make series.
const CODES: [u16; 24] = [
    200, 202, 204, 207, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 409, 413, 422, 429, 500, 501,
    502, 503, 504,
];

/// Labels of [`CODES`] and of the classes, `none` for an attempt without an answer.
const CODE_LABELS: [&str; 31] = [
    "200", "202", "204", "207", "301", "302", "304", "307", "308", "400", "401", "402", "403", "404", "405",
    "409", "413", "422", "429", "500", "501", "502", "503", "504", "1xx", "2xx", "3xx", "4xx", "5xx",
    "other", "none",
];

fn code_index(code: Option<u16>) -> usize {
    let Some(code) = code else { return CODE_LABELS.len() - 1 };
    CODES.iter().position(|c| *c == code).unwrap_or(match code {
        100..=599 => CODES.len() + usize::from(code / 100) - 1,
        _ => CODES.len() + 5,
    })
}

/// Edges of the latency of one attempt; a request is given up after 30 s.
const DURATION_EDGES: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Edges of the wait for the local limiter; a backlog of background work may wait for long.
const WAIT_EDGES: [f64; 8] = [0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 3600.0];

/// Waits that exist from the start: those that every account has.
const SEEDED_WAITS: [(Pool, Priority); 5] = [
    (Pool::Voice, Priority::Settle),
    (Pool::Voice, Priority::Sync),
    (Pool::Voice, Priority::Details),
    (Pool::Voice, Priority::Heal),
    (Pool::Exophones, Priority::Sync),
];

const NOT_KNOWN: u64 = u64::MAX;

/// The families, for all accounts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ApiMetrics(Arc<ArcSwap<Shown>>);

/// What a scrape shows: by sid, the account's name and counters. Replaced as a whole, so that no scrape sees
/// two accounts under one name.
type Shown = BTreeMap<String, (String, AccountApiMetrics)>;

impl ApiMetrics {
    /// Registers the families, under their full names.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    /// The counters of the account with this sid, shown under `name` from now on. Asked for again, also
    /// under another name, they are the same counters.
    pub fn for_account(&self, sid: &str, name: &str) -> AccountApiMetrics {
        let fresh = AccountApiMetrics::new();
        self.0.rcu(|accounts| {
            let mut accounts = Shown::clone(accounts);
            let known = accounts.entry(sid.to_owned()).or_insert_with(|| (String::new(), fresh.clone()));
            name.clone_into(&mut known.0);
            accounts
        });
        self.0.load().get(sid).map_or(fresh, |(_, account)| account.clone())
    }

    /// Shows these accounts, sid and name, and ends the series of all others: at once, in one scrape. Those
    /// that have no counters yet get them with [`ApiMetrics::for_account`].
    pub fn arrange(&self, names: &BTreeMap<&str, &str>) {
        self.0.rcu(|accounts| {
            let named = |(sid, (_, account)): (&String, &(String, AccountApiMetrics))| {
                let name = names.get(sid.as_str())?;
                Some((sid.clone(), ((*name).to_owned(), account.clone())))
            };
            accounts.iter().filter_map(named).collect::<Shown>()
        });
    }
}

/// State of one pool as a scrape reads it; written by the limiter.
#[derive(Debug)]
pub struct PoolGauges {
    queue: AtomicUsize,
    quota: AtomicU64,
    remaining: AtomicU64,
}

impl Default for PoolGauges {
    fn default() -> Self {
        Self { queue: AtomicUsize::new(0), quota: AtomicU64::new(0), remaining: AtomicU64::new(NOT_KNOWN) }
    }
}

impl PoolGauges {
    /// Requests that wait.
    pub fn set_queue(&self, waiting: usize) {
        self.queue.store(waiting, Ordering::Relaxed);
    }

    /// Requests per minute in force.
    pub fn set_quota(&self, per_minute: u32) {
        self.quota.store(u64::from(per_minute), Ordering::Relaxed);
    }

    /// What Exotel says is left.
    pub fn set_remaining(&self, requests: u64) {
        self.remaining.store(requests.min(NOT_KNOWN - 1), Ordering::Relaxed);
    }

    /// Requests that wait.
    pub fn queue(&self) -> usize {
        self.queue.load(Ordering::Relaxed)
    }

    /// What Exotel last said is left, if it ever did.
    pub fn remaining(&self) -> Option<u64> {
        Some(self.remaining.load(Ordering::Relaxed)).filter(|n| *n != NOT_KNOWN)
    }
}

/// The counters of one account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccountApiMetrics(Arc<Account>);

#[derive(Debug)]
struct Account {
    endpoints: [PerEndpoint; Endpoint::ALL.len()],
    waits: [[OnceLock<Histogram>; Priority::ALL.len()]; Pool::ALL.len()],
    pools: [ArcSwapOption<PoolGauges>; Pool::ALL.len()],
    auth_ok: AtomicBool,
    /// Seconds; `i64::MIN` until the first Date header.
    clock_offset: AtomicI64,
}

#[derive(Debug)]
struct PerEndpoint {
    shown: AtomicBool,
    codes: [Counter; CODE_LABELS.len()],
    failures: [Counter; ErrorKind::REASONS.len()],
    abandoned: Counter,
    duration: Histogram,
}

impl Account {
    /// Endpoints whose counters exist.
    fn shown(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let shown = |e: &Endpoint| self.endpoints[*e as usize].shown.load(Ordering::Relaxed);
        Endpoint::ALL.into_iter().filter(shown)
    }
}

impl AccountApiMetrics {
    fn new() -> Self {
        let account = Account {
            endpoints: std::array::from_fn(|at| PerEndpoint {
                shown: AtomicBool::new(Endpoint::ALL[at].is_common()),
                codes: std::array::from_fn(|_| Counter::default()),
                failures: std::array::from_fn(|_| Counter::default()),
                abandoned: Counter::default(),
                duration: Histogram::new(DURATION_EDGES),
            }),
            waits: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            pools: std::array::from_fn(|_| ArcSwapOption::empty()),
            auth_ok: AtomicBool::new(true),
            clock_offset: AtomicI64::new(i64::MIN),
        };
        let metrics = Self(Arc::new(account));
        for (pool, priority) in SEEDED_WAITS {
            metrics.wait(pool, priority);
        }
        metrics
    }

    fn endpoint(&self, endpoint: Endpoint) -> &PerEndpoint {
        &self.0.endpoints[endpoint as usize]
    }

    fn wait(&self, pool: Pool, priority: Priority) -> &Histogram {
        self.0.waits[pool as usize][priority as usize].get_or_init(|| Histogram::new(WAIT_EDGES))
    }

    /// Shows an endpoint that not every account asks for, from 0 on.
    pub fn show_endpoint(&self, endpoint: Endpoint) {
        self.endpoint(endpoint).shown.store(true, Ordering::Relaxed);
    }

    /// One attempt ended: its HTTP code, if an answer came, and its length.
    pub fn attempt(&self, endpoint: Endpoint, code: Option<u16>, took: Duration) {
        let endpoint = self.endpoint(endpoint);
        endpoint.codes[code_index(code)].inc();
        endpoint.duration.observe(took.as_secs_f64());
    }

    /// One attempt failed. A kind that is no outcome of an attempt is not counted.
    pub fn failure(&self, endpoint: Endpoint, kind: ErrorKind) {
        if let Some(at) = ErrorKind::REASONS.iter().position(|r| *r == kind.reason()) {
            self.endpoint(endpoint).failures[at].inc();
        }
    }

    /// An operation was given up.
    pub fn abandoned(&self, endpoint: Endpoint) {
        self.endpoint(endpoint).abandoned.inc();
    }

    /// A request waited for the limiter.
    pub fn waited(&self, pool: Pool, priority: Priority, waited: Duration) {
        self.wait(pool, priority).observe(waited.as_secs_f64());
    }

    /// Whether Exotel takes our key.
    pub fn set_auth_ok(&self, ok: bool) {
        self.0.auth_ok.store(ok, Ordering::Relaxed);
    }

    /// Exotel's clock minus ours, in seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.0.clock_offset.store(seconds.max(i64::MIN + 1), Ordering::Relaxed);
    }

    /// Exotel's clock minus ours, in seconds, once an answer carried a Date.
    pub fn clock_offset(&self) -> Option<i64> {
        Some(self.0.clock_offset.load(Ordering::Relaxed)).filter(|s| *s != i64::MIN)
    }

    /// Shows the state of a pool from now on.
    pub fn show_pool(&self, pool: Pool, gauges: Arc<PoolGauges>) {
        self.0.pools[pool as usize].store(Some(gauges));
    }
}

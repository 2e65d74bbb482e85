//! A simulated Exotel, for the demo and for tests.
//!
//! It does on demand what the real one does to a client: times without a zone, rows that appear late
//! under an early time, amounts that come later still, every spelling that was ever seen, limits,
//! faults. What it will do is fixed by [`Options`] and a seed; calls come into being as the clock moves.
//! [`Simulator::truth`] says what a perfect exporter must have counted in the end, and
//! [`Simulator::webhook_truth`] which webhooks it cannot have received. Webhooks go out while
//! [`Simulator::send_webhooks`] runs.
//!
//! It must not know [`crate::exotel`] nor [`crate::model::call`]: a wire format that both sides share
//! would hide the faults of both. Only times and the clock are common.

mod answer;
mod balance;
mod birth;
mod bulk;
mod call;
mod callbacks;
mod control;
mod door;
mod exophones;
mod faults;
mod flow;
mod form;
mod heartbeat;
mod ident;
mod limit;
mod messages;
mod newer;
mod office;
mod options;
mod outage;
mod page;
mod params;
mod plot;
mod postman;
mod query;
mod random;
mod reported;
mod row;
mod scenario;
mod send;
mod switches;
mod table;
#[cfg(test)]
mod tests;
mod traffic;
mod truth;
mod world;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::faults::{Faults, RetryAfter};
pub use self::limit::{Arrival, Arrivals, PathKind, Pool};
pub use self::office::Deliveries;
pub use self::options::{
    Absent, Account, AgentEvents, Alternate, Balance, Body, BulkDetails, CallCallbacks, CallKeys, Cursor,
    Delay, Delays, Durations, Envelope, Events, ExoPhoneHealth, ExoPhoneKey, ExoPhoneLists, ExoPhones,
    ExtraKey, HeartbeatShape, Heartbeats, History, LastPage, Limits, Lines, Messages, Newer, NewerAccess,
    NewerKeys, NoneAffected, Numbers, Oddities, Options, Outage, OutageState, Outages, Passthru,
    PassthruMethod, PlannedOutage, Planted, Profile, RateHeaders, Reach, ReportForm, Reports, Sids,
    SmsBreach, Traffic, Unauthorized, Webhooks, WhenEmpty, Wire,
};
pub use self::postman::{Postman, WebhookKind};
pub use self::reported::{Finals, WebhookTruth};
pub use self::scenario::Scenario;
pub use self::switches::HeartbeatSwitch;
pub use self::truth::{Labels, LegsKnown, Truth, TruthQuery};
use self::world::World;
use crate::model::{Clock, Timestamp};

/// How long open requests may go on after the shutdown began; slow answers are a fault on purpose.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The simulated Exotel; a cheap handle.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    options: Arc<Options>,
    clock: Clock,
    started: Duration,
    accounts: Vec<AccountState>,
    arrivals: Mutex<Arrivals>,
}

/// One account with everything that changes.
struct AccountState {
    account: Account,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    voice: Mutex<limit::Gate>,
    exophones: Mutex<limit::Gate>,
    sms: Mutex<limit::Gate>,
    balance: Mutex<limit::Gate>,
    requests: AtomicU64,
    outages: Mutex<outage::Outages>,
    /// Locked after `world` and before `office`.
    messages: Mutex<messages::Messages>,
    office: Mutex<office::Office>,
}

/// A call as tests want to see it, whatever the API shows. Seconds since the epoch, UTC.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CallTimes {
    /// Sid.
    pub sid: String,
    /// Creation, as filed at first.
    pub created: i64,
    /// End.
    pub ended: f64,
    /// From when on bulk shows it.
    pub visible: f64,
    /// From when on `EndTime`, Duration and (if it ever comes) Price are shown as well.
    pub settled: f64,
}

impl Simulator {
    /// Starts now: history is made at once, new calls as the clock moves.
    pub fn new(options: Options, clock: Clock) -> Self {
        let options = Arc::new(options);
        let started = clock.since_epoch();
        let accounts = options.accounts.iter().enumerate().map(|(number, account)| {
            let world = World::new(Arc::clone(&options), number as u64, clock.now());
            let start = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
            let (seed, phones) = (world.faces.seed, options.exophones.listed);
            let gate = |limit| Mutex::new(limit::Gate::new(limit));
            AccountState {
                account: account.clone(),
                outages: Mutex::new(outage::Outages::new(options.outages.clone(), seed, phones, start)),
                messages: Mutex::new(messages::Messages::new(seed, start)),
                office: Mutex::new(office::Office::new(&world, start)),
                world: Mutex::new(world),
                faults: Mutex::new(options.faults.clone()),
                voice: gate(options.limits.voice),
                exophones: gate(options.limits.exophones),
                sms: gate(options.limits.sms),
                balance: gate(options.limits.balance),
                requests: AtomicU64::new(0),
            }
        });
        let accounts = accounts.collect();
        let arrivals = Mutex::default();
        let simulator = Self { inner: Arc::new(Inner { options, clock, started, accounts, arrivals }) };
        for account in &simulator.inner.accounts {
            simulator.advance(account);
        }
        simulator
    }

    /// Exotel's paths and the control paths under `/_sim/`, for a server or for calls in-process.
    ///
    /// The control paths answer loopback and in-process callers alone.
    pub fn router(&self) -> Router {
        Router::new().nest("/_sim", control::router()).fallback(door::enter).with_state(self.clone())
    }

    /// Serves [`Simulator::router`] until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let listener = listener.tap_io(|stream| {
            // Without it small answers may wait for an acknowledgement; a refusal costs only time.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
        });
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let told = shutdown.clone();
        let server = axum::serve(listener, service).with_graceful_shutdown(told.cancelled_owned());
        tokio::select! {
            ended = server.into_future() => ended,
            () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => Ok(()),
        }
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// What a perfect exporter has counted for an account once all calls so far are quiet; none for an
    /// unknown account.
    pub fn truth(&self, account: &str, query: TruthQuery) -> Option<Truth> {
        let (_, account) = self.find(account)?;
        self.advance(account);
        Some(truth::truth(&lock(&account.world), &account.account.sid, query))
    }

    /// Every request so far.
    pub fn arrivals(&self) -> Arrivals {
        lock(&self.inner.arrivals).clone()
    }

    /// Sets what goes wrong from now on, for every account.
    pub fn set_faults(&self, faults: &Faults) {
        for account in &self.inner.accounts {
            *lock(&account.faults) = faults.clone();
        }
    }

    /// Sets what goes wrong from now on for one account; false if there is no such account.
    pub fn set_account_faults(&self, account: &str, faults: &Faults) -> bool {
        let found = self.find(account);
        if let Some((_, account)) = found {
            *lock(&account.faults) = faults.clone();
        }
        found.is_some()
    }

    /// No new calls and messages from the next second on; those that began end as they would.
    pub fn stop_traffic(&self) {
        for account in &self.inner.accounts {
            let now = self.advance(account);
            lock(&account.world).stop(now);
            lock(&account.messages).stop(self.millis());
        }
    }

    /// Whether all calls are over, visible, complete and priced, no new ones come, and nothing but
    /// heartbeats is still to be sent.
    pub fn quiet(&self) -> bool {
        self.inner.accounts.iter().all(|account| {
            self.collect(account);
            let now = self.advance(account);
            lock(&account.world).is_quiet(now)
                && lock(&account.messages).is_quiet(self.options(), self.millis())
                && lock(&account.office).pending() == 0
        })
    }

    /// What became of the webhooks about calls created at or after `live_from`, and about all messages;
    /// none for an unknown account.
    pub fn webhook_truth(&self, account: &str, live_from: Timestamp) -> Option<WebhookTruth> {
        let (_, account) = self.find(account)?;
        self.collect(account);
        let world = lock(&account.world);
        let messages = lock(&account.messages);
        Some(reported::truth(&world, &messages, &lock(&account.office), live_from))
    }

    /// Calls of an account in the order of their creation, `limit` of them after the first `skip`;
    /// none for an unknown account.
    pub fn calls(&self, account: &str, skip: usize, limit: usize) -> Option<Vec<CallTimes>> {
        let (_, account) = self.find(account)?;
        self.advance(account);
        let world = lock(&account.world);
        let all = 0..u32::try_from(world.table().calls().len()).unwrap_or(u32::MAX);
        Some(all.skip(skip).take(limit).filter_map(|place| times(&world, place)).collect())
    }

    /// Lets an account's calls come up to now.
    fn advance(&self, account: &AccountState) -> call::Tick {
        lock(&account.world).advance(self.inner.clock.since_epoch())
    }

    fn find(&self, sid: &str) -> Option<(usize, &AccountState)> {
        self.inner.accounts.iter().enumerate().find(|(_, account)| account.account.sid == sid)
    }

    /// Whether the keys were taken back.
    fn is_revoked(&self) -> bool {
        let age = self.inner.clock.since_epoch().saturating_sub(self.inner.started);
        self.options().revoked_after.is_some_and(|after| age >= after)
    }

    /// The response with the simulator's own time as its date.
    fn dated(&self, mut response: Response) -> Response {
        let now = i64::try_from(self.inner.clock.since_epoch().as_secs()).unwrap_or(0);
        let said = u64::try_from(now.saturating_add(self.options().date_skew)).unwrap_or(0);
        answer::set_header(&mut response, "date", &door::http_date(Duration::from_secs(said)));
        response
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl AccountState {
    /// Whether an `Authorization` header carries this account's key and token.
    fn admits(&self, header: Option<&[u8]>) -> bool {
        let Account { api_key, api_token, .. } = &self.account;
        header.and_then(door::basic).is_some_and(|(key, token)| key == *api_key && token == *api_token)
    }

    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }
}

fn times(world: &World, place: u32) -> Option<CallTimes> {
    let call = world.table().call(place)?;
    let second = |tick: call::Tick| {
        let Timestamp(whole) = world.instant(tick.second());
        whole as f64 + f64::from(tick.0 % 10) / 10.0
    };
    Some(CallTimes {
        sid: world.sid(place),
        created: world.instant(call.second()).0,
        ended: second(call.end()),
        visible: second(call.visible),
        settled: second(call.settled()),
    })
}

/// Locks; what a panicked holder left behind is still whole, as every change here is one assignment
/// or an append.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The client of one account: asks, waits its turn, asks again, and reads the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};

use super::auth::Auth;
use super::ledger::Ledger;
use super::limiter::{Allowance, Limiter};
use super::rests::Rests;
use super::send::Ask;
use super::time::ExotelTime;
use super::transport::Transport;
use super::wire::{self, AccountShape, Balance};
use super::{CallsPage, CallsQuery, Error, ErrorKind, Pool, Priority, query};
use crate::config;
use crate::metrics::api::{AccountApiMetrics, ApiMetrics, Endpoint};
use crate::model::callback::SmsReport;
use crate::model::health::Reachability;
use crate::model::{Clock, ExoPhone, Observation, Sid, Timestamp};

/// Pages of ExoPhones read at most, 50 numbers each; far above what one account rents.
const MAX_PHONE_PAGES: u32 = 200;

/// What a client is made of.
#[derive(Debug)]
pub struct ClientOptions<'a> {
    /// The account: credentials, base URL, ceilings.
    pub account: &'a config::Account,
    /// Retries of reads.
    pub retry: config::Retry,
    /// The way to Exotel.
    pub transport: Transport,
    /// The slots of this process.
    pub ledger: Ledger,
    /// Time; its monotonic side must be the one that the ledger was opened with.
    pub clock: Clock,
    /// The `exotel_api_*` families.
    pub metrics: ApiMetrics,
    /// How often a key that was refused is tried again.
    pub auth_retry_interval: Duration,
}

/// The door to Exotel for one account. Cheap to clone; several requests may be in flight.
///
/// Every request, each retry too, waits for a slot of its pool. A client made again for the same account
/// on the same ledger shares the slots of the former one.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// One of Exotel's hosts. Each has its own mind about our key: one that refuses it for the newer call APIs
/// must not stop what the other one answers.
pub(super) struct Host {
    /// Scheme, host and path prefix, or why there is none.
    pub(super) base: Result<String, &'static str>,
    pub(super) auth: Auth,
}

pub(super) struct Inner {
    pub(super) shape: AccountShape,
    /// Calls, ExoPhones, messages, balance.
    pub(super) api: Host,
    /// v2 and v3 of the call API.
    pub(super) ccm: Host,
    pub(super) authorization: HeaderValue,
    /// Texts that no error may show.
    pub(super) secrets: Vec<String>,
    pub(super) retry: config::Retry,
    pub(super) transport: Transport,
    pub(super) clock: Clock,
    pub(super) time: ExotelTime,
    pub(super) metrics: AccountApiMetrics,
    pub(super) voice: Arc<Limiter>,
    pub(super) exophones: Arc<Limiter>,
    /// None where no messages are asked for.
    pub(super) sms: Option<Arc<Limiter>>,
    /// Endpoints with a quota of their own that is used up.
    pub(super) rests: Rests,
    /// Whether this account's ExoPhones are listed by v1 only.
    pub(super) old_phone_list: AtomicBool,
    /// Where the health of this account's ExoPhones is found: a [`HealthPath`].
    pub(super) health_path: AtomicU8,
}

/// Where the health of an account's ExoPhones is found. The first path that answers decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum HealthPath {
    /// None has answered yet.
    NotKnown = 0,
    /// `/v2/…/incoming-phone-numbers/{sid}`.
    V2 = 1,
    /// `/v2_beta/…/IncomingPhoneNumbers/{sid}`.
    Beta = 2,
}

impl HealthPath {
    fn from_code(code: u8) -> Self {
        [Self::V2, Self::Beta].into_iter().find(|path| *path as u8 == code).unwrap_or(Self::NotKnown)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("account", &self.0.shape.sid).finish_non_exhaustive()
    }
}

/// What a pool of an account may use now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in any minute, as configured or as Exotel says, whichever is less.
    pub per_minute: u32,
    /// Those of them that background work may use.
    pub background_per_minute: u32,
    /// What Exotel last said is left, if it ever did.
    pub remaining: Option<u64>,
    /// Requests of the last minute.
    pub used: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
}

impl Client {
    /// A client for one account.
    pub fn new(options: ClientOptions<'_>) -> Self {
        let ClientOptions { account, retry, transport, ledger, clock, metrics, auth_retry_interval } =
            options;
        let metrics = metrics.for_account(&account.sid, &account.name);
        let limiter = |pool, ceiling| {
            let allowance = Allowance { ceiling, background_share: account.background_share };
            let limiter = ledger.limiter(&account.sid, pool, allowance, &clock);
            metrics.show_pool(pool, limiter.gauges());
            limiter
        };
        // Messages are known from callbacks alone.
        let sms = (!account.webhook_secrets.is_empty()).then(|| {
            metrics.show_endpoint(Endpoint::Sms);
            limiter(Pool::Sms, account.rate_limits.sms)
        });
        if account.balance.enabled {
            metrics.show_endpoint(Endpoint::Balance);
        }
        let (key, token) = (account.api_key.expose(), account.api_token.expose());
        let basic = STANDARD.encode(format!("{key}:{token}"));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {basic}")).expect("base64 is fit for a header");
        authorization.set_sensitive(true);
        let secrets = [key, token, &basic].into_iter().filter(|s| s.len() >= 4).map(str::to_owned).collect();
        let interval_ms = u64::try_from(auth_retry_interval.as_millis()).unwrap_or(u64::MAX);
        let host = |url| Host { base: base(url), auth: Auth::new(interval_ms) };
        Self(Arc::new(Inner {
            shape: AccountShape { sid: account.sid.clone(), utc_offset: account.utc_offset },
            api: host(&account.base_url),
            ccm: host(&account.ccm_base_url),
            authorization,
            secrets,
            retry,
            voice: limiter(Pool::Voice, account.rate_limits.voice),
            exophones: limiter(Pool::Exophones, account.rate_limits.exophones),
            sms,
            transport,
            time: ExotelTime::new(metrics.clock_offset(), &clock),
            clock,
            metrics,
            rests: Rests::default(),
            old_phone_list: AtomicBool::new(false),
            health_path: AtomicU8::new(HealthPath::NotKnown as u8),
        }))
    }

    /// One page of calls.
    ///
    /// # Errors
    /// See [`ErrorKind`]; reads that may succeed later were retried by then. A query that cannot be asked
    /// (an empty window, more than 20 Sids) is [`ErrorKind::Client`] without a status.
    pub async fn calls(&self, query: &CallsQuery, priority: Priority) -> Result<CallsPage, Error> {
        let target = query::calls(query, &self.0.shape.sid)?;
        let ask = Ask { endpoint: Endpoint::Calls, pool: Pool::Voice, priority, target };
        self.0.get(&ask, |body| wire::page(body, &self.0.shape, &ask.target)).await
    }

    /// One call with its legs, running calls included.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where Exotel does not know the call (yet); else as [`Client::calls`].
    pub async fn call(&self, sid: &Sid, priority: Priority) -> Result<Observation, Error> {
        let target = query::call(sid, &self.0.shape.sid);
        let ask = Ask { endpoint: Endpoint::Call, pool: Pool::Voice, priority, target };
        self.0.get(&ask, |body| wire::call(body, &self.0.shape, sid)).await
    }

    /// One call as v2 of the call API tells it: one that was made through that API.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where v2 does not know the call; else as [`Client::calls`].
    pub async fn call_v2(&self, sid: &Sid, priority: Priority) -> Result<Observation, Error> {
        self.0.newer_call(Endpoint::CallV2, sid, priority, query::call_v2).await
    }

    /// One call as v3 of the call API (beta) tells it, with the numbers and results of its legs where the
    /// account may ask for them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where v3 does not know the call; else as [`Client::calls`].
    pub async fn call_v3(&self, sid: &Sid, priority: Priority) -> Result<Observation, Error> {
        let mut call = self.0.newer_call(Endpoint::CallV3, sid, priority, query::call_v3).await?;
        let target = query::legs_v3(sid, &self.0.shape.sid);
        self.0.metrics.show_endpoint(Endpoint::LegsV3);
        let ask = Ask { endpoint: Endpoint::LegsV3, pool: Pool::Voice, priority, target };
        match self.0.get(&ask, |body| wire::newer_legs(body, &self.0.shape, sid)).await {
            Ok(legs) => legs.add_to(&mut call),
            // Exotel switches them on for some accounts; the call is known without them.
            Err(error) => tracing::debug!(call.sid = sid.as_str(), %error, "a call without its legs"),
        }
        Ok(call)
    }

    /// Every ExoPhone of the account.
    ///
    /// # Errors
    /// As [`Client::calls`].
    pub async fn exophones(&self, priority: Priority) -> Result<Vec<ExoPhone>, Error> {
        if self.0.old_phone_list.load(Ordering::Relaxed) {
            return self.0.phone_list(priority, query::exophones_v1).await;
        }
        match self.0.phone_list(priority, query::exophones).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                // The newer list is a beta that an account may not have.
                let phones = self.0.phone_list(priority, query::exophones_v1).await?;
                if !self.0.old_phone_list.swap(true, Ordering::Relaxed) {
                    tracing::info!(account.sid = self.0.shape.sid, "ExoPhones are read from the v1 list");
                }
                Ok(phones)
            }
            result => result,
        }
    }

    /// What Exotel says of one message.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where Exotel does not know it, which it says with 200; else as
    /// [`Client::calls`].
    pub async fn message(&self, sid: &str, priority: Priority) -> Result<SmsReport, Error> {
        let target = query::message(sid, &self.0.shape.sid);
        let ask = Ask { endpoint: Endpoint::Sms, pool: Pool::Sms, priority, target };
        let report = self.0.get(&ask, |body| wire::message(body, &self.0.shape, sid)).await?;
        report.ok_or_else(|| Error {
            kind: ErrorKind::NotFound,
            status: Some(200),
            message: "GET sms: Exotel does not know this message".to_owned(),
        })
    }

    /// The account's balance in millionths of the currency unit, and the currency where Exotel names it.
    ///
    /// # Errors
    /// As [`Client::calls`].
    pub async fn balance(&self, priority: Priority) -> Result<Balance, Error> {
        let target = query::balance(&self.0.shape.sid);
        let ask = Ask { endpoint: Endpoint::Balance, pool: Pool::Voice, priority, target };
        self.0.get(&ask, wire::balance).await
    }

    /// Whether one ExoPhone can be called and called from, by Exotel's own checks. Both directions are none
    /// where Exotel knows the number and says nothing of its connectivity.
    ///
    /// Shape: `tests/fixtures/exotel/exophone-details*.json`. Source: "Get ExoPhone Health" of Exotel's
    /// reference, read in November 2026.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a number that the account does not have (any more); else as
    /// [`Client::calls`].
    pub async fn exophone_health(&self, sid: &str, priority: Priority) -> Result<Reachability, Error> {
        let path = &self.0.health_path;
        let known = HealthPath::from_code(path.load(Ordering::Relaxed));
        let first = if known == HealthPath::Beta { query::exophone_beta } else { query::exophone_health };
        let result = self.0.one_phone(sid, priority, first).await;
        match (known, result) {
            (HealthPath::NotKnown, Err(error)) if error.kind == ErrorKind::NotFound => {
                // Either the account has no such path or no such number: the other path tells.
                let reachability = self.0.one_phone(sid, priority, query::exophone_beta).await?;
                let decided = (HealthPath::NotKnown as u8, HealthPath::Beta as u8);
                if path.compare_exchange(decided.0, decided.1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    tracing::info!(
                        account.sid = self.0.shape.sid,
                        "health of ExoPhones is read from the v2_beta path"
                    );
                }
                Ok(reachability)
            }
            (_, result) => {
                if result.is_ok() && known == HealthPath::NotKnown {
                    path.store(HealthPath::V2 as u8, Ordering::Relaxed);
                }
                result
            }
        }
    }

    /// What a pool may use now; none for a pool that this client does not ask.
    pub fn quota(&self, pool: Pool) -> Option<Quota> {
        let limiter = self.0.limiter(pool)?;
        let (allowed, gauges) = (limiter.in_force(), limiter.gauges());
        Some(Quota {
            per_minute: allowed.ceiling,
            background_per_minute: allowed.background(),
            remaining: gauges.remaining(),
            used: limiter.used(),
            waiting: gauges.queue(),
        })
    }

    /// Now, by Exotel's clock; by ours as long as no answer with a Date is believed.
    pub fn now(&self) -> Timestamp {
        self.0.time.now(&self.0.clock)
    }

    /// Whether an answer has confirmed [`Client::now`]. Where Exotel's clock and ours disagree by more than
    /// a minute, three answers in a row must agree with each other.
    pub fn knows_the_time(&self) -> bool {
        self.0.time.is_confirmed()
    }

    /// Exotel's clock minus ours in seconds; none before an answer with a Date is believed.
    pub fn clock_offset(&self) -> Option<i64> {
        self.0.time.offset(&self.0.clock)
    }
}

/// The configured URL without a trailing slash.
fn base(url: &str) -> Result<String, &'static str> {
    let url = url.trim_end_matches('/');
    let uri: Uri = url.parse().map_err(|_| "the base URL cannot be read")?;
    match (uri.scheme_str(), uri.authority()) {
        // Whatever stands before the host ends up in logs and errors of everybody.
        (_, Some(authority)) if authority.as_str().contains('@') => {
            Err("the base URL must not carry a user name or password")
        }
        (Some("http" | "https"), Some(_)) if uri.query().is_none() => Ok(url.to_owned()),
        _ => Err("the base URL is not https://host or http://host"),
    }
}

impl Inner {
    /// Reads one call of a newer API.
    async fn newer_call(
        &self,
        endpoint: Endpoint,
        sid: &Sid,
        priority: Priority,
        target: impl Fn(&Sid, &str) -> String,
    ) -> Result<Observation, Error> {
        self.metrics.show_endpoint(endpoint);
        let ask = Ask { endpoint, pool: Pool::Voice, priority, target: target(sid, &self.shape.sid) };
        let call = self.get(&ask, |body| wire::newer_call(body, &self.shape, sid)).await?;
        call.ok_or_else(|| Error {
            kind: ErrorKind::NotFound,
            status: Some(200),
            message: format!("GET {}: Exotel does not know this call", endpoint.as_str()),
        })
    }

    /// Reads one ExoPhone.
    async fn one_phone(
        &self,
        sid: &str,
        priority: Priority,
        target: impl Fn(&str, &str) -> String,
    ) -> Result<Reachability, Error> {
        let target = target(sid, &self.shape.sid);
        let ask = Ask { endpoint: Endpoint::Exophone, pool: Pool::Exophones, priority, target };
        self.get(&ask, |body| wire::connectivity(body, &self.shape)).await
    }

    /// Reads a list of ExoPhones page by page until one is not full or brings nothing new.
    async fn phone_list(
        &self,
        priority: Priority,
        target: impl Fn(u32, &str) -> String,
    ) -> Result<Vec<ExoPhone>, Error> {
        let mut phones: Vec<ExoPhone> = Vec::new();
        for page in 0..MAX_PHONE_PAGES {
            let target = target(page, &self.shape.sid);
            let ask = Ask { endpoint: Endpoint::Exophones, pool: Pool::Exophones, priority, target };
            let list = self.get(&ask, wire::exophones).await?;
            if list.unreadable > 0 {
                tracing::warn!(
                    account.sid = self.shape.sid,
                    entries = list.unreadable,
                    "ExoPhones without a number"
                );
            }
            let (full, known) = (list.is_full(), phones.len());
            for phone in list.phones {
                if !phones.iter().any(|p| p.sid == phone.sid) {
                    phones.push(phone);
                }
            }
            if !full || phones.len() == known {
                break;
            }
        }
        Ok(phones)
    }
}

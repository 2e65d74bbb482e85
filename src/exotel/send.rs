//! Sending: leave, slot, request, answer, and once more where that may help.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::{Request, Response, header};

use super::answer::{Hints, failure, is_retried};
use super::auth::Leave;
use super::client::{Host, Inner};
use super::limiter::Limiter;
use super::wire::Malformed;
use super::{Error, ErrorKind, Pool, Priority};
use crate::config::Balance;
use crate::metrics::api::Endpoint;

/// Longest wait between two tries, whatever the settings say.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// One thing to ask for.
pub(super) struct Ask {
    pub(super) endpoint: Endpoint,
    pub(super) pool: Pool,
    pub(super) priority: Priority,
    /// Path and query, exactly as sent.
    pub(super) target: String,
}

impl Ask {
    /// Whether it goes to the host of the newer call APIs.
    fn is_of_ccm(&self) -> bool {
        matches!(self.endpoint, Endpoint::CallV2 | Endpoint::CallV3 | Endpoint::LegsV3)
    }

    fn meter(&self) -> Meter {
        match self.endpoint {
            Endpoint::Balance => Meter::Alone,
            _ if self.is_of_ccm() => Meter::Apart,
            _ => Meter::Pool,
        }
    }
}

/// Whose count the headers of an answer tell of. Whatever it is, a request takes a slot of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meter {
    /// That of the pool.
    Pool,
    /// `X-RateLimit-*` of a count of its own (the legs: 100 a minute); a 429 speaks for the account as
    /// a whole all the same.
    Apart,
    /// That of the endpoint, whatever is said: the balance may be asked for once a minute, and nothing else
    /// may suffer from it.
    Alone,
}

impl Inner {
    fn host(&self, ask: &Ask) -> &Host {
        if ask.is_of_ccm() { &self.ccm } else { &self.api }
    }

    pub(super) fn limiter(&self, pool: Pool) -> Option<&Arc<Limiter>> {
        match pool {
            Pool::Voice => Some(&self.voice),
            Pool::Exophones => Some(&self.exophones),
            Pool::Sms => self.sms.as_ref(),
        }
    }

    /// Asks, again where that may help, and reads the answer.
    pub(super) async fn get<T>(
        &self,
        ask: &Ask,
        read: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        // A retry is a request as any other, and the balance has one a minute.
        let shortest = match ask.meter() {
            Meter::Alone => self.retry.initial_backoff.max(Balance::SHORTEST),
            Meter::Pool | Meter::Apart => self.retry.initial_backoff,
        };
        let mut backoff = ExponentialBuilder::new()
            .with_min_delay(shortest)
            .with_max_delay(MAX_BACKOFF.max(shortest))
            .with_max_times(self.retry.attempts as usize)
            .with_factor(2.0)
            .with_jitter()
            .build();
        loop {
            let error = match self.attempt(ask, &read).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !is_retried(error.kind) {
                return Err(self.presentable(ask, error));
            }
            let Some(wait) = backoff.next() else {
                self.metrics.abandoned(ask.endpoint);
                return Err(self.presentable(ask, error));
            };
            // After a 429 the pool as a whole waits, or the endpoint.
            if !matches!(error.kind, ErrorKind::Throttled { .. }) {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// One try: rest, leave, slot, request, answer.
    async fn attempt<T>(&self, ask: &Ask, read: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<T, Error> {
        let request = self.request(ask)?;
        let limiter = self.limiter(ask.pool).ok_or_else(|| local("this pool is not in use"))?;
        self.rests.over(ask.endpoint, &self.clock).await;
        let asked_at = self.clock.monotonic_millis();
        let auth = &self.host(ask).auth;
        let leave = self.leave(auth.ask(asked_at))?;
        let mut permit = limiter.acquire(ask.priority).await;
        self.leave(auth.still(leave, self.clock.monotonic_millis()))?;
        permit.record().await.map_err(|e| Error {
            kind: ErrorKind::Ledger,
            status: None,
            message: format!("not sent: {e}"),
        })?;
        let sent_at = self.clock.monotonic_millis();
        self.metrics.waited(ask.pool, ask.priority, Duration::from_millis(sent_at.saturating_sub(asked_at)));

        let result = self.transport.send(request).await;
        // From here the minute of the slot runs.
        drop(permit);
        let took = Duration::from_millis(self.clock.monotonic_millis().saturating_sub(sent_at));
        let result = match result {
            Ok(answer) => {
                self.metrics.attempt(ask.endpoint, Some(answer.status().as_u16()), took);
                self.judge(ask, limiter, &answer, read)
            }
            Err(error) => {
                self.metrics.attempt(ask.endpoint, error.status, took);
                Err(error)
            }
        };
        if let Err(error) = &result {
            self.metrics.failure(ask.endpoint, error.kind);
        }
        result
    }

    fn leave(&self, leave: Leave) -> Result<Leave, Error> {
        match leave {
            Leave::Good | Leave::Try => Ok(leave),
            Leave::Denied { wait_ms } => Err(Error {
                kind: ErrorKind::Auth,
                status: None,
                message: format!(
                    "not sent: Exotel refused this account with 401 (wrong key or token, or wrong region?); next try in {} s",
                    wait_ms.div_ceil(1000)
                ),
            }),
        }
    }

    /// What an answer tells the limiter, the key and the caller.
    fn judge<T>(
        &self,
        ask: &Ask,
        limiter: &Limiter,
        answer: &Response<Bytes>,
        read: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let (status, now) = (answer.status(), self.clock.since_epoch());
        let hints = Hints::of(status, answer.headers(), ask.pool, now);
        // What is said of the key and of Exotel's clock is said of the host that everything else is read from.
        let (auth, of_api) = (&self.host(ask).auth, !ask.is_of_ccm());
        self.heed(ask, limiter, &hints);
        if let Some(error) = failure(status, answer.body(), ask.pool, &hints) {
            if error.kind == ErrorKind::Auth {
                auth.refused(self.clock.monotonic_millis());
                if of_api {
                    self.metrics.set_auth_ok(false);
                }
            }
            return Err(error);
        }
        auth.accepted();
        if of_api {
            self.metrics.set_auth_ok(true);
            // Failures are often made by something in between, with a clock of its own.
            self.time.told(hints.date, &self.clock);
            if let Some(offset) = self.time.offset(&self.clock) {
                self.metrics.set_clock_offset(offset);
            }
        }
        read(answer.body()).map_err(|Malformed(message)| Error {
            kind: ErrorKind::Decode,
            status: Some(status.as_u16()),
            message,
        })
    }

    /// Does what the headers ask for: to whom they speak, no more and no fewer.
    fn heed(&self, ask: &Ask, limiter: &Limiter, hints: &Hints) {
        let (of_pool, of_endpoint) = match ask.meter() {
            Meter::Pool => (hints.pause(), None),
            Meter::Apart => (hints.asked, hints.reset),
            Meter::Alone => (None, hints.pause()),
        };
        if ask.meter() == Meter::Pool {
            if let Some(limit) = hints.limit {
                limiter.learn(limit);
            }
            if let Some(remaining) = hints.remaining {
                limiter.gauges().set_remaining(remaining);
            }
        }
        if let Some(pause) = of_pool {
            limiter.pause(pause);
        }
        if let Some(pause) = of_endpoint {
            self.rests.begin(ask.endpoint, pause, &self.clock);
        }
    }

    fn request(&self, ask: &Ask) -> Result<Request<Bytes>, Error> {
        let base = self.host(ask).base.as_ref().map_err(|why| local(why))?;
        Request::get(format!("{base}{}", ask.target))
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("exotel-exporter/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::new())
            .map_err(|_| local("the address cannot be written as a URI"))
    }

    /// An error as the caller sees it: it says what was asked, and shows no secret that an answer echoed.
    fn presentable(&self, ask: &Ask, mut error: Error) -> Error {
        error.message = format!("GET {}: {}", ask.endpoint.as_str(), error.message);
        for secret in &self.secrets {
            if error.message.contains(secret.as_str()) {
                error.message = error.message.replace(secret.as_str(), "(hidden)");
            }
        }
        error
    }
}

/// A fault on our own side, before anything is sent.
fn local(why: &str) -> Error {
    Error { kind: ErrorKind::Client, status: None, message: format!("not sent: {why}") }
}

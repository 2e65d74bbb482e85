//! The receiver of webhooks: `POST /webhooks/{account}/{secret}/{kind}`, `GET` too for passthru.
//!
//! | answer | when, in the order of the checks |
//! |---|---|
//! | 403 | the sender's address is in no network of `webhooks.allow_from` |
//! | 401 | unknown account or wrong secret: one answer, one duration, before the body is read |
//! | 404 | the kind is none |
//! | 405 | the method is not one of the kind's |
//! | 413 | the body is larger than 11 MiB for heartbeats, 256 KiB for others |
//! | 503 | too much is in flight |
//! | 400 | the body cannot be read, was cut off, or did not come in time |
//! | 503 | it could not be stored |
//! | 200, empty | it is durable, or was known |
//!
//! Never a redirect: Exotel takes 302 for the other branch of a call's flow. It knows neither store nor
//! what a callback means: it reads one with [`crate::exotel::callback`] and hands it to a [`Sink`]. The
//! path of a request holds a secret and is never written anywhere.

mod body;
mod burst;
mod keys;
mod room;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderValue, Method, StatusCode, header, request};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};

use self::body::Fault;
use self::burst::{Burst, Pace};
use self::keys::Keys;
use self::room::Room;
use crate::exotel::callback::{self, Letter, Unreadable};
use crate::metrics::webhooks::{WebhookMetrics, WebhookOutcome};
use crate::model::callback::{Kind, Taken, Told};
use crate::model::{AccountId, Clock, Timestamp, UtcOffset};

pub use self::keys::Entrance;

/// From the head of a request to the end of its body. Exotel waits 15 s for the answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// From the head of a request to its answer; then it is answered as not kept.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(14);
/// How long a sender that goes on with wrong secrets waits for each further answer.
const SLOWED: Duration = Duration::from_secs(1);
/// Bodies above this are read away from the async threads.
const LONG_BODY: usize = 64 * 1024;

/// A callback that was read, with the right secret.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The account whose entrance it came through.
    pub account: AccountId,
    /// The kind in its address.
    pub kind: Kind,
    /// What it says.
    pub told: Told,
    /// When it came, UTC.
    pub received: Timestamp,
}

/// Stores what a callback says.
pub type Sink = Arc<dyn Fn(Delivery) -> Keeping + Send + Sync>;

/// A [`Sink`] at work. Resolves once what the callback says is durable.
pub type Keeping = Pin<Box<dyn Future<Output = Result<Taken, NotKept>> + Send>>;

/// It could not be stored. Whoever found that out has said why, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be stored")]
pub struct NotKept;

/// What the receiver needs.
pub struct Webhooks {
    /// One for each account, those without secrets too.
    pub entrances: Vec<Entrance>,
    /// Networks that may send; all if there is none.
    pub allow_from: Vec<IpNet>,
    /// Where callbacks go.
    pub sink: Sink,
    /// What is counted.
    pub metrics: WebhookMetrics,
    /// When a callback came.
    pub clock: Clock,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("entrances", &self.entrances).finish_non_exhaustive()
    }
}

impl Webhooks {
    /// The door that it makes.
    pub fn door(self) -> Door {
        Door(Arc::new(Inner {
            entry: ArcSwap::from_pointee(Entry::new(self.entrances, self.allow_from)),
            sink: self.sink,
            metrics: self.metrics,
            clock: self.clock,
            room: Room::default(),
            burst: Burst::default(),
        }))
    }
}

/// The door at work. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// The routes, to be merged beside others, outside of what asks for a password. No fallback.
    pub fn router(&self) -> Router {
        Router::new().route("/webhooks/{*rest}", any(receive)).with_state(Arc::clone(&self.0))
    }

    /// Lets in who has these secrets and comes from these networks, from the next request on. A request
    /// that was let in goes on.
    pub fn change(&self, entrances: Vec<Entrance>, allow_from: Vec<IpNet>) {
        self.0.entry.store(Arc::new(Entry::new(entrances, allow_from)));
    }
}

/// Who is let in.
struct Entry {
    keys: Keys,
    entrances: Vec<Entrance>,
    allow_from: Vec<IpNet>,
    /// Whether any account takes webhooks; if none does, nothing is counted.
    taken_by_any: bool,
}

impl Entry {
    fn new(entrances: Vec<Entrance>, allow_from: Vec<IpNet>) -> Self {
        let taken_by_any = entrances.iter().any(|entrance| !entrance.secrets.is_empty());
        Self { keys: Keys::new(&entrances), entrances, allow_from, taken_by_any }
    }

    fn may_send(&self, peer: Option<IpAddr>) -> bool {
        self.allow_from.is_empty()
            || peer.is_some_and(|peer| self.allow_from.iter().any(|network| network.contains(&peer)))
    }
}

/// What every request needs.
struct Inner {
    entry: ArcSwap<Entry>,
    sink: Sink,
    metrics: WebhookMetrics,
    clock: Clock,
    room: Room,
    burst: Burst,
}

/// A request that was not taken: what is counted and what is answered.
struct Refusal {
    outcome: WebhookOutcome,
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(outcome: WebhookOutcome, status: StatusCode, reason: impl Into<String>) -> Self {
        Self { outcome, status, reason: reason.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.reason + "\n").into_response()
    }
}

async fn receive(State(door): State<Arc<Inner>>, request: Request) -> Response {
    let arrived = Instant::now();
    // One request is judged by one configuration, whatever is changed meanwhile.
    let entry = door.entry.load_full();
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let mut path = parts.uri.path().strip_prefix("/webhooks/").unwrap_or("").splitn(3, '/');
    let mut part = || path.next().unwrap_or("");
    let (account, secret, kind) = (part(), part(), part());
    let found = entry.keys.try_open(&decoded(account), &decoded(secret));
    let entrance = found.account.map(|index| &entry.entrances[index]);
    let kind = Kind::from_word(kind.strip_suffix('/').unwrap_or(kind));
    let count = |kind, outcome| {
        if entry.taken_by_any {
            door.metrics.answered(entrance.map(|entrance| entrance.account), kind, outcome);
        }
    };
    if !entry.may_send(peer) {
        count(kind, WebhookOutcome::Unauthorized);
        let reason = "This address may not send webhooks: it is in no network of webhooks.allow_from.";
        return Refusal::new(WebhookOutcome::Unauthorized, StatusCode::FORBIDDEN, reason).into_response();
    }
    let (Some(entrance), true) = (entrance, found.opened) else {
        count(kind, WebhookOutcome::Unauthorized);
        if door.burst.wrong(peer) == Pace::Slowed {
            tokio::time::sleep(SLOWED).await;
        }
        let reason = "The account is not known, or the secret is wrong.";
        return Refusal::new(WebhookOutcome::Unauthorized, StatusCode::UNAUTHORIZED, reason).into_response();
    };
    let result = door.take(entrance, kind, arrived, &parts, body).await;
    let (shown, outcome) = match &result {
        Ok((kind, taken)) => (*kind, (*taken).into()),
        Err(refusal) => (kind, refusal.outcome),
    };
    count(shown, outcome);
    door.metrics.handled(shown, arrived.elapsed());
    match result {
        Ok(_) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let kind = kind.map_or("other", Kind::as_str);
            tracing::warn!(
                account = entrance.name,
                kind,
                status = refusal.status.as_u16(),
                reason = refusal.reason,
                "a webhook was not taken"
            );
            let mut response = refusal.into_response();
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

impl Inner {
    /// Takes a callback whose secret was right. Gives the kind under which it is counted.
    async fn take(
        &self,
        entrance: &Entrance,
        kind: Option<Kind>,
        arrived: Instant,
        parts: &request::Parts,
        body: axum::body::Body,
    ) -> Result<(Option<Kind>, Taken), Refusal> {
        use WebhookOutcome::{Error, Invalid, Overloaded, TooLarge};
        let Some(kind) = kind else {
            let reason = "Expected the kind heartbeat, calls, sms or passthru at the end of the path.";
            return Err(Refusal::new(Invalid, StatusCode::NOT_FOUND, reason));
        };
        let by_get = kind == Kind::Passthru && parts.method == Method::GET;
        if parts.method != Method::POST && !by_get {
            let reason = "This kind of webhook takes POST.";
            return Err(Refusal::new(Invalid, StatusCode::METHOD_NOT_ALLOWED, reason));
        }
        let limit = body::limit(kind);
        let too_large = || {
            let reason = format!("Expected a body of at most {limit} bytes.");
            Refusal::new(TooLarge, StatusCode::PAYLOAD_TOO_LARGE, reason)
        };
        let length = body::announced(&body);
        if length.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let Some(_place) = self.room.enter(length, limit).await else {
            let reason = "Too many webhooks are in flight; this one was not kept.";
            return Err(Refusal::new(Overloaded, StatusCode::SERVICE_UNAVAILABLE, reason));
        };
        let bad = |reason: String| Refusal::new(Invalid, StatusCode::BAD_REQUEST, reason);
        let body =
            body::read(body, length, limit, arrived + BODY_TIMEOUT).await.map_err(|fault| match fault {
                Fault::TooLarge => too_large(),
                Fault::Late => bad(format!("The body did not come within {} s.", BODY_TIMEOUT.as_secs())),
                Fault::Cut => bad("The body was cut off.".to_owned()),
            })?;
        let told =
            self.read(kind, entrance.offset, parts, body).await.map_err(|fault| bad(format!("{fault}.")))?;
        let shown = if matches!(told, Told::Unknown(_)) { None } else { Some(kind) };
        let received = self.clock.now();
        let keeping = (self.sink)(Delivery { account: entrance.account, kind, told, received });
        match timeout_at(arrived + ANSWER_TIMEOUT, keeping).await {
            Ok(Ok(taken)) => {
                if let (Some(kind), Taken::Accepted) = (shown, taken) {
                    self.metrics.received(entrance.account, kind, received);
                }
                Ok((shown, taken))
            }
            Ok(Err(NotKept)) | Err(_) => {
                let reason = "It could not be stored now; please send it again.";
                Err(Refusal::new(Error, StatusCode::SERVICE_UNAVAILABLE, reason))
            }
        }
    }

    async fn read(
        &self,
        kind: Kind,
        offset: UtcOffset,
        parts: &request::Parts,
        body: Vec<u8>,
    ) -> Result<Told, Unreadable> {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
        let query = parts.uri.query();
        if body.len() <= LONG_BODY {
            return callback::read(&Letter { kind, content_type, query, body: &body, offset });
        }
        let (content_type, query) = (content_type.map(str::to_owned), query.map(str::to_owned));
        let reading = tokio::task::spawn_blocking(move || {
            let (content_type, query) = (content_type.as_deref(), query.as_deref());
            callback::read(&Letter { kind, content_type, query, body: &body, offset })
        });
        reading.await.unwrap_or_else(|_| Err(Unreadable("an internal fault stopped the reading".to_owned())))
    }
}

/// A part of a path without its percent signs.
fn decoded(part: &str) -> Vec<u8> {
    percent_decode_str(part).collect()
}

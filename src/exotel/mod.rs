//! The one door to Exotel's HTTP API: client, rate limit, retry, wire shapes.
//!
//! It knows [`crate::model`] and its own metrics ([`crate::metrics::api`]), never the store.

mod answer;
mod auth;
pub mod callback;
mod client;
mod excerpt;
mod ledger;
mod limiter;
mod next_page;
mod query;
mod rests;
mod send;
#[cfg(test)]
mod tests;
mod time;
mod transport;
mod wire;

use std::fmt;
use std::time::Duration;

pub use client::{Client, ClientOptions, Quota};
pub use ledger::{Ledger, LedgerError};
pub use transport::{Transport, TransportOptions};
pub use wire::{AccountShape, Balance, read_page, read_row};

use crate::model::{Observation, Sid, UnreadableRow, WallTime};

/// Why a request was made; decides its place in the queue. Order = precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Health polls; outside the background share.
    Health,
    /// A person waits; outside the background share.
    Interactive,
    /// Calls that are about to be counted, asked for by Sid.
    Settle,
    /// The newest windows.
    Sync,
    /// Leg details, call by call.
    Details,
    /// Gaps after downtime, and audits.
    Heal,
    /// Old history.
    Backfill,
}

impl Priority {
    /// All, in order of precedence.
    pub const ALL: [Self; 7] = [
        Self::Health,
        Self::Interactive,
        Self::Settle,
        Self::Sync,
        Self::Details,
        Self::Heal,
        Self::Backfill,
    ];

    /// The `priority` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Interactive => "interactive",
            Self::Settle => "settle",
            Self::Sync => "sync",
            Self::Details => "details",
            Self::Heal => "heal",
            Self::Backfill => "backfill",
        }
    }

    /// Whether it may use only the background share of a pool.
    pub fn is_background(self) -> bool {
        !matches!(self, Self::Health | Self::Interactive)
    }
}

/// A pool of requests that share one of Exotel's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// Calls, balance.
    Voice,
    /// ExoPhones.
    Exophones,
    /// SMS.
    Sms,
}

impl Pool {
    /// All pools.
    pub const ALL: [Self; 3] = [Self::Voice, Self::Exophones, Self::Sms];

    /// The `pool` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Exophones => "exophones",
            Self::Sms => "sms",
        }
    }
}

/// A half-open window of creation times, on Exotel's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First second.
    pub from: WallTime,
    /// First second that is no longer in it; after `from`.
    pub to: WallTime,
}

/// What to ask the bulk call API for. Oldest first, 100 rows a page, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallsQuery {
    /// Calls created in a window, optionally only those whose Duration lies in `[min, max]` seconds.
    Window {
        /// Creation times.
        window: Window,
        /// Bounds of Duration, both inclusive.
        duration: Option<(u32, u32)>,
        /// Whether to ask for leg details inline.
        details: bool,
    },
    /// These calls, at most 20, created in the window if one is given (needed beyond 31 days).
    Sids {
        /// Ids.
        sids: Vec<Sid>,
        /// Creation times.
        window: Option<Window>,
        /// Whether to ask for leg details inline.
        details: bool,
    },
    /// The page after one that was read; Exotel's own path, sent back as it came.
    Next(NextPage),
}

impl CallsQuery {
    /// The same without leg details inline; none if it does not ask for them.
    pub(crate) fn without_details(&self) -> Option<Self> {
        let mut plain = self.clone();
        match &mut plain {
            Self::Window { details, .. } | Self::Sids { details, .. } if *details => *details = false,
            _ => return None,
        }
        Some(plain)
    }
}

/// `NextPageUri` of a page, checked to stay on our host and account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextPage(pub(crate) String);

impl NextPage {
    /// Takes a path that was kept, of the account with this sid; none if it would leave the account.
    pub fn parse(path: &str, account_sid: &str) -> Option<Self> {
        next_page::stays_on_account(path, account_sid).ok()?;
        Some(Self(path.to_owned()))
    }

    /// The path with query, as Exotel sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page of calls.
#[derive(Clone, Debug)]
pub struct CallsPage {
    /// Rows in Exotel's order.
    pub rows: Vec<Row>,
    /// `Metadata.Total`: rows of the whole filter, where given.
    pub total: Option<u64>,
    /// The page after this one; none on the last, on a page without rows, and where the URI names this page again.
    pub next: Option<NextPage>,
}

/// One row of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A row that could be read.
    Call(Box<Observation>),
    /// A row to set aside.
    Unreadable(UnreadableRow),
}

/// Why an operation failed, by what the caller will do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What to do.
    pub kind: ErrorKind,
    /// HTTP status, where one came.
    pub status: Option<u16>,
    /// What was asked, what was expected, what came; no secret, no number.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a caller branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 401: key, token or region. One try per interval until it is accepted.
    Auth,
    /// 403: address not allowed, or forbidden.
    Forbidden,
    /// 402: balance or plan.
    Payment,
    /// 404.
    NotFound,
    /// 400 and other 4xx: our request is wrong.
    Client,
    /// 429, or 503 of the SMS API.
    Throttled {
        /// How long Exotel asked us to wait.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    Server,
    /// No answer in time.
    Timeout,
    /// No connection, or cut.
    Connect,
    /// TLS could not be set up.
    Tls,
    /// The request could not be written into the slots file, so it was not sent.
    Ledger,
    /// The body is not what it should be (broken JSON, HTML, no `Calls`, too large, a NextPageUri that leaves the account).
    Decode,
}

impl ErrorKind {
    /// The `reason` label. `ledger` is none: no attempt was made.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::Payment => "payment",
            Self::NotFound => "not_found",
            Self::Client => "client",
            Self::Throttled { .. } => "throttled",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Ledger => "ledger",
            Self::Decode => "decode",
        }
    }

    /// Every reason for which an attempt can fail, for seeding.
    pub const REASONS: [&'static str; 11] = [
        "auth",
        "forbidden",
        "payment",
        "not_found",
        "client",
        "throttled",
        "server",
        "timeout",
        "connect",
        "tls",
        "decode",
    ];
}

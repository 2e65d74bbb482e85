//! The web configuration of the Prometheus exporter toolkit: TLS, passwords, headers, a rate limit.
//!
//! The way through the folder: `settings` (what the file says, with `yaml` and `names`) -> `tls` and
//! `clients` (what rustls serves with), `users` (who may come in) -> `layer` (what a request meets).
//! `watch` sees to it that a changed file, certificate or key is used by the next request or connection.
//!
//! As in the toolkit, whether there is TLS, HTTP/2 and a rate limit is decided at the start; a file that
//! became faulty closes the door instead of leaving the old one open: 500 for requests, no new TLS.

mod clients;
mod layer;
mod names;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod users;
mod watch;
mod yaml;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use governor::DefaultDirectRateLimiter;
use governor::{Quota, RateLimiter};
use rustls::ServerConfig;

use self::settings::RateLimit;
use self::users::Checker;
use self::watch::{InForce, State, Watch};
use crate::config::Faults;

/// A web configuration in force. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct WebConfig(Arc<Inner>);

struct Inner {
    watch: Watch,
    checker: Checker,
    limit: Limit,
    scheme: Scheme,
}

/// How the listeners speak, decided at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS on every listener.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Which of a listener's doors somebody knocks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Door {
    /// `web.listen`: everything.
    Pages,
    /// `web.webhook_listen`: webhooks alone, and nobody is asked for a certificate.
    Webhooks,
}

/// The rate limit, read at the start only.
enum Limit {
    Off,
    /// A burst of 0 lets nothing through.
    Closed,
    Bucket(Box<DefaultDirectRateLimiter>),
}

impl Limit {
    fn new(settings: Option<RateLimit>) -> Self {
        let Some(RateLimit { interval, burst }) = settings else { return Self::Off };
        match (Quota::with_period(interval), std::num::NonZeroU32::new(burst)) {
            (Some(quota), Some(burst)) => {
                Self::Bucket(Box::new(RateLimiter::direct(quota.allow_burst(burst))))
            }
            _ => Self::Closed,
        }
    }

    fn allows(&self) -> bool {
        match self {
            Self::Off => true,
            Self::Closed => false,
            Self::Bucket(bucket) => bucket.check().is_ok(),
        }
    }
}

/// Reads a web configuration and everything that it names, as `promtool check web-config` does.
///
/// # Errors
/// Every fault, with file, key and reason. If there is none, what a person should know.
pub fn check(path: &Path) -> Result<Vec<String>, Faults> {
    watch::read(path).map(|(_, warnings)| warnings)
}

impl WebConfig {
    /// Reads the file and all that it names. From then on each request and each connection sees changes.
    ///
    /// # Errors
    /// As [`check`].
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let state = watch::State::at_start(path)?;
        let (settings, scheme) = match &state.in_force {
            Ok(in_force) if in_force.tls.is_some() => (in_force.rate_limit, Scheme::Https),
            Ok(in_force) => (in_force.rate_limit, Scheme::Http),
            Err(_) => (None, Scheme::Http),
        };
        Ok(Self(Arc::new(Inner {
            watch: Watch::new(path, state),
            checker: Checker::new(),
            limit: Limit::new(settings),
            scheme,
        })))
    }

    /// How the listeners speak.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// What a new connection is served with; none if TLS is off.
    ///
    /// # Errors
    /// Why nobody can be served now; it is in the log already.
    pub(in crate::web) async fn tls(&self, door: Door) -> Result<Option<Arc<ServerConfig>>, String> {
        if self.0.scheme == Scheme::Http {
            return Ok(None);
        }
        let state = self.0.watch.now().await;
        let in_force = state.in_force.as_ref().map_err(Clone::clone)?;
        let tls = in_force.tls.as_ref().ok_or("TLS was taken out of the file, which needs a restart")?;
        Ok(Some(match door {
            Door::Pages => tls.pages.clone(),
            Door::Webhooks => tls.webhooks.clone(),
        }))
    }

    async fn state(&self) -> Arc<State> {
        self.0.watch.now().await
    }

    fn last(&self) -> Option<Arc<InForce>> {
        self.0.watch.last()
    }
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig").field("scheme", &self.0.scheme).finish_non_exhaustive()
    }
}

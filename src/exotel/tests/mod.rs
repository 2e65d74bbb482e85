//! The client against a server in this process, under paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::*;
use crate::config::{Account, RateLimits, Retry};
use crate::metrics::api::ApiMetrics;
use crate::model::health::State;
use crate::model::{Clock, Timestamp, UtcOffset, parse_time};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/exotel/", $name))
    };
}

mod exophones;
mod messages;
mod network;
mod newer;
mod requests;
mod retries;
mod time;

const KEY: &str = "key-0123";
const TOKEN: &str = "token-4567";

/// 2026-03-02 13:55:00 UTC.
const START: Timestamp = Timestamp(1_772_459_700);

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    uri: Uri,
    headers: HeaderMap,
    /// Since the server was made.
    at: Duration,
}

/// A server whose answers are a function of the number of the request, from 0, and its URI.
struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    router: Router,
}

impl Server {
    fn new<R: IntoResponse>(answer: impl Fn(usize, &Uri) -> R + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer, begun) = (Arc::clone(&seen), Arc::new(answer), Instant::now());
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            let response = {
                let mut log = log.lock().unwrap();
                log.push(Seen { uri: uri.clone(), headers, at: begun.elapsed() });
                answer(log.len() - 1, &uri).into_response()
            };
            async move { response }
        });
        Self { seen, router }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen().len()
    }

    /// Whole seconds at which requests came.
    fn seconds(&self) -> Vec<u64> {
        self.seen().iter().map(|s| s.at.as_secs()).collect()
    }
}

/// A client and what it measures.
struct Bench {
    client: Client,
    registry: Registry,
}

impl Bench {
    fn new(server: &Server) -> Self {
        Self::with(server, &account())
    }

    fn with(server: &Server, account: &Account) -> Self {
        let transport = Transport::in_process(
            server.router.clone(),
            TransportOptions { max_body: 64 * 1024, ..TransportOptions::default() },
        );
        Self::over(transport, account)
    }

    fn over(transport: Transport, account: &Account) -> Self {
        let mut registry = Registry::default();
        let client = Client::new(ClientOptions {
            account,
            retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
            transport,
            ledger: Ledger::in_memory(),
            clock: Clock::following_tokio(START),
            metrics: ApiMetrics::new(&mut registry),
            auth_retry_interval: Duration::from_secs(60),
        });
        Self { client, registry }
    }

    async fn calls(&self) -> Result<CallsPage, Error> {
        self.client.calls(&day(), Priority::Sync).await
    }

    /// Whether a scrape holds this line.
    fn has(&self, line: &str) {
        crate::metrics::rendered::has(&crate::metrics::rendered::text(&self.registry), line);
    }

    fn failures(&self, reason: &str, count: u32) {
        self.has(&format!(
            r#"exotel_api_request_failures_total{{account="exampleacct1",endpoint="calls",reason="{reason}"}} {count}"#
        ));
    }
}

fn account() -> Account {
    Account {
        rate_limits: RateLimits { voice: 6000, exophones: 6000, sms: 6000 },
        background_share: 1.0,
        base_url: "http://exotel.test".to_owned(),
        ..Account::new("exampleacct1", KEY, TOKEN)
    }
}

fn day() -> CallsQuery {
    let wall = |text| parse_time(text, UtcOffset::default()).unwrap().unwrap();
    let window = Window { from: wall("2026-03-02 00:00:00"), to: wall("2026-03-03 00:00:00") };
    CallsQuery::Window { window, duration: None, details: false }
}

const EMPTY: &str = fixture!("bulk-calls-empty.json");

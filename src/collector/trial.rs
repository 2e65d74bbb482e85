//! For tests: an account at work over an Exotel in this process that knows ExoPhones, and no calls. Under paused
//! time a day passes in moments.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Account, Stored, Terms, exophones, health};
use crate::config::{self, Config, Retry};
use crate::exotel::{Client, ClientOptions, Ledger, Transport, TransportOptions};
use crate::metrics::api::ApiMetrics;
use crate::model::{Clock, Series, Timestamp};
use crate::store::Store;
use crate::store::tests::{SID, folder, open_at};

/// 2026-03-02 13:20:00 UTC.
pub(crate) const START: Timestamp = Timestamp(1_772_457_600);

/// A number at Exotel.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) sid: String,
    pub(crate) number: String,
    /// Exotel's words for its incoming and outgoing calls.
    pub(crate) words: [&'static str; 2],
    /// Status that it is answered with, if not 200.
    pub(crate) status: Option<u16>,
    /// How long its answers take.
    pub(crate) takes: Duration,
}

/// What Exotel knows, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Exotel {
    pub(crate) numbers: Vec<Number>,
    /// Status of the list, if not 200.
    pub(crate) list_status: Option<u16>,
    /// Sid and time of each question after the health of a number.
    pub(crate) asked: Vec<(String, Instant)>,
    /// Times at which the list was asked for.
    pub(crate) listed: Vec<Instant>,
    /// Queries for calls, of which there are none; those with `details` are refused.
    pub(crate) queries: Vec<String>,
}

/// An account, its store and its Exotel.
pub(crate) struct Trial {
    pub(crate) exotel: Arc<Mutex<Exotel>>,
    pub(crate) account: Arc<Account>,
    pub(crate) store: Store,
    clock: Clock,
    folder: TempDir,
    settings: (config::Account, config::Heartbeat),
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Trial {
    /// With numbers `sid0`, `sid1` and so on that are well; polled each minute within the published limit.
    pub(crate) async fn new(numbers: usize) -> Self {
        Self::with(numbers, config::Account::new(SID, "key-0123", "token-4567"), minutely()).await
    }

    pub(crate) async fn with(
        numbers: usize,
        mut account: config::Account,
        heartbeat: config::Heartbeat,
    ) -> Self {
        account.base_url = "http://exotel.test".to_owned();
        let number = |n: usize| Number {
            sid: format!("sid{n}"),
            number: format!("+9180{n:08}"),
            words: ["active"; 2],
            status: None,
            takes: Duration::from_millis(300),
        };
        let exotel =
            Arc::new(Mutex::new(Exotel { numbers: (0..numbers).map(number).collect(), ..Exotel::default() }));
        let (folder, clock) = (folder(), Clock::following_tokio(START));
        let store = open_at(&folder.path().join("s.redb")).unwrap();
        let made = assemble(&account, heartbeat, &store, &exotel, &clock).await;
        let stop = CancellationToken::new();
        let settings = (account, heartbeat);
        Self { exotel, account: made, store, clock, folder, settings, stop, tasks: Vec::new() }
    }

    /// Starts reading the list and polling.
    pub(crate) fn start(&mut self) {
        let (account, stop) = (&self.account, &self.stop);
        self.tasks.push(tokio::spawn(exophones::run(Arc::clone(account), stop.clone())));
        self.tasks.push(tokio::spawn(health::run(Arc::clone(account), stop.clone())));
    }

    /// Stops the tasks and waits for their end; others may be started on the same account.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.stop = CancellationToken::new();
    }

    /// Stops, closes the store, and opens it again for a new account without memory.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.store.close().await;
        self.store = open_at(&self.folder.path().join("s.redb")).unwrap();
        let (account, heartbeat) = &self.settings;
        self.account = assemble(account, *heartbeat, &self.store, &self.exotel, &self.clock).await;
    }

    pub(crate) fn exotel(&self) -> MutexGuard<'_, Exotel> {
        self.exotel.lock().unwrap()
    }

    /// Sets the state of a number in both directions.
    pub(crate) fn set(&self, number: usize, words: [&'static str; 2]) {
        self.exotel().numbers[number].words = words;
    }

    pub(crate) fn total(&self, series: Series) -> u64 {
        self.store.totals().get(series)
    }
}

pub(crate) fn minutely() -> config::Heartbeat {
    Config::default().heartbeat
}

async fn assemble(
    settings: &config::Account,
    heartbeat: config::Heartbeat,
    store: &Store,
    exotel: &Arc<Mutex<Exotel>>,
    clock: &Clock,
) -> Arc<Account> {
    let stored = Stored::read(store, SID, clock.now()).await.unwrap();
    let shared = Arc::clone(exotel);
    let router = Router::new().fallback(move |uri: Uri| answer(Arc::clone(&shared), uri));
    let client = Client::new(ClientOptions {
        account: settings,
        retry: Retry { attempts: 3, initial_backoff: Duration::from_secs(2) },
        transport: Transport::in_process(router, TransportOptions::default()),
        ledger: Ledger::in_memory(),
        clock: clock.clone(),
        metrics: ApiMetrics::new(&mut prometheus_client::registry::Registry::default()),
        auth_retry_interval: Duration::from_secs(60),
    });
    let config = Config { accounts: vec![settings.clone()], heartbeat, ..Config::default() };
    let terms = Terms::of(&config).remove(0);
    let account = Account::new(terms, stored, client, store.clone(), clock.clone(), mpsc::channel(1).0);
    Arc::new(account)
}

async fn answer(exotel: Arc<Mutex<Exotel>>, uri: Uri) -> Response {
    if uri.path() == format!("/v2_beta/Accounts/{SID}/IncomingPhoneNumbers") {
        let page: usize = uri.query().and_then(|q| q.strip_prefix("page=")).map_or(0, |n| n.parse().unwrap());
        let mut exotel = exotel.lock().unwrap();
        exotel.listed.push(Instant::now());
        if let Some(status) = exotel.list_status {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        let shown = exotel.numbers.iter().skip(page * 50).take(50);
        let list: Vec<_> =
            shown.map(|n| json!({"sid": n.sid, "phone_number": n.number, "friendly_name": null})).collect();
        return axum::Json(json!({"page": page, "page_size": 50, "incoming_phone_numbers": list}))
            .into_response();
    }
    if uri.path() == format!("/v1/Accounts/{SID}/Calls.json") {
        let query = uri.query().unwrap_or_default().to_owned();
        let refused = query.contains("details=true") || !query.contains("DateCreated=");
        exotel.lock().unwrap().queries.push(query);
        return if refused {
            StatusCode::BAD_REQUEST.into_response()
        } else {
            axum::Json(json!({"Metadata": {"Total": 0, "NextPageUri": null}, "Calls": []})).into_response()
        };
    }
    let Some(sid) = uri.path().strip_prefix(&format!("/v2/accounts/{SID}/incoming-phone-numbers/")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let number = {
        let mut exotel = exotel.lock().unwrap();
        exotel.asked.push((sid.to_owned(), Instant::now()));
        exotel.numbers.iter().find(|n| n.sid == sid).cloned()
    };
    let Some(number) = number else { return StatusCode::NOT_FOUND.into_response() };
    tokio::time::sleep(number.takes).await;
    if let Some(status) = number.status {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let side =
        |word| json!({"status": word, "last_check_time": "2026-03-02T13:19:00Z", "alternate_exophone": null});
    let [incoming, outgoing] = number.words;
    axum::Json(json!({
        "sid": number.sid,
        "phone_number": number.number,
        "connectivity": {"incoming_call": side(incoming), "outgoing_call": side(outgoing)},
    }))
    .into_response()
}

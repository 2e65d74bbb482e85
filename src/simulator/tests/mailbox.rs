//! A receiver of webhooks in the same process, and readers of what it got.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use http::{HeaderMap, Method};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::simulator::{BulkDetails, Postman, WebhookKind, WebhookTruth, params};

/// Where webhooks go in these tests.
pub(super) const BASE: &str = "http://agent.simulated/webhooks/{account}/secret";

/// A webhook as it came.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Seconds since the start.
    pub(super) at: f64,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) content_type: String,
    pub(super) body: String,
}

/// What it got, and how it answers.
#[derive(Clone)]
pub(super) struct Mailbox {
    letters: Arc<Mutex<Vec<Letter>>>,
    stop: CancellationToken,
}

impl Mailbox {
    /// Starts to send; each letter is answered with 200.
    pub(super) fn open(bench: &Bench) -> Self {
        Self::answering(bench, |_| async { StatusCode::OK })
    }

    /// Starts to send; `answer` sees each letter.
    pub(super) fn answering<F, R>(bench: &Bench, answer: F) -> Self
    where
        F: Fn(Letter) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = StatusCode> + Send,
    {
        let letters: Arc<Mutex<Vec<Letter>>> = Arc::default();
        let kept = Arc::clone(&letters);
        let start = tokio::time::Instant::now();
        let router = Router::new().fallback(move |request: Request| {
            let (kept, answer) = (Arc::clone(&kept), answer.clone());
            async move {
                let letter = read(request, start.elapsed().as_secs_f64()).await;
                kept.lock().unwrap().push(letter.clone());
                answer(letter).await
            }
        });
        let stop = CancellationToken::new();
        let (simulator, told) = (bench.simulator.clone(), stop.clone());
        tokio::spawn(async move { simulator.send_webhooks(Postman::in_process(router), told).await });
        Self { letters, stop }
    }

    /// Every letter so far.
    pub(super) fn all(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    /// Letters of one kind.
    pub(super) fn of(&self, kind: WebhookKind) -> Vec<Letter> {
        let path = format!("/webhooks/exampleacct1/secret/{}", kind.word());
        self.all().into_iter().filter(|letter| letter.path == path).collect()
    }

    pub(super) fn close(&self) {
        self.stop.cancel();
    }
}

async fn read(request: Request, at: f64) -> Letter {
    let (head, body) = request.into_parts();
    let text =
        |headers: &HeaderMap| headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Letter {
        at,
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        content_type: text(&head.headers).unwrap_or_default(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

impl Letter {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Keys and values, whatever the form; JSON as forms have it.
    pub(super) fn fields(&self) -> BTreeMap<String, String> {
        if self.method == Method::GET {
            return form(&self.query);
        }
        if let Some(boundary) = self.content_type.strip_prefix("multipart/form-data; boundary=") {
            return multipart(&self.body, boundary);
        }
        if self.content_type == "application/json" {
            let spelled = crate::simulator::form::urlencoded(&self.json());
            return form(&spelled);
        }
        assert_eq!(self.content_type, "application/x-www-form-urlencoded");
        form(&self.body)
    }
}

/// An urlencoded form or a query.
pub(super) fn form(text: &str) -> BTreeMap<String, String> {
    params::pairs(text).unwrap().into_iter().collect()
}

fn multipart(body: &str, boundary: &str) -> BTreeMap<String, String> {
    let inner = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    let border = format!("--{boundary}\r\n");
    inner
        .split(&border)
        .skip(1)
        .map(|part| {
            let (head, value) = part.split_once("\r\n\r\n").unwrap();
            let name = head.strip_prefix("Content-Disposition: form-data; name=\"").unwrap();
            let value = value.strip_suffix("\r\n").unwrap();
            (name.strip_suffix('"').unwrap().to_owned(), value.to_owned())
        })
        .collect()
}

/// The text of a fixture.
pub(super) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/exotel/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether two values have the same keys and types; null fits everything, and so do keys under `any_key`.
#[track_caller]
pub(super) fn assert_same_shape(ours: &Value, theirs: &Value, any_key: &str) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{ours} and {theirs}");
            for (key, value) in a {
                match (key == any_key, value.as_object(), b[key].as_object()) {
                    (true, Some(a), Some(b)) => {
                        let first = |map: &serde_json::Map<String, Value>| map.values().next().cloned();
                        if let (Some(a), Some(b)) = (first(a), first(b)) {
                            assert_same_shape(&a, &b, any_key);
                        }
                    }
                    _ => assert_same_shape(value, &b[key], any_key),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(a), Some(b)) = (a.first(), b.first()) {
                assert_same_shape(a, b, any_key);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (a, b) => assert_eq!(std::mem::discriminant(a), std::mem::discriminant(b), "{ours} and {theirs}"),
    }
}

/// Waits until nothing is left to be sent.
pub(super) async fn quiet(bench: &Bench) {
    bench.simulator.stop_traffic();
    for _ in 0..100_000 {
        if bench.simulator.quiet() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("it never becomes quiet: {:?}", bench.simulator.webhook_truth("exampleacct1", START));
}

/// Calls that settle at once, each with its webhooks, no heartbeats.
pub(super) fn options(calls_per_second: f64) -> Options {
    let mut options = plain(calls_per_second);
    options.webhooks.base = Some(BASE.to_owned());
    options.webhooks.delay = Delay::seconds(0.1, 0.5);
    options.webhooks.heartbeats.every = None;
    options.wire.bulk_details = BulkDetails::Sent;
    options
}

/// Lets calls come for a while and waits until all of them and their callbacks are over.
pub(super) async fn run(bench: &Bench, seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    quiet(bench).await;
}

pub(super) async fn rows(bench: &Bench) -> HashMap<String, Value> {
    let rows = bench.rows("PageSize=100&details=true").await;
    rows.into_iter().map(|row| (row["Sid"].as_str().unwrap().to_owned(), row)).collect()
}

pub(super) fn truth(bench: &Bench) -> WebhookTruth {
    bench.simulator.webhook_truth("exampleacct1", START).unwrap()
}

/// Callbacks by call, each with its fields.
pub(super) fn by_call(letters: &[Letter]) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let mut calls: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for fields in letters.iter().map(Letter::fields) {
        calls.entry(fields["CallSid"].clone()).or_default().push(fields);
    }
    calls
}

pub(super) fn keys(name: &str) -> Vec<String> {
    form(&fixture(name)).into_keys().collect()
}

pub(super) fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or("").to_owned()
}

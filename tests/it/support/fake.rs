//! An Exotel made for one test: a truthful call list of a few calls, which the test may twist into any bad answer.
//!
//! The simulator is the one that behaves; this one is for what no Exotel should ever send.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::http;

/// India's offset, in which Exotel writes its times.
const IST_SECONDS: i64 = 19_800;
const TIME_FORM: &str = "%Y-%m-%d %H:%M:%S";

/// What a list request is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// Content-Type.
    pub(crate) content_type: &'static str,
    /// Body.
    pub(crate) body: String,
    /// Waits this long first.
    pub(crate) after: Duration,
}

impl Reply {
    /// A JSON answer with status 200.
    pub(crate) fn json(body: &Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string(), after: Duration::ZERO }
    }

    /// The body as JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).expect("a truthful answer")
    }
}

type Twist = Box<dyn Fn(usize, Reply) -> Reply + Send>;

#[derive(Default)]
struct Inner {
    calls: Vec<Value>,
    twist: Option<Twist>,
    requests: usize,
    health: Health,
    balance: Balance,
    single_calls: bool,
    said: HashMap<String, (u16, Value)>,
}

/// What is said of the account's balance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Balance {
    /// Rupees, as a text.
    Holds(&'static str),
    /// Status 402.
    #[default]
    Refused,
}

/// What is said of the connectivity of its one ExoPhone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Health {
    /// Both directions are well.
    #[default]
    Active,
    /// Exotel's words for incoming and outgoing calls.
    Says(&'static str, &'static str),
    /// Nothing: status 500.
    Broken,
    /// The key is refused.
    Refused,
}

/// The running fake.
#[derive(Clone)]
pub(crate) struct Fake {
    /// Its base URL.
    pub(crate) base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Fake {
    /// Starts one without calls.
    pub(crate) fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new()
            .route("/v1/Accounts/{sid}/Calls.json", get(list))
            .route("/v1/Accounts/{sid}/Calls/{call}", get(one))
            .route("/v2_beta/Accounts/{sid}/IncomingPhoneNumbers", get(exophones))
            .route("/v2/accounts/{sid}/incoming-phone-numbers/{number}", get(exophone))
            .route("/v1/Accounts/{sid}/Balance.json", get(balance))
            .fallback(other)
            .with_state(Arc::clone(&inner));
        Self { base: http::serve(router), inner }
    }

    /// Adds a call that began now, was not answered, ended a second later, and is listed from then on. It needs no price
    /// and no leg details, so it counts when it is first read.
    pub(crate) fn add_call(&self, sid: &str) {
        let now = epoch_now();
        self.add(json!({
            "Sid": format!("{sid:0>32}"), "ParentCallSid": null, "AccountSid": "exampleacct1",
            "DateCreated": ist(now), "DateUpdated": ist(now + 1), "StartTime": ist(now), "EndTime": ist(now + 1),
            "To": "09900000001", "From": "09900000092", "PhoneNumberSid": "08000000011",
            "Status": "no-answer", "Direction": "outbound-dial", "Duration": "1", "Price": null,
        }));
    }

    /// From now on single calls are answered for too, without leg details; 404 before.
    pub(crate) fn answer_single_calls(&self) {
        self.lock().single_calls = true;
    }

    /// From now on a GET of this path, which is none of those below, is answered with this.
    pub(crate) fn say(&self, path: &str, status: u16, body: Value) {
        self.lock().said.insert(path.to_owned(), (status, body));
    }

    /// Adds a row as it is.
    pub(crate) fn add(&self, row: Value) {
        self.lock().calls.push(row);
    }

    /// Changes the row of this Sid.
    pub(crate) fn change_call(&self, sid: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.lock();
        change(inner.calls.iter_mut().find(|row| row["Sid"] == sid).expect("a row of this Sid"));
    }

    /// Takes the rows away that a test no longer wants.
    pub(crate) fn remove_calls(&self, unwanted: impl Fn(&Value) -> bool) {
        self.lock().calls.retain(|row| !unwanted(row));
    }

    /// From now on every answer to a list request goes through `twist`, with the number of such requests before it.
    pub(crate) fn twist(&self, twist: impl Fn(usize, Reply) -> Reply + Send + 'static) {
        let mut inner = self.lock();
        inner.requests = 0;
        inner.twist = Some(Box::new(twist));
    }

    /// From now on the ExoPhone is in this state.
    pub(crate) fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// From now on the balance is this.
    pub(crate) fn set_balance(&self, balance: Balance) {
        self.lock().balance = balance;
    }

    /// From now on the truth.
    pub(crate) fn behave(&self) {
        self.lock().twist = None;
    }

    /// List requests since the start or the last [`Fake::twist`].
    pub(crate) fn requests(&self) -> usize {
        self.lock().requests
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("an unbroken fake")
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Whole seconds since the epoch.
pub(crate) fn epoch_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Exotel's form of an instant.
pub(crate) fn ist(epoch: i64) -> String {
    jiff::Timestamp::from_second(epoch + IST_SECONDS).expect("a time").strftime(TIME_FORM).to_string()
}

async fn list(
    State(inner): State<Arc<Mutex<Inner>>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let reply = {
        let mut inner = inner.lock().expect("an unbroken fake");
        let number = inner.requests;
        inner.requests += 1;
        let truth = Reply::json(&truthful(&inner.calls, &query));
        match &inner.twist {
            Some(twist) => twist(number, truth),
            None => truth,
        }
    };
    tokio::time::sleep(reply.after).await;
    let status = StatusCode::from_u16(reply.status).expect("a status");
    (status, [(CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}

/// The rows that a query asks for, all on one page.
fn truthful(calls: &[Value], query: &HashMap<String, String>) -> Value {
    let bounds =
        |key: &str| query.get(key).map(String::as_str).unwrap_or_default().split(';').map(str::to_owned);
    let wanted = |row: &&Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let created = text("DateCreated");
        let ended = text("EndTime") <= ist(epoch_now());
        let in_window = bounds("DateCreated").all(|bound| match bound.split_once(':') {
            Some(("gte", from)) => created.as_str() >= from,
            Some(("lte", to)) => created.as_str() <= to,
            _ => true,
        });
        let seconds: i64 = text("Duration").parse().unwrap_or(-1);
        let long_enough = bounds("Duration").all(|bound| {
            let number = |text: &str| text.trim_end_matches('s').parse::<i64>().expect("a number of seconds");
            match bound.split_once(':') {
                Some(("gte", least)) => seconds >= number(least),
                Some(("lte", most)) => seconds <= number(most),
                _ => true,
            }
        });
        let named = query.get("Sid").is_none_or(|sids| sids.split(',').any(|sid| sid == text("Sid")));
        ended && in_window && long_enough && named
    };
    let mut rows: Vec<&Value> = calls.iter().filter(wanted).collect();
    rows.sort_by_key(|row| row["DateCreated"].as_str().unwrap_or_default().to_owned());
    json!({
        "Metadata": {"Total": rows.len(), "PageSize": 100, "FirstPageUri": null, "PrevPageUri": null, "NextPageUri": null},
        "Calls": rows,
    })
}

async fn balance(State(inner): State<Arc<Mutex<Inner>>>) -> Response {
    match inner.lock().expect("an unbroken fake").balance {
        Balance::Holds(rupees) => {
            let data = json!({"Balance": rupees, "Currency": "INR", "PricingPlan": "Example plan"});
            axum::Json(json!({"Account": {"AccountSid": "exampleacct1", "BalanceData": data}}))
                .into_response()
        }
        Balance::Refused => {
            let error = json!({"RestException": {"Status": 402, "Message": "Insufficient balance"}});
            (StatusCode::PAYMENT_REQUIRED, axum::Json(error)).into_response()
        }
    }
}

async fn one(State(inner): State<Arc<Mutex<Inner>>>, Path((_, call)): Path<(String, String)>) -> Response {
    let sid = call.trim_end_matches(".json");
    let inner = inner.lock().expect("an unbroken fake");
    match inner.calls.iter().find(|row| inner.single_calls && row["Sid"] == sid) {
        Some(row) => axum::Json(json!({"Call": row})).into_response(),
        None => {
            (StatusCode::NOT_FOUND, axum::Json(json!({"RestException": {"Status": 404, "Message": "none"}})))
                .into_response()
        }
    }
}

async fn other(State(inner): State<Arc<Mutex<Inner>>>, uri: axum::http::Uri) -> Response {
    match inner.lock().expect("an unbroken fake").said.get(uri.path()) {
        Some((status, body)) => {
            (StatusCode::from_u16(*status).expect("a status"), axum::Json(body.clone())).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn exophones() -> Response {
    let number =
        json!({"sid": "exophone1", "phone_number": "+918000000011", "friendly_name": "Support line"});
    axum::Json(json!({"page": 0, "page_size": 50, "incoming_phone_numbers": [number]})).into_response()
}

async fn exophone(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path((_, number)): Path<(String, String)>,
) -> Response {
    let (incoming, outgoing) = match inner.lock().expect("an unbroken fake").health {
        Health::Active => ("active", "active"),
        Health::Says(incoming, outgoing) => (incoming, outgoing),
        Health::Broken => return (StatusCode::INTERNAL_SERVER_ERROR, "boom").into_response(),
        Health::Refused => return (StatusCode::UNAUTHORIZED, "{}").into_response(),
    };
    let side = |status| json!({"status": status, "last_check_time": "2026-01-01T00:00:00Z", "alternate_exophone": null});
    let connectivity = json!({"incoming_call": side(incoming), "outgoing_call": side(outgoing)});
    axum::Json(json!({"sid": number, "phone_number": "+918000000011", "connectivity": connectivity}))
        .into_response()
}

//! Paths by which a test steers a simulator in another process. They answer loopback alone.
//!
//! | path | what |
//! |---|---|
//! | `GET /_sim/truth?live_from=EPOCH&account=&short_call=10&legs=all\|needed\|none` | [`super::Truth`] |
//! | `GET /_sim/arrivals?account=` | requests: count, most in any 60 s, each second, by pool |
//! | `GET /_sim/calls?account=&skip=0&limit=1000` | [`super::CallTimes`] of each call |
//! | `GET /_sim/quiet` | `{"quiet": true}` once nothing will change any more |
//! | `GET /_sim/webhooks?live_from=EPOCH&account=` | [`super::WebhookTruth`] |
//! | `GET /_sim/outages?account=` | each number: place, number, sid, state of both lines |
//! | `POST /_sim/outages?account=&seconds=` | body: [`super::Outage`]; begins now, for good or for so long |
//! | `POST /_sim/end-outages?account=` | everything is well again |
//! | `POST /_sim/heartbeats?account=` | body: [`super::HeartbeatSwitch`] |
//! | `POST /_sim/stop-traffic` | no new calls and messages |
//! | `POST /_sim/faults?account=` | body: [`super::Faults`]; replaces what was set; for all accounts without one |
//!
//! Without `account` the first one is meant.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::faults::Faults;
use super::limit::{Arrivals, Pool};
use super::options::BulkDetails;
use super::truth::{LegsKnown, TruthQuery};
use super::{Simulator, door, switches};
use crate::model::Timestamp;

/// The control paths, below their prefix.
pub(super) fn router() -> Router<Simulator> {
    Router::new()
        .route("/truth", get(truth))
        .route("/arrivals", get(arrivals))
        .route("/calls", get(calls))
        .route("/quiet", get(quiet))
        .route("/stop-traffic", post(stop_traffic))
        .route("/faults", post(faults))
        .merge(switches::router())
        .layer(middleware::from_fn(loopback_alone))
}

async fn loopback_alone(request: Request, next: Next) -> Response {
    match door::caller(&request) {
        Some(caller) if !caller.ip().is_loopback() => StatusCode::NOT_FOUND.into_response(),
        _ => next.run(request).await,
    }
}

/// Parameters of all these paths.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    account: Option<String>,
    pub(super) live_from: Option<i64>,
    pub(super) seconds: Option<f64>,
    short_call: Option<u32>,
    legs: Option<Legs>,
    skip: Option<usize>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Legs {
    All,
    Needed,
    None,
}

pub(super) type Asked = Result<Query<Parameters>, QueryRejection>;

/// Account and parameters, or what is wrong with them.
pub(super) fn read(
    simulator: &Simulator,
    asked: Asked,
) -> Result<(String, Parameters), (StatusCode, String)> {
    let Query(parameters) = asked.map_err(|error| (StatusCode::BAD_REQUEST, error.body_text()))?;
    let first = || simulator.options().accounts.first().map(|account| account.sid.clone());
    let account = parameters.account.clone().or_else(first).unwrap_or_default();
    if simulator.find(&account).is_none() {
        return Err((StatusCode::NOT_FOUND, "no such account".to_owned()));
    }
    Ok((account, parameters))
}

async fn truth(State(simulator): State<Simulator>, asked: Asked) -> Response {
    let (account, parameters) = match read(&simulator, asked) {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let usual = match simulator.options().wire.bulk_details {
        BulkDetails::Sent => Legs::All,
        BulkDetails::Ignored => Legs::Needed,
    };
    let legs = match parameters.legs.unwrap_or(usual) {
        Legs::All => LegsKnown::All,
        Legs::Needed => LegsKnown::WhereNeeded,
        Legs::None => LegsKnown::None,
    };
    let query = TruthQuery {
        live_from: Timestamp(parameters.live_from.unwrap_or(i64::MIN)),
        short_call: parameters.short_call.unwrap_or(10),
        legs,
    };
    Json(simulator.truth(&account, query)).into_response()
}

async fn arrivals(State(simulator): State<Simulator>, asked: Asked) -> Response {
    let (account, _) = match read(&simulator, asked) {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let number = simulator.find(&account).map_or(0, |(number, _)| number);
    let arrivals = simulator.arrivals();
    let pools = json!({
        "voice": pool(&arrivals, number, Pool::Voice),
        "exophones": pool(&arrivals, number, Pool::Exophones),
        "sms": pool(&arrivals, number, Pool::Sms),
        "balance": pool(&arrivals, number, Pool::Balance),
    });
    Json(json!({"account": account, "count": arrivals.count(), "pools": pools})).into_response()
}

fn pool(arrivals: &Arrivals, account: usize, pool: Pool) -> serde_json::Value {
    let ours: Vec<_> = arrivals.iter().filter(|a| a.account == account && a.kind.pool() == pool).collect();
    let mut statuses = std::collections::BTreeMap::new();
    let mut kinds = std::collections::BTreeMap::new();
    for arrival in &ours {
        *statuses.entry(arrival.status.to_string()).or_insert(0_u64) += 1;
        let kind = serde_json::to_value(arrival.kind).unwrap_or_default();
        *kinds.entry(kind.as_str().unwrap_or_default().to_owned()).or_insert(0_u64) += 1;
    }
    json!({
        "count": ours.len(),
        "max_in_60s": arrivals.largest(account, pool, 60_000),
        "per_second": arrivals.per_second(account, pool),
        "statuses": statuses,
        "kinds": kinds,
    })
}

async fn calls(State(simulator): State<Simulator>, asked: Asked) -> Response {
    let (account, parameters) = match read(&simulator, asked) {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let (skip, limit) = (parameters.skip.unwrap_or(0), parameters.limit.unwrap_or(1000));
    Json(json!({"calls": simulator.calls(&account, skip, limit)})).into_response()
}

async fn quiet(State(simulator): State<Simulator>) -> Response {
    Json(json!({"quiet": simulator.quiet()})).into_response()
}

async fn stop_traffic(State(simulator): State<Simulator>) -> Response {
    simulator.stop_traffic();
    Json(json!({"stopped": true})).into_response()
}

async fn faults(
    State(simulator): State<Simulator>,
    asked: Asked,
    body: Result<Json<Faults>, JsonRejection>,
) -> Response {
    let faults = match body {
        Ok(Json(faults)) => faults,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    if let Some(mistake) = faults.mistake() {
        return (StatusCode::BAD_REQUEST, mistake).into_response();
    }
    match asked {
        Ok(Query(Parameters { account: None, .. })) => simulator.set_faults(&faults),
        asked => match read(&simulator, asked) {
            Ok((account, _)) => {
                simulator.set_account_faults(&account, &faults);
            }
            Err(error) => return error.into_response(),
        },
    }
    Json(faults).into_response()
}

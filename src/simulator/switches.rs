//! Outages and heartbeats by hand, and the truth about webhooks; in-process and over HTTP.

use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::control::{Asked, read};
use super::heartbeat::Size;
use super::options::Outage;
use super::outage::Line;
use super::{Simulator, exophones, lock};
use crate::model::Timestamp;

/// How heartbeats are from now on; JSON: `"usual"`, `"silent"`, `"too_large"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatSwitch {
    /// As the options say.
    Usual,
    /// None are sent.
    Silent,
    /// Details are left out: `PAYLOAD_TOO_LARGE`.
    TooLarge,
}

impl Simulator {
    /// Begins an outage now, for good or for a while; false if there is no such account or number.
    pub fn begin_outage(&self, account: &str, outage: Outage, lasts: Option<Duration>) -> bool {
        let listed = self.options().exophones.listed;
        let Some((_, account)) = self.find(account) else { return false };
        if outage.exophone.is_some_and(|n| n >= listed) {
            return false;
        }
        let lasts = lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        lock(&account.outages).begin(outage, self.millis(), lasts);
        true
    }

    /// Ends every outage of an account that goes on; false if there is no such account.
    pub fn end_outages(&self, account: &str) -> bool {
        let found = self.find(account);
        if let Some((_, account)) = found {
            lock(&account.outages).end(self.millis());
        }
        found.is_some()
    }

    /// How an account's heartbeats are from now on; false if there is no such account.
    pub fn set_heartbeats(&self, account: &str, switch: HeartbeatSwitch) -> bool {
        let found = self.find(account);
        if let Some((_, account)) = found {
            // What was due before is sent as it was.
            self.collect(account);
            let mut office = lock(&account.office);
            office.silent = switch == HeartbeatSwitch::Silent;
            office.size = match switch {
                HeartbeatSwitch::TooLarge => Size::TooLarge,
                HeartbeatSwitch::Usual | HeartbeatSwitch::Silent => Size::AsItIs,
            };
        }
        found.is_some()
    }
}

/// Paths below those of [`super::control`].
pub(super) fn router() -> Router<Simulator> {
    Router::new()
        .route("/webhooks", get(webhooks))
        .route("/outages", get(outages).post(begin))
        .route("/end-outages", post(end))
        .route("/heartbeats", post(heartbeats))
}

async fn webhooks(State(simulator): State<Simulator>, asked: Asked) -> Response {
    match read(&simulator, asked) {
        Ok((account, parameters)) => {
            let live_from = Timestamp(parameters.live_from.unwrap_or(i64::MIN));
            Json(simulator.webhook_truth(&account, live_from)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn outages(State(simulator): State<Simulator>, asked: Asked) -> Response {
    let (sid, _) = match read(&simulator, asked) {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let Some((_, account)) = simulator.find(&sid) else { return StatusCode::NOT_FOUND.into_response() };
    let now = simulator.millis();
    let world = lock(&account.world);
    let outages = lock(&account.outages);
    let numbers = (0..simulator.options().exophones.listed).map(|n| {
        let state = |line| exophones::word(outages.check(n, line, now).state);
        json!({
            "exophone": n,
            "number": world.exophone(n),
            "sid": world.faces.exophone_sid(n),
            "incoming": state(Line::Incoming),
            "outgoing": state(Line::Outgoing),
        })
    });
    Json(json!({"account": sid, "numbers": numbers.collect::<Vec<_>>()})).into_response()
}

async fn begin(
    State(simulator): State<Simulator>,
    asked: Asked,
    body: Result<Json<Outage>, JsonRejection>,
) -> Response {
    let (account, parameters) = match read(&simulator, asked) {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let outage = match body {
        Ok(Json(outage)) => outage,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    let lasts = match parameters.seconds.map(Duration::try_from_secs_f64).transpose() {
        Ok(lasts) => lasts,
        Err(_) => return (StatusCode::BAD_REQUEST, "seconds must not be negative").into_response(),
    };
    if simulator.begin_outage(&account, outage, lasts) {
        Json(outage).into_response()
    } else {
        (StatusCode::NOT_FOUND, "no such number").into_response()
    }
}

async fn end(State(simulator): State<Simulator>, asked: Asked) -> Response {
    match read(&simulator, asked) {
        Ok((account, _)) => Json(json!({"ended": simulator.end_outages(&account)})).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn heartbeats(
    State(simulator): State<Simulator>,
    asked: Asked,
    body: Result<Json<HeartbeatSwitch>, JsonRejection>,
) -> Response {
    match (read(&simulator, asked), body) {
        (Ok((account, _)), Ok(Json(switch))) => {
            simulator.set_heartbeats(&account, switch);
            Json(switch).into_response()
        }
        (Err(error), _) => error.into_response(),
        (_, Err(error)) => (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    }
}

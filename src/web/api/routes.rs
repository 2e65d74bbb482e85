//! Every route of the API on one page: what it takes, who may use it, what it answers.

use axum::routing::{MethodRouter, get, post};
use http::{Method, StatusCode};
use serde_json::Value;

use super::Shared;
use super::accounts::{self, Account, ExoPhone};
use super::ask::{Kind, Parameter};
use super::calls::{self, Call};
use super::health::{self, Check, Done};
use super::rows::{self, SetAside};
use super::schema::Schema;
use super::sync::{self, Run};
use super::webhooks;
use crate::web::access::Role;

/// One route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Name for generated clients.
    pub(super) id: &'static str,
    pub(super) about: &'static str,
    pub(super) roles: &'static [Role],
    pub(super) parameters: &'static [Parameter],
    /// Status of an answer that is no refusal.
    pub(super) status: StatusCode,
    /// Schema of that answer.
    pub(super) answer: fn() -> Value,
    /// Statuses of refusals that it has beside those that every route has.
    pub(super) refusals: &'static [u16],
    pub(super) handler: MethodRouter<Shared>,
}

const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

const ACCOUNT: Parameter = parameter(
    "account",
    Kind::Account,
    "Name or sid of the account; without it the first one of the configuration.",
);
const TYPE: Parameter = parameter("type", Kind::Word(sync::types), "Kind of sync: there is one.");
const CURSOR: Parameter =
    parameter("cursor", Kind::Cursor, "nextCursor of an earlier answer to the same query: goes on after it.");
const START_DATE: Parameter = parameter(
    "startDate",
    Kind::When,
    "From this time on: RFC 3339, or a date for the beginning of that day in the account's offset. Default: a day before the end.",
);
const END_DATE: Parameter = parameter(
    "endDate",
    Kind::When,
    "Up to this time, it included: RFC 3339, or a date for the end of that day in the account's offset. Default: now.",
);
const FROM: Parameter = parameter(
    "from",
    Kind::When,
    "Calls created from this time on: RFC 3339, or a date for the beginning of that day.",
);
const TO: Parameter = parameter(
    "to",
    Kind::When,
    "Calls created up to this time, it included: RFC 3339, or a date for the end of that day.",
);
const LIMIT_50: Parameter = parameter("limit", Kind::Limit(50), "Rows at most.");
const LIMIT_100: Parameter = parameter("limit", Kind::Limit(100), "Rows at most.");

const SOURCE: Parameter = parameter(
    "source",
    Kind::Word(health::sources),
    "poll (default): checks of ours. push: heartbeats that Exotel sent.",
);
const ONE_ACCOUNT: Parameter = parameter("account", Kind::Account, "Name or sid: this account alone.");
const STATUS: Parameter = parameter("status", Kind::Word(calls::statuses), "Only calls with this status.");
const DIRECTION: Parameter =
    parameter("direction", Kind::Word(calls::directions), "Only calls of this direction.");
const OUTCOME: Parameter = parameter("outcome", Kind::Word(calls::outcomes), "Only calls that became this.");
const EXOPHONE: Parameter =
    parameter("exophone", Kind::Text, "Only calls of this number of the account: the number or its label.");
const BY: Parameter =
    parameter("by", Kind::Word(calls::units), "hour (default, the last day) or day (the last 30 days).");

fn read<T: Schema>(
    path: &'static str,
    id: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
    handler: MethodRouter<Shared>,
) -> Route {
    Route {
        method: Method::GET,
        path,
        id,
        about,
        roles: &Role::ALL,
        parameters,
        status: StatusCode::OK,
        answer: T::schema,
        refusals: &[],
        handler,
    }
}

fn act<T: Schema>(
    path: &'static str,
    id: &'static str,
    about: &'static str,
    refusals: &'static [u16],
    handler: MethodRouter<Shared>,
) -> Route {
    Route {
        method: Method::POST,
        roles: Role::ADMINS,
        status: StatusCode::CREATED,
        refusals,
        ..read::<T>(path, id, about, &[ACCOUNT], handler)
    }
}

/// Every route that needs a token.
// A table: one row a line is how it is read.
#[rustfmt::skip]
pub(super) fn all() -> Vec<Route> {
    vec![
        read::<Option<Check>>("/api/monitoring/health/current", "healthCurrent", "Newest health check; null before the first.", &[ACCOUNT], get(health::current)),
        read::<Vec<Check>>("/api/monitoring/health/history", "healthHistory", "Health checks, newest first.", &[
            ACCOUNT,
            SOURCE,
            LIMIT_100,
        ], get(health::history)),
        read::<health::Stats>("/api/monitoring/health/stats", "healthStats", "Sums of the health checks of a range.", &[ACCOUNT, START_DATE, END_DATE], get(health::stats)),
        act::<Done>("/api/monitoring/health/check", "healthCheck", "Polls the ExoPhones now and waits.", &[409, 429], post(health::check)),
        read::<Option<Run>>("/api/monitoring/sync/status", "syncStatus", "Newest run of the sync; null before the first.", &[ACCOUNT, TYPE], get(sync::status)),
        read::<Vec<Run>>("/api/monitoring/sync/history", "syncHistory", "Runs of the sync, newest first.", &[ACCOUNT, TYPE, LIMIT_50], get(sync::history)),
        read::<sync::Stats>("/api/monitoring/sync/stats", "syncStats", "Sums of the runs of a range.", &[ACCOUNT, START_DATE, END_DATE], get(sync::stats)),
        act::<Done>("/api/monitoring/sync/trigger", "syncTrigger", "Starts a sync and does not wait for its end.", &[409], post(sync::trigger)),
        read::<Vec<Account>>("/api/monitoring/accounts", "accounts", "Accounts with budgets and last errors.", &[
            ONE_ACCOUNT,
        ], get(accounts::accounts)),
        read::<Vec<ExoPhone>>("/api/monitoring/exophones", "exophones", "The account's numbers with health by poll and by heartbeat.", &[ACCOUNT], get(accounts::exophones)),
        read::<calls::Page>("/api/monitoring/calls", "calls", "Calls, newest first.", &[
            ACCOUNT, FROM, TO,
            STATUS,
            DIRECTION,
            OUTCOME,
            EXOPHONE,
            LIMIT_100, CURSOR,
        ], get(calls::list)),
        read::<calls::Stats>("/api/monitoring/calls/stats", "callStats", "Calls by hour or day of their start, in the account's offset.", &[
            ACCOUNT, FROM, TO,
            BY,
        ], get(calls::stats)),
        Route { refusals: &[404], ..read::<Call>("/api/monitoring/calls/{sid}", "call", "One call.", &[ACCOUNT], get(calls::one)) },
        Route { refusals: &[404, 422, 429], status: StatusCode::OK, ..act::<calls::Refreshed>("/api/monitoring/calls/{sid}/refresh", "callRefresh", "Asks Exotel for one call (v1 with legs, else v2, else v3), stores what it says, and shows it.", &[], post(calls::refresh)) },
        read::<webhooks::Stats>("/api/monitoring/webhooks/stats", "webhookStats", "What came by webhook.", &[ACCOUNT], get(webhooks::stats)),
        read::<calls::Page>("/api/monitoring/webhooks/missed", "webhooksMissed", "Calls whose callback did not come in time, the last created first.", &[ACCOUNT, LIMIT_100, CURSOR], get(webhooks::missed)),
        read::<Vec<SetAside>>("/api/monitoring/rows/set-aside", "rowsSetAside", "Rows that could not be read, newest first.", &[ACCOUNT, LIMIT_100], get(rows::set_aside)),
    ]
}

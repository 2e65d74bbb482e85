//! Behaviour of the whole simulator, in-process, on a paused clock.

mod beats;
mod bulk;
mod callbacks;
mod connect;
mod deliveries;
mod door;
mod flow;
mod life;
mod mailbox;
mod newer;
mod outages;
mod sms;
mod totals;

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use super::{Delay, Delays, Options, Simulator, Traffic};
use crate::model::{Clock, Timestamp};

/// 2026-03-02 13:00:00 UTC, 18:30:00 on the account's clock.
const START: Timestamp = Timestamp(1_772_456_400);

/// A simulator with a client in the same process.
struct Bench {
    simulator: Simulator,
    /// The `Authorization` header that is sent.
    login: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn rows(&self) -> Vec<Value> {
        self.json()["Calls"].as_array().unwrap().clone()
    }

    fn message(&self) -> String {
        self.json()["RestException"]["Message"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    /// Must be called on a paused runtime.
    fn new(options: Options) -> Self {
        let simulator = Simulator::new(options, Clock::following_tokio(START));
        Self { simulator, login: Some(login("simkey", "simtoken")) }
    }

    /// Sends a request; the error is that of a body that breaks off.
    async fn send(&self, method: &str, uri: &str, body: &str) -> Result<Answer, axum::Error> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.simulator.router().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send("GET", uri, "").await.unwrap()
    }

    /// A page of calls.
    async fn bulk(&self, query: &str) -> Answer {
        self.get(&format!("/v1/Accounts/exampleacct1/Calls.json?{query}")).await
    }

    /// Every page from a query on, following `NextPageUri` as it comes.
    async fn pages(&self, query: &str) -> Vec<Value> {
        let mut pages = vec![self.bulk(query).await.json()];
        while let Some(next) = pages.last().unwrap()["Metadata"]["NextPageUri"].as_str() {
            if next.is_empty() {
                break;
            }
            pages.push(self.get(next).await.json());
            assert!(pages.len() < 1000, "the chain does not end");
        }
        pages
    }

    /// Every row from a query on.
    async fn rows(&self, query: &str) -> Vec<Value> {
        let pages = self.pages(query).await;
        pages.iter().flat_map(|page| page["Calls"].as_array().unwrap().clone()).collect()
    }
}

fn login(key: &str, token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{key}:{token}")))
}

/// Lets paused time pass.
async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// Calls every second, each settled at once after its end, without limit.
fn plain(calls_per_second: f64) -> Options {
    let mut options = Options {
        traffic: Traffic { calls_per_second, ..Traffic::default() },
        delays: Delays {
            index: Delay::none(),
            settle: Delay::none(),
            recording: Delay::none(),
            ..Delays::default()
        },
        ..Options::default()
    };
    options.limits.voice = None;
    options.limits.exophones = None;
    options.durations.median = Duration::from_secs(5);
    options.durations.max = Duration::from_secs(30);
    options
}

/// A window on the account's clock, encoded, from seconds before to seconds after the start.
fn window(before: i64, after: i64) -> String {
    let text = |t: Timestamp| t.to_wall(crate::model::UtcOffset::default()).to_string();
    let (from, to) = (text(START.plus(-before)), text(START.plus(after)));
    format!("DateCreated=gte:{from}%3Blte:{to}").replace(' ', "+")
}

fn sids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["Sid"].as_str().unwrap().to_owned()).collect()
}

fn is_unique(sids: &[String]) -> bool {
    sids.iter().collect::<HashSet<_>>().len() == sids.len()
}

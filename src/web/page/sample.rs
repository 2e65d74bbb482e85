//! A snapshot for tests: everything that a page can show, with texts that try to break it.

use std::time::Duration;

use crate::metrics::BuildInfo;
use crate::model::callback::{Kind, SmsStatus};
use crate::model::health::{State, Verdict};
use crate::model::{Direction, Outcome, Timestamp, UtcOffset};
use crate::web::status::*;

/// 2026-03-02 18:45:10 at +05:30.
const NOW: Timestamp = Timestamp(1_772_457_310);

pub(in crate::web) fn snapshot() -> StatusSnapshot {
    let mut failing = account("branch <b>office</b>");
    failing.base_url = "https://api.in.exotel.com".to_owned();
    failing.state = AccountState::Failing(Failure {
        since: NOW.plus(-4000),
        reason: "auth",
        message: "GET Calls: 401 Unauthorized; wrong region? <script>alert(1)</script>".to_owned(),
    });
    failing.calls.clear();
    failing.hours.clear();
    failing.health.poll = Some(PollStatus {
        interval: Duration::from_secs(60),
        last: Some(PollRound {
            at: NOW.plus(-20),
            verdict: Verdict::Error,
            error: Some("4 of 4 ExoPhones did not answer: <b>401</b>".to_owned()),
        }),
    });
    failing.health.numbers.clear();
    failing.budget[0].used = 0;
    failing.budget[0].queued = 12;
    let sync = failing.sync.as_mut().unwrap();
    sync.head = None;
    sync.last_run = Some(SyncRun {
        outcome: RunOutcome::Failure,
        new: 0,
        error: Some("the first page failed: 401".to_owned()),
        ..sync.last_run.clone().unwrap()
    });
    let mut fresh = account("fresh");
    fresh.state = AccountState::Starting;
    fresh.sync = None;
    fresh.calls.clear();
    fresh.hours.clear();
    fresh.budget.clear();
    fresh.health = HealthStatus { poll: None, heartbeat: None, heartbeat_every: None, numbers: Vec::new() };
    (fresh.callbacks, fresh.balance, fresh.last_error, fresh.history_today) = (None, None, None, 0);
    fresh.messages.clear();
    StatusSnapshot {
        now: NOW,
        started: NOW.plus(-3 * 86_400 - 4 * 3600),
        build: BuildInfo { version: "0.1.0", revision: "0123abc" },
        stored_calls: 1_234_567,
        store_bytes: Some(208_400_000),
        accounts: vec![account("main"), failing, fresh],
    }
}

fn account(name: &str) -> AccountStatus {
    let hours = (0..24).map(|at| {
        let shape = [4, 2, 1, 0, 0, 3, 14, 60, 190, 402, 455, 430, 380, 300, 340, 420, 410, 390];
        let calls = shape[(at + 19) % 24 % shape.len()];
        HourCount {
            start: Timestamp(NOW.0 - NOW.0.rem_euclid(3600) - 1800 - 3600 * (23 - at as i64)),
            calls,
            answered: calls * (60 + at as u64 % 17) / 100,
            failed: calls / 25,
            unknown: calls / 100,
        }
    });
    let count = |direction, outcome, today| CallCount { direction, outcome, today, total: today * 143 + 17 };
    use Direction::{Inbound, OutboundApi, OutboundDial};
    AccountStatus {
        name: name.to_owned(),
        base_url: "https://api.exotel.com".to_owned(),
        utc_offset: UtcOffset::default(),
        state: AccountState::Up,
        sync: Some(SyncStatus {
            interval: Duration::from_secs(900),
            watermark: Some(NOW.plus(-15_900)),
            head: Some(NOW.plus(-1310)),
            running_since: None,
            last_run: Some(SyncRun {
                ended: NOW.plus(-194),
                took: Duration::from_millis(8_420),
                outcome: RunOutcome::Success,
                new: 412,
                updated: 37,
                unchanged: 208,
                rejected: 0,
                error: None,
            }),
            unsettled: 86,
            unpriced: 240,
            set_aside: 0,
        }),
        calls: vec![
            count(Inbound, Outcome::Answered, 1840),
            count(Inbound, Outcome::Missed, 122),
            count(Inbound, Outcome::Abandoned, 310),
            count(Inbound, Outcome::NotConnected, 95),
            count(OutboundApi, Outcome::Answered, 960),
            count(OutboundApi, Outcome::NoAnswer, 402),
            count(OutboundApi, Outcome::Busy, 88),
            count(OutboundApi, Outcome::AgentUnanswered, 31),
            count(OutboundDial, Outcome::Answered, 77),
            count(OutboundDial, Outcome::Unknown, 4),
        ],
        history_today: 1_310,
        hours: hours.collect(),
        budget: vec![
            PoolStatus { pool: "voice", limit: 200, used: 46, queued: 3, remaining: Some(151) },
            PoolStatus { pool: "exophones", limit: 40, used: 1, queued: 0, remaining: None },
        ],
        health: HealthStatus {
            poll: Some(PollStatus {
                interval: Duration::from_secs(60),
                last: Some(PollRound { at: NOW.plus(-20), verdict: Verdict::Warning, error: None }),
            }),
            heartbeat: Some(HeartbeatStatus {
                at: NOW.plus(-130),
                status: Verdict::Warning,
                since: NOW.plus(-430),
            }),
            heartbeat_every: Some(Duration::from_secs(300)),
            numbers: vec![
                number("sales", State::Active, Some(false)),
                number("support-<north>", State::Outage, Some(true)),
                number("+918000000011", State::Partial, Some(false)),
                number("+918000000012", State::Unknown, None),
            ],
        },
        callbacks: Some(CallbacksStatus {
            last: vec![
                (Kind::Heartbeat, Some(NOW.plus(-130))),
                (Kind::Calls, Some(NOW.plus(-4))),
                (Kind::Sms, None),
            ],
            calls: Some(CallbackLoss { expected: 12_480, missed: 374 }),
        }),
        messages: vec![(SmsStatus::Sent, 4_100), (SmsStatus::Failed, 73), (SmsStatus::FailedDnd, 12)],
        balance: Some(BalanceStatus {
            micros: 18_450_750_000,
            currency: "I<N>R".to_owned(),
            read: NOW.plus(-312),
        }),
        last_error: Some((NOW.plus(-5_000), "GET Calls: 503 <i>Service Unavailable</i>".to_owned())),
    }
}

fn number(label: &str, inbound: State, push: Option<bool>) -> NumberStatus {
    NumberStatus {
        label: label.to_owned(),
        poll: [Some((inbound, NOW.plus(-440))), Some((State::Active, NOW.plus(-90_000)))],
        push: [push, push.map(|_| false)],
        instead: match inbound {
            State::Outage => [Some(Instead::Number("sales".to_owned())), None],
            State::Partial => [Some(Instead::NotListed), None],
            _ => [None, None],
        },
    }
}

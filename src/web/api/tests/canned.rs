//! A desk whose answers are known beforehand.

use std::collections::HashSet;
use std::sync::Arc;

use http::StatusCode;

use super::{CANARY, NOW};
use crate::model::health::{
    CheckCounts, CheckSource, Connectivity, HealthCheck, NumberHealth, Reachability, State, Verdict,
};
use crate::model::{
    AccountId, Book, CallRecord, Details, Direction, HourTotals, KnownExoPhone, LegStatus, Observation,
    RunStatus, SetAside, Sid, Status, SyncRun, Timestamp, UtcOffset, WallTime,
};
use crate::web::access::Refusal;
use crate::web::api::desk::*;

fn call(name: &str) -> CallRecord {
    let mut call = Observation::new(Sid::parse(name).unwrap(), WallTime(NOW.0), Status::Completed);
    call.direction = Some(Direction::Inbound);
    call.from = Some(CANARY.to_owned());
    call.to = Some("sip:agent9876543210".to_owned());
    call.exophone = Some("08000000011".to_owned());
    call.end = Some(WallTime(NOW.0 + 60));
    call.duration = Some(60);
    call.price = Some(1_250_000);
    call.custom_field = Some(format!("of {CANARY}"));
    call.recording_url = Some(format!("https://recordings.example/{CANARY}.mp3"));
    call.caller_name = Some(CANARY.to_owned());
    call.odd = vec![("Odd".to_owned(), format!("\"{CANARY}\""))];
    call.details =
        Some(Details { conversation: Some(42), leg1: Some(LegStatus::Completed), ..Details::default() });
    CallRecord { call, book: Book::new(NOW) }
}

fn check() -> HealthCheck {
    HealthCheck {
        id: 4,
        at: NOW,
        stored: NOW.plus(1),
        source: CheckSource::Poll,
        verdict: Verdict::Warning,
        incoming: Some(vec!["phone1".to_owned()]),
        outgoing: None,
        numbers: 2,
        error: None,
    }
}

fn run() -> SyncRun {
    SyncRun {
        id: 9,
        trigger: "manual".to_owned(),
        started: NOW.0,
        ended: Some(NOW.0 + 2),
        status: RunStatus::Success,
        pages: 1,
        new: 2,
        stored: 3,
        rows: 50,
        set_aside: 1,
        error: None,
    }
}

/// Two accounts; what is asked comes back in what is answered.
pub(super) struct Canned;

fn ready<'a, T: Send + 'a>(answer: T) -> Reply<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

impl Desk for Canned {
    fn account(&self, wanted: Option<&str>) -> Option<Who> {
        let index = ["acme", "globex"].iter().position(|name| wanted.is_none_or(|wanted| wanted == *name))?;
        Some(Who {
            account: AccountId(u16::try_from(index).unwrap()),
            sid: format!("sid{index}"),
            offset: UtcOffset(19_800),
            currency: "INR".to_owned(),
            own_numbers: Arc::new(HashSet::from([8_000_000_011])),
        })
    }

    fn accounts(&self) -> Vec<AccountView> {
        let account = |name: &str, sid: &str| AccountView {
            name: name.to_owned(),
            sid: sid.to_owned(),
            base_url: "https://api.example".to_owned(),
            offset: UtcOffset(19_800),
            currency: "INR".to_owned(),
            state: "up",
            first_start: NOW,
            pools: vec![PoolView {
                pool: "voice",
                per_minute: 200,
                background_per_minute: 60,
                used: 3,
                waiting: 0,
                remaining: None,
            }],
            last_error: Some((NOW, "timeout".to_owned())),
            sync_failing: None,
            last_sync: Some(NOW),
            watermark: Some(NOW),
            last_health: None,
            waiting: [1, 2, 3],
            balance: Some((1_500_000, "INR".to_owned(), NOW)),
        };
        vec![account("acme", "sid0"), account("globex", "sid1")]
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn checks(
        &self,
        _: AccountId,
        _: CheckSource,
        _: (Timestamp, Timestamp),
        limit: usize,
    ) -> Reply<'_, Vec<HealthCheck>> {
        ready(vec![check(); limit.min(3)])
    }

    fn check_counts(&self, _: AccountId, _: (Timestamp, Timestamp)) -> Reply<'_, CheckCounts> {
        let mut counts = CheckCounts::default();
        counts.add(Verdict::Ok);
        ready(counts)
    }

    fn check_now(&self, _: AccountId) -> Reply<'_, Verdict> {
        ready(Verdict::Ok)
    }

    fn runs(&self, _: AccountId, limit: usize) -> Reply<'_, Vec<SyncRun>> {
        ready(vec![run(); limit.min(3)])
    }

    fn runs_between(
        &self,
        _: AccountId,
        (from, to): (Timestamp, Timestamp),
        _: usize,
    ) -> Reply<'_, RunsBetween> {
        // The length of the range, to be seen.
        let total = u64::try_from(to - from).unwrap();
        ready(RunsBetween { total, successful: 1, failed: 2, stored: 3, newest: vec![run()] })
    }

    fn sync_now(&self, account: AccountId) -> Reply<'_, ()> {
        let running = Refusal::new(StatusCode::CONFLICT, "sync_running", "A sync is under way already.");
        Box::pin(std::future::ready(if account == AccountId(0) { Ok(()) } else { Err(running) }))
    }

    fn exophones(&self, _: AccountId) -> Vec<ExoPhoneView> {
        let side = Some(Connectivity::of(State::Outage));
        let health = NumberHealth {
            reachability: Reachability { inbound: side, outbound: None },
            answered: NOW,
            since: [NOW, NOW],
            changed: None,
        };
        vec![ExoPhoneView {
            phone: KnownExoPhone {
                id: 1,
                sid: "phone1".to_owned(),
                number: "08000000011".to_owned(),
                friendly_name: None,
                countable_from: 0,
            },
            label: "sales".to_owned(),
            listed: true,
            paging: true,
            polled: Some((health, true)),
            pushed: [Some(true), None],
            polled_alternates: [
                Some(AlternateView { named: "+918000000022".to_owned(), label: Some("support".to_owned()) }),
                None,
            ],
            pushed_alternates: [
                Some(AlternateView { named: "+919900000001".to_owned(), label: None }),
                Some(AlternateView { named: "6071f8".to_owned(), label: None }),
            ],
        }]
    }

    fn exophone_digits(&self, _: AccountId, name: &str) -> Option<u64> {
        crate::model::last_ten_digits(name)
    }

    fn calls(&self, _: AccountId, wanted: CallsWanted) -> Reply<'_, CallsFound> {
        let next = wanted.below.is_none().then(|| (WallTime(NOW.0), Sid::parse("sid").unwrap()));
        ready(CallsFound { calls: vec![call("sid")], next })
    }

    fn call(&self, _: AccountId, sid: Sid) -> Reply<'_, Option<CallRecord>> {
        ready((sid.as_str() == "known").then(|| call("known")))
    }

    fn refresh(&self, account: AccountId, sid: Sid) -> Reply<'_, Option<Refreshed>> {
        Box::pin(async move {
            let record = self.call(account, sid).await?;
            Ok(record.map(|record| Refreshed { record, api_version: "v2" }))
        })
    }

    fn hours(&self, _: AccountId, (from, _): (u32, u32)) -> Reply<'_, Vec<(u32, Direction, HourTotals)>> {
        let mut totals =
            HourTotals { seconds: 60, conversation: 42, cost: 1_250_000, ..HourTotals::default() };
        totals.statuses[0] = 3;
        totals.outcomes[0] = 2;
        totals.outcomes[1] = 1;
        ready(vec![
            (from, Direction::Inbound, totals.clone()),
            (from, Direction::OutboundApi, totals.clone()),
            (from + 23, Direction::Inbound, totals),
        ])
    }

    fn webhooks(&self, _: AccountId) -> Reply<'_, WebhooksView> {
        ready(WebhooksView {
            enabled: true,
            kinds: vec![WebhookKind {
                kind: "calls",
                expected: true,
                last_received: Some(NOW),
                requests: vec![("accepted", 5)],
            }],
            expected: 8,
            missed: 2,
            unconfirmed: 0,
        })
    }

    fn missed(&self, _: AccountId, _: Option<(WallTime, Sid)>, limit: usize) -> Reply<'_, Vec<CallRecord>> {
        ready(vec![call("sid"); limit.min(2)])
    }

    fn set_aside(&self, _: AccountId) -> Reply<'_, Vec<SetAside>> {
        ready(vec![SetAside {
            id: u64::MAX,
            raw: format!("{{\"From\": \"{CANARY}\", \"Created\": \"2026-03-02 18:45:10\"}}"),
            reason: "Sid: expected a text, got null".to_owned(),
            sid: None,
            after: NOW.0,
            before: NOW.0 + 60,
            first_seen: NOW.0,
            retry_at: NOW.0 + 60,
            tries: 1,
        }])
    }
}

//! Options by name, for the command line and for tests over HTTP.
//!
//! All of them live on wall time with short lives: calls of 1 to 30 s, delays of 0 to 3 s.

use std::time::Duration;

use super::faults::{Faults, RetryAfter};
use super::options::{
    Absent, AgentEvents, Alternate, Body, BulkDetails, CallKeys, Delay, Delays, Durations, ExoPhoneKey,
    ExoPhones, ExtraKey, HeartbeatShape, History, Limits, Messages, NoneAffected, Numbers, Oddities, Options,
    Outage, Outages, PassthruMethod, PlannedOutage, Planted, ReportForm, Reports, Traffic, Unauthorized,
    Webhooks, Wire,
};

/// A set of options with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// See [`Scenario::description`], as for all others.
    Demo,
    /// A few calls.
    Calm,
    /// Many calls.
    Busy,
    /// Requests go wrong.
    Faults,
    /// Prices come late.
    LatePrices,
    /// Calls have leg rows.
    ChildLegs,
    /// Calls last for hours.
    LongCalls,
    /// Much history.
    Backlog,
    /// Rows that cannot be read.
    Unreadable,
    /// Rows that move.
    Moved,
    /// A low limit.
    Throttled,
    /// The key is taken back.
    RevokedKey,
    /// The key is refused.
    WrongRegion,
    /// Everything odd at once.
    Mixed,
    /// Numbers that cannot be reached.
    Outage,
    /// Callbacks that never come.
    LossyCallbacks,
    /// Text messages.
    Sms,
    /// Calls that only newer versions of the call API know.
    Versions,
    /// A bounded number of calls under hard conditions, soon over.
    Storm,
}

impl Scenario {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 19] = [
        Self::Demo,
        Self::Calm,
        Self::Busy,
        Self::Faults,
        Self::LatePrices,
        Self::ChildLegs,
        Self::LongCalls,
        Self::Backlog,
        Self::Unreadable,
        Self::Moved,
        Self::Throttled,
        Self::RevokedKey,
        Self::WrongRegion,
        Self::Mixed,
        Self::Outage,
        Self::LossyCallbacks,
        Self::Sms,
        Self::Versions,
        Self::Storm,
    ];

    /// The scenario with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Calm => "calm",
            Self::Busy => "busy",
            Self::Faults => "faults",
            Self::LatePrices => "late-prices",
            Self::ChildLegs => "child-legs",
            Self::LongCalls => "long-calls",
            Self::Backlog => "backlog",
            Self::Unreadable => "unreadable",
            Self::Moved => "moved",
            Self::Throttled => "throttled",
            Self::RevokedKey => "revoked-key",
            Self::WrongRegion => "wrong-region",
            Self::Mixed => "mixed",
            Self::Outage => "outage",
            Self::LossyCallbacks => "lossy-callbacks",
            Self::Sms => "sms",
            Self::Versions => "versions",
            Self::Storm => "storm",
        }
    }

    /// One line about it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Demo => {
                "about a call each second, 1 to 3 s long, every outcome; an outage every two minutes, a message \
                 now and then, one callback in 20 lost"
            }
            Self::Calm => "a call every 5 s, nothing odd",
            Self::Busy => "20 calls each second",
            Self::Faults => "5 calls each second; 10 % of all requests fail, in every way",
            Self::LatePrices => "half of the prices come 10 to 30 s late, one in 50 never",
            Self::ChildLegs => "half of the answered calls have a second row for a leg, with its own price",
            Self::LongCalls => {
                "a call that began 3 h 40 min ago ends 20 s after the start; others last hours"
            }
            Self::Backlog => "60,000 calls in the 30 days before the start, few new ones",
            Self::Unreadable => "a fifth of the rows cannot be read for 5 to 15 s",
            Self::Moved => "a fifth of the calls are filed under another time later",
            Self::Throttled => "30 requests per minute, then 429 with Retry-After",
            Self::RevokedKey => "the key is refused from 20 s after the start",
            Self::WrongRegion => "the key is refused at once, in plain text",
            Self::Mixed => "every oddity, every spelling, late prices, leg rows and 10 % faults at once",
            Self::Outage => {
                "the first number is out from 10 s to 40 s after the start; then one outage a minute"
            }
            Self::LossyCallbacks => {
                "3 calls each second; a tenth of the callbacks lost, a tenth doubled, a fifth out of order"
            }
            Self::Sms => "2 messages each second, every end; a fifth of the reports lost, all forms",
            Self::Versions => {
                "2 calls each second, in the lists of v1; asked for one by one a third is known to v2 alone, a \
                 third to v3 alone"
            }
            Self::Storm => {
                "1,500 calls in two minutes, then none; duplicates, late rows and prices, leg rows, 10 % faults"
            }
        }
    }

    /// Its options, with seed 1.
    pub fn options(self) -> Options {
        let mut options = lively(2.0);
        match self {
            Self::Demo => {
                options.traffic.calls_per_second = 1.0;
                options.traffic.opening = Duration::from_secs(10);
                options.durations.median = Duration::from_secs(2);
                options.durations.max = Duration::from_secs(3);
                options.delays = short_delays(1.0);
                // The agent of the demo may ask as often as it was told to.
                options.limits.voice = None;
                options.outages.every = Some(Duration::from_secs(120));
                options.outages.lasts = Delay::seconds(25.0, 45.0);
                options.messages.per_second = 0.3;
                options.webhooks.lost_share = 0.05;
                options.webhooks.doubled_share = 0.05;
                options.webhooks.disordered_share = 0.05;
            }
            Self::Calm => options.traffic.calls_per_second = 0.2,
            Self::Busy => options.traffic.calls_per_second = 20.0,
            Self::Faults => {
                options.traffic.calls_per_second = 5.0;
                options.faults = Faults::of_every_kind(0.1);
            }
            Self::LatePrices => {
                options.delays.late_price_share = 0.5;
                options.delays.late_price = Delay::seconds(10.0, 30.0);
                options.delays.unpriced_share = 0.02;
            }
            Self::ChildLegs => options.traffic.child_share = 0.5,
            Self::LongCalls => {
                let before_start = Duration::from_secs(3 * 3600 + 40 * 60);
                let lasts = before_start + Duration::from_secs(20);
                options.traffic.planted = vec![Planted { before_start, lasts }];
                options.durations.long_share = 0.05;
                options.traffic.history = History { calls: 200, over: Duration::from_secs(4 * 3600) };
            }
            Self::Backlog => {
                options.traffic.calls_per_second = 0.2;
                options.traffic.history = History { calls: 60_000, over: Duration::from_secs(30 * 86_400) };
            }
            Self::Unreadable => {
                options.oddities.unreadable_share = 0.2;
                options.oddities.unreadable_for = Delay::seconds(5.0, 15.0);
            }
            Self::Moved => {
                options.oddities.moved_share = 0.2;
                options.oddities.moved_after = Delay::seconds(1.0, 10.0);
                options.oddities.moved_by = Duration::from_secs(120);
            }
            Self::Throttled => {
                let published = Limits::default();
                options.limits = Limits { voice: Some(30), ..published };
                options.limits.retry_after = RetryAfter::Seconds(2);
            }
            Self::RevokedKey => options.revoked_after = Some(Duration::from_secs(20)),
            Self::WrongRegion => {
                options.revoked_after = Some(Duration::ZERO);
                options.wire.unauthorized = Unauthorized::Text;
            }
            Self::Mixed => mix(&mut options),
            Self::Outage => {
                let first = Outage { exophone: Some(0), ..Outage::default() };
                let planned = |after, lasts, outage| {
                    let [after, lasts] = [after, lasts].map(Duration::from_secs);
                    PlannedOutage { after, lasts, outage }
                };
                options.outages.planned = vec![planned(10, 30, first)];
                options.outages.every = Some(Duration::from_secs(60));
                options.outages.lasts = Delay::seconds(10.0, 25.0);
                options.outages.all_share = 0.25;
                options.outages.alternate = Alternate::Mixed;
                options.webhooks.heartbeats.shape = HeartbeatShape::Mixed;
            }
            Self::LossyCallbacks => {
                options.traffic.calls_per_second = 3.0;
                options.webhooks.lost_share = 0.1;
                options.webhooks.doubled_share = 0.1;
                options.webhooks.disordered_share = 0.2;
            }
            Self::Sms => {
                options.messages.per_second = 2.0;
                options.webhooks.lost_share = 0.2;
                options.webhooks.reports = Reports { form: ReportForm::Mixed, pending_share: 0.5 };
            }
            Self::Versions => options.newer.missing_share = 2.0 / 3.0,
            Self::Storm => brew(&mut options),
        }
        options
    }
}

/// Short lives and short delays, so many calls a second.
fn lively(calls_per_second: f64) -> Options {
    Options {
        traffic: Traffic { calls_per_second, ..Traffic::default() },
        durations: Durations {
            median: Duration::from_secs(6),
            sigma: 0.8,
            max: Duration::from_secs(30),
            ..Durations::default()
        },
        delays: short_delays(3.0),
        outages: Outages { check_every: Duration::from_secs(10), ..Outages::default() },
        webhooks: quick_webhooks(),
        messages: Messages {
            submit: Delay::seconds(0.1, 1.0),
            deliver: Delay::seconds(0.5, 3.0),
            ..Messages::default()
        },
        // Whoever looks at numbers each second would meet the published limits for them at once.
        limits: Limits { exophones: None, sms: None, balance: None, ..Limits::default() },
        ..Options::default()
    }
}

/// Every kind of webhook, within a second, retried within seconds; calls in every form.
fn quick_webhooks() -> Webhooks {
    let mut webhooks = Webhooks {
        retry_after: vec![Duration::from_secs(1), Duration::from_secs(3)],
        delay: Delay::seconds(0.05, 0.5),
        doubled_after: Delay::seconds(0.0, 2.0),
        disordered_by: Delay::seconds(1.0, 5.0),
        ..Webhooks::default()
    };
    webhooks.calls.body = Body::Mixed;
    webhooks.passthru.agent_events = AgentEvents::Sent;
    webhooks.passthru.insights_share = 0.5;
    webhooks.heartbeats.every = Some(Duration::from_secs(5));
    webhooks
}

fn short_delays(most: f64) -> Delays {
    Delays {
        index: Delay::seconds(0.0, most / 2.0).with_tail(0.05, most),
        settle: Delay::seconds(0.0, most / 2.0).with_tail(0.1, most),
        recording: Delay::seconds(0.0, most),
        ..Delays::default()
    }
}

fn mix(options: &mut Options) {
    options.traffic.calls_per_second = 5.0;
    options.traffic.child_share = 0.2;
    options.traffic.sip_share = 0.2;
    options.exophones = ExoPhones { listed: 5, unlisted: 2, unlisted_share: 0.05, ..ExoPhones::default() };
    options.delays.index = Delay::seconds(0.0, 3.0).with_tail(0.1, 20.0);
    options.delays.duration_lag = Delay::seconds(0.0, 1.0);
    options.delays.price_lag = Delay::seconds(0.0, 2.0);
    options.delays.late_price_share = 0.1;
    options.delays.late_price = Delay::seconds(10.0, 60.0);
    options.delays.unpriced_share = 0.01;
    options.oddities = Oddities {
        sip_change_share: 0.5,
        sip_change: Delay::seconds(2.0, 10.0),
        duplicate_share: 0.1,
        moved_share: 0.05,
        moved_after: Delay::seconds(0.0, 10.0),
        unreadable_share: 0.05,
        unreadable_for: Delay::seconds(2.0, 10.0),
        odd_direction_share: 0.02,
        respelled_share: 0.1,
        zero_duration_share: 0.3,
        ..Oddities::default()
    };
    options.wire = Wire {
        numbers: Numbers::Mixed,
        exophone_key: ExoPhoneKey::Both,
        absent: Absent::Sentinel,
        extra_key: ExtraKey::Present,
        ..Wire::default()
    };
    options.limits = Limits { retry_after: RetryAfter::Seconds(2), ..Limits::default() };
    options.faults = Faults::of_every_kind(0.1);
    options.outages.every = Some(Duration::from_secs(60));
    options.outages.lasts = Delay::seconds(10.0, 30.0);
    options.outages.alternate = Alternate::Object;
    options.messages.per_second = 1.0;
    let webhooks = &mut options.webhooks;
    webhooks.lost_share = 0.05;
    webhooks.doubled_share = 0.1;
    webhooks.disordered_share = 0.1;
    webhooks.calls.ccm_share = 0.2;
    webhooks.calls.keys = CallKeys::More;
    webhooks.calls.contradicted_share = 0.05;
    webhooks.calls.phantom_share = 0.02;
    webhooks.passthru.method = PassthruMethod::Mixed;
    webhooks.heartbeats.shape = HeartbeatShape::Mixed;
    webhooks.heartbeats.none_affected = NoneAffected::Empty;
    webhooks.reports = Reports { form: ReportForm::Mixed, pending_share: 0.3 };
}

/// Nothing that needs minutes to settle: no `sip:` agents, no price that never comes. Bulk carries leg
/// details, because 1,500 requests for them are no part of what a test of the totals wants to wait for.
fn brew(options: &mut Options) {
    options.traffic.calls_per_second = 12.5;
    options.traffic.max_calls = Some(1500);
    options.traffic.child_share = 0.2;
    options.delays.index = Delay::seconds(0.0, 3.0).with_tail(0.1, 15.0);
    options.delays.late_price_share = 0.2;
    options.delays.late_price = Delay::seconds(5.0, 20.0);
    options.oddities.duplicate_share = 0.1;
    options.oddities.unreadable_share = 0.02;
    options.oddities.unreadable_for = Delay::seconds(2.0, 8.0);
    options.wire.bulk_details = BulkDetails::Sent;
    options.limits.voice = None;
    options.faults = Faults::of_every_kind(0.1);
    options.webhooks.lost_share = 0.1;
    options.webhooks.doubled_share = 0.1;
    options.webhooks.disordered_share = 0.2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_found_by_its_name_and_says_what_it_is() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::parse(scenario.name()), Some(scenario));
            assert!(!scenario.description().is_empty() && !scenario.description().contains('\n'));
            assert_eq!(scenario.options().faults.mistake(), None);
        }
        assert_eq!(Scenario::parse("Demo"), None);
        assert_eq!(Scenario::parse(""), None);
    }
}

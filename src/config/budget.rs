//! What share of Exotel's limits the settings will use, as arithmetic for `check-config`.
//!
//! An estimate from the plan of the sync, not a promise: how many calls an account has is not known
//! before it is read, so the figures are given for some sizes.

use std::time::Duration;

use super::values::write_duration;
use super::{Account, Config, Sync, keys};

/// Rows of one page, the most that Exotel gives.
const PAGE: f64 = 100.0;
/// Calls that one request for unsettled ones names.
const SID_LIST: f64 = 20.0;
/// Calls that are not settled when they are first read.
const UNSETTLED: f64 = 0.03;
/// Each older slice of the look-back spans this part of its age.
const SLICE: f64 = 0.6;
/// Audits of each hour: once behind the look-back, once a day later.
const AUDITS_PER_DAY: f64 = 48.0;
/// The busiest hour of an account that works in business hours, against its mean hour.
const PEAK: f64 = 3.0;
/// While the look-back of the busiest hour is no more pages than this, it is read whole.
const SMALL_PAGES: f64 = 4.0;

const SIZES: [u32; 4] = [1_000, 20_000, 100_000, 1_000_000];

const MINUTES_PER_DAY: f64 = 1440.0;

/// Requests for the calls of a big account: so many each minute, and so many for each call.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Slices of the look-back behind the newest window.
    slices: f64,
    per_minute: f64,
    per_call: f64,
}

impl Plan {
    fn of(sync: &Sync) -> Self {
        let youngest = sync.lag().max(Duration::from_secs(60)).as_secs_f64();
        let slices = (sync.lookback.as_secs_f64() / youngest).ln() / (1.0 + SLICE).ln();
        let slices = slices.ceil().max(0.0);
        Self {
            slices,
            per_minute: ticks_per_minute(sync) * (1.0 + slices) + AUDITS_PER_DAY / MINUTES_PER_DAY,
            per_call: 1.0 / PAGE + UNSETTLED / SID_LIST,
        }
    }

    /// Requests a minute at so many calls a minute.
    fn at(self, calls_per_minute: f64) -> f64 {
        self.per_minute + self.per_call * calls_per_minute
    }
}

fn ticks_per_minute(sync: &Sync) -> f64 {
    60.0 / sync.interval.as_secs_f64()
}

/// Requests a minute at so many calls a minute, by the cheaper of both ways to read.
fn requests(sync: &Sync, calls_per_minute: f64) -> f64 {
    let pages = calls_per_minute * sync.lookback.as_secs_f64() / 60.0 / PAGE;
    let plan = Plan::of(sync).at(calls_per_minute);
    if pages > SMALL_PAGES {
        return plan;
    }
    let whole = ticks_per_minute(sync) * pages.ceil().max(1.0) + AUDITS_PER_DAY / MINUTES_PER_DAY;
    whole.min(plan)
}

impl Config {
    /// The share of each account's limits that steady running will use, for a person to read; a few
    /// lines for each account and the assumptions behind them.
    pub fn budget_report(&self) -> String {
        let mut lines = Vec::new();
        for account in &self.accounts {
            let Account { name, sid, base_url, .. } = account;
            lines.push(format!("account {name} (sid {sid}, region {}, {base_url})", account.region.as_str()));
            self.voice(account, &mut lines);
            lines.push(self.exophones(account));
            let sms = account.rate_limits.sms;
            lines.push(format!("  sms: at most {sms} requests a minute; reading calls uses none"));
        }
        if self.sync.enabled {
            lines.push(self.assumptions());
        }
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    fn voice(&self, account: &Account, lines: &mut Vec<String>) {
        let ceiling = f64::from(account.rate_limits.voice);
        let share = account.background_share;
        let background = ceiling * share;
        lines.push(format!(
            "  voice: at most {ceiling} requests a minute; background work may use {background:.1} of them (background_share {share})"
        ));
        if account.balance.enabled {
            let every = account.balance.every(self.sync.settle_after);
            let rate = 60.0 / every.as_secs_f64();
            lines.push(format!("    balance, every {}: {rate:.1} a minute", write_duration(every)));
        }
        if !self.sync.enabled {
            lines.push("    calls are not read (sync.enabled is false)".to_owned());
            return;
        }
        lines.push(format!(
            "    {:>11}  {:>14}  {:>15}  {:>12}  {:>17}",
            "calls a day", "mean requests", "in busiest hour", "of the limit", "of the background"
        ));
        for calls in SIZES.map(f64::from) {
            let mean = requests(&self.sync, calls / MINUTES_PER_DAY);
            let busy = requests(&self.sync, calls / MINUTES_PER_DAY * PEAK);
            let (of_limit, of_background) = (busy / ceiling * 100.0, busy / background * 100.0);
            let verdict = if busy > background { "  does not fit" } else { "" };
            let calls = thousands(calls);
            lines.push(format!(
                "    {calls:>11}  {mean:>10.1}/min  {busy:>11.1}/min  {of_limit:>10.1} %  {of_background:>15.1} %{verdict}"
            ));
        }
        let plan = Plan::of(&self.sync);
        let room = ((background - plan.per_minute) / plan.per_call * MINUTES_PER_DAY / PEAK).max(0.0);
        lines.push(match (room / 10_000.0).floor() * 10_000.0 {
            0.0 => "    little room: a longer sync.interval or a larger share would make some".to_owned(),
            rounded => format!("    room for about {} calls a day", thousands(rounded)),
        });
    }

    fn exophones(&self, account: &Account) -> String {
        let ceiling = f64::from(account.rate_limits.exophones);
        if !self.heartbeat.enabled {
            return format!(
                "  exophones: at most {ceiling} requests a minute; only their list is read, at the start and hourly"
            );
        }
        let each = 60.0 / self.heartbeat.interval.as_secs_f64();
        let every = write_duration(self.heartbeat.interval);
        let room = thousands((ceiling / each).floor());
        let not_yet = if keys::works("heartbeat.interval") { "" } else { " (not made by this version)" };
        let mut line = format!(
            "  exophones: at most {ceiling} requests a minute; health polls{not_yet} every {every} take {each:.1} for each ExoPhone: room for {room}"
        );
        let named = u32::try_from(account.exophones.len()).map_or(f64::MAX, f64::from);
        if named > 0.0 {
            let used = named * each;
            let share = used / ceiling * 100.0;
            line.push_str(&format!("; the {named} named here take {used:.1} ({share:.1} %)"));
        }
        line
    }

    fn assumptions(&self) -> String {
        let sync = &self.sync;
        let (interval, lag) = (write_duration(sync.interval), write_duration(sync.lag()));
        let (slices, lookback) = (Plan::of(sync).slices, write_duration(sync.lookback));
        let unsettled = UNSETTLED * 100.0;
        format!(
            "\
How this is reckoned:
  big accounts, every {interval}: 1 request for the newest window (read {lag} behind), {slices} for the slices of
  the look-back of {lookback} behind it, and 2 audits an hour; for each 100 calls 1 page, and 1 request for
  {SID_LIST} calls that were not settled when first read (taken as {unsettled} of 100);
  small accounts: the look-back whole, while it is {SMALL_PAGES} pages or less;
  the busiest hour has {PEAK} times the mean. Not in it: leg details, one request for each inbound call that was
  completed (outbound ones after them) unless pages bring them; they take what is left of the background's
  part. A backlog uses all of that part."
        )
    }
}

/// A whole number with commas: `1,000,000`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_thousand(calls_per_day: f64) -> f64 {
        requests(&Config::default().sync, calls_per_day / MINUTES_PER_DAY) * MINUTES_PER_DAY / calls_per_day
            * 1000.0
    }

    /// The figures that the plan showed when it was simulated; the estimate may not promise less.
    #[test]
    fn the_estimate_agrees_with_the_simulated_plan() {
        for (calls, simulated) in [(1_000_000.0, 12.0), (100_000.0, 16.5), (20_000.0, 36.0)] {
            let ratio = per_thousand(calls) / simulated;
            assert!((0.95..1.4).contains(&ratio), "{calls}: {ratio}");
        }
    }

    #[test]
    fn the_report_shows_what_fits_and_what_does_not() {
        let mut config = Config::default();
        config.accounts.push(Account::new("acme1", "k", "t"));
        let report = config.budget_report();
        assert!(report.contains("background work may use 60.0 of them"), "{report}");
        assert!(report.contains("1,000,000") && !report.contains("does not fit"), "{report}");
        assert!(report.contains("room for 40"), "{report}");

        config.sync.interval = Duration::from_secs(1);
        config.accounts[0].exophones.insert("08000000011".into(), "sales".into());
        let report = config.budget_report();
        assert!(report.contains("does not fit") && report.contains("little room"), "{report}");
        assert!(report.contains("the 1 named here take 1.0 (2.5 %)"), "{report}");
        assert!(!report.contains("08000000011"), "{report}");

        config.sync.enabled = false;
        config.heartbeat.enabled = false;
        let report = config.budget_report();
        assert!(report.contains("calls are not read") && report.contains("only their list"), "{report}");
    }

    #[test]
    fn odd_settings_give_figures_all_the_same() {
        let mut config = Config::default();
        config.accounts.push(Account::new("acme1", "k", "t"));
        config.accounts[0].balance.enabled = true;
        config.sync.lag = Some(Duration::ZERO);
        config.sync.lookback = Duration::from_secs(1);
        let report = config.budget_report();
        assert!(!report.contains("NaN") && !report.contains("inf") && !report.contains("-0"), "{report}");
    }

    #[test]
    fn the_balance_is_reckoned_as_often_as_it_is_asked_for() {
        let mut config = Config::default();
        config.accounts.push(Account::new("acme1", "k", "t"));
        config.accounts[0].balance.enabled = true;
        let line = |config: &Config| {
            let report = config.budget_report();
            report.lines().find(|line| line.contains("balance")).map(|line| line.trim().to_owned())
        };
        assert_eq!(line(&config).as_deref(), Some("balance, every 15m: 0.1 a minute"));
        config.accounts[0].balance.interval = Duration::from_secs(1);
        for settle_after in [1, 20, 30] {
            config.sync.settle_after = Duration::from_secs(settle_after * 60);
            assert_eq!(line(&config).as_deref(), Some("balance, every 1m: 1.0 a minute"));
        }
        config.sync.settle_after = Duration::from_secs(6);
        assert_eq!(line(&config).as_deref(), Some("balance, every 1s: 60.0 a minute"), "as in a demo");
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.0].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}

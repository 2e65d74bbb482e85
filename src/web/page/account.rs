//! One account on the status page.

use std::collections::BTreeSet;

use super::text::{At, Escaped, Grouped, ago, duration, money, percent};
use super::{Page, chart, health, told};
use crate::model::{Direction, Outcome, Timestamp};
use crate::web::status::{AccountState, AccountStatus, CallCount, PoolStatus, RunOutcome, SyncStatus};

/// Appends the section of one account.
pub(super) fn write(page: &mut Page, id: usize, account: &AccountStatus, now: Timestamp) {
    let (class, word) = match account.state {
        AccountState::Starting => ("waiting", "Starting"),
        AccountState::Up => ("good", "Up"),
        AccountState::Failing(_) => ("bad", "Failing"),
    };
    page.put(format_args!(
        "<section class=\"account\" aria-labelledby=\"account{id}\">\n<div class=\"head\">\
         <h2 id=\"account{id}\">{}</h2><span class=\"state {class}\">{word}</span>\
         <span class=\"quiet\">{}, clock at {}</span></div>\n",
        Escaped(&account.name),
        Escaped(&account.base_url),
        account.utc_offset
    ));
    if let AccountState::Failing(failure) = &account.state {
        page.put(format_args!(
            "<p class=\"note bad\"><strong>{}</strong> since {} ({}). {}</p>\n",
            Escaped(failure.reason),
            At { time: failure.since, now, offset: account.utc_offset },
            ago(now, failure.since),
            Escaped(&failure.message)
        ));
    }
    tiles(page, account, now);
    health::write(page, id, account, now);
    page.text(
        "<h3>Calls by hour <span class=\"key answered\">answered</span> \
         <span class=\"key unanswered\">not answered</span> <span class=\"key failed\">failed</span> \
         <span class=\"key unknown\">unknown</span></h3>\n",
    );
    chart::write(&mut page.0, id, &account.hours, account.utc_offset);
    page.text("<div class=\"columns\">\n<div>\n<h3>Calls today by outcome</h3>\n");
    outcomes(page, id, account);
    told::write(page, account, now);
    page.text("</div>\n<div>\n<h3>Last sync</h3>\n");
    match &account.sync {
        Some(sync) => last_run(page, sync, account, now),
        None => page.text("<p class=\"quiet\">Reading of calls is switched off.</p>\n"),
    }
    last_error(page, account, now);
    page.text("<h3>Request budget</h3>\n");
    budget(page, &account.budget);
    page.text("</div>\n</div>\n</section>\n");
}

fn sum(calls: &[CallCount], of: impl Fn(&CallCount) -> u64) -> u64 {
    calls.iter().map(of).fold(0, u64::saturating_add)
}

fn tiles(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let calls = &account.calls;
    let today = sum(calls, |c| c.today);
    let answered = sum(calls, |c| if c.outcome == Outcome::Answered { c.today } else { 0 });
    let known = sum(calls, |c| if c.outcome == Outcome::Unknown { 0 } else { c.today });
    let at = |time| At { time, now, offset: account.utc_offset };
    page.text("<dl class=\"tiles\">\n");
    let total = format!("{} counted since the first start", Grouped(sum(calls, |c| c.total)));
    tile(page, "calls today", &Grouped(today).to_string(), &total);
    let share = format!("{} of {} known", Grouped(answered), Grouped(known));
    tile(page, "answered today", &percent(answered, known), &share);
    if let Some(loss) = account.callbacks.as_ref().and_then(|callbacks| callbacks.calls) {
        let note = format!("{} of {} expected", Grouped(loss.missed), Grouped(loss.expected));
        tile(page, "callbacks missed", &percent(loss.missed, loss.expected), &note);
    }
    if let Some(balance) = &account.balance {
        let value =
            format!("{} <span class=\"unit\">{}</span>", money(balance.micros), Escaped(&balance.currency));
        tile(page, "balance", &value, &format!("read {}", ago(now, balance.read)));
    }
    if let Some(sync) = &account.sync {
        let edge = |time: Option<Timestamp>| match time {
            Some(time) => (at(time).to_string(), ago(now, time)),
            None => ("–".to_owned(), "not yet known".to_owned()),
        };
        let (time, age) = edge(sync.head);
        tile(page, "calls read up to", &time, &age);
        let (time, age) = edge(sync.watermark);
        tile(page, "calls final up to", &time, &age);
        let unpriced = format!("{} without price", Grouped(sync.unpriced));
        tile(page, "not yet counted", &Grouped(sync.unsettled).to_string(), &unpriced);
        let (value, note) = (Grouped(sync.set_aside).to_string(), "could not be read");
        tile(page, "rows set aside", &value, if sync.set_aside == 0 { "all could be read" } else { note });
    }
    page.text("</dl>\n");
}

/// `value` and `note` are ready-made markup.
fn tile(page: &mut Page, name: &str, value: &str, note: &str) {
    page.put(format_args!("<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>\n"));
}

/// Outcomes as rows; today's figures by direction, their share, and beside them what metrics have counted.
fn outcomes(page: &mut Page, id: usize, account: &AccountStatus) {
    let seen: Vec<&CallCount> = account.calls.iter().filter(|c| c.total > 0 || c.today > 0).collect();
    if seen.is_empty() {
        page.text("<p class=\"quiet\">None yet.</p>\n");
        return;
    }
    let directions: BTreeSet<Direction> = seen.iter().map(|c| c.direction).collect();
    let outcomes: BTreeSet<Outcome> = seen.iter().map(|c| c.outcome).collect();
    let all = sum(&account.calls, |c| c.today);
    page.put(format_args!(
        "<div class=\"wide\" id=\"outcomes{id}\" role=\"region\" tabindex=\"0\" \
         aria-label=\"Calls today by outcome\"><table>\n<thead><tr><th scope=\"col\">outcome</th>"
    ));
    for direction in &directions {
        page.put(format_args!("<th scope=\"col\" class=\"n\">{}</th>", direction.as_str().replace('-', " ")));
    }
    page.text(
        "<th scope=\"col\" class=\"n\">share</th><th scope=\"col\" class=\"n\">counted</th>\
         </tr></thead>\n<tbody>\n",
    );
    for outcome in outcomes {
        page.put(format_args!("<tr><th scope=\"row\">{}</th>", outcome.as_str().replace('_', " ")));
        let here = || seen.iter().copied().filter(move |c| c.outcome == outcome);
        for direction in &directions {
            match here().filter(|c| c.direction == *direction).map(|c| c.today).fold(0, u64::saturating_add) {
                0 => page.text("<td class=\"n quiet\">–</td>"),
                today => page.put(format_args!("<td class=\"n\">{}</td>", Grouped(today))),
            }
        }
        page.put(format_args!(
            "<td class=\"n\">{}</td><td class=\"n quiet\">{}</td></tr>\n",
            percent(here().map(|c| c.today).fold(0, u64::saturating_add), all),
            Grouped(here().map(|c| c.total).fold(0, u64::saturating_add))
        ));
    }
    page.text(
        "</tbody></table></div>\n<p class=\"quiet\">Counted: what the metrics count, since the first start.</p>\n",
    );
    if account.history_today > 0 {
        page.put(format_args!(
            "<p class=\"quiet\">{} of today&#39;s calls began before the first start: they are shown here \
             and in the chart, and counted in no metric.</p>\n",
            Grouped(account.history_today)
        ));
    }
}

fn last_run(page: &mut Page, sync: &SyncStatus, account: &AccountStatus, now: Timestamp) {
    let at = |time| At { time, now, offset: account.utc_offset };
    if let Some(since) = sync.running_since {
        page.put(format_args!("<p>A run is under way since {}.</p>\n", at(since)));
    }
    let Some(run) = &sync.last_run else {
        page.put(format_args!(
            "<p class=\"quiet\">None yet; one starts every {}.</p>\n",
            duration(sync.interval)
        ));
        return;
    };
    let (class, word) = match run.outcome {
        RunOutcome::Success => ("good", "Success"),
        RunOutcome::Partial => ("waiting", "Rows set aside"),
        RunOutcome::Failure => ("bad", "Failed"),
    };
    page.put(format_args!(
        "<dl class=\"list\">\n<div><dt>result</dt><dd><span class=\"state {class}\">{word}</span></dd></div>\n\
         <div><dt>ended</dt><dd>{} ({})</dd></div>\n<div><dt>took</dt><dd>{}, one every {}</dd></div>\n\
         <div><dt>rows</dt><dd>{} new, {} updated, {} unchanged, {} rejected</dd></div>\n",
        at(run.ended),
        ago(now, run.ended),
        duration(run.took),
        duration(sync.interval),
        Grouped(run.new),
        Grouped(run.updated),
        Grouped(run.unchanged),
        Grouped(run.rejected)
    ));
    if let Some(error) = &run.error {
        page.put(format_args!("<div><dt>error</dt><dd>{}</dd></div>\n", Escaped(error)));
    }
    page.text("</dl>\n");
}

/// The last failed request, unless the head of the account tells it already.
fn last_error(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let Some((time, message)) = account.last_error.as_ref() else { return };
    if matches!(account.state, AccountState::Failing(_)) {
        return;
    }
    page.put(format_args!(
        "<h3>Last failed request</h3>\n<p class=\"small\">{} ({}): {}</p>\n",
        At { time: *time, now, offset: account.utc_offset },
        ago(now, *time),
        Escaped(message)
    ));
}

fn budget(page: &mut Page, pools: &[PoolStatus]) {
    if pools.is_empty() {
        page.text("<p class=\"quiet\">No request has been made.</p>\n");
        return;
    }
    page.text("<dl class=\"list\">\n");
    for pool in pools {
        let full = pool.limit.max(1);
        page.put(format_args!(
            "<div><dt>{}</dt><dd><svg class=\"meter\" viewBox=\"0 0 {full} 10\" preserveAspectRatio=\"none\" \
             aria-hidden=\"true\"><rect class=\"slot\" width=\"{full}\" height=\"10\"/>\
             <rect class=\"fill\" width=\"{}\" height=\"10\"/></svg>{} of {} requests in the last minute",
            Escaped(pool.pool),
            pool.used.min(full),
            Grouped(pool.used.into()),
            Grouped(pool.limit.into())
        ));
        if pool.queued > 0 {
            page.put(format_args!(", {} waiting", Grouped(pool.queued.into())));
        }
        if let Some(remaining) = pool.remaining {
            page.put(format_args!("; Exotel says {} are left", Grouped(remaining)));
        }
        page.text("</dd></div>\n");
    }
    page.text("</dl>\n");
}

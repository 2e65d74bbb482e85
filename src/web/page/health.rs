//! Health of an account's numbers on the status page: by poll and by push, side by side.

use super::Page;
use super::text::{At, Escaped, ago, duration};
use crate::model::Timestamp;
use crate::model::health::{State, Verdict};
use crate::web::status::{AccountStatus, Heartbeats, NumberStatus};

/// Numbers shown at once, those with an outage first; the rest can be opened.
const MOST_SHOWN: usize = 30;

/// Appends the section.
pub(super) fn write(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    page.text("<h3>ExoPhones</h3>\n");
    polls(page, account, now);
    heartbeat(page, account, now);
    let mut numbers: Vec<&NumberStatus> = account.health.numbers.iter().collect();
    if numbers.is_empty() {
        page.text("<p class=\"quiet\">The list has not been read yet.</p>\n");
        return;
    }
    // Stable: otherwise in the order in which they became known.
    numbers.sort_by_key(|number| !is_affected(number));
    let (shown, rest) = numbers.split_at(numbers.len().min(MOST_SHOWN));
    table(page, shown, account, now);
    if !rest.is_empty() {
        page.put(format_args!("<details><summary>and {} more</summary>\n", rest.len()));
        table(page, rest, account, now);
        page.text("</details>\n");
    }
}

fn is_affected(number: &NumberStatus) -> bool {
    let polled = number.poll.iter().flatten().any(|(state, _)| state.is_affected());
    polled || number.push.contains(&Some(true))
}

fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Ok => ("good", "OK"),
        Verdict::Warning => ("waiting", "Warning"),
        Verdict::Critical => ("bad", "Critical"),
        Verdict::Error => ("bad", "Error"),
        Verdict::PayloadTooLarge => ("waiting", "Too large"),
    }
}

/// The last round of polls.
fn polls(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let Some(poll) = &account.health.poll else {
        page.text("<p class=\"quiet\">Health polls are switched off.</p>\n");
        return;
    };
    let every = duration(poll.interval);
    let Some(last) = &poll.last else {
        page.put(format_args!("<p class=\"quiet\">No poll yet; one starts every {every}.</p>\n"));
        return;
    };
    let (class, word) = verdict(last.verdict);
    page.put(format_args!(
        "<p>Poll <span class=\"state {class}\">{word}</span> {} ({}), one every {every}.",
        At { time: last.at, now, offset: account.utc_offset },
        ago(now, last.at),
    ));
    if let Some(error) = &last.error {
        page.put(format_args!(" <span class=\"quiet\">{}</span>", Escaped(error)));
    }
    page.text("</p>\n");
}

/// The last heartbeat.
fn heartbeat(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let at = |time| At { time, now, offset: account.utc_offset };
    match &account.health.heartbeat {
        Heartbeats::None => {}
        Heartbeats::Awaited => page.text("<p class=\"quiet\">No heartbeat has come yet.</p>\n"),
        Heartbeats::Silent(heard) => page.put(format_args!(
            "<p>Heartbeat <span class=\"state waiting\">Silent</span>, the last {} ({}).</p>\n",
            at(heard.at),
            ago(now, heard.at)
        )),
        Heartbeats::InForce(heard) => {
            let (class, word) = verdict(heard.status);
            page.put(format_args!(
                "<p>Heartbeat <span class=\"state {class}\">{word}</span> since {}, the last {} ({}).</p>\n",
                at(heard.since),
                at(heard.at),
                ago(now, heard.at)
            ));
        }
    }
}

fn table(page: &mut Page, numbers: &[&NumberStatus], account: &AccountStatus, now: Timestamp) {
    page.text(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"ExoPhones\"><table>\n<thead><tr>\
         <th scope=\"col\">ExoPhone</th><th scope=\"col\">incoming</th><th scope=\"col\">outgoing</th>\
         <th scope=\"col\">by heartbeat</th></tr></thead>\n<tbody>\n",
    );
    for number in numbers {
        page.put(format_args!("<tr><th scope=\"row\">{}</th>", Escaped(&number.label)));
        for side in number.poll {
            match side {
                None => page.text("<td class=\"quiet\">–</td>"),
                Some((state, since)) => page.put(format_args!(
                    "<td>{}<small>since {}</small></td>",
                    word(state),
                    At { time: since, now, offset: account.utc_offset }
                )),
            }
        }
        let push = match number.push {
            [None, None] => "–",
            [Some(true), Some(true)] => "both affected",
            [Some(true), _] => "incoming affected",
            [_, Some(true)] => "outgoing affected",
            _ => "not affected",
        };
        page.put(format_args!("<td>{push}</td></tr>\n"));
    }
    page.text("</tbody></table></div>\n");
}

fn word(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Partial => "<strong>partial outage</strong>",
        State::Outage => "<strong>outage</strong>",
        State::Unknown => "unknown",
    }
}

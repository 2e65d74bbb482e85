//! Health of an account's numbers on the status page: by poll and by push, side by side.

use super::Page;
use super::text::{At, Escaped, ago, duration};
use crate::model::Timestamp;
use crate::model::health::{State, Verdict};
use crate::web::status::{AccountStatus, Instead, NumberStatus};

/// Numbers shown at once, those with an outage first; the rest can be opened.
const MOST_SHOWN: usize = 30;

/// Appends the section.
pub(super) fn write(page: &mut Page, id: usize, account: &AccountStatus, now: Timestamp) {
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
    table(page, &format!("phones{id}"), shown, account, now);
    if !rest.is_empty() {
        page.put(format_args!(
            "<details id=\"more{id}\"><summary id=\"more{id}-summary\">and {} more</summary>\n",
            rest.len()
        ));
        table(page, &format!("phones{id}-more"), rest, account, now);
        page.text("</details>\n");
    }
}

/// Whether an outage of it is known, from whichever side.
pub(super) fn is_affected(number: &NumberStatus) -> bool {
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
        "<p class=\"small\">Poll <span class=\"state {class}\">{word}</span> {} ({}), one every {every}.",
        At { time: last.at, now, offset: account.utc_offset },
        ago(now, last.at),
    ));
    if let Some(error) = &last.error {
        page.put(format_args!(" <span class=\"quiet\">{}</span>", Escaped(error)));
    }
    page.text("</p>\n");
}

/// The heartbeat in force.
fn heartbeat(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let every = account.health.heartbeat_every.map(duration);
    let Some(heard) = &account.health.heartbeat else {
        if let Some(every) = every {
            page.put(format_args!(
                "<p class=\"small\">Heartbeat <span class=\"state bad\">Missing</span> one should come every \
                 {every}.</p>\n"
            ));
        }
        return;
    };
    let at = |time| At { time, now, offset: account.utc_offset };
    let (class, word) = verdict(heard.status);
    page.put(format_args!(
        "<p class=\"small\">Heartbeat <span class=\"state {class}\">{word}</span> since {}, the last {} ({})",
        at(heard.since),
        at(heard.at),
        ago(now, heard.at)
    ));
    if let Some(every) = every {
        page.put(format_args!(", one every {every}"));
    }
    page.text(".</p>\n");
}

/// The roles say what the elements are anyway; on a narrow screen the style lays them out as blocks, and
/// browsers then forget it.
fn table(page: &mut Page, id: &str, numbers: &[&NumberStatus], account: &AccountStatus, now: Timestamp) {
    page.put(format_args!(
        "<div class=\"wide\" id=\"{id}\" role=\"region\" tabindex=\"0\" aria-label=\"ExoPhones\">\
         <table class=\"phones\" role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\">\
         <th scope=\"col\" role=\"columnheader\">ExoPhone</th>\
         <th scope=\"col\" role=\"columnheader\">incoming calls</th>\
         <th scope=\"col\" role=\"columnheader\">outgoing calls</th></tr></thead>\n<tbody role=\"rowgroup\">\n"
    ));
    for number in numbers {
        page.put(format_args!(
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{}</th>",
            Escaped(&number.label)
        ));
        let sides = number.poll.into_iter().zip(number.push);
        for (((polled, pushed), instead), way) in sides.zip(&number.instead).zip(["incoming", "outgoing"]) {
            page.put(format_args!("<td role=\"cell\" data-way=\"{way}\"><div class=\"sides\"><div>"));
            by_poll(page, polled, account, now);
            page.text("</div><div>");
            by_push(page, pushed);
            page.text("</div></div>");
            to_use(page, instead.as_ref());
            page.text("</td>");
        }
        page.text("</tr>\n");
    }
    page.text("</tbody></table></div>\n");
}

fn by_poll(page: &mut Page, polled: Option<(State, Timestamp)>, account: &AccountStatus, now: Timestamp) {
    let Some((state, since)) = polled else {
        page.text("<small>poll says nothing</small>");
        return;
    };
    let (class, word) = match state {
        State::Active => ("good", "active"),
        State::Partial => ("waiting", "partial outage"),
        State::Outage => ("bad", "outage"),
        State::Unknown => ("waiting", "unknown"),
    };
    page.put(format_args!(
        "<span class=\"state {class}\">{word}</span> <small>by poll since {} ({})</small>",
        At { time: since, now, offset: account.utc_offset },
        ago(now, since)
    ));
}

/// What to use meanwhile, as Exotel suggests.
fn to_use(page: &mut Page, instead: Option<&Instead>) {
    match instead {
        None => {}
        Some(Instead::Number(label)) => page.put(format_args!(
            "<small class=\"instead\">Exotel suggests {} meanwhile</small>",
            Escaped(label)
        )),
        Some(Instead::NotListed) => {
            page.text("<small class=\"instead\">Exotel suggests a number that is not on the list</small>");
        }
    }
}

fn by_push(page: &mut Page, affected: Option<bool>) {
    page.text(match affected {
        None => "<small>heartbeat says nothing</small>",
        Some(false) => "<span class=\"state good\">not affected</span> <small>by heartbeat</small>",
        Some(true) => "<span class=\"state bad\">affected</span> <small>by heartbeat</small>",
    });
}

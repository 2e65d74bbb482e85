//! What Exotel tells an account by itself: callbacks by kind, and how messages ended.

use super::Page;
use super::text::{At, Grouped, ago, percent};
use crate::model::Timestamp;
use crate::model::callback::{Kind, SmsStatus};
use crate::web::status::AccountStatus;

/// Appends both lists, each only where there is something to say.
pub(super) fn write(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    callbacks(page, account, now);
    messages(page, account);
}

fn callbacks(page: &mut Page, account: &AccountStatus, now: Timestamp) {
    let Some(callbacks) = &account.callbacks else { return };
    page.text("<h3>Last callbacks</h3>\n");
    if callbacks.last.is_empty() {
        page.text("<p class=\"quiet\">None came, and none is expected.</p>\n");
        return;
    }
    page.text("<dl class=\"list\">\n");
    for (kind, last) in &callbacks.last {
        page.put(format_args!("<div><dt>{}</dt><dd>", name(*kind)));
        match last {
            Some(time) => page.put(format_args!(
                "{} ({})",
                At { time: *time, now, offset: account.utc_offset },
                ago(now, *time)
            )),
            None => page.text("<strong>none yet</strong>"),
        }
        page.text("</dd></div>\n");
    }
    page.text("</dl>\n");
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Heartbeat => "heartbeat",
        Kind::Calls => "calls",
        Kind::Sms => "SMS",
        Kind::Passthru => "passthru",
    }
}

fn messages(page: &mut Page, account: &AccountStatus) {
    if account.messages.is_empty() {
        return;
    }
    let all = account.messages.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    page.text("<h3>SMS since the first start</h3>\n<dl class=\"list\">\n");
    for (status, count) in &account.messages {
        let word = match status {
            SmsStatus::FailedDnd => "do not disturb",
            other => other.as_str(),
        };
        page.put(format_args!(
            "<div><dt>{word}</dt><dd>{} <small>{}</small></dd></div>\n",
            Grouped(*count),
            percent(*count, all)
        ));
    }
    page.text("</dl>\n");
}

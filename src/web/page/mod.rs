//! The pages: written here, whole, from a snapshot. No script, nothing from another host; every text
//! that comes from elsewhere is escaped.

mod account;
mod chart;
mod docs;
mod text;

use std::fmt::{Arguments, Write};
use std::time::Duration;

use self::text::{Escaped, Grouped, bytes, duration};
use super::status::{AccountState, StatusSnapshot};

pub(super) use self::docs::docs;

/// Colours and shapes of every page.
pub(super) const STYLE: &str = include_str!("style.css");

/// Where the pages' links lead, all relative so that they hold behind a proxy that adds a prefix.
pub(super) struct Links<'a> {
    /// Path of the metrics, with its leading slash.
    pub(super) telemetry_path: &'a str,
}

/// A page under construction.
struct Page(String);

impl Page {
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn put(&mut self, text: Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes every write");
    }

    /// Everything before the content.
    fn open(title: &str, version: &str, links: &Links<'_>) -> Self {
        let mut page = Self(String::with_capacity(16 * 1024));
        page.put(format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <link rel=\"icon\" href=\"data:image/svg+xml,{ICON}\">\n\
             <link rel=\"stylesheet\" href=\"style.css?{version}\">\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header class=\"top\">\n\
             <a class=\"brand\" href=\"./\">{LOGO}<span>exotel-exporter</span></a>\
             <span class=\"version\">{version}</span>\n<nav aria-label=\"Pages\">\
             <a href=\"{}\">Metrics</a> <a href=\"docs\">Docs</a> \
             <a href=\"-/healthy\">Health</a> <a href=\"-/ready\">Readiness</a></nav>\n</header>\n\
             <main id=\"content\">\n",
            Escaped(links.telemetry_path.trim_start_matches('/')),
            title = Escaped(title),
            version = Escaped(version),
        ));
        page
    }

    fn close(mut self, footer: Arguments<'_>) -> String {
        self.text("</main>\n<footer>");
        self.put(footer);
        self.text("</footer>\n</body>\n</html>\n");
        self.0
    }
}

/// The mark: three bars of growing height in a speech bubble.
const LOGO: &str = "<svg class=\"logo\" viewBox=\"0 0 32 32\" aria-hidden=\"true\">\
    <path class=\"bubble\" d=\"M6 3h20a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4H14l-6 5v-5H6a4 4 0 0 1-4-4V7a4 4 0 0 1 4-4z\"/>\
    <path class=\"bars\" d=\"M8 15h4v6H8zm6-4h4v10h-4zm6-4h4v14h-4z\"/></svg>";
/// The same as a data URI.
const ICON: &str = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
    %3Cpath fill='%230d7a6f' d='M6 3h20a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4H14l-6 5v-5H6a4 4 0 0 1-4-4V7a4 4 0 0 1 4-4z'/%3E\
    %3Cpath fill='%23fff' d='M8 15h4v6H8zm6-4h4v10h-4zm6-4h4v14h-4z'/%3E%3C/svg%3E";

/// Whether the program is ready, for the head of the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    NotReady,
}

/// The status page.
pub(super) fn status(snapshot: &StatusSnapshot, readiness: Readiness, links: &Links<'_>) -> String {
    let build = snapshot.build;
    let mut page = Page::open("exotel-exporter", build.version, links);
    page.text("<h1 class=\"unseen\">Status of exotel-exporter</h1>\n");
    summary(&mut page, snapshot, readiness);
    if snapshot.accounts.is_empty() {
        page.text("<p class=\"note\">No account is configured.</p>\n");
    }
    for (id, status) in snapshot.accounts.iter().enumerate() {
        account::write(&mut page, id, status, snapshot.now);
    }
    page.close(format_args!(
        "<p>exotel-exporter {} (revision {}). As of <time datetime=\"{now}\">{now}</time>. \
         Times of an account are on Exotel&#39;s clock for it. <a href=\"./\">Refresh</a></p>",
        Escaped(build.version),
        Escaped(build.revision),
        now = snapshot.now,
    ))
}

/// One line on the program as a whole.
fn summary(page: &mut Page, snapshot: &StatusSnapshot, readiness: Readiness) {
    let failing = snapshot.accounts.iter().filter(|a| matches!(a.state, AccountState::Failing(_))).count();
    let (class, state) = match (readiness, failing) {
        (Readiness::NotReady, _) => ("waiting", "Not ready".to_owned()),
        (_, 0) => ("good", "All is well".to_owned()),
        (_, 1) => ("bad", "1 account is failing".to_owned()),
        (_, more) => ("bad", format!("{more} accounts are failing")),
    };
    let up = u64::try_from(snapshot.now - snapshot.started).unwrap_or(0);
    page.put(format_args!(
        "<p class=\"summary\"><span class=\"state {class}\">{state}</span>\
         <span>running for {}</span><span>{} calls stored</span>",
        duration(Duration::from_secs(up)),
        Grouped(snapshot.stored_calls)
    ));
    if let Some(size) = snapshot.store_bytes {
        page.put(format_args!("<span>store of {}</span>", bytes(size)));
    }
    page.text("</p>\n");
}

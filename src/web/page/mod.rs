//! The pages: written here, whole, from a snapshot. They need no script, though one keeps the status page up
//! to date; nothing is from another host, and every text that comes from elsewhere is escaped.

mod account;
mod chart;
mod docs;
mod health;
#[cfg(test)]
pub(super) mod sample;
mod text;
mod told;

use std::fmt::{Arguments, Write};
use std::time::Duration;

use self::text::{Escaped, Grouped, bytes, duration};
use super::status::{AccountState, StatusSnapshot};

pub(super) use self::docs::docs;

/// Colours and shapes of every page.
pub(super) const STYLE: &str = include_str!("style.css");

/// Script of the status page.
pub(super) const REFRESH: &str = include_str!("refresh.js");

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
             <a href=\"docs#dashboards\">Dashboards</a> <a href=\"api/openapi.json\">API</a> \
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
    let (class, state) = overall(snapshot, readiness);
    let mut page = Page::open(&format!("{state} · exotel-exporter"), build.version, links);
    page.text("<h1 class=\"unseen\">Status of exotel-exporter</h1>\n");
    summary(&mut page, snapshot, class, &state);
    if snapshot.accounts.is_empty() {
        page.text("<p class=\"note\">No account is configured.</p>\n");
    }
    for (id, status) in snapshot.accounts.iter().enumerate() {
        account::write(&mut page, id, status, snapshot.now);
    }
    page.close(format_args!(
        "<p>exotel-exporter {} (revision {}). As of <time datetime=\"{now}\">{now}</time>. \
         Times of an account are on Exotel&#39;s clock for it. <a href=\"./\">Refresh</a></p>\n\
         <p id=\"live\" hidden></p>\n<script src=\"refresh.js?{version}\" defer></script>",
        Escaped(build.version),
        Escaped(build.revision),
        now = snapshot.now,
        version = Escaped(build.version),
    ))
}

/// How the whole is, as a class and in words: the worst first.
fn overall(snapshot: &StatusSnapshot, readiness: Readiness) -> (&'static str, String) {
    let count = |is: fn(&AccountState) -> bool| snapshot.accounts.iter().filter(|a| is(&a.state)).count();
    let failing = count(|state| matches!(state, AccountState::Failing(_)));
    let starting = count(|state| matches!(state, AccountState::Starting));
    let numbers = snapshot.accounts.iter().flat_map(|account| &account.health.numbers);
    let affected = numbers.filter(|number| health::is_affected(number)).count();
    match (readiness, failing, affected) {
        (Readiness::NotReady, ..) => ("waiting", "Not ready".to_owned()),
        _ if snapshot.accounts.is_empty() => ("waiting", "Nothing to watch".to_owned()),
        (_, 1, _) => ("bad", "1 account is failing".to_owned()),
        (_, 2.., _) => ("bad", format!("{failing} accounts are failing")),
        (_, _, 1) => ("bad", "1 ExoPhone is affected by an outage".to_owned()),
        (_, _, 2..) => ("bad", format!("{affected} ExoPhones are affected by an outage")),
        _ if starting > 0 => ("waiting", "Starting".to_owned()),
        _ => ("good", "All is well".to_owned()),
    }
}

/// One line on the program as a whole.
fn summary(page: &mut Page, snapshot: &StatusSnapshot, class: &str, state: &str) {
    let age = u64::try_from(snapshot.now - snapshot.started).unwrap_or(0);
    page.put(format_args!(
        "<p class=\"summary\"><span class=\"state {class}\">{state}</span>\
         <span>running for {}</span><span>{} calls stored</span>",
        duration(Duration::from_secs(age)),
        Grouped(snapshot.stored_calls)
    ));
    if let Some(size) = snapshot.store_bytes {
        page.put(format_args!("<span>store of {}</span>", bytes(size)));
    }
    page.text("</p>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::web::status::NumberStatus;

    const LINKS: Links<'static> = Links { telemetry_path: "/metrics" };

    fn shown(snapshot: &StatusSnapshot) -> String {
        status(snapshot, Readiness::Ready, &LINKS)
    }

    #[test]
    fn nothing_from_elsewhere_becomes_markup() {
        let page = shown(&sample::snapshot());
        assert!(page.contains("branch &lt;b&gt;office&lt;/b&gt;"), "{page}");
        assert!(page.contains("wrong region? &lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("503 &lt;i&gt;Service") && page.contains("I&lt;N&gt;R"));
        assert_eq!(page.matches("<script").count(), 1, "ours alone");
        assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<N>"));
    }

    #[test]
    fn the_page_obeys_its_own_content_security_policy() {
        for page in [shown(&sample::snapshot()), docs(sample::snapshot().build, &LINKS)] {
            for forbidden in [" style=", "<style", " on", "src=\"http", "http-equiv", "href=\"http", "<form"]
            {
                // Words of the text may look like it; attributes stand inside a tag.
                let inside = page.match_indices(forbidden).find(|(at, _)| {
                    let before = &page[..*at];
                    before.rfind('<').unwrap_or(0) > before.rfind('>').unwrap_or(0)
                });
                assert_eq!(inside, None, "{forbidden}");
            }
        }
    }

    #[test]
    fn every_element_that_is_opened_is_closed() {
        for page in [shown(&sample::snapshot()), docs(sample::snapshot().build, &LINKS)] {
            let mut open = Vec::new();
            for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
                let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name), "closed by </{name}>"),
                    None if tag.ends_with('/') || ["!DOCTYPE", "meta", "link"].contains(&name) => {}
                    None => open.push(name),
                }
            }
            assert_eq!(open, Vec::<&str>::new());
        }
    }

    #[test]
    fn ids_are_unique_and_labels_lead_to_them() {
        let page = shown(&sample::snapshot());
        let values = |attribute: &str| -> Vec<String> {
            let parts = page.split(attribute).skip(1);
            parts.filter_map(|part| part.split('"').next().map(str::to_owned)).collect()
        };
        let mut ids = values(" id=\"");
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
        for label in values("aria-labelledby=\"").iter().flat_map(|list| list.split(' ')) {
            assert!(ids.iter().any(|id| id == label), "{label}");
        }
    }

    #[test]
    fn every_state_of_an_account_is_said_in_words() {
        let page = shown(&sample::snapshot());
        for text in [
            "1 account is failing",
            "<span class=\"state good\">Up</span>",
            "<span class=\"state bad\">Failing</span>",
            "<span class=\"state waiting\">Starting</span>",
            "<strong>auth</strong> since <time datetime=\"2026-03-02T12:08:30Z\">17:38:30</time> (1 h 6 min ago)",
            "<dd>3,929<small>562,017 counted since the first start</small></dd>",
            "<dd>73 %<small>2,877 of 3,925 known</small></dd>",
            "<dd>3 %<small>374 of 12,480 expected</small></dd>",
            "<dd>18,450.75 <span class=\"unit\">I&lt;N&gt;R</span><small>read 5 min 12 s ago</small></dd>",
            "<dt>calls</dt><dd><time datetime=\"2026-03-02T13:15:06Z\">18:45:06</time> (4 s ago)</dd>",
            "<dt>SMS</dt><dd><strong>none yet</strong></dd>",
            "<dt>do not disturb</dt><dd>12 <small>&lt;1 %</small></dd>",
            "1,310 of today&#39;s calls began before the first start",
            "14:20:10</time><small>4 h 25 min ago</small>",
            "412 new, 37 updated, 208 unchanged, 0 rejected",
            "the first page failed: 401",
            "46 of 200 requests in the last minute, 3 waiting; Exotel says 151 are left",
            "Reading of calls is switched off.",
            ">support-&lt;north&gt;</th>",
            "1,234,567 calls stored",
            "revision 0123abc",
        ] {
            assert!(page.contains(text), "{text}\nnot in\n{page}");
        }
    }

    #[test]
    fn the_head_says_how_the_whole_is() {
        let mut snapshot = sample::snapshot();
        assert!(status(&snapshot, Readiness::NotReady, &LINKS).contains("Not ready"));
        snapshot.accounts.remove(1);
        let mut starting = snapshot.clone();
        starting.accounts[0].health.numbers.clear();
        assert!(shown(&starting).contains("<span class=\"state waiting\">Starting</span><span>running"));
        snapshot.accounts.remove(1);
        assert!(shown(&snapshot).contains("2 ExoPhones are affected by an outage"));
        snapshot.accounts[0].health.numbers.remove(1);
        assert!(
            shown(&snapshot).contains("<title>1 ExoPhone is affected by an outage · exotel-exporter</title>")
        );
        snapshot.accounts[0].health.numbers.remove(1);
        assert!(shown(&snapshot).contains("All is well"));
        snapshot.accounts.clear();
        let page = shown(&snapshot);
        assert!(page.contains("No account is configured.") && page.contains("Nothing to watch"));
    }

    #[test]
    fn a_long_list_of_exophones_ends_with_a_figure() {
        let mut snapshot = sample::snapshot();
        let numbers = &mut snapshot.accounts[0].health.numbers;
        let well = numbers[0].clone();
        let ill = numbers[1].clone();
        *numbers = (0..500).map(|n| NumberStatus { label: format!("line-{n}"), ..well.clone() }).collect();
        numbers[400] = ill;
        let page = shown(&snapshot);
        let (before, after) =
            page.split_once("<summary id=\"more0-summary\">and 470 more</summary>").unwrap();
        assert!(before.contains(">line-28</th>") && after.contains("line-29"), "{page}");
        assert!(before.contains("support-&lt;north&gt;"), "one with an outage is among the first");
    }

    #[test]
    fn health_is_shown_by_poll_and_by_heartbeat() {
        let page = shown(&sample::snapshot());
        let (_, ill) = page.split_once("support-&lt;north&gt;</th>").unwrap();
        let (ill, _) = ill.split_once("</tr>").unwrap();
        for part in [
            "<span class=\"state bad\">outage</span> <small>by poll since <time",
            "18:37:50</time> (7 min 20 s ago)",
            "<span class=\"state bad\">affected</span> <small>by heartbeat</small>",
            "<span class=\"state good\">active</span> <small>by poll since <time",
            "<span class=\"state good\">not affected</span> <small>by heartbeat</small>",
        ] {
            assert!(ill.contains(part), "{part}\nnot in\n{ill}");
        }
        assert!(ill.contains("<small class=\"instead\">Exotel suggests sales meanwhile</small>"), "{ill}");
        assert_eq!(page.matches("Exotel suggests a number that is not on the list").count(), 1, "no number");
        assert!(page.contains("Heartbeat <span class=\"state waiting\">Warning</span> since"));
        let mut silent = sample::snapshot();
        silent.accounts[0].health.heartbeat = None;
        assert!(
            shown(&silent)
                .contains("Heartbeat <span class=\"state bad\">Missing</span> one should come every 5 min")
        );
        assert!(page.contains("4 of 4 ExoPhones did not answer: &lt;b&gt;401&lt;/b&gt;"));
        assert!(page.contains("Health polls are switched off."));
    }

    #[test]
    fn every_exophone_of_every_account_is_shown() {
        let snapshot = sample::snapshot();
        let page = shown(&snapshot);
        for account in &snapshot.accounts {
            assert!(page.contains(&Escaped(&account.name).to_string()), "{}", account.name);
            for number in &account.health.numbers {
                assert!(page.contains(&format!(">{}</th>", Escaped(&number.label))), "{}", number.label);
            }
        }
    }

    #[test]
    fn the_page_is_whole_without_its_script() {
        let page = shown(&sample::snapshot());
        assert!(page.contains("<a href=\"./\">Refresh</a>"));
        assert!(
            page.contains("<p id=\"live\" hidden></p>"),
            "the script's own place is not shown before it runs"
        );
        assert!(page.contains("<script src=\"refresh.js?0.1.0\" defer></script>"));
        assert!(!REFRESH.contains("innerHTML") && !REFRESH.contains("eval(") && !REFRESH.contains("http"));
    }

    #[test]
    fn what_a_reader_can_open_or_scroll_is_found_again_after_a_refresh() {
        let page = shown(&sample::snapshot());
        for tag in ["<details", "<div class=\"wide\"", "<summary"] {
            for (at, _) in page.match_indices(tag) {
                let end = at + page[at..].find('>').unwrap();
                assert!(page[at..end].contains(" id=\""), "{}", &page[at..end]);
            }
        }
    }

    #[test]
    fn the_dashboards_link_leads_to_every_board_that_comes_with_this_version() {
        assert!(shown(&sample::snapshot()).contains("<a href=\"docs#dashboards\">Dashboards</a>"));
        let page = docs(sample::snapshot().build, &LINKS);
        let list = page.split("id=\"dashboards\"").nth(1).unwrap();
        let mut boards = 0;
        for file in std::fs::read_dir("dashboards").unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_some_and(|kind| kind == "json") {
                let board: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                for word in [&board["title"], &board["uid"]] {
                    let word = word.as_str().unwrap().trim_start_matches("Exotel / ");
                    assert!(list.contains(word), "{word} of {}", file.display());
                }
                assert!(list.contains(&format!("{}", file.display())), "{}", file.display());
                boards += 1;
            }
        }
        assert_eq!(list.matches("<dt>").count(), boards, "and to no other");
    }

    #[test]
    fn the_metrics_link_follows_the_telemetry_path() {
        let page = status(&sample::snapshot(), Readiness::Ready, &Links { telemetry_path: "/prom/metrics" });
        assert!(page.contains("<a href=\"prom/metrics\">"));
    }
}

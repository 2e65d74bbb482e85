//! What every metric means, as a page: the catalogue of this very build, and the boards that show them.

use super::text::Escaped;
use super::{Links, Page};
use crate::metrics::BuildInfo;
use crate::metrics::catalogue::{ALL, Group, Kept};

/// Grafana's boards: title, file in `dashboards/` of the repository, uid, what it answers.
const BOARDS: [(&str, &str, &str, &str); 7] = [
    ("Overview", "overview", "exotel-overview", "Is telephony up, is the business reachable, are we blind?"),
    (
        "Calls",
        "calls",
        "exotel-calls",
        "Answered, failed, abandoned and short calls, talk time, concurrency.",
    ),
    ("ExoPhones", "exophones", "exotel-exophones", "Health of each number by poll and by push."),
    (
        "Webhooks and reconciliation",
        "webhooks",
        "exotel-webhooks",
        "Whether callbacks arrive and agree with the API.",
    ),
    ("SMS", "sms", "exotel-sms", "Messages by what became of them."),
    ("Cost", "cost", "exotel-cost", "Spending, and the balance."),
    (
        "Exporter and API budget",
        "exporter",
        "exotel-exporter",
        "Requests and their limit, reading of calls, store, process.",
    ),
];

/// The page at `/docs`.
pub(in crate::web) fn docs(build: BuildInfo, links: &Links<'_>) -> String {
    let mut page = Page::open("Metrics of exotel-exporter", build.version, links);
    page.put(format_args!(
        "<h1>Metrics</h1>\n<p>All {} families that this version exports. Those kept in the store survive \
         restarts; the others begin at zero with each start.</p>\n",
        ALL.len()
    ));
    for group in Group::ALL {
        page.put(format_args!(
            "<section class=\"account\">\n<h2>{}</h2>\n<dl class=\"families\">\n",
            group.title()
        ));
        for family in ALL.iter().filter(|family| family.group == group) {
            let kept = match family.kept {
                Kept::Process => "",
                Kept::Store => ", kept in the store",
            };
            let by = if family.labels.is_empty() { "" } else { " by " };
            page.put(format_args!(
                "<div><dt><code>{}</code></dt><dd>{}<small>{}{by}{}{kept}</small></dd></div>\n",
                family.name,
                Escaped(family.help),
                family.kind.as_str(),
                family.labels.join(", "),
            ));
        }
        page.text("</dl>\n</section>\n");
    }
    dashboards(&mut page);
    page.close(format_args!("<p>exotel-exporter {}</p>", Escaped(build.version)))
}

/// Where Grafana is, nobody has told us: the boards are named, and where their files are.
fn dashboards(page: &mut Page) {
    page.text(
        "<section class=\"account\" id=\"dashboards\">\n<h2>Dashboards</h2>\n<p>Boards for Grafana that come with \
         this version. Once imported, each is at <code>/d/</code> and its uid in your Grafana.</p>\n\
         <dl class=\"families\">\n",
    );
    for (title, file, uid, about) in BOARDS {
        page.put(format_args!(
            "<div><dt>{title}</dt><dd>{about}<small><code>dashboards/{file}.json</code>, \
             uid <code>{uid}</code></small></dd></div>\n"
        ));
    }
    page.text("</dl>\n</section>\n");
}

//! What every metric means, as a page: the catalogue of this very build.

use super::text::Escaped;
use super::{Links, Page};
use crate::metrics::BuildInfo;
use crate::metrics::catalogue::{ALL, Group, Kept};

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
    page.close(format_args!("<p>exotel-exporter {}</p>", Escaped(build.version)))
}

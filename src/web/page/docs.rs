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
            "<section class=\"account\">\n<h2>{}</h2>\n<div class=\"wide\"><table>\n<thead><tr>\
             <th scope=\"col\">name</th><th scope=\"col\">type</th><th scope=\"col\">labels</th>\
             <th scope=\"col\">kept in</th><th scope=\"col\">meaning</th></tr></thead>\n<tbody>\n",
            group.title()
        ));
        for family in ALL.iter().filter(|family| family.group == group) {
            let kept = match family.kept {
                Kept::Process => "memory",
                Kept::Store => "store",
            };
            page.put(format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{kept}</td><td>{}</td></tr>\n",
                family.name,
                family.kind.as_str(),
                family.labels.join(", "),
                Escaped(family.help)
            ));
        }
        page.text("</tbody></table></div>\n</section>\n");
    }
    page.close(format_args!("<p>exotel-exporter {}</p>", Escaped(build.version)))
}

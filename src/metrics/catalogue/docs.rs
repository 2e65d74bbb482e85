//! The catalogue as a Markdown table, for `docs/metrics.md`.

use std::fmt::Write;

use super::{ALL, Group, Kept};

const HEAD: &str = "\
# Metrics

<!-- Written by the program from its own catalogue (src/metrics/catalogue/list.rs). To rewrite it:
     EXOTEL_EXPORTER_WRITE_DOCS=1 cargo test --lib docs_metrics_md -->

Counters and histograms marked **store** live in the store beside the calls and survive restarts; the
others begin at zero with each start. Every series that can occur is exported as 0 from the moment its
account or ExoPhone is known.
";

/// The text of `docs/metrics.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for group in Group::ALL {
        let mut table = format!(
            "\n## {}\n\n| name | type | labels | kept in | meaning |\n|---|---|---|---|---|\n",
            group.title()
        );
        for family in ALL.iter().filter(|family| family.group == group) {
            let kept = match family.kept {
                Kept::Process => "memory",
                Kept::Store => "**store**",
            };
            writeln!(
                table,
                "| `{}` | {} | {} | {kept} | {} |",
                family.name,
                family.kind.as_str(),
                family.labels.join(", "),
                family.help
            )
            .expect("a String takes every write");
        }
        text.push_str(&table);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_metrics_md_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let expected = markdown();
        if std::env::var_os("EXOTEL_EXPORTER_WRITE_DOCS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let actual = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            actual == expected,
            "docs/metrics.md is not what the catalogue says; run the tests once with \
             EXOTEL_EXPORTER_WRITE_DOCS=1"
        );
    }
}

//! The text format 0.0.4, derived from the OpenMetrics text that prometheus-client writes.
//!
//! Both formats share the form of samples. They differ in the lines round them: the older one names a
//! counter by its samples (`x_total`), knows no UNIT, no `# EOF`, no exemplars and no `_created`
//! samples, and has other words for two types. One pass over the text, one output buffer; a sample
//! line is copied whole. Source: Prometheus "Exposition formats" and the OpenMetrics 1.0 specification
//! (read 2026-11).

/// Rewrites OpenMetrics text, as prometheus-client writes it, as text 0.0.4.
///
/// HELP comes before TYPE there, so it waits until the type tells the name. Sample timestamps, which
/// this program never writes and whose unit differs, are cut.
pub(super) fn from_openmetrics(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    let mut help: Option<(&str, &str)> = None;
    let mut family = Current { name: "", has_created: false };
    for line in openmetrics.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.trim_end().split_once(' ').unwrap_or((rest.trim_end(), "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            family = Current { name, has_created: matches!(kind, "counter" | "histogram" | "summary") };
            if let Some((_, text)) = help.take().filter(|(named, _)| *named == name) {
                push_all(&mut out, &["# HELP ", name, suffix, " ", text]);
            }
            push_all(&mut out, &["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') && !family.created(line) {
            push_sample(&mut out, line);
        }
    }
    out
}

/// The family whose samples follow.
struct Current<'a> {
    name: &'a str,
    has_created: bool,
}

impl Current<'_> {
    /// Whether a line is this family's `_created` sample.
    fn created(&self, line: &str) -> bool {
        self.has_created
            && line
                .strip_prefix(self.name)
                .and_then(|rest| rest.strip_prefix("_created"))
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
    }
}

/// Copies `name{labels} value`, without what may follow it.
fn push_sample(out: &mut String, line: &str) {
    let bytes = line.as_bytes();
    // Every sample of ours ends in `} value` or `name value`: its last space stands before the value.
    // Only a line with more behind the value has to be read from its beginning.
    let last_space = bytes.iter().rposition(|b| *b == b' ').unwrap_or(0);
    if last_space > 0
        && (bytes[last_space - 1] == b'}' || !bytes[..last_space].contains(&b' '))
        && !line.contains(" # ")
    {
        out.push_str(line);
        return;
    }
    let labels = labels_end(bytes);
    let value = line[labels..].trim_start_matches(' ');
    let value = value.split(' ').next().unwrap_or("").trim_end();
    push_all(out, &[&line[..labels], " ", value, "\n"]);
}

/// Where name and labels end.
fn labels_end(bytes: &[u8]) -> usize {
    let Some(start) = bytes.iter().position(|b| matches!(b, b'{' | b' ')) else { return bytes.len() };
    if bytes[start] == b' ' {
        return start;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn push_all(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPENMETRICS: &str = include_str!("testdata/sample.openmetrics.txt");
    const TEXT: &str = include_str!("testdata/sample.txt");

    #[test]
    fn the_sample_comes_out_as_written_by_hand() {
        assert_eq!(from_openmetrics(OPENMETRICS), TEXT);
    }

    #[test]
    fn an_empty_exposition_is_empty() {
        assert_eq!(from_openmetrics("# EOF\n"), "");
    }

    /// One family as both formats should have it, written here without looking at the code above.
    #[derive(Clone, Debug)]
    struct Sample {
        name: String,
        kind: usize,
        help: String,
        unit: bool,
        series: Vec<(Vec<(String, String)>, u32)>,
        exemplar: bool,
        created: bool,
    }

    fn quoted(labels: &[(String, String)]) -> String {
        if labels.is_empty() {
            return String::new();
        }
        let list: Vec<String> = labels
            .iter()
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{name}=\"{value}\"")
            })
            .collect();
        format!("{{{}}}", list.join(","))
    }

    /// (OpenMetrics, text 0.0.4)
    fn both(families: &[Sample]) -> (String, String) {
        let (mut om, mut text) = (String::new(), String::new());
        for f in families {
            let name = if f.unit { format!("{}_seconds", f.name) } else { f.name.clone() };
            // Type in OpenMetrics, type in text, suffix of the samples, suffix of the family in text.
            let (om_kind, text_kind, sample, head) = [
                ("counter", "counter", "_total", "_total"),
                ("gauge", "gauge", "", ""),
                ("histogram", "histogram", "_bucket", ""),
                ("info", "gauge", "_info", "_info"),
                ("unknown", "untyped", "", ""),
            ][f.kind];
            om += &format!("# HELP {name} {}\n# TYPE {name} {om_kind}\n", f.help);
            if f.unit {
                om += &format!("# UNIT {name} seconds\n");
            }
            text += &format!("# HELP {name}{head} {}\n# TYPE {name}{head} {text_kind}\n", f.help);
            for (labels, value) in &f.series {
                let labels = quoted(labels);
                om += &format!("{name}{sample}{labels} {value}");
                if f.exemplar && matches!(f.kind, 0 | 2) {
                    om += " # {trace_id=\"} # {\"} 1.0 1.5";
                }
                om += "\n";
                text += &format!("{name}{sample}{labels} {value}\n");
                if f.created && matches!(f.kind, 0 | 2) {
                    om += &format!("{name}_created{labels} 1700000000.5\n");
                }
            }
        }
        om += "# EOF\n";
        (om, text)
    }

    prop_compose! {
        fn family()(
            name in "[a-z]{1,6}(_[a-z]{1,6}){0,2}",
            kind in 0..5_usize,
            help in "[A-Z][a-z #{}]{0,30}\\.",
            unit: bool,
            exemplar: bool,
            created: bool,
            series in prop::collection::vec(
                (prop::collection::vec(("[a-z_]{1,8}", "[a-z #{}\"\\\\\n= ९é]{0,12}"), 0..4), any::<u32>()),
                0..4,
            ),
        ) -> Sample {
            Sample { name, kind, help, unit, series, exemplar, created }
        }
    }

    proptest! {
        #[test]
        fn any_exposition_reads_the_same_in_both_formats(
            families in prop::collection::vec(family(), 0..5)
        ) {
            let (openmetrics, text) = both(&families);
            prop_assert_eq!(from_openmetrics(&openmetrics), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            from_openmetrics(&text);
        }
    }
}

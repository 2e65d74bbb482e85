//! The readers must refuse what they are there to find.

use super::{Format, parse};

const TEXT: &str = r#"# HELP exotel_calls_total Settled calls, once per root call.
# TYPE exotel_calls_total counter
exotel_calls_total{account="acme",status="completed"} 3
exotel_calls_total{account="acme",status="failed"} 0
# HELP exotel_up A quoted "word" and a back\\slash.
# TYPE exotel_up gauge
exotel_up{account="a\"c\\me\n"} 1
# HELP wait_seconds Time waited.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 1.25e1
wait_seconds_count 2
"#;

const OPEN: &str = r#"# HELP exotel_calls Settled calls.
# TYPE exotel_calls counter
exotel_calls_total{account="acme"} 3 # {call_sid="abc"} 1 1700000000.5
# HELP wait_seconds Time waited.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le="1.0"} 1
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 12.5
wait_seconds_count 2
# HELP exotel_exporter_build Build.
# TYPE exotel_exporter_build info
exotel_exporter_build_info{version="1"} 1
# EOF
"#;

#[test]
fn a_good_text_scrape_is_read_with_its_escapes() {
    let families = parse(Format::Text, TEXT).unwrap();
    assert_eq!(families.len(), 3);
    assert_eq!(families[0].samples[0].labels["status"], "completed");
    assert_eq!(families[0].samples[0].value, 3.0);
    assert_eq!(families[1].help, "A quoted \"word\" and a back\\slash.");
    assert_eq!(families[1].samples[0].labels["account"], "a\"c\\me\n");
    assert_eq!(families[2].samples[2].value, 12.5);
}

#[test]
fn a_good_openmetrics_scrape_is_read() {
    let families = parse(Format::OpenMetrics, OPEN).unwrap();
    assert_eq!(families[0].samples[0].name, "exotel_calls_total");
    assert_eq!(families[1].unit, "seconds");
    assert_eq!(families[2].kind, "info");
}

#[track_caller]
fn refused(format: Format, from: &str, to: &str, fault: &str) {
    let good = if format == Format::Text { TEXT } else { OPEN };
    assert!(good.contains(from), "{from:?} is in no good scrape");
    let message = parse(format, &good.replacen(from, to, 1)).expect_err("a strict reader");
    assert!(message.contains(fault), "{fault:?} expected, got {message:?}");
}

#[test]
fn every_fault_of_a_text_scrape_is_found() {
    let t = Format::Text;
    refused(t, "wait_seconds_count 2\n", "wait_seconds_count 2", "does not end");
    refused(t, "# TYPE exotel_up gauge\n", "", "no sample of");
    refused(t, "# HELP exotel_up A quoted \"word\" and a back\\\\slash.\n", "", "no HELP");
    refused(t, "status=\"failed\"} 0", "status=\"completed\"} 0", "twice");
    refused(t, "status=\"failed\"} 0", "status=\"failed\"} 0 1700000000000", "timestamp");
    refused(t, "status=\"failed\"} 0", "status=\"failed\"} -1", "of a counter");
    refused(t, "status=\"failed\"} 0", "status=\"failed\"} NaN", "NaN");
    refused(t, "status=\"failed\"} 0", "status=\"failed\"} three", "no number");
    refused(t, "status=\"failed\"} 0", "status=\"failed\",status=\"busy\"} 0", "the label status twice");
    refused(t, "status=\"failed\"} 0", "status=\"failed\" 0", "neither , nor }");
    refused(
        t,
        "exotel_calls_total{account=\"acme\",status=\"failed\"}",
        "exotel_other_total",
        "no sample of",
    );
    refused(t, "\\n\"} 1", "\\t\"} 1", "escape");
    refused(t, "# TYPE exotel_up gauge", "# TYPE exotel_up thing", "no sample of");
    refused(
        t,
        "# HELP wait_seconds Time waited.\n# TYPE wait_seconds",
        "# HELP exotel_up Again.\n# TYPE exotel_up",
        "after samples",
    );
    refused(t, "wait_seconds_bucket{le=\"+Inf\"} 2", "wait_seconds_bucket{le=\"+Inf\"} 0", "rise");
    refused(t, "wait_seconds_bucket{le=\"+Inf\"} 2\n", "", "+Inf");
    refused(t, "wait_seconds_count 2", "wait_seconds_count 3", "_count");
    refused(t, "wait_seconds_sum 1.25e1\n", "", "_sum");
    refused(t, "exotel_up{", "exotel_up {", "too many blanks");
    refused(t, "# HELP exotel_up", "#HELP exotel_up", "no blank");
    refused(t, "# HELP wait_seconds", "\n# HELP wait_seconds", "no value");
    refused(t, "exotel_calls_total counter", "exotel_calls_total gauge", "a gauge with _total");
}

#[test]
fn every_fault_of_an_openmetrics_scrape_is_found() {
    let o = Format::OpenMetrics;
    refused(o, "# EOF\n", "", "EOF");
    refused(o, "# EOF\n", "# EOF\n\n", "EOF");
    refused(o, "exotel_calls_total{", "exotel_calls{", "an exemplar where none may be");
    refused(o, "exotel_exporter_build_info{", "exotel_exporter_build{", "no sample of");
    refused(o, "# UNIT wait_seconds seconds", "# UNIT wait_seconds bytes", "unit");
    refused(o, "le=\"1.0\"", "le=\"1\"", "canonical");
    refused(o, "wait_seconds_sum 12.5", "wait_seconds_sum 12.5 # {a=\"b\"} 1", "exemplar");
    refused(o, "# HELP exotel_exporter_build Build.", "# EOF", "no name");
    refused(o, "wait_seconds_bucket{le=\"1.0\"} 1", "wait_seconds_bucket 1", "le");
    refused(o, "# TYPE exotel_exporter_build info", "# TYPE exotel_exporter_build gauge", "no sample of");
}

#[test]
fn a_family_may_not_come_in_two_places() {
    let twice = format!("{TEXT}# HELP exotel_up Again.\n# TYPE exotel_up gauge\n");
    assert!(parse(Format::Text, &twice).unwrap_err().contains("two places"));
}

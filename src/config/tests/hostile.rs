//! Whatever a file holds, the answer is a configuration or faults.

use std::path::Path;

use proptest::prelude::*;

use crate::config::fault::Findings;
use crate::config::keys::KEYS;
use crate::config::node::Node;
use crate::config::section::Reader;
use crate::config::{Config, file, values};

/// Reads a text as a file; the number of faults.
fn faults(text: &str) -> usize {
    let findings = Findings::default();
    let reader = Reader::new(Path::new("test.yml"), &findings);
    match Node::parse(text) {
        Ok(node) => file::read(reader.root(&node), &mut Config::default()),
        Err(reason) => findings.fault("test.yml", "", reason),
    }
    findings.into_result().map_or_else(|faults| faults.0.len(), |_| 0)
}

/// Values that no key takes as they are, and some that a few take.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9:/@.+-]{0,12}",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "\\PC{0,8}".prop_map(|text| format!("{text:?}")),
        Just("[]".to_owned()),
        Just("[[a], {b: c}, 1]".to_owned()),
        Just("{a: {b: [c]}}".to_owned()),
        Just("~".to_owned()),
        Just("!tag x".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:{}\\[\\]&*!|>'\"#,?~ \\n0-9-]{0,60}") {
        faults(&text);
    }

    #[test]
    fn any_value_under_any_key_is_read_or_refused(n in 0..KEYS.len(), value in value()) {
        let path = KEYS[n].path;
        let text = match path.strip_prefix("accounts[].").unwrap_or(path).split_once('.') {
            Some((section, key)) if path.starts_with("accounts") => {
                format!("accounts:\n  - {section}:\n      {key}: {value}\n")
            }
            Some((section, key)) => format!("{section}:\n  {key}: {value}\n"),
            None => format!("accounts:\n  - {}: {value}\n", &path["accounts[].".len()..]),
        };
        faults(&text);
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written(millis in 0_u64..3_153_600_000_000) {
        let value = std::time::Duration::from_millis(millis);
        prop_assert_eq!(values::duration(&values::write_duration(value)), Ok(value));
    }

    #[test]
    fn any_text_is_a_duration_or_none(text in "[0-9a-zµ]{0,24}") {
        values::duration(&text).ok();
        values::size(&text).ok();
        values::listen_address(&format!("{text}:{text}")).ok();
        values::base_url(&format!("http://{text}")).ok();
    }
}

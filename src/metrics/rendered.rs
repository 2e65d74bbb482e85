//! For tests: what a scrape of a registry holds.

use prometheus_client::registry::Registry;

/// The registry as OpenMetrics text.
pub(crate) fn text(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("a string takes it");
    text
}

/// Asserts that a line stands in a text.
#[track_caller]
pub(crate) fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "{line}\nis not in\n{text}");
}

//! What was built, for `--version` and `exotel_exporter_build_info`.

/// The version of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from; `EXOTEL_EXPORTER_REVISION` at build time.
pub const REVISION: &str = known(option_env!("EXOTEL_EXPORTER_REVISION"));

/// The branch it was built from; `EXOTEL_EXPORTER_BRANCH` at build time.
pub const BRANCH: &str = known(option_env!("EXOTEL_EXPORTER_BRANCH"));

/// When and by whom it was built; left out of a build that is to be repeatable.
const DATE: &str = known(option_env!("EXOTEL_EXPORTER_BUILD_DATE"));

const fn known(text: Option<&'static str>) -> &'static str {
    match text {
        Some(text) if !text.is_empty() => text,
        _ => "unknown",
    }
}

/// The lines of `--version`, in the form of the Prometheus family.
pub fn text() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "exotel-exporter, version {VERSION} (branch: {BRANCH}, revision: {REVISION})\n  build date:       {DATE}\n  platform:         {os}/{arch}\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_has_the_form_of_the_prometheus_family() {
        let text = super::text();
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("exotel-exporter, version 0."), "{first}");
        assert!(first.contains("(branch: ") && first.contains(", revision: "), "{first}");
        assert!(text.contains("\n  platform:         linux/") || !cfg!(target_os = "linux"), "{text}");
    }
}

//! Where `tests/install` put the programs that the tests use.

use std::path::PathBuf;

/// A pair of Prometheus and promtool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The one of the machine's own Debian release (2.42 on Debian 12); the tests need it.
    Debian,
    /// Prometheus 3; skipped where it cannot be had.
    Three,
}

impl Version {
    /// Those that are here. A missing Debian one fails the test, a missing 3 is said and left out.
    pub(crate) fn here() -> Vec<Self> {
        match Self::Three.bin("prometheus") {
            Ok(_) => vec![Self::Debian, Self::Three],
            Err(reason) => {
                super::note(&format!("SKIPPED: Prometheus 3: {reason}"));
                vec![Self::Debian]
            }
        }
    }

    /// A program of the pair: `prometheus`, `promtool`.
    pub(crate) fn bin(self, name: &str) -> Result<PathBuf, String> {
        let (tree, or_else) = match self {
            Self::Debian => ("prometheus-debian", "run tests/install first".to_owned()),
            Self::Three => (
                "prometheus-3",
                std::fs::read_to_string(folder().join("prometheus-3.skipped")).map_or_else(
                    |_| "run tests/install to try it".to_owned(),
                    |reason| reason.trim().to_owned(),
                ),
            ),
        };
        let program = folder().join(tree).join("usr/bin").join(name);
        if program.is_file() { Ok(program) } else { Err(or_else) }
    }
}

/// The Python interpreter that has `prometheus_client`.
pub(crate) fn python() -> PathBuf {
    let python = folder().join("python/bin/python");
    assert!(python.exists(), "no OpenMetrics parser in {}: run tests/install first", python.display());
    python
}

/// schemathesis, or why it is not here.
pub(crate) fn schemathesis() -> Result<PathBuf, String> {
    let program = folder().join("schemathesis/bin/schemathesis");
    if folder().join("schemathesis/requirements.installed").is_file() && program.is_file() {
        return Ok(program);
    }
    let reason = std::fs::read_to_string(folder().join("schemathesis.skipped"));
    Err(reason.map_or_else(|_| "run tests/install to try it".to_owned(), |reason| reason.trim().to_owned()))
}

/// Debian's node exporter.
pub(crate) fn node_exporter() -> PathBuf {
    let program = folder().join("node-exporter/usr/bin/prometheus-node-exporter");
    assert!(program.is_file(), "no node exporter at {}: run tests/install first", program.display());
    program
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("EXOTEL_TEST_TOOLS") {
        return folder.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.expect("a home folder").join("exotel-exporter/tools")
}

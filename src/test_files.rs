//! For tests: texts that are kept in the repository and written by the code.

use std::path::Path;

/// Holds a text against a file of the repository; with `BLESS=1` writes the file instead.
pub(crate) fn check(path: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs (run the test with BLESS=1, then look at the change)", path.display());
}

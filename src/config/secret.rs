//! Texts that must not show.

use std::fmt;

/// A secret text: an API token, a webhook secret. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; never for a log, an error, a label or a page.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What tokens of the monitoring API are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiKey {
    /// A shared secret, HS256.
    Shared(Secret),
    /// A public key in PEM form, RS256 or ES256.
    Public(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", ApiKey::Shared(Secret::new("hush"))), "Shared((hidden))");
    }
}

//! Faults and warnings, collected so that all are told at once.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it was said: the file's name, `environment`, or `flags`.
    pub source: String,
    /// Which key, variable or flag: `accounts[1].rate_limits.voice`; empty where the whole file is meant.
    pub key: String,
    /// What was expected and what came; never a secret, never a phone number.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.source, self.reason),
            key => write!(f, "{}: {key}: {}", self.source, self.reason),
        }
    }
}

/// Every fault that was found; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    /// One fault a line, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            let line_end = if n == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects while the sources are read. One for each load; not shared between threads.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<String>>,
}

impl Findings {
    pub(crate) fn fault(&self, source: &str, key: &str, reason: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            source: source.to_owned(),
            key: key.to_owned(),
            reason: reason.into(),
        });
    }

    pub(crate) fn warn(&self, source: &str, key: &str, text: impl Into<String>) {
        let warning = Fault { source: source.to_owned(), key: key.to_owned(), reason: text.into() };
        self.warnings.borrow_mut().push(warning.to_string());
    }

    /// Whether there is no fault so far.
    pub(crate) fn is_faultless(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// Takes over what another reading found.
    pub(crate) fn take(&self, found: Result<Vec<String>, Faults>) {
        match found {
            Ok(warnings) => self.warnings.borrow_mut().extend(warnings),
            Err(Faults(faults)) => self.faults.borrow_mut().extend(faults),
        }
    }

    /// The warnings, or all faults if there is one.
    pub(crate) fn into_result(self) -> Result<Vec<String>, Faults> {
        match self.faults.into_inner() {
            faults if faults.is_empty() => Ok(self.warnings.into_inner()),
            faults => Err(Faults(faults)),
        }
    }
}

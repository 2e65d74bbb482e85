//! `check-config`: reads the settings and says what they mean for the limit.

use std::process::ExitCode;

use super::Flags;
use crate::config::Accounts;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter check-config --config.file=exotel-exporter.yml
      Exit status 0 if the agent would start with it, 1 with one line for each fault if not.";

/// Prints the report on standard output, warnings and faults on standard error.
pub(super) async fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Required)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print!("{}", loaded.config.budget_report());
    Ok(ExitCode::SUCCESS)
}

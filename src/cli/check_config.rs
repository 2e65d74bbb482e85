//! `check-config`: reads the settings and says what they mean for the limit.

use std::process::ExitCode;

use super::{Flags, say};
use crate::config::{Accounts, Loaded};

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
    say(&report(flags, &loaded))?;
    Ok(ExitCode::SUCCESS)
}

/// What was read, in a line, and what it costs.
fn report(flags: &Flags, loaded: &Loaded) -> String {
    let source = match &flags.config_file {
        Some(file) => file.display().to_string(),
        None => "environment and flags".to_owned(),
    };
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        more => format!(", {more} warnings"),
    };
    let store = loaded.config.store.path.display();
    let listen: Vec<String> = loaded.config.web.listen.iter().map(ToString::to_string).collect();
    let (listen, path) = (listen.join(", "), &loaded.config.web.telemetry_path);
    let budget = loaded.config.budget_report();
    format!("{source}: no fault{warnings}\nstore {store}, metrics at {listen} under {path}\n\n{budget}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Account, Config};

    #[test]
    fn the_report_begins_with_what_was_read() {
        let mut config = Config::default();
        config.accounts.push(Account::new("acme1", "hush", "hush"));
        let mut loaded = Loaded { config, warnings: Vec::new() };
        let text = report(&Flags::default(), &loaded);
        assert!(text.starts_with(
            "environment and flags: no fault\nstore data/exotel-exporter.redb, metrics at 127.0.0.1:10043 under /metrics\n\naccount acme1"
        ), "{text}");
        assert!(!text.contains("hush"));
        loaded.warnings.push("x".to_owned());
        let flags = Flags { config_file: Some("a.yml".into()), ..Flags::default() };
        assert!(report(&flags, &loaded).starts_with("a.yml: no fault, 1 warning\n"));
    }
}

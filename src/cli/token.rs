//! `token`: prints a token for the monitoring API.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Flags, say};
use crate::config::{Accounts, values};
use crate::model::Clock;
use crate::web::access::{Role, issue};

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter token --role manager --ttl 8h --config.file=exotel-exporter.yml
      Signed with api.jwt_secret. Whoever has it may read until it expires; there is no way to call it back
      but another secret.";

/// Arguments of `token`.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    /// What the token allows: `super_admin`, `admin` or `manager`
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// How long it is valid: 30m, 24h, 90d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = values::duration)]
    pub ttl: Duration,
}

/// Prints the token alone, so that a script can take it as it is.
pub(super) fn run(flags: &Flags, args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let loaded = flags.load(Accounts::Optional)?;
    let token = issue(&loaded.config.api, args.role, args.ttl, Clock::system().now()).inspect_err(|_| {
        // One of them may tell why there is no key.
        for warning in &loaded.warnings {
            eprintln!("warning: {warning}");
        }
    })?;
    say(&format!("{token}\n"))?;
    Ok(ExitCode::SUCCESS)
}

//! The command line: what may be said, and one file for each command.

mod check_config;
mod demo;
mod flags;
mod run;
mod simulate;
mod store;
#[cfg(test)]
mod tests;
mod token;
pub mod version;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use demo::DemoArgs;
pub use flags::Flags;
pub use simulate::SimulateArgs;
pub use store::{StoreArgs, StoreCommand};
pub use token::TokenArgs;

/// Watches Exotel accounts for Prometheus: every call counted exactly once, in a store that survives
/// crashes and restarts.
#[derive(Debug, Parser)]
#[command(
    name = "exotel-exporter",
    disable_version_flag = true,
    subcommand_help_heading = "Commands (run is the default)",
    after_help = EXAMPLES
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  exotel-exporter demo
      Look around without an account: a simulated Exotel with lively traffic.
  EXOTEL_SID=acme1 EXOTEL_API_KEY=… EXOTEL_API_SECRET=… exotel-exporter
      Watch one account; metrics are at http://127.0.0.1:10043/metrics.
  exotel-exporter check-config --config.file=exotel-exporter.yml
      Find every fault of a configuration before it runs.

Settings are taken from the flag, else the environment, else the file, else the default.
Exit status: 0 done, 1 failed, 2 wrong usage.";

/// One command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the configured accounts and serve metrics until told to stop
    #[command(after_help = run::EXAMPLE)]
    Run,
    /// Try everything without an account: agent and simulated Exotel in one process
    #[command(after_help = demo::EXAMPLE)]
    Demo(DemoArgs),
    /// Serve a simulated Exotel API to point an agent or a test at
    #[command(after_help = simulate::EXAMPLE)]
    Simulate(SimulateArgs),
    /// Check the settings: every fault with file, key and reason, and the share of Exotel's limit in use
    #[command(after_help = check_config::EXAMPLE)]
    CheckConfig,
    /// Look after the store: check, measure, back up, bring back, shrink
    #[command(after_help = store::EXAMPLE)]
    Store(StoreArgs),
    /// Print a token for the monitoring API
    #[command(after_help = token::EXAMPLE)]
    Token(TokenArgs),
}

impl Cli {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// Wrong usage, and the texts of `--help`; clap's own error knows its exit status.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let given = args.iter().filter(|arg| flags::is_listen_address(arg)).count();
        let cli = Self::try_parse_from(args)?;
        // clap keeps the flags of one side of the command only; an address must not go silently.
        if given > cli.flags.listen_address.len() {
            return Err(Self::command().error(
                clap::error::ErrorKind::ArgumentConflict,
                "--web.listen-address stands before and after the command; give all addresses on one side",
            ));
        }
        // Nor may this: a demo in a real store would leave simulated calls there for good.
        if matches!(cli.command, Some(Command::Demo(_))) && cli.flags.store_path.is_some() {
            return Err(Self::command().error(
                clap::error::ErrorKind::ArgumentConflict,
                "demo takes no --store.path: its store is in a temporary folder and goes when the demo ends",
            ));
        }
        Ok(cli)
    }

    /// Does what was asked, until it is done.
    ///
    /// # Errors
    /// What went wrong, for a person to read; faults of the settings as [`crate::config::Faults`].
    pub async fn execute(self) -> anyhow::Result<ExitCode> {
        if self.flags.version {
            say(&version::text())?;
            return Ok(ExitCode::SUCCESS);
        }
        match self.command.unwrap_or(Command::Run) {
            Command::Run => run::run(&self.flags).await,
            Command::Demo(args) => demo::run(&self.flags, &args).await,
            Command::Simulate(args) => simulate::run(&self.flags, &args).await,
            Command::CheckConfig => check_config::run(&self.flags).await,
            Command::Store(args) => store::run(&self.flags, args.command).await,
            Command::Token(args) => token::run(&self.flags, &args),
        }
    }
}

/// Writes to standard output. A reader that has left (`| head`) is no fault.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

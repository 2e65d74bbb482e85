//! `store`: care of the store.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Flags;
use crate::config::Accounts;

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter store --store.path=data/exotel-exporter.redb backup /backup/calls.redb
      A whole copy of the store, made while the agent goes on.";

/// Arguments of `store`.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// One task on the store.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// Read every record and say whether each is what was written; exit 1 if one is not
    Check,
    /// Print size, records by kind and the time that they cover
    Stats,
    /// Write a copy to FILE, which must not exist yet; the agent may go on
    Backup {
        /// The copy.
        file: PathBuf,
    },
    /// Put the copy FILE in the store's place; counters start from 0. The agent must be stopped
    Restore {
        /// The copy.
        file: PathBuf,
    },
    /// Give free space back to the disk. The agent must be stopped
    Compact,
}

/// Does one task and reports it on standard output.
pub(super) async fn run(flags: &Flags, _command: StoreCommand) -> anyhow::Result<ExitCode> {
    let _loaded = flags.load(Accounts::Unused)?;
    anyhow::bail!("the care of the store is not wired yet")
}

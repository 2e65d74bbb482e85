//! `store`: care of the store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::runtime::Handle;

use super::{Flags, say};
use crate::config::{Accounts, Secret};
use crate::control::{self, AskError};
use crate::model::Clock;
use crate::store::{self, EraseError, OpenError};

/// One line on standard output, for a reader that may leave.
macro_rules! line {
    ($($text:tt)*) => { say(&format!("{}\n", format_args!($($text)*)))? };
}

pub(super) const EXAMPLE: &str = "\
Example:
  exotel-exporter store --store.path=data/exotel-exporter.redb backup /backup/calls.redb
      A whole copy of the store, made while the agent goes on.
  exotel-exporter store --config.file=exotel-exporter.yml erase --number +919900000001
      What the store knows of one person is gone, whether the agent runs or not; counters stay.";

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
    /// Say whether every record is what was written and, while no agent runs, every page of the file too; exit 1 if not
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
    /// Take the personal data of one number out, for good; counters stay. The agent may go on
    Erase {
        /// A phone number in any form, or the address of an agent's app (`sip:…`).
        #[arg(long, value_name = "NUMBER", value_parser = number)]
        number: Secret,
    },
}

/// Hidden in whatever is printed of the arguments.
fn number(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Does one task and reports it on standard output.
pub(super) async fn run(flags: &Flags, command: StoreCommand) -> anyhow::Result<ExitCode> {
    let path = flags.load(Accounts::Unauthenticated)?.config.store.path;
    tokio::task::spawn_blocking(move || care(&path, &command)).await?
}

fn care(path: &Path, command: &StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Check => {
            let report = store::check(path, &mut show_check)?;
            eprintln!();
            for fault in &report.faults {
                line!("{fault}");
            }
            if report.faults.is_empty() {
                let what = match report.pages {
                    store::Pages::Verified => "every record and every page of the file is sound",
                    store::Pages::Skipped => {
                        "every record is sound (the pages of the file are verified too while no agent runs)"
                    }
                };
                line!("{}: {} calls read, {what}", path.display(), report.calls);
                return Ok(ExitCode::SUCCESS);
            }
            Ok(ExitCode::FAILURE)
        }
        StoreCommand::Stats => {
            print_stats(&store::stats(path)?)?;
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Backup { file } => {
            store::backup(path, file, &mut progress("copied"))?;
            eprintln!();
            line!("{} is a copy of {}; `store restore` brings it back", file.display(), path.display());
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Restore { file } => {
            match store::restore(path, file)? {
                Some(kept) => {
                    line!("{} is restored; what was there is {}", path.display(), kept.display());
                }
                None => line!("{} is restored", path.display()),
            }
            line!("counters start from 0; calls after the copy are read again from Exotel and counted");
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Compact => {
            let (before, after) = store::compact(path)?;
            line!("{}: {before} bytes before, {after} after", path.display());
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Erase { number } => {
            let erasure = erase(path, number.expose())?;
            eprintln!();
            print_erasure(erasure)
        }
    }
}

/// Erases in the file, or, where an agent holds it, through that one.
fn erase(path: &Path, number: &str) -> anyhow::Result<store::Erasure> {
    let mut progress = progress("looked at");
    match store::erase(path, number, Clock::system().now(), &mut progress) {
        Err(EraseError::Store(held @ OpenError::InUse { .. })) => {
            let asked = Handle::current().block_on(control::erase(path, number, &mut progress));
            asked.map_err(|error| match error {
                AskError::Unreachable { .. } => anyhow::Error::new(error).context(held),
                error => error.into(),
            })
        }
        alone => Ok(alone?),
    }
}

/// Says what was erased, never whose; 1 if something could not be looked at.
fn print_erasure(erasure: store::Erasure) -> anyhow::Result<ExitCode> {
    let store::Erasure { calls, set_aside, kept, unread, is_new } = erasure;
    line!("{:<12} {:>12}", "table", "rows erased");
    for (table, rows) in [("calls", calls), ("set_aside", set_aside), ("kept", kept)] {
        line!("{table:<12} {rows:>12}");
    }
    line!(
        "{}",
        if is_new {
            "what Exotel shows of this number from now on is not stored"
        } else {
            "the number was erased before; what Exotel shows of it is not stored"
        }
    );
    line!("backups and Exotel itself have their own copies; docs/security.md says more");
    if unread == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    line!("{unread} rows are damaged and were not looked at; `store check` says more");
    Ok(ExitCode::FAILURE)
}

/// Shows how far a long task is, on one line of the terminal.
fn progress(what: &str) -> impl FnMut(u64, u64) {
    move |done, total| eprint!("\r{what} {done} of {total} calls")
}

fn show_check(step: store::CheckStep) {
    match step {
        store::CheckStep::Calls { done, total } => progress("checked")(done, total),
        store::CheckStep::Pages => eprint!("\nverifying every page of the file"),
    }
}

fn print_stats(stats: &store::Stats) -> std::io::Result<()> {
    line!("{}: {} bytes, layout {}", stats.path.display(), stats.file, stats.layout);
    line!("{:<12} {:>12} {:>16} {:>16}", "table", "rows", "stored bytes", "bytes of pages");
    for table in &stats.tables {
        line!("{:<12} {:>12} {:>16} {:>16}", table.name, table.rows, table.stored, table.pages);
    }
    for (sid, first_start, floor, watermark) in &stats.accounts {
        line!("account {sid}: first start {first_start}");
        if floor.0 > 0 {
            line!(
                "  calls created before {floor} (Exotel's clock) are past store.retention: neither kept nor counted"
            );
        }
        if let Some(watermark) = watermark {
            line!("  every call created before {watermark} (Exotel's clock) is read and final");
        }
    }
    Ok(())
}

//! Measures the program beside what it is compared with, in the same run, and says whether targets are met.
//!
//! `benches/run` prepares what is needed and calls this.

mod agent;
mod api;
mod asker;
mod calls;
mod figures;
mod growth;
mod ingest;
mod machine;
mod node;
mod ours;
mod postgres;
mod scrape;
mod sqlite;
mod webhooks;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    /// Folder on the disk to measure; emptied first
    #[arg(long)]
    folder: PathBuf,
    /// Leave the folder as it is at the end
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Pages through decoding, reconciling and a durable commit, beside PostgreSQL and SQLite
    Ingest {
        /// Connection of a PostgreSQL server: `host=/folder/of/socket user=bench dbname=postgres`
        #[arg(long)]
        postgres: String,
        /// `node/upsert.js`, beside its `node_modules`
        #[arg(long)]
        node: PathBuf,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Nothing but our own way, one page a commit, for a profiler
    Profile {
        /// Calls stored before
        #[arg(long, default_value_t = 0)]
        stored: u64,
        #[arg(long, default_value_t = 1000)]
        pages: u64,
    },
    /// Speed, size and memory with many calls stored, and starts of the binary
    Growth {
        /// The release binary
        #[arg(long)]
        binary: PathBuf,
        /// Calls at which to measure, ascending
        #[arg(long, value_delimiter = ',', default_value = "0,1000000,10000000")]
        calls: Vec<u64>,
        /// A store that an earlier run left with `--keep`: nothing is filled, the binary alone is measured
        #[arg(long)]
        store: Option<PathBuf>,
    },
    /// Every route of the API on a store with many calls, checks and runs
    Api {
        /// The release binary
        #[arg(long)]
        binary: PathBuf,
        /// Calls stored
        #[arg(long, default_value_t = 10_000_000)]
        calls: u64,
        /// A store that an earlier run left with `--keep`: nothing is filled
        #[arg(long)]
        store: Option<PathBuf>,
        /// Seconds for each route and number of connections
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// The metrics page, beside prom-client
    Scrape {
        /// The release binary
        #[arg(long)]
        binary: PathBuf,
        /// `node/server.js`, beside its `node_modules`
        #[arg(long)]
        node: PathBuf,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Callbacks of calls and the largest heartbeat, over HTTP
    Webhooks {
        /// The release binary
        #[arg(long)]
        binary: PathBuf,
        /// `wrk/callbacks.lua`
        #[arg(long)]
        script: PathBuf,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let Arguments { folder, keep, part } = Arguments::parse();
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    machine::print(&folder)?;
    let verdicts = match part {
        Part::Ingest { postgres, node, rounds } => ingest::run(&folder, &postgres, &node, rounds)?,
        Part::Profile { stored, pages } => growth::profile(&folder, stored, pages)?,
        Part::Growth { binary, calls, store } => growth::run(&folder, &binary, &calls, store)?,
        Part::Api { binary, calls, store, seconds } => api::run(&folder, &binary, calls, store, seconds)?,
        Part::Scrape { binary, node, rounds } => scrape::run(&folder, &binary, &node, rounds)?,
        Part::Webhooks { binary, script, rounds } => webhooks::run(&folder, &binary, &script, rounds)?,
    };
    println!("\nLoad at the end: {}\n", machine::load()?);
    let missed = verdicts.print();
    if !keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

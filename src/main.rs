//! The binary: reads the command line, does what it says, ends with its status.

use std::process::ExitCode;

use exotel_exporter::cli::Cli;
use exotel_exporter::config::Faults;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|usage| usage.exit());
    match cli.execute().await {
        Ok(code) => code,
        Err(error) => {
            // Faults are lines of their own that name their place; anything else says that it is one.
            match error.downcast_ref::<Faults>() {
                Some(faults) => eprintln!("{faults}"),
                None => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

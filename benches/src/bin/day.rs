//! Requests for each 1,000 new calls over a simulated day: `day CALLS_A_DAY [inline|one-by-one]`.
//!
//! Agent and simulated Exotel run in this process on a clock that jumps: 24 hours after 4 of warming up, then
//! until everything is settled, when every total must equal the simulator's truth. 97 % of the calls settle 2 to
//! 4 minutes after their end, the rest within 15; 0.3 % last up to 4 hours. `inline`: pages bring leg details;
//! `one-by-one`: each completed call needs a request for them.

#[path = "../../../tests/it/support/rehearsal.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod rehearsal;

use anyhow::{Context as _, bail};
use exotel_exporter::simulator::{BulkDetails, LegsKnown, Options, Wire};

/// Most requests for 1,000 calls at a million a day with details in pages, and the share that counts in time.
const TARGET: f64 = 15.0;
const PROMPT: f64 = 0.95;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let calls: f64 = arguments.next().context("usage: day CALLS_A_DAY [inline|one-by-one]")?.parse()?;
    let field = rehearsal::field(calls);
    let (options, legs) = match arguments.next().as_deref() {
        None | Some("inline") => (field, LegsKnown::All),
        Some("one-by-one") => {
            let wire = Wire { bulk_details: BulkDetails::Ignored, ..field.wire };
            (Options { wire, ..field }, LegsKnown::WhereNeeded)
        }
        Some(other) => bail!("{other:?} is neither inline nor one-by-one"),
    };
    let inline = legs == LegsKnown::All;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let day = runtime.block_on(rehearsal::day(options, legs));
    let missed = (inline && calls >= 1e6 && day.requests > TARGET) || day.audit > 0.0 || day.prompt < PROMPT;
    println!("{}", if missed { "MISS" } else { "PASS" });
    anyhow::ensure!(!missed, "a target was missed");
    Ok(())
}

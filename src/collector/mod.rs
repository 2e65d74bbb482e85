//! Pollers: what is read from Exotel, when, and what for. One file each.
//!
//! They ask through [`account::Account`] and store through [`crate::ingest`]; none knows the web.

pub mod account;
pub mod audit;
pub mod balance;
pub mod calls;
pub mod details;
pub mod exophones;
pub mod health;
pub mod messages;
pub mod plan;
pub mod roster;
pub mod run;
pub mod status;
pub mod tasks;
pub mod terms;
#[cfg(test)]
pub(crate) mod trial;

pub use account::{Account, ManualRun};
pub use roster::Roster;
pub use status::Status;
pub use terms::{Stored, Terms};

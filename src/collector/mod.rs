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
pub mod run;
pub mod tasks;
#[cfg(test)]
pub(crate) mod trial;

pub use account::{Account, ManualRun, Status};

//! Keeping below Exotel's limits: who may send, and when.
//!
//! [`core`] decides, [`shell`] waits, [`crate::exotel::ledger`] remembers across restarts.

mod core;
mod pace;
mod queue;
pub(super) mod shell;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub(crate) use self::core::{Allowance, HOLD_MS, Held, Share};
pub(crate) use shell::Limiter;

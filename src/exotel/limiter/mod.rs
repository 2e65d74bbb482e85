//! Keeping below Exotel's limits: who may send, and when.
//!
//! [`core`] decides, [`shell`] waits, [`crate::exotel::ledger`] remembers across restarts.

mod core;
mod pace;
mod queue;
mod shell;
#[cfg(test)]
mod simulation;

pub(crate) use self::core::{Allowance, HOLD_MS, Held, Share};
pub(crate) use shell::Limiter;

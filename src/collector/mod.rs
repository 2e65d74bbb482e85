//! Pollers: what is read from Exotel, when, and what for. One file each.

pub mod plan;

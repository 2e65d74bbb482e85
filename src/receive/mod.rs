//! What Exotel tells us by callback, brought to the store: one file for each kind.

pub mod sms;

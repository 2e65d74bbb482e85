//! The embedded store.

pub mod bytes;
pub mod codec;

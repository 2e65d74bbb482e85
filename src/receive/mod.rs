//! What becomes of callbacks that could be read: stored first, then shown.

pub mod heartbeat;

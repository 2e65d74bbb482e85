//! Webhooks from outside: the built binary, real sockets, good and bad senders.

pub(crate) use sender::post;

mod bad_input;
mod crash;
mod days;
mod door;
mod memory;
mod outage;
mod sender;
mod truth;

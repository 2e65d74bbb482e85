//! Webhooks from outside: the built binary, real sockets, good and bad senders.

mod bad_input;
mod door;
mod memory;
mod sender;

//! Tests by behaviour: the built binary against the simulator, read as a user reads it.
//!
//! `support` holds the harness; every other file is one behaviour. Servers that the tests start (the agent, the
//! simulator, Prometheus) listen on loopback alone and end with their test.

mod support;

mod bad_input;
mod commands;
mod counting;
mod demo;
mod harness;
mod isolation;

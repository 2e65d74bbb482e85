//! Tests by behaviour: the built binary against the simulator, read as a user reads it.
//!
//! `support` holds the harness; every other file is one behaviour. Servers that the tests start (the agent, the
//! simulator, Prometheus) listen on loopback alone and end with their test.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests; here the helpers are tests too"
)]

mod support;

mod access;
mod alerts;
mod api;
mod bad_input;
mod balance;
mod budget;
mod canary;
mod commands;
mod counting;
mod dashboards;
mod demo;
mod erasing;
mod exposition;
mod harness;
mod health;
mod isolation;
mod reload;
mod simulated;
mod status_page;
mod webhooks;

//! exotel-exporter: watches Exotel accounts and exposes health, sync and call metrics.
//!
//! The way through the program: page or webhook -> parse -> reconcile -> store -> metrics -> scrape.

pub mod app;
pub mod cli;
pub mod collector;
pub mod config;
pub mod control;
mod desk;
pub mod exotel;
pub mod ingest;
pub mod metrics;
pub mod model;
mod picture;
pub mod receive;
pub mod reconcile;
pub mod settle;
pub mod simulator;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod test_files;
mod upkeep;
pub mod web;

//! Metrics: one file for each group of families. Events are counted when committed; state is built when
//! a scrape is rendered.

pub mod api;

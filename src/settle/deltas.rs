//! Additions to the persisted totals, gathered before they are written.

use std::collections::HashMap;

use crate::model::series::SUM;
use crate::model::{AccountId, Family, Series};

/// Additions to the persisted totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deltas(pub HashMap<Series, u64, foldhash::fast::RandomState>);

impl Deltas {
    /// Adds to one number; zero is not noted.
    pub fn add(&mut self, series: Series, amount: u64) {
        if amount > 0 {
            let sum = self.0.entry(series).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// Adds one observation to a histogram.
    pub fn observe(&mut self, account: AccountId, family: Family, a: u8, seconds: u64) {
        let edges = family.edges().unwrap_or(&[]);
        let bucket = edges.iter().position(|e| seconds <= u64::from(*e)).unwrap_or(edges.len());
        self.add(Series::new(account, family, a, bucket as u8), 1);
        self.add(Series::new(account, family, a, SUM), seconds);
    }
}

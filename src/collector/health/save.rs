//! Writing of what became known of health.

use crate::model::AccountId;
use crate::settle::Deltas;
use crate::store::{HealthWrites, Held, Operation, Wants, WriteSet};

/// Stores what became known of health.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) account: AccountId,
    pub(crate) writes: HealthWrites,
    pub(crate) deltas: Deltas,
}

impl Operation for Save {
    type Reply = ();

    fn wants(&self) -> Wants {
        Wants::nothing(self.account)
    }

    fn decide(&mut self, _held: Held) -> (WriteSet, ()) {
        let writes = WriteSet {
            health: Some(Box::new(self.writes.clone())),
            deltas: self.deltas.clone(),
            ..WriteSet::default()
        };
        (writes, ())
    }
}

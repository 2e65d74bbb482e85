//! The accounts at work, as everybody sees them who does not start or stop them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Account;
use crate::model::AccountId;

/// The accounts of the configuration in force, in its order. Cheap to clone; clones are one. It is replaced
/// as a whole: whoever looks twice may see two configurations, whoever looks once sees one.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<ArcSwap<Vec<Arc<Account>>>>);

impl Roster {
    /// The accounts at this moment.
    pub fn accounts(&self) -> Arc<Vec<Arc<Account>>> {
        self.0.load_full()
    }

    /// The account with this number in the store, if it is at work.
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.0.load().iter().find(|account| account.id == id).cloned()
    }

    /// Shows these from now on.
    pub(crate) fn replace(&self, accounts: Vec<Arc<Account>>) {
        self.0.store(Arc::new(accounts));
    }
}

//! Sends webhooks when their time has come, each in a task of its own, so that a slow receiver delays
//! nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::postman::Postman;
use super::{AccountState, Simulator, lock};

/// Requests under way at once; the rest wait, as they would at Exotel.
const IN_FLIGHT: usize = 256;

impl Simulator {
    /// Sends what [`super::Webhooks`] asks for, from the start of the simulator on, until `shutdown`.
    /// What is then on its way is dropped.
    pub async fn send_webhooks(&self, postman: Postman, shutdown: CancellationToken) {
        let mut flights = JoinSet::new();
        let seats = Arc::new(Semaphore::new(IN_FLIGHT));
        if self.options().webhooks.base.is_none() {
            shutdown.cancelled().await;
            return;
        }
        loop {
            let wait = self.dispatch(&postman, &seats, &mut flights);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            while flights.try_join_next().is_some() {}
        }
    }

    /// Starts everything that is due; how long until there may be more.
    fn dispatch(&self, postman: &Postman, seats: &Arc<Semaphore>, flights: &mut JoinSet<()>) -> Duration {
        let now = self.millis();
        // Calls begin with the second.
        let mut next = (now / 1000 + 1) * 1000;
        for (number, account) in self.inner.accounts.iter().enumerate() {
            self.collect(account);
            let taken = lock(&account.office).take(now);
            for due in taken {
                let (simulator, postman, seats) = (self.clone(), postman.clone(), Arc::clone(seats));
                flights.spawn(async move {
                    let _seat = seats.acquire().await;
                    let webhooks = &simulator.options().webhooks;
                    let status = postman.send(&due.parcel, webhooks.timeout).await;
                    let retries: Vec<_> = webhooks.retry_after.iter().map(|d| d.as_millis() as u64).collect();
                    let account = &simulator.inner.accounts[number];
                    lock(&account.office).ended(due, status, simulator.millis(), &retries);
                });
            }
            next = next.min(lock(&account.office).next().unwrap_or(next));
        }
        Duration::from_millis(next.saturating_sub(self.millis()).max(1))
    }

    /// Lets an account's office know what happened so far.
    pub(super) fn collect(&self, account: &AccountState) {
        self.advance(account);
        let now = self.millis();
        let world = lock(&account.world);
        let mut messages = lock(&account.messages);
        messages.advance(world.options(), now);
        lock(&account.office).collect(&world, &messages, &lock(&account.outages), now);
    }

    /// Milliseconds since the epoch.
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.inner.clock.since_epoch().as_millis()).unwrap_or(u64::MAX)
    }
}

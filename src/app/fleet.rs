//! The accounts at work: taken up, given their tasks, put under other settings, let go.
//!
//! Of one account at most one group of tasks works at a time: the next begins when the last has ended. What
//! it is known by in memory, its counters and its place in the limit outlive each change of its settings.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::keeper::Keeper;
use crate::collector::calls::Wishes;
use crate::collector::{
    Account, Roster, Stored, Terms, balance, calls, details, exophones, health, messages, tasks,
};
use crate::exotel::{Client, ClientOptions, Ledger, Transport};
use crate::metrics::ExporterMetrics;
use crate::metrics::api::ApiMetrics;
use crate::model::Clock;
use crate::store::{self, Store};

/// What accounts are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    pub(super) transport: Transport,
    pub(super) clock: Clock,
    pub(super) requests: ApiMetrics,
    pub(super) exporter: ExporterMetrics,
}

/// The accounts of the configuration in force.
#[derive(Debug)]
pub(super) struct Fleet {
    parts: Parts,
    roster: Roster,
    running: Vec<Running>,
    /// None until their tasks may start.
    keeper: Option<Keeper>,
}

#[derive(Debug)]
struct Running {
    terms: Terms,
    account: Arc<Account>,
    /// Wishes for manual runs, kept for whichever group of tasks reads.
    wishes: Wishes,
    /// Its tasks; none while they do not run.
    tasks: Option<Keeper>,
}

/// What becomes of an account of the new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing.
    Unchanged,
    /// It is shown by its new settings; its tasks go on.
    Shown,
    /// Its tasks end, and others begin under its new settings.
    Restarted,
    /// It was not at work.
    Added,
}

impl Fate {
    fn of(known: Option<&Terms>, new: &Terms) -> Self {
        match known {
            None => Self::Added,
            Some(known) if known == new => Self::Unchanged,
            Some(known) if known.tasks_can_go_on(new) => Self::Shown,
            Some(_) => Self::Restarted,
        }
    }
}

/// Accounts that can be put to work without another fault.
#[derive(Debug)]
pub(super) struct Prepared(Vec<(Terms, Fate, Option<Stored>)>);

/// What was done to accounts: their sids.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Fleet {
    /// Without any account.
    pub(super) fn new(parts: Parts, roster: Roster) -> Self {
        Self { parts, roster, running: Vec::new(), keeper: None }
    }

    /// Reads what must be known of accounts that are not at work. Changes nothing, but that the store gives
    /// a number to an account that it does not know.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn prepare(&self, accounts: Vec<Terms>) -> Result<Prepared, store::Error> {
        let mut prepared = Vec::with_capacity(accounts.len());
        for terms in accounts {
            let sid = &terms.config.sid;
            let known = self.running.iter().find(|running| running.terms.config.sid == *sid);
            let fate = Fate::of(known.map(|running| &running.terms), &terms);
            let stored = match fate {
                Fate::Added => Some(Stored::read(&self.parts.store, sid, self.parts.clock.now()).await?),
                Fate::Unchanged | Fate::Shown | Fate::Restarted => None,
            };
            prepared.push((terms, fate, stored));
        }
        Ok(Prepared(prepared))
    }

    /// Has exactly these accounts at work. Returns when no task works under a setting that is gone, which
    /// may wait for a commit of the store, never for Exotel.
    pub(super) async fn apply(&mut self, Prepared(accounts): Prepared) -> Done {
        let mut former: HashMap<String, Running> =
            self.running.drain(..).map(|running| (running.terms.config.sid.clone(), running)).collect();
        let mut done = Done::default();
        for (terms, fate, _) in &accounts {
            let sid = &terms.config.sid;
            match fate {
                Fate::Unchanged => continue,
                Fate::Added => done.added.push(sid.clone()),
                Fate::Shown | Fate::Restarted => done.changed.push(sid.clone()),
            }
        }
        let kept = |sid: &str| accounts.iter().any(|(terms, ..)| terms.config.sid == sid);
        done.removed = former.keys().filter(|sid| !kept(sid)).cloned().collect();
        let goes_on = |sid: &str| {
            let goes_on = |fate: &Fate| matches!(fate, Fate::Unchanged | Fate::Shown);
            accounts.iter().any(|(terms, fate, _)| terms.config.sid == sid && goes_on(fate))
        };
        let ending: Vec<Keeper> = former
            .iter_mut()
            .filter(|(sid, _)| !goes_on(sid))
            .filter_map(|(_, running)| running.tasks.take())
            .collect();
        // All are told first, so that they end side by side.
        ending.iter().for_each(Keeper::stop);
        for tasks in &ending {
            tasks.ended().await;
        }
        let names = accounts.iter().map(|(terms, ..)| (&*terms.config.sid, &*terms.config.name)).collect();
        self.parts.requests.arrange(&names);
        for (terms, fate, stored) in accounts {
            self.parts.exporter.add_account(&terms.config.name);
            let known = former.remove(&terms.config.sid);
            let running = match (known, stored) {
                (Some(known), _) => self.put_under(known, terms, fate),
                (None, Some(stored)) => self.take_up(terms, stored),
                (None, None) => unreachable!("what is not at work was read from the store"),
            };
            self.running.push(running);
        }
        self.roster.replace(self.running.iter().map(|running| Arc::clone(&running.account)).collect());
        former.values().for_each(|left| left.account.polls_ended());
        self.start_tasks();
        done
    }

    /// Starts the tasks of each account, and of those that come later.
    pub(super) fn start(&mut self, keeper: Keeper) {
        self.keeper = Some(keeper);
        self.start_tasks();
    }

    fn start_tasks(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        for running in &mut self.running {
            if running.tasks.is_none() {
                running.tasks = Some(tasks_of(keeper, running));
            }
        }
    }

    fn take_up(&self, terms: Terms, stored: Stored) -> Running {
        // One wish at a time: a second one finds a run under way anyway.
        let (manual, wishes) = mpsc::channel(1);
        let (client, store, clock) =
            (self.client(&terms), self.parts.store.clone(), self.parts.clock.clone());
        let account = Account::new(terms.clone(), stored, client, store, clock, manual);
        Running { terms, account: Arc::new(account), wishes: Arc::new(Mutex::new(wishes)), tasks: None }
    }

    fn put_under(&self, known: Running, terms: Terms, fate: Fate) -> Running {
        let account = match fate {
            Fate::Unchanged => return known,
            Fate::Shown | Fate::Added => known.account.under(terms.clone(), known.account.client.clone()),
            Fate::Restarted => {
                let account = known.account.under(terms.clone(), self.client(&terms));
                account.tasks_ended();
                account
            }
        };
        Running { terms, account: Arc::new(account), ..known }
    }

    /// A client for these settings. All clients of an account share their slots and counters.
    fn client(&self, terms: &Terms) -> Client {
        Client::new(ClientOptions {
            account: &terms.config,
            retry: terms.retry,
            transport: self.parts.transport.clone(),
            ledger: self.parts.ledger.clone(),
            clock: self.parts.clock.clone(),
            metrics: self.parts.requests.clone(),
            auth_retry_interval: terms.heartbeat.interval.min(terms.sync.interval),
        })
    }
}

/// Starts the tasks of one account, as a group.
fn tasks_of(keeper: &Keeper, Running { account, wishes, .. }: &Running) -> Keeper {
    let group = keeper.group();
    group.keep("exophones", account, exophones::run);
    if account.config.balance.enabled {
        group.keep("balance", account, balance::run);
    }
    // Messages are known from callbacks alone.
    if !account.config.webhook_secrets.is_empty() {
        group.keep("messages", account, messages::run);
    }
    if account.heartbeat.enabled {
        group.keep("health", account, health::run);
    }
    if account.sync.enabled {
        let wishes = Arc::clone(wishes);
        group.keep("sync", account, move |account, stop| calls::run(account, Arc::clone(&wishes), stop));
        group.keep("tasks", account, tasks::run);
        group.keep("details", account, details::run);
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config, PageExophones, Secret};
    use std::time::Duration;

    fn terms(change: impl FnOnce(&mut Config)) -> Terms {
        let mut acme = config::Account::new("acme1", "key-0123", "token-4567");
        acme.webhook_secrets = vec![Secret::new("a-secret-for-webhooks")];
        let mut config = Config { accounts: vec![acme], ..Config::default() };
        change(&mut config);
        Terms::of(&config).remove(0)
    }

    #[test]
    fn an_account_that_is_not_at_work_is_added_and_an_equal_one_left_alone() {
        assert_eq!(Fate::of(None, &terms(|_| ())), Fate::Added);
        assert_eq!(Fate::of(Some(&terms(|_| ())), &terms(|_| ())), Fate::Unchanged);
        // Settings that are no account's own.
        let other = terms(|config| {
            config.store.retention = Duration::from_secs(1);
            config.accounts.push(config::Account::new("other1", "k", "t"));
            config.webhooks.allow_from = vec!["192.0.2.0/24".parse().unwrap()];
        });
        assert_eq!(Fate::of(Some(&terms(|_| ())), &other), Fate::Unchanged);
    }

    #[test]
    fn what_is_only_shown_leaves_the_tasks_at_work() {
        let changes: [fn(&mut config::Account); 4] = [
            |acme| drop(acme.exophones.insert("+918000000011".to_owned(), "sales".to_owned())),
            |acme| acme.page_exophones = PageExophones::None,
            |acme| acme.channel_limit = Some(30),
            |acme| acme.webhook_secrets.insert(0, Secret::new("the-next-secret-for-webhooks")),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let new = terms(|config| change(&mut config.accounts[0]));
            assert_eq!(Fate::of(Some(&terms(|_| ())), &new), Fate::Shown, "change {n}");
        }
    }

    #[test]
    fn what_tasks_work_by_restarts_them() {
        let changes: [fn(&mut Config); 12] = [
            |config| config.accounts[0].name = "renamed".to_owned(),
            |config| config.accounts[0].api_token = Secret::new("another"),
            |config| config.accounts[0].base_url = "https://exotel.example".to_owned(),
            |config| config.accounts[0].rate_limits.voice = 100,
            |config| config.accounts[0].background_share = 1.0,
            |config| config.accounts[0].balance.enabled = true,
            |config| config.accounts[0].expected_webhooks = vec!["calls".to_owned()],
            |config| config.accounts[0].webhook_secrets.clear(),
            |config| config.sync.interval = Duration::from_secs(60),
            |config| config.heartbeat.enabled = false,
            |config| config.retry.attempts = 0,
            |config| config.webhooks.missed_after = Duration::from_secs(60),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert_eq!(Fate::of(Some(&terms(|_| ())), &terms(change)), Fate::Restarted, "change {n}");
        }
    }
}

//! Polls the connectivity of each ExoPhone in rounds, one each `heartbeat.interval`, and keeps a health
//! check of each round.
//!
//! What a number answers shows at once; what is counted shows when the round is stored. A round ends
//! when all have answered, or after an interval: a number that hangs must not hold up the others.

mod plan;
mod save;
#[cfg(test)]
mod tests;
mod verdict;
mod wishes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use plan::{Candidate, Pace, choose};
pub(crate) use save::Save;
use verdict::Findings;
pub use wishes::{NotChecked, Wishes};

use super::account::{Account, Listing};
use crate::exotel::{Error, ErrorKind, Pool, Priority};
use crate::model::health::{HealthCheck, NumberHealth, Reachability, Verdict, Way};
use crate::model::{ExoPhoneId, Family, KnownExoPhone, Series, Timestamp};
use crate::settle::Deltas;
use crate::store::{self, HealthWrites};

/// How long a number that changed its state is asked before its turn, in seconds.
const RECENT: i64 = 900;

/// Polls until told to stop.
pub async fn run(account: Arc<Account>, shutdown: CancellationToken) {
    account.memory.wishes.open();
    let mut poller = Poller::new(account, shutdown);
    poller.work().await;
    poller.put_away().await;
}

impl Account {
    /// How fast health polls go.
    pub fn health_pace(&self) -> Pace {
        let per_minute = self.client.quota(Pool::Exophones).map_or(1, |quota| quota.per_minute);
        Pace { per_minute, interval: self.heartbeat.interval }
    }

    /// Nobody polls its numbers any more: who waits for a check need not.
    pub fn polls_ended(&self) {
        self.memory.wishes.close();
    }

    /// Runs a health check now and waits for its verdict, which is stored by then. While a round is under
    /// way, that one answers.
    ///
    /// # Errors
    /// [`NotChecked`].
    pub async fn check_now(&self) -> Result<Verdict, NotChecked> {
        if !self.heartbeat.enabled {
            return Err(NotChecked::Disabled);
        }
        self.memory.wishes.check().await
    }
}

/// What is not stored yet.
#[derive(Debug, Default)]
struct Unsaved {
    numbers: BTreeMap<u16, NumberHealth>,
    deltas: Deltas,
}

struct Poller {
    account: Arc<Account>,
    answers: JoinSet<(u16, Result<Reachability, Error>)>,
    /// Numbers that have not answered yet, those of former rounds among them.
    asking: HashSet<u16>,
    /// When each number was last asked.
    asked: HashMap<u16, Timestamp>,
    rounds: u64,
    all_since: Option<Timestamp>,
    unsaved: Unsaved,
    stop: CancellationToken,
}

/// Numbers of a round that did not answer.
#[derive(Default)]
struct Failures {
    numbers: usize,
    first: Option<String>,
}

impl Failures {
    fn add(&mut self, numbers: usize, reason: impl FnOnce() -> String) {
        if numbers > 0 {
            self.numbers += numbers;
            self.first.get_or_insert_with(reason);
        }
    }
}

impl Poller {
    fn new(account: Arc<Account>, stop: CancellationToken) -> Self {
        let asked = account.status().health.numbers.iter().map(|(id, n)| (*id, n.answered)).collect();
        Self {
            account,
            answers: JoinSet::new(),
            asking: HashSet::new(),
            asked,
            rounds: 0,
            all_since: None,
            unsaved: Unsaved::default(),
            stop,
        }
    }

    /// Polls until told to stop. Told while it waits; what it has to store it stores.
    async fn work(&mut self) {
        let account = Arc::clone(&self.account);
        // Without the list a round would have nothing to ask, or numbers that are gone.
        let mut listing = account.memory.listing.subscribe();
        let listed = listing.wait_for(Option::is_some);
        // The sender lives as long as the account, so that it always ends when the list was tried.
        let none_known = account.status().exophones.is_empty();
        let patience = if none_known { Duration::MAX } else { account.heartbeat.interval };
        tokio::select! {
            () = self.stop.cancelled() => return,
            _ = timeout(patience, listed) => {}
        }
        let mut tick = Instant::now();
        while !self.stop.is_cancelled() {
            if self.owes_all() {
                self.round().await;
                continue;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = sleep_until(tick) => {
                    // From the planned time, so that rounds do not drift; after a long one from now.
                    tick = (tick + account.heartbeat.interval).max(Instant::now());
                    self.round().await;
                }
                () = account.memory.wishes.wanted() => self.round().await,
                Some(answer) = self.answers.join_next(), if !self.answers.is_empty() => {
                    // Late: its round has counted it as failed.
                    self.take(answer, &mut Failures::default());
                }
            }
        }
    }

    /// Asks, waits, and stores what was found.
    async fn round(&mut self) {
        let account = Arc::clone(&self.account);
        self.all_since = account.memory.wishes.take_all_since().or(self.all_since);
        let listed = account.listed();
        let pace = account.health_pace();
        let chosen = self.choose(&listed, pace);
        // A number that still owes an answer to a former round is part of this one: a round must not say
        // that all is well because it did not ask.
        let mut waiting: HashSet<u16> = chosen.iter().map(|(id, _)| *id).chain(self.asking.drain()).collect();
        self.asking.clone_from(&waiting);
        let asked = waiting.len();
        let deadline = Instant::now() + pace.patience(asked);
        for (id, sid) in chosen {
            let account = Arc::clone(&account);
            self.asked.insert(id, account.clock.now());
            self.answers
                .spawn(async move { (id, account.client.exophone_health(&sid, Priority::Health).await) });
        }
        let mut failures = Failures::default();
        while !waiting.is_empty() {
            tokio::select! {
                // Half a round says nothing of the account.
                () = self.stop.cancelled() => return,
                () = sleep_until(deadline) => break,
                Some(answer) = self.answers.join_next() => {
                    let mut failed = Failures::default();
                    let id = self.take(answer, &mut failed);
                    if id.is_none_or(|id| waiting.remove(&id)) {
                        failures.add(failed.numbers, || failed.first.unwrap_or_default());
                    }
                    if self.asking.is_empty() {
                        break;
                    }
                }
            }
        }
        waiting.retain(|id| self.asking.contains(id));
        failures.add(waiting.len(), || "no answer in time".to_owned());
        self.rounds += 1;
        self.end(&listed, pace, asked, failures).await;
    }

    /// Whether every number was to be asked, and some were not yet.
    fn owes_all(&mut self) -> bool {
        let Some(since) = self.all_since else { return false };
        let listed = self.account.listed();
        let owed = listed.iter().any(|phone| self.asked.get(&phone.id).is_none_or(|at| *at < since));
        if !owed {
            self.all_since = None;
        }
        owed
    }

    /// The numbers of a round with their sids.
    fn choose(&mut self, listed: &[KnownExoPhone], pace: Pace) -> Vec<(u16, String)> {
        let now = self.account.clock.now();
        let status = self.account.status();
        let heard = status.health.heartbeat.clone();
        let heard = heard.filter(|h| h.is_fresh(now, self.account.config.heartbeat_expected_every));
        let named: HashSet<u16> = heard
            .iter()
            .flat_map(|heard| Way::ALL.map(|way| heard.affected_ids(way, listed).unwrap_or_default()))
            .flatten()
            .collect();
        let candidates: Vec<Candidate> = listed
            .iter()
            .filter(|phone| !self.asking.contains(&phone.id))
            .map(|phone| {
                let known = status.health.numbers.get(&phone.id);
                let recent = |n: &NumberHealth| n.changed.is_some_and(|at| now.0 - at.0 < RECENT);
                let urgent = known.is_some_and(|n| n.is_affected() || recent(n)) || named.contains(&phone.id);
                Candidate { id: phone.id, asked: self.asked.get(&phone.id).copied(), urgent }
            })
            .collect();
        drop(status);
        // While every number is to be asked once, none is asked twice.
        let urgent = if self.owes_all() { 0 } else { pace.urgent(self.rounds) };
        let room = pace.room().saturating_sub(self.asking.len());
        let ids = choose(candidates, room, urgent);
        ids.into_iter()
            .filter_map(|id| Some((id, listed.iter().find(|phone| phone.id == id)?.sid.clone())))
            .collect()
    }

    /// Takes in an answer; gives the number it is about.
    fn take(
        &mut self,
        answer: Result<(u16, Result<Reachability, Error>), tokio::task::JoinError>,
        failures: &mut Failures,
    ) -> Option<u16> {
        let (id, result) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // Which number it was about is lost: all of them are asked again.
                tracing::error!(reason = %error, "a health poll stopped unexpectedly");
                self.answers = JoinSet::new();
                let lost = std::mem::take(&mut self.asking);
                failures.add(lost.len(), || "a health poll stopped unexpectedly".to_owned());
                return None;
            }
        };
        self.asking.remove(&id);
        match result {
            Ok(reachability) => self.learn(id, reachability),
            Err(error) if error.kind == ErrorKind::NotFound => {
                // The list may be old; the number itself has no state any more.
                let known = self.account.status().health.numbers.get(&id).cloned();
                if known.is_some_and(|known| known.reachability != Reachability::default()) {
                    self.account.memory.wants_exophones.notify_one();
                }
                self.learn(id, Reachability::default());
            }
            Err(error) => failures.add(1, || error.message),
        }
        Some(id)
    }

    /// Shows what a number answered, and keeps it to be stored.
    fn learn(&mut self, id: u16, reachability: Reachability) {
        let account = &self.account;
        let now = account.clock.now();
        let mut status = account.status();
        let place = status.exophones.iter().position(|phone| phone.id == id);
        let (health, changes) = NumberHealth::after(status.health.numbers.get(&id), reachability, now);
        for way in changes {
            let exophone = match place {
                Some(place) if place < account.exophone_cap => ExoPhoneId(id),
                _ => ExoPhoneId::OVERFLOW,
            };
            let series = Series { exophone, ..Series::new(account.id, Family::StateChanges, way.code(), 0) };
            self.unsaved.deltas.add(series, 1);
            tracing::info!(
                account = account.config.name,
                exophone.sid = place.map_or("", |place| status.exophones[place].sid.as_str()),
                direction = way.as_str(),
                state = health.reachability.state(way).as_str(),
                "an ExoPhone changed its state"
            );
        }
        status.health.numbers.insert(id, health.clone());
        drop(status);
        self.unsaved.numbers.insert(id, health);
    }

    /// Ends a round: judges, stores, answers those who wait.
    async fn end(&mut self, listed: &[KnownExoPhone], pace: Pace, asked: usize, failures: Failures) {
        let account = Arc::clone(&self.account);
        let now = account.clock.now();
        let numbers = account.status().health.numbers.clone();
        let fresh = |id: &u16| numbers.get(id).filter(|n| is_fresh(n, now, pace.stale_after(listed.len())));
        let known = listed
            .iter()
            .filter_map(|phone| Some((phone.sid.as_str(), fresh(&phone.id)?.reachability.clone())));
        let no_list = match &*account.memory.listing.borrow() {
            Some(Listing::Failed(reason)) => Some(reason.clone()),
            _ => None,
        };
        let findings = Findings {
            listed: listed.len(),
            known: known.collect(),
            asked,
            failed: failures.first.map(|first| (failures.numbers, first)),
            no_list,
        };
        let check = findings.check(now);
        let whole = findings.is_whole();
        let done = self.save(&check, whole.then_some(now)).await;
        let verdict = check.verdict;
        match (&done, &check.error) {
            (Err(error), _) => account.failed(&error.to_string()),
            (Ok(()), Some(error)) if verdict == Verdict::Error => account.failed(error),
            _ => {}
        }
        let failed = done.is_err() || verdict == Verdict::Error;
        if failed && !account.status().health.failed {
            let reason = account.status().last_error.as_ref().map(|(_, message)| message.clone());
            tracing::warn!(account = account.config.name, reason, "a health poll failed");
        }
        {
            let mut status = account.status();
            status.health.first_done = true;
            status.health.failed = failed;
            if done.is_ok() {
                status.health.last_success = if whole { Some(now) } else { status.health.last_success };
                status.health.last_check = Some(Arc::new(check));
            }
        }
        if done.is_ok() {
            for waits in account.memory.wishes.take_waiting() {
                if waits.send(verdict).is_err() {
                    tracing::debug!("who asked for a health check is gone");
                }
            }
        } else {
            drop(account.memory.wishes.take_waiting());
        }
    }

    /// Stores a round; what could not be stored is stored with the next one.
    async fn save(&mut self, check: &HealthCheck, succeeded: Option<Timestamp>) -> Result<(), store::Error> {
        let mut deltas = self.unsaved.deltas.clone();
        deltas.add(Series::new(self.account.id, Family::HealthChecks, check.verdict.code(), 0), 1);
        self.store(Some(check.clone()), succeeded, deltas).await
    }

    /// Stores what numbers answered since the last round, and leaves what is still wanted to whoever polls
    /// next: what is shown of them already must not be missing from what is counted.
    async fn put_away(&mut self) {
        if let Some(since) = self.all_since {
            self.account.memory.wishes.all_numbers(since);
        }
        if self.unsaved.numbers.is_empty() {
            return;
        }
        if let Err(error) = self.store(None, None, self.unsaved.deltas.clone()).await {
            self.account.failed(&error.to_string());
        }
    }

    async fn store(
        &mut self,
        check: Option<HealthCheck>,
        succeeded: Option<Timestamp>,
        deltas: Deltas,
    ) -> Result<(), store::Error> {
        let numbers = self.unsaved.numbers.iter().map(|(id, health)| (*id, health.clone())).collect();
        let writes = HealthWrites { numbers, heartbeat: None, succeeded, check };
        self.account.store.transact(Save { account: self.account.id, writes, deltas }).await?;
        self.unsaved = Unsaved::default();
        Ok(())
    }
}

/// Whether an answer still says how things are.
pub(crate) fn is_fresh(number: &NumberHealth, now: Timestamp, stale_after: Duration) -> bool {
    let limit = i64::try_from(stale_after.as_secs()).unwrap_or(i64::MAX);
    now.0.saturating_sub(number.answered.0) <= limit
}

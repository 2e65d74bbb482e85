//! The counting rules once more, told as simply as possible: every call keeps what it counted, totals are
//! sums over calls, hours likewise. No agenda, no increments, no store.

use std::collections::BTreeMap;

use super::{IST, RULES, wall};
use crate::model::series::{CorrectedField, SUM};
use crate::model::{
    AccountId, Details, DetailsState, Direction, ExoPhoneId, Family, HourTotals, LegStatus, Observation,
    Series, Status, Timestamp, WallTime, last_ten_digits, outcome,
};

/// As what a call counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Root,
    Leg,
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    view: Observation,
    first_seen: Timestamp,
    over_seen: Option<Timestamp>,
    live: bool,
    pub(super) details: DetailsState,
    tries: u32,
    last_in_vain: Option<Timestamp>,
    /// Read when its app could change it no more.
    read_final: bool,
    pub(super) settled: Option<Settled>,
    /// What this call added to each series.
    added: BTreeMap<Series, u64>,
    details_counted: DetailsState,
}

#[derive(Clone, Debug)]
pub(super) struct Settled {
    kind: Kind,
    exophone: u16,
    direction: Direction,
    status: Status,
    outcome: u8,
    seconds: u32,
    cost: i64,
    talk: Option<u32>,
}

pub(super) struct Naive {
    pub(super) account: AccountId,
    pub(super) calls: BTreeMap<String, Call>,
}

impl Naive {
    /// One page or answer: all its rows, then what was asked in vain, then settling.
    pub(super) fn page(
        &mut self,
        rows: &[Observation],
        single: bool,
        asked_details: &[&str],
        refused: &[&str],
        now: Timestamp,
    ) {
        let mut touched: Vec<String> = Vec::new();
        let mut before: BTreeMap<String, (Observation, DetailsState)> = BTreeMap::new();
        let named = rows.iter().map(|r| r.sid.to_string());
        for name in named.chain(asked_details.iter().chain(refused).map(ToString::to_string)) {
            if let Some(call) = self.calls.get(&name).filter(|call| call.settled.is_some()) {
                before.entry(name.clone()).or_insert((call.view.clone(), call.details));
            }
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
        for row in rows {
            let call = self.calls.entry(row.sid.to_string()).or_insert_with(|| Call {
                view: Observation::new(row.sid.clone(), row.created, row.status),
                first_seen: now,
                over_seen: None,
                live: row.created >= wall(0),
                details: DetailsState::Missing,
                tries: 0,
                last_in_vain: None,
                read_final: false,
                settled: None,
                added: BTreeMap::new(),
                details_counted: DetailsState::Missing,
            });
            absorb(&mut call.view, row);
            if call.over_seen.is_none() && over(&call.view) {
                call.over_seen = Some(now);
            }
            call.read_final |= over(&call.view) && now >= call.hold();
            let running =
                |d: Details| d.leg1 == Some(LegStatus::InProgress) || d.leg2 == Some(LegStatus::InProgress);
            let known = matches!(call.details, DetailsState::Inline | DetailsState::Fetched);
            if row.details.is_some() && !known && over(&call.view) && !call.view.details.is_some_and(running)
            {
                call.details = if single { DetailsState::Fetched } else { DetailsState::Inline };
            }
        }
        for name in asked_details {
            if let Some(call) = self.calls.get_mut(*name).filter(|c| c.details == DetailsState::Missing) {
                call.tries += 1;
                call.last_in_vain = Some(now);
            }
        }
        for name in refused {
            if let Some(call) = self.calls.get_mut(*name).filter(|c| c.details == DetailsState::Missing) {
                call.details = DetailsState::Failed;
            }
        }
        self.settle(touched.clone(), now);
        for name in touched {
            let Some(call) = self.calls.get_mut(&name) else { continue };
            if let Some((view, details)) = before.get(&name) {
                call.changed(self.account, view, *details);
            }
            call.count_details(self.account);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.settle(self.calls.keys().cloned().collect(), now);
        for call in self.calls.values_mut() {
            call.count_details(self.account);
        }
    }

    fn settle(&mut self, mut names: Vec<String>, now: Timestamp) {
        names.sort_by_key(|name| self.calls.get(name).is_some_and(|c| c.root_name().is_some()));
        for name in names {
            let Some(call) = self.calls.get(&name) else { continue };
            let root = call.root_name().map(|root| self.calls.get(&root).cloned());
            let account = self.account;
            let Some(call) = self.calls.get_mut(&name) else { continue };
            if call.live && call.settled.is_none() {
                call.try_settle(account, root, now);
            }
        }
    }

    pub(super) fn totals(&self) -> BTreeMap<Series, u64> {
        let mut totals = BTreeMap::new();
        for (series, amount) in self.calls.values().flat_map(|c| &c.added) {
            *totals.entry(*series).or_insert(0) += amount;
        }
        totals.retain(|_, n| *n > 0);
        totals
    }

    pub(super) fn hours(&self) -> BTreeMap<(u32, u8), HourTotals> {
        let mut hours: BTreeMap<(u32, u8), HourTotals> = BTreeMap::new();
        for call in self.calls.values() {
            let hour = u32::try_from(call.view.created.0 / 3600).expect("a time after 1970");
            let view = &call.view;
            match &call.settled {
                Some(settled) if call.live => {
                    let totals = hours.entry((hour, settled.direction.code())).or_default();
                    if settled.kind == Kind::Root {
                        totals.statuses[usize::from(settled.status.code())] += 1;
                        totals.outcomes[usize::from(settled.outcome)] += 1;
                        totals.seconds += i64::from(settled.seconds);
                        totals.conversation += i64::from(settled.talk.unwrap_or(0));
                    }
                    totals.cost += settled.cost;
                }
                _ if !call.live && over(view) => {
                    let direction = view.direction.unwrap_or(Direction::Other);
                    let totals = hours.entry((hour, direction.code())).or_default();
                    if call.root_name().is_none() {
                        let known = matches!(call.details, DetailsState::Inline | DetailsState::Fetched);
                        totals.statuses[usize::from(view.status.code().min(5))] += 1;
                        totals.outcomes[usize::from(outcome(view, known).code())] += 1;
                        totals.history += 1;
                        totals.seconds += i64::from(view.duration.unwrap_or(0));
                        let talk = view.details.and_then(|d| d.conversation);
                        totals.conversation += i64::from(talk.unwrap_or(0));
                    }
                    totals.cost += view.price.unwrap_or(0);
                }
                _ => {}
            }
        }
        hours.retain(|_, totals| *totals != HourTotals::default());
        hours
    }
}

fn over(call: &Observation) -> bool {
    let last = [Status::Completed, Status::Failed, Status::Busy, Status::NoAnswer, Status::Canceled];
    last.contains(&call.status) || (call.status == Status::Other && call.end.is_some())
}

/// Seconds, unless they are 0 though the call lasted, or may have.
fn length(call: &Observation) -> Option<u32> {
    match (call.duration, call.start, call.end) {
        (Some(0), _, None) => None,
        (Some(0), Some(start), Some(end)) if end > start => None,
        (duration, ..) => duration,
    }
}

/// The newer row wins; a value beats none; what is over stays over.
fn absorb(view: &mut Observation, row: &Observation) {
    let newer = match (row.updated, view.updated) {
        (Some(new), Some(old)) => new >= old,
        (None, Some(_)) => false,
        _ => true,
    };
    let (was_over, is_over) = (over(view), over(row));
    if (newer && (is_over || !was_over)) || (is_over && !was_over) {
        view.status = row.status;
    }
    if newer {
        view.created = row.created;
    }
    macro_rules! take {
        ($($field:ident),+) => { $(
            if row.$field.is_some() && (newer || view.$field.is_none()) {
                view.$field = row.$field.clone();
            }
        )+ };
    }
    let details = (view.details, row.details);
    take!(updated, parent, direction, start, end, duration, price, to, from, exophone);
    if let (_, Some(new)) = details {
        let mut held = details.0.unwrap_or_default();
        macro_rules! leg {
            ($($field:ident),+) => { $(
                if new.$field.is_some() && (newer || held.$field.is_none()) {
                    held.$field = new.$field;
                }
            )+ };
        }
        leg!(conversation, leg1, leg2);
        view.details = Some(held);
    }
}

impl Call {
    fn root_name(&self) -> Option<String> {
        self.view.parent.as_ref().filter(|p| **p != self.view.sid).map(ToString::to_string)
    }

    fn known(&self) -> bool {
        matches!(self.details, DetailsState::Inline | DetailsState::Fetched)
    }

    fn needs_details(&self) -> bool {
        self.view.status == Status::Completed || self.view.direction == Some(Direction::Inbound)
    }

    fn end(&self) -> Timestamp {
        let told = self.view.end.map(|end| Timestamp(end.0 - i64::from(IST.0)));
        told.or(self.over_seen).unwrap_or(self.first_seen)
    }

    fn has_app(&self) -> bool {
        [&self.view.to, &self.view.from].into_iter().flatten().any(|n| n.starts_with("sip:"))
    }

    /// Until when its app may change it.
    fn hold(&self) -> Timestamp {
        self.end().min(self.first_seen.plus(RULES.lookback)).plus(900)
    }

    fn try_settle(&mut self, account: AccountId, root: Option<Option<Call>>, now: Timestamp) {
        let mut orphaned = None;
        if let Some(root) = root {
            match root {
                Some(root) => {
                    match (&root.settled, root.live) {
                        (_, false) => self.settle_as(Kind::Nothing, 0, Direction::Other),
                        (Some(s), _) if s.kind == Kind::Nothing => {
                            self.settle_as(Kind::Nothing, 0, Direction::Other);
                        }
                        (Some(s), _) => {
                            let (exophone, direction) = (s.exophone, s.direction);
                            self.settle_as(Kind::Leg, exophone, direction);
                            self.add(account, Family::Cost, exophone, direction.code(), 0, self.price());
                        }
                        (None, _) => {}
                    }
                    return;
                }
                None => {
                    let created = Timestamp(self.view.created.0 - i64::from(IST.0));
                    let usual = created.plus(RULES.lookback);
                    let wait = if self.first_seen < usual {
                        usual.max(self.first_seen.plus(RULES.settle_after))
                    } else {
                        self.first_seen.plus(RULES.lookback)
                    };
                    if now < wait {
                        return;
                    }
                    orphaned = Some(wait);
                }
            }
        }
        let end = self.end().min(self.first_seen.plus(RULES.lookback));
        let view = &self.view;
        let sip = self.has_app();
        if !over(view) || (sip && now < end.plus(900)) {
            return;
        }
        let complete = (!sip || self.read_final)
            && view.end.is_some()
            && length(view).is_some()
            && (view.price.is_some() || view.status != Status::Completed)
            && (!self.needs_details() || self.details != DetailsState::Missing);
        if !complete {
            if now < end.max(self.first_seen).plus(1800) {
                return;
            }
            if self.needs_details() && self.details == DetailsState::Missing {
                let hold = if sip { end.plus(900) } else { end };
                let due = end.plus(120).max(hold).max(self.first_seen);
                let due = due.max(orphaned.unwrap_or(due));
                let due = due.max(self.last_in_vain.map_or(due, |at| at.plus(180)));
                if self.tries < 3 && now < due.plus(360) {
                    return;
                }
                self.details = if self.tries < 3 { DetailsState::Skipped } else { DetailsState::Failed };
            }
        }
        let exophone = match view.exophone.as_deref().and_then(last_ten_digits) {
            Some(8_000_000_011) => 2,
            Some(8_000_000_022) => 3,
            _ => 0,
        };
        self.settle_as(Kind::Root, exophone, view.direction.unwrap_or(Direction::Other));
        self.count(account, now);
    }

    fn settle_as(&mut self, kind: Kind, exophone: u16, direction: Direction) {
        let known = self.known();
        self.settled = Some(Settled {
            kind,
            exophone,
            direction,
            status: if self.view.status.code() < 5 { self.view.status } else { Status::Other },
            outcome: outcome(&self.view, known).code(),
            seconds: if kind == Kind::Root { self.view.duration.unwrap_or(0) } else { 0 },
            cost: if kind == Kind::Nothing { 0 } else { self.price() as i64 },
            talk: None,
        });
    }

    fn price(&self) -> u64 {
        u64::try_from(self.view.price.unwrap_or(0)).expect("no negative price")
    }

    fn add(&mut self, account: AccountId, family: Family, exophone: u16, a: u8, b: u8, amount: u64) {
        let series = Series { account, family, exophone: ExoPhoneId(exophone), a, b };
        *self.added.entry(series).or_insert(0) += amount;
    }

    fn observe(&mut self, account: AccountId, family: Family, a: u8, value: u64) {
        let below = family.edges().expect("a histogram").iter().filter(|e| u64::from(**e) < value).count();
        self.add(account, family, 0, a, below as u8, 1);
        self.add(account, family, 0, a, SUM, value);
    }

    fn count(&mut self, account: AccountId, now: Timestamp) {
        let Some(s) = self.settled.clone() else { return };
        let a = s.direction.code();
        self.add(account, Family::Calls, s.exophone, a, s.status.code(), 1);
        self.add(account, Family::Outcomes, s.exophone, a, s.outcome, 1);
        self.add(account, Family::Seconds, s.exophone, a, 0, u64::from(s.seconds));
        self.add(account, Family::Cost, s.exophone, a, 0, self.price());
        self.add(account, Family::Reconciled, 0, 1, 0, 1);
        let delay = (now.0 - self.end().0).max(0);
        self.observe(account, Family::SettleDelay, 0, delay.unsigned_abs());
        if let Some(details) = self.view.details.filter(|_| self.known()) {
            for (leg, status) in [(1, details.leg1), (2, details.leg2)] {
                if let Some(status) = status {
                    self.add(account, Family::Legs, 0, leg, status.code(), 1);
                }
            }
        }
        self.count_talk(account);
    }

    fn count_talk(&mut self, account: AccountId) {
        let known = self.known();
        let Some(talk) = self.view.details.filter(|_| known).and_then(|d| d.conversation) else { return };
        let Some(s) = self.settled.as_mut().filter(|s| s.talk.is_none() && s.kind == Kind::Root) else {
            return;
        };
        s.talk = Some(talk);
        let (exophone, a) = (s.exophone, s.direction.code());
        self.add(account, Family::ConversationSeconds, exophone, a, 0, u64::from(talk));
        if outcome(&self.view, true).as_str() == "answered" {
            self.observe(account, Family::ConversationDuration, a, u64::from(talk));
            if talk < 10 {
                self.add(account, Family::Short, exophone, a, 0, 1);
            }
            if let Some(duration) = length(&self.view) {
                self.observe(account, Family::SetupDuration, a, u64::from(duration.saturating_sub(talk)));
            }
        }
    }

    /// After a page: the difference to before it, if the call had settled before.
    fn changed(&mut self, account: AccountId, was: &Observation, had: DetailsState) {
        let Some(mut s) = self.settled.clone().filter(|s| s.kind != Kind::Nothing) else { return };
        let correct = |call: &mut Self, field: CorrectedField| {
            call.add(account, Family::Corrections, 0, field.code(), 0, 1);
        };
        let price = self.price() as i64;
        if price > s.cost {
            self.add(account, Family::Cost, s.exophone, s.direction.code(), 0, (price - s.cost) as u64);
        } else if price < s.cost {
            correct(self, CorrectedField::Price);
            self.add(account, Family::Refunds, 0, 0, 0, (s.cost - price) as u64);
        }
        s.cost = price;
        if s.kind == Kind::Root {
            let duration = self.view.duration.unwrap_or(0);
            if duration > s.seconds {
                let more = u64::from(duration - s.seconds);
                self.add(account, Family::Seconds, s.exophone, s.direction.code(), 0, more);
                s.seconds = duration;
            } else if duration < s.seconds && was.duration != self.view.duration {
                correct(self, CorrectedField::Duration);
            }
            if was.status != self.view.status {
                correct(self, CorrectedField::Status);
            }
            // The set-up time needs both; when talk was counted without a Duration it follows.
            if let (Some(talk), None, Some(duration)) = (s.talk, length(was), length(&self.view))
                && outcome(&self.view, true).as_str() == "answered"
            {
                let a = s.direction.code();
                self.observe(account, Family::SetupDuration, a, u64::from(duration.saturating_sub(talk)));
            }
            let (Some(old), Some(new)) = (was.details, self.view.details) else {
                self.settled = Some(s);
                return self.count_talk(account);
            };
            let knew = matches!(had, DetailsState::Inline | DetailsState::Fetched);
            if knew && (old.leg1, old.leg2) != (new.leg1, new.leg2) {
                correct(self, CorrectedField::Leg);
            }
            if s.talk.is_some() && old.conversation != new.conversation && new.conversation != s.talk {
                correct(self, CorrectedField::Conversation);
            }
        }
        self.settled = Some(s);
        self.count_talk(account);
    }

    fn count_details(&mut self, account: AccountId) {
        let own = self.settled.as_ref().map_or(self.root_name().is_none(), |s| s.kind == Kind::Root);
        if !self.live || !own || !self.needs_details() {
            self.details_counted = DetailsState::Missing;
            return;
        }
        if self.details != self.details_counted && self.details != DetailsState::Missing {
            self.add(account, Family::Details, 0, self.details as u8 - 1, 0, 1);
        }
        self.details_counted = self.details;
    }

    /// Whether it is there, for whoever picks calls to ask about.
    pub(super) fn created(&self) -> WallTime {
        self.view.created
    }
}

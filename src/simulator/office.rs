//! What an account still has to send, and what became of what was sent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::callbacks::{CallEvent, Course};
use super::flow::{FlowEvent, Verb};
use super::form::{Spelling, spell, urlencoded};
use super::heartbeat::{self, Size};
use super::messages::{Messages, ReportEvent};
use super::outage::Outages;
use super::postman::{Parcel, WebhookKind};
use super::random::{Dice, Stream};
use super::world::World;
use super::{callbacks, flow};

/// How the webhooks of one kind fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deliveries {
    /// Never sent: lost before the first attempt.
    pub lost: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that Exotel was content with.
    pub accepted: u64,
    /// Given up after the last attempt.
    pub given_up: u64,
    /// Attempts by the status of the answer; 0 for none.
    pub statuses: BTreeMap<u16, u64>,
}

/// A parcel that waits for its time.
#[derive(Debug)]
pub(super) struct Due {
    /// Milliseconds since the epoch.
    at: u64,
    serial: u64,
    pub(super) parcel: Parcel,
    /// Number of the call or message whose last word it is.
    last_word: Option<u32>,
    /// Attempts before this one.
    attempt: usize,
}

/// What one account sends.
#[derive(Debug)]
pub(super) struct Office {
    base: Option<String>,
    /// The next call and message to be looked at.
    calls: u32,
    messages: u32,
    /// Heartbeats so far, and when the next one is due.
    beats: u64,
    next_beat: Option<u64>,
    pub(super) silent: bool,
    pub(super) size: Size,
    due: BinaryHeap<Reverse<Due>>,
    serial: u64,
    /// Parcels on their way or waiting, heartbeats not counted.
    pending: u64,
    delivered: HashSet<(WebhookKind, u32)>,
    given_up: HashSet<(WebhookKind, u32)>,
    deliveries: BTreeMap<WebhookKind, Deliveries>,
}

/// When a parcel's event was, how it fares, and whether it is the last word of something.
struct Ticket {
    at: u64,
    course: Course,
    last_word: Option<u32>,
}

impl Office {
    /// For the account with this sid, from `start` on, in milliseconds since the epoch.
    pub(super) fn new(world: &World, start: u64) -> Self {
        let webhooks = &world.options().webhooks;
        let base = webhooks.base.as_ref();
        let every = webhooks.heartbeats.every.filter(|_| base.is_some());
        Self {
            base: base
                .map(|base| base.replace("{account}", world.account()).trim_end_matches('/').to_owned()),
            calls: 0,
            messages: 0,
            beats: 0,
            next_beat: every.map(|every| start + every.as_millis() as u64),
            silent: false,
            size: Size::default(),
            due: BinaryHeap::new(),
            serial: 0,
            pending: 0,
            delivered: HashSet::new(),
            given_up: HashSet::new(),
            deliveries: BTreeMap::new(),
        }
    }

    /// Takes in everything that happened up to `now`. World and messages must have come that far.
    pub(super) fn collect(&mut self, world: &World, messages: &Messages, outages: &Outages, now: u64) {
        let Some(base) = self.base.clone() else { return };
        let calls = u32::try_from(world.table().calls().len()).unwrap_or(u32::MAX);
        for place in self.calls..calls {
            self.call(&base, world, place);
            self.flow(&base, world, place);
        }
        self.calls = calls;
        for n in self.messages..messages.count() {
            self.message(&base, world, messages, n);
        }
        self.messages = messages.count();
        let every = world.options().webhooks.heartbeats.every;
        while let Some((at, every)) = self.next_beat.zip(every).filter(|(at, _)| *at <= now) {
            self.heartbeat(&base, world, outages, at);
            self.next_beat = Some(at + (every.as_millis() as u64).max(1));
        }
    }

    /// The parcels whose time has come.
    pub(super) fn take(&mut self, now: u64) -> Vec<Due> {
        let mut taken = Vec::new();
        while self.due.peek().is_some_and(|due| due.0.at <= now) {
            taken.extend(self.due.pop().map(|due| due.0));
        }
        taken
    }

    /// When the next parcel is due, in milliseconds since the epoch.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.peek().map(|due| due.0.at).into_iter().chain(self.next_beat).min()
    }

    /// Notes the end of an attempt; one that failed is put back if it may be tried again.
    pub(super) fn ended(&mut self, mut due: Due, status: Option<StatusCode>, now: u64, retries: &[u64]) {
        let kind = due.parcel.kind;
        let deliveries = self.deliveries.entry(kind).or_default();
        deliveries.attempts += 1;
        *deliveries.statuses.entry(status.map_or(0, |status| status.as_u16())).or_insert(0) += 1;
        if status.is_some_and(|status| kind.accepts(status)) {
            deliveries.accepted += 1;
            self.delivered.extend(due.last_word.map(|n| (kind, n)));
        } else if let Some(after) = retries.get(due.attempt).filter(|_| kind != WebhookKind::Passthru) {
            due.attempt += 1;
            due.at = now + after;
            self.due.push(Reverse(due));
            return;
        } else {
            deliveries.given_up += 1;
            self.given_up.extend(due.last_word.map(|n| (kind, n)));
        }
        if kind != WebhookKind::Heartbeat {
            self.pending -= 1;
        }
    }

    /// Whether every attempt to deliver the last word of a call or message failed.
    pub(super) fn gave_up(&self, kind: WebhookKind, n: u32) -> bool {
        self.given_up.contains(&(kind, n)) && !self.delivered.contains(&(kind, n))
    }

    /// Parcels on their way or waiting, heartbeats not counted.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// How each kind fared.
    pub(super) fn deliveries(&self) -> &BTreeMap<WebhookKind, Deliveries> {
        &self.deliveries
    }

    fn call(&mut self, base: &str, world: &World, place: u32) {
        let Some(story) = callbacks::story(world, place) else { return };
        for (tick, event, course) in &story.events {
            let Some(tree) = callbacks::tree(world, place, &story, *event) else { continue };
            let last_word = (*event == CallEvent::Terminal).then_some(place);
            let ticket = Ticket { at: world.millis(*tick), course: *course, last_word };
            self.post(parcel(base, WebhookKind::Calls, story.spelling, &tree), &ticket);
        }
    }

    fn flow(&mut self, base: &str, world: &World, place: u32) {
        let Some(story) = flow::story(world, place) else { return };
        for (tick, event, course) in &story.events {
            let Some(tree) = flow::tree(world, place, &story, *event) else { continue };
            let last_word = (*event == FlowEvent::Passthru).then_some(place);
            let ticket = Ticket { at: world.millis(*tick), course: *course, last_word };
            let parcel = match story.verb {
                Verb::Get => question(base, WebhookKind::Passthru, &tree),
                Verb::Post => parcel(base, WebhookKind::Passthru, Spelling::Urlencoded, &tree),
            };
            self.post(parcel, &ticket);
        }
    }

    fn message(&mut self, base: &str, world: &World, messages: &Messages, n: u32) {
        let options = world.options();
        let Some(story) = messages.story(options, n) else { return };
        for (at, event, course) in &story.events {
            let said = messages.report(options, &world.faces, n, &story, *event);
            let Some((spelling, tree)) = said else { continue };
            let last_word = (*event == ReportEvent::Final).then_some(n);
            let ticket = Ticket { at: *at, course: *course, last_word };
            self.post(parcel(base, WebhookKind::Sms, spelling, &tree), &ticket);
        }
    }

    fn heartbeat(&mut self, base: &str, world: &World, outages: &Outages, at: u64) {
        let mut dice = Dice::new(world.faces.seed, Stream::Heartbeats, self.beats);
        self.beats += 1;
        let [course] = Course::draw(&world.options().webhooks, &mut dice);
        let tree = heartbeat::body(world, outages, at, self.size, &mut dice);
        if !self.silent {
            let ticket = Ticket { at, course, last_word: None };
            self.post(parcel(base, WebhookKind::Heartbeat, Spelling::Json, &tree), &ticket);
        }
    }

    /// Puts a parcel in the queue, twice or never, as its course says.
    fn post(&mut self, parcel: Parcel, ticket: &Ticket) {
        let kind = parcel.kind;
        if ticket.course.lost {
            self.deliveries.entry(kind).or_default().lost += 1;
            return;
        }
        let first = ticket.at + ticket.course.delay.as_millis() as u64;
        let again = ticket.course.again.map(|after| first + after.as_millis() as u64);
        for at in [Some(first), again].into_iter().flatten() {
            self.serial += 1;
            let due = Due {
                at,
                serial: self.serial,
                parcel: parcel.clone(),
                last_word: ticket.last_word,
                attempt: 0,
            };
            self.due.push(Reverse(due));
            self.pending += u64::from(kind != WebhookKind::Heartbeat);
        }
    }
}

fn parcel(base: &str, kind: WebhookKind, spelling: Spelling, tree: &Value) -> Parcel {
    let (content_type, body) = spell(spelling, tree);
    let url = format!("{base}/{}", kind.word());
    Parcel { kind, method: Method::POST, url, content_type: Some(content_type), body }
}

fn question(base: &str, kind: WebhookKind, tree: &Value) -> Parcel {
    let url = format!("{base}/{}?{}", kind.word(), urlencoded(tree));
    Parcel { kind, method: Method::GET, url, content_type: None, body: Bytes::new() }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// By time, then as they were made.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

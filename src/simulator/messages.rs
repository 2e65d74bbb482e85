//! Text messages that the account's own systems send, and what Exotel says of each.
//!
//! Exotel has no list of messages: one learns of them from the send request, from a report, or by Sid.

use serde_json::{Value, json};

use super::callbacks::Course;
use super::form::Spelling;
use super::ident::{Faces, national};
use super::options::{ExtraKey, Numbers, Options, ReportForm};
use super::random::{Dice, Stream};
use crate::model::Timestamp;

/// A state of a message.
#[derive(Debug)]
struct Stage {
    code: u32,
    status: &'static str,
    detailed: &'static str,
}

const fn stage(code: u32, status: &'static str, detailed: &'static str) -> Stage {
    Stage { code, status, detailed }
}

const QUEUED: Stage = stage(21010, "queued", "PENDING_TO_OPERATOR");
const SENDING: Stage = stage(21015, "sending", "SENDING_TO_OPERATOR");
const SUBMITTED: Stage = stage(21020, "submitted", "PENDING_ON_OPERATOR");

/// What can become of a message, each with its weight; the last code is on no list.
const ENDS: &[(f64, Stage)] = &[
    (70.0, stage(20005, "sent", "DELIVERED_TO_HANDSET")),
    (8.0, stage(20006, "sent", "DELIVERED_TO_OPERATOR")),
    (6.0, stage(23005, "failed-dnd", "FAILED_REJECTED_DND")),
    (3.0, stage(23010, "failed", "FAILED_INVALID_DESTINATION_NUMBER")),
    (3.0, stage(23035, "failed", "FAILED_SUBSCRIBER_UNAVAILABLE")),
    (2.0, stage(23050, "failed", "FAILED_EXPIRED")),
    (2.0, stage(23081, "failed", "ENTITY_BLOCKED_BY_DLT")),
    (2.0, stage(23182, "failed", "DLT_TEMPLATE_NOT_FOUND")),
    (1.0, stage(23281, "failed", "DLT_ENTITY_NOT_FOUND")),
    (1.0, stage(24010, "failed", "FAILED_SYSTEM_ERROR")),
    (1.0, stage(24110, "failed", "FAILED_OPERATOR_ERROR")),
    (1.0, stage(23999, "failed", "FAILED_FOR_A_NEW_REASON")),
];

/// Price of a message that was delivered, in millionths.
const PRICE: i64 = 180_000;

/// One message; times in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct Message {
    created: u64,
    sending: u64,
    submitted: u64,
    end: u64,
    /// Place in [`ENDS`].
    fate: u8,
}

/// The messages of one account.
#[derive(Debug)]
pub(super) struct Messages {
    seed: u64,
    /// The first second, since the epoch.
    start: u64,
    /// The next second to fill.
    next: u64,
    stopped: Option<u64>,
    list: Vec<Message>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ReportEvent {
    /// The operator has it.
    Pending,
    Final,
}

/// How the reports of one message look and fare; times in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub(super) struct ReportStory {
    form: ReportForm,
    pub(super) events: Vec<(u64, ReportEvent, Course)>,
}

impl Messages {
    /// For an account whose faces have this seed; `start` in milliseconds since the epoch.
    pub(super) fn new(seed: u64, start: u64) -> Self {
        let start = start / 1000;
        Self { seed, start, next: start, stopped: None, list: Vec::new() }
    }

    /// Lets messages begin up to now, in milliseconds since the epoch.
    pub(super) fn advance(&mut self, options: &Options, now: u64) {
        while self.next <= now / 1000 {
            let second = self.next;
            self.next += 1;
            if self.stopped.is_some_and(|stop| second > stop) {
                continue;
            }
            let mut dice = Dice::new(self.seed, Stream::Messages, second - self.start);
            for _ in 0..dice.poisson(options.messages.per_second) {
                let n = self.list.len() as u64;
                self.list.push(Message::new(options, self.seed, n, second * 1000));
            }
        }
    }

    /// No new messages after now.
    pub(super) fn stop(&mut self, now: u64) {
        self.stopped = Some(self.stopped.map_or(now / 1000, |earlier| earlier.min(now / 1000)));
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }

    /// Whether all have come to their end and no new ones come.
    pub(super) fn is_quiet(&self, options: &Options, now: u64) -> bool {
        let dry = self.stopped.is_some_and(|stop| self.next > stop) || options.messages.per_second <= 0.0;
        dry && self.list.iter().all(|message| message.end <= now)
    }

    /// `Status` in the end, as the API spells it.
    pub(super) fn end(&self, n: u32) -> &'static str {
        self.list.get(n as usize).map_or("", |message| message.end().status)
    }

    /// What was spent on them so far, in millionths.
    pub(super) fn spent(&self, now: u64) -> i64 {
        self.list.iter().filter(|message| message.end <= now).map(|message| message.price()).sum()
    }

    /// The answer about one message.
    ///
    /// Shape: `{"SMSMessage": {"Sid": "8899…", "Status": "sent", "DetailedStatusCode": 20005, "Price":
    /// "0.180000", "DateSent": "2026-03-02 18:55:04", …}}`.
    pub(super) fn told(
        &self,
        options: &Options,
        faces: &Faces,
        account: &str,
        n: u32,
        now: u64,
    ) -> Option<Value> {
        let message = self.list.get(n as usize).filter(|message| message.created <= now)?;
        let (stage, since) = message.stage(now);
        let over = message.end <= now;
        let wall = |millis| text(options, millis);
        let sid = faces.message_sid(n);
        let numbers = match options.wire.numbers {
            Numbers::Mixed if n.is_multiple_of(2) => Numbers::Texts,
            Numbers::Mixed => Numbers::Numbers,
            numbers => numbers,
        };
        let price = message.price();
        let (price, units) = match numbers {
            Numbers::Numbers => (json!(price as f64 / 1e6), json!(1)),
            Numbers::Texts | Numbers::Mixed => (json!(format!("0.{price:06}")), json!("1")),
        };
        let mut told = json!({
            "AccountSid": account,
            "ApiVersion": null,
            "Body": "Your probe code is 0000",
            "DateCreated": wall(message.created),
            "DateUpdated": wall(since),
            "DateSent": (over && stage.status == "sent").then(|| wall(message.submitted)),
            "DetailedStatus": stage.detailed,
            "DetailedStatusCode": stage.code,
            "Direction": "outbound-api",
            "From": "01139000000/EXMPLE",
            "Price": if over { price } else { Value::Null },
            "Sid": sid,
            "SmsUnits": if over { units } else { Value::Null },
            "Status": stage.status,
            "To": national(self.customer(n)),
            "Uri": format!("/v1/Accounts/{account}/SMS/Messages/{sid}.json"),
        });
        if options.wire.extra_key == ExtraKey::Present {
            told["QualityHint"] = json!({"grade": [4, null]});
        }
        Some(json!({"SMSMessage": told}))
    }

    /// The reports of a message.
    pub(super) fn story(&self, options: &Options, n: u32) -> Option<ReportStory> {
        let message = self.list.get(n as usize)?;
        options.webhooks.base.as_ref()?;
        let reports = options.webhooks.reports;
        let mut dice = Dice::new(self.seed, Stream::Reports, u64::from(n));
        let drawn = [ReportForm::Usual, ReportForm::Legacy, ReportForm::Json][dice.below(3) as usize];
        let form = if reports.form == ReportForm::Mixed { drawn } else { reports.form };
        let pending = dice.chance(reports.pending_share);
        let courses = Course::draw::<2>(&options.webhooks, &mut dice);
        let times = [
            (pending.then_some(message.submitted), ReportEvent::Pending),
            (Some(message.end), ReportEvent::Final),
        ];
        let due = times.into_iter().zip(courses);
        let events = due.filter_map(|((at, event), course)| Some((at?, event, course))).collect();
        Some(ReportStory { form, events })
    }

    /// What a report says, and how.
    ///
    /// Shape: `SmsSid=8899…&To=09900000001&Status=sent&SmsUnits=1&DetailedStatus=DELIVERED_TO_HANDSET&
    /// DetailedStatusCode=20005&DateSent=2026-03-02+18%3A55%3A04&CustomField=probe-7`.
    pub(super) fn report(
        &self,
        options: &Options,
        faces: &Faces,
        n: u32,
        story: &ReportStory,
        event: ReportEvent,
    ) -> Option<(Spelling, Value)> {
        let message = self.list.get(n as usize)?;
        let (stage, at) = match event {
            ReportEvent::Pending => (&SUBMITTED, message.submitted),
            ReportEvent::Final => (message.end(), message.end),
        };
        let sid = faces.message_sid(n);
        // The API writes a hyphen here.
        let status = stage.status.replace('-', "_");
        let sent = stage.status == "sent";
        let tree = match story.form {
            ReportForm::Legacy => json!({"SmsSid": sid, "Status": status, "DateUpdated": text(options, at)}),
            ReportForm::Json => json!({
                "SmsSid": sid,
                "To": national(self.customer(n)),
                "Status": status,
                "SmsUnits": 1,
                "DetailedStatus": stage.detailed,
                "ExoStatusCode": if sent { 30004 } else { stage.code },
                "SentAt": sent.then(|| instant(message.submitted)),
                "UpdatedAt": instant(at),
                "CustomField": "probe-7",
            }),
            ReportForm::Usual | ReportForm::Mixed => json!({
                "SmsSid": sid,
                "To": national(self.customer(n)),
                "Status": status,
                "SmsUnits": "1",
                "DetailedStatus": stage.detailed,
                "DetailedStatusCode": stage.code.to_string(),
                "DateSent": sent.then(|| text(options, message.submitted)),
                "CustomField": "probe-7",
            }),
        };
        let spelling = if story.form == ReportForm::Json { Spelling::Json } else { Spelling::Urlencoded };
        Some((spelling, tree))
    }

    fn customer(&self, n: u32) -> u64 {
        9_900_000_000 + Dice::new(self.seed, Stream::MessageSid, u64::MAX - u64::from(n)).below(50_000)
    }
}

impl Message {
    fn new(options: &Options, seed: u64, n: u64, second: u64) -> Self {
        let mut dice = Dice::new(seed, Stream::Message, n);
        let mut after = |time: u64, wait: &super::options::Delay, share: u128| {
            time + u64::try_from(wait.draw(&mut dice).as_millis() / share).unwrap_or(0)
        };
        let sending = after(second, &options.messages.submit, 2);
        let submitted = after(sending, &options.messages.submit, 2);
        let end = after(submitted, &options.messages.deliver, 1);
        let fate = dice.pick(ENDS.iter().map(|(weight, _)| *weight));
        Self { created: second, sending, submitted, end, fate: u8::try_from(fate).unwrap_or(0) }
    }

    fn end(&self) -> &'static Stage {
        &ENDS[usize::from(self.fate)].1
    }

    /// The state at a moment, and since when.
    fn stage(&self, now: u64) -> (&'static Stage, u64) {
        match now {
            _ if self.end <= now => (self.end(), self.end),
            _ if self.submitted <= now => (&SUBMITTED, self.submitted),
            _ if self.sending <= now => (&SENDING, self.sending),
            _ => (&QUEUED, self.created),
        }
    }

    fn price(&self) -> i64 {
        if self.end().status == "sent" { PRICE } else { 0 }
    }
}

/// The account's wall clock.
fn text(options: &Options, millis: u64) -> String {
    super::exophones::seconds(millis).to_wall(options.utc_offset).to_string()
}

/// ISO 8601 in UTC.
fn instant(millis: u64) -> String {
    let at: Timestamp = super::exophones::seconds(millis);
    at.to_string()
}

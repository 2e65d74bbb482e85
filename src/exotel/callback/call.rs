//! Callbacks about calls.
//!
//! | shape | known by | event |
//! |---|---|---|
//! | CCM callback | `call_details` | `event_details.event_type` |
//! | LeadAssist event | `call_sid` | terminal |
//! | agent event of the Connect applet | `EventType` beside `AgentEmail`, `DialWhomNumber` or `CurrentTime` | the agent's |
//! | Passthru | `DialCallStatus`, `CurrentTime`, `flow_id` … | passthru |
//! | StatusCallback | `Status` or `EventType` | terminal or answered; terminal without events |
//!
//! What an agent is doing (`Status=busy` or `free`) is never the status of a call. Passthru comes while
//! the call is on: it gives no final status either. Neither key nor word is trusted to be there.
//! Source: Exotel "StatusCallback", "Passthru applet", "Connect applet" (support articles 48283,
//! 3000106308), "Calls" of CCM, "LeadAssist events"; read 2026-11.

use crate::model::callback::{CallEvent, CallReport, Kind, Told};
use crate::model::{Details, Direction, LegStatus, Sid, Status, UtcOffset};

use super::fields::{Fields, hash};
use super::{Read, Unreadable};

/// Keys that only a step of a call's flow has.
const FLOW: [&str; 7] = [
    "DialCallStatus",
    "DialCallDuration",
    "CurrentTime",
    "flow_id",
    "tenant_id",
    "ProcessStatus",
    "CallStatus",
];

/// Keys that an agent's event has, and a StatusCallback has not.
const AGENT: [&str; 3] = ["AgentEmail", "DialWhomNumber", "CurrentTime"];

/// Keys by which a callback is known to be about a call, even if it does not say which.
const OURS: [&str; 10] = [
    "CallSid",
    "Status",
    "EventType",
    "DateUpdated",
    "CallFrom",
    "CallTo",
    "CallType",
    "DialCallStatus",
    "ConversationDuration",
    "PhoneNumberSid",
];

/// What differs between two sendings of one event.
const SENDING: [&str; 4] = ["CurrentTime", "current_time", "DateUpdated", "call_details[updated_time]"];

/// Reads a callback about a call.
pub(super) fn read(fields: &Fields, kind: Kind, offset: UtcOffset) -> Result<Read, Unreadable> {
    let about = Callback { fields, offset };
    if fields.has_prefix("call_details[") {
        return about.ccm();
    }
    if !fields.has("CallSid") && fields.has("call_sid") {
        return about.lead_assist();
    }
    let Some(sid) = fields.first(&["CallSid", "Sid"]) else {
        if fields.has_any(&OURS) || fields.has_prefix("Legs[") {
            return Err(Unreadable::new("CallSid is absent"));
        }
        return Ok(Read::Unknown("it has no field of a call's callback"));
    };
    let sid = sid_of(sid)?;
    let event = fields.text("EventType");
    let tells = event.is_some() || fields.text("Status").is_some();
    if event.is_none() && fields.has_any(&FLOW) {
        return Ok(about.passthru(sid));
    }
    if tells && about.is_agents(event.unwrap_or(""), kind) {
        return Ok(about.agent(sid, event.unwrap_or("")));
    }
    if tells {
        return Ok(about.status_callback(sid, event));
    }
    if fields.has_prefix("Stream") || fields.has_prefix("stream") {
        return Ok(Read::Unknown("it tells of a voice stream"));
    }
    if kind == Kind::Passthru || fields.has("CallType") {
        return Ok(about.passthru(sid));
    }
    Ok(Read::Unknown("it names a call and nothing that we know of it"))
}

fn sid_of(text: &str) -> Result<Sid, Unreadable> {
    Sid::parse(text).ok_or_else(|| Unreadable::new("CallSid cannot be read"))
}

struct Callback<'f> {
    fields: &'f Fields,
    offset: UtcOffset,
}

impl Callback<'_> {
    /// Whether an event is an agent's. `Terminal` beside `Status=busy` is an agent who is taken in one
    /// shape and a call that was refused in the other, so the company it keeps decides.
    fn is_agents(&self, event: &str, kind: Kind) -> bool {
        let of_agents_alone = ["dial", "ringing"].iter().any(|word| event.eq_ignore_ascii_case(word))
            || self.fields.text("Status").is_some_and(|status| status.eq_ignore_ascii_case("free"));
        let of_calls_alone = self.fields.has("DateUpdated") || self.fields.has_prefix("Legs[");
        of_agents_alone || self.fields.has_any(&AGENT) || (kind == Kind::Passthru && !of_calls_alone)
    }

    fn status_callback(&self, sid: Sid, event: Option<&str>) -> Read {
        let fields = self.fields;
        let status = fields.text("Status").map(Status::from_word);
        let event = match event.map(str::to_ascii_lowercase).as_deref() {
            Some("terminal") => CallEvent::Terminal,
            Some("answered") => CallEvent::Answered,
            Some(_) => CallEvent::Other,
            // Without events Exotel sends one callback, at the end.
            None if status.is_none_or(Status::is_terminal) => CallEvent::Terminal,
            None => CallEvent::Other,
        };
        let details = Details {
            conversation: fields.seconds("ConversationDuration"),
            leg1: fields.text("Legs[0][Status]").and_then(LegStatus::from_word),
            leg2: fields.text("Legs[1][Status]").and_then(LegStatus::from_word),
            leg1_seconds: fields.seconds("Legs[0][OnCallDuration]"),
            leg2_seconds: fields.seconds("Legs[1][OnCallDuration]"),
        };
        let same = hash([
            event.as_str(),
            status.map_or("", Status::as_str),
            details.leg2.map_or("", LegStatus::as_str),
        ]);
        let mut report = self.report(sid, event, same);
        report.status = status;
        report.direction = direction(fields.text("Direction"));
        report.created = fields.time("DateCreated", self.offset);
        report.updated = fields.time("DateUpdated", self.offset);
        report.duration = fields.seconds("Duration");
        report.price = fields.price("Price");
        report.details = said(details);
        told(report)
    }

    fn agent(&self, sid: Sid, event: &str) -> Read {
        let event = match event.to_ascii_lowercase().as_str() {
            "dial" => CallEvent::AgentDial,
            "ringing" => CallEvent::AgentRinging,
            "answered" => CallEvent::AgentAnswered,
            "terminal" => CallEvent::AgentTerminal,
            _ => CallEvent::Other,
        };
        let mut report = self.report(sid, event, self.fields.hash_without(&SENDING));
        report.direction = direction(self.fields.text("Direction"));
        report.created = self.fields.time("Created", self.offset);
        told(report)
    }

    fn passthru(&self, sid: Sid) -> Read {
        let fields = self.fields;
        let status = fields.text("CallStatus").map(Status::from_word);
        // The leg that Connect dials is the first of this list and the second of the call.
        let dialled = fields.first(&[
            "DialCallStatus",
            "Legs[1][Insights][Status]",
            "Legs[0][Insights][Status]",
            "Insights[Status]",
        ]);
        let details = Details {
            leg2: dialled.and_then(LegStatus::from_word),
            leg2_seconds: fields.seconds("Legs[0][OnCallDuration]"),
            ..Details::default()
        };
        let mut report = self.report(sid, CallEvent::Passthru, fields.hash_without(&SENDING));
        report.status = status.filter(|status| !status.is_terminal() && *status != Status::Other);
        report.direction = direction(fields.text("Direction"));
        report.created = fields.time("Created", self.offset);
        report.details = said(details);
        told(report)
    }

    fn lead_assist(&self) -> Result<Read, Unreadable> {
        let fields = self.fields;
        let Some(sid) = fields.text("call_sid") else { return Err(Unreadable::new("call_sid is absent")) };
        let details = Details {
            leg2: fields.first(&["dial_call_status", "insights[Status]"]).and_then(LegStatus::from_word),
            leg2_seconds: fields.seconds("on_call_duration"),
            ..Details::default()
        };
        let mut report = self.report(sid_of(sid)?, CallEvent::Terminal, fields.hash_without(&SENDING));
        report.direction = direction(fields.text("direction"));
        report.start = fields.time("start_time", self.offset);
        report.details = said(details);
        Ok(told(report))
    }

    fn ccm(&self) -> Result<Read, Unreadable> {
        let fields = self.fields;
        let text = |name: &str| fields.text(&format!("call_details[{name}]"));
        let time = |name: &str| fields.time(&format!("call_details[{name}]"), self.offset);
        let Some(sid) = text("call_sid").or_else(|| text("sid")) else {
            return Err(Unreadable::new("call_details.call_sid is absent"));
        };
        let event = fields.first(&["event_details[event_type]", "event_type"]);
        let event = match event.map(str::to_ascii_lowercase).as_deref() {
            Some("terminal") => CallEvent::Terminal,
            Some("answered") => CallEvent::Answered,
            _ => CallEvent::Other,
        };
        let leg = |whose: &str| text(whose).and_then(LegStatus::from_word);
        let details = Details {
            conversation: fields.seconds("call_details[total_talk_time]"),
            leg1: leg("assigned_agent_details][status"),
            leg2: leg("customer_details][status"),
            ..Details::default()
        };
        let mut report = self.report(sid_of(sid)?, event, fields.hash_without(&SENDING));
        report.status = text("call_status").or_else(|| text("status")).and_then(ccm_status);
        // Calls of CCM are made through its API, and v1 lists them so.
        report.direction = text("direction").map(|word| match Direction::from_word(word) {
            Direction::Other if word.eq_ignore_ascii_case("outbound") => Direction::OutboundApi,
            direction => direction,
        });
        (report.created, report.updated) = (time("created_time"), time("updated_time"));
        (report.start, report.end) = (time("start_time"), time("end_time"));
        report.duration = fields.seconds("call_details[total_duration]");
        report.details = said(details);
        Ok(told(report))
    }

    fn report(&self, sid: Sid, event: CallEvent, same: u64) -> CallReport {
        CallReport {
            sid,
            event,
            status: None,
            direction: None,
            created: None,
            start: self.fields.time("StartTime", self.offset),
            end: self.fields.time("EndTime", self.offset),
            updated: None,
            duration: None,
            price: None,
            details: None,
            same,
        }
    }
}

/// CCM's word as v1 has it; none where v1 has no one word for it, so that the two are not compared: of
/// `customer_unanswered` v1 says `no-answer`, or `busy` if the customer was or refused the call.
fn ccm_status(word: &str) -> Option<Status> {
    Some(Status::from_word(word)).filter(|status| *status != Status::Other)
}

fn direction(word: Option<&str>) -> Option<Direction> {
    word.map(Direction::from_word)
}

/// None where nothing is said.
fn said(details: Details) -> Option<Details> {
    (details != Details::default()).then_some(details)
}

fn told(report: CallReport) -> Read {
    Read::Told(Told::Call(Box::new(report)))
}

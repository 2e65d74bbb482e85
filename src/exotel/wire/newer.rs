//! One call as v2 (CCM) and v3 of the call API tell it, and the legs of v3.
//!
//! Shapes: `tests/fixtures/exotel/call-details-v2*.json`, `call-details-v3-*.json`, `call-legs-v3.json`. v2
//! comes in two spellings, `sid`, `state`, `status` and `call_sid`, `call_state`, `call_status`; both are read
//! of either version. Times carry their zone, as `Z` or as `+05:30`.
//!
//! Both versions speak of states and of who did not answer, where v1 speaks of one status: what they say is
//! put into v1's words, so that a call reads the same whoever told of it. `updated_time` is not taken over: it
//! belongs to another record of Exotel's than DateUpdated, and comparing the two would say nothing.
//! Source: Exotel "Call Details", v2 and v3 (beta), and "Call Legs", v3 (beta), read in November 2026.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::{Details, Direction, LegStatus, Observation, Sid, Status, parse_time};

use super::entries::Entries;
use super::field::Field;
use super::odd::Odd;
use super::reader::Reader;
use super::{AccountShape, Malformed, text_of};

/// How deep in its envelope a call stands at most: `response.call_details`.
const DEEPEST: usize = 3;

/// Keys that are known and say nothing that is kept: v3's own ones, and keypad input, which is the caller's.
const PASSED_OVER: [&str; 6] = ["legs", "digits", "app_id", "app_name", "account_sid", "updated_time"];

/// Reads the answer of v2 or v3 for one call; none where it says that there is no such call.
///
/// # Errors
/// When the body is not JSON, has no call, or one that is another's or lacks its time or its state.
pub(crate) fn newer_call(
    body: &[u8],
    account: &AccountShape,
    asked: &Sid,
) -> Result<Option<Observation>, Malformed> {
    const EXPECTED: &str = "call_details of a call";
    let text = text_of(body);
    let Some(entries) = holder(&text, &["sid", "call_sid"], EXPECTED, body)? else {
        return if says_unknown(&text) { Ok(None) } else { Err(Malformed::body(EXPECTED, body, None)) };
    };
    let call = Cells(entries).read(account)?;
    if call.sid == *asked {
        Ok(Some(call))
    } else {
        Err(Malformed("expected the call that was asked for, got another one".to_owned()))
    }
}

type Object<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The object that has one of these keys: the answer itself, or what its envelope holds.
fn holder<'a>(
    text: &'a str,
    keys: &[&str],
    expected: &str,
    body: &[u8],
) -> Result<Option<Object<'a>>, Malformed> {
    let mut raw: &'a RawValue =
        serde_json::from_str(text).map_err(|e| Malformed::body(expected, body, Some(&e)))?;
    for _ in 0..DEEPEST {
        let Some(entries) = object(raw) else { return Ok(None) };
        if entries.iter().any(|(key, _)| keys.contains(&key.as_ref())) {
            return Ok(Some(entries));
        }
        let inner = ["call_details", "leg_details", "response", "data"];
        let Some(next) = inner.iter().find_map(|wanted| value(&entries, wanted)) else { return Ok(None) };
        raw = next;
    }
    Ok(object(raw).filter(|entries| entries.iter().any(|(key, _)| keys.contains(&key.as_ref()))))
}

fn object(raw: &RawValue) -> Option<Object<'_>> {
    // An array is no object, though serde would take one for it.
    let entries = raw.get().starts_with('{').then(|| serde_json::from_str::<Entries<'_>>(raw.get()));
    Some(entries?.ok()?.0)
}

fn value<'a>(entries: &Object<'a>, wanted: &str) -> Option<&'a RawValue> {
    let named = entries.iter().rev().find(|(key, _)| key == wanted).map(|(_, raw)| *raw)?;
    (Field::of(named) != Field::Absent).then_some(named)
}

/// Whether an answer of status 200 says inside that there is no such call.
fn says_unknown(text: &str) -> bool {
    const CALL_NOT_FOUND: u64 = 10_744;
    let Ok(top) = serde_json::from_str::<Value>(text) else { return false };
    let number = |place: &str| {
        let value = top.pointer(place)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    };
    let status = ["/http_code", "/response/code", "/response/error/code"];
    status.iter().any(|place| number(place) == Some(404))
        || number("/response/error_data/code") == Some(CALL_NOT_FOUND)
}

/// The fields of a call, each taken out when it is read.
struct Cells<'a>(Object<'a>);

impl<'a> Cells<'a> {
    /// The first of these keys that has a value; all of them are taken out.
    fn take(&mut self, keys: &[&str]) -> Option<&'a RawValue> {
        let found = keys.iter().find_map(|key| value(&self.0, key));
        self.0.retain(|(key, _)| !keys.contains(&key.as_ref()));
        found
    }

    fn read(mut self, account: &AccountShape) -> Result<Observation, Malformed> {
        let mut reader = Reader { account, odd: Odd::default() };
        let text = |raw: Option<&RawValue>| match raw.map(Field::of) {
            Some(Field::Text(text)) => Some(text.into_owned()),
            _ => None,
        };
        let lacks = |what: &str| Malformed(format!("the call cannot be read: {what} is absent or no {what}"));
        let sid = text(self.take(&["call_sid", "sid"])).as_deref().and_then(Sid::parse);
        let sid = sid.ok_or_else(|| lacks("sid"))?;
        let start = self.take(&["start_time"]);
        let created = text(self.take(&["created_time"])).or_else(|| text(start));
        let created = created.and_then(|text| parse_time(&text, account.utc_offset).ok().flatten());
        let created = created.ok_or_else(|| lacks("created_time"))?;

        let direction = reader.word(
            "Direction",
            self.take(&["direction"]),
            Direction::Other,
            // v1 lists what was made through an API so.
            |word| match word.trim().to_ascii_lowercase().as_str() {
                "outbound" => Some(Direction::OutboundApi),
                _ => Some(Direction::from_word(word)),
            },
        );
        let inbound = direction == Some(Direction::Inbound);
        let state = text(self.take(&["call_state", "state"])).map(|state| state.trim().to_ascii_lowercase());
        let said = self.take(&["call_status", "status"]);
        let ending = text(said).map(|word| Ending::of(&word, inbound));
        let ending = match (state.as_deref(), ending) {
            // Whatever else it says, it goes on.
            (Some("active"), _) => Ending::of("in-progress", inbound),
            (_, Some(ending)) => ending,
            (Some("terminal"), None) => Ending { status: Status::Other, legs: [None; 2] },
            (_, None) => return Err(lacks("status")),
        };
        if let (Status::Other, Some(raw)) = (ending.status, said) {
            reader.odd.keep("Status", raw);
        }

        let (agent, customer) = (self.take(&["assigned_agent_details"]), self.take(&["customer_details"]));
        let (first, second) = if inbound { (customer, agent) } else { (agent, customer) };
        let first = Party::of(first, ["From", "Leg1Status"], &mut reader);
        let second = Party::of(second, ["To", "Leg2Status"], &mut reader);
        let mut call = Observation::new(sid, created, ending.status);
        call.direction = direction;
        call.start = reader.time("StartTime", start);
        call.end = reader.time("EndTime", self.take(&["end_time"]));
        let duration = reader.seconds("Duration", self.take(&["total_duration"]));
        let talk = reader.seconds("ConversationDuration", self.take(&["total_talk_time"]));
        call.exophone = reader.text("PhoneNumber", self.take(&["virtual_number"]));
        call.custom_field = reader.text("CustomField", self.take(&["custom_field"]));
        let recording = self.take(&["recordings", "recording"]);
        call.recording_url = reader.text("RecordingUrl", recording.and_then(recording_url));
        (call.from, call.to) = (first.number, second.number);
        // While a call goes on, 0 means that nothing is known yet.
        if call.status.is_terminal() || (call.status == Status::Other && call.end.is_some()) {
            call.duration = duration;
            let legs = [first.status, second.status];
            if legs[1] == Some(LegStatus::Busy) && call.status == Status::NoAnswer {
                call.status = Status::Busy;
            }
            call.details = details(&call, legs, ending.legs, talk);
        }
        for (key, raw) in self.0 {
            if !PASSED_OVER.contains(&key.as_ref()) {
                reader.odd.keep(format!("call_details.{key}"), raw);
            }
        }
        call.odd = reader.odd.finish();
        Ok(call)
    }
}

/// Leg results, where they say what became of the call: as told, else as the final word implies. None where
/// neither says anything, so that it is asked for in v1 as of any other call.
fn details(
    call: &Observation,
    told: [Option<LegStatus>; 2],
    implied: [Option<LegStatus>; 2],
    talk: Option<u32>,
) -> Option<Details> {
    let talked = talk.is_some_and(|seconds| seconds > 0) && call.status == Status::Completed;
    let implied = if talked { [Some(LegStatus::Completed); 2] } else { implied };
    let [leg1, leg2] = if told == [None; 2] { implied } else { told };
    let details = Details { conversation: talk, leg1, leg2, ..Details::default() };
    (talked || leg1.is_some() || leg2.is_some()).then_some(details)
}

/// How a call ended, in v1's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ending {
    status: Status,
    /// Results of leg 1 and 2 that the word alone implies.
    legs: [Option<LegStatus>; 2],
}

impl Ending {
    /// Of the words of v2 (`agent_unanswered`) and v3 (`from_leg_unanswered`), else of v1's.
    ///
    /// An inbound call that reached our number is `completed` in v1, whoever did not answer.
    fn of(word: &str, inbound: bool) -> Self {
        use LegStatus::{Canceled, Completed, NoAnswer};
        let word = word.trim().to_ascii_lowercase().replace('-', "_").replace("cancelled", "canceled");
        let ours = |status| if inbound { Status::Completed } else { status };
        let (status, legs) = match word.as_str() {
            "agent_unanswered" | "from_leg_unanswered" => (Status::NoAnswer, [Some(NoAnswer), None]),
            "customer_unanswered" | "to_leg_unanswered" => {
                (ours(Status::NoAnswer), [Some(Completed), Some(NoAnswer)])
            }
            "agent_canceled" | "from_leg_canceled" => {
                (ours(Status::Canceled), [Some(Completed), Some(Canceled)])
            }
            // Who calls in is connected by then; of other calls it is not said how far they came.
            "customer_no_dial" | "to_leg_no_dial" => {
                (ours(Status::Failed), [inbound.then_some(Completed), None])
            }
            "agent_no_dial" | "from_leg_no_dial" => (Status::Failed, [None; 2]),
            other => (Status::from_word(other), [None; 2]),
        };
        Self { status, legs }
    }
}

/// One side of a call of v2: `{"contact_uri": "+91…", "status": "completed", …}`, the customer's `number` too.
#[derive(Default)]
struct Party {
    number: Option<String>,
    status: Option<LegStatus>,
}

impl Party {
    /// `names` are those under which v1 has number and result.
    fn of(raw: Option<&RawValue>, names: [&str; 2], reader: &mut Reader<'_>) -> Self {
        let Some(entries) = raw.and_then(object) else { return Self::default() };
        let number = value(&entries, "number").or_else(|| value(&entries, "contact_uri"));
        let status = value(&entries, "status");
        Self {
            number: reader.text(names[0], number),
            status: reader.word(names[1], status, LegStatus::Other, LegStatus::from_word),
        }
    }
}

/// `{"available": true, "url": …}` of v2, the first of `[{"url": …}]` of v3.
fn recording_url(raw: &RawValue) -> Option<&RawValue> {
    let list: Vec<&RawValue> = match raw.get().starts_with('[') {
        true => serde_json::from_str(raw.get()).ok()?,
        false => vec![raw],
    };
    list.into_iter().find_map(|raw| object(raw).and_then(|entries| value(&entries, "url")))
}

/// The legs of a call of v3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewerLegs {
    /// Number and result of leg 1.
    from: (Option<String>, Option<LegStatus>),
    /// Number and result of leg 2: of those that were dialled the one that answered, else the last.
    to: (Option<String>, Option<LegStatus>),
}

/// Reads the legs of one call of v3.
///
/// Shape: `{"response": {"leg_details": {"call_sid": …, "from": [{"contact_uri": "+91…", "status":
/// "completed", …}], "to": […]}}}`.
///
/// # Errors
/// When the body is not JSON, or has no legs, or another call's.
pub(crate) fn newer_legs(body: &[u8], account: &AccountShape, asked: &Sid) -> Result<NewerLegs, Malformed> {
    const EXPECTED: &str = "leg_details of a call";
    let text = text_of(body);
    let entries = holder(&text, &["from", "to"], EXPECTED, body)?
        .ok_or_else(|| Malformed::body(EXPECTED, body, None))?;
    if let Some(Field::Text(sid)) = value(&entries, "call_sid").map(Field::of)
        && sid != asked.as_str()
    {
        return Err(Malformed("expected legs of the call that was asked for, got another's".to_owned()));
    }
    let mut reader = Reader { account, odd: Odd::default() };
    let mut side = |key, names| {
        let list =
            value(&entries, key).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
        let mut legs =
            list.unwrap_or_default().into_iter().map(|raw| Party::of(Some(raw), names, &mut reader));
        let first = legs.next().unwrap_or_default();
        let leg =
            legs.fold(first, |kept, leg| if kept.status == Some(LegStatus::Completed) { kept } else { leg });
        (leg.number, leg.status)
    };
    let from = side("from", ["From", "Leg1Status"]);
    Ok(NewerLegs { from, to: side("to", ["To", "Leg2Status"]) })
}

impl NewerLegs {
    /// Puts what the legs say into what was said of their call.
    pub(crate) fn add_to(self, call: &mut Observation) {
        let (from, to) = (self.from, self.to);
        call.from = call.from.take().or(from.0);
        call.to = call.to.take().or(to.0);
        if call.is_over() && (from.1, to.1) != (None, None) {
            let talk = call.details.and_then(|details| details.conversation);
            let known = call.details.unwrap_or_default();
            call.details = Some(Details { leg1: from.1, leg2: to.1, conversation: talk, ..known });
        }
    }
}

#[cfg(test)]
mod tests;

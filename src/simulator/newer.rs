//! One call as v2 (CCM) and v3 of the call API spell it, and the legs of v3.
//!
//! Shape: `{"request_id": …, "method": "GET", "http_code": 200, "response": {"code": 200, "error_data": null,
//! "status": "success", "call_details": {"sid": …, "state": "terminal", "status": "to_leg_unanswered", …}}}`;
//! v2 in the portal's spelling has nothing but the call under `response`.

use serde_json::{Value, json};

use super::call::{Call, Tick};
use super::callbacks::{ccm_status, recording};
use super::ident::e164;
use super::options::{ExtraKey, NewerKeys};
use super::plot::Way;
use super::random::{Dice, Stream};
use super::world::{Sheet, World};
use crate::model::WallTime;

/// A version of the API for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

/// Whether a version knows the call at a place.
pub(super) fn knows(world: &World, place: u32, version: Version) -> bool {
    let Some(call) = world.table().call(place) else { return false };
    let options = world.options().newer;
    let mut dice = Dice::new(world.faces.seed, Stream::Newer, u64::from(place));
    let missing = dice.chance(options.missing_share);
    let of_v2 = if missing { dice.chance(options.v2_share) } else { call.way == Way::OutboundApi };
    match version {
        Version::V1 => !missing,
        Version::V2 => of_v2,
        Version::V3 => !missing || !of_v2,
    }
}

/// What a version says of a call; none if it does not know it, or not yet.
pub(super) fn call(world: &World, sid: &str, now: Tick, version: Version) -> Option<Value> {
    let place = world.find(sid).filter(|place| knows(world, *place, version))?;
    let (call, sheet) = (world.table().call(place)?, world.sheet(place, now)?);
    let told = Told { world, place, call, sheet, over: call.end() <= now };
    let portal = match world.options().newer.keys {
        NewerKeys::Portal => true,
        NewerKeys::Older => false,
        NewerKeys::Mixed => place.is_multiple_of(2),
    };
    let mut details = match version {
        Version::V1 => return None,
        Version::V2 if portal => told.v2_portal(),
        Version::V2 => told.v2_older(),
        Version::V3 => told.v3(),
    };
    if world.options().wire.extra_key == ExtraKey::Present {
        details["quality_hint"] = json!({"grade": [4, null]});
    }
    if version == Version::V2 && portal {
        return Some(envelope(json!({"call_details": details})));
    }
    Some(envelope(json!({"code": 200, "error_data": null, "status": "success", "call_details": details})))
}

/// The legs of a call that v3 knows.
pub(super) fn legs(world: &World, sid: &str, now: Tick) -> Option<Value> {
    let place = world.find(sid).filter(|place| knows(world, *place, Version::V3))?;
    let (call, sheet) = (world.table().call(place)?, world.sheet(place, now)?);
    let told = Told { world, place, call, sheet, over: call.end() <= now };
    let leg = |number: &str, status: Option<&str>| {
        json!({
            "sid": world.faces.missing_sid(place, told.sheet.created),
            "name": null,
            "contact_uri": number,
            "date_created": told.time(told.sheet.start),
            "date_updated": told.time(told.sheet.updated),
            "status": status,
            "group_id": null,
            "group_name": null,
        })
    };
    let from = leg(&international(&told.sheet.from), Some(leg_word(told.sheet.legs.leg1)));
    let to = told.sheet.legs.leg2.map(|status| leg(&international(&told.sheet.to), Some(leg_word(status))));
    let details = json!({
        "call_sid": told.sheet.sid,
        "account_sid": world.account(),
        "from": [from],
        "to": to.into_iter().collect::<Vec<_>>(),
    });
    let mut answer =
        envelope(json!({"code": 200, "error_data": null, "status": "success", "leg_details": details}));
    answer["metadata"] = Value::Null;
    Some(answer)
}

fn envelope(response: Value) -> Value {
    json!({
        "request_id": "aa00bb11cc22dd33ee44ff5566778899",
        "method": "GET",
        "http_code": 200,
        "response": response,
    })
}

/// A call at a moment.
struct Told<'a> {
    world: &'a World,
    place: u32,
    call: &'a Call,
    sheet: Sheet,
    over: bool,
}

impl Told<'_> {
    /// `2026-03-02 11:15:00+05:30`.
    fn time(&self, at: WallTime) -> String {
        format!("{at}{}", self.world.options().utc_offset)
    }

    /// `2026-03-02T05:45:00.000Z`.
    fn utc(&self, at: WallTime) -> String {
        at.to_timestamp(self.world.options().utc_offset).to_string().replace('Z', ".000Z")
    }

    fn end(&self, form: impl Fn(&Self, WallTime) -> String, without: Value) -> Value {
        self.sheet.end.map_or(without, |end| json!(form(self, end)))
    }

    fn state(&self) -> &'static str {
        if self.over { "terminal" } else { "active" }
    }

    fn v2_word(&self) -> Option<&'static str> {
        let plot = self.call.plot();
        self.over.then(|| ccm_status(plot.status, plot.leg1, plot.leg2))
    }

    fn talk(&self) -> u32 {
        if self.over { u32::from(self.call.talk) } else { 0 }
    }

    fn recordings(&self) -> Option<String> {
        self.sheet.recorded.then(|| recording(self.world, self.place))
    }

    /// Agent and customer.
    fn parties(&self) -> (String, String) {
        let (from, to) = (international(&self.sheet.from), international(&self.sheet.to));
        if self.call.way == Way::Inbound { (to, from) } else { (from, to) }
    }

    fn direction(&self) -> &'static str {
        if self.call.way == Way::Inbound { "inbound" } else { "outbound" }
    }

    fn v2_portal(&self) -> Value {
        let (agent, customer) = self.parties();
        let recording = self.recordings();
        json!({
            "sid": self.sheet.sid,
            "direction": self.direction(),
            "virtual_number": self.world.exophone(self.call.exophone),
            "state": self.state(),
            "status": self.v2_word(),
            "assigned_agent_details": {"user_id": "usr00000001", "contact_uri": agent},
            "customer_details": {"number": customer},
            "created_time": self.utc(self.sheet.created),
            "updated_time": self.utc(self.sheet.updated),
            "start_time": self.utc(self.sheet.start),
            "end_time": self.end(Self::utc, Value::Null),
            "total_duration": self.sheet.duration.unwrap_or(0),
            "total_talk_time": self.talk(),
            "recording": {"available": recording.is_some(), "url": recording},
            "custom_field": self.sheet.custom,
            "legs": format!("/v2/accounts/{}/calls/{}/legs", self.world.account(), self.sheet.sid),
        })
    }

    fn v2_older(&self) -> Value {
        let customer = self.parties().1;
        let plot = self.call.plot();
        let (agent_leg, customer_leg) = if self.call.way == Way::Inbound {
            (plot.leg2, Some(plot.leg1))
        } else {
            (Some(plot.leg1), plot.leg2)
        };
        let leg = |status: Option<&'static str>| status.filter(|_| self.over);
        json!({
            "call_sid": self.sheet.sid,
            "direction": self.direction(),
            "virtual_number": self.world.exophone(self.call.exophone),
            "call_state": self.state(),
            "call_status": self.v2_word(),
            "assigned_agent_details":
                {"user_id": "usr00000001", "user_name": "Agent One", "group_id": null, "status": leg(agent_leg)},
            "customer_details": {"contact_uri": customer, "contact_name": null, "status": leg(customer_leg)},
            "created_time": self.time(self.sheet.created),
            "updated_time": self.time(self.sheet.updated),
            "start_time": self.time(self.sheet.start),
            "end_time": self.end(Self::time, Value::Null),
            "total_duration": self.sheet.duration.map(|seconds| seconds.to_string()),
            "total_talk_time": self.talk(),
            "recordings": self.recordings().map(|url| json!([{"url": url}])),
            "digits": null,
            "custom_field": self.sheet.custom,
        })
    }

    fn v3(&self) -> Value {
        let status = self.v2_word().map(|word| match word {
            "agent_unanswered" => "from_leg_unanswered",
            "customer_unanswered" => "to_leg_unanswered",
            "agent_canceled" if self.place.is_multiple_of(3) => "from_leg_canceled",
            "agent_canceled" => "from_leg_cancelled",
            "customer_no_dial" => "to_leg_no_dial",
            "agent_no_dial" => "from_leg_no_dial",
            other => other,
        });
        let recordings: Vec<Value> = self.recordings().iter().map(|url| json!({"url": url})).collect();
        json!({
            "sid": self.sheet.sid,
            "direction": self.direction(),
            "virtual_number": self.world.exophone(self.call.exophone),
            "state": self.state(),
            "status": status,
            "legs": format!("/v3/accounts/{}/calls/{}/legs", self.world.account(), self.sheet.sid),
            "created_time": self.time(self.sheet.created),
            "updated_time": self.time(self.sheet.updated),
            "start_time": self.time(self.sheet.start),
            "end_time": self.end(Self::time, json!("1970-01-01 05:30:00+05:30")),
            "total_duration": self.sheet.duration.unwrap_or(0),
            "total_talk_time": self.talk(),
            "custom_field": self.sheet.custom,
            "app_id": "100001",
            "app_name": "Example flow",
            "digits": "1-2",
            "recordings": recordings,
        })
    }
}

/// A number in E.164; the address of an agent's app as it is.
fn international(number: &str) -> String {
    match number.strip_prefix('0').and_then(|digits| digits.parse().ok()) {
        Some(digits) => e164(digits),
        None => number.to_owned(),
    }
}

/// v3 has no other words for a leg.
fn leg_word(status: &'static str) -> &'static str {
    match status {
        "completed" | "failed" | "in-progress" => status,
        _ => "no-answer",
    }
}

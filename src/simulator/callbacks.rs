//! Callbacks about calls that were made through the API: when they are due, and what they say.
//!
//! Shape, as JSON: `{"CallSid", "EventType": "terminal", "DateCreated", "DateUpdated", "Status", "To",
//! "From", "PhoneNumberSid", "StartTime", "EndTime", "ConversationDuration": 52, "Direction", "CustomField",
//! "RecordingUrl", "Legs": [{"OnCallDuration": 71, "Status": "completed", "AnsweredBy": "HUMAN"}, …]}`;
//! forms have `Legs[0][Status]`. CCM calls have a JSON of their own.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Call, Parent, Tick};
use super::form::Spelling;
use super::ident::e164;
use super::options::{Body, CallKeys, Events, ExtraKey, Reach, Webhooks};
use super::plot::{Talk, Way};
use super::random::{Dice, Stream};
use super::world::{Sheet, World};

/// What becomes of one webhook on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) lost: bool,
    /// From the event to the first attempt.
    pub(super) delay: Duration,
    /// Sent once more, so long after.
    pub(super) again: Option<Duration>,
}

impl Course {
    /// Courses of webhooks about one thing: without disorder they keep their order. The same number of
    /// throws whatever comes out.
    pub(super) fn draw<const N: usize>(options: &Webhooks, dice: &mut Dice) -> [Self; N] {
        let delay = options.delay.draw(dice);
        [(); N].map(|()| Self::one(options, delay, dice))
    }

    fn one(options: &Webhooks, delay: Duration, dice: &mut Dice) -> Self {
        let lost = dice.chance(options.lost_share);
        let late = dice.chance(options.disordered_share);
        let by = options.disordered_by.draw(dice);
        let doubled = dice.chance(options.doubled_share);
        let after = options.doubled_after.draw(dice);
        Self { lost, delay: if late { delay + by } else { delay }, again: doubled.then_some(after) }
    }
}

/// What a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CallEvent {
    /// Leg 1 picked up.
    FirstAnswered,
    /// Leg 2 picked up.
    SecondAnswered,
    Terminal,
    /// The end of a call that the API never shows.
    Phantom,
}

/// How the callbacks of one call look and fare.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) spelling: Spelling,
    pub(super) maker: Maker,
    /// Whether the last one says another status than the API.
    pub(super) contradicted: bool,
    pub(super) events: Vec<(Tick, CallEvent, Course)>,
}

/// Through which API a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    Connect,
    Ccm,
}

/// The callbacks of the call at a place; none if it has no callbacks, or ended before the start.
pub(super) fn story(world: &World, place: u32) -> Option<Story> {
    let call = world.table().call(place)?;
    let options = &world.options().webhooks;
    let reached = call.way == Way::OutboundApi || options.calls.reach == Reach::AllCalls;
    if options.base.is_none()
        || !reached
        || matches!(call.parent, Parent::Call(_))
        || call.end() < world.start()
    {
        return None;
    }
    let mut dice = Dice::new(world.faces.seed, Stream::Callbacks, u64::from(place));
    let drawn = [Spelling::Multipart, Spelling::Urlencoded, Spelling::Json][dice.below(3) as usize];
    let ccm = dice.chance(options.calls.ccm_share) && call.way == Way::OutboundApi;
    let contradicted = dice.chance(options.calls.contradicted_share);
    let phantom = dice.chance(options.calls.phantom_share);
    let courses = Course::draw::<4>(options, &mut dice);
    let spelling = match options.calls.body {
        _ if ccm => Spelling::Json,
        Body::Multipart => Spelling::Multipart,
        Body::Urlencoded => Spelling::Urlencoded,
        Body::Json => Spelling::Json,
        Body::Mixed => drawn,
    };
    let (first, second) = answered(call);
    let asked = options.calls.events == Events::AnsweredAndTerminal;
    let times = [
        (first.filter(|_| asked), CallEvent::FirstAnswered),
        (second.filter(|_| asked), CallEvent::SecondAnswered),
        (Some(call.end()), CallEvent::Terminal),
        (phantom.then_some(call.end()), CallEvent::Phantom),
    ];
    let due = times.into_iter().zip(courses).filter_map(|((at, event), course)| Some((at?, event, course)));
    let events = due.filter(|(at, _, _)| *at >= world.start()).collect();
    let maker = if ccm { Maker::Ccm } else { Maker::Connect };
    Some(Story { spelling, maker, contradicted, events })
}

/// When leg 1 and leg 2 picked up, if they did.
pub(super) fn answered(call: &Call) -> (Option<Tick>, Option<Tick>) {
    let plot = call.plot();
    let setup = u32::from(call.duration - call.talk.min(call.duration)) * 10;
    let first = Tick(call.start.0 + setup * 2 / 5);
    let second = Tick(call.start.0 + setup);
    let first = (plot.leg1 == "completed" && call.duration > 0).then_some(first);
    (first, first.and((plot.leg2 == Some("completed")).then_some(second)))
}

/// What a callback says.
pub(super) fn tree(world: &World, place: u32, story: &Story, event: CallEvent) -> Option<Value> {
    let call = world.table().call(place)?;
    let sheet = world.sheet(place, call.end())?;
    let (first, second) = answered(call);
    let at = match event {
        CallEvent::FirstAnswered => first?,
        CallEvent::SecondAnswered => second?,
        CallEvent::Terminal | CallEvent::Phantom => call.end(),
    };
    let mut tree = match story.maker {
        Maker::Connect => connect(world, place, call, &sheet, event, at),
        Maker::Ccm => ccm(world, place, call, &sheet, event),
    };
    if story.contradicted && event == CallEvent::Terminal && story.maker == Maker::Connect {
        let other = if call.plot().status == "completed" { "failed" } else { "completed" };
        tree["Status"] = json!(other);
    }
    if event == CallEvent::Phantom {
        let sid = world.faces.phantom_sid(place, world.wall(call.second()));
        match story.maker {
            Maker::Connect => tree["CallSid"] = json!(sid),
            Maker::Ccm => tree["call_details"]["call_sid"] = json!(sid),
        }
    }
    if world.options().wire.extra_key == ExtraKey::Present {
        tree["QualityHint"] = json!({"grade": [4, null]});
    }
    Some(tree)
}

fn connect(world: &World, place: u32, call: &Call, sheet: &Sheet, event: CallEvent, at: Tick) -> Value {
    let over = matches!(event, CallEvent::Terminal | CallEvent::Phantom);
    let updated = world.wall(at.second()).to_string();
    let recording = (over && call.talk > 0).then(|| recording(world, place));
    let status = if over { sheet.status } else { "in-progress" };
    if world.options().webhooks.calls.events == Events::Unnamed {
        return json!({
            "CallSid": sheet.sid, "DateUpdated": updated, "Status": status, "RecordingUrl": recording,
        });
    }
    let mut tree = json!({
        "CallSid": sheet.sid,
        "EventType": if over { "terminal" } else { "answered" },
        "DateCreated": world.wall(call.second()).to_string(),
        "DateUpdated": updated,
        "Status": status,
        "To": sheet.to,
        "From": sheet.from,
        "PhoneNumberSid": sheet.exophone,
        "StartTime": sheet.start.to_string(),
        "EndTime": over.then(|| world.wall(call.second() + u32::from(call.duration)).to_string()),
        "Direction": sheet.direction,
        "RecordingUrl": recording,
        "CustomField": sheet.custom,
    });
    let leg = |seconds: u32, status: &str| json!({"OnCallDuration": seconds, "Status": status});
    if over {
        let legs = sheet.legs;
        let by = |answered: bool| if answered { "HUMAN" } else { "NA" };
        let mut both = [leg(legs.leg1_seconds, legs.leg1), leg(legs.talk, legs.leg2.unwrap_or(""))];
        both[0]["AnsweredBy"] = json!(by(legs.leg1 == "completed"));
        both[1]["AnsweredBy"] = json!(by(call.plot().talk == Talk::Some));
        tree["ConversationDuration"] = json!(legs.talk);
        tree["Legs"] = json!(both);
        if world.options().webhooks.calls.keys == CallKeys::More {
            tree["CallFrom"] = json!(sheet.from);
            tree["CallTo"] = json!(sheet.to);
            tree["CallType"] = json!(if call.talk > 0 { "completed" } else { "incomplete" });
            tree["Duration"] = json!(call.duration);
            // Nobody knows it so soon.
            tree["Price"] = Value::Null;
        }
    } else {
        let second = if event == CallEvent::SecondAnswered { "in-progress" } else { "" };
        tree["Legs"] = json!([leg(0, "in-progress"), leg(0, second)]);
    }
    tree
}

/// Where a recording is said to be.
pub(super) fn recording(world: &World, place: u32) -> String {
    format!("https://recordings.exotel.com/exotelrecordings/{}/{}.mp3", world.account(), world.sid(place))
}

fn ccm(world: &World, place: u32, call: &Call, sheet: &Sheet, event: CallEvent) -> Value {
    let over = matches!(event, CallEvent::Terminal | CallEvent::Phantom);
    let plot = call.plot();
    let recordings = (over && call.talk > 0).then(|| json!([{"url": recording(world, place)}]));
    let agent = world.faces.agent(place);
    json!({
        "event_details": {"event_type": if over { "terminal" } else { "answered" }},
        "call_details": {
            "call_sid": sheet.sid,
            "direction": "outbound",
            "virtual_number": world.exophone(call.exophone),
            "call_state": if over { "terminal" } else { "active" },
            "call_status": over.then(|| ccm_status(plot.status, plot.leg1, plot.leg2)),
            "assigned_agent_details": {"user_id": format!("usr{agent}"), "user_name": "Agent One"},
            "customer_details": {"contact_uri": e164(world.faces.customer(place)), "status": null},
            "total_talk_time": if over { u32::from(call.talk) } else { 0 },
            "total_duration": null,
            "recordings": recordings,
            "custom_field": sheet.custom,
        },
    })
}

/// The words of CCM for what became of a call.
pub(super) fn ccm_status(status: &str, leg1: &str, leg2: Option<&str>) -> &'static str {
    match (leg1, leg2) {
        _ if status == "completed" => "completed",
        ("no-answer" | "busy", _) => "agent_unanswered",
        ("canceled", _) | (_, Some("canceled")) => "agent_canceled",
        ("failed", _) => "agent_no_dial",
        (_, Some("failed")) => "customer_no_dial",
        _ => "customer_unanswered",
    }
}

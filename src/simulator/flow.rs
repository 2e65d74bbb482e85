//! What the flow of an inbound call sends: Passthru when the agent's leg is over, and agent events of
//! the Connect applet. All values are texts; `"null"` means none.
//!
//! Shape: `CallSid=506f…&CallFrom=09900000002&CallTo=08000000011&Direction=incoming&CallType=completed&
//! DialCallStatus=completed&DialCallDuration=28&EndTime=1970-01-01+05%3A30%3A00&…`.

use serde_json::{Value, json};

use super::call::{Agent, Call, Parent, Tick};
use super::callbacks::{Course, answered, recording};
use super::ident::national;
use super::options::{AgentEvents, PassthruMethod};
use super::plot::Way;
use super::random::{Dice, Stream};
use super::world::World;
use crate::model::WallTime;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FlowEvent {
    AgentDial,
    AgentRinging,
    AgentAnswered,
    AgentTerminal,
    Passthru,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

/// What the flow of one call sends, and how that fares.
#[derive(Clone, Debug)]
pub(super) struct FlowStory {
    pub(super) verb: Verb,
    /// Whether digits, insights and `CallStatus` are said.
    pub(super) detailed: bool,
    pub(super) events: Vec<(Tick, FlowEvent, Course)>,
}

/// What the flow sends of the call at a place; none if it never comes by a Passthru applet.
pub(super) fn story(world: &World, place: u32) -> Option<FlowStory> {
    let call = world.table().call(place)?;
    let options = &world.options().webhooks;
    let plot = call.plot();
    let inside = call.way == Way::Inbound && plot.leg1 == "completed";
    if options.base.is_none()
        || !inside
        || matches!(call.parent, Parent::Call(_))
        || call.end() < world.start()
    {
        return None;
    }
    let mut dice = Dice::new(world.faces.seed, Stream::Flow, u64::from(place));
    let passes = dice.chance(options.passthru.share);
    let detailed = dice.chance(options.passthru.insights_share);
    let post = dice.chance(0.5);
    let courses = Course::draw::<5>(options, &mut dice);
    if !passes {
        return None;
    }
    let verb = match (options.passthru.method, post) {
        (PassthruMethod::Post, _) | (PassthruMethod::Mixed, true) => Verb::Post,
        (PassthruMethod::Get, _) | (PassthruMethod::Mixed, false) => Verb::Get,
    };
    let (_, second) = answered(call);
    let told = options.passthru.agent_events == AgentEvents::Sent && plot.leg2.is_some();
    let dialled = call.start.0 + (second.unwrap_or(call.end()).0 - call.start.0) / 4;
    let times = [
        (told.then_some(Tick(dialled)), FlowEvent::AgentDial),
        (told.then_some(Tick(dialled)), FlowEvent::AgentRinging),
        (second.filter(|_| told), FlowEvent::AgentAnswered),
        (told.then(|| call.end()), FlowEvent::AgentTerminal),
        (Some(call.end()), FlowEvent::Passthru),
    ];
    let due = times.into_iter().zip(courses).filter_map(|((at, event), course)| Some((at?, event, course)));
    let events = due.filter(|(at, _, _)| *at >= world.start()).collect();
    Some(FlowStory { verb, detailed, events })
}

/// What is said at an event.
pub(super) fn tree(world: &World, place: u32, story: &FlowStory, event: FlowEvent) -> Option<Value> {
    let call = world.table().call(place)?;
    let at = story.events.iter().find(|(_, planned, _)| *planned == event)?.0;
    let mut tree = common(world, place, call, at);
    if event == FlowEvent::Passthru {
        passthru(world, place, call, story, &mut tree);
        return Some(tree);
    }
    let (name, agent) = match event {
        FlowEvent::AgentDial => ("Dial", "busy"),
        FlowEvent::AgentRinging => ("Ringing", "busy"),
        FlowEvent::AgentAnswered => ("Answered", "busy"),
        FlowEvent::AgentTerminal | FlowEvent::Passthru => ("Terminal", "free"),
    };
    let number = world.faces.agent(place);
    tree["DialWhomNumber"] = json!(agent_of(world, place, call));
    tree["AgentEmail"] = json!(format!("agent.{number}@example.com"));
    // The agent's state, not the call's.
    tree["Status"] = json!(agent);
    tree["EventType"] = json!(name);
    Some(tree)
}

fn common(world: &World, place: u32, call: &Call, at: Tick) -> Value {
    let caller = national(world.faces.customer(place));
    let ours = national(world.faces.exophone(call.exophone));
    json!({
        "CallSid": world.sid(place),
        "CallFrom": caller,
        "CallTo": ours,
        "From": caller,
        "To": ours,
        "Direction": "incoming",
        "Created": long(world.wall(call.second())),
        "CurrentTime": world.wall(at.second()).to_string(),
    })
}

fn passthru(world: &World, place: u32, call: &Call, story: &FlowStory, tree: &mut Value) {
    let plot = call.plot();
    let (call_type, dialled) = match plot.leg2 {
        Some("completed") => ("completed", "completed"),
        Some("canceled") => ("client-hangup", "canceled"),
        Some(other) => ("incomplete", other),
        None => (["call-attempt", "voicemail"][place as usize % 2], "null"),
    };
    let ours = national(world.faces.exophone(call.exophone));
    let mut put = |key: &str, value: String| tree[key] = json!(value);
    put("CallType", call_type.to_owned());
    put("DialCallStatus", dialled.to_owned());
    put("StartTime", world.wall(call.second()).to_string());
    // The call is still on: the flow goes on after this applet.
    put("EndTime", WallTime(i64::from(world.options().utc_offset.0)).to_string());
    for key in ["ForwardedFrom", "ProcessStatus"] {
        put(key, "null".to_owned());
    }
    put("flow_id", "100001".to_owned());
    put("tenant_id", "20002".to_owned());
    put("OutgoingPhoneNumber", ours.clone());
    if call.talk > 0 {
        put("RecordingUrl", recording(world, place));
        put("RecordingAvailableBy", long(world.wall(call.end().second()).plus(300)));
    }
    if plot.leg2.is_some() {
        let (_, second) = answered(call);
        let ringing = second.map_or(0, |second| (second.0 - call.start.0) * 3 / 40);
        let duration = if second.is_some() { u32::from(call.talk) + ringing } else { 0 };
        put("DialCallDuration", duration.to_string());
        put("DialWhomNumber", agent_of(world, place, call));
        tree["Legs"] = json!([leg(call, &agent_of(world, place, call), &ours)]);
    } else {
        put("DialCallDuration", "0".to_owned());
    }
    if story.detailed {
        tree["CallStatus"] = json!(plot.status);
        tree["digits"] = json!("\"1\"");
        tree["CustomField"] = json!("null");
        if let Some(legs) = tree.get_mut("Legs").and_then(Value::as_array_mut) {
            let by = if call.talk > 0 { "Callee" } else { "NA" };
            legs[0]["DisconnectedBy"] = json!(by);
            legs.push(json!({"Insights": {
                "Status": dialled,
                "DetailedStatus": if call.talk > 0 { "CALL_COMPLETED" } else { "CALL_NOT_ANSWERED" },
                "RingingDuration": "4.39",
                "DisconnectedBy": by,
            }}));
        }
    }
}

fn leg(call: &Call, agent: &str, ours: &str) -> Value {
    let (cause, number) = match call.plot().leg2 {
        Some("completed") => ("NORMAL_CLEARING", "16"),
        Some("busy") => ("USER_BUSY", "17"),
        _ => ("RING_TIMEOUT", "1003"),
    };
    json!({
        "Number": agent,
        "Type": "single",
        "OnCallDuration": call.talk.to_string(),
        "CallerId": ours,
        "CauseCode": cause,
        "Cause": number,
    })
}

fn agent_of(world: &World, place: u32, call: &Call) -> String {
    let agent = world.faces.agent(place);
    match call.agent {
        Agent::Phone => national(agent),
        Agent::Sip => format!("sip:agent{agent}"),
    }
}

/// `Sun, 22 Mar 2026 18:40:02`.
fn long(time: WallTime) -> String {
    jiff::Timestamp::from_second(time.0).map_or_else(
        |_| time.to_string(),
        |time| time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S").to_string(),
    )
}

//! Which webhooks came, and which never will: what a perfect receiver has found out in the end.

use std::collections::BTreeMap;

use serde::Serialize;

use super::call::Parent;
use super::callbacks::{self, CallEvent};
use super::flow::{self, FlowEvent};
use super::messages::{Messages, ReportEvent};
use super::office::{Deliveries, Office};
use super::plot::Way;
use super::postman::WebhookKind;
use super::world::World;
use crate::model::Timestamp;

/// Webhooks of one account, about calls and messages that began so far.
///
/// A final webhook that was drawn as lost is in the list from the beginning of its call on; one that
/// nobody took is there once Exotel gave up. Heartbeats are in `deliveries` alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookTruth {
    /// Account sid.
    pub account: String,
    /// Live calls of direction outbound-api and their final callbacks.
    pub calls: Finals,
    /// Live inbound calls whose flow comes by a Passthru applet.
    pub passthru: Finals,
    /// Messages and their final reports.
    pub sms: Finals,
    /// Calls among `calls` whose final callback came and says another status than the API.
    pub contradicted: u64,
    /// Sids that callbacks named though the API has no such call.
    pub phantoms: Vec<String>,
    /// Messages by their end, `sent`, `failed`, `failed_dnd`, whether reported or not.
    pub messages: BTreeMap<String, u64>,
    /// The same, but only messages of which at least one report was sent.
    pub messages_reported: BTreeMap<String, u64>,
    /// By kind of webhook.
    pub deliveries: BTreeMap<WebhookKind, Deliveries>,
    /// Webhooks that are still to come or on their way, heartbeats not counted.
    pub pending: u64,
}

/// Final webhooks: how many there should be, and which never came nor will.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finals {
    /// How many should have come.
    pub expected: u64,
    /// Sids of those that are lost for good, in the order of their creation.
    pub lost: Vec<String>,
}

impl Finals {
    fn note(&mut self, sid: impl FnOnce() -> String, lost: bool) {
        self.expected += 1;
        if lost {
            self.lost.push(sid());
        }
    }
}

/// What became of all webhooks of an account about calls created at or after `live_from`.
pub(super) fn truth(
    world: &World,
    messages: &Messages,
    office: &Office,
    live_from: Timestamp,
) -> WebhookTruth {
    let mut truth = WebhookTruth {
        account: world.account().to_owned(),
        calls: Finals::default(),
        passthru: Finals::default(),
        sms: Finals::default(),
        contradicted: 0,
        phantoms: Vec::new(),
        messages: BTreeMap::new(),
        messages_reported: BTreeMap::new(),
        deliveries: office.deliveries().clone(),
        pending: office.pending(),
    };
    for (place, call) in (0..).zip(world.table().calls()) {
        let root = !matches!(call.parent, Parent::Call(_));
        if root && world.instant(call.second()) >= live_from {
            about_call(&mut truth, world, office, place, call.way);
        }
    }
    for n in 0..messages.count() {
        about_message(&mut truth, world, messages, office, n);
    }
    truth
}

fn about_call(truth: &mut WebhookTruth, world: &World, office: &Office, place: u32, way: Way) {
    let sid = || world.sid(place);
    if let Some(story) = callbacks::story(world, place) {
        let lost = |event| story.events.iter().any(|(_, said, course)| *said == event && course.lost);
        let final_lost = lost(CallEvent::Terminal) || office.gave_up(WebhookKind::Calls, place);
        if way == Way::OutboundApi {
            truth.calls.note(sid, final_lost);
            let told = story.contradicted && story.maker == callbacks::Maker::Connect && !final_lost;
            truth.contradicted += u64::from(told);
        }
        let phantom =
            story.events.iter().any(|(_, said, course)| *said == CallEvent::Phantom && !course.lost);
        if phantom {
            let second = world.table().call(place).map_or(0, super::call::Call::second);
            truth.phantoms.push(world.faces.phantom_sid(place, world.wall(second)));
        }
    }
    if let Some(story) = flow::story(world, place) {
        let lost = story.events.iter().any(|(_, said, course)| *said == FlowEvent::Passthru && course.lost);
        truth.passthru.note(sid, lost || office.gave_up(WebhookKind::Passthru, place));
    }
}

fn about_message(truth: &mut WebhookTruth, world: &World, messages: &Messages, office: &Office, n: u32) {
    let status = messages.end(n).replace('-', "_");
    *truth.messages.entry(status.clone()).or_insert(0) += 1;
    let Some(story) = messages.story(world.options(), n) else { return };
    let sent = |event| story.events.iter().any(|(_, said, course)| *said == event && !course.lost);
    let final_came = sent(ReportEvent::Final) && !office.gave_up(WebhookKind::Sms, n);
    truth.sms.note(|| world.faces.message_sid(n), !final_came);
    if final_came || sent(ReportEvent::Pending) {
        *truth.messages_reported.entry(status).or_insert(0) += 1;
    }
}

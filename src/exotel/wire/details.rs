//! Leg results: in a `Details` block, or flat among the fields of the row.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Details, LegStatus};

use super::entries::Entries;
use super::field::{Field, MAX_SECONDS, seconds};
use super::reader::Reader;

/// Where a row may keep its leg results.
pub(super) struct Flat<'a> {
    /// `Details`.
    pub(super) details: Option<&'a RawValue>,
    /// `ConversationDuration`.
    pub(super) conversation: Option<&'a RawValue>,
    /// `Leg1Status`.
    pub(super) leg1: Option<&'a RawValue>,
    /// `Leg2Status`.
    pub(super) leg2: Option<&'a RawValue>,
}

impl Reader<'_> {
    /// Leg results: the `Details` block, what it lacks from the flat fields. None where neither says
    /// anything: a call whose details were never told is not one without legs.
    pub(super) fn details(&mut self, flat: &Flat<'_>) -> Option<Details> {
        let block = flat.details.map(|raw| self.details_block(raw)).unwrap_or_default();
        let conversation = self.seconds("ConversationDuration", flat.conversation);
        let leg1 = self.leg_status("Leg1Status", flat.leg1);
        let leg2 = self.leg_status("Leg2Status", flat.leg2);
        let details = Details {
            conversation: block.conversation.or(conversation),
            leg1: block.leg1.or(leg1),
            leg2: block.leg2.or(leg2),
            ..block
        };
        (details != Details::default()).then_some(details)
    }

    fn leg_status(&mut self, name: &str, raw: Option<&RawValue>) -> Option<LegStatus> {
        self.word(name, raw, LegStatus::Other, LegStatus::from_word)
    }

    fn details_block(&mut self, raw: &RawValue) -> Details {
        let mut details = Details::default();
        // PHP writes an empty object as `[]`.
        if matches!(Field::of(raw), Field::Absent) || raw.get().trim_matches(['[', ']', ' ']).is_empty() {
            return details;
        }
        if raw.get().starts_with('{')
            && let Ok(Block { conversation, leg1, leg2, legs }) = serde_json::from_str(raw.get())
        {
            details.conversation = self.seconds("Details.ConversationDuration", conversation);
            details.leg1 = self.leg_status("Details.Leg1Status", leg1);
            details.leg2 = self.leg_status("Details.Leg2Status", leg2);
            if let Some(legs) = legs {
                self.legs("Details.Legs", legs, &mut details);
            }
            return details;
        }
        let Ok(Entries(entries)) = serde_json::from_str(raw.get()) else {
            self.odd.keep("Details", raw);
            return details;
        };
        for (key, value) in entries {
            let name = format!("Details.{key}");
            match key.as_ref() {
                "ConversationDuration" => details.conversation = self.seconds(&name, Some(value)),
                "Leg1Status" => details.leg1 = self.leg_status(&name, Some(value)),
                "Leg2Status" => details.leg2 = self.leg_status(&name, Some(value)),
                "Legs" => self.legs(&name, value, &mut details),
                _ => self.odd.keep(name, value),
            }
        }
        details
    }

    /// `[{"Leg": {"Id": 1, "OnCallDuration": 21}}, …]`, with or without the inner `Leg`.
    fn legs(&mut self, name: &str, raw: &RawValue, details: &mut Details) {
        if matches!(Field::of(raw), Field::Absent) {
            return;
        }
        match legs(raw) {
            Some([first, second]) => {
                (details.leg1_seconds, details.leg2_seconds) = (first, second);
            }
            None => self.odd.keep(name, raw),
        }
    }
}

/// A `Details` block as Exotel documents it: without any other key, each at most once. Others are taken apart
/// key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block<'a> {
    #[serde(borrow, rename = "ConversationDuration")]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, rename = "Leg1Status")]
    leg1: Option<&'a RawValue>,
    #[serde(borrow, rename = "Leg2Status")]
    leg2: Option<&'a RawValue>,
    #[serde(borrow, rename = "Legs")]
    legs: Option<&'a RawValue>,
}

/// One of `Legs`, likewise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[serde(rename = "Leg")]
    leg: Inner,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[serde(rename = "Id")]
    id: u8,
    #[serde(rename = "OnCallDuration")]
    on_call: u32,
}

/// Whether there are no more arrays than these: serde takes one for a structure too, Exotel does not.
fn only_objects(text: &str, arrays: usize) -> bool {
    text.bytes().filter(|b| *b == b'[').count() == arrays
}

/// Seconds on call of leg 1 and leg 2; none if the list says anything else too.
fn legs(raw: &RawValue) -> Option<[Option<u32>; 2]> {
    let mut on_call = [None; 2];
    // The documented form, in one pass.
    if only_objects(raw.get(), 1)
        && let Ok([Outer { leg: first }, Outer { leg: second }]) =
            serde_json::from_str::<[Outer; 2]>(raw.get())
        && (first.id, second.id) == (1, 2)
        && first.on_call.max(second.on_call) <= MAX_SECONDS
    {
        return Some([Some(first.on_call), Some(second.on_call)]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    for (at, item) in list.into_iter().enumerate() {
        let Entries(mut leg) = serde_json::from_str(item.get()).ok()?;
        if let [(key, inner)] = leg.as_slice()
            && key == "Leg"
        {
            leg = serde_json::from_str::<Entries<'_>>(inner.get()).ok()?.0;
        }
        let mut slot = at;
        let mut duration = None;
        for (key, value) in leg {
            match (key.as_ref(), Field::of(value)) {
                ("Id" | "OnCallDuration", Field::Absent) => {}
                ("Id", Field::Number(id)) => slot = leg_slot(id)?,
                ("Id", Field::Text(id)) => slot = leg_slot(&id)?,
                ("OnCallDuration", Field::Number(text)) => duration = Some(seconds(text)?),
                ("OnCallDuration", Field::Text(text)) => duration = Some(seconds(&text)?),
                _ => return None,
            }
        }
        *on_call.get_mut(slot)? = duration;
    }
    Some(on_call)
}

fn leg_slot(id: &str) -> Option<usize> {
    match id {
        "1" => Some(0),
        "2" => Some(1),
        _ => None,
    }
}

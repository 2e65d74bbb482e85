//! What a heartbeat says: the health of all numbers, details of those that are affected.
//!
//! Shape: `{"timestamp": "2026-03-02T13:25:00Z", "status_type": "WARNING", "incoming_affected": ["5f60…"],
//! "outgoing_affected": null, "data": {"5f60…": {"incoming_call": {"status": "major_outage",
//! "last_check_time": "2026-03-02T13:20:00Z"}}}}`.

use serde_json::{Map, Value, json};

use super::exophones;
use super::options::{HeartbeatShape, NoneAffected};
use super::outage::{Line, Outages};
use super::random::Dice;
use super::world::World;

/// Whether details are left out whatever their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Size {
    #[default]
    AsItIs,
    TooLarge,
}

/// The heartbeat of a moment, in milliseconds since the epoch.
pub(super) fn body(world: &World, outages: &Outages, now: u64, size: Size, dice: &mut Dice) -> Value {
    let options = world.options().webhooks.heartbeats;
    let affected = |line| {
        let listed = 0..world.options().exophones.listed;
        listed.filter(move |n| outages.check(*n, line, now).state.is_some()).collect::<Vec<_>>()
    };
    let (incoming, outgoing) = (affected(Line::Incoming), affected(Line::Outgoing));
    let mut either = [incoming.clone(), outgoing.clone()].concat();
    either.sort_unstable();
    either.dedup();

    let above = |most: u16| either.len() > usize::from(most);
    let too_large = size == Size::TooLarge || options.too_large_above.is_some_and(above);
    let status = if too_large {
        "PAYLOAD_TOO_LARGE"
    } else if either.is_empty() {
        "OK"
    } else if either.len() == usize::from(world.options().exophones.listed) {
        "CRITICAL"
    } else {
        "WARNING"
    };
    let mut heartbeat =
        json!({"timestamp": exophones::seconds(now).to_string(), "status_type": status, "data": {}});
    let all_well = either.is_empty() || too_large;
    for (key, numbers) in [("incoming_affected", &incoming), ("outgoing_affected", &outgoing)] {
        let sids: Vec<_> = numbers.iter().map(|n| world.faces.exophone_sid(*n)).collect();
        match options.none_affected {
            _ if all_well => heartbeat[key] = Value::Null,
            _ if !sids.is_empty() => heartbeat[key] = json!(sids),
            NoneAffected::Null => heartbeat[key] = Value::Null,
            NoneAffected::Empty => heartbeat[key] = json!([]),
            NoneAffected::Missing => {}
        }
    }
    let shape = match options.shape {
        HeartbeatShape::Mixed => {
            [HeartbeatShape::Lines, HeartbeatShape::Connectivity, HeartbeatShape::PhoneNumber]
                [dice.below(3) as usize]
        }
        shape => shape,
    };
    if !too_large {
        let data =
            either.iter().map(|n| (world.faces.exophone_sid(*n), details(world, outages, *n, now, shape)));
        heartbeat["data"] = Value::Object(data.collect());
    }
    heartbeat
}

/// What stands under `data` for an affected number.
fn details(world: &World, outages: &Outages, n: u16, now: u64, shape: HeartbeatShape) -> Value {
    let sid = world.faces.exophone_sid(n);
    match shape {
        HeartbeatShape::Connectivity => json!({
            "phone_number_sid": sid,
            "phone_number": world.exophone(n),
            "connectivity": exophones::connectivity(world, outages, n, now),
        }),
        HeartbeatShape::PhoneNumber => {
            json!({"phone_number": super::ident::national(world.faces.exophone(n))})
        }
        HeartbeatShape::Lines | HeartbeatShape::Mixed => {
            let lines = [("incoming_call", Line::Incoming), ("outgoing_call", Line::Outgoing)];
            let affected = lines.into_iter().filter_map(|(key, line)| {
                let check = outages.check(n, line, now);
                check.state?;
                let at = exophones::seconds(check.at).to_string();
                Some((key.to_owned(), json!({"status": exophones::word(check.state), "last_check_time": at})))
            });
            Value::Object(affected.collect::<Map<_, _>>())
        }
    }
}

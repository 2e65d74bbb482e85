//! The account's own numbers: two lists and the health of one.

use serde_json::{Value, json};

use super::options::{Alternate, Envelope, ExoPhoneHealth, ExtraKey, OutageState};
use super::outage::{Line, Outages};
use super::world::World;
use crate::model::Timestamp;

/// Numbers on a page of either list, unless asked for otherwise.
const PAGE_SIZE: usize = 50;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    page: usize,
    size: usize,
}

impl Part {
    /// Reads `Page=0&PageSize=50` (v1) or `page=0&page_size=50` (`v2_beta`).
    ///
    /// The error is the message of a 400.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let mut part = Self { page: 0, size: PAGE_SIZE };
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = value.parse().map_err(|_| format!("Invalid parameter {}", key.escape_default()))?;
            match key {
                "Page" | "page" => part.page = number,
                "PageSize" | "page_size" if (1..=100).contains(&number) => part.size = number,
                _ => return Err(format!("Invalid parameter {}", key.escape_default())),
            }
        }
        Ok(part)
    }

    fn of(self, world: &World) -> impl Iterator<Item = u16> {
        let listed = world.options().exophones.listed;
        (0..listed).skip(self.page.saturating_mul(self.size)).take(self.size)
    }
}

/// The list of `v2_beta`: numbers in E.164, no health.
pub(super) fn list_v2_beta(world: &World, part: Part) -> Value {
    let numbers: Vec<_> = part.of(world).map(|n| one(world, n)).collect();
    extra(world, json!({"page": part.page, "page_size": part.size, "incoming_phone_numbers": numbers}))
}

/// The old list: numbers with a leading zero.
pub(super) fn list_v1(world: &World, account: &str, part: Part) -> Value {
    let uri = |page: usize| {
        format!("/v1/Accounts/{account}/IncomingPhoneNumbers.json?Page={page}&PageSize={}", part.size)
    };
    let total = usize::from(world.options().exophones.listed);
    let more = (part.page + 1) * part.size < total;
    let numbers: Vec<_> = part
        .of(world)
        .map(|n| {
            let number = json!({
                "Sid": world.faces.exophone_sid(n),
                "AccountSid": account,
                "PhoneNumber": super::ident::national(world.faces.exophone(n)),
                "FriendlyName": friendly_name(n),
            });
            json!({"IncomingPhoneNumber": extra(world, number)})
        })
        .collect();
    json!({
        "Metadata": {
            "Total": total,
            "PageSize": part.size,
            "FirstPageUri": uri(0),
            "PrevPageUri": part.page.checked_sub(1).map(uri),
            "NextPageUri": more.then(|| uri(part.page + 1)),
        },
        "IncomingPhoneNumbers": numbers,
    })
}

/// The listed number with this sid.
pub(super) fn find(world: &World, sid: &str) -> Option<u16> {
    (0..world.options().exophones.listed).find(|n| world.faces.exophone_sid(*n) == sid)
}

/// One number without its health.
pub(super) fn one(world: &World, n: u16) -> Value {
    let number = json!({
        "sid": world.faces.exophone_sid(n),
        "phone_number": world.exophone(n),
        "friendly_name": friendly_name(n),
        "capabilities": {"voice": true, "sms": false},
        "country": "IN",
        "region": "KA",
        "voice_url": null,
        "sms_url": null,
        "rental_price": "500.00",
    });
    extra(world, number)
}

/// One number with its health; `now` in milliseconds since the epoch.
pub(super) fn health(world: &World, outages: &Outages, n: u16, now: u64) -> Value {
    let mut number = one(world, n);
    number["connectivity"] = connectivity(world, outages, n, now);
    match world.options().exophones.envelope {
        Envelope::Bare => number,
        Envelope::Wrapped => json!({
            "request_id": "aa00bb11cc22dd33ee44ff5566778899",
            "method": "GET",
            "http_code": 200,
            "response": {"code": 200, "error_data": null, "status": "success", "data": number},
        }),
    }
}

/// Both lines of a number, as far as the options show them.
pub(super) fn connectivity(world: &World, outages: &Outages, n: u16, now: u64) -> Value {
    let mut lines = json!({"incoming_call": block(world, outages, n, Line::Incoming, now)});
    if world.options().exophones.health != ExoPhoneHealth::IncomingOnly {
        lines["outgoing_call"] = block(world, outages, n, Line::Outgoing, now);
    }
    lines
}

/// One line of a number.
///
/// Shape: `{"status": "active", "last_check_time": "2026-03-02T13:20:00Z", "alternate_exophone": null}`.
fn block(world: &World, outages: &Outages, n: u16, line: Line, now: u64) -> Value {
    let check = outages.check(n, line, now);
    let alternate = match check.state {
        Some(OutageState::MajorOutage) => alternate(world, outages, n, line, now),
        _ => Value::Null,
    };
    json!({
        "status": word(check.state),
        "last_check_time": seconds(check.at).to_string(),
        "alternate_exophone": alternate,
    })
}

/// Another number that is well.
fn alternate(world: &World, outages: &Outages, n: u16, line: Line, now: u64) -> Value {
    let options = world.options();
    let well = (0..options.exophones.listed).find(|m| *m != n && !outages.is_out(*m, now));
    let object = |m| json!({"sid": world.faces.exophone_sid(m), "phone_number": world.exophone(m)});
    match (options.outages.alternate, well) {
        (Alternate::Nothing, _) | (_, None) => Value::Null,
        (Alternate::Object, Some(m)) => object(m),
        (Alternate::Mixed, Some(m)) if line == Line::Outgoing => object(m),
        (Alternate::Text | Alternate::Mixed, Some(m)) => json!(world.exophone(m)),
    }
}

/// Exotel's word for the state of a line.
pub(super) fn word(state: Option<OutageState>) -> &'static str {
    match state {
        None => "active",
        Some(OutageState::PartialNetworkOutage) => "partial_network_outage",
        Some(OutageState::MajorOutage) => "major_outage",
    }
}

/// Milliseconds since the epoch, cut.
pub(super) fn seconds(millis: u64) -> Timestamp {
    Timestamp(i64::try_from(millis / 1000).unwrap_or(i64::MAX))
}

fn friendly_name(n: u16) -> String {
    format!("Line {}", n + 1)
}

fn extra(world: &World, mut object: Value) -> Value {
    if world.options().wire.extra_key == ExtraKey::Present {
        object["quality_hint"] = json!({"grade": [4, null]});
    }
    object
}

//! The account's money: what it had at the start, less what calls and messages cost since.

use http::StatusCode;
use serde_json::json;

use super::answer::{Answer, Form};
use super::call::Tick;
use super::messages::Messages;
use super::options::{Numbers, WhenEmpty};
use super::world::World;

/// Answers about the balance; `millis` since the epoch are `now`.
///
/// Shape: `{"Account": {"AccountSid", "BalanceData": {"Balance": "1543.75", "Currency": "INR",
/// "PricingPlan", "DateUpdated": "2026-03-02 18:50:00"}}}`.
pub(super) fn answer(world: &World, messages: &Messages, now: Tick, millis: u64) -> Answer {
    let options = world.options();
    let places = 0..u32::try_from(world.table().calls().len()).unwrap_or(u32::MAX);
    let live =
        places.filter(|place| world.table().call(*place).is_some_and(|call| call.start >= world.start()));
    let calls: i64 = live.filter_map(|place| world.price(place, now)).sum();
    let left = options.balance.start_micros - calls - messages.spent(millis);
    if left <= 0 && options.balance.when_empty == WhenEmpty::Refused {
        return Answer::error(Form::Json, StatusCode::PAYMENT_REQUIRED, "Insufficient balance");
    }
    // Paise; nobody is told of less.
    let cents = left.div_euclid(10_000);
    let sign = if cents < 0 { "-" } else { "" };
    let balance = match options.wire.numbers {
        Numbers::Numbers => json!(cents as f64 / 100.0),
        Numbers::Texts | Numbers::Mixed => {
            json!(format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100))
        }
    };
    let body = json!({"Account": {
        "AccountSid": world.account(),
        "BalanceData": {
            "Balance": balance,
            "Currency": "INR",
            "PricingPlan": "Example plan",
            "DateUpdated": world.wall(now.second()).to_string(),
        },
    }});
    Answer::json(body.to_string())
}

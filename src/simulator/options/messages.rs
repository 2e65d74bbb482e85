//! Text messages, and the money for them and for calls.

use super::calls::Delay;

/// Text messages that the account's own systems send.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    /// New messages per second.
    pub per_second: f64,
    /// From the send request to the operator.
    pub submit: Delay,
    /// From there to the end.
    pub deliver: Delay,
}

/// The account's money.
#[derive(Clone, Copy, Debug)]
pub struct Balance {
    /// At the start of the simulator, in millionths; calls and messages since then are taken off.
    pub start_micros: i64,
    /// What is said when nothing is left.
    pub when_empty: WhenEmpty,
}

/// Answer about an empty balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenEmpty {
    /// The balance, which may be negative.
    Told,
    /// 402.
    Refused,
}

impl Default for Messages {
    /// None.
    fn default() -> Self {
        Self {
            per_second: 0.0,
            submit: Delay::seconds(0.2, 2.0),
            deliver: Delay::seconds(2.0, 20.0).with_tail(0.05, 600.0),
        }
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self { start_micros: 5_000_000_000, when_empty: WhenEmpty::Told }
    }
}

//! What can become of a call: every combination of direction, status and legs that Exotel is known
//! to send, and some that it might.

/// Direction of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Inbound,
    OutboundApi,
    OutboundDial,
    /// A word that no documentation has; the call is like one of outbound-api.
    Odd,
}

impl Way {
    /// The word on the wire.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
            Self::Odd => "outbound-campaign",
        }
    }

    /// What can become of such a call.
    pub(super) fn plots(self) -> &'static [Plot] {
        match self {
            Self::Inbound => INBOUND,
            Self::OutboundApi | Self::OutboundDial | Self::Odd => OUTBOUND,
        }
    }
}

/// How long such a call lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As calls last.
    Talk,
    /// As long as it rings: a third of that.
    Ring,
    /// Not at all: Duration is 0 and `EndTime` is `StartTime`.
    Nothing,
}

/// Whether anybody spoke with anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    Some,
    None,
}

/// One thing that can become of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    /// How often, relative to the others.
    pub(super) weight: f64,
    /// Final `Status`.
    pub(super) status: &'static str,
    /// Final `Leg1Status`.
    pub(super) leg1: &'static str,
    /// Final `Leg2Status`; none if leg 2 was never dialled.
    pub(super) leg2: Option<&'static str>,
    pub(super) talk: Talk,
    pub(super) length: Length,
}

const fn plot(
    weight: f64,
    status: &'static str,
    leg1: &'static str,
    leg2: Option<&'static str>,
    length: Length,
) -> Plot {
    Plot { weight, status, leg1, leg2, talk: Talk::None, length }
}

/// Both legs connected and people spoke; the first plot of either list.
const fn answered(weight: f64) -> Plot {
    Plot {
        weight,
        status: "completed",
        leg1: "completed",
        leg2: Some("completed"),
        talk: Talk::Some,
        length: Length::Talk,
    }
}

use Length::{Nothing, Ring, Talk as Long};

/// A call that reached our number is `completed` even if no agent took it.
const INBOUND: &[Plot] = &[
    answered(58.0),
    plot(1.0, "completed", "completed", Some("completed"), Ring),
    plot(8.0, "completed", "completed", Some("no-answer"), Ring),
    plot(4.0, "completed", "completed", Some("busy"), Ring),
    plot(2.0, "completed", "completed", Some("failed"), Ring),
    plot(8.0, "completed", "completed", Some("canceled"), Ring),
    plot(10.0, "completed", "completed", None, Long),
    plot(1.0, "completed", "completed", Some("rejected"), Ring),
    plot(2.0, "no-answer", "completed", Some("no-answer"), Ring),
    plot(1.0, "failed", "completed", None, Ring),
    plot(1.0, "no-answer", "no-answer", None, Ring),
    plot(1.0, "busy", "busy", None, Nothing),
    plot(2.0, "failed", "failed", None, Nothing),
    plot(1.0, "canceled", "canceled", None, Ring),
];

/// Leg 1 is mostly the agent, leg 2 the customer.
const OUTBOUND: &[Plot] = &[
    answered(50.0),
    plot(1.0, "completed", "completed", Some("completed"), Ring),
    plot(12.0, "no-answer", "completed", Some("no-answer"), Ring),
    plot(1.0, "completed", "completed", Some("no-answer"), Ring),
    plot(6.0, "busy", "completed", Some("busy"), Ring),
    plot(4.0, "failed", "completed", Some("canceled"), Ring),
    plot(1.0, "canceled", "completed", Some("canceled"), Ring),
    plot(3.0, "failed", "completed", Some("failed"), Ring),
    plot(3.0, "completed", "completed", None, Long),
    plot(1.0, "completed", "completed", Some("rejected"), Ring),
    plot(8.0, "no-answer", "no-answer", None, Ring),
    plot(3.0, "busy", "busy", None, Ring),
    plot(4.0, "failed", "failed", None, Nothing),
    plot(1.0, "canceled", "canceled", None, Ring),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_plot_is_an_answered_call_and_every_status_occurs() {
        for way in [Way::Inbound, Way::OutboundApi] {
            let plots = way.plots();
            assert_eq!(plots[0].talk, Talk::Some);
            for status in ["completed", "failed", "busy", "no-answer", "canceled"] {
                assert!(plots.iter().any(|p| p.status == status), "{way:?} {status}");
            }
        }
    }
}

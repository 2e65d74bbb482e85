//! One call in the simulator's table: small, because a day may have a million.

use std::time::Duration;

use super::plot::{Plot, Way};

/// A time in tenths of a second since the table's origin; reaches 13 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub(super) u32);

impl Tick {
    /// A time that never comes.
    pub(super) const NEVER: Self = Self(u32::MAX);

    /// The start of a second.
    pub(super) fn of_second(second: u32) -> Self {
        Self(second.saturating_mul(10))
    }

    /// The whole second, cut.
    pub(super) fn second(self) -> u32 {
        self.0 / 10
    }

    /// This time and a while; [`Tick::NEVER`] stays.
    pub(super) fn after(self, while_: Duration) -> Self {
        let tenths = u32::try_from(while_.as_millis() / 100).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(tenths))
    }
}

/// Whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// A call of its own.
    Nobody,
    /// A leg of the call at this place of the table.
    Call(u32),
    /// Names a call that does not exist.
    Missing,
}

/// What is known of a call from its first second on; it only waits to be shown.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) start: Tick,
    /// From when on bulk shows it.
    pub(super) visible: Tick,
    /// From when on `EndTime` is shown.
    pub(super) end_known: Tick,
    /// From when on Duration is shown.
    pub(super) duration_known: Tick,
    /// From when on Price is shown; never for calls that cost nothing.
    pub(super) price_known: Tick,
    /// Millionths.
    pub(super) price: u32,
    pub(super) parent: Parent,
    /// Seconds; a call of more than 18 h cannot be.
    pub(super) duration: u16,
    /// Seconds both sides spoke.
    pub(super) talk: u16,
    /// Which of the account's numbers.
    pub(super) exophone: u16,
    pub(super) way: Way,
    /// Which of the way's plots.
    pub(super) plot: u8,
    pub(super) agent: Agent,
}

/// Who the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    Phone,
    Sip,
}

/// What happens to few calls only, and is kept beside the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Rarity {
    /// From then on filed under another second.
    pub(super) moved: Option<(Tick, u32)>,
    /// Until then the row cannot be read, for this reason.
    pub(super) unreadable: Option<(Tick, Flaw)>,
    /// Until then leg 2 has this status.
    pub(super) leg2_before: Option<(Tick, &'static str)>,
    /// From then on the price is another, in millionths.
    pub(super) repriced: Option<(Tick, u32)>,
}

impl Rarity {
    /// Whether nothing of it applies.
    pub(super) fn is_empty(&self) -> bool {
        self.moved.is_none()
            && self.unreadable.is_none()
            && self.leg2_before.is_none()
            && self.repriced.is_none()
    }

    /// When the last of it has happened.
    pub(super) fn over(&self) -> Tick {
        let times = [
            self.moved.map(|m| m.0),
            self.unreadable.map(|u| u.0),
            self.leg2_before.map(|l| l.0),
            self.repriced.map(|r| r.0),
        ];
        times.into_iter().flatten().max().unwrap_or(Tick(0))
    }
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NoSid,
    BadCreated,
    NoStatus,
}

impl Call {
    /// The second under which it is filed at first.
    pub(super) fn second(&self) -> u32 {
        self.start.second()
    }

    /// When it is over.
    pub(super) fn end(&self) -> Tick {
        self.start.after(Duration::from_secs(u64::from(self.duration)))
    }

    /// What became of it.
    pub(super) fn plot(&self) -> &'static Plot {
        &self.way.plots()[usize::from(self.plot)]
    }

    /// From when on it is over, shown and complete; a price that never comes is not waited for.
    pub(super) fn settled(&self) -> Tick {
        let price = if self.price_known == Tick::NEVER { Tick(0) } else { self.price_known };
        self.end().max(self.visible).max(self.end_known).max(self.duration_known).max(price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_calls_fit_modest_memory() {
        assert!(size_of::<Call>() <= 48, "{}", size_of::<Call>());
    }

    #[test]
    fn never_stays_never() {
        assert_eq!(Tick::NEVER.after(Duration::from_secs(5)), Tick::NEVER);
        assert_eq!(Tick(7).after(Duration::from_millis(1250)), Tick(19));
    }
}

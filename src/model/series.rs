//! Names of the counters that live in the store beside the calls.
//!
//! A [`Series`] is one number: a family, an account, an ExoPhone and two small codes whose meaning the
//! family gives. Names, aliases and currencies are put on when a scrape is rendered, so that a rename
//! keeps the total.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::call::{Direction, Outcome, Status};

/// Account as the store knows it: a small number given to an account sid at its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u16);

/// ExoPhone as the store knows it, within its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExoPhoneId(pub u16);

impl ExoPhoneId {
    /// A number that is on no list; label `unknown`.
    pub const UNKNOWN: Self = Self(0);
    /// A number beyond the cap on label values; label `_other`.
    pub const OVERFLOW: Self = Self(1);
    /// The first id of a number with a label of its own.
    pub const FIRST: u16 = 2;
}

/// A family of persisted numbers. The discriminant is stored: append only, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// `exotel_calls_total`: a = direction, b = [`status_code`].
    Calls = 1,
    /// `exotel_call_outcomes_total`: a = direction, b = outcome.
    Outcomes = 2,
    /// `exotel_calls_short_total`: a = direction.
    Short = 3,
    /// `exotel_call_legs_total`: a = leg (1, 2), b = leg status.
    Legs = 4,
    /// `exotel_call_seconds_total`: a = direction.
    Seconds = 5,
    /// `exotel_call_conversation_seconds_total`: a = direction.
    ConversationSeconds = 6,
    /// `exotel_call_cost_total` in millionths: a = direction.
    Cost = 7,
    /// `exotel_call_cost_refunds_total` in millionths.
    Refunds = 8,
    /// `exotel_call_corrections_total`: a = [`CorrectedField`].
    Corrections = 9,
    /// `exotel_call_details_total`: a = [`DetailsResult`].
    Details = 10,
    /// `exotel_sync_runs_total`: a = [`Trigger`], b = [`RunOutcome`].
    SyncRuns = 11,
    /// `exotel_sync_records_total`: a = [`RowResult`].
    SyncRecords = 12,
    /// `exotel_sync_windows_cut_total`.
    WindowsCut = 13,
    /// `exotel_sync_audited_windows_total`: a = [`AuditResult`].
    Audited = 14,
    /// `exotel_sync_audit_found_calls_total`.
    AuditFound = 15,
    /// `exotel_reconcile_calls_total`: a = [`Seen`].
    Reconciled = 16,
    /// `exotel_reconcile_mismatches_total`: a = [`MismatchField`].
    Mismatches = 17,
    /// `exotel_call_conversation_duration_seconds`: a = direction, b = bucket.
    ConversationDuration = 20,
    /// `exotel_call_setup_duration_seconds`: a = direction, b = bucket.
    SetupDuration = 21,
    /// `exotel_call_settle_delay_seconds`: b = bucket.
    SettleDelay = 22,
    /// `exotel_sms_messages_total`: a = final status.
    SmsMessages = 40,
    /// `exotel_sms_codes_total`: a = family.
    SmsCodes = 41,
    /// `exotel_sms_delivery_delay_seconds`: b = bucket.
    SmsDelay = 42,
    /// `exotel_health_checks_total`: a = verdict.
    HealthChecks = 24,
    /// `exotel_exophone_state_changes_total`: a = way.
    StateChanges = 25,
    /// `exotel_call_events_total`: a = [`super::callback::CallEvent`], b = [`EventStatus`].
    CallEvents = 30,
    /// `exotel_call_answer_delay_seconds`: a = direction, b = bucket.
    AnswerDelay = 31,
    /// `exotel_webhook_calls_expected_total`.
    CallbacksExpected = 32,
    /// `exotel_webhook_calls_missed_total`.
    CallbacksMissed = 33,
    /// `exotel_webhook_calls_unconfirmed_total`.
    Unconfirmed = 34,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 30] = [
        Self::Calls,
        Self::Outcomes,
        Self::Short,
        Self::Legs,
        Self::Seconds,
        Self::ConversationSeconds,
        Self::Cost,
        Self::Refunds,
        Self::Corrections,
        Self::Details,
        Self::SyncRuns,
        Self::SyncRecords,
        Self::WindowsCut,
        Self::Audited,
        Self::AuditFound,
        Self::Reconciled,
        Self::Mismatches,
        Self::ConversationDuration,
        Self::SetupDuration,
        Self::SettleDelay,
        Self::SmsMessages,
        Self::SmsCodes,
        Self::SmsDelay,
        Self::HealthChecks,
        Self::StateChanges,
        Self::CallEvents,
        Self::AnswerDelay,
        Self::CallbacksExpected,
        Self::CallbacksMissed,
        Self::Unconfirmed,
    ];

    /// Upper bounds of the buckets in seconds, for histograms. A change restarts that histogram.
    pub fn edges(self) -> Option<&'static [u32]> {
        match self {
            Self::ConversationDuration => Some(&[5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600]),
            Self::SetupDuration => Some(&[2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300, 600]),
            Self::SmsDelay => Some(&[1, 2, 5, 10, 15, 30, 60, 120, 300, 900, 3600, 21_600]),
            Self::SettleDelay => Some(&[5, 15, 60, 120, 300, 600, 1200, 1800, 2400, 3600, 7200, 21_600]),
            Self::AnswerDelay => Some(&[2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300, 600]),
            _ => None,
        }
    }
}

/// Bucket code under which a histogram's sum is stored.
pub const SUM: u8 = 255;

/// One persisted number. Ordered by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Account.
    pub account: AccountId,
    /// Family.
    pub family: Family,
    /// ExoPhone, [`ExoPhoneId::UNKNOWN`] where the family has no such label.
    pub exophone: ExoPhoneId,
    /// First code.
    pub a: u8,
    /// Second code.
    pub b: u8,
}

/// By its key, which takes one step.
impl Hash for Series {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.to_key());
    }
}

impl Ord for Series {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_key().cmp(&other.to_key())
    }
}

impl PartialOrd for Series {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Series {
    /// A number of a family without an ExoPhone label.
    pub fn new(account: AccountId, family: Family, a: u8, b: u8) -> Self {
        Self { account, family, exophone: ExoPhoneId::UNKNOWN, a, b }
    }

    /// The key under which it is stored.
    pub fn to_key(self) -> u64 {
        (u64::from(self.account.0) << 40)
            | (u64::from(self.family as u8) << 32)
            | (u64::from(self.exophone.0) << 16)
            | (u64::from(self.a) << 8)
            | u64::from(self.b)
    }

    /// The number for a stored key; none for a family we do not know.
    pub fn from_key(key: u64) -> Option<Self> {
        let byte = |shift: u32| (key >> shift) as u8;
        let family = Family::ALL.into_iter().find(|f| *f as u8 == byte(32))?;
        Some(Self {
            account: AccountId((key >> 40) as u16),
            family,
            exophone: ExoPhoneId((key >> 16) as u16),
            a: byte(8),
            b: byte(0),
        })
    }
}

/// A consistent picture of all persisted numbers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<BTreeMap<u64, u64>>);

impl Totals {
    /// A picture of these numbers, by [`Series::to_key`].
    pub fn new(numbers: Arc<BTreeMap<u64, u64>>) -> Self {
        Self(numbers)
    }

    /// One number, 0 if nothing was counted.
    pub fn get(&self, series: Series) -> u64 {
        self.0.get(&series.to_key()).copied().unwrap_or(0)
    }

    /// Every number that ever counted.
    pub fn iter(&self) -> impl Iterator<Item = (Series, u64)> + '_ {
        self.0.iter().filter_map(|(key, value)| Some((Series::from_key(*key)?, *value)))
    }
}

/// Declares a closed label set with codes from 0.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "a variant's word is its documentation")]
        pub enum $name { $($variant),+ }
        impl $name {
            /// Every value, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The label's value.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            /// The stored code.
            pub fn code(self) -> u8 { self as u8 }
        }
    };
}

labels! {
    /// What Exotel changed after a call was counted.
    CorrectedField { Status = "status", Duration = "duration", Price = "price", Conversation = "conversation", Leg = "leg" }
}
labels! {
    /// How leg details came, or did not.
    DetailsResult { Inline = "inline", Fetched = "fetched", Skipped = "skipped", Failed = "failed" }
}
labels! {
    /// What started a sync run.
    Trigger { Schedule = "schedule", Manual = "manual", Heal = "heal", Backfill = "backfill" }
}
labels! {
    /// How a sync run ended.
    RunOutcome { Success = "success", Partial = "partial", Failure = "failure" }
}
labels! {
    /// What became of a row that was read.
    RowResult { New = "new", Updated = "updated", Unchanged = "unchanged", Rejected = "rejected" }
}
labels! {
    /// What an audit found.
    AuditResult { Equal = "equal", Repaired = "repaired", Failed = "failed" }
}
labels! {
    /// Who had reported a call when it settled.
    Seen { Webhook = "webhook", Api = "api", Both = "both" }
}
labels! {
    /// On what a callback and the API differed.
    MismatchField { Status = "status", Duration = "duration", Price = "price", Leg = "leg" }
}

labels! {
    /// Status as a callback gives it, for `exotel_call_events_total`.
    EventStatus {
        Completed = "completed",
        Failed = "failed",
        Busy = "busy",
        NoAnswer = "no-answer",
        Canceled = "canceled",
        Other = "other",
        InProgress = "in-progress",
    }
}

impl EventStatus {
    /// The label for a status; `other` for none and for one that has no label of its own.
    pub fn of(status: Option<Status>) -> Self {
        match status {
            Some(Status::Completed) => Self::Completed,
            Some(Status::Failed) => Self::Failed,
            Some(Status::Busy) => Self::Busy,
            Some(Status::NoAnswer) => Self::NoAnswer,
            Some(Status::Canceled) => Self::Canceled,
            Some(Status::InProgress) => Self::InProgress,
            Some(Status::Other | Status::Queued | Status::Ringing) | None => Self::Other,
        }
    }
}

/// Statuses that a counted call can have, in the order of their codes: the first six of [`Status`].
pub const COUNTED_STATUSES: [Status; 6] =
    [Status::Completed, Status::Failed, Status::Busy, Status::NoAnswer, Status::Canceled, Status::Other];

/// Code of a counted call's status; a status that is not final counts as `other`.
pub fn status_code(status: Status) -> u8 {
    if COUNTED_STATUSES.contains(&status) { status.code() } else { Status::Other.code() }
}

/// Outcomes that can occur with a direction, for seeding with 0.
pub fn outcomes_of(direction: Direction) -> &'static [Outcome] {
    match direction {
        Direction::Inbound => &[
            Outcome::Answered,
            Outcome::Missed,
            Outcome::Abandoned,
            Outcome::Failed,
            Outcome::NotConnected,
            Outcome::Unknown,
        ],
        _ => &[
            Outcome::Answered,
            Outcome::NoAnswer,
            Outcome::Busy,
            Outcome::Canceled,
            Outcome::Failed,
            Outcome::NotConnected,
            Outcome::AgentUnanswered,
            Outcome::Unknown,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_round_trip() {
        for family in Family::ALL {
            let series =
                Series { account: AccountId(513), family, exophone: ExoPhoneId(40_000), a: 3, b: SUM };
            assert_eq!(Series::from_key(series.to_key()), Some(series));
        }
        assert_eq!(Series::from_key(u64::MAX), None);
    }
}

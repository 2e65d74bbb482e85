//! What Exotel says of a call, in types that cannot hold nonsense.

use super::sid::Sid;
use super::time::WallTime;

/// Money in millionths of the account's currency unit; Exotel sends up to six decimals.
pub type Micros = i64;

/// Declares a closed set of words: one variant for each word, `Other` for the rest.
///
/// Matching folds case, `_` to `-` and `cancelled` to `canceled`, as Exotel's pages and traffic vary.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "a variant's word is its documentation")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in labels and in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value with this code, as stored.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }

            /// The code under which the value is stored. Append only: never reorder variants.
            pub fn code(self) -> u8 {
                self as u8
            }
        }
    };
}

words! {
    /// Status of a call in the v1 API.
    Status {
        Completed = "completed",
        Failed = "failed",
        Busy = "busy",
        NoAnswer = "no-answer",
        Canceled = "canceled",
        /// A word we do not know; its text is kept in [`Observation::odd`]. Counts as not final.
        Other = "other",
        Queued = "queued",
        Ringing = "ringing",
        InProgress = "in-progress",
    }
}

words! {
    /// Direction of a call.
    Direction {
        Inbound = "inbound",
        OutboundDial = "outbound-dial",
        OutboundApi = "outbound-api",
        Other = "other",
    }
}

words! {
    /// Result of one leg. A leg that was never dialled has none.
    LegStatus {
        Completed = "completed",
        Busy = "busy",
        Failed = "failed",
        NoAnswer = "no-answer",
        Canceled = "canceled",
        InProgress = "in-progress",
        Other = "other",
    }
}

words! {
    /// What became of a call; the table stands at [`crate::model::outcome::outcome`].
    Outcome {
        Answered = "answered",
        Missed = "missed",
        Abandoned = "abandoned",
        Failed = "failed",
        NotConnected = "not_connected",
        NoAnswer = "no_answer",
        Busy = "busy",
        Canceled = "canceled",
        AgentUnanswered = "agent_unanswered",
        Unknown = "unknown",
    }
}

words! {
    /// Who or what answered, where Exotel says.
    AnsweredBy {
        Human = "human",
        Machine = "machine",
        NotSure = "notsure",
        NotAvailable = "na",
        Other = "other",
    }
}

/// `No_Answer` and `cancelled` are `no-answer` and `canceled`.
fn fold(word: &str) -> String {
    let word = word.trim().to_ascii_lowercase().replace('_', "-");
    if word == "cancelled" { "canceled".to_owned() } else { word }
}

impl Status {
    /// The status for a word of Exotel's, [`Status::Other`] for one we do not know.
    pub fn from_word(word: &str) -> Self {
        let word = fold(word);
        Self::ALL.iter().copied().find(|s| s.as_str() == word).unwrap_or(Self::Other)
    }

    /// Whether the call is over.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Busy | Self::NoAnswer | Self::Canceled)
    }
}

impl Direction {
    /// The direction for a word; Passthru's `incoming` is `inbound`.
    pub fn from_word(word: &str) -> Self {
        match fold(word).as_str() {
            "inbound" | "incoming" => Self::Inbound,
            "outbound-dial" => Self::OutboundDial,
            "outbound-api" => Self::OutboundApi,
            _ => Self::Other,
        }
    }
}

impl LegStatus {
    /// The leg status for a word; none where the leg was never dialled (`""`, `null`).
    pub fn from_word(word: &str) -> Option<Self> {
        let word = fold(word);
        if word.is_empty() || word == "null" {
            return None;
        }
        Some(Self::ALL.iter().copied().find(|s| s.as_str() == word).unwrap_or(Self::Other))
    }
}

impl AnsweredBy {
    /// The value for a word in any case; none for an empty one.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = fold(word);
        if word.is_empty() || word == "null" {
            return None;
        }
        Some(Self::ALL.iter().copied().find(|s| s.as_str() == word).unwrap_or(Self::Other))
    }
}

/// Leg results of a call, from `details=true` or a callback.
///
/// Shape: `{"ConversationDuration": 8, "Leg1Status": "completed", "Leg2Status": "completed",
/// "Legs": [{"Leg": {"Id": 1, "OnCallDuration": 21}}, {"Leg": {"Id": 2, "OnCallDuration": 8}}]}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Seconds both parties spoke.
    pub conversation: Option<u32>,
    /// Leg 1: who was dialled first, or the caller of an inbound call.
    pub leg1: Option<LegStatus>,
    /// Leg 2: who was dialled second; none if nobody was.
    pub leg2: Option<LegStatus>,
    /// Seconds on call of leg 1.
    pub leg1_seconds: Option<u32>,
    /// Seconds on call of leg 2.
    pub leg2_seconds: Option<u32>,
}

/// What one row or answer says of one call. A field it does not give is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Exotel's id.
    pub sid: Sid,
    /// Start of the call on Exotel's wall clock; the key under which Exotel files it.
    pub created: WallTime,
    /// Last change on Exotel's side.
    pub updated: Option<WallTime>,
    /// The call of which this one is a leg.
    pub parent: Option<Sid>,
    /// Status.
    pub status: Status,
    /// Direction; absent in short callbacks.
    pub direction: Option<Direction>,
    /// Start as Exotel gives it, mostly equal to `created`.
    pub start: Option<WallTime>,
    /// End; known some minutes after the call.
    pub end: Option<WallTime>,
    /// Whole call in seconds; an upper bound of the talk.
    pub duration: Option<u32>,
    /// Price in millionths; known late, or never for unanswered calls.
    pub price: Option<Micros>,
    /// Called number, as sent. Personal data.
    pub to: Option<String>,
    /// Calling number, as sent. Personal data.
    pub from: Option<String>,
    /// Our number in the call, as sent (`PhoneNumber`, else `PhoneNumberSid`).
    pub exophone: Option<String>,
    /// Human or machine.
    pub answered_by: Option<AnsweredBy>,
    /// As sent; mostly empty.
    pub forwarded_from: Option<String>,
    /// As sent; mostly empty.
    pub caller_name: Option<String>,
    /// The customer's own text, up to 128 characters.
    pub custom_field: Option<String>,
    /// Path of the call, as sent.
    pub uri: Option<String>,
    /// Needs Basic auth to fetch. Personal data.
    pub recording_url: Option<String>,
    /// Leg results, where given.
    pub details: Option<Details>,
    /// Fields whose value could not be read, and keys and words we do not know: name and raw JSON
    /// text, sorted by name, so that nothing Exotel said is lost.
    pub odd: Vec<(String, String)>,
}

impl Observation {
    /// An observation that says no more than that the call exists.
    pub fn new(sid: Sid, created: WallTime, status: Status) -> Self {
        Self {
            sid,
            created,
            updated: None,
            parent: None,
            status,
            direction: None,
            start: None,
            end: None,
            duration: None,
            price: None,
            to: None,
            from: None,
            exophone: None,
            answered_by: None,
            forwarded_from: None,
            caller_name: None,
            custom_field: None,
            uri: None,
            recording_url: None,
            details: None,
            odd: Vec::new(),
        }
    }

    /// Whether the call is over: a final status, or a status we do not know with an end.
    pub fn is_over(&self) -> bool {
        self.status.is_terminal() || (self.status == Status::Other && self.end.is_some())
    }

    /// The call of which this one is a leg; a row that names itself is no leg.
    pub fn leg_of(&self) -> Option<&Sid> {
        self.parent.as_ref().filter(|parent| **parent != self.sid)
    }

    /// Whether a leg is an agent's app: its status may change up to 15 minutes after the end.
    pub fn has_sip_leg(&self) -> bool {
        let sip = |number: &Option<String>| number.as_deref().is_some_and(|n| n.starts_with("sip:"));
        sip(&self.to) || sip(&self.from)
    }

    /// The whole call in seconds, once it is known: Exotel says 0 for a call that lasted until it has
    /// worked it out, and for one whose end it does not know yet.
    pub fn known_duration(&self) -> Option<u32> {
        self.duration
            .filter(|seconds| *seconds > 0 || self.end.is_some_and(|end| self.start.is_none_or(|s| end <= s)))
    }
}

/// A row that lacks a readable Sid, DateCreated or Status: kept as it came, read again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// The row's JSON text, at most 16 KiB.
    pub raw: String,
    /// What was expected and what came, without any number or name.
    pub reason: String,
    /// Sid, where it could be read.
    pub sid: Option<Sid>,
    /// Creation time, where it could be read.
    pub created: Option<WallTime>,
}

/// One of the account's own numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExoPhone {
    /// Exotel's id; may or may not be the number.
    pub sid: String,
    /// The number as the list gives it.
    pub number: String,
    /// Name given in Exotel's dashboard, often the number itself.
    pub friendly_name: Option<String>,
}

/// The last ten digits of a number, by which Indian numbers are compared; none for `sip:` and for
/// texts with fewer digits.
pub fn last_ten_digits(number: &str) -> Option<u64> {
    if number.starts_with("sip:") {
        return None;
    }
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    if digits.len() < 10 {
        return None;
    }
    Some(digits[digits.len() - 10..].iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_unknown_ones_are_other() {
        assert_eq!(Status::from_word("No_Answer"), Status::NoAnswer);
        assert_eq!(Status::from_word("cancelled"), Status::Canceled);
        assert_eq!(Status::from_word("exploded"), Status::Other);
        assert_eq!(Direction::from_word("incoming"), Direction::Inbound);
        assert_eq!(LegStatus::from_word(""), None);
        assert_eq!(LegStatus::from_word("null"), None);
        assert_eq!(AnsweredBy::from_word("HUMAN"), Some(AnsweredBy::Human));
        assert!(!Status::Other.is_terminal());
    }

    #[test]
    fn codes_survive_the_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(*status));
        }
        assert_eq!(Status::from_code(200), None);
    }

    #[test]
    fn indian_numbers_are_compared_by_their_last_ten_digits() {
        let one = last_ten_digits("08000000011");
        assert_eq!(one, Some(8_000_000_011));
        assert_eq!(last_ten_digits("+918000000011"), one);
        assert_eq!(last_ten_digits("sip:8000000011"), None);
        assert_eq!(last_ten_digits("12345"), None);
    }
}

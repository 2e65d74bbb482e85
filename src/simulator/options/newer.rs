//! What v2 and v3 of the call API know, and how they spell it.

/// v2 and v3 of the call API.
///
/// v3 knows every call; v2 those of outbound-api, which stand for calls that were made through it.
#[derive(Clone, Copy, Debug)]
pub struct Newer {
    /// Share of calls that v1 does not know when asked for one of them, though its lists name them: one of
    /// v2 and v3 knows each.
    pub missing_share: f64,
    /// Share of those that v2 alone knows; the others v3 alone.
    pub v2_share: f64,
    /// Keys of v2.
    pub keys: NewerKeys,
    /// Whether the account may ask v2.
    pub v2: NewerAccess,
    /// Whether the account may ask for the legs of v3.
    pub legs: NewerAccess,
}

/// Keys of v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewerKeys {
    /// `sid`, `state`, `status`; times in UTC.
    Portal,
    /// `call_sid`, `call_state`, `call_status`; times with their offset.
    Older,
    /// Either, call by call.
    Mixed,
}

/// Whether an account may use something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewerAccess {
    /// It may.
    Allowed,
    /// 403.
    Refused,
}

impl Default for Newer {
    fn default() -> Self {
        Self {
            missing_share: 0.0,
            v2_share: 0.5,
            keys: NewerKeys::Mixed,
            v2: NewerAccess::Allowed,
            legs: NewerAccess::Allowed,
        }
    }
}
